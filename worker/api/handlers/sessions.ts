import type { SessionRow } from "../../../audit/rows.ts";
import { findEvents, findSession, findSessions, type SessionFilter } from "../../../audit/session-queries.ts";
import { err, ok, type Result } from "../../../common/result.ts";
import type { NullableLocationHint } from "../../../contract/placement.ts";
import { configuredLocations } from "../../config/location-hints.ts";
import { type Denial, denial } from "../../denials.ts";
import type { Bindings } from "../../env.ts";
import { invokeUserObject, invokeUserObjects, sessionObjectAddress } from "../../sessions/user-objects.ts";
import { queryDatabase } from "../database.ts";
import { writeSessionCursor } from "../schemas/session-cursor.ts";
import type { Handler } from "./handler.ts";
import { eventJson, newestFirst, sessionJson } from "./session-json.ts";

export const listSessions: Handler<"listSessions"> = async ({ query }, { env, config }) => {
  const { limit, cursor, ...filter } = query;
  // One more than asked for tells whether there is a next page.
  const found = await queryDatabase(findSessions(env.AUDIT_DB, filter, limit + 1, cursor));
  if (found.ok) return ok(pageOf(found.value, limit));
  const live = await listLiveSessions(env, configuredLocations(config.clusters), filter);
  return live.ok ? ok(pageOf(live.value.slice(0, limit), limit)) : live;
};

export const getSession: Handler<"getSession"> = async ({ params: { id } }, { env }) => {
  const [recorded, live] = await Promise.all([
    queryDatabase(Promise.all([findSession(env.AUDIT_DB, id), findEvents(env.AUDIT_DB, id)])),
    describeLiveSession(env, id),
  ]);
  const [row, events] = recorded.ok ? recorded.value : [undefined, null];
  const session = live ?? row;
  if (session) return ok({ ...sessionJson(session), events: events?.map(eventJson) ?? null });
  if (recorded.ok) return err(denial("not_found", "there is no session with this id"));
  const message = "the session is not live, and D1, which has the audit log, does not answer: try again";
  return err(denial("audit_database_unavailable", message));
};

/** Objects know what is live without D1, but only when asked about one user. */
async function listLiveSessions(
  env: Bindings,
  locations: readonly NullableLocationHint[],
  { user, state, ...filter }: SessionFilter,
): Promise<Result<SessionRow[], Denial>> {
  if (user === undefined || state !== "live") {
    const message =
      "D1 does not answer; ?state=live&user=EMAIL asks that user's object instead, and DELETE works without D1";
    return err(denial("audit_database_unavailable", message));
  }
  const lists = await invokeUserObjects(env.USER_SESSIONS, user, locations, "list", () => ({}));
  if (!lists.ok) return lists;
  const rows = lists.value.flat().filter((row) => matchesFilter(row, filter));
  return ok(rows.sort(newestFirst));
}

function matchesFilter(row: SessionRow, filter: Omit<SessionFilter, "user" | "state">): boolean {
  const {
    namespace = row.namespace,
    pod = row.pod,
    kind = row.kind,
    since = 0,
    until = Number.POSITIVE_INFINITY,
  } = filter;
  return (
    row.namespace === namespace &&
    row.pod === pod &&
    row.kind === kind &&
    since <= row.started_at &&
    row.started_at < until
  );
}

async function describeLiveSession(env: Bindings, sessionId: string): Promise<SessionRow | null> {
  const address = sessionObjectAddress(env.USER_SESSIONS, sessionId);
  if (!address) return null;
  const session = await invokeUserObject(env.USER_SESSIONS, address, "describe", { sessionId });
  // An object that does not answer must not keep D1's answer back.
  return session.ok ? session.value : null;
}

function pageOf(rows: readonly SessionRow[], limit: number) {
  const items = rows.slice(0, limit);
  const last = items.at(-1);
  const next = rows.length > limit && last ? writeSessionCursor({ startedAt: last.started_at, id: last.id }) : null;
  return { items: items.map(sessionJson), next };
}
