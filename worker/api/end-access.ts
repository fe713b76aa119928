import type * as z from "zod";
import { ok, type Result } from "../../common/result.ts";
import { LOCATION_HINTS } from "../../contract/placement.ts";
import type { Denial } from "../denials.ts";
import { namedPerson } from "../policy/approvals.ts";
import { invokeUserObject, type UserObjectAddress } from "../sessions/user-objects.ts";
import { accessJson } from "./access-json.ts";
import type { ApiContext } from "./request.ts";
import type { endedAccess } from "./schemas/access.ts";

/**
 * Withdraws a request for access, or takes the grant back that it has become. All of the person's objects
 * hear of it, as of locks: also those of an earlier or a later configuration.
 *
 * @param api of the caller, who may do this
 * @param address of the object that holds the request
 * @param reason empty for none
 */
export async function endAccess(
  api: ApiContext,
  address: UserObjectAddress,
  id: string,
  reason: string,
): Promise<Result<z.output<typeof endedAccess>, Denial>> {
  const { env } = api;
  const end = { id, by: namedPerson(api), reason: reason || null, copyTo: [...LOCATION_HINTS] };
  const ended = await invokeUserObject(env.USER_SESSIONS, address, "endAccess", end);
  if (!ended.ok) return ended;
  const { request, ended: sessions, notReached } = ended.value;
  return ok({ ...accessJson(request, api), ended: sessions, notReached });
}
