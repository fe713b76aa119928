import type { Traffic } from "../../audit/events.ts";
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
  /**
   * The channel of a binary message whose border carries no meaning, so that it may be joined with the next ones of the
   * same channel behind one channel byte; undefined, or the method absent, where it must stay as it is.
   */
  streamOf?(message: Message): number | undefined;
  /** What the cluster said of the session's end, once it has. */
  finalStatus(): Status | undefined;
  /** The messages that make the client show `words` when they are the last before a close with 1000. */
  goodbyeFrames(words: string): (Uint8Array<ArrayBuffer> | string)[];
  /** What has been read of the traffic so far, for the record; absent where there is nothing to say. */
  traffic?(): Traffic;
  /**
   * The words of a session's end go into its close frame too. With code 1001: on any other, some virtual machine
   * clients connect again at once. kubectl needs 1000 and has its words in `farewell`.
   */
  readonly messageInCloseReason?: true;
  /** How long the client needs to show a farewell before it is hung up on, ms. */
  readonly lingerMs: number;
}

const utf8 = new TextEncoder();

/** Payload bytes of a message. */
export function sizeOf(message: Message): number {
  return typeof message === "string" ? utf8.encode(message).length : message.byteLength;
}
