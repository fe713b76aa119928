import { headerList } from "../../common/header-list.ts";
import { err, ok, type Result } from "../../common/result.ts";

/**
 * The client's half of the opening handshake (RFC 6455, section 4.1) over a byte stream, and of HTTP/1.1 what
 * an answer to it can hold (RFC 9112).
 */

/** The largest head of an answer; the API server's has some 200 bytes. */
export const MAX_HEAD_BYTES = 32 * 1024;

const KEY_BYTES = 16;
/** Section 1.3. */
const ACCEPT_GUID = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
/** RFC 9110, section 5.6.2. */
const TOKEN = /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/;
/** RFC 9110, section 5.5: visible characters, spaces, tabs, and bytes above ASCII. */
const FIELD_VALUE = /^[\t\x20-\x7e\x80-\xff]*$/;

export interface ResponseHead {
  readonly status: number;
  /**
   * Names in lower case. Values of a repeated name are joined by a comma, as RFC 9110, section 5.3 allows.
   */
  readonly headers: ReadonlyMap<string, string>;
}

/** Makes a `Sec-WebSocket-Key`. @param random 16 bytes */
export function encodeKey(random: Uint8Array): string {
  if (random.length !== KEY_BYTES) throw new RangeError("a key is made of 16 bytes");
  return btoa(String.fromCharCode(...random));
}

/** The `Sec-WebSocket-Accept` that answers a key (section 4.2.2). */
export async function acceptFor(key: string): Promise<string> {
  const digest = await crypto.subtle.digest("SHA-1", new TextEncoder().encode(key + ACCEPT_GUID));
  return btoa(String.fromCharCode(...new Uint8Array(digest)));
}

/**
 * Writes the request.
 *
 * @param target path and query as they go on the wire
 * @param headers all others; those of the handshake are set here
 * @returns undefined where a name or value cannot be written without becoming another request
 */
export function encodeRequest(
  target: string,
  host: string,
  headers: Iterable<readonly [string, string]>,
  key: string,
): Uint8Array<ArrayBuffer> | undefined {
  if (!/^\/[\x21-\x7e]*$/.test(target)) return undefined;
  const lines = [`GET ${target} HTTP/1.1`, `Host: ${host}`];
  for (const [name, value] of headers) {
    if (HANDSHAKE_HEADERS.has(name.toLowerCase())) continue;
    if (!TOKEN.test(name) || !FIELD_VALUE.test(value)) return undefined;
    lines.push(`${name}: ${value}`);
  }
  lines.push("Upgrade: websocket", "Connection: Upgrade", "Sec-WebSocket-Version: 13", `Sec-WebSocket-Key: ${key}`);
  return Uint8Array.from(`${lines.join("\r\n")}\r\n\r\n`, (character) => character.charCodeAt(0));
}

const HANDSHAKE_HEADERS: ReadonlySet<string> = new Set([
  "host",
  "upgrade",
  "connection",
  "sec-websocket-version",
  "sec-websocket-key",
  // No compression: a bounded message must stay one.
  "sec-websocket-extensions",
]);

/**
 * Finds the end of an answer's head.
 *
 * @param searchedBytes in so many bytes there is none, as an earlier call found
 * @returns the number of its bytes, or undefined where it is not complete
 */
export function findHeadEnd(bytes: Uint8Array, searchedBytes = 0): number | undefined {
  for (let at = Math.max(searchedBytes, 3); at < bytes.length; at++) {
    if (bytes[at] === 10 && bytes[at - 1] === 13 && bytes[at - 2] === 10 && bytes[at - 3] === 13) return at + 1;
  }
  return undefined;
}

/**
 * Reads an answer's head, the empty line included. Strict: what two readers could read differently is no
 * answer.
 */
export function parseHead(bytes: Uint8Array): Result<ResponseHead, string> {
  const [statusLine = "", ...lines] = latin1(bytes).slice(0, -4).split("\r\n");
  const [, status] = /^HTTP\/1\.[01] (\d{3})(?: [\t\x20-\x7e\x80-\xff]*)?$/.exec(statusLine) ?? [];
  // RFC 9110, section 15: others are invalid, and cannot be passed on.
  if (status === undefined || status < "100" || status > "599") return err("its status line is not HTTP/1.1");
  const headers = new Map<string, string>();
  for (const line of lines) {
    const colon = line.indexOf(":");
    const name = line.slice(0, Math.max(colon, 0)).toLowerCase();
    const value = line.slice(colon + 1).trim();
    if (!TOKEN.test(name) || !FIELD_VALUE.test(value)) return err("a header line is malformed");
    const before = headers.get(name);
    headers.set(name, before === undefined ? value : `${before}, ${value}`);
  }
  return ok({ status: Number(status), headers });
}

/**
 * Checks that an answer opens the WebSocket that was asked for (section 4.1, "the client MUST validate").
 *
 * @param accept see `acceptFor`
 * @param offered the subprotocols of the request
 * @returns the subprotocol that the server chose, "" for none
 */
export function checkUpgrade(
  { status, headers }: ResponseHead,
  accept: string,
  offered: readonly string[],
): Result<string, string> {
  if (status !== 101) return err(`it answered ${status}`);
  if (headers.get("upgrade")?.toLowerCase() !== "websocket") return err("its Upgrade header is not websocket");
  const connection = headerList(headers.get("connection")?.toLowerCase());
  if (!connection.includes("upgrade")) return err("its Connection header lacks Upgrade");
  if (headers.get("sec-websocket-accept") !== accept) return err("its Sec-WebSocket-Accept does not fit the key");
  if (headers.has("sec-websocket-extensions")) return err("it chose an extension that was not offered");
  const protocol = headers.get("sec-websocket-protocol") ?? "";
  // A server may choose none; one that was not offered is an error.
  if (protocol !== "" && !offered.includes(protocol)) return err("it chose a subprotocol that was not offered");
  return ok(protocol);
}

/** How the body of an answer is delimited (RFC 9112, section 6.3). */
export type BodyFraming =
  | { readonly kind: "length"; readonly bytes: number }
  | { readonly kind: "chunked" }
  | { readonly kind: "until-close" };

export function bodyFraming({ status, headers }: ResponseHead): BodyFraming {
  if (status < 200 || status === 204 || status === 304) return { kind: "length", bytes: 0 };
  const coding = headers.get("transfer-encoding");
  if (coding !== undefined) return coding.toLowerCase() === "chunked" ? { kind: "chunked" } : { kind: "until-close" };
  const length = headers.get("content-length");
  return length !== undefined && /^\d{1,15}$/.test(length)
    ? { kind: "length", bytes: Number(length) }
    : { kind: "until-close" };
}

function latin1(bytes: Uint8Array): string {
  let text = "";
  for (const byte of bytes) text += String.fromCharCode(byte);
  return text;
}
