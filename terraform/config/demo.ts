/** A demo cluster that can be created and destroyed at any time. */
import * as z from "zod";
import { nonEmpty } from "../../worker/config/shared-fields.ts";

export const demoSchema = z
  .strictObject({
    digitalocean: z
      .strictObject({
        region: z
          .string()
          .regex(/^[a-z]{3}\d$/, "a region such as fra1")
          .describe("A region's slug, such as `fra1`."),
        version: z
          .string()
          .regex(/^1\.\d{2}$/, "a minor version such as 1.36")
          .describe("Kubernetes' minor version; its newest patch is used."),
        nodes: z.int().min(1).max(20).default(3).describe("The number of nodes."),
        nodeSize: nonEmpty.default("s-2vcpu-4gb").describe("Their size, a slug."),
        ipRange: z.cidrv4().default("10.110.0.0/20").describe("The address range of the demo's VPC."),
      })
      .describe("A cluster at DigitalOcean."),
  })
  .meta({ id: "demo", description: "A demo cluster that can be created and destroyed at any time." });

export type Demo = z.output<typeof demoSchema>;
