/** Whom the objects tell of events, as the routes of `/-/admin/webhooks` answer it. */
import * as z from "zod";

const destination = z
  .strictObject({
    name: z.string().describe("Its name in `SALLYPORT_WEBHOOKS`."),
    format: z.string().describe("`standard`, `slack` or `teams`."),
    events: z.array(z.string()).nullable().describe("The events that it is told of. Null: all."),
    waiting: z.int().describe("How many notifications of the directory wait for it."),
    failures: z.int().describe("How many attempts have failed in a row."),
    dropped: z.int().describe("How many notifications of the directory it will never get."),
    isGone: z.boolean().describe("Whether it answered 410, and is left alone."),
  })
  .meta({
    id: "WebhookDestination",
    description: "Whom to tell, and how that goes from the directory. Users' objects send on their own.",
  });

export const webhooks = z
  .strictObject({
    faults: z
      .array(z.string())
      .describe("Why nobody is told: what is wrong with `SALLYPORT_WEBHOOKS`. Normally empty."),
    address: z.string().nullable().describe("Where messages lead to. Null: they have no link."),
    destinations: z.array(destination).describe("Whom to tell."),
  })
  .meta({ id: "Webhooks", description: "Whom the objects tell of events. No address and no secret." });

export const webhooksTest = z
  .strictObject({
    id: z.string().describe("The event's id, which receivers get as `webhook-id`."),
    destinations: z.array(z.string()).describe("Names of those who get it."),
  })
  .meta({ id: "WebhooksTest", description: "A test is on its way." });
