/** How a session is recorded. */
export interface RecordingPolicy {
  /** `output`: what the session shows. `full`: also what the user types, passwords included. */
  readonly mode: "off" | "output" | "full";
  /** What happens to a session that cannot be recorded, or no longer. */
  readonly onFailure: "continue" | "end";
  /** What happens to a session whose cast has reached `maxBytes`. */
  readonly onFull: "continue" | "end";
  /** The largest cast, in bytes of its text. The cast marks the place where it was cut. */
  readonly maxBytes: number;
}

/** Whole lines of a cast that R2 does not have yet. */
export interface RecordingBlock {
  readonly bytes: Uint8Array;
  /** The offset in the cast to ask for next. */
  readonly next: number;
  /** There is no more than this at the moment. */
  readonly isLast: boolean;
}

/** The media type of asciicast files. */
export const CAST_CONTENT_TYPE = "application/x-asciicast";

/** The R2 key of a session's recording. */
export function recordingKey(sessionId: string): string {
  return `recordings/${sessionId}.cast`;
}
