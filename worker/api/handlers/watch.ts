import { headerList } from "../../../common/header-list.ts";
import { err, ok } from "../../../common/result.ts";
import { CAST_SUBPROTOCOL } from "../../../contract/watch.ts";
import { effectiveUpgrade } from "../../../kubernetes/upgrade.ts";
import { denial } from "../../denials.ts";
import { sendWatch, sessionObjectAddress } from "../../sessions/user-objects.ts";
import type { Handler } from "./handler.ts";

export const watchSession: Handler<"watchSession"> = async ({ params: { id } }, { env, identity, request }) => {
  const { headers, signal } = request;
  const address = sessionObjectAddress(env.USER_SESSIONS, id);
  if (!address) return err(denial("not_found", "there is no session with this id"));
  const isUpgrade = effectiveUpgrade(headers)?.toLowerCase() === "websocket";
  if (isUpgrade && !offersCast(headers)) return err(UNKNOWN_SUBPROTOCOL);
  const country = request.cf?.["country"];
  const watcher = {
    name: identity.name,
    address: headers.get("CF-Connecting-IP"),
    country: typeof country === "string" ? country : null,
  };
  const answered = await sendWatch(env.USER_SESSIONS, address, { sessionId: id, watcher }, { isUpgrade, signal });
  if (!answered.ok || answered.value.status === 101) return answered;
  const answer = new Response(answered.value.body, answered.value);
  answer.headers.set("X-Content-Type-Options", "nosniff");
  return ok(answer);
};

const UNKNOWN_SUBPROTOCOL = denial(
  "bad_request",
  `a WebSocket that shows a session has the subprotocol ${CAST_SUBPROTOCOL}: offer it, or ask without Upgrade`,
);

function offersCast(headers: Headers): boolean {
  return headerList(headers.get("Sec-WebSocket-Protocol")).includes(CAST_SUBPROTOCOL);
}
