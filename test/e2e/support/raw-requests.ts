import { expand, headerLines, type RequestEntry } from "../../support/hostile.ts";

const KEY = "dGhlIHNhbXBsZSBub25jZQ==";

/**
 * The bytes of a request of the hostile corpus, with a Host, a token, and a WebSocket's handshake headers.
 */
export function requestBytes(entry: RequestEntry, token: string, userAgent?: string, user?: string): string {
  const { method, target, bare } = entry;
  const lines = headerLines(entry).map(([name, value]) => [name, expand(value, token, user)] as const);
  const has = (wanted: string) => lines.some(([name]) => name.toLowerCase() === wanted);
  // A client that sends a key means its handshake.
  const isHandshake = lines.some(
    ([name, value]) => name === "Connection" && /(?:^|,)\s*upgrade\s*(?:,|$)/i.test(value),
  );
  const isWebSocket =
    isHandshake && lines.some(([name, value]) => name === "Upgrade" && value.trim().toLowerCase() === "websocket");
  const isWriting = /^(POST|PUT|PATCH)$/.test(method);
  const all = [
    ...(bare === "host" ? [] : [["Host", "localhost"] as const]),
    ...(bare === "token" ? [] : [["Cf-Access-Jwt-Assertion", token] as const]),
    ...(userAgent === undefined || has("user-agent") ? [] : [["User-Agent", userAgent] as const]),
    ...lines,
    ...(isWebSocket && !has("sec-websocket-key") ? [["Sec-WebSocket-Key", KEY] as const] : []),
    ...(isWebSocket && !has("sec-websocket-version") ? [["Sec-WebSocket-Version", "13"] as const] : []),
    ...(isWriting ? [["Content-Length", "0"] as const] : []),
  ];
  const head = all.map(([name, value]) => `${name}: ${value}\r\n`).join("");
  return `${method} ${expand(target, token)} HTTP/1.1\r\n${head}\r\n`;
}
