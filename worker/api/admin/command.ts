/** What an administrator says with an order: why, and for how long. */

const MAX_REASON_CHARS = 500;
const MAX_BODY_BYTES = 16 * 1024;
const MAX_MINUTES = 366 * 24 * 60;

export type AdminCommand =
  | { readonly ok: true; readonly reason: string; readonly minutes: number | undefined }
  | { readonly ok: false; readonly words: string };

/** From the body (`{"reason": "…", "minutes": 60}`) or the query. */
export async function readCommand(request: Request, url: URL): Promise<AdminCommand> {
  const body = await readBody(request);
  if (body === undefined) {
    return { ok: false, words: 'the body must be empty or JSON like {"reason": "…"}, at most 16 KiB' };
  }
  const { reason = url.searchParams.get("reason") ?? "", minutes = url.searchParams.get("minutes") ?? undefined } =
    body;
  if (typeof reason !== "string") return { ok: false, words: "reason must be a text" };
  const count = minutes === undefined ? undefined : Number(minutes);
  if (count !== undefined && !(count > 0 && count <= MAX_MINUTES)) {
    return { ok: false, words: `minutes must be a number above 0, at most ${MAX_MINUTES}` };
  }
  const text = printable(reason).slice(0, MAX_REASON_CHARS);
  return { ok: true, reason: text === "" ? "no reason given" : text, minutes: count };
}

/** @returns the body's fields, none where it is empty, undefined where the body is not what it should be */
async function readBody(request: Request): Promise<{ reason?: unknown; minutes?: unknown } | undefined> {
  const text = await readText(request);
  if (text === "" || text === undefined) return text === "" ? {} : undefined;
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === "object" && value !== null && !Array.isArray(value) ? value : undefined;
  } catch {
    return undefined;
  }
}

/** @returns undefined where it is too long; no more than that is ever held */
export async function readText(request: Request): Promise<string | undefined> {
  if (!request.body) return "";
  const decoder = new TextDecoder();
  let text = "";
  let bytes = 0;
  for await (const chunk of request.body) {
    bytes += chunk.byteLength;
    if (bytes > MAX_BODY_BYTES) return undefined;
    text += decoder.decode(chunk, { stream: true });
  }
  return (text + decoder.decode()).trim();
}

/** What is said is written onto terminals: control characters could be commands to them. */
export function printable(text: string): string {
  return text.replace(/\p{C}+/gu, " ").trim();
}
