/**
 * What the reader of a WebSocket has not read. `send()` queues without bound in the isolate's memory. Pure: the
 * time is an argument.
 */

/** With more than this unread, nothing more is read for it: what a user's object leaves unread as well. */
export const MAX_UNREAD_BYTES = 128 * 1024;
/**
 * A reader is dropped who takes nothing for so long although something waits. The object drops a watcher after
 * 30 s, and its log should say why the watch ended.
 */
export const MAX_STALL_MS = 45_000;

/** The socket of a reader. */
export interface MeasuredSocket {
  /** There since workerd 1.20261117. */
  readonly bufferedAmount?: number;
}

export class UnreadMeter {
  readonly #socket: MeasuredSocket;
  /** When it was last looked at. */
  #unreadBytes = 0;
  #progressAt: number;

  constructor(socket: MeasuredSocket, now: number) {
    this.#socket = socket;
    this.#progressAt = now;
  }

  /** Whether the reader has so much unread that it must be sent no more. */
  get isFull(): boolean {
    return this.#unreadNow >= MAX_UNREAD_BYTES;
  }

  /** To be called before something is sent, and again and again while nothing is. */
  look(now: number): void {
    const unread = this.#unreadNow;
    if (unread === 0 || unread < this.#unreadBytes) this.#progressAt = now;
    this.#unreadBytes = unread;
  }

  /** To be called after something was sent: to have more unread than before is no progress. */
  noteSent(): void {
    this.#unreadBytes = this.#unreadNow;
  }

  /** Whether the reader has taken nothing for too long. */
  isStalled(now: number): boolean {
    return now - this.#progressAt >= MAX_STALL_MS;
  }

  get #unreadNow(): number {
    return this.#socket.bufferedAmount ?? 0;
  }
}
