/** What several parts of the configuration document are made of. */
import * as z from "zod";
import { DEFAULT_MAX_CAST_BYTES } from "../../durable/recording/policy.ts";

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
  /** Sessions at once per user. The platform's documented ceiling of outgoing connections is 6. */
  maxSessionsPerUser: z.int().min(1).max(50),
  /** A session without input or output for so long is ended. */
  idleTimeoutSeconds: seconds(1, 14_400),
  /** No session lasts longer than this, however busy. */
  maxDurationSeconds: seconds(1, 86_400),
  /** A session whose reader takes nothing for so long, although something waits for it, is ended. */
  stallTimeoutSeconds: seconds(1, 120),
  /** A session ends when the Access token that opened it does. */
  endWithToken: z.boolean(),
};

export const limitsSchema = z.strictObject({
  maxSessionsPerUser: limitFields.maxSessionsPerUser.default(6),
  idleTimeoutSeconds: limitFields.idleTimeoutSeconds.default(1_800),
  maxDurationSeconds: limitFields.maxDurationSeconds.default(28_800),
  stallTimeoutSeconds: limitFields.stallTimeoutSeconds.default(30),
  endWithToken: limitFields.endWithToken.default(false),
});

/** A rule's own limits: they take the place of the wider ones field by field. */
export const limitOverrides = z
  .strictObject({
    maxSessionsPerUser: limitFields.maxSessionsPerUser.exactOptional(),
    idleTimeoutSeconds: limitFields.idleTimeoutSeconds.exactOptional(),
    maxDurationSeconds: limitFields.maxDurationSeconds.exactOptional(),
    stallTimeoutSeconds: limitFields.stallTimeoutSeconds.exactOptional(),
    endWithToken: limitFields.endWithToken.exactOptional(),
  })
  .default({});

const recordingFields = {
  /** `output`: what exec, attach and console sessions show. `full`: also what is typed, passwords included. */
  mode: z.enum(["off", "output", "full"]),
  /** What becomes of a session that cannot be recorded, or not any further. */
  onFailure: z.enum(["continue", "end"]),
  /** What becomes of a session whose recording has reached `maxBytes`. */
  onFull: z.enum(["continue", "end"]),
  /** The largest recording. What comes after is not in it, and it says so. */
  maxBytes: z
    .int()
    .min(64 * 1024)
    .max(1024 * 1024 * 1024),
};

export const recordingSchema = z.strictObject({
  mode: recordingFields.mode.default("output"),
  onFailure: recordingFields.onFailure.default("continue"),
  onFull: recordingFields.onFull.default("continue"),
  maxBytes: recordingFields.maxBytes.default(DEFAULT_MAX_CAST_BYTES),
});

/** A rule's own way of recording: it takes the place of the wider one field by field. */
export const recordingOverrides = z
  .strictObject({
    mode: recordingFields.mode.exactOptional(),
    onFailure: recordingFields.onFailure.exactOptional(),
    onFull: recordingFields.onFull.exactOptional(),
    maxBytes: recordingFields.maxBytes.exactOptional(),
  })
  .default({});
