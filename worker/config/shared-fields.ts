/**
 * What several parts of the configuration document are made of.
 *
 * Every field's meaning is its `describe`: docs/CONFIGURATION.md is made of them (`npm run config:reference`), so that it
 * stands in one place.
 */
import * as z from "zod";

export const nonEmpty = z.string().trim().min(1);

/** A text in which `*` stands for any run of characters, the empty one too. Everything else stands for itself. */
export const pattern = nonEmpty.max(256);

/** A name that goes to Kubernetes: printable ASCII without spaces, for it travels in an HTTP header. */
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
    .describe("Sessions at once per user. All of them share one object's memory."),
  idleTimeoutSeconds: seconds(1, 14_400).describe(
    "A session without input or output for so long is ended. The API server itself ends a stream that is idle for 4 h.",
  ),
  maxDurationSeconds: seconds(1, 86_400).describe("No session lasts longer than this, however busy."),
  stallTimeoutSeconds: seconds(1, 120).describe(
    "A session whose reader takes nothing for so long, although something waits for it, is ended.",
  ),
  endWithToken: z.boolean().describe("A session ends when the Access token that opened it does."),
};

export const limitsSchema = z
  .strictObject({
    maxSessionsPerUser: limitFields.maxSessionsPerUser.default(6),
    idleTimeoutSeconds: limitFields.idleTimeoutSeconds.default(1_800),
    maxDurationSeconds: limitFields.maxDurationSeconds.default(28_800),
    stallTimeoutSeconds: limitFields.stallTimeoutSeconds.default(30),
    endWithToken: limitFields.endWithToken.default(false),
  })
  .meta({ id: "limits", description: "What a session may use." });

/** A rule's own limits: they take the place of the wider ones field by field. */
export const limitOverrides = z
  .strictObject({
    maxSessionsPerUser: limitFields.maxSessionsPerUser.exactOptional(),
    idleTimeoutSeconds: limitFields.idleTimeoutSeconds.exactOptional(),
    maxDurationSeconds: limitFields.maxDurationSeconds.exactOptional(),
    stallTimeoutSeconds: limitFields.stallTimeoutSeconds.exactOptional(),
    endWithToken: limitFields.endWithToken.exactOptional(),
  })
  .meta({ id: "limitsOfARule", description: "Limits that take the place of the wider ones, field by field." })
  .default({});

const recordingFields = {
  mode: z
    .enum(["off", "output", "full"])
    .describe("`output`: what exec, attach and console sessions show. `full`: also what is typed, passwords included."),
  onFailure: z
    .enum(["continue", "end"])
    .describe("What becomes of a session that cannot be recorded, or not any further."),
  onFull: z.enum(["continue", "end"]).describe("What becomes of a session whose recording has reached `maxBytes`."),
  maxBytes: z
    .int()
    .min(64 * 1024)
    .max(1024 * 1024 * 1024)
    .describe("The largest recording, in bytes of the cast's text. What comes after is not in it, and it says so."),
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

/** A rule's own way of recording: it takes the place of the wider one field by field. */
export const recordingOverrides = z
  .strictObject({
    mode: recordingFields.mode.exactOptional(),
    onFailure: recordingFields.onFailure.exactOptional(),
    onFull: recordingFields.onFull.exactOptional(),
    maxBytes: recordingFields.maxBytes.exactOptional(),
  })
  .meta({
    id: "recordingOfARule",
    description: "A way of recording that takes the place of the wider one, field by field.",
  })
  .default({});
