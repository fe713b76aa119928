/**
 * What the edge may ask of a user's object: `METHODS` is the whole interface. A session itself is opened by
 * `fetch()` with a plan; see session-plan.ts.
 *
 * Each method takes one argument object, which carries the version. Each answers with a plain object, which
 * the edge parses too: an answer that it does not understand is refused, never half read.
 *
 * Commands that end sessions and lock users are frozen. A session may outlive a deploy by hours, held by the
 * objects' previous code, and an administrator must be able to end it then. So an object carries them out for
 * an edge of any version: it ignores fields that it does not know. Never change their fields or their
 * answers; add a method instead.
 */
import * as z from "zod";
import type { Result } from "../common/result.ts";
import { ACCESS_TEXT_CHARS, accessRequestSchema, decidingPersonSchema, namedPersonSchema } from "./access.ts";
import { DENIALS, type Denial, type DenialCode } from "./denial.ts";
import { copiedStateSchema, personStateSchema } from "./person-state.ts";
import { LOCATION_HINTS } from "./placement.ts";
import { podFactsSchema } from "./pod-facts.ts";
import { recordingBlockSchema } from "./recording.ts";
import { auditedRequestSchema, recordedSchema, requestIdSchema, requestLimitsSchema } from "./request-record.ts";
import { liveSessionSchema } from "./session-row.ts";
import { callVersioned, parseContract, parseVersioned, refuseMismatch, versionFor, withVersion } from "./version.ts";

/** The most tries of a record that are told of: after one, it matters only that there was one. */
export const MAX_FAILED_TRIES = 9;

const text = z.string();
const name = text.min(1);
const milliseconds = z.number();

/** Part of frozen methods: not strict. */
const lockSchema = z
  .object({
    user: name,
    /** The administrator. */
    by: name,
    reason: text,
    /** ms since the epoch; null until it is lifted. */
    until: milliseconds.nullable(),
  })
  .readonly();

/** @param since the version of the contract that last changed it */
function defineMethod<Fields extends z.ZodType, Value extends z.ZodType>(since: number, fields: Fields, value: Value) {
  const failure = z.strictObject({
    ok: z.literal(false),
    error: z.strictObject({
      code: z.enum(Object.keys(DENIALS) as DenialCode[]),
      message: text,
      retryAfterSeconds: z.int().positive().exactOptional(),
    }),
  });
  const answer = z.discriminatedUnion("ok", [z.strictObject({ ok: z.literal(true), value }), failure]);
  return { fields, answer, isFrozen: false, version: versionFor(since) };
}

/** @param fields not strict, so that an edge of a later version may add to them */
function defineFrozenMethod<Fields extends z.ZodObject, Value extends z.ZodType>(fields: Fields, value: Value) {
  return { ...defineMethod(0, fields, value), isFrozen: true };
}

/** The user's other objects, by their location hints. */
const locations = z.array(z.enum(LOCATION_HINTS));
/** The ones that have no copy of a decision yet. The deciding object tries again until they have it. */
const notReached = locations;

/** Exported for the test that pins each version of the contract. */
export const METHODS = {
  /** The user's open sessions in this object. */
  list: defineMethod(5, z.strictObject({}), z.array(liveSessionSchema)),
  /** One open session; null where it is not open here. */
  describe: defineMethod(5, z.strictObject({ sessionId: name }), liveSessionSchema.nullable()),
  /** Ends one session. Answers whether it was open. */
  terminate: defineFrozenMethod(z.object({ sessionId: name, by: name, reason: text }), z.boolean()),
  /** Ends a session that must be watched, for somebody who watches it and may do nothing else to it. */
  endWatched: defineMethod(
    5,
    z.strictObject({ sessionId: name, by: name, reason: text }),
    z.enum(["ended", "not_live", "not_watching"]),
  ),
  /** Ends all of the user's sessions. Answers their ids. */
  terminateAll: defineFrozenMethod(z.object({ by: name, reason: text }), z.array(name)),
  /** Ends the user's sessions and opens none from then on. Answers the ids of the ended ones. */
  lock: defineFrozenMethod(
    z.object({
      lock: lockSchema,
      /** Whether this object writes it to the audit log: one of a user's objects does. */
      isAudited: z.boolean(),
    }),
    z.array(name),
  ),
  /** Lifts the lock. Answers whether there was one. */
  unlock: defineFrozenMethod(z.object({ user: name, by: name, reason: text, isAudited: z.boolean() }), z.boolean()),
  /** The lock that holds now; null where there is none. */
  currentLock: defineFrozenMethod(z.object({}), lockSchema.nullable()),
  /**
   * Locks the user: ends all sessions, and none opens from then on. For the object without a location hint,
   * which copies it to the others before it answers. Answers the ids of all ended sessions.
   */
  decideLock: defineMethod(
    3,
    z.strictObject({ lock: lockSchema, copyTo: locations }),
    z.strictObject({ ended: z.array(name), notReached }),
  ),
  /** Lifts the lock, likewise. Answers whether any of the objects had one. */
  decideUnlock: defineMethod(
    3,
    z.strictObject({ user: name, by: name, reason: text, copyTo: locations }),
    z.strictObject({ wasLocked: z.boolean(), notReached }),
  ),
  /** States what the user's next sessions are for, likewise. */
  decideReason: defineMethod(
    3,
    z.strictObject({ user: name, reason: name, until: milliseconds, copyTo: locations }),
    z.strictObject({ notReached }),
  ),
  /**
   * Asks for access, likewise. A request for the same grant that is pending or active is answered again
   * instead. Refused with `access_limit` where too many wait.
   */
  requestAccess: defineMethod(
    6,
    z.strictObject({
      person: decidingPersonSchema,
      grant: name.max(ACCESS_TEXT_CHARS.name),
      minutes: z.int().positive(),
      reason: text.max(ACCESS_TEXT_CHARS.reason).nullable(),
      purpose: text.max(ACCESS_TEXT_CHARS.purpose).nullable(),
      needed: z.int().positive(),
      /** The grant lets people approve their own requests, with an alert. Only where `needed` is 1. */
      approvesItself: z.boolean(),
      copyTo: locations,
    }),
    z.strictObject({ request: accessRequestSchema, isNew: z.boolean(), notReached }),
  ),
  /** The user's requests: pending, active, and those that ended lately. Newest first. */
  listAccess: defineMethod(4, z.strictObject({}), z.array(accessRequestSchema)),
  /** One of them; null where there is none with this id. */
  describeAccess: defineMethod(4, z.strictObject({ id: name }), accessRequestSchema.nullable()),
  /**
   * Approves or denies a request, likewise. The edge has looked up that `by` may decide; the object refuses
   * one's own request, one that is no longer pending, and a second approval by the same person:
   * `access_not_found`, `access_own_request`, `access_already_decided`.
   */
  decideAccess: defineMethod(
    6,
    z.strictObject({
      id: name,
      by: decidingPersonSchema,
      decision: z.enum(["approve", "deny"]),
      reason: text.max(ACCESS_TEXT_CHARS.reason).nullable(),
      /** For how long it shall hold, as the document allows; null for as long as was asked. */
      minutes: z.int().positive().nullable(),
      /** What the document says now. */
      needed: z.int().positive(),
      maxMinutes: z.int().positive(),
      copyTo: locations,
    }),
    z.strictObject({ request: accessRequestSchema, notReached }),
  ),
  /**
   * Takes back a grant, or withdraws a pending request, likewise, and ends the sessions that were opened with
   * it. Answers their ids. `access_not_found`, `access_already_decided` where it has ended.
   */
  endAccess: defineMethod(
    4,
    z.strictObject({
      id: name,
      by: namedPersonSchema,
      reason: text.max(ACCESS_TEXT_CHARS.reason).nullable(),
      copyTo: locations,
    }),
    z.strictObject({ request: accessRequestSchema, ended: z.array(name), notReached }),
  ),
  /** Takes a copy of what was decided, unless it has a newer one. A lock ends the sessions here. */
  copyState: defineMethod(
    4,
    z.strictObject({ state: copiedStateSchema }),
    z.strictObject({ ended: z.array(name), wasLocked: z.boolean() }),
  ),
  /** What holds for the user, as this object knows it. */
  readState: defineMethod(4, z.strictObject({}), personStateSchema),
  /** The lock that holds now, and which objects do not know yet that it does, or that it does not. */
  describeLock: defineMethod(3, z.strictObject({}), z.strictObject({ lock: lockSchema.nullable(), notReached })),
  /**
   * Writes an API request to the audit log. Once it has answered, no crash loses it. A change (`isChange`)
   * and what administrators do have an event of their own, or are refused: `too_many_changes`,
   * `audit_unavailable`.
   */
  recordRequest: defineMethod(
    4,
    z
      .strictObject({
        requestId: requestIdSchema,
        request: auditedRequestSchema,
        isChange: z.boolean(),
        /**
         * It left for the cluster together with this call, so its answer follows (`recordResponse`). A change
         * did so on an allowance, and is never refused.
         */
        isHandedOn: z.boolean(),
        /** How many earlier calls with this id failed. Each may have been carried out. */
        failedTries: z.int().nonnegative().max(MAX_FAILED_TRIES),
        /** The isolate that asks, for its allowance. */
        isolate: text.max(64),
        limits: requestLimitsSchema,
      })
      .refine(({ requestId, request }) => requestId.startsWith(`${new Date(request.arrived_at).toISOString()}-`)),
    recordedSchema,
  ),
  /** Writes the answer to a request that awaits one. A second answer, or one to another, is ignored. */
  recordResponse: defineMethod(
    3,
    z.strictObject({
      requestId: requestIdSchema,
      status: z.int().nullable(),
      reason: text.max(512).nullable(),
      podFacts: podFactsSchema.exactOptional(),
    }),
    z.null(),
  ),
  /** Shows a line on a live session's terminal. Answers what became of it. */
  showMessage: defineMethod(
    4,
    z.strictObject({ sessionId: name, by: name, text: name.max(500) }),
    z.enum(["shown", "not_live", "no_terminal", "too_many"]),
  ),
  /** Reads from a recording that R2 does not have yet, from a byte offset; null where there is none here. */
  readRecording: defineMethod(
    3,
    z.strictObject({ sessionId: name, offset: z.int().nonnegative() }),
    recordingBlockSchema.nullable(),
  ),
} as const;

export type UserObjectMethod = keyof typeof METHODS;
/** What a method takes, without the version. */
export type UserObjectFields<M extends UserObjectMethod> = z.output<(typeof METHODS)[M]["fields"]>;
/** What a method answers when it succeeds. */
export type UserObjectValue<M extends UserObjectMethod> = Extract<
  z.output<(typeof METHODS)[M]["answer"]>,
  { ok: true }
>["value"];
export type UserObjectAnswer<M extends UserObjectMethod> = Result<UserObjectValue<M>, Denial>;

export const USER_OBJECT_METHODS = Object.keys(METHODS) as readonly UserObjectMethod[];

/** Methods that an object carries out for an edge of any version. */
export const FROZEN_METHODS: readonly UserObjectMethod[] = USER_OBJECT_METHODS.filter(
  (method) => METHODS[method].isFrozen,
);

/** The methods as they are called through a stub. Use `callUserObject`, which types them. */
export type UserObjectCalls = Readonly<Record<UserObjectMethod, (argument: unknown) => Promise<unknown>>>;

/**
 * The edge's half of a call.
 *
 * @returns the value, or why the object refused; `contract_mismatch` if they do not understand each other
 * @throws what the platform throws where the object cannot be reached, or failed
 */
export async function callUserObject<M extends UserObjectMethod>(
  stub: UserObjectCalls,
  method: M,
  fields: UserObjectFields<M>,
): Promise<UserObjectAnswer<M>> {
  const { answer } = METHODS[method];
  // TypeScript does not see that the method's own fields are what it takes.
  const { version } = METHODS[method];
  const called = await callVersioned(method, () => stub[method](withVersion(fields as object, version)));
  if (!called.ok) return called;
  const parsed = parseContract(answer, called.value);
  return parsed.ok ? (parsed.value as UserObjectAnswer<M>) : refuseMismatch(method, parsed.error.detail);
}

/**
 * The object's half of a call.
 *
 * @param argument as it came: nothing of it is trusted before it is parsed
 * @param acceptedVersions only tests pass their own
 */
export function answerCall<
  M extends UserObjectMethod,
  Answer extends UserObjectAnswer<M> | Promise<UserObjectAnswer<M>>,
>(
  method: M,
  argument: unknown,
  answer: (fields: UserObjectFields<M>) => Answer,
  acceptedVersions?: readonly number[],
): Answer | ReturnType<typeof refuseMismatch> {
  const { fields: schema, isFrozen } = METHODS[method];
  const fields = isFrozen ? parseContract(schema, argument) : parseVersioned(schema, argument, acceptedVersions);
  if (!fields.ok) return refuseMismatch(method, fields.error.detail);
  return answer(fields.value as UserObjectFields<M>);
}
