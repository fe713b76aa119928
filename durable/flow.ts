/**
 * Back-pressure: what a slow reader has not taken stays at the sender.
 *
 * `WebSocket.send()` never blocks and never fails on a slow reader; it queues without bound in the object's memory.
 * The only brake the platform offers is `blockConcurrencyWhile()`, during which no further frame (nor anything else) is
 * delivered to the object, so that TCP's own flow control reaches the sender. It stops all of the object's sessions,
 * hence short slices: between two of them every waiting event gets its turn.
 */

/** More than this unsent on one socket, and the object stops taking frames. */
const HIGH_WATER_BYTES = 1024 * 1024;
/** It goes on when the socket is down to this. */
const LOW_WATER_BYTES = 512 * 1024;
/** The longest that one slow reader may hold up everything else in the object at a time. */
const SLICE_MS = 50;
const POLL_MS = 1;

/** Runtimes since workerd 1.20261117 tell how much is queued; older ones do not, and their queues stay unseen. */
type MeasuredSocket = WebSocket & { readonly bufferedAmount?: number };

export class FlowGate {
  readonly #ctx: Pick<DurableObjectState, "blockConcurrencyWhile">;

  constructor(ctx: Pick<DurableObjectState, "blockConcurrencyWhile">) {
    this.#ctx = ctx;
  }

  /** To be called after each `send()` on a relayed socket. */
  sent(socket: MeasuredSocket): void {
    if (queuedBytes(socket) <= HIGH_WATER_BYTES) return;
    void this.#ctx.blockConcurrencyWhile(() => drained(socket, SLICE_MS));
  }
}

async function drained(socket: MeasuredSocket, withinMs: number): Promise<void> {
  const end = Date.now() + withinMs;
  while (queuedBytes(socket) > LOW_WATER_BYTES && Date.now() < end) await scheduler.wait(POLL_MS);
}

function queuedBytes(socket: MeasuredSocket): number {
  return socket.bufferedAmount ?? 0;
}
