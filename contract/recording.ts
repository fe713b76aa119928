import * as z from "zod";

/** How a session is recorded. */
export const recordingPolicySchema = z
  .strictObject({
    /** `output`: what the session shows. `full`: also what the user types, passwords included. */
    mode: z.enum(["off", "output", "full"]),
    /** What happens to a session that cannot be recorded, or no longer. */
    onFailure: z.enum(["continue", "end"]),
    /** What happens to a session whose cast has reached `maxBytes`. */
    onFull: z.enum(["continue", "end"]),
    /** The largest cast, in bytes of its text. The cast marks the place where it was cut. */
    maxBytes: z.int().positive(),
  })
  .readonly();
export type RecordingPolicy = z.output<typeof recordingPolicySchema>;

/** Whole lines of a cast that R2 does not have yet. */
export const recordingBlockSchema = z
  .strictObject({
    bytes: z.instanceof(Uint8Array),
    /** The offset in the cast to ask for next. */
    next: z.int().nonnegative(),
    /** There is no more than this at the moment. */
    isLast: z.boolean(),
  })
  .readonly();
export type RecordingBlock = z.output<typeof recordingBlockSchema>;

/** The media type of asciicast files. */
export const CAST_CONTENT_TYPE = "application/x-asciicast";

/** Every recording has a key that begins so: the bucket lock is for this prefix. */
export const RECORDINGS_PREFIX = "recordings/";

/** The R2 key of a session's recording. */
export function recordingKey(sessionId: string): string {
  return `${RECORDINGS_PREFIX}${sessionId}.cast`;
}
