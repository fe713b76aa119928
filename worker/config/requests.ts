/** Which plain requests the record has. Denied ones, those for tokens and administrators' orders it has always. */
import * as z from "zod";
import { exceptionSchema } from "./rules.ts";
import { pattern } from "./shared-fields.ts";

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

const record = z.boolean().default(true).describe("Whether they are in the record at all.");
const EXCEPT = "Which of them are left out. All that one exception names must hold.";

export const requestsSchema = z
  .strictObject({
    precursors: z
      .strictObject({ record, except: exceptions.default([]).describe(EXCEPT) })
      .prefault({})
      .describe(
        "Requests that may run a command without a session, or prepare one: pods, ephemeral containers, the kubelet.",
      ),
    secretReads: z
      .strictObject({
        record,
        resources: z.array(pattern).min(1).default(SECRETS).describe("What is a secret, as rules write resources."),
        except: exceptions.default([]).describe(EXCEPT),
      })
      .prefault({})
      .describe("get, list and watch of secrets."),
    mutations: z
      .strictObject({ record, except: exceptions.default(MACHINE_NOISE).describe(EXCEPT) })
      .prefault({})
      .describe("Whatever else may change something, dry runs included."),
  })
  .meta({
    id: "requests",
    description:
      "Which plain requests are on record. Denied ones, those for tokens and administrators' orders always are, whatever stands here.",
  });

export type RequestAuditConfig = z.output<typeof requestsSchema>;
