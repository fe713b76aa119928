/**
 * Requests for access, and the grants that they become. They are kept and decided in the person's object
 * without a location hint, like locks and reasons. The directory has a list of those that wait for a
 * decision, or hold.
 *
 * What a grant gives is in the configuration document. Here is only its name, so that removing it there, or
 * changing it, holds for the next request under grants that are active.
 */
import * as z from "zod";
import type { AccessDecision, AccessState } from "../audit/access-events.ts";

const text = z.string();
const name = text.min(1);
/** Since the epoch. */
const milliseconds = z.int().nonnegative();

/** The most characters of each text. They bound what a person's requests cost, whoever sends what. */
export const ACCESS_TEXT_CHARS = { name: 253, identity: 512, reason: 512, purpose: 1_024 } as const;

/** A request that nobody decides expires after this, ms. */
export const PENDING_FOR_MS = 24 * 60 * 60 * 1_000;
/** The most requests of one person that wait for a decision at once. */
export const MAX_PENDING_REQUESTS = 10;
/** How long a request that has ended is still shown, and told to sessions that wait for it, ms. */
export const ENDED_SHOWN_FOR_MS = 7 * 24 * 60 * 60 * 1_000;

const personFields = z.strictObject({
  /** The Access identity, as in the audit log. */
  user: name.max(ACCESS_TEXT_CHARS.identity),
  /** The token's `sub`; null for a token without one. */
  subject: name.max(ACCESS_TEXT_CHARS.identity).nullable(),
  /** Whom the cluster sees whose host name was asked. */
  kubernetesUser: name.max(ACCESS_TEXT_CHARS.identity),
});

/** Somebody as they are named where they did something. */
export const namedPersonSchema = personFields.readonly();
export type NamedPerson = z.output<typeof namedPersonSchema>;

/** Somebody who asks, decides or is watched, by all the names that tell whether two are the same person. */
export const decidingPersonSchema = personFields
  .extend({
    /**
     * Whom any cluster of the document sees, `kubernetesUser` included. Left out where there is no other.
     * Since version 6.
     */
    kubernetesUsers: z.array(name.max(ACCESS_TEXT_CHARS.identity)).readonly().exactOptional(),
  })
  .readonly();
export type DecidingPerson = z.output<typeof decidingPersonSchema>;

/** One person's approval, or the denial or revocation that ended a request. */
const decisionFields = z.strictObject({
  by: name.max(ACCESS_TEXT_CHARS.identity),
  subject: name.max(ACCESS_TEXT_CHARS.identity).nullable(),
  kubernetesUser: name.max(ACCESS_TEXT_CHARS.identity),
  at: milliseconds,
  reason: text.max(ACCESS_TEXT_CHARS.reason).nullable(),
}) satisfies z.ZodType<AccessDecision>;

export const ACCESS_STATES = [
  /** Waits for a decision. */
  "pending",
  /** A grant that holds. */
  "active",
  "denied",
  /** Nobody decided in time. */
  "expired",
  /** The time of the grant is over. */
  "ended",
  /** Taken back before its time, or withdrawn by its own person. */
  "revoked",
] as const satisfies readonly AccessState[];

export const accessRequestSchema = z
  .strictObject({
    /** Made by `makeSessionId`: it says which object holds the request. */
    id: name,
    /** The person who asked. Their other Kubernetes users stay in the object that decides. */
    person: namedPersonSchema,
    /** The grant's name in the configuration document. */
    grant: name.max(ACCESS_TEXT_CHARS.name),
    /** For how long it was asked; an approver may have given less. */
    minutes: z.int().positive(),
    reason: text.max(ACCESS_TEXT_CHARS.reason).nullable(),
    /** What waits for it, for approvers: the session or API request that needs it. */
    purpose: text.max(ACCESS_TEXT_CHARS.purpose).nullable(),
    requestedAt: milliseconds,
    /** Until when it may be decided. */
    expiresAt: milliseconds,
    /** How many approvals it needs, as the document said when it was last decided upon. */
    needed: z.int().positive(),
    approvals: z
      .array(
        decisionFields
          .extend({
            /** For how long this approver lets it hold at most; null for as long as was asked. */
            minutes: z.int().positive().nullable(),
          })
          .readonly(),
      )
      .readonly(),
    /** Whether its own person approved it, as the grant allowed; the webhook and the log say so. */
    isSelfApproved: z.boolean(),
    /** The denial, withdrawal or revocation that ended it. */
    ended: decisionFields
      .extend({ how: z.enum(["denied", "revoked"]) })
      .readonly()
      .nullable(),
    /** Since when and until when it holds; null before enough have approved. */
    active: z.strictObject({ since: milliseconds, until: milliseconds }).readonly().nullable(),
  })
  .readonly();
export type AccessRequest = z.output<typeof accessRequestSchema>;

/** A grant that holds, as far as the edge needs to know it. */
export const activeGrantSchema = z.strictObject({ id: name, grant: name, until: milliseconds }).readonly();
export type ActiveGrant = z.output<typeof activeGrantSchema>;

/**
 * What a request is at `now`.
 *
 * @param now ms since the epoch
 */
export function accessStateOf({ ended, active, expiresAt }: AccessRequest, now: number): AccessState {
  if (ended) return ended.how;
  if (active) return now < active.until ? "active" : "ended";
  return now < expiresAt ? "pending" : "expired";
}

/**
 * Whether two are the same person: by any of their names, without regard to case. Nobody decides their own
 * request, under whatever spelling or second identity, nor under one that is theirs at another cluster alone.
 */
export function isSamePerson(one: DecidingPerson, other: DecidingPerson): boolean {
  const users = new Set(kubernetesUsersOf(one).map((user) => user.toLowerCase()));
  return (
    one.user.toLowerCase() === other.user.toLowerCase() ||
    kubernetesUsersOf(other).some((user) => users.has(user.toLowerCase())) ||
    (one.subject !== null && other.subject !== null && one.subject === other.subject)
  );
}

/** All Kubernetes users that are known of somebody. */
export function kubernetesUsersOf({
  kubernetesUser,
  kubernetesUsers = [],
}: Pick<DecidingPerson, "kubernetesUser" | "kubernetesUsers">): readonly string[] {
  return [...new Set([kubernetesUser, ...kubernetesUsers])];
}
