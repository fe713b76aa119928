/** How Sallyport is, what its document says, and what it would decide. */
import * as z from "zod";
import { MAX_COUNTED_SESSIONS } from "../../../common/counted-sessions.ts";
import { drain } from "./drain.ts";
import { exportStatus } from "./export.ts";
import { time } from "./shared.ts";

const texts = (meaning: string) => z.array(z.string()).default([]).describe(meaning);
/** Names in a cluster travel in HTTP headers. */
const HEADER_TEXT = /^[\x20-\x7e]{1,512}$/;

export const explainQuery = z.strictObject({
  as: z
    .string()
    .regex(/^[!-~]{1,512}$/, "must be an email address, or service:<client id>")
    .exactOptional()
    .describe("Who would ask: an email address, or `service:<client id>`. It must be given."),
  request: z
    .string()
    .regex(/^[A-Z]{1,16} \/\S{0,4000}$/, "must look like GET /api/v1/pods")
    .exactOptional()
    .describe("What for: a method and a path with its query, such as `GET /api/v1/pods`. It must be given."),
  cluster: z.string().exactOptional().describe("The cluster's name in the configuration. Default: the first."),
  group: texts("Ids of groups at the identity provider. May be repeated, as those that follow may."),
  groupName: texts("Names or email addresses of groups at the identity provider."),
  claim: z
    .array(z.string().regex(/^[^=]+=/, "must look like name=value"))
    .default([])
    .describe("Claims of the token, such as `custom.team=sre`."),
  posture: texts("Device posture checks that succeeded."),
  grant: texts("Names of the grants that they have."),
  country: z.string().exactOptional().describe("The country that they come from, such as `DE`."),
  upgrade: z
    .string()
    .exactOptional()
    .describe("The header `Upgrade`, or `none`. Default: what the path's kind of request needs."),
  contentType: z.string().exactOptional().describe("The header `Content-Type`."),
  kubectlAs: z.string().regex(HEADER_TEXT, "must be printable ASCII").exactOptional().describe("kubectl's `--as`."),
  kubectlAsGroup: z
    .array(z.string().regex(HEADER_TEXT, "must be printable ASCII"))
    .default([])
    .describe("kubectl's `--as-group`."),
});

export const explanation = z
  .strictObject({
    allowed: z.boolean().describe("Whether Sallyport would let it pass. The cluster's RBAC decides the rest."),
    steps: z
      .array(
        z.strictObject({
          step: z.string().describe("What it is about; the last is `ALLOWED` or `REFUSED`."),
          text: z.string().describe("What was found out."),
          rule: z
            .string()
            .nullable()
            .describe(
              "The rule that decided: one of the document, or of what is closed by default. Null: none did here.",
            ),
        }),
      )
      .describe("How it was decided, in order."),
  })
  .meta({ id: "Explanation", description: "What would be decided about a request that was never sent." });

export const configInForce = z
  .strictObject({
    version: z.string().nullable().describe("Cloudflare's id of the Worker's version. Null: it is not bound."),
    roles: z
      .array(
        z.strictObject({
          rule: z.string().describe("The identity rule, `identities[0]` for the first."),
          match: z.record(z.string(), z.unknown()).describe("Whom it is about: all that it names."),
          roles: z
            .array(z.enum(["admin", "auditor"]))
            .readonly()
            .describe("What they may."),
        }),
      )
      .describe("Who has which role. The first identity rule that matches somebody decides, also one without roles."),
    document: z
      .record(z.string(), z.unknown())
      .describe("The document with its defaults, as `SALLYPORT_CONFIG` has it. It has no secret."),
  })
  .meta({ id: "ConfigInForce", description: "The configuration that this Worker goes by." });

const databaseHealth = z
  .strictObject({
    bytes: z.int().nullable().describe("Its size. Null: D1 does not say."),
    maxBytes: z.int().describe("What D1 takes."),
    newestRow: z.int().describe("The number of the newest event."),
    newestAt: time.nullable().describe("When it happened. Null: there is none."),
    eventsPerDay: z.int().nullable().describe("By the newest 100,000 events. Null: they are of less than an hour."),
    bytesPerDay: z.int().nullable().describe("The same in bytes."),
    fullAt: time
      .nullable()
      .describe("When it is full if it goes on so, and no row leaves it. Null: nobody can tell, or not in 100 years."),
  })
  .meta({ id: "DatabaseHealth", description: "The audit database." });

const sealHealth = z
  .strictObject({
    month: z.string().describe("The month of the last sealed range."),
    sealedAt: time.describe("When it was sealed."),
    lastRow: z.int().describe("The number of its last event."),
    unsealedRows: z.int().describe("How many newer events there are."),
  })
  .meta({ id: "SealHealth", description: "The last seal of the audit log." });

const unsealedHealth = z
  .strictObject({
    oldestAt: time.describe("When the oldest of them happened."),
    month: z.string().describe("Their month: they are sealed once it is over, at the latest a day later."),
  })
  .meta({ id: "UnsealedHealth", description: "The events that the next seal is about." });

export const systemHealth = z
  .strictObject({
    version: z.string().nullable().describe("Cloudflare's id of the edge Worker's version. Null: it is not bound."),
    database: databaseHealth.nullable().describe("Null: D1 does not answer."),
    seal: sealHealth.nullable().describe("Null: nothing is sealed yet, or D1 does not answer."),
    unsealed: unsealedHealth.nullable().describe("Null: every event is sealed, or D1 does not answer."),
    keepMonths: z.int().nullable().describe("After how many months sealed rows leave D1. Null: never."),
    recentChain: z
      .strictObject({
        events: z.int().describe("How many of the newest events were checked just now."),
        broken: z
          .array(z.strictObject({ sessionId: z.string().describe("Whose."), seq: z.int().describe("Which.") }))
          .describe("Those that are not as they were hashed. `npx sallyport audit-verify` checks the whole log."),
      })
      .nullable()
      .describe("Null: D1 does not answer."),
    export: exportStatus.nullable().describe("Null: R2 or D1 does not answer."),
    drain: drain.nullable().describe("Null: the directory does not answer."),
    objects: z
      .strictObject({
        version: z.string().nullable().describe("Cloudflare's id of the objects' version. Null: it is not bound."),
        undeliveredSince: time
          .nullable()
          .describe("Since when events of some object have waited for D1, once it is 5 minutes. Null: none has."),
      })
      .nullable()
      .describe("Users' objects, as far as the directory knows. Null: it does not answer."),
    live: z
      .strictObject({
        sessions: z.int().describe(`How many sessions are live, at most ${MAX_COUNTED_SESSIONS}.`),
        complete: z.boolean().describe("Whether every user's object has reported since the directory's last restart."),
      })
      .nullable()
      .describe("Null: the directory does not answer."),
  })
  .meta({ id: "SystemHealth", description: "How the parts of Sallyport are. It answers also where they do not." });
