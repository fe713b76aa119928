/** Which API requests are recorded. Denied ones, those for tokens and admin commands always are. */
import * as z from "zod";
import { exceptionSchema } from "./rules.ts";
import { pattern } from "./shared-fields.ts";

const exceptions = z.array(exceptionSchema);

/** Aggregated APIs may have secrets of the same name. Rather record too many of their reads than too few. */
const SECRETS = ["secrets", "secrets/*", "secrets.*"];

const record = z.boolean().default(true).describe("Whether they are recorded.");
const EXCEPT = "Exceptions, which are not recorded. An exception applies if everything that it names holds.";

export const requestsSchema = z
  .strictObject({
    precursors: z
      .strictObject({ record, except: exceptions.default([]).describe(EXCEPT) })
      .prefault({})
      .describe(
        "Requests that may run a command without a session, or prepare one: pods and their templates, whatever goes through a `proxy` subresource, KubeVirt's subresources, roles and their bindings, webhooks, API services.",
      ),
    secretReads: z
      .strictObject({
        record,
        resources: z
          .array(pattern)
          .min(1)
          .default(SECRETS)
          .describe("The resources that are secrets, written as in rules."),
        except: exceptions.default([]).describe(EXCEPT),
      })
      .prefault({})
      .describe("Reads of secrets: get, list and watch."),
    mutations: z
      .strictObject({ record, except: exceptions.default([]).describe(EXCEPT) })
      .prefault({})
      .describe(
        "Every other request that may change something, dry runs included. Leases and events that are written again and again are counted.",
      ),
    maxChangesPerMinute: z
      .int()
      .min(10)
      .max(100_000)
      .default(600)
      .describe(
        "How many recorded changes a person may make per minute, at the clusters of one location hint. A change beyond it is refused (429). Controllers that work through a service token may need more.",
      ),
    maxChangesPerDay: z
      .int()
      .min(100)
      .max(100_000_000)
      .default(50_000)
      .describe(
        "How many recorded changes a person may make per day (UTC), at the clusters of one location hint. A change beyond it is refused (429), one of an administrator beyond twice as many. A change whose row is larger than 4 KB counts as several, so it bounds what one person can add to the database.",
      ),
  })
  .meta({
    id: "requests",
    description: "Which API requests are recorded. Denied ones, those for tokens and admin commands always are.",
  });

export type RequestAuditConfig = z.output<typeof requestsSchema>;
