import { json, jsonError } from "./json.ts";
import { objectOf } from "./objects.ts";
import type { AdminRequest } from "./router.ts";

const MAX_REASON_CHARS = 500;
const MAX_BODY_BYTES = 16 * 1024;

/** `DELETE sessions/{id}`: ends one session. Asks the object alone, so it works without D1. */
export async function endSession({ request, url, admin, env, part: sessionId }: AdminRequest): Promise<Response> {
  const reason = await readReason(request, url);
  if (!reason.ok) return jsonError("bad_request", reason.words);
  const stub = objectOf(env, sessionId);
  const ended = stub !== undefined && (await stub.terminate(sessionId, admin.email, reason.text));
  return ended
    ? json({ ended: [sessionId] })
    : jsonError("not_found", "no live session has this id: it may have ended by itself");
}

/** `DELETE users/{email}/sessions`: ends all of a user's sessions; none is no error. */
export async function endUserSessions({ request, url, admin, env, part: email }: AdminRequest): Promise<Response> {
  const reason = await readReason(request, url);
  if (!reason.ok) return jsonError("bad_request", reason.words);
  const ended = await env.USER_SESSIONS.getByName(email.toLowerCase()).terminateAll(admin.email, reason.text);
  return json({ ended });
}

type Reason = { readonly ok: true; readonly text: string } | { readonly ok: false; readonly words: string };

/** From the body (`{"reason": "…"}`) or the query. */
async function readReason(request: Request, url: URL): Promise<Reason> {
  const body = await readBody(request);
  if (body === undefined) {
    return { ok: false, words: 'the body must be empty or JSON like {"reason": "…"}, at most 16 KiB' };
  }
  const given = body !== "" ? body : (url.searchParams.get("reason") ?? "");
  const text = printable(given).slice(0, MAX_REASON_CHARS);
  return { ok: true, text: text === "" ? "no reason given" : text };
}

/** @returns the body's reason, "" where it has none, undefined where the body is not what it should be */
async function readBody(request: Request): Promise<string | undefined> {
  const bytes = await request.arrayBuffer();
  if (bytes.byteLength > MAX_BODY_BYTES) return undefined;
  const text = new TextDecoder().decode(bytes).trim();
  if (text === "") return "";
  try {
    const value: unknown = JSON.parse(text);
    if (typeof value !== "object" || value === null || Array.isArray(value)) return undefined;
    const { reason = "" } = value as { reason?: unknown };
    return typeof reason === "string" ? reason : undefined;
  } catch {
    return undefined;
  }
}

/** The reason is written onto the user's terminal: control characters could be commands to it. */
function printable(text: string): string {
  return text.replace(/\p{C}+/gu, " ").trim();
}
