/** A session's events as a part of the hash chain, for those who check it themselves. */
import * as z from "zod";
import { sessionEvent } from "./session.ts";

const chainedEvent = sessionEvent
  .omit({ data: true })
  .extend({ sessionId: z.string().describe("The session, API request or other thing that it is an event of.") })
  .meta({ id: "ChainedEvent", description: "An event of the audit log as it was hashed." });

export const sessionChain = z
  .strictObject({
    events: z.array(chainedEvent).describe("The session's events in order."),
    previous: chainedEvent
      .nullable()
      .describe(
        "The event that the session's first one is chained to: its `hash` is that one's `prevHash`. Null: see `isFirst` and `searchedRows`.",
      ),
    next: chainedEvent
      .nullable()
      .describe(
        "The next first event of the same object: its `prevHash` is the `hash` of the session's first one. Null: nothing followed, or it is further away.",
      ),
    isFirst: z.boolean().describe("Whether the session claims to be the first of its object: its `prevHash` is empty."),
    searchedRows: z
      .int()
      .describe("How many rows before and after were looked at. Beyond it: `npx sallyport audit-verify`."),
  })
  .meta({ id: "SessionChain", description: "A session in the hash chain: anybody can check it from this alone." });
