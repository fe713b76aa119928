/**
 * The D1 schema of the audit log. The append-only table `events` has everything but older API requests, which
 * are in `request_rows`. `sessions` and `requests` are views of these tables, so there is no second copy that
 * could differ. Rows leave `events` once they are sealed: see seal/tables.ts.
 *
 * `npm run migrations:generate` writes `migrations/` from this file. drizzle supports neither triggers nor
 * a table that becomes a view, so some statements there are written by hand.
 */
import { sql } from "drizzle-orm";
import { check, index, integer, sqliteTable, sqliteView, text, uniqueIndex } from "drizzle-orm/sqlite-core";
import { type Forward, OUTCOMES, RECORDING_STATES } from "./events.ts";
import type { PodFacts } from "./pod-facts.ts";
import { CATEGORIES, DECISIONS } from "./request-categories.ts";

export { events } from "./events-table.ts";
export { sealParts, sealRemovals, seals } from "./seal/tables.ts";

/** What older rows and the view `requests` have in common. null means unknown or not applicable. */
const requestColumns = {
  /** When the request arrived, in milliseconds since the epoch. */
  at: integer().notNull(),
  /** The Access identity; null for a request without a valid one. */
  user: text(),
  kubernetes_user: text(),
  cluster: text(),
  category: text({ enum: CATEGORIES }).notNull(),
  /** Sallyport's decision. The cluster's answer to an allowed request is in `status`. */
  decision: text({ enum: DECISIONS }),
  /** The rule in the configuration that allowed or refused the request. */
  rule: text(),
  /** The code of the denial: see contract/denial.ts. */
  refusal: text(),
  /** The message that the person read, or why there is no `status`. */
  reason: text(),
  method: text(),
  /** As sent, at most 1 KiB, without the query and without the part after `…/proxy/`. Of resources only. */
  path: text(),
  verb: text(),
  api_group: text(),
  resource: text(),
  subresource: text(),
  namespace: text(),
  name: text(),
  /** The HTTP status of the cluster's answer; for category `admin`, of Sallyport's answer. */
  status: integer(),
  /** How many requests this row stands for: above 1 when there were too many for a row each. */
  count: integer().notNull(),
  client_address: text(),
  country: text(),
  user_agent: text(),
  /** Cloudflare's id of the request. */
  ray: text(),
};

/**
 * Rows from before API requests were events, and those of `break-glass --enter`. The view `requests` has them
 * too.
 */
export const requestRows = sqliteTable(
  "request_rows",
  {
    id: text().notNull(),
    /** 1, 2, 3 … as in `events`. */
    row_number: integer().primaryKey(),
    ...requestColumns,
  },
  (table) => [
    uniqueIndex("requests_by_id").on(table.id),
    // D1 bills another row for it. Requests without a user are only queried by time.
    index("requests_by_user").on(table.user, table.id).where(sql`user IS NOT NULL`),
    check("requests_row_number_is_positive", sql`row_number > 0`),
  ],
);

/**
 * Audited API requests, one row each: metadata only, never a body, a query or a credential. A change has two
 * events, `request` and `response`; every other request has one. null means unknown or not applicable.
 *
 * The unary plus takes the type affinity off the older rows' columns, as what comes from JSON has none: only
 * where both halves of a UNION ALL agree does SQLite merge them in the order of their indexes
 * (rule 17h of flattenSubquery in its select.c), so that LIMIT ends the reading.
 */
export const requests = sqliteView("requests", {
  /** `2026-11-17T09:30:00.000Z-…`: begins with the time, so its index also serves queries by time. */
  id: text().notNull(),
  /** Of the `request` event. Not unique: older rows have numbers of their own. */
  row_number: integer().notNull(),
  ...requestColumns,
  /** How its user signed in, and from which enrolled device; null where Access did not tell. */
  sign_in: text(),
  device_id: text(),
  /** The grants that added to its user's groups or satisfied the rule; null where there was none. */
  grants: text({ mode: "json" }).$type<readonly string[]>(),
  /** Of requests that were counted: the first and the last, in milliseconds since the epoch. */
  first_at: integer(),
  last_at: integer(),
  /** Of changes to pods and their templates: what the body asks for, or why it was not read. */
  pod_facts: text({ mode: "json" }).$type<PodFacts>(),
}).as(sql`
  SELECT
    q.session_id AS id,
    q.row_number AS row_number,
    coalesce(q.data ->> '$.arrived_at', q.at) AS at,
    q.user AS user,
    q.data ->> '$.kubernetes_user' AS kubernetes_user,
    q.data ->> '$.cluster' AS cluster,
    CASE WHEN a.data ->> '$.status' = 403 AND q.data ->> '$.subresource' IS NOT 'proxy' THEN 'denied'
      ELSE q.data ->> '$.category' END AS category,
    q.data ->> '$.decision' AS decision,
    q.data ->> '$.rule' AS rule,
    q.data ->> '$.refusal' AS refusal,
    CASE WHEN q.data ->> '$.awaits_response' AND a.session_id IS NULL THEN 'no answer known'
      ELSE coalesce(a.data ->> '$.reason', q.data ->> '$.reason') END AS reason,
    q.data ->> '$.method' AS method,
    q.data ->> '$.path' AS path,
    q.data ->> '$.verb' AS verb,
    q.data ->> '$.api_group' AS api_group,
    q.data ->> '$.resource' AS resource,
    q.data ->> '$.subresource' AS subresource,
    q.data ->> '$.namespace' AS namespace,
    q.data ->> '$.name' AS name,
    coalesce(a.data ->> '$.status', q.data ->> '$.status') AS status,
    coalesce(q.data ->> '$.count', 1) AS count,
    q.data ->> '$.client_address' AS client_address,
    q.data ->> '$.country' AS country,
    q.data ->> '$.user_agent' AS user_agent,
    q.data ->> '$.ray' AS ray,
    q.data ->> '$.sign_in' AS sign_in,
    q.data ->> '$.device_id' AS device_id,
    q.data ->> '$.grants' AS grants,
    q.data ->> '$.first_at' AS first_at,
    q.data ->> '$.last_at' AS last_at,
    a.data ->> '$.pod_facts' AS pod_facts
  FROM events AS q
  LEFT JOIN events AS a ON a.session_id = q.session_id AND a.seq = 1
  WHERE q.type IN ('request', 'request_summary') AND q.session_id < 'A'
  UNION ALL
  SELECT
    id, row_number, +at, user, +kubernetes_user, +cluster, +category, +decision, +rule, +refusal, +reason,
    +method, +path, +verb, +api_group, +resource, +subresource, +namespace, +name, +status, +count,
    +client_address, +country, +user_agent, +ray, NULL, NULL, NULL, NULL, NULL, NULL
  FROM request_rows`);

/** One row per session, live or ended, for security teams. Times are milliseconds since the epoch. */
export const sessions = sqliteView("sessions", {
  id: text().notNull(),
  state: text({ enum: ["live", "ended"] }).notNull(),
  user: text().notNull(),
  kubernetes_user: text().notNull(),
  kubernetes_groups: text({ mode: "json" }).$type<readonly string[]>().notNull(),
  cluster: text().notNull(),
  kind: text().notNull(),
  namespace: text().notNull(),
  pod: text().notNull(),
  container: text(),
  command: text({ mode: "json" }).$type<readonly string[]>().notNull(),
  tty: integer({ mode: "boolean" }).notNull(),
  ports: text({ mode: "json" }).$type<readonly number[]>().notNull(),
  recording_mode: text({ enum: ["off", "output", "full"] }).notNull(),
  client_address: text(),
  country: text(),
  /** How its user signed in, and from which enrolled device; null where Access did not tell. */
  sign_in: text(),
  device_id: text(),
  /** The grants that added to its user's groups or satisfied the rule; null where there was none. */
  grants: text({ mode: "json" }).$type<readonly string[]>(),
  rule: text(),
  access_reason: text(),
  user_agent: text(),
  started_at: integer().notNull(),
  ended_at: integer(),
  outcome: text({ enum: OUTCOMES }),
  exit_code: integer(),
  reason: text(),
  ended_by: text(),
  bytes_in: integer(),
  bytes_out: integer(),
  messages_in: integer(),
  messages_out: integer(),
  /** null for a session that is no port-forward, while it is live, and after a crash. */
  forwards: text({ mode: "json" }).$type<readonly Forward[]>(),
  /** 1: the traffic did not fit its protocol. `forwards` and `exit_code` miss what came after. */
  unreadable: integer({ mode: "boolean" }),
  /**
   * `complete`, or why a part of the session is missing from its recording. null without a recording, and
   * while the session is live.
   */
  recording: text({ enum: RECORDING_STATES }),
  recording_bytes: integer(),
}).as(sql`
  SELECT
    s.session_id AS id,
    CASE WHEN e.session_id IS NULL THEN 'live' ELSE 'ended' END AS state,
    s.user AS user,
    s.data ->> '$.kubernetes_user' AS kubernetes_user,
    s.data ->> '$.kubernetes_groups' AS kubernetes_groups,
    s.data ->> '$.cluster' AS cluster,
    s.data ->> '$.kind' AS kind,
    s.data ->> '$.namespace' AS namespace,
    s.data ->> '$.pod' AS pod,
    s.data ->> '$.container' AS container,
    s.data ->> '$.command' AS command,
    s.data ->> '$.tty' AS tty,
    s.data ->> '$.ports' AS ports,
    s.data ->> '$.recording_mode' AS recording_mode,
    s.data ->> '$.client_address' AS client_address,
    s.data ->> '$.country' AS country,
    s.data ->> '$.sign_in' AS sign_in,
    s.data ->> '$.device_id' AS device_id,
    s.data ->> '$.grants' AS grants,
    s.data ->> '$.rule' AS rule,
    s.data ->> '$.access_reason' AS access_reason,
    s.data ->> '$.user_agent' AS user_agent,
    s.at AS started_at,
    e.at AS ended_at,
    e.data ->> '$.outcome' AS outcome,
    e.data ->> '$.exit_code' AS exit_code,
    e.data ->> '$.reason' AS reason,
    e.data ->> '$.ended_by' AS ended_by,
    e.data ->> '$.bytes_in' AS bytes_in,
    e.data ->> '$.bytes_out' AS bytes_out,
    e.data ->> '$.messages_in' AS messages_in,
    e.data ->> '$.messages_out' AS messages_out,
    e.data ->> '$.forwards' AS forwards,
    e.data ->> '$.unreadable' AS unreadable,
    e.data ->> '$.recording.state' AS recording,
    e.data ->> '$.recording.bytes' AS recording_bytes
  FROM events AS s
  LEFT JOIN events AS e ON e.session_id = s.session_id AND e.type = 'end'
  WHERE s.type = 'start'`);
