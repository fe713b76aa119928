import type { Traffic } from "../../audit/events.ts";
import type { Status } from "../../kubernetes/status.ts";

export type Message = ArrayBuffer | string;

/**
 * Observes the traffic of one session without changing it: what counts as use, how the session ended, and how
 * to show the client a message in the terms of its protocol. It knows no socket and no clock.
 */
export interface Observer {
  /** @returns whether the message counts as use of the session for the idle limit */
  fromClient(message: Message): boolean;
  /** @returns whether the message counts as use of the session for the idle limit */
  fromUpstream(message: Message): boolean;
  /**
   * The channel of a binary message whose border carries no meaning. It may be merged with the next messages
   * of the same channel behind one channel byte. Undefined, or the method absent, where a message must stay
   * as it is.
   */
  streamOf?(message: Message): number | undefined;
  /** What the cluster said about the session's end, once it has. */
  finalStatus(): Status | undefined;
  /** The frames that make the client show `message` when they are the last before a close with 1000. */
  goodbyeFrames(message: string): (Uint8Array<ArrayBuffer> | string)[];
  /** What was read in the traffic so far, for the audit log. Absent where there is nothing to read. */
  traffic?(): Traffic;
  /**
   * The message goes into the close frame too, with code 1001: on any other, some clients of virtual machines
   * reconnect at once. kubectl needs 1000 and gets its message from `goodbyeFrames`.
   */
  readonly messageInCloseReason?: true;
  /** How long the client needs to show the message before the close, ms. */
  readonly lingerMs: number;
}

const utf8 = new TextEncoder();

/** Payload bytes of a message. */
export function sizeOf(message: Message): number {
  return typeof message === "string" ? utf8.encode(message).length : message.byteLength;
}
