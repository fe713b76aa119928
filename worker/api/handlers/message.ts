import { err, ok } from "../../../common/result.ts";
import { denial } from "../../denials.ts";
import { invokeUserObject, sessionObjectAddress } from "../../sessions/user-objects.ts";
import type { Handler } from "./handler.ts";

export const sendMessage: Handler<"sendMessage"> = async ({ params: { id }, body: { text } }, { env, identity }) => {
  const address = sessionObjectAddress(env.USER_SESSIONS, id);
  if (!address) return err(denial("not_found", "there is no session with this id"));
  const fields = { sessionId: id, by: identity.name, text };
  const answered = await invokeUserObject(env.USER_SESSIONS, address, "showMessage", fields);
  if (!answered.ok) return answered;
  switch (answered.value) {
    case "shown":
      return ok({ shown: text });
    case "not_live":
      return err(denial("session_not_live", "the session is not live: it has ended, or is not open yet"));
    case "no_terminal":
      return err(denial("no_terminal", NO_TERMINAL));
    case "too_many":
      return err(denial("too_many_messages", "60 messages were sent to this user within a minute: wait a minute"));
  }
};

const NO_TERMINAL =
  "the session has no terminal that could show a message, or its command has just ended: end it with a reason instead";
