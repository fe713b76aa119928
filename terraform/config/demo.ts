/** The demo cluster: somewhere to try things, made and destroyed at will. */
import * as z from "zod";
import { nonEmpty } from "../../worker/config/shared-fields.ts";

export const demoSchema = z
  .strictObject({
    digitalocean: z
      .strictObject({
        region: z
          .string()
          .regex(/^[a-z]{3}\d$/, "a region such as fra1")
          .describe("A region's slug, e.g. `fra1`."),
        version: z
          .string()
          .regex(/^1\.\d{2}$/, "a minor version such as 1.36")
          .describe("Kubernetes' minor version; the newest patch of it is taken."),
        nodes: z.int().min(1).max(20).default(3).describe("How many nodes."),
        nodeSize: nonEmpty.default("s-2vcpu-4gb").describe("Their size, by its slug."),
        ipRange: z.cidrv4().default("10.110.0.0/20").describe("Of the demo's own VPC."),
      })
      .describe("At DigitalOcean."),
  })
  .meta({ id: "demo", description: "The demo cluster: somewhere to try things, made and destroyed at will." });

export type Demo = z.output<typeof demoSchema>;
