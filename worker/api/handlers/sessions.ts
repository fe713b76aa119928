import type { SessionRow } from "../../../audit/rows.ts";
import { isAfter, matchesFilter, newestFirst, type SessionFilter } from "../../../audit/session-filter.ts";
import { findEnded, findSessions } from "../../../audit/session-queries.ts";
import { err, ok, type Result } from "../../../common/result.ts";
import type { NullableLocationHint } from "../../../contract/placement.ts";
import type { LiveSessionRow } from "../../../contract/session-row.ts";
import { configuredLocations } from "../../config/location-hints.ts";
import { type Denial, denial } from "../../denials.ts";
import type { Bindings } from "../../env.ts";
import { findLive } from "../../sessions/directory.ts";
import { invokeUserObjects } from "../../sessions/user-objects.ts";
import { queryDatabase } from "../database.ts";
import { mergeLive, type ShownSession } from "../merge-live.ts";
import { findSessionDetail } from "../session-detail.ts";
import { pageOf } from "../session-page.ts";
import type { Handler } from "./handler.ts";

export const listSessions: Handler<"listSessions"> = async ({ query }, { env, config }) => {
  const { limit, cursor, format: _, ...filter } = query;
  const { state, ...liveFilter } = filter;
  // One more than asked for tells whether there is a next page.
  const page = { limit: limit + 1, ...(cursor && { after: cursor }) };
  const [found, live] = await Promise.all([
    queryDatabase(findSessions(env.AUDIT_DB, filter, page.limit, cursor)),
    state === "ended" || filter.outcome !== undefined
      ? undefined
      : findLive(env.DIRECTORY, { filter: liveFilter, ...page }),
  ]);
  if (found.ok) {
    const rows = await withLive(env.AUDIT_DB, state, found.value, live?.sessions ?? []);
    return ok({ ...pageOf(rows, limit), complete: true });
  }
  if (state !== "live") return err(ONLY_IN_D1);
  if (liveFilter.user !== undefined) {
    const rows = await askUser(env, configuredLocations(config.clusters), liveFilter.user);
    if (!rows.ok) return rows;
    const matching = rows.value.filter((row) => matchesFilter(row, liveFilter) && isAfter(row, cursor));
    return ok({ ...pageOf(matching.sort(newestFirst), limit), complete: true });
  }
  return live ? ok({ ...pageOf(live.sessions, limit), complete: live.isComplete }) : err(NEITHER_ANSWERS);
};

export const getSession: Handler<"getSession"> = ({ params: { id } }, api) => findSessionDetail(api, id);

const ONLY_IN_D1 = denial(
  "audit_database_unavailable",
  "D1 does not answer; ?state=live lists what is live without it, and DELETE works without it, too",
);
const NEITHER_ANSWERS = denial(
  "audit_database_unavailable",
  "neither D1 nor the directory of live sessions answers; ?state=live&user=EMAIL asks that user's object instead, " +
    "and DELETE works without them",
);

/** The directory may know of sessions that D1 has not heard of yet, and of some whose end D1 has already. */
async function withLive(
  database: D1Database,
  state: SessionFilter["state"],
  rows: readonly SessionRow[],
  live: readonly LiveSessionRow[],
): Promise<ShownSession[]> {
  const listed = new Set(rows.map(({ id }) => id));
  const others = live.map(({ id }) => id).filter((id) => !listed.has(id));
  const mayHaveEnded = state === "live" && others.length > 0;
  const ended = mayHaveEnded ? await queryDatabase(findEnded(database, others)) : ok([]);
  return mergeLive(rows, live, ended.ok ? ended.value : others);
}

/** What the user's own objects say, which is the truth. */
async function askUser(
  env: Bindings,
  locations: readonly NullableLocationHint[],
  user: string,
): Promise<Result<LiveSessionRow[], Denial>> {
  const lists = await invokeUserObjects(env.USER_SESSIONS, user, locations, "list", () => ({}));
  return lists.ok ? ok(lists.value.flat()) : lists;
}
