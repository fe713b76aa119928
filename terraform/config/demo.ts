/** The demo cluster: somewhere to try things, made and destroyed at will. */
import * as z from "zod";
import { nonEmpty } from "../../worker/config/parts.ts";

export const demoSchema = z.strictObject({
  digitalocean: z.strictObject({
    /** A region's slug, e.g. `fra1`. */
    region: z.string().regex(/^[a-z]{3}\d$/, "a region such as fra1"),
    /** Kubernetes' minor version; the newest patch of it is taken. */
    version: z.string().regex(/^1\.\d{2}$/, "a minor version such as 1.36"),
    nodes: z.int().min(1).max(20).default(3),
    nodeSize: nonEmpty.default("s-2vcpu-4gb"),
    /** Of the demo's own VPC. */
    ipRange: z.cidrv4().default("10.110.0.0/20"),
  }),
});

export type Demo = z.output<typeof demoSchema>;
