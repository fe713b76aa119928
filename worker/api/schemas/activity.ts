/** What somebody did, across sessions and API requests. */
import * as z from "zod";
import { apiRequest } from "./api-request.ts";
import { session } from "./session.ts";
import { CURSOR_ERROR, limitParameter, nextPage, time, timeParameter } from "./shared.ts";

const activity = z
  .strictObject({
    at: time.describe("When the session began, or the request came."),
    what: z.enum(["session", "request"]).describe("Which of the two it is."),
    session: session.nullable().describe("The session. Null: it is an API request."),
    request: apiRequest.nullable().describe("The API request. Null: it is a session."),
  })
  .meta({ id: "Activity", description: "A session or an API request of somebody." });

export const latestActivity = z
  .strictObject({
    user: z.string().describe("Who."),
    since: time.describe("From when on."),
    items: z
      .array(activity)
      .describe("Newest first: at most 50 sessions that began since then, 50 live ones, and 50 API requests."),
    complete: z
      .boolean()
      .describe("Whether these are all. False: earlier ones are left out, or the directory does not answer."),
  })
  .meta({ id: "LatestActivity", description: "What somebody did lately." });

export const activityQuery = z.strictObject({
  since: timeParameter.exactOptional().describe("Only what began at this time or later."),
  until: timeParameter.exactOptional().describe("Only what began before this time."),
  limit: limitParameter,
  cursor: z
    .string()
    .regex(/^[\w.-]{0,90}~[0-9a-zTZ:.-]{0,64}$/, CURSOR_ERROR)
    .exactOptional()
    .describe("The `next` of the page before."),
});

export const activityPage = z
  .strictObject({ items: z.array(activity).describe("Newest first."), next: nextPage })
  .meta({ id: "ActivityPage", description: "One page of what somebody did." });
