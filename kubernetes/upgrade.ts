/**
 * Finds out whether a request asks for another protocol: an Upgrade header counts by its effect.
 *
 * As for the API server (`IsWebSocketRequest`, `IsUpgradeRequest` of apimachinery), it has one only if
 * Connection names it; RFC 9110, section 7.8 says so, too. A runtime may keep Connection to itself, so the
 * key of a WebSocket's handshake counts as well.
 *
 * @returns the Upgrade header; null where it has no effect
 */
export function effectiveUpgrade(headers: Headers): string | null {
  const isAskedFor =
    /(?:^|,)\s*upgrade\s*(?:,|$)/i.test(headers.get("Connection") ?? "") || headers.has("Sec-WebSocket-Key");
  return isAskedFor ? headers.get("Upgrade") : null;
}
