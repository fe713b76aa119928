/**
 * A person's own sessions. Of live ones their objects alone are asked, so listing and ending them works without
 * D1.
 */
import { isAfter, matchesFilter } from "../../../audit/session-filter.ts";
import { findSessions } from "../../../audit/session-queries.ts";
import { err, ok } from "../../../common/result.ts";
import { ALL_OBJECT_LOCATIONS } from "../../../contract/placement.ts";
import { configuredLocations } from "../../config/location-hints.ts";
import { type Denial, denial } from "../../denials.ts";
import type { Bindings } from "../../env.ts";
import {
  invokeUserObject,
  invokeUserObjects,
  sessionObjectAddress,
  type UserObjectAddress,
  userObjectAddress,
} from "../../sessions/user-objects.ts";
import { queryDatabase } from "../database.ts";
import { mergeLive } from "../merge-live.ts";
import { readReason } from "../schemas/command.ts";
import { findSessionDetail } from "../session-detail.ts";
import { pageOf } from "../session-page.ts";
import type { Handler } from "./handler.ts";

/** The same for somebody else's session and for one that does not exist: ids are nobody's business. */
const NOT_YOURS: Denial = denial(
  "not_found",
  "you have no live session with this id: kubectl get --raw /-/sessions lists yours",
);

const NEVER_YOURS: Denial = denial(
  "not_found",
  "you have no session with this id: kubectl get --raw '/-/sessions?state=all' lists yours",
);

const DEFAULT_REASON = "ended by its own user";

export const listOwnSessions: Handler<"listOwnSessions"> = async ({ query }, { identity, config, env }) => {
  const { state, limit, cursor, ...period } = query;
  const filter = { ...period, user: identity.name };
  const locations = configuredLocations(config.clusters);
  const [lists, recorded] = await Promise.all([
    state === "ended" ? ok([]) : invokeUserObjects(env.USER_SESSIONS, filter.user, locations, "list", () => ({})),
    // One more than asked for tells whether there is a next page.
    state === "live" ? ok([]) : queryDatabase(findSessions(env.AUDIT_DB, { ...filter, state }, limit + 1, cursor)),
  ]);
  if (!lists.ok) return lists;
  if (!recorded.ok) return recorded;
  const live = lists.value.flat().filter((row) => matchesFilter(row, filter) && isAfter(row, cursor));
  return ok(pageOf(mergeLive(recorded.value, live, []), limit));
};

export const getOwnSession: Handler<"getOwnSession"> = async ({ params: { id } }, api) => {
  const { identity, env } = api;
  const address = sessionObjectAddress(env.USER_SESSIONS, id);
  if (!address || !isObjectOf(env.USER_SESSIONS, identity.name, address)) return err(NEVER_YOURS);
  const found = await findSessionDetail(api, id);
  return !found.ok && found.error.code === "not_found" ? err(NEVER_YOURS) : found;
};

export const endOwnSession: Handler<"endOwnSession"> = async ({ params: { id }, query, body }, { identity, env }) => {
  const address = sessionObjectAddress(env.USER_SESSIONS, id);
  if (!address || !isObjectOf(env.USER_SESSIONS, identity.name, address)) return err(NOT_YOURS);
  const fields = { sessionId: id, by: identity.name, reason: readReason(query, body, DEFAULT_REASON) };
  const wasLive = await invokeUserObject(env.USER_SESSIONS, address, "terminate", fields);
  if (!wasLive.ok) return wasLive;
  return wasLive.value ? ok({ ended: [id] }) : err(NOT_YOURS);
};

/** A session id names its object, so whose session it is needs no call. */
function isObjectOf(namespace: Bindings["USER_SESSIONS"], user: string, { id }: UserObjectAddress): boolean {
  return ALL_OBJECT_LOCATIONS.some((location) => userObjectAddress(namespace, user, location).id.equals(id));
}
