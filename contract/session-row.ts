import * as z from "zod";
import { OUTCOMES, RECORDING_STATES } from "../audit/events.ts";
import type { SessionRow } from "../audit/rows.ts";

const text = z.string();
const integer = z.int();

const forwardSchema = z
  .strictObject({
    port: integer.nullable(),
    connections: integer,
    bytes_in: integer,
    bytes_out: integer,
    errors: integer,
    first_error: text.nullable(),
  })
  .readonly();

/** A session as the view `sessions` of D1 has it. */
export const sessionRowSchema = z.strictObject({
  id: text,
  state: z.enum(["live", "ended"]),
  user: text,
  kubernetes_user: text,
  kubernetes_groups: z.array(text).readonly(),
  cluster: text,
  kind: text,
  namespace: text,
  pod: text,
  container: text.nullable(),
  command: z.array(text).readonly(),
  tty: z.boolean(),
  ports: z.array(integer).readonly(),
  recording_mode: z.enum(["off", "output", "full"]),
  client_address: text.nullable(),
  country: text.nullable(),
  sign_in: text.nullable(),
  device_id: text.nullable(),
  grants: z.array(text).readonly().nullable(),
  rule: text.nullable(),
  access_reason: text.nullable(),
  user_agent: text.nullable(),
  started_at: integer,
  ended_at: integer.nullable(),
  outcome: z.enum(OUTCOMES).nullable(),
  exit_code: integer.nullable(),
  reason: text.nullable(),
  ended_by: text.nullable(),
  bytes_in: integer.nullable(),
  bytes_out: integer.nullable(),
  messages_in: integer.nullable(),
  messages_out: integer.nullable(),
  forwards: z.array(forwardSchema).readonly().nullable(),
  unreadable: z.boolean().nullable(),
  recording: z.enum(RECORDING_STATES).nullable(),
  recording_bytes: integer.nullable(),
}) satisfies z.ZodType<SessionRow>;

/** A live session as its object describes it. */
export const liveSessionSchema = sessionRowSchema.extend({
  /**
   * When its client or its cluster last sent something, ms since the epoch. Pings and the like do not count.
   */
  active_at: integer,
  /** What it waits for: an approval before it begins, or somebody who watches it. null where it goes on. */
  waits_for: z.enum(["approval", "watcher"]).nullable(),
});
export type LiveSessionRow = z.output<typeof liveSessionSchema>;
