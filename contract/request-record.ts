/** What the edge tells an object of an API request. The object trusts none of it: every text has a bound. */
import * as z from "zod";
import { CATEGORIES, DECISIONS } from "../audit/request-categories.ts";
import type { AuditedRequest } from "../audit/request-events.ts";
import { personStateSchema } from "./person-state.ts";

/**
 * The most characters of each text. Their sum bounds the row in D1, whoever sends what; docs/SIZING.md says
 * how large it can get. Names are as long as Kubernetes lets them be, but for users', which Access gives.
 */
export const REQUEST_TEXT_CHARS = {
  identity: 512,
  name: 253,
  reason: 512,
  /** Of all groups together. */
  groups: 256,
  path: 1_024,
  userAgent: 256,
  short: 64,
} as const;

const { identity, groups, name, reason, path, userAgent, short } = REQUEST_TEXT_CHARS;
const text = (chars: number) => z.string().max(chars).nullable();
/** The text at the end of a cut list comes on top. */
const groupList = z
  .array(z.string())
  .readonly()
  .refine((list) => list.join("").length <= groups + short)
  .exactOptional();
/** Up to the year 9999, which ids have four digits for. */
const milliseconds = z.int().nonnegative().max(253_402_300_799_999);

/** `2026-11-17T09:30:00.000Z-…`: the time of arrival, then what makes it unique. */
export const requestIdSchema = z.string().regex(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z-[0-9a-z]{16,32}$/);

export const auditedRequestSchema = z
  .strictObject({
    user: text(identity),
    location_hint: text(short),
    arrived_at: milliseconds,
    kubernetes_user: text(identity),
    kubernetes_groups: groupList,
    own_kubernetes_user: z.string().max(identity).exactOptional(),
    own_kubernetes_groups: groupList,
    cluster: text(name),
    category: z.enum(CATEGORIES),
    decision: z.enum(DECISIONS),
    rule: text(name),
    refusal: text(short),
    reason: text(reason),
    method: z.string().max(short),
    path: text(path),
    verb: text(short),
    api_group: text(name),
    resource: text(name),
    subresource: text(name),
    namespace: text(name),
    name: text(name),
    status: z.int().nullable(),
    client_address: text(short),
    country: text(short),
    user_agent: text(userAgent),
    ray: text(short),
    sign_in: z.string().max(short).exactOptional(),
    device_id: z.string().max(short).exactOptional(),
    grants: groupList,
  })
  .readonly() satisfies z.ZodType<AuditedRequest>;

/** What the configuration says of an object's journal. */
export const requestLimitsSchema = z
  .strictObject({
    maxChangesPerMinute: z.int().positive(),
    maxChangesPerDay: z.int().positive(),
    maxQueuedEvents: z.int().positive(),
  })
  .readonly();
export type RequestLimits = z.output<typeof requestLimitsSchema>;

/**
 * How many changes an isolate may hand on together with their record, without asking first. The object has
 * reserved them.
 */
export const allowanceSchema = z
  .strictObject({
    changes: z.int().positive(),
    /** From when the isolate asked, ms. */
    validForMs: z.int().positive(),
  })
  .readonly();
export type Allowance = z.output<typeof allowanceSchema>;

export const recordedSchema = z
  .strictObject({
    /** `event`: it has an event of its own. `counted`: it is one of a summary. */
    as: z.enum(["event", "counted"]),
    /** Of a change: what the isolate holds from now on, those on their way included. */
    allowance: allowanceSchema.nullable(),
    /** What holds for the person, so that the edge need not ask for it by itself. */
    state: personStateSchema,
  })
  .readonly();
export type Recorded = z.output<typeof recordedSchema>;
