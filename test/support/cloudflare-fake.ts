/**
 * An account at Cloudflare as far as the doctor looks at it: answers in the shapes of the API v4 (as cloudflare-typescript
 * declares them), and what Access says to strangers. Tests change its state to inject faults.
 */

import type { ServiceToken } from "../../tools/deployment/access.ts";
import type { Plan } from "../../tools/deployment/plan.ts";
import type { HttpAnswer, HttpRequest } from "../../tools/ports/http.ts";
import { splitIntoVariables } from "../../worker/config/variables.ts";

type Rule = Record<string, unknown>;

export interface AccountState {
  subdomain: { enabled: boolean; previews_enabled: boolean };
  bindings: Rule[];
  domains: { id: string; hostname: string; service: string; zone_id: string; zone_name: string; cert_id: string }[];
  tunnel: { id: string; name: string; status: string; deleted_at: string | null; remote_config: boolean };
  connectors: { id: string; arch: string; version: string; run_at: string; features: string[]; conns: Rule[] }[];
  vpcService: { type: string; http_port: number | null; https_port: number | null; host: Rule };
  lockRules: Rule[];
  lifecycleRules: Rule[];
  /** Paths that the token may not read. */
  forbidden: RegExp | undefined;
  /** D1's answer to a statement; throws what SQLite throws. */
  query: (sql: string) => unknown[];
}

export const API_TOKEN = "an-api-token-that-nobody-may-see";

/** All as it should be. */
export function goodAccount(plan: Plan, query: AccountState["query"]): AccountState {
  const [cluster] = plan.clusters;
  if (!cluster) throw new Error("the plan has no cluster");
  const connector = (index: number) => {
    const id = `0a1b2c3d-0000-4000-8000-00000000000${index}`;
    const conns = ["fra03", "fra07", "ams01", "ams04"].map((colo_name, at) => ({
      ...{ id: `${id}-${at}`, uuid: `${id}-${at}`, client_id: id, client_version: "2026.10.0", colo_name },
      ...{ is_pending_reconnect: false, origin_ip: "203.0.113.7", opened_at: "2026-11-20T09:00:00.000000Z" },
    }));
    const features = ["ha-origin", "allow_remote_config", "serialized_headers", "support_datagram_v2"];
    return { id, arch: "linux_amd64", version: "2026.10.0", run_at: "2026-11-20T09:00:00Z", features, conns };
  };
  return {
    subdomain: { enabled: false, previews_enabled: false },
    bindings: [
      ...Object.entries(splitIntoVariables(plan.document)).map(([name, json]) => ({ type: "json", name, json })),
      { type: "d1", name: "AUDIT_DB", id: plan.database.id },
      { type: "r2_bucket", name: "RECORDINGS", bucket_name: plan.recordings.bucket },
      { type: "durable_object_namespace", name: "USER_SESSIONS", class_name: "UserSessions", namespace_id: "9f86d081" },
      { type: "vpc_service", name: cluster.binding, service_id: cluster.vpcServiceId },
      { type: "version_metadata", name: "VERSION" },
    ],
    domains: cluster.hostnames.map((hostname) => ({
      ...{ id: "dbe10b4bc17c295377eabd600e1787fd", hostname, service: plan.name, zone_name: "acme.test" },
      ...{ zone_id: "593c9c94de529bbbfaac7c53ced0447d", cert_id: "4c1ad3f0" },
    })),
    tunnel: { id: cluster.tunnelId, name: plan.name, status: "healthy", deleted_at: null, remote_config: true },
    connectors: [0, 1, 2].map(connector),
    vpcService: {
      ...{ type: "http", http_port: cluster.connector.port, https_port: null },
      host: { ipv4: "127.0.0.1", network: { tunnel_id: cluster.tunnelId } },
    },
    lockRules: [
      {
        ...{ id: "keep", enabled: true, prefix: "recordings/" },
        condition: { type: "Age", maxAgeSeconds: plan.recordings.retentionDays * 86_400 },
      },
    ],
    lifecycleRules: [
      {
        ...{ id: "Default Multipart Abort Rule", enabled: true, conditions: { prefix: "" } },
        abortMultipartUploadsTransition: { condition: { type: "Age", maxAge: 604_800 } },
      },
    ],
    forbidden: undefined,
    query,
  };
}

/** Answers a request to the API, or undefined where it is not for it. */
export function answerApi(request: HttpRequest, state: AccountState, plan: Plan, api: string): HttpAnswer | undefined {
  const prefix = `${api}/accounts/${plan.account}/`;
  if (!request.url.startsWith(prefix)) return undefined;
  if (request.headers?.["authorization"] !== `Bearer ${API_TOKEN}`) {
    return refusal(403, 10_000, "Authentication error");
  }
  const path = request.url.slice(prefix.length);
  if (state.forbidden?.test(path)) return refusal(403, 10_000, "Authentication error");
  const [cluster] = plan.clusters;
  const results: Record<string, () => unknown> = {
    [`workers/scripts/${plan.name}/subdomain`]: () => state.subdomain,
    [`workers/scripts/${plan.name}/settings`]: () => ({
      bindings: state.bindings,
      usage_model: "standard",
      tags: null,
    }),
    "workers/domains": () => state.domains,
    [`cfd_tunnel/${cluster?.tunnelId}`]: () => state.tunnel,
    [`cfd_tunnel/${cluster?.tunnelId}/connections`]: () => state.connectors,
    [`connectivity/directory/services/${cluster?.vpcServiceId}`]: () => state.vpcService,
    [`r2/buckets/${plan.recordings.bucket}/lock`]: () => ({ rules: state.lockRules }),
    [`r2/buckets/${plan.recordings.bucket}/lifecycle`]: () => ({ rules: state.lifecycleRules }),
    [`d1/database/${plan.database.id}/query`]: () => {
      const { sql } = JSON.parse(request.body ?? "{}") as { sql: string };
      return [{ results: state.query(sql), success: true, meta: { served_by: "v3-prod", duration: 0.2 } }];
    },
  };
  const result = results[path];
  if (!result) return refusal(404, 7_003, `Could not route to /accounts/${plan.account}/${path}`);
  try {
    return envelope(200, { success: true, errors: [], messages: [], result: result() });
  } catch (error) {
    return refusal(400, 7_500, error instanceof Error ? error.message : String(error));
  }
}

const envelope = (status: number, body: object): HttpAnswer => ({
  status,
  headers: { "content-type": "application/json" },
  body: JSON.stringify(body),
});

const refusal = (status: number, code: number, message: string) =>
  envelope(status, { success: false, errors: [{ code, message }], messages: [], result: null });

/** Access in front of one host name: its applications, the longest path first, and whom each lets in. */
export interface AccessState {
  applications: { path: string; audience: string; tokens: readonly ServiceToken[] }[];
  /** Paths that a bypass policy leaves open. */
  bypassed: string[];
  /** Whose cookie opens which application: Access takes an application's own only. */
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

/** What Access makes of a request. */
export function passAccess(request: HttpRequest, state: AccessState, teamDomain: string): Passage {
  const url = new URL(request.url);
  const application = [...state.applications]
    .sort((one, other) => other.path.length - one.path.length)
    .find(({ path }) => url.pathname.startsWith(path));
  if (!application || state.bypassed.some((path) => `${url.pathname}/`.startsWith(`${path}/`))) {
    return { passes: true, audience: "", cookie: undefined, token: undefined };
  }
  const { audience, tokens } = application;
  const headers = request.headers ?? {};
  const { "cf-access-client-id": id, "cf-access-client-secret": secret } = headers;
  const known = tokens.find((token) => token.id === id && token.secret === secret);
  if (known) return { passes: true, audience, cookie: `CF_Authorization=${audience}.${known.id}`, token: known.id };
  const [, cookieAudience, holder] = /CF_Authorization=([^.]+)\.(\S+)/.exec(headers["cookie"] ?? "") ?? [];
  if (holder !== undefined && (cookieAudience === audience || state.sharesCookies)) {
    return { passes: true, audience, cookie: undefined, token: holder };
  }
  if (id !== undefined) {
    const own = { "cf-access-aud": audience, "cf-access-domain": url.hostname };
    return {
      passes: false,
      answer: { status: 403, headers: { ...own, "content-type": "text/html" }, body: "Forbidden" },
    };
  }
  const query = new URLSearchParams({ kid: audience, redirect_url: url.pathname, meta: "a.b.c" });
  const location = `${teamDomain}/cdn-cgi/access/login/${url.hostname}?${query}`;
  return { passes: false, answer: { status: 302, headers: { location, "cf-access-domain": url.hostname }, body: "" } };
}
