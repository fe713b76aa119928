import { describe, expect, it } from "vitest";
import { type DeployInput, type DeployOptions, deploy } from "../../tools/deploy/deploy.ts";
import { drain, type LiveSession } from "../../tools/deploy/drain.ts";
import { OperatorError } from "../../tools/deployment/operator-error.ts";
import { type HttpAnswer, HttpFailure, type HttpRequest } from "../../tools/ports/http.ts";
import type { Finished } from "../../tools/ports/wrangler.ts";
import { ADMIN_AUDIENCE, AUDIENCE, HOSTNAME, TEAM_DOMAIN, testPlan } from "../support/planned.ts";

const FILES = ["0000_audit_log.sql", "0001_append_only.sql"];
const VERSION = "6d2a7b3e-1111-4222-8333-944455566677";
const TOKEN = { id: "ci.access", secret: "a-secret-that-nobody-may-see" };

const session = (user: string): LiveSession => ({
  ...{ id: `id-${user}`, user, cluster: "prod", kind: "exec", namespace: "shop", pod: "web-0", started_at: -600_000 },
});

/** An account as far as a deploy sees it: D1's tables, the Worker's version, what stands in front. */
class Account {
  readonly commands: string[] = [];
  readonly printed: string[] = [];
  applied: string[] | undefined = [...FILES];
  live: LiveSession[][] = [[]];
  failing: string | undefined;
  answeringVersion = VERSION;
  isAccessInFront = true;
  audience = AUDIENCE;
  isTokenKnown = true;
  now = 0;

  readonly wrangler = async (args: readonly string[], worker = ""): Promise<Finished> => {
    const [command, sub] = args;
    const name = command === "d1" ? `d1 ${sub}` : worker + args.slice(0, 2).join(" ");
    const sql = args[args.indexOf("--command") + 1] ?? "";
    if (command !== "d1" || sub !== "execute") this.commands.push(name);
    const result = (stdout: string, records: Finished["records"] = []) => ({ code: 0, stdout, stderr: "", records });
    if (this.failing === name) return { code: 1, stdout: "", stderr: "wrangler's own words", records: [] };
    const rows = (results: object[]) => result(`noise\n${JSON.stringify([{ results, success: true }])}`);
    if (name === "d1 execute") {
      if (sql.includes("sqlite_master")) return rows(this.applied ? [{ name: "d1_migrations" }] : []);
      if (sql.includes("d1_migrations")) return rows((this.applied ?? []).map((each) => ({ name: each })));
      this.commands.push("live?");
      return rows((this.live.length > 1 ? this.live.shift() : this.live[0]) ?? []);
    }
    if (name === "d1 migrations") this.applied = [...new Set([...(this.applied ?? []), ...FILES])];
    return result("Total Upload: 600 KiB", name === "deploy" ? [{ type: "deploy", version_id: VERSION }] : []);
  };

  readonly http = async ({ url, headers = {} }: HttpRequest): Promise<HttpAnswer> => {
    if (!this.isAccessInFront) return this.#health();
    if (headers["cf-access-client-secret"] === TOKEN.secret && this.isTokenKnown) return this.#health();
    const location = `${TEAM_DOMAIN}/cdn-cgi/access/login/${new URL(url).hostname}?kid=${this.audience}&redirect_url=%2F`;
    return { status: 302, headers: { location }, body: "" };
  };

  #health(): HttpAnswer {
    return { status: 200, headers: {}, body: JSON.stringify({ status: "ok", version: this.answeringVersion }) };
  }

  run(options: Partial<DeployOptions> = {}, input: Partial<DeployInput> = {}): Promise<void> {
    const usual = {
      plan: testPlan(),
      placeholders: [],
      configurations: ["out/wrangler.json", "out/wrangler-objects.json"],
      databaseBinding: "AUDIT_DB",
    };
    return deploy(
      { ...usual, migrations: FILES, serviceToken: TOKEN, ...input },
      { dryRun: false, skipSmoke: false, rollback: false, drainMs: undefined, ...options },
      {
        edge: (args) => this.wrangler(args),
        objects: (args) => this.wrangler(args, "objects "),
        http: this.http,
        now: () => this.now,
        wait: async (ms) => {
          this.now += ms;
        },
        print: (line) => void this.printed.push(line),
      },
    );
  }

  get output(): string {
    return this.printed.join("\n");
  }
}

describe("npm run deploy", () => {
  it("bundles, migrates, deploys and looks, in this order", async () => {
    const account = new Account();
    account.applied = undefined;
    await account.run();
    expect(account.commands).toEqual([
      "deploy --dry-run",
      "objects deploy --dry-run",
      "d1 migrations",
      "objects deploy",
      "deploy",
    ]);
    expect(account.output).toContain(`D1: applying ${FILES.join(", ")} ...`);
    expect(account.output).toContain(`✓ ${HOSTNAME}: Access answers a stranger, version ${VERSION} answers behind it`);
    expect(account.output).not.toContain(TOKEN.secret);
  });

  it("applies nothing where nothing is pending", async () => {
    const account = new Account();
    await account.run();
    expect(account.commands).toEqual(["deploy --dry-run", "objects deploy --dry-run", "objects deploy", "deploy"]);
  });

  it("with --dry-run only bundles, and lists the steps, placeholders first", async () => {
    const account = new Account();
    await account.run({ dryRun: true }, { placeholders: ["account is not one of yours yet"] });
    expect(account.commands).toEqual(["deploy --dry-run", "objects deploy --dry-run"]);
    expect(account.output).toContain("1. fill in: account is not one of yours yet");
    expect(account.output).toMatch(
      /2\. apply those .*\n {2}3\. deploy the Workers sallyport-objects and sallyport .*\n {2}4\. check prod/,
    );
  });

  it("deploys nothing with a placeholder", async () => {
    const account = new Account();
    await expect(account.run({}, { placeholders: ["account is not one of yours yet"] })).rejects.toThrow(OperatorError);
    expect(account.commands).toEqual([]);
  });

  it("refuses to go over a database that a newer checkout has migrated, unless told to, and then leaves it alone", async () => {
    const account = new Account();
    account.applied = [...FILES, "0002_from_the_future.sql"];
    await expect(account.run()).rejects.toThrow(/does not know: 0002_from_the_future\.sql.*\n.*--rollback/);
    const bundled = ["deploy --dry-run", "objects deploy --dry-run"];
    expect(account.commands).toEqual(bundled);
    await account.run({ rollback: true });
    expect(account.commands.slice(2)).toEqual([...bundled, "objects deploy", "deploy"]);
    expect(account.output).toContain("0002_from_the_future.sql. They stay.");
  });

  it.each([
    ["deploy --dry-run", /could not bundle the edge/, []],
    ["objects deploy --dry-run", /could not bundle the objects' Worker/, []],
    ["d1 migrations", /a migration failed.*Nothing was deployed/s, []],
    ["d1 execute", /D1 did not answer/, []],
    ["objects deploy", /wrangler did not deploy the objects' Worker/, ["d1 migrations"]],
    ["deploy", /wrangler did not deploy the edge/, ["d1 migrations", "objects deploy"]],
  ])("stops where %s fails, with wrangler's words", async (failing, words, before) => {
    const account = new Account();
    account.applied = [];
    account.failing = failing;
    const failure = await account.run().catch((error: unknown) => error);
    expect(failure).toBeInstanceOf(OperatorError);
    expect(String(failure)).toMatch(words);
    expect(String(failure)).toContain("wrangler's own words");
    const done = account.commands.filter((command) => command !== failing && !command.endsWith("--dry-run"));
    expect(done).toEqual(before);
  });

  it("waits for live sessions before the Worker is replaced, after the migrations", async () => {
    const account = new Account();
    account.applied = [];
    account.live = [[session("alice@acme.test"), session("bob@acme.test")], [session("bob@acme.test")], []];
    await account.run({ drainMs: 60_000 });
    expect(account.commands).toEqual([
      ...["deploy --dry-run", "objects deploy --dry-run", "d1 migrations"],
      ...["live?", "live?", "live?", "objects deploy", "deploy"],
    ]);
    expect(account.output).toContain("alice@acme.test: exec in shop/web-0 on prod, for 10 min");
    expect(account.output).toContain("No session is live.");
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
  ])("fails where %s", async (_what, fault, words) => {
    const account = Object.assign(new Account(), fault);
    await expect(account.run()).rejects.toThrow(/the smoke check failed/);
    expect(account.output).toMatch(words);
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
      if (++asked === 1) throw new HttpFailure(`${HOSTNAME} does not answer: ENOTFOUND`);
      if (asked > 5) account.answeringVersion = VERSION;
      return http(request);
    };
    Object.assign(account, { http: late });
    await account.run();
    expect(account.output).toContain("answers behind it");
  });

  it("looks from outside only where there is no service token, and not at all where told", async () => {
    const account = new Account();
    await account.run({}, { serviceToken: undefined });
    expect(account.output).toContain("Access answers a stranger (to see the Worker");
    const other = Object.assign(new Account(), { isAccessInFront: false });
    await other.run({ skipSmoke: true });
    expect(other.output).toContain("Smoke check: skipped.");
  });
});

describe("waiting for sessions to end", () => {
  it("goes on when the time is over, with those who will be cut, and says each of them once", async () => {
    let now = 0;
    const lines: string[] = [];
    const left = await drain(60_000, {
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
