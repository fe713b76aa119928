import type { Status } from "../../kubernetes/status.ts";

export type Message = ArrayBuffer | string;

/**
 * Follows one session's traffic without changing it: what counts as use, how it ended, and how to tell the client
 * something in the protocol's own terms. Knows no socket and no clock.
 */
export interface Observer {
  /** @returns whether the message is use of the session, as the idle limit understands it */
  fromClient(message: Message): boolean;
  /** @returns whether the message is use of the session, as the idle limit understands it */
  fromUpstream(message: Message): boolean;
  /** What the cluster said of the session's end, once it has. */
  finalStatus(): Status | undefined;
  /** The messages that make the client show `words` when they are the last before a close with 1000. */
  farewell(words: string): (Uint8Array<ArrayBuffer> | string)[];
  /** How long the client needs to show a farewell before it is hung up on, ms. */
  readonly lingerMs: number;
}

/** Payload bytes of a message. Text is counted in UTF-16 units: these protocols' text messages are ASCII. */
export function sizeOf(message: Message): number {
  return typeof message === "string" ? message.length : message.byteLength;
}
