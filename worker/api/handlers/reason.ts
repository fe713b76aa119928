import { ok } from "../../../common/result.ts";
import { configuredLocations } from "../../config/location-hints.ts";
import { invokeUserObjects } from "../../sessions/user-objects.ts";
import type { Handler } from "./handler.ts";

/** Long enough to type the next command, short enough for the reason to be about it. */
const VALID_MS = 15 * 60 * 1000;

export const stateReason: Handler<"stateReason"> = async ({ body: { reason } }, { identity, config, env }) => {
  const until = Date.now() + VALID_MS;
  const locations = configuredLocations(config.clusters);
  const stated = await invokeUserObjects(env.USER_SESSIONS, identity.name, locations, "stateReason", () => ({
    reason,
    until,
  }));
  return stated.ok ? ok({ reason, until: new Date(until).toISOString() }) : stated;
};
