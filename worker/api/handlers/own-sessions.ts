/** A person's own live sessions. Their objects alone are asked, so both work without D1. */
import { newestFirst } from "../../../audit/session-filter.ts";
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
import { readReason } from "../schemas/command.ts";
import type { Handler } from "./handler.ts";
import { sessionJson } from "./session-json.ts";

/** The same for somebody else's session and for one that does not exist: ids are nobody's business. */
const NOT_YOURS: Denial = denial(
  "not_found",
  "you have no live session with this id: kubectl get --raw /-/sessions lists yours",
);

const DEFAULT_REASON = "ended by its own user";

export const listOwnSessions: Handler<"listOwnSessions"> = async (_, { identity, config, env }) => {
  const locations = configuredLocations(config.clusters);
  const lists = await invokeUserObjects(env.USER_SESSIONS, identity.name, locations, "list", () => ({}));
  return lists.ok ? ok({ items: lists.value.flat().sort(newestFirst).map(sessionJson) }) : lists;
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
