import { checkCrossSite } from "../access/cross-site.ts";
import { configuredLocations } from "../config/location-hints.ts";
import { json, jsonError } from "../json.ts";
import { askUserObject, broadcastToUserObjects } from "../sessions/user-objects.ts";
import { printable, readText } from "./admin/command.ts";
import type { ApiRequest } from "./request.ts";

/** How long a reason counts. Long enough to type the next command, short enough to be about it. */
const HOLDS_MS = 15 * 60 * 1000;
const MAX_CHARS = 500;

/**
 * `POST /-/reason`: says what one's next sessions are for. `echo "why" | kubectl create --raw /-/reason -f -` does it: the
 * body is plain text, or JSON like `{"reason": "why"}`.
 */
export async function stateReason({ request, url, identity, config, env, deny }: ApiRequest): Promise<Response> {
  const sameSite = checkCrossSite(request.headers, url);
  if (!sameSite.ok) return deny(sameSite.error);
  const text = await readText(request);
  const reason = text === undefined ? undefined : printable(reasonOf(text)).slice(0, MAX_CHARS);
  if (!reason) return jsonError("bad_request", 'say the reason in the body, as text or as {"reason": "…"}');
  const until = Date.now() + HOLDS_MS;
  await broadcastToUserObjects(env.USER_SESSIONS, identity.name, configuredLocations(config.clusters), (object) =>
    askUserObject(object, "stateReason", { reason, until }),
  );
  return json({ reason, until: new Date(until).toISOString() });
}

function reasonOf(text: string): string {
  try {
    const value: unknown = JSON.parse(text);
    if (typeof value === "object" && value !== null && "reason" in value) return String(value.reason);
  } catch {
    // Plain text is what people type.
  }
  return text;
}
