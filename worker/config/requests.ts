/** Which plain requests the record has. Denied ones, those for tokens and administrators' orders it has always. */
import * as z from "zod";
import { pattern } from "./parts.ts";
import { exceptionSchema } from "./rules.ts";

const exceptions = z.array(exceptionSchema);

/**
 * Leader election's heartbeats and what controllers say happened, which nobody reads here. Deleting them is left in:
 * somebody might be covering tracks.
 */
const MACHINE_NOISE: z.output<typeof exceptions> = [
  {
    resources: ["leases.coordination.k8s.io", "events", "events.events.k8s.io"],
    verbs: ["create", "update", "patch"],
  },
];

/** Aggregated APIs may keep secrets under the same name; rather too many of their reads in the record than one too few. */
const SECRETS = ["secrets", "secrets/*", "secrets.*"];

export const requestsSchema = z.strictObject({
  precursors: z.strictObject({ record: z.boolean().default(true), except: exceptions.default([]) }).prefault({}),
  secretReads: z
    .strictObject({
      record: z.boolean().default(true),
      /** What is a secret, as rules write resources. */
      resources: z.array(pattern).min(1).default(SECRETS),
      except: exceptions.default([]),
    })
    .prefault({}),
  mutations: z
    .strictObject({ record: z.boolean().default(true), except: exceptions.default(MACHINE_NOISE) })
    .prefault({}),
});

export type RequestAuditConfig = z.output<typeof requestsSchema>;
