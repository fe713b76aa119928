/** WebSocket close codes: RFC 6455, section 7.4, and what `WebSocket.close()` accepts. */

export const CLOSE_NORMAL = 1000;
export const CLOSE_GOING_AWAY = 1001;
/** Never on the wire: the peer's close frame had no code. */
export const CLOSE_NO_STATUS = 1005;
/** Never on the wire: the connection ended without a close frame. */
export const CLOSE_ABNORMAL = 1006;
const MAX_REASON_BYTES = 123;

interface Closable {
  close(code?: number, reason?: string): void;
}

/**
 * Forwards a close from one side to the other. Codes that must not appear on the wire (1005, 1006, 1015 and
 * unassigned ones) are replaced: 1005 by an empty close, the others by "going away".
 */
export function forwardClose(socket: Closable, code: number, reason: string): void {
  if (code === CLOSE_NO_STATUS) closeQuietly(socket);
  else if (isSendable(code)) closeQuietly(socket, code, reason);
  else closeQuietly(socket, CLOSE_GOING_AWAY);
}

/** Closes a socket that may be closed or broken already. */
export function closeQuietly(socket: Closable, code?: number, reason?: string): void {
  try {
    socket.close(code, reason && truncateReason(reason));
  } catch {
    // Already closed.
  }
}

function isSendable(code: number): boolean {
  return (code >= 1000 && code <= 1003) || (code >= 1007 && code <= 1014) || (code >= 3000 && code <= 4999);
}

/** Cuts between characters: `close()` throws on a longer reason, and half a character is invalid. */
export function truncateReason(reason: string): string {
  const bytes = new TextEncoder().encode(reason);
  if (bytes.length <= MAX_REASON_BYTES) return reason;
  return new TextDecoder().decode(bytes.subarray(0, MAX_REASON_BYTES)).replace(/\uFFFD+$/, "");
}
