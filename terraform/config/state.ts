/** Where Terraform keeps its state, which contains tunnels' tokens and service tokens' secrets. */
import * as z from "zod";
import { nonEmpty } from "../../worker/config/shared-fields.ts";

const bucket = z
  .string()
  .regex(/^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$/, "a bucket's name")
  .describe("The name of an existing bucket.");
const prefix = z
  .string()
  .regex(/^[\w.-]+(\/[\w.-]+)*$/, "a path without slashes at its ends")
  .default("sallyport")
  .describe("The path in the bucket, before the deployment's name and each stack's.");

export const stateSchema = z
  .discriminatedUnion("kind", [
    z.strictObject({
      kind: z.literal("local").describe("Files on this machine: for a single operator."),
      directory: nonEmpty
        .default("terraform/state")
        .describe("Relative to the deployment file. Each deployment has a folder of its own name in it."),
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
      kind: z.literal("s3").describe("A bucket of S3, or of an S3-compatible store."),
      bucket,
      prefix,
      region: nonEmpty.describe("The bucket's region."),
      endpoint: z
        .url({ protocol: /^https$/ })
        .exactOptional()
        .describe("The endpoint of an S3-compatible store."),
      kmsKeyId: nonEmpty.exactOptional().describe("The KMS key that S3 encrypts the state with."),
    }),
  ])
  .meta({
    id: "state",
    description: "Where Terraform keeps its state, which contains tunnels' tokens and service tokens' secrets.",
  });

export type State = z.output<typeof stateSchema>;
