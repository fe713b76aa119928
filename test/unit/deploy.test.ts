import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, it } from "vitest";
import { CONTRACT_VERSION } from "../../contract/version.ts";
import { interruptible } from "../../tools/cli/interruptible.ts";
import type { DeployedWorker } from "../../tools/deploy/build.ts";
import { type DeployInput, type DeployOptions, deploy } from "../../tools/deploy/deploy.ts";
import { type DeployedTags, formatDeployed, readDeployed } from "../../tools/deploy/deployed-tags.ts";
import { SETTLE_MS, waitForSessions } from "../../tools/deploy/drain.ts";
import { fingerprint } from "../../tools/deploy/fingerprint.ts";
import { UnclearAnswer } from "../../tools/deployment/admin-api.ts";
import type { DrainState, DrainSwitch, LiveSession } from "../../tools/deployment/drain-switch.ts";
import { OperatorError } from "../../tools/deployment/operator-error.ts";
import { formatVersionTag, type VersionTag } from "../../tools/deployment/version-tag.ts";
import { cloudflareApi, DEFAULT_API } from "../../tools/ports/cloudflare.ts";
import { type HttpAnswer, HttpFailure, type HttpRequest } from "../../tools/ports/http.ts";
import type { Finished } from "../../tools/ports/wrangler.ts";
import { ACCOUNT, ADMIN_AUDIENCE, AUDIENCE, CLUSTER, HOSTNAME, TEAM_DOMAIN, testPlan } from "../support/planned.ts";

const FILES = ["0000_audit_log.sql", "0001_append_only.sql"];
const MIGRATIONS = FILES.map((name) => ({ name, statements: [] }));
const ZONE = "593c9c94de529bbbfaac7c53ced0447d";
const API_TOKEN = "an-api-token-that-nobody-may-see";
const VERSION = "6d2a7b3e-1111-4222-8333-944455566677";
const TOKEN = { id: "ci.access", secret: "a-secret-that-nobody-may-see" };

const session = (user: string): LiveSession => ({
  ...{ id: `id-${user}`, user, cluster: "prod", kind: "exec", namespace: "shop", pod: "web-0", started_at: -600_000 },
});

const CONFIGURATION = { main: "index.ts", d1_databases: [], durable_objects: { bindings: [] } };
/** What the builds of this test get. */
const tagOf = (prefix: string): VersionTag => ({
  contract: CONTRACT_VERSION,
  bundle: fingerprint([{ name: "index.js", content: `// ${prefix}\n` }], CONFIGURATION),
});
const OBJECTS_TAG = tagOf("objects ");
const EDGE_TAG = tagOf("");
const OLD_TAG: VersionTag = { contract: CONTRACT_VERSION, bundle: "0".repeat(16) };
const BUNDLED = ["deploy --dry-run", "objects deploy --dry-run"];
const USUAL: DeployOptions = {
  ...{ dryRun: false, against: undefined, skipSmoke: false, rollback: false, takeOver: [], byStatement: false },
  ...{ withObjects: false, endSessions: false, drainMs: undefined, objectsSecrets: undefined },
};

const OPEN: DrainState = { draining: false, by: null, reason: null, until: null };

/** An account as far as a deploy sees it: D1's tables, the Worker's version, what stands in front. */
class Account {
  readonly commands: string[] = [];
  /** What each upload was told beside the configuration. */
  readonly flags: string[] = [];
  /** What files with secrets held, and their names. */
  readonly secrets: string[] = [];
  readonly secretFiles: string[] = [];
  readonly printed: string[] = [];
  applied: string[] | undefined = [...FILES];
  live: LiveSession[][] = [[]];
  failing: string | undefined;
  failure = "wrangler's own message";
  answeringVersion = VERSION;
  isAccessInFront = true;
  audience = AUDIENCE;
  isTokenKnown = true;
  now = 0;

  /** The tag that the deployed objects have; undefined before the first deployment. */
  objectsTag: string | undefined = formatVersionTag(OLD_TAG);
  isSplit = false;
  saved: DeployedTags | undefined;

  readonly wrangler = async (args: readonly string[], worker = ""): Promise<Finished> => {
    const [command, sub] = args;
    const name =
      worker + (command === "d1" || args[1] === "--dry-run" || command !== "deploy" ? `${command} ${sub}` : "deploy");
    const sql = args[args.indexOf("--command") + 1] ?? "";
    if (name === "auth token") {
      return this.hasToken
        ? { code: 0, stdout: JSON.stringify({ type: "api_token", token: API_TOKEN }), stderr: "", records: [] }
        : { code: 1, stdout: "Not logged in", stderr: "", records: [] };
    }
    const isQuestion = ["d1 execute", "objects deployments status", "objects versions view"].includes(name);
    if (!isQuestion) this.commands.push(name);
    const result = (stdout: string, records: Finished["records"] = []) => ({ code: 0, stdout, stderr: "", records });
    const secretsFile = args[args.indexOf("--secrets-file") + 1];
    if (args.includes("--secrets-file") && secretsFile) {
      this.secretFiles.push(secretsFile);
      this.secrets.push(readFileSync(secretsFile, "utf8"));
    }
    if (this.failing === name) return { code: 1, stdout: "", stderr: this.failure, records: [] };
    const rows = (results: object[]) => result(`noise\n${JSON.stringify([{ results, success: true }])}`);
    if (name === "d1 execute") {
      if (sql.includes("sqlite_master")) return rows(this.applied ? [{ name: "d1_migrations" }] : []);
      if (sql.includes("d1_migrations")) return rows((this.applied ?? []).map((each) => ({ name: each })));
      if (sql.includes("count(*)")) return rows([{ live: this.live[0]?.length ?? 0 }]);
    }
    if (name === "objects deployments status") {
      if (this.objectsTag === undefined) {
        return { code: 1, stdout: '{"error": {"notes": ["no such Worker [code: 10007]"]}}', stderr: "", records: [] };
      }
      const versions = [{ version_id: VERSION, percentage: 100 }];
      return result(
        JSON.stringify({ id: "a deployment", versions: this.isSplit ? [...versions, ...versions] : versions }),
      );
    }
    if (name === "objects versions view") {
      return result(JSON.stringify({ id: VERSION, annotations: { "workers/tag": this.objectsTag } }));
    }
    if (name === "d1 migrations") this.applied = [...new Set([...(this.applied ?? []), ...FILES])];
    if (name.endsWith("deploy")) this.flags.push(args.slice(1).join(" "));
    const outDir = args[args.indexOf("--outdir") + 1];
    if (outDir && args[1] === "--dry-run") writeFileSync(join(outDir, "index.js"), `// ${worker}\n`);
    return result("Total Upload: 600 KiB", name === "deploy" ? [{ type: "deploy", version_id: VERSION }] : []);
  };

  hasCredentials = true;
  drained: DrainState = OPEN;
  /** Calls of the switch that fail. */
  failingSwitch: (keyof DrainSwitch)[] = [];
  /** Presses Ctrl-C. */
  readonly interrupt = new AbortController();

  readonly drain: { -readonly [Call in keyof DrainSwitch]: DrainSwitch[Call] } = {
    read: async () => this.#turn("read", this.drained),
    begin: async (reason, until) => {
      this.commands.push("drain");
      this.drained = { draining: true, by: "ci", reason, until: new Date(until).toISOString() };
      return this.#turn("begin", this.drained);
    },
    end: async () => {
      this.#turn("end", undefined);
      this.commands.push("open");
      this.drained = OPEN;
      return true;
    },
    live: async () => {
      this.commands.push("live?");
      return (this.live.length > 1 ? this.live.shift() : this.live[0]) ?? [];
    },
  };

  #turn<T>(call: keyof DrainSwitch, value: T): T {
    if (this.failingSwitch.includes(call)) throw new OperatorError("the admin API does not answer: ECONNREFUSED");
    return value;
  }

  hasToken = true;
  /** The Worker that has the host name as a custom domain. */
  owner: string | undefined = "sallyport";
  records: { type: string; name: string; content: string }[] = [];
  mayReadDns = true;
  /** What public DNS answers. */
  resolves: string[] = [];
  dnsStatus = 0;

  #api(path: string): HttpAnswer {
    const answer = (result: unknown, status = 200) => ({
      ...{ status, headers: {} },
      body: JSON.stringify({
        success: status === 200,
        errors: status === 200 ? [] : [{ code: 10_000, message: "no" }],
        result,
      }),
    });
    if (path.includes("/workers/domains?hostname=")) {
      return answer(this.owner === undefined ? [] : [{ hostname: HOSTNAME, service: this.owner }]);
    }
    if (path.startsWith("zones?name=acme.test&")) return answer([{ id: ZONE, name: "acme.test" }]);
    if (path.startsWith("zones?")) return answer([]);
    if (path === `zones/${ZONE}/dns_records?name=${HOSTNAME}`) {
      return this.mayReadDns ? answer(this.records) : answer(null, 403);
    }
    throw new Error(`unexpected: ${path}`);
  }

  readonly http = async ({ url, headers = {} }: HttpRequest): Promise<HttpAnswer> => {
    if (url.startsWith(`${DEFAULT_API}/`)) {
      expect(headers["authorization"]).toBe(`Bearer ${API_TOKEN}`);
      return this.#api(url.slice(DEFAULT_API.length + 1));
    }
    if (url.startsWith("https://cloudflare-dns.com/")) {
      const Answer = this.resolves.map((data) => ({ name: HOSTNAME, type: 1, TTL: 300, data }));
      return { status: 200, headers: {}, body: JSON.stringify({ Status: this.dnsStatus, Answer }) };
    }
    if (!this.isAccessInFront) return this.#health();
    if (headers["cf-access-client-secret"] === TOKEN.secret && this.isTokenKnown) return this.#health();
    const location = `${TEAM_DOMAIN}/cdn-cgi/access/login/${new URL(url).hostname}?kid=${this.audience}&redirect_url=%2F`;
    return { status: 302, headers: { location }, body: "" };
  };

  #health(): HttpAnswer {
    return { status: 200, headers: {}, body: JSON.stringify({ status: "ok", version: this.answeringVersion }) };
  }

  run(options: Partial<DeployOptions> = {}, input: Partial<DeployInput> = {}): Promise<void> {
    const worker = (name: string, prefix: string): DeployedWorker => ({
      name,
      configuration: CONFIGURATION,
      wrangler: (args) => this.wrangler(args, prefix),
    });
    return deploy(
      {
        plan: testPlan(),
        placeholders: [],
        edge: worker("sallyport", ""),
        objects: worker("sallyport-objects", "objects "),
        codeUpdateDelaySeconds: 28_860,
        databaseBinding: "AUDIT_DB",
        migrations: MIGRATIONS,
        serviceToken: TOKEN,
        ...input,
      },
      { ...USUAL, ...options },
      {
        http: this.http,
        cloudflare: (token) => cloudflareApi(this.http, { account: ACCOUNT, token }),
        now: () => this.now,
        wait: async (ms) => {
          this.now += ms;
        },
        print: (line) => void this.printed.push(line),
        save: (tags) => {
          this.saved = tags;
        },
        drain: this.hasCredentials ? this.drain : undefined,
        interruptible: (work) => work(this.interrupt.signal),
      },
    );
  }

  get output(): string {
    return this.printed.join("\n");
  }
}

describe("npm run deploy", () => {
  it("bundles, migrates, deploys the objects, deploys the edge and checks, in this order", async () => {
    const account = new Account();
    account.applied = undefined;
    await account.run();
    expect(account.commands).toEqual([...BUNDLED, "d1 migrations", "objects deploy", "deploy"]);
    expect(account.output).toContain(`D1: applying ${FILES.join(", ")} ...`);
    expect(account.output).toContain(`✓ ${HOSTNAME}: Access answers a stranger, version ${VERSION} answers behind it`);
    expect(account.output).not.toContain(TOKEN.secret);
  });

  it("applies no migration if none is pending", async () => {
    const account = new Account();
    await account.run();
    expect(account.commands).toEqual([...BUNDLED, "objects deploy", "deploy"]);
  });

  it("with --dry-run only bundles, and lists the steps, placeholders first", async () => {
    const account = new Account();
    await account.run({ dryRun: true }, { placeholders: ["account is a placeholder"] });
    expect(account.commands).toEqual(BUNDLED);
    expect(account.output).toContain("1. fill in: account is a placeholder");
    expect(account.output).toMatch(
      /2\. look whether .*\n {2}3\. apply those .*\n {2}4\. deploy the objects, sallyport-objects: .*\n {2}5\. deploy the edge, sallyport: .*\n {2}6\. check prod/,
    );
  });

  it("deploys nothing with a placeholder", async () => {
    const account = new Account();
    await expect(account.run({}, { placeholders: ["account is a placeholder"] })).rejects.toThrow(OperatorError);
    expect(account.commands).toEqual([]);
  });

  it("refuses a checkout older than the database, or leaves the schema as it is with --rollback", async () => {
    const account = new Account();
    account.applied = [...FILES, "0002_from_the_future.sql"];
    await expect(account.run()).rejects.toThrow(/does not know: 0002_from_the_future\.sql.*\n.*--rollback/);
    expect(account.commands).toEqual(BUNDLED);
    await account.run({ rollback: true });
    expect(account.commands.slice(2)).toEqual([...BUNDLED, "objects deploy", "deploy"]);
    expect(account.output).toContain("0002_from_the_future.sql. They stay.");
  });

  it.each([
    ["deploy --dry-run", /could not bundle sallyport:/, []],
    ["objects deploy --dry-run", /could not bundle sallyport-objects:/, []],
    ["objects deployments status", /Cloudflare did not say which version runs.*Nothing was changed/s, []],
    ["objects versions view", /Cloudflare did not describe version 6d2a7b3e.*Nothing was changed/s, []],
    ["d1 migrations", /a migration failed.*Nothing was deployed/s, []],
    ["d1 execute", /D1 did not answer/, []],
    ["objects deploy", /wrangler did not deploy sallyport-objects:/, ["d1 migrations"]],
    ["deploy", /wrangler did not deploy sallyport:/, ["d1 migrations", "objects deploy"]],
  ])("stops where %s fails, with wrangler's message", async (failing, message, before) => {
    const account = new Account();
    account.applied = [];
    account.failing = failing;
    const failure = await account.run().catch((error: unknown) => error);
    expect(failure).toBeInstanceOf(OperatorError);
    expect(String(failure)).toMatch(message);
    expect(String(failure)).toContain("wrangler's own message");
    const done = account.commands.filter((command) => command !== failing && !command.endsWith("--dry-run"));
    expect(done).toEqual(before);
    expect(account.saved).toBeUndefined();
  });
});

describe("--drain", () => {
  const MINUTE = 60_000;

  it("refuses new sessions, waits for live ones, deploys, and lets them open again", async () => {
    const account = new Account();
    account.applied = [];
    account.live = [[session("alice@acme.test"), session("bob@acme.test")], [session("bob@acme.test")], []];
    await account.run({ drainMs: MINUTE });
    expect(account.commands).toEqual([
      ...[...BUNDLED, "d1 migrations", "drain"],
      ...["live?", "live?", "live?", "objects deploy", "deploy", "open"],
    ]);
    expect(account.output).toContain("alice@acme.test: exec in shop/web-0 on prod, for 10 min");
    expect(account.output).toContain("No session is live.");
    expect(account.output).toMatch(/Deployed\.\nNew sessions open again\.$/);
    // A session that opened in the first seconds is seen.
    expect(account.now).toBeGreaterThanOrEqual(SETTLE_MS);
  });

  it("deploys when the time is over, and has a drain that outlasts it and ends by itself", async () => {
    const account = new Account();
    account.live = [[session("alice@acme.test")]];
    let until = "";
    const { begin } = account.drain;
    account.drain.begin = async (reason, end) => {
      const state = await begin(reason, end);
      until = state.until ?? "";
      return state;
    };
    await account.run({ drainMs: 10 * MINUTE });
    expect(account.commands).toContain("objects deploy");
    expect(account.output).toContain("1 live: they go on with the old code");
    expect(account.output).toContain(`New sessions are refused until ${until} (ci: a new version is being deployed).`);
    expect(Date.parse(until)).toBeGreaterThan(account.now);
    expect(Date.parse(until)).toBeLessThan(account.now + 30 * MINUTE);
  });

  it("refuses nobody anything if no session would end", async () => {
    const account = Object.assign(new Account(), { objectsTag: formatVersionTag(OBJECTS_TAG) });
    await account.run({ drainMs: MINUTE });
    expect(account.commands).toEqual([...BUNDLED, "deploy"]);
    expect(account.output).toContain("No session ends, so nothing is drained.");
  });

  it.each([
    ["there are no credentials", { hasCredentials: false }, /--drain needs credentials.*CF_ACCESS_TOKEN/],
    ["the switch cannot be reached", { failingSwitch: ["read"] as const }, /the admin API does not answer/],
  ])("changes nothing if %s", async (_what, state, message) => {
    const account = Object.assign(new Account(), state);
    await expect(account.run({ drainMs: MINUTE })).rejects.toThrow(message);
    expect(account.commands).toEqual([]);
  });

  it("changes nothing if the drain would last longer than the admin API accepts", async () => {
    const account = new Account();
    await expect(account.run({ drainMs: 24 * 60 * MINUTE })).rejects.toThrow(/give at most 23h/);
    expect(account.commands).toEqual([]);
  });

  it.each(["objects deploy", "deploy"])("lets sessions open again if %s fails", async (failing) => {
    const account = Object.assign(new Account(), { failing });
    await expect(account.run({ drainMs: MINUTE })).rejects.toThrow(/wrangler did not deploy/);
    expect(account.commands.at(-1)).toBe("open");
    expect(account.printed.at(-1)).toBe("New sessions open again.");
  });

  it("lets sessions open again after Ctrl-C while it waits, and deploys nothing", async () => {
    const account = new Account();
    account.live = [[session("alice@acme.test")]];
    const { live } = account.drain;
    account.drain.live = () => {
      account.interrupt.abort();
      return live();
    };
    await expect(account.run({ drainMs: 10 * MINUTE })).rejects.toThrow(/^interrupted: the steps before are done/);
    expect(account.commands).toEqual([...BUNDLED, "drain", "live?", "open"]);
  });

  it("goes on to no further step after Ctrl-C between two", async () => {
    const account = new Account();
    const { wrangler } = account;
    Object.assign(account, {
      wrangler: (args: readonly string[], worker?: string) => {
        if (worker === "objects " && args[0] === "deploy" && args[1] !== "--dry-run") account.interrupt.abort();
        return wrangler(args, worker);
      },
    });
    await expect(account.run({ drainMs: MINUTE })).rejects.toThrow(/interrupted/);
    expect(account.commands.slice(-2)).toEqual(["objects deploy", "open"]);
  });

  it("says what it left if sessions cannot be opened again, and how to", async () => {
    const left = /New sessions are refused until .* could not be opened again: npx sallyport drain --end tries it\./;
    const account = Object.assign(new Account(), { failingSwitch: ["end"] });
    await expect(account.run({ drainMs: MINUTE })).rejects.toThrow(left);
    expect(account.commands).toContain("deploy");
    const failed = Object.assign(new Account(), { failingSwitch: ["end"], failing: "deploy" });
    await expect(failed.run({ drainMs: MINUTE })).rejects.toThrow(/wrangler did not deploy/);
    expect(failed.output).toMatch(left);
  });

  /** Loses the answers to these calls, one after the other. @param isDone whether they did their work */
  function loseAnswers(account: Account, call: "begin" | "end" | "read" | "live", times: number, isDone: boolean) {
    const { [call]: real } = account.drain as Record<string, (...args: unknown[]) => Promise<unknown>>;
    let left = times;
    Object.assign(account.drain, {
      [call]: async (...args: unknown[]) => {
        if (left-- <= 0) return real?.(...args);
        if (isDone) await real?.(...args);
        throw new UnclearAnswer("the admin API does not answer: no answer within 15 s");
      },
    });
  }

  it("finds its own drain where the answer that it is on was lost, and opens again at the end", async () => {
    const account = new Account();
    loseAnswers(account, "begin", 1, true);
    await account.run({ drainMs: MINUTE });
    expect(account.commands).toEqual([...BUNDLED, "drain", "live?", "objects deploy", "deploy", "open"]);
    expect(account.drained).toEqual(OPEN);
  });

  it("finds that nothing is on where the request was lost, and deploys nothing", async () => {
    const account = new Account();
    loseAnswers(account, "begin", 1, false);
    await expect(account.run({ drainMs: MINUTE })).rejects.toThrow(
      /no answer within 15 s\. New sessions open\. Run it again$/,
    );
    expect(account.commands).toEqual(BUNDLED);
  });

  it("takes no other drain for its own where the answer was lost, and leaves it", async () => {
    const account = new Account();
    const theirs = { draining: true, by: "ada@acme.test", reason: "upgrade", until: "2026-11-26T23:00:00.000Z" };
    account.drain.begin = async () => {
      account.drained = theirs;
      throw new UnclearAnswer("the admin API does not answer");
    };
    await expect(account.run({ drainMs: MINUTE })).rejects.toThrow(/does not answer\. .*\(ada@acme\.test: upgrade\)/);
    expect([account.drained, account.commands]).toEqual([theirs, BUNDLED]);
  });

  it("says until when new sessions may be refused where nobody answers any more", async () => {
    const account = new Account();
    account.drain.begin = async () => {
      loseAnswers(account, "read", Number.POSITIVE_INFINITY, false);
      throw new UnclearAnswer("the admin API does not answer");
    };
    await expect(account.run({ drainMs: MINUTE })).rejects.toThrow(
      /They may be, until 1970-.*drain shows it, and with --end/,
    );
    expect(account.commands).toEqual(BUNDLED);
  });

  it("looks again at the end and while it waits, where an answer is lost", async () => {
    const account = new Account();
    account.live = [[session("alice@acme.test")], []];
    loseAnswers(account, "live", 2, false);
    loseAnswers(account, "end", 1, true);
    await account.run({ drainMs: MINUTE });
    expect(account.printed.at(-1)).toBe("New sessions open again.");
    expect(account.commands.filter((command) => command === "open")).toHaveLength(1);
    const other = new Account();
    loseAnswers(other, "end", 2, false);
    await other.run({ drainMs: MINUTE });
    expect(other.drained).toEqual(OPEN);
  });

  it("ends no drain that somebody else has begun while an answer was lost", async () => {
    const account = new Account();
    const theirs = { draining: true, by: "ada@acme.test", reason: "upgrade", until: "2026-11-26T23:00:00.000Z" };
    const { end } = account.drain;
    account.drain.end = async (reason) => {
      await end(reason);
      account.drained = theirs;
      throw new UnclearAnswer("the admin API does not answer");
    };
    await account.run({ drainMs: MINUTE });
    expect(account.drained).toEqual(theirs);
    expect(account.printed.at(-1)).toContain("so it stays");
  });

  it("leaves a drain as it is that somebody else has begun, or changed meanwhile", async () => {
    const theirs = {
      draining: true,
      by: "ada@acme.test",
      reason: "cluster upgrade",
      until: "2026-11-26T23:00:00.000Z",
    };
    const account = Object.assign(new Account(), { drained: theirs });
    await account.run({ drainMs: MINUTE });
    expect(account.commands).toEqual([...BUNDLED, "live?", "objects deploy", "deploy"]);
    expect(account.output).toContain("(ada@acme.test: cluster upgrade). That is not this command's, and stays.");
    const changed = new Account();
    changed.drain.live = async () => {
      changed.drained = theirs;
      return [];
    };
    await changed.run({ drainMs: MINUTE });
    expect(changed.drained).toEqual(theirs);
    expect(changed.printed.at(-1)).toMatch(/Somebody has changed that meanwhile, so it stays\.$/);
  });
});

describe("work that must not be stopped in the middle", () => {
  it("is told of the first Ctrl-C, and of nothing once it is over", async () => {
    const before = process.listenerCount("SIGINT");
    const wasAborted = await interruptible(async (signal) => {
      expect(signal.aborted).toBe(false);
      process.emit("SIGINT");
      // The second one ends the program as ever.
      expect(process.listenerCount("SIGINT")).toBe(before);
      return signal.aborted;
    });
    expect(wasAborted).toBe(true);
    await expect(interruptible(() => Promise.reject(new Error("failed")))).rejects.toThrow("failed");
    expect(process.listenerCount("SIGINT")).toBe(before);
    expect(process.listenerCount("SIGTERM")).toBe(0);
  });
});

describe("a host name that already leads elsewhere", () => {
  const elsewhere: readonly [what: string, state: Partial<Account>, by: string][] = [
    ["is another Worker's", { owner: "blog" }, "(the Worker blog)"],
    [
      "has a DNS record",
      { owner: undefined, records: [{ type: "CNAME", name: HOSTNAME, content: "lb.acme.test" }] },
      "(DNS: CNAME lb.acme.test)",
    ],
    [
      "resolves, as far as a token sees that may not read DNS",
      { owner: undefined, mayReadDns: false, resolves: ["192.0.2.7"] },
      "(DNS, where it resolves to 192.0.2.7)",
    ],
  ];

  it.each(elsewhere)("%s: it is refused before anything is changed", async (_what, state, by) => {
    const account = Object.assign(new Account(), state, { applied: [] });
    const refusal = await account.run().catch((error: unknown) => String(error));
    expect(refusal).toContain(`${HOSTNAME} ${by}`);
    expect(refusal).toContain("--take-over NAME");
    expect(refusal).not.toContain(API_TOKEN);
    expect(account.commands).toEqual(BUNDLED);
    await account.run({ takeOver: ["other.acme.test"] }).catch(() => {});
    expect(account.commands).toEqual([...BUNDLED, ...BUNDLED]);
  });

  it.each(elsewhere)("%s: it is taken over where it is named", async (_what, state) => {
    const account = Object.assign(new Account(), state);
    await account.run({ takeOver: [HOSTNAME] });
    expect(account.commands).toEqual([...BUNDLED, "objects deploy", "deploy"]);
  });

  it.each<[what: string, state: Partial<Account>]>([
    ["is free", { owner: undefined }],
    [
      "has only records that a custom domain leaves alone",
      { owner: undefined, records: [{ type: "TXT", name: HOSTNAME, content: "v=1" }] },
    ],
    ["does not resolve", { owner: undefined, mayReadDns: false, dnsStatus: 3 }],
  ])("is not one that %s", async (_what, state) => {
    const account = Object.assign(new Account(), state);
    await account.run();
    expect(account.commands).toEqual([...BUNDLED, "objects deploy", "deploy"]);
  });

  it.each<[what: string, state: Partial<Account>, message: RegExp]>([
    ["wrangler has no token", { hasToken: false }, /wrangler has no API token: set CLOUDFLARE_API_TOKEN/],
    ["DNS cannot be read", { owner: undefined, mayReadDns: false, dnsStatus: 2 }, /unknown whether .*DNS Read/],
  ])("cannot be ruled out where %s, so nothing is deployed", async (_what, state, message) => {
    const account = Object.assign(new Account(), state);
    await expect(account.run()).rejects.toThrow(message);
    expect(account.commands).toEqual(BUNDLED);
  });

  it("is one whose zone is not in the account", async () => {
    const account = Object.assign(new Account(), { owner: undefined });
    const plan = testPlan({ clusters: [{ ...CLUSTER, hostnames: ["prod.elsewhere.test"] }] });
    await expect(account.run({}, { plan })).rejects.toThrow(/no zone of the account has prod\.elsewhere\.test/);
  });
});

it("explains a refused binding of a VPC service", async () => {
  const account = new Account();
  account.failing = "objects deploy";
  account.failure = "credentials are not authorized for the requested VPC resource [code: 10196]";
  await expect(account.run()).rejects.toThrow(/add the permission Connectivity Directory Bind/);
});

describe("the objects' Worker", () => {
  const deployedWith = (tag: string | undefined) => Object.assign(new Account(), { objectsTag: tag });

  it("is not deployed if it has not changed", async () => {
    const account = deployedWith(formatVersionTag(OBJECTS_TAG));
    account.live = [[session("alice@acme.test")]];
    await account.run();
    expect(account.commands).toEqual([...BUNDLED, "deploy"]);
    expect(account.output).toContain(
      `Objects: sallyport-objects is unchanged (${formatVersionTag(OBJECTS_TAG)}). Only the edge is deployed, and no session ends.`,
    );
  });

  it("is deployed if it has changed, after the number of live sessions was printed", async () => {
    const account = new Account();
    account.live = [[session("alice@acme.test"), session("bob@acme.test")]];
    await account.run();
    expect(account.commands).toEqual([...BUNDLED, "objects deploy", "deploy"]);
    const lines = account.printed.map((line) => line.trim());
    expect(lines).toContain(
      `Objects: sallyport-objects is deployed, since its code or bindings have changed (${formatVersionTag(OLD_TAG)} runs, ${formatVersionTag(OBJECTS_TAG)} is new).`,
    );
    const said = lines.indexOf("2 live: they go on with the old code, and are cut after 8 h 1 min at the latest.");
    expect(said).toBeGreaterThan(0);
    expect(said).toBeLessThan(lines.indexOf("Deploying sallyport-objects ..."));
  });

  it.each([
    ["is new", { objectsTag: undefined }, /since it does not exist yet\./],
    ["was deployed by hand", { objectsTag: "v1.2.3" }, /since its version was not deployed by this command\./],
    ["runs in several versions", { isSplit: true }, /since several versions share its traffic\./],
  ])("is deployed if it %s", async (_what, state, message) => {
    const account = Object.assign(new Account(), state);
    await account.run();
    expect(account.commands).toEqual([...BUNDLED, "objects deploy", "deploy"]);
    expect(account.output).toMatch(message);
  });

  it("is deployed unchanged with --with-objects, and cuts sessions at once with --end-sessions", async () => {
    const account = deployedWith(formatVersionTag(OBJECTS_TAG));
    account.live = [[session("alice@acme.test")]];
    await account.run({ withObjects: true, endSessions: true });
    expect(account.commands).toEqual([...BUNDLED, "objects deploy", "deploy"]);
    expect(account.output).toContain("1 live: they are cut at once.");
    expect(account.flags).toEqual([
      `--tag ${formatVersionTag(OBJECTS_TAG)} --durable-objects-code-update-mode immediate`,
      `--tag ${formatVersionTag(EDGE_TAG)}`,
    ]);
  });

  it("is deployed unchanged where a secret of its own is set, which no argument shows and no file keeps", async () => {
    const account = deployedWith(formatVersionTag(OBJECTS_TAG));
    account.live = [[session("alice@acme.test")]];
    await account.run({ objectsSecrets: { SALLYPORT_WEBHOOKS: '{"destinations":[]}' } });
    expect(account.commands).toEqual([...BUNDLED, "objects deploy", "deploy"]);
    expect(account.output).toMatch(/it is unchanged, but SALLYPORT_WEBHOOKS is set, which makes a new version\./);
    expect(account.output).toMatch(/1 live: they go on with the old code/);
    const [objects, edge] = account.flags;
    const [, file = ""] = / --secrets-file (\S+)$/.exec(objects ?? "") ?? [];
    expect(account.secrets).toEqual(['{"SALLYPORT_WEBHOOKS":"{\\"destinations\\":[]}"}']);
    expect(existsSync(file)).toBe(false);
    expect(edge).not.toContain("secrets");
    expect(account.output + account.flags.join()).not.toContain("destinations");
  });

  it("says in a dry run that a secret would be set, and which", async () => {
    const account = new Account();
    const against = { edge: EDGE_TAG, objects: OBJECTS_TAG };
    await account.run({ dryRun: true, against, objectsSecrets: { SALLYPORT_WEBHOOKS: '{"destinations":[]}' } });
    expect(account.output).toContain("deploy the objects, sallyport-objects, with the secret SALLYPORT_WEBHOOKS:");
    expect(account.output).not.toContain("destinations");
    expect(account.secretFiles).toEqual([]);
  });

  it("leaves no secret behind where wrangler fails", async () => {
    const account = Object.assign(new Account(), { failing: "objects deploy" });
    await expect(account.run({ objectsSecrets: { SALLYPORT_WEBHOOKS: "{}" } })).rejects.toThrow("did not deploy");
    expect(account.secretFiles).toHaveLength(1);
    expect(account.secretFiles.filter((file) => existsSync(file))).toEqual([]);
  });

  it("warns if the contract between the Workers changes", async () => {
    const account = deployedWith(formatVersionTag({ ...OLD_TAG, contract: CONTRACT_VERSION + 1 }));
    await account.run();
    expect(account.output).toContain(
      `The contract between the Workers changes from ${CONTRACT_VERSION + 1} to ${CONTRACT_VERSION}`,
    );
  });

  it("is compared with a file in a dry run", async () => {
    const account = new Account();
    await account.run({ dryRun: true, against: { edge: OLD_TAG, objects: OBJECTS_TAG } });
    expect(account.commands).toEqual(BUNDLED);
    expect(account.output).toContain("sallyport-objects is unchanged");
    expect(account.output).not.toContain("deploy the objects");
    expect(account.saved).toEqual({ edge: EDGE_TAG, objects: OBJECTS_TAG });
    await account.run({ dryRun: true, against: { edge: EDGE_TAG, objects: OLD_TAG } });
    expect(account.output).toContain("deploy the objects, sallyport-objects");
  });

  it("has both Workers' tags saved after a deploy", async () => {
    const account = new Account();
    await account.run();
    expect(account.saved).toEqual({ edge: EDGE_TAG, objects: OBJECTS_TAG });
  });
});

describe("a file of deployed versions", () => {
  const folder = mkdtempSync(join(tmpdir(), "sallyport-deployed-"));
  afterAll(() => rmSync(folder, { recursive: true, force: true }));
  const file = join(folder, "deployed.json");
  const plan = testPlan();
  const record = JSON.parse(formatDeployed(plan, { edge: EDGE_TAG, objects: OLD_TAG })) as object;

  it("is read as it was written", () => {
    writeFileSync(file, JSON.stringify(record));
    expect(readDeployed(file, plan)).toEqual({ edge: EDGE_TAG, objects: OLD_TAG });
  });

  it.each([
    ["no JSON", "{", /is not JSON: --against names a file that a deploy/],
    ["another format", { ...record, format: "sallyport-deployed-2" }, /format/],
    ["a field too many", { ...record, more: 1 }, /more/],
    ["a Worker missing", { ...record, objects: undefined }, /objects/],
    ["a tag of another form", { ...record, edge: { worker: "sallyport", tag: "v1" } }, /not a version's tag/],
    ["another account", { ...record, account: "f".repeat(32) }, /not about sallyport in/],
    [
      "another deployment",
      { ...record, edge: { worker: "other", tag: "c1-0123456789abcdef" } },
      /about other in account/,
    ],
  ])("is refused with %s", (_what, content, message) => {
    writeFileSync(file, typeof content === "string" ? content : JSON.stringify(content));
    expect(() => readDeployed(file, plan)).toThrow(OperatorError);
    expect(() => readDeployed(file, plan)).toThrow(message);
  });

  it("is refused if it is missing", () => {
    expect(() => readDeployed(join(folder, "none.json"), plan)).toThrow(/cannot be read: --against names/);
  });
});

describe("a Worker's fingerprint", () => {
  const configuration = {
    main: "../../durable/index.ts",
    compatibility_date: "2026-01-01",
    vars: { A: 1 },
    durable_objects: { bindings: [], code_update_strategy: { mode: "deferred", max_delay: 60 } },
    d1_databases: [{ binding: "AUDIT_DB", database_id: "an-id", migrations_dir: "../../migrations" }],
  };
  const code = "// ../../durable/index.ts\nvar a = `\n// not a path\n`;\n//# sourceMappingURL=index.js.map\n";
  const of = (content: string, other: object = {}) =>
    fingerprint([{ name: "index.js", content }], { ...configuration, ...other });
  const usual = of(code);

  it("does not depend on folders, source maps, the document, or how an update is carried out", () => {
    expect(usual).toMatch(/^[0-9a-f]{16}$/);
    expect(of(code.replace("../../durable", "../elsewhere/durable"))).toBe(usual);
    expect(of(code.replace("index.js.map", "other.js.map"))).toBe(usual);
    expect(of(code, { main: "durable/index.ts", vars: { A: 2 } })).toBe(usual);
    expect(of(code, { d1_databases: [{ ...configuration.d1_databases[0], migrations_dir: "m" }] })).toBe(usual);
    expect(of(code, { durable_objects: { bindings: [], code_update_strategy: { mode: "immediate" } } })).toBe(usual);
    const { main, ...rest } = configuration;
    expect(fingerprint([{ name: "index.js", content: code }], { ...rest, main })).toBe(usual);
  });

  it("depends on code and bindings", () => {
    expect(of(code.replace("var a", "var b"))).not.toBe(usual);
    expect(of(code.replace("not a path", "not a  path"))).not.toBe(usual);
    expect(of(code, { compatibility_date: "2026-01-02" })).not.toBe(usual);
    expect(of(code, { vpc_services: [{ binding: "KUBE_API_NEW", service_id: "x" }] })).not.toBe(usual);
    expect(of(code, { d1_databases: [{ ...configuration.d1_databases[0], database_id: "b" }] })).not.toBe(usual);
    expect(fingerprint([{ name: "index2.js", content: code }], configuration)).not.toBe(usual);
  });
});

describe("the smoke check", () => {
  it.each<[string, Partial<Account>, RegExp]>([
    ["Access is not in front", { isAccessInFront: false }, /it is not Access that answers a stranger/],
    ["another application is in front", { audience: ADMIN_AUDIENCE }, /another Access application/],
    ["an old version answers for too long", { answeringVersion: "old" }, /version old answers, not 6d2a7b3e/],
    [
      "Access does not know the service token",
      { isTokenKnown: false },
      /answered by 302: the service token is not let in/,
    ],
  ])("fails if %s", async (_what, fault, message) => {
    const account = Object.assign(new Account(), fault);
    await expect(account.run()).rejects.toThrow(/the smoke check failed/);
    expect(account.output).toMatch(message);
    expect(account.output).not.toContain(TOKEN.secret);
    // It was given time: a new version is not everywhere at once.
    expect(account.now).toBeGreaterThanOrEqual(120_000);
  });

  it("waits for a new version and a new domain", async () => {
    const account = new Account();
    account.answeringVersion = "old";
    const { http } = account;
    let asked = 0;
    const late = async (request: HttpRequest) => {
      if (!request.url.startsWith(`https://${HOSTNAME}/`)) return http(request);
      if (++asked === 1) throw new HttpFailure(`${HOSTNAME} does not answer: ENOTFOUND`);
      if (asked > 5) account.answeringVersion = VERSION;
      return http(request);
    };
    Object.assign(account, { http: late });
    await account.run();
    expect(account.output).toContain("answers behind it");
  });

  it("checks only from outside without a service token, and not at all with --skip-smoke", async () => {
    const account = new Account();
    await account.run({}, { serviceToken: undefined });
    expect(account.output).toContain("Access answers a stranger (to see the Worker");
    const other = Object.assign(new Account(), { isAccessInFront: false });
    await other.run({ skipSmoke: true });
    expect(other.output).toContain("Smoke check: skipped.");
  });
});

describe("waiting for sessions to end", () => {
  it("ends when the time is over, returns the live sessions, and prints each of them once", async () => {
    let now = 0;
    const lines: string[] = [];
    const left = await waitForSessions(60_000, {
      live: async () => [session("alice@acme.test")],
      now: () => now,
      wait: async (ms) => {
        now += ms;
      },
      print: (line) => void lines.push(line),
    });
    expect(now).toBe(60_000);
    expect(left).toHaveLength(1);
    expect(lines).toHaveLength(2);
  });
});
