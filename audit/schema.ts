/**
 * The D1 schema. One append-only table holds the whole record of sessions; `sessions` is a view of it, so that what a
 * query shows is what was written, and there is no second copy to keep true. Another, `requests`, has the plain requests
 * that matter.
 *
 * `npm run migrations:generate` writes `migrations/` from this file. The triggers that refuse UPDATE and DELETE
 * are in a migration of their own, since drizzle has no notion of them.
 */
import { sql } from "drizzle-orm";
import { check, index, integer, sqliteTable, sqliteView, text, uniqueIndex } from "drizzle-orm/sqlite-core";
import { type Forward, OUTCOMES, RECORDING_STATES } from "./events.ts";
import { CATEGORIES, DECISIONS } from "./requests.ts";

export const events = sqliteTable(
  "events",
  {
    /**
     * 1, 2, 3 … in the order in which D1 took them, without a gap: what an export goes on from. Declared, because SQLite
     * keeps a rowid that has no name in no dump and through no VACUUM.
     */
    row_number: integer().primaryKey(),
    session_id: text().notNull(),
    seq: integer().notNull(),
    at: integer().notNull(),
    type: text({ enum: ["start", "connect", "forward", "end", "lock", "unlock"] }).notNull(),
    /** JSON, kept as the text it was hashed as. */
    data: text().notNull(),
    /** The hash before this one, and this one's: see chain.ts. */
    prev_hash: text().notNull(),
    hash: text().notNull(),
    /** Whose session; computed, so that "what did alice do" has an index. */
    user: text().generatedAlwaysAs(sql`data ->> '$.user'`, { mode: "virtual" }),
  },
  (table) => [
    uniqueIndex("events_of_session").on(table.session_id, table.seq),
    // Each index touched is another billed row, so each is partial: a session pays for one start and one end.
    index("events_starts_by_time").on(table.at, table.session_id).where(sql`type = 'start'`),
    index("events_starts_by_user").on(table.user, table.at).where(sql`type = 'start'`),
    uniqueIndex("events_one_end").on(table.session_id).where(sql`type = 'end'`),
    // Below 1 there is -1, by which a trigger knows a row that names no number.
    check("events_row_number_is_positive", sql`row_number > 0`),
  ],
);

/**
 * Requests that matter, one row each: their metadata, never a body, a query or a credential. See worker/request-audit.
 * null is what is not known or does not apply.
 */
export const requests = sqliteTable(
  "requests",
  {
    /** `2026-11-17T09:30:00.000Z-…`: begins with the time, so that its own index is the one by time. */
    id: text().notNull(),
    /** 1, 2, 3 … as in `events`. */
    row_number: integer().primaryKey(),
    /** When the request came, milliseconds since the epoch. */
    at: integer().notNull(),
    /** The Access identity; null where there was none to know. */
    user: text(),
    kubernetes_user: text(),
    cluster: text(),
    category: text({ enum: CATEGORIES }).notNull(),
    /** Sallyport's own. What the cluster said of an allowed one is in `status`. */
    decision: text({ enum: DECISIONS }),
    /** The rule of the configuration that allowed or refused it, where one did. */
    rule: text(),
    /** Why it was refused, as a word for queries (`rule`, `impersonation`, …) and in the words that the person read. */
    refusal: text(),
    reason: text(),
    method: text(),
    /** As spelled, at most 2 KiB, without its query and without what follows `…/proxy/`. */
    path: text(),
    verb: text(),
    api_group: text(),
    resource: text(),
    subresource: text(),
    namespace: text(),
    name: text(),
    /** The HTTP status that the cluster answered with; of an administrator's order Sallyport's own. */
    status: integer(),
    /** How many requests this row stands for: above 1 where too many came to have one each. */
    count: integer().notNull(),
    client_address: text(),
    country: text(),
    user_agent: text(),
    /** Cloudflare's id of the request. */
    ray: text(),
  },
  (table) => [
    uniqueIndex("requests_by_id").on(table.id),
    // One more billed row a request; those without a user are read by time alone.
    index("requests_by_user").on(table.user, table.id).where(sql`user IS NOT NULL`),
    check("requests_row_number_is_positive", sql`row_number > 0`),
  ],
);

/** One row a session, live or ended: what security teams query. Times are milliseconds since the epoch. */
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
  /** null where the session forwards no ports, while it is live, and after a crash. */
  forwards: text({ mode: "json" }).$type<readonly Forward[]>(),
  /** 1: the traffic did not fit its protocol, so that `forwards` and `exit_code` miss what came after. */
  unreadable: integer({ mode: "boolean" }),
  /** `complete`, or why a part of the session is not in its recording; null where there is none, and while it is live. */
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
