import { ok } from "../../../common/result.ts";
import { copiesOf } from "../../config/location-hints.ts";
import { invokeUserObject, userObjectAddress } from "../../sessions/user-objects.ts";
import type { Handler } from "./handler.ts";

/** Long enough to type the next command, short enough for the reason to be about it. */
const VALID_MS = 15 * 60 * 1000;

export const stateReason: Handler<"stateReason"> = async ({ body: { reason } }, { identity, config, env }) => {
  const until = Date.now() + VALID_MS;
  const address = userObjectAddress(env.USER_SESSIONS, identity.name, null);
  const copyTo = copiesOf(config);
  const fields = { user: identity.name, reason, until, copyTo };
  const stated = await invokeUserObject(env.USER_SESSIONS, address, "decideReason", fields);
  return stated.ok ? ok({ reason, until: new Date(until).toISOString(), ...stated.value }) : stated;
};
