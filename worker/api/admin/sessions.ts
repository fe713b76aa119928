import { findEvents, findSession, findSessions, type SessionFilter } from "../../../audit/queries.ts";
import type { SessionRow } from "../../../audit/rows.ts";
import { configuredLocations, type NullableLocationHint } from "../../config/location-hints.ts";
import type { Bindings } from "../../env.ts";
import { json, jsonError } from "../../json.ts";
import { askUserObject, broadcastToUserObjects } from "../../sessions/user-objects.ts";
import { queryDatabase } from "./database.ts";
import { readListQuery, writeCursor } from "./parameters.ts";
import type { AdminRequest } from "./request.ts";
import { eventJson, sessionJson } from "./session-json.ts";
import { findUserObject } from "./user-objects.ts";

/** `GET sessions`: newest first, in pages. */
export async function listSessions({ url, config, env }: AdminRequest): Promise<Response> {
  const query = readListQuery(url.searchParams);
  if (typeof query === "string") return jsonError("bad_request", query);
  const { filter, limit, after } = query;
  // One more than asked for tells whether there is a next page.
  const found = await queryDatabase(findSessions(env.AUDIT_DB, filter, limit + 1, after));
  if (!found) return listWithoutDatabase(env, configuredLocations(config.clusters), filter, limit);
  return page(found.answer, limit);
}

/** `GET sessions/{id}`: the session with its events. A live one's counts come from the object that holds it. */
export async function showSession({ env, part: sessionId }: AdminRequest): Promise<Response> {
  const [recorded, live] = await Promise.all([
    queryDatabase(Promise.all([findSession(env.AUDIT_DB, sessionId), findEvents(env.AUDIT_DB, sessionId)])),
    describeLive(env, sessionId),
  ]);
  const [row, events] = recorded?.answer ?? [undefined, null];
  const session = live ?? row;
  if (session) return json({ ...sessionJson(session), events: events?.map(eventJson) ?? null });
  return recorded
    ? jsonError("not_found", "there is no session of this id")
    : jsonError("audit_database_unavailable", "the session is not live, and D1, which has the record, does not answer");
}

/** The objects know what is live without D1, but only when told whose. */
async function listWithoutDatabase(
  env: Bindings,
  places: readonly NullableLocationHint[],
  filter: SessionFilter,
  limit: number,
): Promise<Response> {
  if (filter.user === undefined || filter.state !== "live") {
    return jsonError(
      "audit_database_unavailable",
      "D1 does not answer; ?state=live&user=EMAIL asks that user's object instead, and DELETE works without D1",
    );
  }
  const lists = await broadcastToUserObjects(env.USER_SESSIONS, filter.user, places, (object) =>
    askUserObject(object, "list", {}),
  );
  const rows = lists.flat().sort((one, other) => one.started_at - other.started_at);
  const wanted = rows.filter(
    (row) =>
      (filter.namespace ?? row.namespace) === row.namespace &&
      (filter.pod ?? row.pod) === row.pod &&
      (filter.kind ?? row.kind) === row.kind &&
      (filter.since ?? row.started_at) <= row.started_at &&
      row.started_at < (filter.until ?? Number.POSITIVE_INFINITY),
  );
  return page(wanted.reverse().slice(0, limit), limit);
}

async function describeLive(env: Bindings, sessionId: string): Promise<SessionRow | null | undefined> {
  const stub = findUserObject(env, sessionId);
  // An object that cannot answer must not keep D1's own answer back.
  return stub && (await askUserObject(stub, "describe", { sessionId }).catch(() => undefined));
}

function page(rows: readonly SessionRow[], limit: number): Response {
  const items = rows.slice(0, limit);
  const last = items.at(-1);
  const next = rows.length > limit && last ? writeCursor({ startedAt: last.started_at, id: last.id }) : null;
  return json({ items: items.map(sessionJson), next });
}
