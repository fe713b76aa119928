import type { Traffic } from "../../audit/events.ts";
import type { Status } from "../../kubernetes/status.ts";
import type { Chunk } from "./chunk.ts";

/**
 * What an observer says about a chunk: whether it counts as use of the session for the idle limit, or that
 * the session must end before the chunk is passed on. The violation's text is for the session's user.
 */
export type Observation = "use" | "idle" | { readonly violation: string };

/**
 * Observes the traffic of one session without changing it: what counts as use, how the session ended, and how
 * to show the client a message in the terms of its protocol. It knows no socket and no clock, and depends on
 * no border between chunks of a stream.
 *
 * Every chunk costs a bounded amount of work and memory, whatever is in it.
 */
export interface Observer {
  fromClient(chunk: Chunk): Observation;
  fromUpstream(chunk: Chunk): Observation;
  /** What it took to parse the client's last chunk, in frames. Absent where its size alone tells. */
  readonly parsedFrames?: number;
  /**
   * What the cluster said about the session's end, once it has. Cheap enough to be asked after every chunk.
   *
   * @param clusterCloseCode with which the cluster closed. In some protocols, a normal close alone says that
   *   the command succeeded.
   */
  finalStatus(clusterCloseCode?: number): Status | undefined;
  /** The frames that make the client show `message` when they are the last before a close with 1000. */
  goodbyeFrames(message: string): (Uint8Array<ArrayBuffer> | string)[];
  /**
   * The frames that show the client a notice among the session's output, and change nothing else. Absent or
   * empty where the client would not show one.
   */
  noticeFrames?(notice: Notice): (Uint8Array<ArrayBuffer> | string)[];
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

/** A line of Sallyport's for the client. */
export interface Notice {
  readonly line: string;
  /** Output that a program may read must have none. */
  readonly onlyTerminal?: boolean;
  /**
   * The command has not begun: nothing is on the terminal's line, and stderr is still Sallyport's, whether
   * the client asked for it or not.
   */
  readonly isBeforeCommand?: boolean;
}

/** Any payload is use: for protocols that say nothing of their own accord. */
export function observationOf({ size }: Chunk): Observation {
  return size > 0 ? "use" : "idle";
}
