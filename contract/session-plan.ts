import * as z from "zod";
import { err, ok, type Result } from "../common/result.ts";
import { SESSION_KINDS } from "../kubernetes/session-target.ts";
import { activeGrantSchema, decidingPersonSchema } from "./access.ts";
import { auditPolicySchema, portForwardPolicySchema, sessionLimitsSchema } from "./limits.ts";
import { LOCATION_HINTS } from "./placement.ts";
import { recordingPolicySchema } from "./recording.ts";
import { upstreamSchema } from "./upstream.ts";
import { type ContractMismatch, contractMismatch, packVersioned, unpackVersioned, versionFor } from "./version.ts";

const milliseconds = z.number();
const text = z.string();
const name = text.min(1);

/** What a session reaches, and how; `SessionTarget` of kubernetes/ in a form that JSON keeps. */
const targetSchema = z
  .strictObject({
    sessionKind: z.enum(SESSION_KINDS),
    namespace: text,
    /** The pod, or the virtual machine of a KubeVirt session. */
    pod: text,
    /** null where the API server picks the pod's default, and where there is none. */
    container: text.nullable(),
    command: z.array(text).readonly(),
    tty: z.boolean(),
    stdin: z.boolean(),
    stdout: z.boolean(),
    stderr: z.boolean(),
    /** The ports named in the request. kubectl names a port-forward's ports only inside the stream. */
    ports: z.array(z.int()).readonly(),
  })
  .readonly();

const clientFields = z.strictObject({
  address: text.nullable(),
  country: text.nullable(),
  userAgent: text.nullable(),
  /** kubectl's `Kubectl-Session`, the same on both halves of a retry. A hint: clients choose it. */
  attempt: text.nullable(),
  /** How its user signed in: `service_token`, `warp`, or an identity provider's type. */
  signIn: text.nullable(),
  /** The enrolled device that its user signed in from. */
  deviceId: text.nullable(),
});

/** What a session waits for before the cluster hears of it. */
const approvalSchema = z
  .strictObject({
    /** Of the request for access. */
    accessId: name,
    grant: name,
    /** Until when the session waits, ms since the epoch. */
    waitUntil: milliseconds,
    /** Who may approve, and where, as the person reads it while they wait. */
    howToApprove: name,
    /** Whether the session itself made the request, and it is withdrawn when its person gives up. */
    isOwnRequest: z.boolean(),
    /** The user's other objects, which a withdrawal is copied to. */
    copyTo: z.array(z.enum(LOCATION_HINTS)).readonly(),
  })
  .readonly();
export type SessionApproval = z.output<typeof approvalSchema>;

/** The session goes on only while somebody watches it. */
const moderationSchema = z
  .strictObject({
    /** How long it waits for somebody, at its beginning and whenever the last one has left, ms. */
    waitMs: z.int().positive(),
    /** Its own person, who does not count as somebody. */
    person: decidingPersonSchema,
  })
  .readonly();
export type SessionModeration = z.output<typeof moderationSchema>;

/** What the edge decided about one session attempt. The object carries it out. */
export const planSchema = z
  .strictObject({
    /** Made by `makeSessionId`. */
    sessionId: name,
    user: name,
    /** Whom the cluster sees. */
    kubernetesUser: name,
    kubernetesGroups: z.array(text).readonly(),
    /** The user's own identity in the cluster, where they act as another or with fewer groups. */
    ownIdentity: z
      .strictObject({ user: name, groups: z.array(text).readonly() })
      .readonly()
      .nullable(),
    /**
     * The Impersonate-* headers of the request to the cluster, a line for each value. The request carries them
     * too, but when it is read, nobody can tell two groups from one whose name has a comma.
     */
    impersonation: z.array(z.tuple([name, text]).readonly()).readonly(),
    cluster: name,
    /** The binding that leads to the cluster. */
    binding: name,
    /** The location hint of this object; null for the object near its user. */
    locationHint: name.nullable(),
    /** The rule that allowed the session, if one did. */
    rule: text.nullable(),
    /** The session opens only after its user has stated a reason. */
    requireReason: z.boolean(),
    /** The user is told who watches the session. */
    tellOfWatchers: z.boolean(),
    /**
     * The grants whose groups the cluster sees, or that satisfy the rule. The session ends with the first of
     * them.
     */
    grants: z.array(activeGrantSchema).readonly(),
    /** The session waits until this request for access is approved, which then counts among its grants. */
    approval: approvalSchema.nullable(),
    /** Nothing passes while nobody watches the session. */
    moderation: moderationSchema.nullable(),
    /** When the session ends with the token that opened it, ms since the epoch; null for never. */
    endsAt: milliseconds.nullable(),
    target: targetSchema,
    transport: z.enum(["websocket", "spdy"]),
    limits: sessionLimitsSchema,
    audit: auditPolicySchema,
    recording: recordingPolicySchema,
    upstream: upstreamSchema,
    portForward: portForwardPolicySchema,
    client: clientFields.readonly(),
  })
  .readonly();

export type SessionPlan = z.output<typeof planSchema>;

const PLAN_HEADER = "Sallyport-Plan";

/**
 * Packs a plan into the request that goes from the edge to the object.
 *
 * The edge alone builds the headers of that request, so a header of this name from a client never gets there.
 *
 * A plan that asks for nothing new is of the version before: the object may run that code for as long as its
 * user has a session open. What it would not carry out it must refuse.
 */
export function attachSessionPlan(headers: Headers, plan: SessionPlan): void {
  headers.set(PLAN_HEADER, packVersioned(plan, versionFor(6)));
}

/**
 * Takes the plan out of a request.
 *
 * @param acceptedVersions only tests pass their own
 * @returns the plan, and exactly the headers that go upstream
 */
export function detachSessionPlan(
  request: Request,
  acceptedVersions?: readonly number[],
): Result<{ readonly plan: SessionPlan; readonly headers: Headers }, ContractMismatch> {
  const headers = new Headers(request.headers);
  const packed = headers.get(PLAN_HEADER);
  headers.delete(PLAN_HEADER);
  if (packed === null) return err(contractMismatch("a session request without a plan"));
  const parsed = unpackVersioned("the plan", planSchema, packed, acceptedVersions);
  return parsed.ok ? ok({ plan: parsed.value, headers }) : parsed;
}
