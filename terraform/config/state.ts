/** Where Terraform keeps its state, which has the tunnels' tokens in it. */
import * as z from "zod";
import { nonEmpty } from "../../worker/config/parts.ts";

const bucket = z.string().regex(/^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$/, "a bucket's name");
/** Before each stack's name in the bucket. */
const prefix = z
  .string()
  .regex(/^[\w.-]+(\/[\w.-]+)*$/, "a path without slashes at its ends")
  .default("sallyport");

export const stateSchema = z.discriminatedUnion("kind", [
  /** Files of this machine: for one person. `directory` is seen from the deployment file. */
  z.strictObject({ kind: z.literal("local"), directory: nonEmpty.default("terraform/state") }),
  /** An R2 bucket of the same account, with an R2 API token in AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY. */
  z.strictObject({ kind: z.literal("r2"), bucket, prefix }),
  z.strictObject({
    kind: z.literal("s3"),
    bucket,
    prefix,
    region: nonEmpty,
    /** Of another S3-compatible store. */
    endpoint: z.url({ protocol: /^https$/ }).exactOptional(),
    kmsKeyId: nonEmpty.exactOptional(),
  }),
]);

export type State = z.output<typeof stateSchema>;
