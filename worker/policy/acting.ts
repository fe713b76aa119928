/**
 * As whom a request runs in the cluster where its client asks for it: kubectl's `--as` and `--as-group`.
 *
 * Somebody may always leave groups out, for fewer rights. Somebody may be another user, or have another
 * group, only as their identity rule says by exact names. Pure.
 */
import { err, ok, type Result } from "../../common/result.ts";
import { readRequestedIdentity } from "../../kubernetes/requested-identity.ts";
import type { Impersonation } from "../../kubernetes/upstream-headers.ts";
import { GRANT_EXTRA, PERSON_EXTRA } from "../config/reserved-extras.ts";
import { type Denial, denial } from "../denials.ts";
import type { Identity } from "./identify.ts";

/** Whom the cluster sees instead of somebody's own user with all their groups. */
export interface ActingIdentity {
  readonly user: string;
  readonly groups: readonly string[];
  /** It is their own user: only the groups differ. */
  readonly isOwnUser: boolean;
}

/** More names than these would make a message that nobody reads. */
const MAX_LISTED_NAMES = 20;

/**
 * Decides whom a request's headers may make of somebody.
 *
 * @param client the client's headers
 * @returns undefined where they ask for nothing: the request runs as the identity itself
 */
export function readActingIdentity(identity: Identity, client: Headers): Result<ActingIdentity | undefined, Denial> {
  const requested = readRequestedIdentity(client);
  if (!requested.ok) return deny(requested.error);
  if (requested.value === undefined) return ok(undefined);
  const { user, groups } = requested.value;
  const { mayImpersonate } = identity;
  const isOwnUser = user === identity.user;
  if (!isOwnUser && !mayImpersonate.users.includes(user)) {
    return deny(`this user is not available to you: --as takes ${listNames([identity.user, ...mayImpersonate.users])}`);
  }
  // One's own groups belong to one's own user: nobody lends them to another.
  const available = [...(isOwnUser ? identity.groups : []), ...mayImpersonate.groups];
  if (groups.length > 1 && available.some((group) => group.includes(","))) {
    return deny("several groups cannot be told apart, because the name of one of yours has a comma: name one group");
  }
  if (!groups.every((group) => available.includes(group))) {
    return deny(
      available.length === 0
        ? "no group is available to you with this user: leave --as-group out"
        : `one of these groups is not available to you with this user: --as-group takes ${listNames(available)}`,
    );
  }
  return ok({ user, groups: [...new Set(groups)], isOwnUser });
}

/**
 * The identity that the request has in the cluster.
 *
 * Another user gets neither the person's uid nor their extras, which authorizers may go by. The cluster's
 * audit log names the person in an extra of its own, and the grants that count in another.
 *
 * @param acting from `readActingIdentity` for the same identity
 * @param grants names of grants
 */
export function impersonationOf(
  identity: Identity,
  acting: ActingIdentity | undefined,
  grants: readonly string[] = [],
): Impersonation {
  const { user, groups, uid, extra } = identity;
  const granted = grants.length === 0 ? {} : { [GRANT_EXTRA]: grants };
  if (acting?.isOwnUser === false) {
    return { user: acting.user, groups: acting.groups, extra: { [PERSON_EXTRA]: [identity.name], ...granted } };
  }
  return {
    ...{ user, groups: acting?.groups ?? groups, extra: { ...extra, ...granted } },
    ...(uid !== undefined && { uid }),
  };
}

function deny(reason: string): Result<never, Denial> {
  return err(denial("impersonation", reason));
}

/**
 * `a, b or c`. All of them are the person's own or from their identity rule, so they are no secret to them.
 */
function listNames(names: readonly string[]): string {
  const distinct = [...new Set(names)];
  const listed = distinct.slice(0, MAX_LISTED_NAMES);
  if (listed.length < distinct.length) return `${listed.join(", ")} or one of ${distinct.length - listed.length} more`;
  const last = listed.pop() ?? "";
  return listed.length === 0 ? last : `${listed.join(", ")} or ${last}`;
}
