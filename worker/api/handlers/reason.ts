import { ok } from "../../../common/result.ts";
import { configuredLocations } from "../../config/location-hints.ts";
import { askUserObject, broadcastToUserObjects } from "../../sessions/user-objects.ts";
import type { Handler } from "./handler.ts";

/** Long enough to type the next command, short enough for the reason to be about it. */
const VALID_MS = 15 * 60 * 1000;

export const stateReason: Handler<"stateReason"> = async ({ body: { reason } }, { identity, config, env }) => {
  const until = Date.now() + VALID_MS;
  await broadcastToUserObjects(env.USER_SESSIONS, identity.name, configuredLocations(config.clusters), (object) =>
    askUserObject(object, "stateReason", { reason, until }),
  );
  return ok({ reason, until: new Date(until).toISOString() });
};
