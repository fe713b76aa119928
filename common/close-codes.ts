/** How a WebSocket is closed: what RFC 6455, section 7.4 allows, and `WebSocket.close()` accepts. */

/** RFC 6455, section 7.4.1, and what the IANA registry adds. */
export const CloseCode = {
  normal: 1000,
  goingAway: 1001,
  protocolError: 1002,
  /** Never on the wire: the peer's close frame had no code. */
  noStatus: 1005,
  /** Never on the wire: the connection ended without a close frame. */
  abnormal: 1006,
  invalidPayload: 1007,
  tooBig: 1009,
  tryAgainLater: 1013,
} as const;

const MAX_REASON_BYTES = 123;

interface Closable {
  close(code?: number, reason?: string): void;
}

/**
 * Forwards a close from one side to the other. Codes that must not appear on the wire (1005, 1006, 1015 and
 * unassigned ones) are replaced: 1005 by an empty close, the others by "going away".
 */
export function forwardClose(socket: Closable, code: number, reason: string): void {
  if (code === CloseCode.noStatus) closeQuietly(socket);
  else if (isSendableCloseCode(code)) closeQuietly(socket, code, reason);
  else closeQuietly(socket, CloseCode.goingAway);
}

/** Closes a socket that may be closed or broken already. */
export function closeQuietly(socket: Closable, code?: number, reason?: string): void {
  try {
    socket.close(code, reason && truncateReason(reason));
  } catch {
    // Already closed.
  }
}

/** Cuts between characters: `close()` throws on a longer reason, and half a character is invalid. */
export function truncateReason(reason: string): string {
  const bytes = new TextEncoder().encode(reason);
  if (bytes.length <= MAX_REASON_BYTES) return reason;
  return new TextDecoder().decode(bytes.subarray(0, MAX_REASON_BYTES)).replace(/\uFFFD+$/, "");
}

/** Whether an endpoint may send this code in a close frame (section 7.4 and the IANA registry). */
export function isSendableCloseCode(code: number): boolean {
  return (code >= 1000 && code <= 1003) || (code >= 1007 && code <= 1014) || (code >= 3000 && code <= 4999);
}
