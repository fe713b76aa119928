import { resolve } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { afterEach, describe, expect, it } from "vitest";
import { readMigrations } from "../../dev/stack/migrations.ts";
import type { Plan } from "../../tools/deployment/plan.ts";
import { formatVersionTag } from "../../tools/deployment/version-tag.ts";
import { type Check, runChecks, selectChecks } from "../../tools/doctor/check.ts";
import { drainCheck } from "../../tools/doctor/checks/drain.ts";
import { deployedChecks } from "../../tools/doctor/deployed-checks.ts";
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
  goodMetadata,
  passAccess,
  type WorkerState,
} from "../support/cloudflare-fake.ts";
import { type ClusterState, fakeKubectl, goodCluster } from "../support/kubectl-fake.ts";
import {
  ADMIN_AUDIENCE,
  AUDIENCE,
  CLUSTER,
  HOSTNAME,
  TEAM_DOMAIN,
  testPlan,
  VPC_SERVICE_ID,
} from "../support/planned.ts";

const MIGRATIONS = readMigrations(resolve(import.meta.dirname, "../../migrations"));
const TOKEN = { id: "ci.access", secret: "a-secret-that-nobody-may-see" };
const NOW = Date.parse("2026-11-22T10:00:00.400Z");

/** One deployment with everything that the doctor sees of it. It has no fault until a test injects one. */
class World {
  readonly plan: Plan;
  readonly database = new DatabaseSync(":memory:");
  readonly account: AccountState;
  readonly cluster: ClusterState;
  access: AccessState = {
    applications: [
      { path: "/", audience: AUDIENCE, tokens: [TOKEN], hasOAuth: true },
      { path: "/-/admin", audience: ADMIN_AUDIENCE, tokens: [], hasOAuth: true },
    ],
    metadata: goodMetadata(HOSTNAME),
    bypassed: [],
    sharesCookies: false,
  };
  /** What the team's domain publishes of itself as an authorization server. */
  teamMetadata: AccessState["metadata"] = {};
  /** Access in front of host names for service tokens. */
  readonly serviceTokenHosts: Record<string, AccessState> = {};
  env: Record<string, string | undefined> = {};
  serviceToken: typeof TOKEN | undefined = TOKEN;
  hasApi = true;
  now = NOW;
  /** How far Cloudflare's clock is ahead, ms. */
  ahead = 0;
  keys: readonly object[] = [{ kid: "one" }, { kid: "two" }];
  answers: { whoami: number; version: number } = { whoami: 200, version: 200 };
  writesAuditLog = true;
  refusesAdmin = true;
  webhooks: { faults: string[]; destinations: object[] } = { faults: [], destinations: [] };
  /** Every request that was sent. */
  readonly sent: HttpRequest[] = [];

  constructor(plan = testPlan()) {
    this.plan = plan;
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

  /** A lock, which needs no end. */
  unsealedRow(at: number): void {
    this.event("lock", at, {});
  }

  /** An event with an id of its own. */
  event(type: string, at: number, data: object): void {
    this.database
      .prepare("INSERT INTO events (session_id, seq, at, type, data, prev_hash, hash) VALUES (?, 0, ?, ?, ?, '', '')")
      .run(`${type}-${this.#events++}`, at, type, JSON.stringify(data));
  }
  #events = 0;

  drain(at: number, until: number): void {
    this.event("drain", at, { by: "ada@acme.test", reason: "upgrade", until });
  }

  readonly http = async (request: HttpRequest): Promise<HttpAnswer> => {
    this.sent.push(request);
    const api = answerApi(request, this.account, this.plan, DEFAULT_API);
    if (api) return api;
    const url = new URL(request.url);
    if (url.origin === TEAM_DOMAIN) {
      const metadata = this.teamMetadata[url.pathname];
      if (metadata) return { status: 200, headers: {}, body: JSON.stringify(metadata) };
      const date = new Date(this.now + this.ahead).toUTCString();
      return { status: 200, headers: { date }, body: JSON.stringify({ keys: this.keys }) };
    }
    const access = url.hostname === HOSTNAME ? this.access : this.serviceTokenHosts[url.hostname];
    if (!access) throw new HttpFailure(`${url.host} does not answer: ENOTFOUND`);
    const passage = passAccess(request, access, TEAM_DOMAIN);
    if (!passage.passes) return passage.answer;
    const cookie: Record<string, string> =
      passage.cookie === undefined ? {} : { "set-cookie": `${passage.cookie}; Secure` };
    return this.#worker(request, url, cookie);
  };

  #worker(request: HttpRequest, url: URL, headers: Record<string, string>): HttpAnswer {
    const { whoami, version } = this.answers;
    const say = (status: number, body: object) => ({ status, headers, body: JSON.stringify(body) });
    const status = (code: number) => say(code, { kind: "Status", message: "a message of the Worker" });
    if (url.pathname === "/-/healthz") return say(200, { status: "ok" });
    if (url.pathname === "/-/whoami") {
      return whoami === 200 ? say(200, { kubernetes: { user: "ci-deployer" }, cluster: "prod" }) : status(whoami);
    }
    if (url.pathname === "/-/admin/webhooks" && request.method === "GET") return say(200, this.webhooks);
    if (url.pathname.startsWith("/-/admin")) return this.refusesAdmin ? status(403) : say(200, { items: [] });
    if (url.pathname === "/version") return version === 200 ? say(200, { gitVersion: "v1.36.2" }) : status(version);
    if (request.method === "POST" && this.writesAuditLog) {
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
    const results = await runChecks(selectChecks(this.checks(), only));
    const findings = results.filter(({ status }) => status !== "ok").map(({ id, status }) => `${status} ${id}`);
    return { results, findings };
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
const second = <T>(list: T[]): T => first(list.slice(1));
function metadataOf(path: string): Record<string, unknown> {
  const metadata = world.access.metadata[path];
  if (!metadata) throw new Error(`there is no ${path}`);
  return metadata;
}
function grant() {
  const { oauth_configuration: oauth } = first(world.account.applications);
  if (!oauth) throw new Error("the application has no Managed OAuth");
  return oauth.grant;
}
function addPolicy(policy: AccountState["applications"][number]["policies"][number]): void {
  first(world.account.applications).policies.push(policy);
}
const logsOf = ({ settings }: WorkerState) => settings["observability"] as { logs?: object };
const pod = () => world.cluster.deployment.spec.template.spec;
const vars = () => first(world.account.edge.bindings) as { json: Record<string, unknown> };
function shareCookies(): void {
  world.access.sharesCookies = true;
  world.refusesAdmin = false;
}
function admitToken(): void {
  world.access.applications[1] = { path: "/-/admin", audience: ADMIN_AUDIENCE, tokens: [TOKEN], hasOAuth: true };
  world.refusesAdmin = false;
}
const objects = () => {
  if (!world.account.objects) throw new Error("there is no objects' Worker");
  return world.account.objects;
};
const tcpBinding = () => first(objects().bindings.filter(({ name }) => name === "KUBE_TCP_PROD"));
const objectsBinding = () => first(world.account.edge.bindings.filter(({ name }) => name === "USER_SESSIONS"));
function splitTraffic(): void {
  const { versions } = world.account.edge;
  versions.push({ ...first(versions), id: "older", percentage: 90 });
}
const ANY_USER = { apiGroups: [""], resources: ["users"], verbs: ["impersonate"] };
const ANY_GROUP = { apiGroups: [""], resources: ["groups"], verbs: ["impersonate"] };
/**
 * Makes the role in the cluster one that is older than the identity rules.
 *
 * @param name without it, all names
 */
function shrinkRole(resource: string, name?: string): void {
  world.cluster.role = world.cluster.role.flatMap((rule) => {
    if (!rule.resources.includes(resource)) return [rule];
    const resourceNames = rule.resourceNames?.filter((each) => each !== name) ?? [];
    return resourceNames.length === 0 ? [] : [{ ...rule, resourceNames }];
  });
}
const OLD_ROLE = ["fail impersonation:prod", "fail cluster-role:prod"] as const;

describe("a good deployment", () => {
  it("passes every check", async () => {
    const { results, findings } = await world.examine();
    expect(findings).toEqual([]);
    const ids = results.map(({ id }) => id.replace(/:.*$/, ""));
    expect(ids).toEqual([...new Set(ids)]);
    expect(ids.length).toBe(44);
    expect(hasFailures(results)).toBe(false);
  });

  it("has its secrets sent only where they belong, and printed nowhere", async () => {
    const { results } = await world.examine();
    expect(JSON.stringify(results)).not.toMatch(/nobody-may-see|CF_Authorization/);
    for (const { url, headers } of world.sent) {
      const values = JSON.stringify(headers ?? {});
      expect(values.includes(TOKEN.secret) && !url.startsWith(`https://${HOSTNAME}/`), url).toBe(false);
      expect(values.includes(API_TOKEN) && !url.startsWith(`${DEFAULT_API}/`), url).toBe(false);
    }
  });
});

describe("each fault is found by its own check and by no other", () => {
  it.each<[fault: string, inject: () => unknown, finding: string, ...consequences: string[]]>([
    ["kubectl is 1.30", () => (world.cluster.clientVersion = "v1.30.4"), "fail kubectl-version"],
    [
      "kubectl is configured for SPDY",
      () => (world.env["KUBECTL_REMOTE_COMMAND_WEBSOCKETS"] = "false"),
      "fail kubectl-version",
    ],
    ["this machine's clock is slow", () => (world.ahead = 9_000), "fail clocks"],
    ["this machine's clock is fast", () => (world.ahead = -9_000), "fail clocks"],
    ["the cluster's clock is wrong", () => (world.cluster.clockAhead = -30_000), "fail clocks"],
    ["a bypass policy covers health", () => world.access.bypassed.push("/-/healthz"), `fail access:${HOSTNAME}`],
    ["a bypass policy covers the API", () => world.access.bypassed.push("/api"), `fail access:${HOSTNAME}`],
    [
      "another Access application is in front",
      () => (first(world.access.applications).audience = "0".repeat(64)),
      `fail access:${HOSTNAME}`,
    ],
    [
      "the admin API has no application of its own",
      () => world.access.applications.pop(),
      `fail access-admin:${HOSTNAME}`,
    ],
    [
      "a bypass policy covers the admin API",
      () => world.access.bypassed.push("/-/admin"),
      `fail access-admin:${HOSTNAME}`,
      `skipped oauth-admin:${HOSTNAME}`,
    ],
    ["a sign-in to the other application opens the admin API", shareCookies, `fail access-admin:${HOSTNAME}`],
    ["the service token may use the admin API", admitToken, `warn access-admin:${HOSTNAME}`],
    [
      "Managed OAuth is not offered",
      () => (first(world.access.applications).hasOAuth = false),
      `fail oauth:${HOSTNAME}`,
    ],
    [
      "the protected resource has no metadata",
      () => delete world.access.metadata["/.well-known/oauth-protected-resource"],
      `fail oauth:${HOSTNAME}`,
    ],
    [
      "the metadata lead to another host",
      () => (metadataOf("/.well-known/oauth-protected-resource")["authorization_servers"] = ["https://evil.test"]),
      `fail oauth:${HOSTNAME}`,
    ],
    [
      "the authorization server has no registration",
      () => delete metadataOf("/.well-known/oauth-authorization-server")["registration_endpoint"],
      `fail oauth:${HOSTNAME}`,
    ],
    [
      "the authorization server has its token endpoint elsewhere",
      () => (metadataOf("/.well-known/oauth-authorization-server")["token_endpoint"] = "https://evil.test/token"),
      `fail oauth:${HOSTNAME}`,
    ],
    [
      "the authorization server offers no PKCE",
      () => delete metadataOf("/.well-known/oauth-authorization-server")["code_challenge_methods_supported"],
      `fail oauth:${HOSTNAME}`,
    ],
    [
      "Managed OAuth is not offered for the admin API",
      () => (second(world.access.applications).hasOAuth = false),
      `warn oauth-admin:${HOSTNAME}`,
    ],
    [
      "the admin API's authorization server has no metadata",
      () => delete world.access.metadata["/.well-known/oauth-authorization-server/-/admin"],
      `warn oauth-admin:${HOSTNAME}`,
    ],
    [
      "a policy lasts for the provider's default",
      () => (first(first(world.account.applications).policies).session_duration = "24h"),
      "fail session-durations",
    ],
    [
      "a policy of administrators lasts for longer than the application says",
      () => (first(second(world.account.applications).policies).session_duration = "1h30m"),
      "fail session-durations",
    ],
    [
      "a policy that nobody planned lasts for as long as Access's default",
      () => addPolicy({ name: "contractors", decision: "allow", session_duration: "24h" }),
      "fail session-durations",
      "fail access-policies",
    ],
    [
      "a policy that nobody planned admits others",
      () => addPolicy({ name: "contractors", decision: "allow" }),
      "fail access-policies",
    ],
    [
      "a policy no longer asks people to sign in",
      () => (first(first(world.account.applications).policies).decision = "bypass"),
      "fail access-policies",
    ],
    [
      "the administrators' policy is gone",
      () => second(world.account.applications).policies.pop(),
      "fail access-policies",
    ],
    ["an application is gone", () => world.account.applications.pop(), "fail session-durations"],
    [
      "Managed OAuth was turned off",
      () => delete first(world.account.applications).oauth_configuration,
      "fail oauth-configuration",
    ],
    ["access tokens last for an hour", () => (grant().access_token_lifetime = "1h"), "fail oauth-configuration"],
    ["access tokens are renewed for a year", () => (grant().session_duration = "8760h"), "fail oauth-configuration"],
    ["invocation logs of the edge are on", () => (logsOf(world.account.edge).logs = {}), "fail worker-logs"],
    ["the edge's logs have Cloudflare's defaults", () => delete logsOf(world.account.edge).logs, "fail worker-logs"],
    [
      "invocation logs of the objects are on",
      () => (logsOf(objects()).logs = { invocation_logs: true }),
      "fail worker-logs",
    ],
    [
      "traces keep whole URLs",
      () => Object.assign(logsOf(objects()), { traces: { enabled: true }, redact_query_string: false }),
      "fail worker-logs",
    ],
    ["Logpush carries requests away", () => (world.account.edge.settings["logpush"] = true), "warn worker-logs"],
    [
      "a Tail Worker gets all requests",
      () => (objects().settings["tail_consumers"] = [{ service: "tail" }]),
      "warn worker-logs",
    ],
    ["the team domain publishes no keys", () => (world.keys = []), "fail signing-keys"],
    ["workers.dev is on", () => (world.account.edge.subdomain.enabled = true), "fail workers-dev"],
    ["preview URLs are on", () => (world.account.edge.subdomain.previews_enabled = true), "fail workers-dev"],
    [
      "the deployed identity rules differ",
      () => (vars().json = { ...vars().json, identities: [] }),
      "fail worker-config",
    ],
    ["a deployed limit differs", () => (vars().json = { ...vars().json, limits: {} }), "fail worker-config"],
    ["the Worker has no configuration", () => world.account.edge.bindings.shift(), "fail worker-config"],
    [
      "the edge writes to another database",
      () => (first(world.account.edge.bindings.slice(1))["id"] = "x"),
      "fail worker-config",
    ],
    [
      "the edge's binding leads to another VPC service",
      () => (first(world.account.edge.bindings.filter(({ type }) => type === "vpc_service"))["service_id"] = "x"),
      "fail worker-config",
    ],
    [
      "the objects' Worker was never deployed",
      () => (world.account.objects = undefined),
      "fail objects-worker",
      "skipped versions",
    ],
    [
      "the edge has no binding to the objects",
      () => (world.account.edge.bindings = world.account.edge.bindings.filter(({ name }) => name !== "USER_SESSIONS")),
      "fail objects-worker",
    ],
    [
      "the edge has no binding to the directory",
      () => (world.account.edge.bindings = world.account.edge.bindings.filter(({ name }) => name !== "DIRECTORY")),
      "fail objects-worker",
    ],
    ["the edge is bound to its own objects", () => delete objectsBinding()["script_name"], "fail objects-worker"],
    [
      "the edge is bound to another Worker's objects",
      () => (objectsBinding()["script_name"] = "staging-objects"),
      "fail objects-worker",
    ],
    ["workers.dev of the objects is on", () => (objects().subdomain.enabled = true), "fail workers-dev"],
    ["preview URLs of the objects are on", () => (objects().subdomain.previews_enabled = true), "fail workers-dev"],
    ["the objects write to another database", () => (first(objects().bindings)["id"] = "x"), "fail worker-config"],
    ["the objects cannot reach the cluster", () => objects().bindings.pop(), "fail worker-config"],
    [
      "the objects have no binding for TCP",
      () => (objects().bindings = objects().bindings.filter(({ name }) => name !== "KUBE_TCP_PROD")),
      "fail worker-config",
    ],
    [
      "the objects' binding for TCP leads to the service for HTTP",
      () => (tcpBinding()["service_id"] = VPC_SERVICE_ID),
      "fail worker-config",
    ],
    [
      "a custom domain leads to the objects",
      () =>
        world.account.domains.push({
          ...first(world.account.domains),
          hostname: "o.acme.test",
          service: "sallyport-objects",
        }),
      "fail routes",
    ],
    [
      "a custom domain that the deployment file does not name leads to the edge",
      () => world.account.domains.push({ ...first(world.account.domains), hostname: "old.acme.test" }),
      "fail routes",
    ],
    [
      "a route leads to the objects",
      () => world.account.routes.push({ id: "r", pattern: "acme.test/objects/*", script: "sallyport-objects" }),
      "fail routes",
    ],
    [
      "a route leads to the edge past Access",
      () => world.account.routes.push({ id: "r", pattern: "acme.test/kube/*", script: "sallyport" }),
      "fail routes",
    ],
    [
      "the Workers were built with different contracts",
      () => (first(objects().versions).tag = formatVersionTag({ contract: 99, bundle: "0123456789abcdef" })),
      "fail versions",
    ],
    ["the edge was deployed by hand", () => (first(world.account.edge.versions).tag = undefined), "warn versions"],
    ["a gradual deployment is in progress", splitTraffic, "warn versions"],
    ["no Worker has the host name", () => (world.account.domains = []), `fail custom-domain:${HOSTNAME}`],
    [
      "another Worker has the host name",
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
    [
      "the TCP service leads into another tunnel",
      () => (world.account.vpcTcpService.host = { network: { tunnel_id: "x" } }),
      "fail vpc-tcp-service:prod",
    ],
    [
      "the TCP service points to another port",
      () => (world.account.vpcTcpService.tcp_port = 6443),
      "fail vpc-tcp-service:prod",
    ],
    [
      "the TCP service is one for HTTP",
      () => (world.account.vpcTcpService = { ...world.account.vpcService }),
      "fail vpc-tcp-service:prod",
    ],
    ["a replica is not ready", () => (world.cluster.deployment.status.readyReplicas = 2), "fail connector:prod"],
    ["no replica is ready", () => void delete world.cluster.deployment.status.readyReplicas, "fail connector:prod"],
    ["the connector runs as another account", () => (pod().serviceAccountName = "default"), "fail connector:prod"],
    ["a rollout is in progress", () => (world.cluster.deployment.status.observedGeneration = 2), "warn connector:prod"],
    ["cloudflared may fall back to HTTP/2", () => (first(pod().containers).args = ["tunnel", "run"]), "fail quic:prod"],
    [
      "the sidecar listens on the pod network",
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
      "the disruption budget covers other pods",
      () => (first(world.cluster.budgets).spec.selector.matchLabels = { app: "web" }),
      "fail disruption-budget:prod",
    ],
    ["another binding allows every group", () => world.cluster.otherRules.push(ANY_GROUP), "fail impersonation:prod"],
    [
      "another binding allows system:masters by name",
      () => world.cluster.otherRules.push({ ...ANY_GROUP, resourceNames: ["system:masters"] }),
      "fail impersonation:prod",
    ],
    ["another binding allows every user", () => world.cluster.otherRules.push(ANY_USER), "fail impersonation:prod"],
    [
      "another binding allows reading secrets",
      () => world.cluster.otherRules.push({ apiGroups: [""], resources: ["secrets"], verbs: ["get"] }),
      "fail impersonation:prod",
    ],
    [
      "another binding makes it cluster-admin",
      () => world.cluster.otherRules.push({ apiGroups: ["*"], resources: ["*"], verbs: ["*"] }),
      "fail impersonation:prod",
    ],
    [
      "the role has one more rule, although it allows nothing new",
      () => world.cluster.role.push({ ...ANY_GROUP, resourceNames: ["developers"] }),
      "fail cluster-role:prod",
    ],
    ["the role lacks a user that somebody may be", () => shrinkRole("users", "trainee"), ...OLD_ROLE],
    ["the role lacks a group that somebody may be in", () => shrinkRole("groups", "viewers"), ...OLD_ROLE],
    ["the role lacks a group that somebody may be granted", () => shrinkRole("groups", "prod-admins"), ...OLD_ROLE],
    ["the role may not name a grant", () => shrinkRole("userextras/sallyport-grant"), ...OLD_ROLE],
    ["the role may not name who acts as another user", () => shrinkRole("userextras/sallyport-user"), ...OLD_ROLE],
    ["the API server is 1.29", () => (world.cluster.serverVersion = "v1.29.9-eks-1"), "fail server-version:prod"],
    [
      "the API server has another address too",
      () => world.cluster.apiServers.push("10.0.0.9"),
      "fail network-policy:prod",
    ],
    ["the API server has another port", () => (world.cluster.apiServerPort = 6_443), "fail network-policy:prod"],
    ["the Service has another address", () => (world.cluster.serviceIp = "10.43.0.1"), "warn network-policy:prod"],
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
    ["a trigger is missing", () => world.database.exec("DROP TRIGGER events_leave_only_sealed"), "fail d1-append-only"],
    [
      "a trigger was replaced by one that does nothing",
      () =>
        world.database.exec(
          "DROP TRIGGER events_are_never_updated; CREATE TRIGGER events_are_never_updated BEFORE UPDATE ON events BEGIN SELECT 1; END",
        ),
      "fail d1-append-only",
    ],
    ["a session never ended", () => world.openSession("forgotten", NOW - 86_400_000), "fail sessions"],
    ["a row waits for its seal", () => world.unsealedRow(NOW - 39 * 86_400_000), "fail seals"],
    ["a drain is on", () => world.drain(NOW - 3_600_000, NOW + 60_000), "warn drain"],
    ["D1 fills up", () => (world.account.databaseBytes = 6_000_000_000), "warn d1-size"],
    ["D1 is nearly full", () => (world.account.databaseBytes = 8_000_000_000), "fail d1-size"],
    ["no lock covers anything", () => (world.account.lockRules = []), "fail r2-lock", "fail r2-seals-lock"],
    ["no lock covers recordings", () => world.account.lockRules.shift(), "fail r2-lock"],
    ["no lock covers seals", () => world.account.lockRules.pop(), "fail r2-seals-lock"],
    ["the lock is disabled", () => (first(world.account.lockRules)["enabled"] = false), "fail r2-lock"],
    ["the lock covers another prefix", () => (first(world.account.lockRules)["prefix"] = "exports/"), "fail r2-lock"],
    [
      "the lock is too short",
      () => (first(world.account.lockRules)["condition"] = { type: "Age", maxAgeSeconds: 86_400 }),
      "fail r2-lock",
    ],
    [
      "unfinished uploads are aborted after a day",
      () =>
        world.account.lifecycleRules.push({
          ...{ id: "tidy", enabled: true, conditions: { prefix: "recordings/" } },
          abortMultipartUploadsTransition: { condition: { type: "Age", maxAge: 86_400 } },
        }),
      "fail r2-multipart",
    ],
    ["unfinished uploads are never aborted", () => (world.account.lifecycleRules = []), "warn r2-multipart"],
    ["no identity rule matches the token", () => (world.answers.whoami = 403), `fail whoami:${HOSTNAME}`],
    ["the cluster is not reached", () => (world.answers.version = 503), `fail through:${HOSTNAME}`],
    ["requests do not reach the audit log", () => (world.writesAuditLog = false), `fail audit-trail:${HOSTNAME}`],
  ])("%s", async (_fault, inject, finding, ...consequences) => {
    inject();
    const { results, findings } = await world.examine();
    expect(findings).toEqual([finding, ...consequences]);
    const found = results.find(({ status }) => status !== "ok");
    expect(found?.advice).toBeTruthy();
    expect(hasFailures(results)).toBe(finding.startsWith("fail"));
  });
});

describe("a drain", () => {
  const HOUR = 3_600_000;
  const examine = async () => (await world.examine(["drain"])).results[0];

  it("is reported with its reason, its end, who began it, and how to end it", async () => {
    world.drain(NOW - HOUR, NOW + HOUR);
    expect(await examine()).toMatchObject({
      message: "new sessions are refused until 2026-11-22T11:00:00.400Z (ada@acme.test: upgrade)",
      advice: expect.stringContaining("npx sallyport drain --end"),
    });
  });

  it.each<[string, () => void]>([
    ["is over", () => world.drain(NOW - HOUR, NOW)],
    [
      "was ended",
      () => {
        world.drain(NOW - HOUR, NOW + HOUR);
        world.event("drain_end", NOW - 60_000, { by: "ada@acme.test", reason: "done" });
      },
    ],
    [
      "was made shorter",
      () => {
        world.drain(NOW - HOUR, NOW + HOUR);
        world.drain(NOW - HOUR, NOW - 1);
      },
    ],
  ])("is not reported where it %s", async (_, inject) => {
    inject();
    expect(await examine()).toMatchObject({ status: "ok", message: "new sessions open" });
  });

  /** The database of the doctor, read ten rows at a time, and how often it is asked. */
  async function examineInWindows() {
    let asked = 0;
    const query = async <Row>(sql: string) => {
      asked++;
      return world.database.prepare(sql).all() as Row[];
    };
    return { ...(await drainCheck(query, () => NOW, 10).run()), asked };
  }

  it("is found behind many rows of its day", async () => {
    world.event("lock", NOW - 30 * HOUR, {});
    world.drain(NOW - 20 * HOUR, NOW + HOUR);
    for (let row = 0; row < 95; row++) world.event("lock", NOW - HOUR, {});
    expect(await examineInWindows()).toMatchObject({ status: "warn", message: expect.stringContaining("upgrade") });
  });

  it("is looked for no further back than it can last, or than there are rows", async () => {
    expect(await examineInWindows()).toMatchObject({ status: "ok", asked: 1 });
    world.drain(NOW - 30 * HOUR, NOW - 29 * HOUR);
    for (let row = 0; row < 95; row++) world.event("lock", NOW - 26 * HOUR, {});
    expect(await examineInWindows()).toMatchObject({ status: "ok", asked: 2 });
    for (let row = 0; row < 15; row++) world.event("lock", NOW - HOUR, {});
    expect(await examineInWindows()).toMatchObject({ status: "ok", asked: 4 });
  });
});

describe("whom the objects tell of events", () => {
  const ACCESS_TOKEN = "an-administrator's-token-that-nobody-may-see";
  const HEALTHY = {
    name: "siem",
    format: "standard",
    events: null,
    waiting: 0,
    failures: 0,
    dropped: 0,
    isGone: false,
  };
  /** The objects have the secret, and an administrator asks what it says. */
  function asked(webhooks: Partial<World["webhooks"]>): World {
    const world = new World();
    if (!world.account.objects) throw new Error("there is no objects' Worker");
    world.account.objects.bindings.push({ type: "secret_text", name: "SALLYPORT_WEBHOOKS" });
    Object.assign(second(world.access.applications), { accessToken: ACCESS_TOKEN });
    world.env["CF_ACCESS_TOKEN"] = ACCESS_TOKEN;
    world.webhooks = { faults: [], destinations: [], ...webhooks };
    return world;
  }
  const found = async (world: World) => first((await world.examine(["webhooks"])).results);

  it("is nobody without the secret, and asked for only with an administrator's token", async () => {
    expect(await found(world)).toMatchObject({ status: "ok", message: "nobody is told of events" });
    const unasked = asked({});
    delete unasked.env["CF_ACCESS_TOKEN"];
    expect(await found(unasked)).toMatchObject({
      status: "skipped",
      advice: expect.stringContaining("CF_ACCESS_TOKEN"),
    });
    const expired = asked({});
    expired.env["CF_ACCESS_TOKEN"] = "expired";
    expect(await found(expired)).toMatchObject({ status: "skipped", message: expect.stringContaining("expired") });
  });

  it.each<[string, Partial<World["webhooks"]>, string, string]>([
    ["nobody", { destinations: [] }, "ok", "nobody is told of events"],
    ["somebody", { destinations: [HEALTHY] }, "ok", "the objects tell siem"],
    [
      "nobody, for the secret is invalid",
      { faults: ["destinations.0.url: must be an https: URL"] },
      "fail",
      "nobody is told: SALLYPORT_WEBHOOKS has destinations.0.url: must be an https: URL",
    ],
    [
      "somebody who does not answer",
      { destinations: [HEALTHY, { ...HEALTHY, name: "chat", failures: 3, waiting: 7 }] },
      "warn",
      "chat failed 3 times in a row, and 7 notifications wait",
    ],
    [
      "somebody who is gone",
      { destinations: [{ ...HEALTHY, isGone: true }] },
      "warn",
      "siem answered 410, and is told nothing any more",
    ],
    [
      "somebody who was away for too long",
      { destinations: [{ ...HEALTHY, dropped: 2 }] },
      "warn",
      "siem will not get 2 notifications",
    ],
  ])("is %s", async (_, webhooks, status, message) => {
    const world = asked(webhooks);
    expect(await found(world)).toMatchObject({ status, message });
    // Nobody is told anything by it, and the token goes nowhere else.
    const withToken = world.sent.filter(({ headers }) => headers?.["cf-access-token"] !== undefined);
    expect(withToken.map(({ method, url }) => [method, url])).toEqual([
      ["GET", `https://${HOSTNAME}/-/admin/webhooks`],
    ]);
  });

  it("must not be in a variable, which is no secret", async () => {
    const world = asked({});
    Object.assign(world.account.objects?.bindings.at(-1) ?? {}, { type: "plain_text", text: "https://chat.example" });
    const { status, message } = await found(world);
    expect([status, message]).toEqual(["fail", expect.stringContaining("readable by whoever may read the account")]);
    expect(message).not.toContain("chat.example");
  });
});

describe("the way of sessions to a cluster", () => {
  const examine = (plan: Plan) => new World(plan).examine();
  const withTransport = (transport: string) => ({ clusters: [{ ...CLUSTER, transport }] });

  it("is WebSocket without a fault where the deployment file says so", async () => {
    const { results, findings } = await examine(testPlan(withTransport("websocket")));
    expect(findings).toEqual([]);
    expect(results.find(({ id }) => id === "vpc-tcp-service:prod")?.message).toMatch(/^none is needed/);
  });

  it("is WebSocket with a warning where the edge stack has made no TCP service", async () => {
    const { results, findings } = await examine(testPlan({}, { vpc_tcp_service_ids: undefined }));
    expect(findings).toEqual(["warn vpc-tcp-service:prod"]);
    expect(results.find(({ status }) => status === "warn")?.advice).toContain("apply the edge stack");
  });

  it("is TCP where the deployment file asks for it", async () => {
    expect((await examine(testPlan(withTransport("tcp")))).findings).toEqual([]);
  });
});

const access = (more: object) => ({
  access: {
    teamDomain: TEAM_DOMAIN,
    ...{ allow: [{ emailDomain: "acme.test" }, { serviceToken: "ci" }], admins: [{ email: "root@acme.test" }] },
    ...{ serviceTokens: ["ci"], serviceTokenHosts: "shared" },
    ...more,
  },
});

describe("how people sign in", () => {
  it.each([
    [{ auth_domain: "acme" }, "fail warp-session", "(12130)"],
    [{ warp_auth_session_duration: "" }, "fail warp-session", "(12130)"],
    [{ warp_auth_session_duration: "24h" }, "warn warp-session", "takes precedence over access.sessionDuration (8 h)"],
  ])(
    "by WARP needs its own duration in the account, not longer than the others: %j",
    async (organization, ...found) => {
      const world = new World(testPlan(access({ warp: true })));
      world.account.organization = organization;
      const { results, findings } = await world.examine();
      expect(findings).toEqual([found[0]]);
      expect(results.find(({ id }) => id === "warp-session")?.message).toContain(found[1]);
    },
  );

  it("by WARP is good with a duration that is not longer", async () => {
    const world = new World(testPlan(access({ warp: true })));
    world.account.organization = { warp_auth_session_duration: "8h0m0s" };
    expect((await world.examine()).findings).toEqual([]);
  });

  it("without Managed OAuth, where the deployment file says so, is found by no check", async () => {
    const world = new World(testPlan(access({ oauth: { enabled: false } })));
    for (const application of world.access.applications) application.hasOAuth = false;
    for (const application of world.account.applications) delete application.oauth_configuration;
    expect((await world.examine()).findings).toEqual([]);
    world.account.applications = goodAccount(world.plan, () => []).applications;
    expect((await world.examine(["oauth-configuration"])).findings).toEqual(["fail oauth-configuration"]);
  });
});

describe("where people sign in", () => {
  const oauth = async () => {
    const { results, findings } = await world.examine([`oauth:${HOSTNAME}`]);
    expect(findings).toEqual([]);
    return results.map(({ message }) => message).join();
  };

  it("is told where kubectl-sallyport takes it only if it is named", async () => {
    expect(await oauth()).toContain("SALLYPORT_AUTHORIZATION_SERVER");
    world.teamMetadata = goodMetadata(new URL(TEAM_DOMAIN).hostname);
    metadataOf("/.well-known/oauth-protected-resource")["authorization_servers"] = [TEAM_DOMAIN];
    expect(await oauth()).not.toContain("SALLYPORT_AUTHORIZATION_SERVER");
  });
});

describe("service tokens with a host name of their own", () => {
  const OWN = "prod-ci.k8s.acme.test";
  const OWN_AUDIENCE = "c1".repeat(32);
  function apart(): World {
    const file = access({ serviceTokenHosts: "own" });
    const world = new World(testPlan(file, { service_token_audiences: [OWN_AUDIENCE] }));
    world.access.applications = world.access.applications.map((each) => ({ ...each, tokens: [] }));
    world.serviceTokenHosts[OWN] = {
      applications: [{ path: "/", audience: OWN_AUDIENCE, tokens: [TOKEN], hasOAuth: false }],
      ...{ metadata: {}, bypassed: [], sharesCookies: false },
    };
    return world;
  }

  it("are tried there, and people sign in elsewhere", async () => {
    const { results, findings } = await apart().examine();
    expect(findings).toEqual([]);
    const ids = results.map(({ id }) => id);
    expect(ids).toContain(`through:${OWN}`);
    expect(ids).not.toContain(`through:${HOSTNAME}`);
    expect(ids).not.toContain(`oauth:${OWN}`);
  });

  it.each<[string, (application: AccountState["applications"][number]) => unknown, string]>([
    ["their policy lasts for a day", ({ policies }) => (first(policies).session_duration = "24h"), "session-durations"],
    [
      "people are admitted there",
      ({ policies }) => policies.push({ name: "everybody", decision: "allow", session_duration: "8h" }),
      "access-policies",
    ],
    [
      "people can sign in there",
      (application) =>
        (application.oauth_configuration = {
          enabled: true,
          grant: { access_token_lifetime: "15m", session_duration: "336h" },
        }),
      "oauth-configuration",
    ],
  ])("are found to have an application that differs: %s", async (_, inject, check) => {
    const world = apart();
    inject(second(world.account.applications.slice(1)));
    expect((await world.examine()).findings).toEqual([`fail ${check}`]);
  });

  it("have the application that the Worker accepts", async () => {
    const world = apart();
    first(world.serviceTokenHosts[OWN]?.applications ?? []).audience = AUDIENCE;
    expect((await world.examine()).findings).toEqual([`fail access:${OWN}`]);
  });
});

describe("what cannot be checked", () => {
  it("is skipped with the reason where there is no API token, and everything else is checked", async () => {
    world.hasApi = false;
    const { results, findings } = await world.examine();
    expect(findings.every((line) => line.startsWith("skipped"))).toBe(true);
    expect(findings).toHaveLength(26);
    expect(results.find(({ id }) => id === "workers-dev")?.message).toContain("CLOUDFLARE_API_TOKEN");
  });

  it("is skipped where there is no service token", async () => {
    world.serviceToken = undefined;
    const { findings } = await world.examine();
    expect(findings).toEqual(["whoami", "through", "audit-trail"].map((id) => `skipped ${id}:${HOSTNAME}`));
  });

  it("is skipped with the permission's name where the token may not read it; a token that may read nothing fails", async () => {
    world.account.forbidden = /^(cfd_tunnel|connectivity|r2)/;
    const { results, findings } = await world.examine();
    expect(findings).toEqual([
      ...["tunnel:prod", "cloudflared-version:prod", "vpc-service:prod", "vpc-tcp-service:prod"].map(
        (id) => `skipped ${id}`,
      ),
      ...["r2-lock", "r2-seals-lock", "r2-multipart"].map((id) => `skipped ${id}`),
    ]);
    world.account.forbidden = /^workers\/routes/;
    expect((await world.examine()).findings).toEqual(["skipped routes"]);
    expect(results.find(({ id }) => id === "tunnel:prod")?.message).toContain("Cloudflare Tunnel Read");
    const other = new World();
    other.account.forbidden = /./;
    expect((await other.examine()).findings).toContain("fail workers-dev");
  });

  it("never passes: a service that does not answer, an unreachable cluster, an API with another answer", async () => {
    world.cluster.isReachable = false;
    expect((await world.examine(["connector", "impersonation:prod", "cluster-role"])).findings).toEqual([
      "fail connector:prod",
      "fail impersonation:prod",
      "fail cluster-role:prod",
    ]);
    world.account.edge.subdomain = {} as never;
    expect((await world.examine(["workers-dev"])).findings).toEqual(["fail workers-dev"]);
    world.account.query = () => {
      throw new Error("no such table: sessions");
    };
    expect((await world.examine(["sessions"])).findings).toEqual(["fail sessions"]);
    world.access.applications = [{ path: "/", audience: AUDIENCE, tokens: [], hasOAuth: true }];
    expect((await world.examine(["whoami"])).results[0]?.message).toBe("Access does not admit this service token");
  });

  it("names the Worker's configuration where Access admits a token and the Worker refuses it", async () => {
    world.answers.whoami = 401;
    expect((await world.examine(["whoami"])).results[0]?.advice).toContain("audiences or team domain");
  });
});

describe("the doctor's report", () => {
  it("has a line for each check, with the advice below it, and a summary", async () => {
    world.account.connectors.pop();
    world.hasApi = true;
    world.serviceToken = undefined;
    const { results } = await world.examine(["tunnel", "vpc-service", "whoami"]);
    expect(results.map(describeResult).join("\n")).toMatch(
      /^✗ tunnel:prod {2,}the tunnel has only 2 of 3 connectors\n +→ see "kubectl -n sallyport logs .*\n✓ vpc-service:prod {2,}it leads .*\n– whoami:/,
    );
    expect(describeSummary(results)).toBe("1 ok, 0 warnings, 1 failed, 1 skipped");
  });

  it("compares versions by their numbers", () => {
    expect(isAtLeast("2026.10.0", "2026.8.2")).toBe(true);
    expect(isAtLeast("v1.36.3-dispatcher", "1.36.4")).toBe(false);
    expect(isAtLeast("unknown", "1.0")).toBe(false);
  });
});
