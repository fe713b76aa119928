/**
 * Fields that several parts of the configuration document share.
 *
 * A field's documentation is its `describe`. docs/CONFIGURATION.md is generated from these (`npm run
 * docs:generate`).
 */
import * as z from "zod";

export const nonEmpty = z.string().trim().min(1);

/** A pattern: `*` is any run of characters, also an empty one. Every other character is literal. */
export const pattern = nonEmpty.max(256);

/** A name for Kubernetes: printable ASCII without spaces, because it travels in an HTTP header. */
export const kubernetesName = z
  .string()
  .min(1)
  .max(256)
  .regex(/^[\x21-\x7e]+$/, "printable ASCII without spaces: it travels in an HTTP header");

const seconds = (least: number, most: number) => z.int().min(least).max(most);

const limitFields = {
  maxSessionsPerUser: z
    .int()
    .min(1)
    .max(50)
    .describe("Concurrent sessions per user. They share the memory of one Durable Object."),
  idleTimeoutSeconds: seconds(1, 14_400).describe(
    "A session without input or output for this long is ended. The API server itself ends streams that are idle for 4 h.",
  ),
  maxDurationSeconds: seconds(1, 86_400).describe("No session lasts longer than this."),
  stallTimeoutSeconds: seconds(1, 14_400).describe(
    "A session is ended if one side reads nothing for this long although data waits for it. Until then a reader may pause.",
  ),
  maxBufferedStdinBytes: z
    .int()
    .min(0)
    .max(1024 * 1024 * 1024)
    .describe(
      "Input that a command does not read is kept in the user's Durable Object up to this many bytes per session; a session with more is ended.",
    ),
  endWithToken: z.boolean().describe("A session ends when the Access token that opened it expires."),
};

export const limitsSchema = z
  .strictObject({
    maxSessionsPerUser: limitFields.maxSessionsPerUser.default(6),
    idleTimeoutSeconds: limitFields.idleTimeoutSeconds.default(1_800),
    maxDurationSeconds: limitFields.maxDurationSeconds.default(28_800),
    stallTimeoutSeconds: limitFields.stallTimeoutSeconds.default(3_600),
    maxBufferedStdinBytes: limitFields.maxBufferedStdinBytes.default(256 * 1024 * 1024),
    endWithToken: limitFields.endWithToken.default(false),
  })
  .meta({ id: "limits", description: "Limits of sessions." });

/** A rule's own limits. Each field overrides the more general one. */
export const limitOverrides = z
  .strictObject({
    maxSessionsPerUser: limitFields.maxSessionsPerUser.exactOptional(),
    idleTimeoutSeconds: limitFields.idleTimeoutSeconds.exactOptional(),
    maxDurationSeconds: limitFields.maxDurationSeconds.exactOptional(),
    stallTimeoutSeconds: limitFields.stallTimeoutSeconds.exactOptional(),
    maxBufferedStdinBytes: limitFields.maxBufferedStdinBytes.exactOptional(),
    endWithToken: limitFields.endWithToken.exactOptional(),
  })
  .meta({ id: "limitsOfARule", description: "Limits of a rule. Each field overrides the more general one." })
  .default({});

const recordingFields = {
  mode: z
    .enum(["off", "output", "full"])
    .describe(
      "`output`: the output of exec, attach and console sessions. `full`: also what the user types, passwords included.",
    ),
  onFailure: z.enum(["continue", "end"]).describe("What happens to a session that cannot be recorded, or no longer."),
  onFull: z.enum(["continue", "end"]).describe("What happens to a session whose recording has reached `maxBytes`."),
  maxBytes: z
    .int()
    .min(64 * 1024)
    .max(1024 * 1024 * 1024)
    .describe("The largest recording, in bytes of its text. A recording that was cut says so at its end."),
};

const DEFAULT_MAX_CAST_BYTES = 64 * 1024 * 1024;

export const recordingSchema = z
  .strictObject({
    mode: recordingFields.mode.default("output"),
    onFailure: recordingFields.onFailure.default("continue"),
    onFull: recordingFields.onFull.default("continue"),
    maxBytes: recordingFields.maxBytes.default(DEFAULT_MAX_CAST_BYTES),
  })
  .meta({ id: "recording", description: "How sessions are recorded." });

/** A rule's own recording settings. Each field overrides the more general one. */
export const recordingOverrides = z
  .strictObject({
    mode: recordingFields.mode.exactOptional(),
    onFailure: recordingFields.onFailure.exactOptional(),
    onFull: recordingFields.onFull.exactOptional(),
    maxBytes: recordingFields.maxBytes.exactOptional(),
  })
  .meta({
    id: "recordingOfARule",
    description: "Recording settings of a rule. Each field overrides the more general one.",
  })
  .default({});
