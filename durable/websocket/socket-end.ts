import { CloseCode } from "../../common/close-codes.ts";

/** What was on its way when a connection broke has arrived by then. */
export const SILENCE_MS = 1_000;

/**
 * Calls back once, when a WebSocket of the platform's has ended.
 *
 * An `error` is not the end: it says that nothing more can be sent. What the other side had sent before is
 * still delivered, and so is its close frame. A peer that answers a close and is gone at once looks like
 * that, and so does a command that exits while it is sent more. Only some broken sockets have no `close`
 * after it: they end as broken once they are silent.
 */
export function onSocketEnd(socket: WebSocket, onEnd: (code: number, reason: string) => void): void {
  let hasEnded = false;
  let messages = 0;
  const end = (code: number, reason: string) => {
    if (hasEnded) return;
    hasEnded = true;
    onEnd(code, reason);
  };
  const endOnceSilent = () => {
    const before = messages;
    setTimeout(() => {
      if (hasEnded) return;
      if (messages === before) end(CloseCode.abnormal, "");
      else endOnceSilent();
    }, SILENCE_MS);
  };
  socket.addEventListener("message", () => {
    messages++;
  });
  socket.addEventListener("close", ({ code, reason }) => end(code, reason));
  // The event has no details worth keeping.
  socket.addEventListener("error", endOnceSilent);
}
