/** The platform's limits, and what Sallyport does when one is reached: data for docs/SIZING.md. */

import { DATABASE_ALARM_BYTES } from "../../audit/seal/database-size.ts";
import { CHUNK_BYTES, inUnits, MAX_SPOOL_BYTES } from "../../durable/recording/policy.ts";
import { HIGH_WATER_BYTES, MAX_UNSENT_BYTES } from "../../durable/relay/client-writer.ts";
import { MAX_UNREAD_BYTES, MAX_WAITING_BYTES } from "../../durable/session/limits.ts";
import { limitsSchema } from "../../worker/config/shared-fields.ts";
import { MAX_VARIABLE_BYTES } from "../../worker/config/variables.ts";
import { D1_GB } from "./kept-rows.ts";

export interface PlatformLimit {
  readonly limit: string;
  readonly value: string;
  readonly source: string;
  /** What Sallyport does about it: read in the code, or tried; never guessed. */
  readonly effect: string;
  /** What an operator can do. */
  readonly remedy: string;
}

const DOCS = "https://developers.cloudflare.com";
const worker = `${DOCS}/workers/platform/limits/`;
const object = `${DOCS}/durable-objects/platform/limits/`;
const d1 = `${DOCS}/d1/platform/limits/`;
const access = `${DOCS}/cloudflare-one/account-limits/`;
const kubernetes = "https://kubernetes.io/docs/reference/command-line-tools-reference/kube-apiserver/";

const LIMITS = limitsSchema.parse({});
const SESSIONS = LIMITS.maxSessionsPerUser;
/** What clients have not read, a chunk of each session's recording, and what is read for an upload to R2. */
const MAX_OBJECT_BYTES = MAX_WAITING_BYTES + (SESSIONS + 3) * CHUNK_BYTES;
const NOTHING = "nothing";

export const PLATFORM_LIMITS: readonly PlatformLimit[] = [
  {
    limit: "Worker: variable",
    value: "5 KB each, 128 of them",
    source: `${worker}#environment-variables`,
    effect: `the configuration of more than about a dozen clusters continues in \`SALLYPORT_CONFIG_2\`, \`SALLYPORT_CONFIG_3\` …, ${MAX_VARIABLE_BYTES} bytes of text each (\`worker/config/variables.ts\`); a missing or surplus one is an error at start`,
    remedy: "let the tools split it; 120 variables hold a thousand clusters",
  },
  {
    limit: "Worker: CPU of one request",
    value: "30 s; 5 min if set",
    source: `${worker}#cpu-time`,
    effect:
      "a request takes milliseconds: one signature is verified, the head is parsed, bodies are streamed. Bodies that write pods are parsed up to 256 KiB",
    remedy: NOTHING,
  },
  {
    limit: "Worker: subrequests",
    value: "10,000 per request; 100,000 set (`limits.subrequests`)",
    source: `${worker}#subrequests`,
    effect:
      "of the edge: one to the cluster, at most one to Access, and one to three to objects; while something is open (`logs -f`, `get -w`, a watch) up to three every 4 s, for more than a day. The object makes one call to D1 for 50 events and one to R2 for a part of 5 MiB. A run of the sealing and export makes at most 1,000",
    remedy: NOTHING,
  },
  {
    limit: "Worker: simultaneous connections",
    value: "6 that wait for a response's head (since 2026-04-09 not until its end)",
    source: `${DOCS}/changelog/2026-04-09-relaxed-connection-limiting`,
    effect:
      "at most six upgrades of one user's object are in progress; the seventh waits. Open sessions do not count, so a `maxSessionsPerUser` above 6 is a question of memory only",
    remedy: NOTHING,
  },
  {
    limit: "Worker: memory",
    value: "128 MB per isolate",
    source: `${worker}#memory`,
    effect:
      "bodies are never buffered as a whole. Of a live session, 192 KiB wait for a watcher who does not read a WebSocket",
    remedy: NOTHING,
  },
  {
    limit: "Object: memory",
    value: "128 MB, and objects of one class may share an isolate",
    source: `${DOCS}/durable-objects/platform/pricing/`,
    effect: `over TCP, a client that reads nothing costs ${inUnits(HIGH_WATER_BYTES)}, and its session waits. Over the platform's WebSocket it costs ${inUnits(MAX_UNSENT_BYTES)} before its session is ended. While ended sessions leave ${inUnits(MAX_UNREAD_BYTES)} unread, a new one is refused (429). Above ${inUnits(MAX_WAITING_BYTES)} waiting in an object, its session with the most is ended. The most is ${inUnits(MAX_OBJECT_BYTES)} with ${SESSIONS} sessions. Several such objects in one isolate are reset together, and their sessions end as \`interrupted\``,
    remedy: "watch `interrupted` (docs/MONITORING.md)",
  },
  {
    limit: "Object: requests",
    value: "about 1,000 per second, soft",
    source: `${object}#how-much-work-can-a-single-durable-object-do`,
    effect:
      "one thread serves all sessions of a user; a bulk copy takes a few hundred messages per second. Beyond that, frames wait at the sender",
    remedy: "give robots with many sessions a service token each: each is a user of its own",
  },
  {
    limit: "Object: call that blocks others",
    value: "30 s",
    source: `${DOCS}/durable-objects/api/state/`,
    effect: "back-pressure for slow readers blocks for 50 ms at a time, 150 ms at most",
    remedy: NOTHING,
  },
  {
    limit: "Object: storage",
    value: "10 GB; rows of 2 MB",
    source: object,
    effect: `recordings that R2 does not take stop at ${inUnits(MAX_SPOOL_BYTES)} (\`recording\` is \`failed\`). At \`maxQueuedEvents\` events that D1 does not take, no new session opens. A chunk has ${CHUNK_BYTES / 1024} KiB. Input that a command does not read waits here up to \`maxBufferedStdinBytes\` (${inUnits(LIMITS.maxBufferedStdinBytes)} by default) of each session`,
    remedy: "fix R2 or D1: both are caught up with automatically",
  },
  {
    limit: "Object: kept awake by an outgoing socket",
    value: "for 15 minutes; an open client request keeps it longer",
    source: `${DOCS}/durable-objects/platform/pricing/`,
    effect: "a session has both, so it lives as long as its client connection; all of that duration is billed",
    remedy: "idle limits end unused sessions",
  },
  {
    limit: "Object: deploy, or update of the runtime",
    value: "several times a week; requests have 30 s",
    source: `${worker}#duration`,
    effect:
      "a deploy of the edge ends no session, and one of the objects' Worker lets sessions end first (best effort). An update of the runtime cuts them: `interrupted`, closed by an alarm within 30 s, with counts at most 5 s old and recordings complete but for the last second",
    remedy: "deploy the objects' Worker outside of working hours (docs/UPGRADES.md)",
  },
  {
    limit: "WebSocket message",
    value: "32 MiB, received",
    source: object,
    effect:
      "kubectl and kubelets send 32 KiB; a message above the limit ends the connection (`disconnected` or `upstream_lost`). Frames are merged up to 128 KiB",
    remedy: NOTHING,
  },
  {
    limit: "Request body",
    value: "100 MB (Free, Pro), 200 MB (Business), 5 GB at most (Enterprise)",
    source: `${worker}#request-limits`,
    effect:
      "Cloudflare answers 413 before the Worker runs, so the request is not in the audit log. `kubectl cp` is a WebSocket without such a limit; `kubectl apply` stays below the API server's own 3 MB",
    remedy: "use port-forward for uploads through `services/…/proxy` above it",
  },
  {
    limit: "URL",
    value: "16 KB",
    source: `${worker}#request-limits`,
    effect:
      "the command of `exec` is in the URL: a longer one is refused before the Worker runs, so it is not in the audit log",
    remedy: "`kubectl exec -i POD -- sh < script`",
  },
  {
    limit: "Headers",
    value: "128 KB together",
    source: `${worker}#request-limits`,
    effect:
      "an Access token above 16 KiB is refused (401). A session's plan travels from the edge to the object in a header; its command, at most 16 KB of URL, takes three times as much there",
    remedy: "keep groups in the claim few; use `access.groups.getIdentity` where there are many",
  },
  {
    limit: "D1: size",
    value: `${D1_GB} GB per database, cannot be raised`,
    source: d1,
    effect: `writes fail. Events wait in the objects, up to \`maxQueuedEvents\` of each user; then no session opens and no change is carried out. Rows leave D1 only once they are sealed in R2, with \`audit.seal.keepMonths\`; the log and the doctor warn from ${DATABASE_ALARM_BYTES / 1e9} GB on`,
    remedy: "set `audit.seal.keepMonths`: see below",
  },
  {
    limit: "D1: throughput",
    value: "one thread: 1,000 queries per second if each takes 1 ms",
    source: `${d1}#frequently-asked-questions`,
    effect:
      "deliveries have up to 50 events or rows. While D1 is overloaded they are retried after 1 s to 30 s; nothing is lost or written twice. Sessions wait for it only with `fail-closed`",
    remedy: "use a deployment for each group of clusters",
  },
  {
    limit: "D1: query",
    value: "30 s, 100 values, 100 KB of text",
    source: d1,
    effect:
      "events travel 50 at a time, 8 values each; the admin API reads pages of 500 by an index; sealing reads 2,000 rows or 4 MB, and deletes 1,000 rows, in one query",
    remedy: "restrict your own queries by time (`id >=`, `started_at >=`)",
  },
  {
    limit: "R2: parts",
    value: "5 MiB at least, 10,000 at most; one write per second to one key",
    source: `${DOCS}/r2/platform/limits/`,
    effect:
      "parts have exactly 5 MiB, one after the other, 205 for the largest recording; each recording has its own key. It is visible once complete",
    remedy: NOTHING,
  },
  {
    limit: "Access: host names of an application",
    value: "5",
    source: access,
    effect:
      "the sixth cluster's host name needs another application. Tokens of every application in `access.audiences` are accepted",
    remedy: "use a wildcard (`*.k8s.example.com`), or an application for every five",
  },
  {
    limit: "Access: addresses in a rule, service tokens, applications",
    value: "1,000, 50, 500",
    source: access,
    effect: "none: Sallyport knows people by identity rules",
    remedy: "use groups of the identity provider instead of addresses",
  },
  {
    limit: "Access: seats",
    value: "50 free",
    source: "https://www.cloudflare.com/plans/zero-trust-services/",
    effect: "a person without a seat cannot sign in; Access says so before the Worker runs",
    remedy: "use a paid plan, which counts everybody",
  },
  {
    limit: "VPC services; tunnels",
    value: "1,000 per account each",
    source: `${DOCS}/workers-vpc/platform/limits/`,
    effect: "one tunnel per cluster, and two services: for API requests, and for sessions over TCP",
    remedy: NOTHING,
  },
  {
    limit: "Tunnel: connectors",
    value: "25 replicas; 4,000 people for 4 cores and 4 GB",
    source: `${DOCS}/learning-paths/replace-vpn/connect-private-network/tunnel-capacity/`,
    effect: "sessions of a connector that stops end (`upstream_lost`); new ones use the others",
    remedy: "run at least three, on different nodes; add some when CPU exceeds 70 %",
  },
  {
    limit: "Custom domains",
    value: "100 per zone",
    source: `${worker}#routes-and-domains`,
    effect: "one per host name of a cluster",
    remedy: "use a second zone, or a wildcard route",
  },
  {
    limit: "Logs",
    value: "256 KB per request; 7 days",
    source: `${DOCS}/workers/observability/logs/workers-logs/`,
    effect: "one line per session, a few where something fails",
    remedy: "set up Logpush to keep them",
  },
  {
    limit: "API server: requests in flight",
    value: "400, and 200 that change something",
    source: kubernetes,
    effect:
      "the client gets the API server's 429 unchanged, and kubectl retries. Sessions and watches do not count there",
    remedy: "give the connector's account a priority level",
  },
];
