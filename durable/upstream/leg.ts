import type { MessagePart } from "../protocols/framing.ts";

/**
 * The cluster's side of a session, over TCP or over the platform's WebSocket: what the relay needs of either.
 */

/** How the cluster's side ended. 1006 means that the connection broke without a close frame. */
export interface LegClose {
  readonly code: number;
  readonly reason: string;
}

/** Who takes what the cluster sends. */
export interface LegReceiver {
  onPart(part: MessagePart): void;
  /** What has arrived so far is delivered: a good moment to send on what was joined. */
  onPause(): void;
  /** @param payload that of the ping which it answers */
  onPong(payload: Uint8Array): void;
  /** Called once; nothing follows. */
  onClose(close: LegClose): void;
  /** A fault of Sallyport's own while it delivered, not the cluster's. Called once, instead of `onClose`. */
  onFailure(error: unknown): void;
  /**
   * Back-pressure: a promise while the client has too much unread, undefined when it has room. A leg over TCP
   * reads nothing until the promise resolves; one over the platform's WebSocket cannot wait, and does not
   * ask.
   */
  whenRoom(): Promise<void> | undefined;
}

export interface UpstreamLeg {
  /** What the cluster chose, "" for none. */
  readonly subprotocol: string;
  /** Whether the leg stops reading while `whenRoom` is pending. */
  readonly hasBackpressure: boolean;
  /** Whether the leg knows what the cluster has taken. Otherwise all that was ever sent counts as unsent. */
  readonly isMeasured: boolean;
  /**
   * Whether nothing passes, in either direction: the session waits for an approval, or for somebody who
   * watches it. Neither idle nor stalled.
   */
  readonly isHeld?: boolean;
  /** Whether, while it is held, what is sent must be stored. */
  readonly isHolding?: boolean;
  /** Whether, while it is held, what is sent is dropped. */
  readonly isDropping?: boolean;
  /** Memory of what the cluster has sent while it is held. */
  readonly heldOutputBytes?: number;
  /** Bytes that were given to `send` and that the cluster's side has not taken. */
  readonly unsentBytes: number;
  /** Bytes that the cluster's side has taken so far. Grows while it reads. */
  readonly takenBytes: number;
  /** Bytes of all messages that were sent, without what frames add. */
  readonly sentBytes: number;
  /** Begins to deliver. To be called once. */
  start(receiver: LegReceiver): void;
  /** Sends a message, after all before it. Whatever happens to the connection is told by `onClose`. */
  send(message: ArrayBuffer | Uint8Array | string): void;
  /**
   * Resolves within `blockConcurrencyWhile` when the cluster's side has taken all that it was sent, or is
   * gone, or after `maxMs`. Only a leg has it that can know: over TCP the end of a write is an event like
   * others, and waits.
   */
  readonly whenTaken?: ((maxMs: number) => Promise<void>) | undefined;
  /** Asks for a pong with this payload, where the leg can. */
  ping(payload: Uint8Array): void;
  /**
   * Sends a close frame, after everything before it. The connection stays open until the cluster answers, or
   * `abort`.
   */
  close(code?: number, reason?: string): void;
  /** Cuts the connection. */
  abort(): void;
}
