/** Where Terraform keeps its state, which has the tunnels' tokens in it. */
import * as z from "zod";
import { nonEmpty } from "../../worker/config/shared-fields.ts";

const bucket = z
  .string()
  .regex(/^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$/, "a bucket's name")
  .describe("The bucket's name. It must be there already.");
const prefix = z
  .string()
  .regex(/^[\w.-]+(\/[\w.-]+)*$/, "a path without slashes at its ends")
  .default("sallyport")
  .describe("Before each stack's name in the bucket.");

export const stateSchema = z
  .discriminatedUnion("kind", [
    z.strictObject({
      kind: z.literal("local").describe("Files of this machine: for one person."),
      directory: nonEmpty.default("terraform/state").describe("Seen from the deployment file."),
    }),
    z.strictObject({
      kind: z
        .literal("r2")
        .describe(
          "An R2 bucket of the same account, with an R2 API token in AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY.",
        ),
      bucket,
      prefix,
    }),
    z.strictObject({
      kind: z.literal("s3").describe("A bucket of S3, or of a store that speaks its language."),
      bucket,
      prefix,
      region: nonEmpty.describe("The bucket's region."),
      endpoint: z
        .url({ protocol: /^https$/ })
        .exactOptional()
        .describe("Of another S3-compatible store."),
      kmsKeyId: nonEmpty.exactOptional().describe("The key that S3 encrypts it with."),
    }),
  ])
  .meta({ id: "state", description: "Where Terraform keeps its state, which has the tunnels' tokens in it." });

export type State = z.output<typeof stateSchema>;
