/**
 * A fake Cloudflare account, as far as the doctor looks at it. The API answers in the shapes of API v4, as
 * cloudflare-typescript declares them; Access answers requests without sign-in. Tests change the state to
 * inject faults.
 */
import { CONTRACT_VERSION } from "../../contract/version.ts";
import type { AccessPolicy } from "../../terraform/config/access-policies.ts";
import type { ServiceToken } from "../../tools/deployment/access.ts";
import { hostnamesOf, type Plan, tcpServicesOf } from "../../tools/deployment/plan.ts";
import { formatVersionTag } from "../../tools/deployment/version-tag.ts";
import type { HttpAnswer, HttpRequest } from "../../tools/ports/http.ts";
import { splitIntoVariables } from "../../worker/config/variables.ts";

type Json = Record<string, unknown>;

export interface WorkerState {
  settings: Json;
  subdomain: { enabled: boolean; previews_enabled: boolean };
  bindings: Json[];
  /** The versions that serve requests, and their tags. */
  versions: { id: string; percentage: number; tag: string | undefined }[];
}

export interface VpcServiceState {
  type: string;
  http_port?: number | null;
  https_port?: number | null;
  tcp_port?: number | null;
  host: Json;
}

export interface ApplicationState {
  name: string;
  aud: string;
  session_duration: string;
  policies: { name: string; decision: string; session_duration?: string }[];
  oauth_configuration?: { enabled: boolean; grant: { access_token_lifetime: string; session_duration: string } };
}

export interface AccountState {
  edge: WorkerState;
  /** Undefined: it was never deployed. */
  objects: WorkerState | undefined;
  domains: { id: string; hostname: string; service: string; zone_id: string; zone_name: string; cert_id: string }[];
  /** Of the host names' zone. */
  routes: { id: string; pattern: string; script: string }[];
  tunnel: { id: string; name: string; status: string; deleted_at: string | null; remote_config: boolean };
  connectors: { id: string; arch: string; version: string; run_at: string; features: string[]; conns: Json[] }[];
  vpcService: VpcServiceState;
  vpcTcpService: VpcServiceState;
  lockRules: Json[];
  /** D1's size in bytes. */
  databaseBytes: number;
  /** Of Zero Trust. */
  organization: Json;
  /**
   * Access applications: the host names', the one for the admin API, and where there is one, service tokens'
   * own.
   */
  applications: ApplicationState[];
  lifecycleRules: Json[];
  /** Paths that the token may not read, from `accounts/<id>/` or `zones/<id>/` on. */
  forbidden: RegExp | undefined;
  /** D1's answer to a statement; throws what SQLite throws. */
  query: (sql: string) => unknown[];
}

export const API_TOKEN = "an-api-token-that-nobody-may-see";
const ZONE_ID = "593c9c94de529bbbfaac7c53ced0447d";

/** An account without any fault. */
export function goodAccount(plan: Plan, query: AccountState["query"]): AccountState {
  const [cluster] = plan.clusters;
  if (!cluster) throw new Error("the plan has no cluster");
  const { policies } = plan.access;
  const vpc = { type: "vpc_service", name: cluster.binding, service_id: cluster.vpcServiceId };
  const storage = [
    { type: "d1", name: "AUDIT_DB", id: plan.database.id },
    { type: "r2_bucket", name: "RECORDINGS", bucket_name: plan.recordings.bucket },
  ];
  const namespaces = [
    { name: "USER_SESSIONS", class_name: "UserSessions", namespace_id: "9f86d081" },
    { name: "DIRECTORY", class_name: "Directory", namespace_id: "60303ae2" },
  ].map((namespace) => ({ type: "durable_object_namespace", ...namespace, script_name: plan.workers.objects }));
  return {
    edge: {
      settings: { observability: structuredClone(LOGS), logpush: false, tail_consumers: null },
      subdomain: { enabled: false, previews_enabled: false },
      bindings: [
        ...Object.entries(splitIntoVariables(plan.document)).map(([name, json]) => ({ type: "json", name, json })),
        ...storage.map((binding) => ({ ...binding })),
        ...namespaces,
        { ...vpc },
        { type: "version_metadata", name: "VERSION" },
      ],
      versions: [fakeVersion("e1", "0123456789abcdef")],
    },
    objects: {
      settings: { observability: structuredClone(LOGS) },
      subdomain: { enabled: false, previews_enabled: false },
      bindings: [
        ...storage.map((binding) => ({ ...binding })),
        ...tcpServicesOf(plan).map(({ binding: name, vpcServiceId: service_id }) => ({
          type: "vpc_service",
          name,
          service_id,
        })),
        { ...vpc },
      ],
      versions: [fakeVersion("0b", "fedcba9876543210")],
    },
    domains: hostnamesOf(plan).map((hostname) => ({
      ...{ id: "dbe10b4bc17c295377eabd600e1787fd", hostname, service: plan.workers.edge, zone_name: "acme.test" },
      ...{ zone_id: ZONE_ID, cert_id: "4c1ad3f0" },
    })),
    routes: [{ id: "9a7806061c88ada191ed06f989cc3dac", pattern: "acme.test/blog/*", script: "blog" }],
    tunnel: { id: cluster.tunnelId, name: plan.name, status: "healthy", deleted_at: null, remote_config: true },
    connectors: [0, 1, 2].map(fakeConnector),
    vpcService: {
      ...{ type: "http", http_port: cluster.connector.port, https_port: null },
      host: { ipv4: "127.0.0.1", network: { tunnel_id: cluster.tunnelId } },
    },
    vpcTcpService: {
      ...{ type: "tcp", tcp_port: cluster.connector.port },
      host: { ipv4: "127.0.0.1", network: { tunnel_id: cluster.tunnelId } },
    },
    lockRules: [
      {
        ...{ id: "keep", enabled: true, prefix: "recordings/" },
        condition: { type: "Age", maxAgeSeconds: plan.recordings.retentionDays * 86_400 },
      },
      {
        ...{ id: "keep-seals", enabled: true, prefix: "seals/" },
        condition: { type: "Age", maxAgeSeconds: plan.recordings.sealRetentionDays * 86_400 },
      },
    ],
    lifecycleRules: [
      {
        ...{ id: "Default Multipart Abort Rule", enabled: true, conditions: { prefix: "" } },
        abortMultipartUploadsTransition: { condition: { type: "Age", maxAge: 604_800 } },
      },
    ],
    databaseBytes: 5_999_999_999,
    organization: { auth_domain: "acme.cloudflareaccess.com", name: "acme", session_duration: "24h" },
    applications: [
      fakeApplication(plan.name, plan.access.audiences, policies.people, "8h", "336h"),
      fakeApplication(`${plan.name}-admin`, plan.access.adminAudiences, policies.admins, "1h", "1h"),
      ...plan.access.serviceTokenAudiences.map((audience) =>
        fakeApplication(`${plan.name}-service-tokens`, [audience], policies.serviceTokens, "8h"),
      ),
    ],
    forbidden: undefined,
    query,
  };
}

function fakeApplication(
  name: string,
  [aud = ""]: readonly string[],
  policies: readonly AccessPolicy[],
  session_duration: string,
  grant?: string,
): ApplicationState {
  return {
    ...{ name, aud, session_duration, policies: policies.map((policy) => ({ ...policy, session_duration })) },
    ...(grant !== undefined && {
      oauth_configuration: { enabled: true, grant: { access_token_lifetime: "15m", session_duration: grant } },
    }),
  };
}

const LOGS = { enabled: true, redact_query_string: true, logs: { enabled: true, invocation_logs: false } };

function fakeVersion(prefix: string, bundle: string): WorkerState["versions"][number] {
  const id = `${prefix}1b2c3d-0000-4000-8000-000000000001`;
  return { id, percentage: 100, tag: formatVersionTag({ contract: CONTRACT_VERSION, bundle }) };
}

function fakeConnector(index: number): AccountState["connectors"][number] {
  const id = `0a1b2c3d-0000-4000-8000-00000000000${index}`;
  const conns = ["fra03", "fra07", "ams01", "ams04"].map((colo_name, at) => ({
    ...{ id: `${id}-${at}`, uuid: `${id}-${at}`, client_id: id, client_version: "2026.10.0", colo_name },
    ...{ is_pending_reconnect: false, origin_ip: "203.0.113.7", opened_at: "2026-11-20T09:00:00.000000Z" },
  }));
  const features = ["ha-origin", "allow_remote_config", "serialized_headers", "support_datagram_v2"];
  return { id, arch: "linux_amd64", version: "2026.10.0", run_at: "2026-11-20T09:00:00Z", features, conns };
}

/** Answers a request to the API. @returns undefined for a request to somebody else */
export function answerApi(request: HttpRequest, state: AccountState, plan: Plan, api: string): HttpAnswer | undefined {
  if (!request.url.startsWith(`${api}/`)) return undefined;
  if (request.headers?.["authorization"] !== `Bearer ${API_TOKEN}`) {
    return refusal(403, 10_000, "Authentication error");
  }
  const path = request.url.slice(api.length + 1);
  const [, local = ""] = /^(?:accounts|zones)\/[^/]+\/(.*)$/.exec(path) ?? [];
  if (state.forbidden?.test(local)) return refusal(403, 10_000, "Authentication error");
  const result = resultsOf(request, state, plan)[path];
  if (!result) return refusal(404, 7_003, `Could not route to /${path}`);
  try {
    return envelope(200, { success: true, errors: [], messages: [], result: result() });
  } catch (error) {
    return refusal(400, 7_500, error instanceof Error ? error.message : String(error));
  }
}

function resultsOf(request: HttpRequest, state: AccountState, plan: Plan): Record<string, () => unknown> {
  const [cluster] = plan.clusters;
  const { edge, objects } = plan.workers;
  const ofAccount: Record<string, () => unknown> = {
    ...resultsOfWorker(edge, state.edge),
    ...(state.objects && resultsOfWorker(objects, state.objects)),
    "workers/domains": () => state.domains,
    "access/organizations": () => state.organization,
    ...Object.fromEntries(
      [...plan.access.audiences, ...plan.access.adminAudiences, ...plan.access.serviceTokenAudiences].map(
        (audience) => [`access/apps?aud=${audience}`, () => state.applications.filter(({ aud }) => aud === audience)],
      ),
    ),
    [`cfd_tunnel/${cluster?.tunnelId}`]: () => state.tunnel,
    [`cfd_tunnel/${cluster?.tunnelId}/connections`]: () => state.connectors,
    [`connectivity/directory/services/${cluster?.vpcServiceId}`]: () => state.vpcService,
    ...Object.fromEntries(
      tcpServicesOf(plan).map(({ vpcServiceId }) => [
        `connectivity/directory/services/${vpcServiceId}`,
        () => state.vpcTcpService,
      ]),
    ),
    [`r2/buckets/${plan.recordings.bucket}/lock`]: () => ({ rules: state.lockRules }),
    [`r2/buckets/${plan.recordings.bucket}/lifecycle`]: () => ({ rules: state.lifecycleRules }),
    [`d1/database/${plan.database.id}`]: () => ({ uuid: plan.database.id, file_size: state.databaseBytes }),
    [`d1/database/${plan.database.id}/query`]: () => {
      const { sql } = JSON.parse(request.body ?? "{}") as { sql: string };
      return [{ results: state.query(sql), success: true, meta: { served_by: "v3-prod", duration: 0.2 } }];
    },
  };
  return {
    ...Object.fromEntries(
      Object.entries(ofAccount).map(([path, result]) => [`accounts/${plan.account}/${path}`, result]),
    ),
    [`zones/${ZONE_ID}/workers/routes`]: () => state.routes,
  };
}

function resultsOfWorker(
  name: string,
  { settings, subdomain, bindings, versions }: WorkerState,
): Record<string, () => unknown> {
  const path = `workers/scripts/${name}`;
  const deployment = {
    ...{ id: "d3910b4b-0000-4000-8000-000000000001", source: "wrangler", strategy: "percentage" },
    ...{ author_email: "ops@acme.test", created_on: "2026-11-20T09:00:00.000000Z" },
    versions: versions.map(({ id, percentage }) => ({ version_id: id, percentage })),
  };
  const older = { ...deployment, id: "older", versions: [{ version_id: "gone", percentage: 100 }] };
  return {
    [`${path}/subdomain`]: () => subdomain,
    [`${path}/settings`]: () => ({ bindings, usage_model: "standard", tags: null, ...settings }),
    [`${path}/deployments`]: () => ({ deployments: [deployment, older] }),
    ...Object.fromEntries(
      versions.map(({ id, tag }, index) => [
        `${path}/versions/${id}`,
        () => ({
          ...{ id, number: index + 7, metadata: { source: "wrangler" }, resources: {} },
          annotations: { "workers/triggered_by": "deployment", ...(tag !== undefined && { "workers/tag": tag }) },
        }),
      ]),
    ),
  };
}

const envelope = (status: number, body: object): HttpAnswer => ({
  status,
  headers: { "content-type": "application/json" },
  body: JSON.stringify(body),
});

const refusal = (status: number, code: number, message: string) =>
  envelope(status, { success: false, errors: [{ code, message }], messages: [], result: null });

/** Access in front of one host name: its applications, and which service tokens each admits. */
export interface AccessState {
  applications: {
    path: string;
    audience: string;
    tokens: readonly ServiceToken[];
    hasOAuth: boolean;
    /** A person's, as `cloudflared access token` prints it. */
    accessToken?: string;
  }[];
  /** Metadata of Managed OAuth by path; a test may take some away. */
  metadata: Record<string, Json>;
  /** Paths with a bypass policy. */
  bypassed: string[];
  /** A fault: the cookie of one application opens the others. */
  sharesCookies: boolean;
}

export type Passage =
  | {
      readonly passes: true;
      readonly audience: string;
      readonly cookie: string | undefined;
      readonly token: string | undefined;
    }
  | { readonly passes: false; readonly answer: HttpAnswer };

/** What Access does with a request: the longest matching path decides which application it is for. */
export function passAccess(request: HttpRequest, state: AccessState, teamDomain: string): Passage {
  const url = new URL(request.url);
  const metadata = state.metadata[url.pathname];
  if (metadata) return { passes: false, answer: { status: 200, headers: {}, body: JSON.stringify(metadata) } };
  const application = [...state.applications]
    .sort((one, other) => other.path.length - one.path.length)
    .find(({ path }) => url.pathname.startsWith(path));
  if (!application || state.bypassed.some((path) => `${url.pathname}/`.startsWith(`${path}/`))) {
    return { passes: true, audience: "", cookie: undefined, token: undefined };
  }
  const { audience, tokens, hasOAuth, path, accessToken } = application;
  const headers = request.headers ?? {};
  if (accessToken !== undefined && headers["cf-access-token"] === accessToken) {
    return { passes: true, audience, cookie: undefined, token: undefined };
  }
  const { "cf-access-client-id": id, "cf-access-client-secret": secret } = headers;
  const known = tokens.find((token) => token.id === id && token.secret === secret);
  if (known) return { passes: true, audience, cookie: `CF_Authorization=${audience}.${known.id}`, token: known.id };
  const [, cookieAudience, holder] = /CF_Authorization=([^.]+)\.(\S+)/.exec(headers["cookie"] ?? "") ?? [];
  if (holder !== undefined && (cookieAudience === audience || state.sharesCookies)) {
    return { passes: true, audience, cookie: undefined, token: holder };
  }
  if (id !== undefined) {
    const accessHeaders = { "cf-access-aud": audience, "cf-access-domain": url.hostname };
    return {
      passes: false,
      answer: { status: 403, headers: { ...accessHeaders, "content-type": "text/html" }, body: "Forbidden" },
    };
  }
  if (hasOAuth && !headers["accept"]?.includes("text/html")) {
    const suffix = path === "/" ? "" : path;
    const challenge = `Bearer realm="OAuth", resource_metadata="https://${url.hostname}/.well-known/oauth-protected-resource${suffix}"`;
    return { passes: false, answer: { status: 401, headers: { "www-authenticate": challenge }, body: "" } };
  }
  const query = new URLSearchParams({ kid: audience, redirect_url: url.pathname, meta: "a.b.c" });
  const location = `${teamDomain}/cdn-cgi/access/login/${url.hostname}?${query}`;
  return { passes: false, answer: { status: 302, headers: { location, "cf-access-domain": url.hostname }, body: "" } };
}

/** The metadata that Access publishes for two applications of a host name. */
export function goodMetadata(hostname: string): AccessState["metadata"] {
  const origin = `https://${hostname}`;
  const of = (path: string) => ({
    [`/.well-known/oauth-protected-resource${path}`]: {
      ...{ resource: `${origin}${path}`, authorization_servers: [`${origin}${path}`] },
      bearer_methods_supported: ["header"],
    },
    [`/.well-known/oauth-authorization-server${path}`]: {
      issuer: `${origin}${path}`,
      authorization_endpoint: `${origin}/cdn-cgi/access/oauth/authorization`,
      token_endpoint: `${origin}/cdn-cgi/access/oauth/token`,
      registration_endpoint: `${origin}/cdn-cgi/access/oauth/registration`,
      code_challenge_methods_supported: ["S256"],
    },
  });
  return { ...of(""), ...of("/-/admin") };
}
