/**
 * A session id says which object holds the session, so that ending it needs no database.
 *
 *     ┌──────────────────┬───────────────────┬─────────────────────┐
 *     │ 6 bytes unix ms  │ 10 bytes random   │ 32 bytes object id  │   base64url, 64 characters, no padding
 *     └──────────────────┴───────────────────┴─────────────────────┘
 */

const TIME_BYTES = 6;
const RANDOM_BYTES = 10;
const OBJECT_ID_BYTES = 32;
const SESSION_ID = /^[A-Za-z0-9_-]{64}$/;

/**
 * @param objectId the Durable Object's id, 64 hexadecimal digits
 * @param now milliseconds since the epoch
 * @param random 10 random bytes
 */
export function makeSessionId(objectId: string, now: number, random: Uint8Array): string {
  if (random.length !== RANDOM_BYTES || !/^[0-9a-f]{64}$/.test(objectId)) throw new RangeError("bad session id parts");
  const bytes = new Uint8Array(TIME_BYTES + RANDOM_BYTES + OBJECT_ID_BYTES);
  for (let i = TIME_BYTES - 1, rest = now; i >= 0; i--, rest = Math.floor(rest / 256)) bytes[i] = rest % 256;
  bytes.set(random, TIME_BYTES);
  for (let i = 0; i < OBJECT_ID_BYTES; i++) {
    bytes[TIME_BYTES + RANDOM_BYTES + i] = Number.parseInt(objectId.slice(2 * i, 2 * i + 2), 16);
  }
  return btoa(String.fromCharCode(...bytes))
    .replaceAll("+", "-")
    .replaceAll("/", "_");
}

/** @returns the object's id in hexadecimal, or undefined where the text is no session id */
export function objectIdOf(sessionId: string): string | undefined {
  if (!SESSION_ID.test(sessionId)) return undefined;
  const bytes = atob(sessionId.replaceAll("-", "+").replaceAll("_", "/"));
  let hex = "";
  for (let i = TIME_BYTES + RANDOM_BYTES; i < bytes.length; i++) {
    hex += bytes.charCodeAt(i).toString(16).padStart(2, "0");
  }
  return hex;
}
