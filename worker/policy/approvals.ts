/** Who may approve what, and how people are told. Pure. */
import type { DecidingPerson, NamedPerson } from "../../contract/access.ts";
import type { AccessIdentity } from "../access/access-identity.ts";
import type { Subject } from "../access/subject.ts";
import type { Config, Grant, Role } from "../config/schema.ts";
import { type Identity, possibleUsers } from "./identify.ts";

/** More names than these would make a message that nobody reads. */
const MAX_LISTED = 5;
/** What somebody is told to ask for, unless the grant gives less. */
const DEFAULT_MINUTES = 60;

/** Somebody who may be an approver. */
export interface Approver {
  readonly subject: Subject;
  readonly accessIdentity: Pick<AccessIdentity, "groups">;
  /** By the document's own identities. */
  readonly roles: readonly Role[];
}

/** Somebody whom the document knows. */
interface IdentifiedPerson {
  readonly subject: Subject;
  readonly accessIdentity: AccessIdentity;
  /** At the host name that they ask. */
  readonly identity: Identity;
}

/** Somebody as they are named where they did something. */
export function namedPerson({ subject: { sub }, identity }: Omit<IdentifiedPerson, "accessIdentity">): NamedPerson {
  return { user: identity.name, subject: sub === "" ? null : sub, kubernetesUser: identity.user };
}

/**
 * Somebody by all the names that tell whether two are the same person. The document may make them another
 * Kubernetes user in each cluster, and by the country or the device that they choose. Whoever is compared with
 * them may have been any of these.
 */
export function decidingPerson(
  person: IdentifiedPerson,
  { identities, clusters }: Pick<Config, "identities" | "clusters">,
): DecidingPerson {
  const { subject, accessIdentity, identity } = person;
  const users = new Set([identity.user]);
  // Most clusters have the document's own.
  for (const rules of new Set([identities, ...clusters.map((cluster) => cluster.identities)])) {
    for (const user of possibleUsers(subject, accessIdentity, rules)) users.add(user);
  }
  return { ...namedPerson(person), ...(users.size > 1 && { kubernetesUsers: [...users] }) };
}

/** Whether somebody may decide about requests for a grant: never a service token. */
export function mayDecide({ approvers }: Grant, { subject, accessIdentity, roles }: Approver): boolean {
  if (subject.email === undefined) return false;
  return (
    approvers.users.includes(subject.email) ||
    approvers.groups.some((group) => accessIdentity.groups.includes(group)) ||
    hasOneOf(roles, approvers.roles)
  );
}

/** An administrator may do whatever an auditor may, also where a grant names the auditors alone. */
function hasOneOf(roles: readonly Role[], needed: readonly Role[]): boolean {
  return needed.some((role) => roles.includes(role)) || (needed.includes("auditor") && roles.includes("admin"));
}

/** `alice@example.com, members of the group sre-leads or holders of the role admin`. */
export function describeApprovers({ approvers: { users, groups, roles } }: Grant): string {
  const all = [
    ...users,
    ...groups.map((group) => `members of the group ${group}`),
    ...roles.map((role) => `holders of the role ${role}`),
  ];
  const listed = all.slice(0, MAX_LISTED);
  if (listed.length < all.length) return `${listed.join(", ")} or ${all.length - listed.length} others`;
  const last = listed.pop() ?? "";
  return listed.length === 0 ? last : `${listed.join(", ")} or ${last}`;
}

/** `2 of alice@example.com, bob@example.com or members of the group sre-leads may approve it`. */
export function whoMayApprove(grant: Grant): string {
  const who = describeApprovers(grant);
  return `${grant.count === 1 ? who : `${grant.count} of ${who}`} may approve it`;
}

/** For how many minutes somebody asks who does not say. */
export function defaultMinutes({ maxMinutes }: Grant): number {
  return Math.min(DEFAULT_MINUTES, maxMinutes);
}

/** The command that asks for a grant. */
export function howToAsk(grant: Grant): string {
  const path = `/-/access?grant=${grant.name}&minutes=${defaultMinutes(grant)}`;
  return `echo "why you need it" | kubectl create --raw '${path}' -f -`;
}

/** What somebody reads who lacks a grant: who may approve, and how to ask. */
export function explainApproval(grant: Grant, isForPerson: boolean): string {
  if (!isForPerson) return "it is not for you, so you cannot ask for it: ask your administrator";
  const then = grant.selfApproval ? "it holds as soon as you ask, and an alert is sent" : whoMayApprove(grant);
  return `ask for it with ${howToAsk(grant)}; ${then}; then try again`;
}
