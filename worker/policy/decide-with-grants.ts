/** Decides about a request of somebody who may have grants, or who may ask for one. Pure. */
import { err, ok, type Result } from "../../common/result.ts";
import type { Grant } from "../config/schema.ts";
import type { Denial } from "../denials.ts";
import { type ActingIdentity, readActingIdentity } from "./acting.ts";
import { explainApproval } from "./approvals.ts";
import { type Asked, type Decision, decide, type PolicyDenial } from "./decide.ts";
import { type HeldGrant, withGrants } from "./grants.ts";
import type { Identity } from "./identify.ts";

/** A request, and what its person has or may ask for. */
export interface AskedWithGrants extends Omit<Asked, "acting" | "held"> {
  /** The client's headers. */
  readonly client: Headers;
  /** All grants of the document. */
  readonly grants: readonly Grant[];
  /** Those that the person may ask for, from `grantsFor`. */
  readonly available: readonly Grant[];
  /** Those that the person has, from `heldGrants`. */
  readonly held: readonly HeldGrant[];
}

/** Who the request was decided for. */
export interface ActingPerson {
  /** With the groups of grants. */
  readonly identity: Identity;
  /** As whom it runs in the cluster, where its client asked for it. */
  readonly acting: ActingIdentity | undefined;
}

/** A request that a grant would let pass. */
export interface NeededApproval {
  readonly grant: Grant;
  /** For how long a session may wait for it. */
  readonly waitMinutes: number;
  /** What is decided once the person has the grant, which then counts as `PENDING_GRANT` in its grants. */
  readonly granted: Decision;
}

export interface GrantDenial extends PolicyDenial {
  /** The person may ask for the grant, and it would do. */
  readonly needed?: NeededApproval;
}

/** Stands for a grant that nobody has asked for yet, in a decision as if it held. It never ends. */
export const PENDING_GRANT = { id: "", until: Number.MAX_SAFE_INTEGER } as const;

/**
 * Reads as whom the request runs, and decides.
 *
 * Where an approval is needed, it is decided again as if the person had the grant: what is refused all the
 * same is refused at once, and nobody is asked to approve it.
 */
export function decideWithGrants(asked: AskedWithGrants): {
  readonly person: Result<ActingPerson, Denial>;
  readonly decided: Result<Decision, GrantDenial>;
} {
  const person = readPerson(asked, asked.held);
  const decided = decideAs(person, asked, asked.held);
  if (decided.ok || !decided.error.approval) return { person, decided };
  const { approval, ...denial } = decided.error;
  const grant = asked.grants.find(({ name }) => name === approval.grant);
  // The loader has seen to it that there is one.
  if (!grant) return { person, decided };
  const isForPerson = asked.available.includes(grant);
  const holding = [...asked.held, { ...PENDING_GRANT, grant: grant.name, gives: grant.gives }];
  const granted = decideAs(readPerson(asked, holding), asked, holding);
  if (!granted.ok && !granted.error.approval) return { person, decided: granted };
  const message = `${denial.message}: ${explainApproval(grant, isForPerson)}`;
  const needed = isForPerson && granted.ok && { grant, waitMinutes: approval.waitMinutes, granted: granted.value };
  return { person, decided: err({ ...denial, approval, message, ...(needed && { needed }) }) };
}

function readPerson(
  { identity: own, client }: AskedWithGrants,
  held: readonly HeldGrant[],
): Result<ActingPerson, Denial> {
  const identity = withGrants(own, held);
  const acting = readActingIdentity(identity, client);
  return acting.ok ? ok({ identity, acting: acting.value }) : acting;
}

function decideAs(
  person: Result<ActingPerson, Denial>,
  asked: AskedWithGrants,
  held: readonly HeldGrant[],
): Result<Decision, PolicyDenial> {
  if (!person.ok) return person;
  const { identity, cluster, classified, creates } = asked;
  return decide({ identity, held, acting: person.value.acting, cluster, classified, creates });
}
