import { resolve } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { afterEach, describe, expect, it } from "vitest";
import { readMigrations } from "../../dev/stack/migrations.ts";
import { type Check, runChecks, select } from "../../tools/doctor/check.ts";
import { deployedChecks } from "../../tools/doctor/deployed.ts";
import { describeResult, describeSummary, hasFailures } from "../../tools/doctor/report.ts";
import { isAtLeast } from "../../tools/doctor/version.ts";
import { cloudflareApi, DEFAULT_API } from "../../tools/ports/cloudflare.ts";
import { type HttpAnswer, HttpFailure, type HttpRequest } from "../../tools/ports/http.ts";
import {
  type AccessState,
  type AccountState,
  API_TOKEN,
  answerApi,
  goodAccount,
  passAccess,
} from "../support/cloudflare-fake.ts";
import { type ClusterState, fakeKubectl, goodCluster } from "../support/kubectl-fake.ts";
import { ADMIN_AUDIENCE, AUDIENCE, HOSTNAME, TEAM_DOMAIN, testPlan } from "../support/planned.ts";

const MIGRATIONS = readMigrations(resolve(import.meta.dirname, "../../migrations"));
const TOKEN = { id: "ci.access", secret: "a-secret-that-nobody-may-see" };
const NOW = Date.parse("2026-11-22T10:00:00.400Z");

/** Everything that a doctor sees of one deployment, all of it good until somebody spoils it. */
class World {
  readonly plan = testPlan();
  readonly database = new DatabaseSync(":memory:");
  readonly account: AccountState;
  readonly cluster: ClusterState;
  access: AccessState = {
    applications: [
      { path: "/", audience: AUDIENCE, tokens: [TOKEN] },
      { path: "/-/admin", audience: ADMIN_AUDIENCE, tokens: [] },
    ],
    bypassed: [],
    sharesCookies: false,
  };
  env: Record<string, string | undefined> = {};
  serviceToken: typeof TOKEN | undefined = TOKEN;
  hasApi = true;
  now = NOW;
  /** Of Cloudflare's clock. */
  ahead = 0;
  keys: readonly object[] = [{ kid: "one" }, { kid: "two" }];
  answers: { whoami: number; version: number } = { whoami: 200, version: 200 };
  recordsRequests = true;
  refusesAdmin = true;
  /** Whatever was asked for, by URL. */
  readonly asked: HttpRequest[] = [];

  constructor() {
    this.database.exec("CREATE TABLE d1_migrations (id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT UNIQUE)");
    for (const { name, statements } of MIGRATIONS) {
      for (const statement of statements) this.database.exec(statement);
      this.database.prepare("INSERT INTO d1_migrations (name) VALUES (?)").run(name);
    }
    this.account = goodAccount(this.plan, (sql) => this.database.prepare(sql).all());
    this.cluster = goodCluster(this.plan);
  }

  openSession(id: string, startedAt: number): void {
    const data = JSON.stringify({ user: "alice@acme.test", kind: "exec" });
    this.database
      .prepare(
        "INSERT INTO events (session_id, seq, at, type, data, prev_hash, hash) VALUES (?, 0, ?, 'start', ?, '', '')",
      )
      .run(id, startedAt, data);
  }

  readonly http = async (request: HttpRequest): Promise<HttpAnswer> => {
    this.asked.push(request);
    const api = answerApi(request, this.account, this.plan, DEFAULT_API);
    if (api) return api;
    const url = new URL(request.url);
    if (url.origin === TEAM_DOMAIN) {
      const date = new Date(this.now + this.ahead).toUTCString();
      return { status: 200, headers: { date }, body: JSON.stringify({ keys: this.keys }) };
    }
    if (url.hostname !== HOSTNAME) throw new HttpFailure(`${url.host} does not answer: ENOTFOUND`);
    const passage = passAccess(request, this.access, TEAM_DOMAIN);
    if (!passage.passes) return passage.answer;
    const cookie: Record<string, string> =
      passage.cookie === undefined ? {} : { "set-cookie": `${passage.cookie}; Secure` };
    return this.#worker(request, url, cookie);
  };

  #worker(request: HttpRequest, url: URL, headers: Record<string, string>): HttpAnswer {
    const { whoami, version } = this.answers;
    const say = (status: number, body: object) => ({ status, headers, body: JSON.stringify(body) });
    const status = (code: number) => say(code, { kind: "Status", message: "the Worker's own words" });
    if (url.pathname === "/-/healthz") return say(200, { status: "ok" });
    if (url.pathname === "/-/whoami") {
      return whoami === 200 ? say(200, { kubernetes: { user: "ci-deployer" }, cluster: "prod" }) : status(whoami);
    }
    if (url.pathname.startsWith("/-/admin")) return this.refusesAdmin ? status(403) : say(200, { items: [] });
    if (url.pathname === "/version") return version === 200 ? say(200, { gitVersion: "v1.36.2" }) : status(version);
    if (request.method === "POST" && this.recordsRequests) {
      this.database
        .prepare("INSERT INTO requests (id, at, category, count, user_agent) VALUES (?, ?, 'token', 1, ?)")
        .run(`${new Date(this.now).toISOString()}-x`, this.now, request.headers?.["user-agent"] ?? null);
    }
    return status(403);
  }

  checks(): Check[] {
    const cloudflare = this.hasApi
      ? cloudflareApi(this.http, { account: this.plan.account, token: API_TOKEN })
      : undefined;
    return deployedChecks(
      { plan: this.plan, migrations: MIGRATIONS, cloudflare, env: this.env },
      {
        http: this.http,
        kubectl: fakeKubectl(this.plan, this.cluster, () => this.now),
        now: () => this.now,
        wait: async (ms) => {
          this.now += ms;
        },
        nonce: () => "0badcafe",
        serviceToken: this.serviceToken,
      },
    );
  }

  async examine(only: readonly string[] = []) {
    const results = await runChecks(select(this.checks(), only));
    const unwell = results.filter(({ status }) => status !== "ok").map(({ id, status }) => `${status} ${id}`);
    return { results, unwell };
  }
}

let world = new World();
afterEach(() => {
  world = new World();
});

const first = <T>(list: T[]): T => {
  const [one] = list;
  if (one === undefined) throw new Error("the list is empty");
  return one;
};
const pod = () => world.cluster.deployment.spec.template.spec;
const vars = () => first(world.account.bindings) as { json: Record<string, unknown> };
function shareCookies(): void {
  world.access.sharesCookies = true;
  world.refusesAdmin = false;
}
function admitToken(): void {
  world.access.applications[1] = { path: "/-/admin", audience: ADMIN_AUDIENCE, tokens: [TOKEN] };
  world.refusesAdmin = false;
}
const ANY_USER = { apiGroups: [""], resources: ["users"], verbs: ["impersonate"] };
const ANY_GROUP = { apiGroups: [""], resources: ["groups"], verbs: ["impersonate"] };

describe("a good deployment", () => {
  it("is found well in every point", async () => {
    const { results, unwell } = await world.examine();
    expect(unwell).toEqual([]);
    const ids = results.map(({ id }) => id.replace(/:.*$/, ""));
    expect(ids).toEqual([...new Set(ids)]);
    expect(ids.length).toBe(27);
    expect(hasFailures(results)).toBe(false);
  });

  it("has its secrets sent to nobody but those they are for, and shown nowhere", async () => {
    const { results } = await world.examine();
    expect(JSON.stringify(results)).not.toMatch(/nobody-may-see|CF_Authorization/);
    for (const { url, headers } of world.asked) {
      const sent = JSON.stringify(headers ?? {});
      expect(sent.includes(TOKEN.secret) && !url.startsWith(`https://${HOSTNAME}/`), url).toBe(false);
      expect(sent.includes(API_TOKEN) && !url.startsWith(`${DEFAULT_API}/`), url).toBe(false);
    }
  });
});

describe("each single fault is found by its own check and by no other", () => {
  it.each<[string, () => void, string]>([
    ["kubectl is 1.30", () => (world.cluster.clientVersion = "v1.30.4"), "fail kubectl-version"],
    [
      "kubectl is told to speak SPDY",
      () => (world.env["KUBECTL_REMOTE_COMMAND_WEBSOCKETS"] = "false"),
      "fail kubectl-version",
    ],
    ["this machine's clock is slow", () => (world.ahead = 9_000), "fail clocks"],
    ["this machine's clock is fast", () => (world.ahead = -9_000), "fail clocks"],
    ["the cluster's clock is wrong", () => (world.cluster.clockAhead = -30_000), "fail clocks"],
    ["health is left open past Access", () => world.access.bypassed.push("/-/healthz"), `fail access:${HOSTNAME}`],
    ["the API is left open past Access", () => world.access.bypassed.push("/api"), `fail access:${HOSTNAME}`],
    [
      "another application stands in front",
      () => (first(world.access.applications).audience = "0".repeat(64)),
      `fail access:${HOSTNAME}`,
    ],
    [
      "the admin API has no application of its own",
      () => world.access.applications.pop(),
      `fail access-admin:${HOSTNAME}`,
    ],
    ["the admin API is left open", () => world.access.bypassed.push("/-/admin"), `fail access-admin:${HOSTNAME}`],
    ["the plain sign-in opens the admin API", shareCookies, `fail access-admin:${HOSTNAME}`],
    ["the service token may use the admin API", admitToken, `warn access-admin:${HOSTNAME}`],
    ["the team's domain gives no keys", () => (world.keys = []), "fail signing-keys"],
    ["workers.dev is on", () => (world.account.subdomain.enabled = true), "fail workers-dev"],
    ["preview URLs are on", () => (world.account.subdomain.previews_enabled = true), "fail workers-dev"],
    ["the deployed rules are others", () => (vars().json = { ...vars().json, identities: [] }), "fail worker-config"],
    ["a deployed limit is not derived", () => (vars().json = { ...vars().json, limits: {} }), "fail worker-config"],
    ["the Worker has no configuration", () => world.account.bindings.shift(), "fail worker-config"],
    [
      "the Worker writes to another database",
      () => (first(world.account.bindings.slice(1))["id"] = "x"),
      "fail worker-config",
    ],
    [
      "the Worker's binding leads elsewhere",
      () => (first(world.account.bindings.slice(4))["service_id"] = "x"),
      "fail worker-config",
    ],
    ["the host name is nobody's", () => (world.account.domains = []), `fail custom-domain:${HOSTNAME}`],
    [
      "the host name is another Worker's",
      () => (first(world.account.domains).service = "blog"),
      `fail custom-domain:${HOSTNAME}`,
    ],
    ["the tunnel is down", () => (world.account.tunnel.status = "down"), "fail tunnel:prod"],
    ["the tunnel is deleted", () => (world.account.tunnel.deleted_at = "2026-11-01T00:00:00Z"), "fail tunnel:prod"],
    ["a connector is missing", () => world.account.connectors.pop(), "fail tunnel:prod"],
    ["a connector has no connection", () => (first(world.account.connectors).conns = []), "fail tunnel:prod"],
    ["the tunnel is degraded", () => (world.account.tunnel.status = "degraded"), "warn tunnel:prod"],
    [
      "cloudflared is too old for Workers VPC",
      () => (first(world.account.connectors).version = "2026.8.1"),
      "fail cloudflared-version:prod",
    ],
    [
      "cloudflared is out of support",
      () => (world.now = Date.parse("2027-12-01T00:00:00Z")),
      "warn cloudflared-version:prod",
    ],
    [
      "the VPC service leads into another tunnel",
      () => (world.account.vpcService.host = { network: { tunnel_id: "x" } }),
      "fail vpc-service:prod",
    ],
    [
      "the VPC service points to another port",
      () => (world.account.vpcService.http_port = 6443),
      "fail vpc-service:prod",
    ],
    ["a replica is not ready", () => (world.cluster.deployment.status.readyReplicas = 2), "fail connector:prod"],
    ["no replica is ready", () => void delete world.cluster.deployment.status.readyReplicas, "fail connector:prod"],
    ["the connector runs as another account", () => (pod().serviceAccountName = "default"), "fail connector:prod"],
    ["a rollout is under way", () => (world.cluster.deployment.status.observedGeneration = 2), "warn connector:prod"],
    ["cloudflared may fall back to HTTP/2", () => (first(pod().containers).args = ["tunnel", "run"]), "fail quic:prod"],
    [
      "the sidecar hears the pod network",
      () => (first(pod().initContainers).args[1] = "--address=0.0.0.0"),
      "fail sidecar:prod",
    ],
    ["the sidecar logs bodies", () => first(pod().initContainers).args.push("--v=10"), "fail sidecar:prod"],
    ["an image is :latest", () => (first(pod().initContainers).image = "bitnami/kubectl:latest"), "fail images:prod"],
    [
      "an image has no tag",
      () => (first(pod().containers).image = "registry:5000/cloudflare/cloudflared"),
      "fail images:prod",
    ],
    ["there is no disruption budget", () => (world.cluster.budgets = []), "fail disruption-budget:prod"],
    [
      "the disruption budget is for other pods",
      () => (first(world.cluster.budgets).spec.selector.matchLabels = { app: "web" }),
      "fail disruption-budget:prod",
    ],
    ["another binding gives every group", () => world.cluster.otherRules.push(ANY_GROUP), "fail impersonation:prod"],
    [
      "another binding gives system:masters by name",
      () => world.cluster.otherRules.push({ ...ANY_GROUP, resourceNames: ["system:masters"] }),
      "fail impersonation:prod",
    ],
    ["another binding gives every user", () => world.cluster.otherRules.push(ANY_USER), "fail impersonation:prod"],
    [
      "another binding lets it read secrets",
      () => world.cluster.otherRules.push({ apiGroups: [""], resources: ["secrets"], verbs: ["get"] }),
      "fail impersonation:prod",
    ],
    [
      "another binding makes it cluster-admin",
      () => world.cluster.otherRules.push({ apiGroups: ["*"], resources: ["*"], verbs: ["*"] }),
      "fail impersonation:prod",
    ],
    [
      "the role has a rule more, even one that allows nothing new",
      () => world.cluster.role.push({ ...ANY_GROUP, resourceNames: ["developers"] }),
      "fail cluster-role:prod",
    ],
    ["the API server is 1.29", () => (world.cluster.serverVersion = "v1.29.9-eks-1"), "fail server-version:prod"],
    ["the API server is 1.30", () => (world.cluster.serverVersion = "v1.30.1"), "warn server-version:prod"],
    [
      "a migration is missing",
      () => world.database.exec("DELETE FROM d1_migrations WHERE id = 2"),
      "fail d1-migrations",
    ],
    [
      "the database is newer than this checkout",
      () => world.database.exec("INSERT INTO d1_migrations (name) VALUES ('0009_later.sql')"),
      "warn d1-migrations",
    ],
    ["a trigger is gone", () => world.database.exec("DROP TRIGGER events_are_never_deleted"), "fail d1-append-only"],
    [
      "a trigger does nothing any more",
      () =>
        world.database.exec(
          "DROP TRIGGER events_are_never_updated; CREATE TRIGGER events_are_never_updated BEFORE UPDATE ON events BEGIN SELECT 1; END",
        ),
      "fail d1-append-only",
    ],
    ["a session never ended", () => world.openSession("forgotten", NOW - 86_400_000), "fail sessions"],
    ["recordings have no lock", () => (world.account.lockRules = []), "fail r2-lock"],
    ["the lock is off", () => (first(world.account.lockRules)["enabled"] = false), "fail r2-lock"],
    ["the lock is on another prefix", () => (first(world.account.lockRules)["prefix"] = "exports/"), "fail r2-lock"],
    [
      "the lock is too short",
      () => (first(world.account.lockRules)["condition"] = { type: "Age", maxAgeSeconds: 86_400 }),
      "fail r2-lock",
    ],
    [
      "unfinished uploads are given up after a day",
      () =>
        world.account.lifecycleRules.push({
          ...{ id: "tidy", enabled: true, conditions: { prefix: "recordings/" } },
          abortMultipartUploadsTransition: { condition: { type: "Age", maxAge: 86_400 } },
        }),
      "fail r2-multipart",
    ],
    ["unfinished uploads stay for ever", () => (world.account.lifecycleRules = []), "warn r2-multipart"],
    ["the Worker knows no rule for the token", () => (world.answers.whoami = 403), `fail whoami:${HOSTNAME}`],
    ["the tunnel leads nowhere", () => (world.answers.version = 503), `fail through:${HOSTNAME}`],
    ["requests do not come to the record", () => (world.recordsRequests = false), `fail audit-trail:${HOSTNAME}`],
  ])("%s", async (_fault, spoil, finding) => {
    spoil();
    const { results, unwell } = await world.examine();
    expect(unwell).toEqual([finding]);
    const found = results.find(({ status }) => status !== "ok");
    expect(found?.advice).toBeTruthy();
    expect(hasFailures(results)).toBe(finding.startsWith("fail"));
  });
});

describe("what cannot be looked at", () => {
  it("is skipped with the reason where there is no API token, and all else is looked at", async () => {
    world.hasApi = false;
    const { results, unwell } = await world.examine();
    expect(unwell.every((line) => line.startsWith("skipped"))).toBe(true);
    expect(unwell).toHaveLength(12);
    expect(results.find(({ id }) => id === "workers-dev")?.words).toContain("CLOUDFLARE_API_TOKEN");
  });

  it("is skipped without a service token, too", async () => {
    world.serviceToken = undefined;
    const { unwell } = await world.examine();
    expect(unwell).toEqual(["whoami", "through", "audit-trail"].map((id) => `skipped ${id}:${HOSTNAME}`));
  });

  it("is skipped where the token may not read it, with the permission's name; one that may read nothing is a fault", async () => {
    world.account.forbidden = /^(cfd_tunnel|connectivity|r2)/;
    const { results, unwell } = await world.examine();
    expect(unwell).toEqual([
      ...["tunnel:prod", "cloudflared-version:prod", "vpc-service:prod"].map((id) => `skipped ${id}`),
      ...["r2-lock", "r2-multipart"].map((id) => `skipped ${id}`),
    ]);
    expect(results.find(({ id }) => id === "tunnel:prod")?.words).toContain("Cloudflare Tunnel Read");
    const other = new World();
    other.account.forbidden = /./;
    expect((await other.examine()).unwell).toContain("fail workers-dev");
  });

  it("is never taken for well: a service that does not answer, a cluster out of reach, an API that says something else", async () => {
    world.cluster.isReachable = false;
    expect((await world.examine(["connector", "impersonation:prod", "cluster-role"])).unwell).toEqual([
      "fail connector:prod",
      "fail impersonation:prod",
      "fail cluster-role:prod",
    ]);
    world.account.subdomain = {} as never;
    expect((await world.examine(["workers-dev"])).unwell).toEqual(["fail workers-dev"]);
    world.account.query = () => {
      throw new Error("no such table: sessions");
    };
    expect((await world.examine(["sessions"])).unwell).toEqual(["fail sessions"]);
    world.access.applications = [{ path: "/", audience: AUDIENCE, tokens: [] }];
    expect((await world.examine(["whoami"])).results[0]?.words).toBe("Access does not let this service token in");
  });

  it("is told apart: a token that Access lets in and the Worker does not take is the Worker's configuration", async () => {
    world.answers.whoami = 401;
    expect((await world.examine(["whoami"])).results[0]?.advice).toContain("audiences or team domain");
  });
});

describe("what the doctor says", () => {
  it("is a line a check, with what to do under it, and a sum", async () => {
    world.account.connectors.pop();
    world.hasApi = true;
    world.serviceToken = undefined;
    const { results } = await world.examine(["tunnel", "vpc-service", "whoami"]);
    expect(results.map(describeResult).join("\n")).toMatch(
      /^✗ tunnel:prod {2,}the tunnel has only 2 of 3 connectors\n +→ see "kubectl -n sallyport logs .*\n✓ vpc-service:prod {2,}it leads .*\n– whoami:/,
    );
    expect(describeSummary(results)).toBe("1 ok, 0 to look at, 1 to mend, 1 not checked");
  });

  it("compares versions by their numbers", () => {
    expect(isAtLeast("2026.10.0", "2026.8.2")).toBe(true);
    expect(isAtLeast("v1.36.3-dispatcher", "1.36.4")).toBe(false);
    expect(isAtLeast("unknown", "1.0")).toBe(false);
  });
});
