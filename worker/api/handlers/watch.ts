import { headerList } from "../../../common/header-list.ts";
import { err, ok } from "../../../common/result.ts";
import { kubernetesUsersOf } from "../../../contract/access.ts";
import { CAST_SUBPROTOCOL, type WatchRequest } from "../../../contract/watch.ts";
import { effectiveUpgrade } from "../../../kubernetes/upgrade.ts";
import { denial } from "../../denials.ts";
import { decidingPerson } from "../../policy/approvals.ts";
import { cutWithAccess, tolerateOneUnanswered } from "../../sessions/access-watch.ts";
import { sendWatch, sessionObjectAddress } from "../../sessions/user-objects.ts";
import { answerWithSocket, canMeasureSockets } from "../../sessions/watch-socket.ts";
import type { ApiContext } from "../request.ts";
import type { Handler } from "./handler.ts";

export const watchSession: Handler<"watchSession"> = async ({ params: { id } }, api) => {
  const { env, identity, request } = api;
  const { headers, signal } = request;
  const address = sessionObjectAddress(env.USER_SESSIONS, id);
  if (!address) return err(denial("not_found", "there is no session with this id"));
  const isUpgrade = effectiveUpgrade(headers)?.toLowerCase() === "websocket";
  if (isUpgrade && !offersCast(headers)) return err(UNKNOWN_SUBPROTOCOL);
  if (isUpgrade && !canMeasureSockets()) return err(UNMEASURED);
  const country = request.cf?.["country"];
  const watcher = {
    name: identity.name,
    address: headers.get("CF-Connecting-IP"),
    country: typeof country === "string" ? country : null,
    person: watchingPerson(api),
  };
  const left = new AbortController();
  const gone = AbortSignal.any([signal, left.signal]);
  const answered = await sendWatch(env.USER_SESSIONS, address, { sessionId: id, watcher }, gone);
  if (!answered.ok) return answered;
  // Without its watcher, a session that must be watched freezes.
  const checkAccess = tolerateOneUnanswered(api.checkAccess);
  const { body: lines } = answered.value;
  if (isUpgrade && lines) return ok(answerWithSocket({ lines, checkAccess, leave: () => left.abort() }));
  const answer = new Response(lines, answered.value);
  answer.headers.set("X-Content-Type-Options", "nosniff");
  return ok(cutWithAccess(answer, checkAccess, signal));
};

/** By which names it can be told whether somebody watches themselves. Nobody stands behind a service token. */
function watchingPerson(api: ApiContext): WatchRequest["watcher"]["person"] {
  if (api.subject.email === undefined) return null;
  const person = decidingPerson(api, api.config);
  return { subject: person.subject, kubernetesUsers: kubernetesUsersOf(person) };
}

const UNKNOWN_SUBPROTOCOL = denial(
  "bad_request",
  `a WebSocket that shows a session has the subprotocol ${CAST_SUBPROTOCOL}: offer it, or ask without Upgrade`,
);

const UNMEASURED = denial(
  "watch_unavailable",
  "this version of workerd does not tell how much a watcher has read: ask without Upgrade",
);

function offersCast(headers: Headers): boolean {
  return headerList(headers.get("Sec-WebSocket-Protocol")).includes(CAST_SUBPROTOCOL);
}
