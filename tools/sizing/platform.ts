/** The platform's limits: the figure, where it stands, and what happens here when it is met. As data, for docs/SIZING.md. */

import { MAX_UNSENT_BYTES } from "../../durable/backpressured-sender.ts";
import { MAX_UNREAD_BYTES, MAX_WAITING_BYTES } from "../../durable/limits.ts";
import { CHUNK_BYTES, inUnits, MAX_SPOOL_BYTES, PART_BYTES } from "../../durable/recording/policy.ts";
import { limitsSchema } from "../../worker/config/shared-fields.ts";
import { MAX_VARIABLE_BYTES } from "../../worker/config/variables.ts";
import { MAX_COMMON_ROWS, MAX_ROWS } from "../../worker/request-audit/queue.ts";

export interface PlatformLimit {
  readonly limit: string;
  readonly figure: string;
  readonly source: string;
  /** Read in the code, or tried; never guessed. */
  readonly here: string;
  readonly remedy: string;
}

const DOCS = "https://developers.cloudflare.com";
const worker = `${DOCS}/workers/platform/limits/`;
const object = `${DOCS}/durable-objects/platform/limits/`;
const d1 = `${DOCS}/d1/platform/limits/`;
const access = `${DOCS}/cloudflare-one/account-limits/`;
const kubernetes = "https://kubernetes.io/docs/reference/command-line-tools-reference/kube-apiserver/";

const SESSIONS = limitsSchema.parse({}).maxSessionsPerUser;
/** What nobody has taken, a chunk of each session's recording, and what is being put into R2. */
const WORST_OBJECT = MAX_WAITING_BYTES + SESSIONS * CHUNK_BYTES + 2 * PART_BYTES;

function limit(limit: string, figure: string, source: string, here: string, remedy: string): PlatformLimit {
  return { limit, figure, source, here, remedy };
}

export const PLATFORM_LIMITS: readonly PlatformLimit[] = [
  limit(
    "Worker: variable",
    `5 KB each, 128 of them`,
    `${worker}#environment-variables`,
    `a document of some 15 clusters is more. It goes on in \`SALLYPORT_CONFIG_2\`, \`SALLYPORT_CONFIG_3\` …, ${MAX_VARIABLE_BYTES} bytes of text each (\`worker/config/pieces.ts\`); one that is missing or left over is an error at start`,
    "let the tools cut it; 120 variables hold a thousand clusters",
  ),
  limit(
    "Worker: CPU of one request",
    "30 s; 5 min if set",
    `${worker}#cpu-time`,
    "a request checks one signature, reads its head and is passed on as a stream: milliseconds",
    "nothing",
  ),
  limit(
    "Worker: subrequests",
    "10,000 a request (1,000 to services of Cloudflare's own)",
    `${worker}#subrequests`,
    "one to the cluster, at most one to Access, one write to D1 for up to 50 rows. The object makes one call to D1 for 50 events and one to R2 for a part of 5 MiB",
    "nothing",
  ),
  limit(
    "Worker: connections at once",
    "6 that wait for their answer's head; no longer until the end, since 2026-04-09",
    `${DOCS}/changelog/2026-04-09-relaxed-connection-limiting`,
    "of one user's object at most six upgrades are being asked for at a time; the seventh waits. Open sessions do not count, so `maxSessionsPerUser` above 6 is a question of memory only",
    "nothing",
  ),
  limit(
    "Worker: memory",
    "128 MB an isolate",
    `${worker}#memory`,
    `request rows: at most ${MAX_ROWS.toLocaleString("en-US")} wait (${MAX_COMMON_ROWS} of the common kinds), some 4 MB; bodies are never read`,
    "nothing",
  ),
  limit(
    "Object: memory",
    "128 MB, and objects of one class may share one isolate",
    `${DOCS}/durable-objects/platform/pricing/`,
    `a reader that takes nothing costs ${inUnits(MAX_UNSENT_BYTES)} a side before its session is ended; ${inUnits(MAX_UNREAD_BYTES)} left unread by ended sessions refuse the next one (429). Above ${inUnits(MAX_WAITING_BYTES)} of all that waits in an object the session that has the most is ended. With ${SESSIONS} sessions at their worst that is ${inUnits(WORST_OBJECT)}; several such objects in one isolate are reset together, and their sessions end as \`interrupted\``,
    "watch `interrupted` (docs/MONITORING.md)",
  ),
  limit(
    "Object: requests",
    "some 1,000 a second, soft",
    `${object}#how-much-work-can-a-single-durable-object-do`,
    "one thread for all of a user's sessions: a bulk copy takes a few hundred messages a second. Beyond its strength frames wait at the sender",
    "robots with many sessions get a service token each: each is a user of its own",
  ),
  limit(
    "Object: call that holds the rest up",
    "30 s",
    `${DOCS}/durable-objects/api/state/`,
    "the brake for slow readers holds it for 50 ms at a time, 150 ms at most",
    "nothing",
  ),
  limit(
    "Object: storage",
    "10 GB; rows of 2 MB",
    object,
    `recordings that R2 does not take stop at ${inUnits(MAX_SPOOL_BYTES)} (\`recording\` is \`failed\`); events that D1 does not take at \`maxQueuedEvents\` (no new session); a chunk is ${inUnits(CHUNK_BYTES)}`,
    "mend R2 or D1: both catch up by themselves",
  ),
  limit(
    "Object: an outgoing socket keeps it awake",
    "for 15 minutes; the client's open request does longer",
    `${DOCS}/durable-objects/platform/pricing/`,
    "a session has both, so it lives as long as its client; duration is billed for all of it",
    "idle limits end what nobody uses",
  ),
  limit(
    "Object: update of the runtime or a deploy",
    "several times a week; requests have 30 s",
    `${worker}#duration`,
    "sessions are cut: `interrupted`, closed by an alarm within 30 s, counts at most 5 s old, recordings whole but for the last second",
    "deploy outside of working hours (docs/UPGRADES.md)",
  ),
  limit(
    "WebSocket message",
    "32 MiB, received",
    object,
    "kubectl and kubelets send 32 KiB; a larger one than the limit ends the connection, which is `disconnected` or `upstream_lost`. Frames are joined up to 128 KiB",
    "nothing",
  ),
  limit(
    "Request body",
    "100 MB (Free, Pro), 200 MB (Business), 5 GB at most (Enterprise)",
    `${worker}#request-limits`,
    "Cloudflare answers 413 before the Worker runs, and nothing is on record. `kubectl cp` is a WebSocket and has no such limit; `kubectl apply` stays below the API server's own 3 MB",
    "uploads through `services/…/proxy` above it: port-forward",
  ),
  limit(
    "URL",
    "16 KB",
    `${worker}#request-limits`,
    "`exec` has its command in the URL: a longer one is refused before the Worker runs, and is not on record",
    "`kubectl exec -i POD -- sh < script`",
  ),
  limit(
    "Headers",
    "128 KB together",
    `${worker}#request-limits`,
    "the Access token is read up to 16 KiB; a longer one is a 401. The plan of a session goes from the Worker to its object in a header: its command, of 16 KB of URL at most, takes three times as much there",
    "few groups in the claim; `access.groups.getIdentity` where there are many",
  ),
  limit(
    "D1: size",
    "10 GB a database, not to be raised",
    d1,
    "writes fail. Events wait in the objects, up to `maxQueuedEvents` of each user; then no session opens. Rows of plain requests are lost and counted. The record cannot be pruned: its triggers refuse DELETE",
    "a new database in time: below",
  ),
  limit(
    "D1: throughput",
    "one thread: 1,000 queries a second if each takes 1 ms",
    `${d1}#frequently-asked-questions`,
    "deliveries of up to 50 events or rows; while it is overloaded they are repeated, after 1 s to 30 s, and nothing is lost or twice. Sessions do not wait for it, but with `fail-closed`",
    "a deployment for each group of clusters",
  ),
  limit(
    "D1: query",
    "30 s, 100 values, 100 KB of text",
    d1,
    "rows of requests travel as one value, 50 at a time; the admin API reads pages of 500 by an index",
    "security's own queries: by time (`id >=`, `started_at >=`)",
  ),
  limit(
    "R2: parts",
    "5 MiB at least, 10,000 at most; one write a second to one key",
    `${DOCS}/r2/platform/limits/`,
    "parts of exactly 5 MiB, one after the other, 205 for the largest recording; each recording has its own key. Once ended it is there whole",
    "nothing",
  ),
  limit(
    "Access: host names of an application",
    "5",
    access,
    "a sixth cluster's host name does not fit into the first application. Tokens of any application in `access.audiences` are accepted",
    "a wildcard (`*.k8s.example.com`), or another application for every five",
  ),
  limit(
    "Access: addresses in a rule, service tokens, applications",
    "1,000, 50, 500",
    access,
    "none of Sallyport's business: it knows people by rules",
    "groups of the identity provider in place of addresses",
  ),
  limit(
    "Access: seats",
    "50 free",
    "https://www.cloudflare.com/plans/zero-trust-services/",
    "whoever has no seat cannot sign in: Access says so before the Worker is asked",
    "a paid plan; it counts everybody",
  ),
  limit(
    "VPC services; tunnels",
    "1,000 an account each",
    `${DOCS}/workers-vpc/platform/limits/`,
    "one of each a cluster",
    "nothing",
  ),
  limit(
    "Tunnel: connectors",
    "25 replicas; 4,000 people for 4 cores and 4 GB",
    `${DOCS}/learning-paths/replace-vpn/connect-private-network/tunnel-capacity/`,
    "a connector that stops takes its sessions along (`upstream_lost`); new ones go through the others",
    "three at least, spread; more by CPU above 70 %",
  ),
  limit(
    "Custom domains",
    "100 a zone",
    `${worker}#routes-and-domains`,
    "one for each host name of a cluster",
    "a second zone, or a wildcard route",
  ),
  limit(
    "Logs",
    "256 KB a request; 7 days",
    `${DOCS}/workers/observability/logs/workers-logs/`,
    "one line a session, a few where something fails",
    "Logpush, where they are to be kept",
  ),
  limit(
    "API server: requests in flight",
    "400, and 200 that change something",
    kubernetes,
    "its 429 goes to the client as it is; kubectl tries again. Sessions and watches are not counted there",
    "a priority level for the connector's account",
  ),
];
