/** What `GET /-/admin/live` and `GET /-/access/live` send: a record per line, or per event. */
import * as z from "zod";
import { accessRequest } from "./access.ts";
import { session } from "./session.ts";
import { time } from "./shared.ts";

export const STREAM_CONTENT_TYPES = { lines: "application/jsonl", events: "text/event-stream" } as const;

const counts = session
  .pick({ id: true, waitsFor: true, bytesIn: true, bytesOut: true, messagesIn: true, messagesOut: true })
  .extend({ lastUsedAt: time.describe("When its client or its cluster last sent something.") });

const alive = z.strictObject({ type: z.literal("alive") }).describe("Nothing has changed for 15 seconds.");

/** A part of the stream of live sessions. A client keeps sessions by their ids, and ignores types that it does not know. */
export const liveRecord = z.discriminatedUnion("type", [
  z
    .strictObject({
      type: z.literal("summary"),
      complete: z
        .boolean()
        .describe("False while the directory has not heard from every user's object since its last restart."),
      omitted: z.int().describe("How many live sessions are not told of: the oldest, beyond 2,000."),
    })
    .describe("The first record, and again when it has changed."),
  z
    .strictObject({ type: z.literal("sessions"), sessions: z.array(session) })
    .describe("These are live: at first all of them, then those that have begun."),
  z
    .strictObject({ type: z.literal("counts"), sessions: z.array(counts) })
    .describe("What has changed of sessions that are live."),
  z.strictObject({ type: z.literal("ended"), ids: z.array(z.string()) }).describe("These are not live any more."),
  alive,
]);
export type LiveRecordJson = z.output<typeof liveRecord>;

/** A part of the stream of requests for access. A client ignores types that it does not know. */
export const accessRecord = z.discriminatedUnion("type", [
  z
    .strictObject({ type: z.literal("requests"), requests: z.array(accessRequest) })
    .describe(
      "These are `pending` or `active`: at first all of them, in records of up to 50 of which the first may have none, then whatever is new or has changed.",
    ),
  z
    .strictObject({ type: z.literal("over"), ids: z.array(z.string()) })
    .describe("These were told before, and are neither `pending` nor `active` any more, or are left out."),
  alive,
]);
export type AccessRecordJson = z.output<typeof accessRecord>;
