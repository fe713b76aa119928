/**
 * The connector's account and what it may do: impersonate what the rules name, and nothing else.
 *
 * How the API server asks (k8s.io/apiserver, endpoints/filters/impersonation): for each part of an identity once, with the
 * verb `impersonate`, for `users`, `groups`, `uids`, and `userextras/<key>` with each value as the name. A user called
 * `system:serviceaccount:…` is asked for as `serviceaccounts`, which is not granted, so no workload can be impersonated.
 *
 * - Groups are always by name: `system:masters`, `system:nodes` and every group that no rule gives are out of reach.
 * - Users are by name where the rules, or `impersonate.users`, spell them out. RBAC has no patterns, so with names from
 *   claims the choice is all or nothing, and the file must say "any" for all (see config/load.ts).
 * - Uids are open: they are Access's, not known before, and RBAC grants nothing to a uid.
 * - Extras are by key and value; `sallyport-session` by key only, for its values are the sessions' ids.
 *
 * Kubernetes 1.36 has constrained impersonation (KEP-5284, beta, on by default): verbs `impersonate:user-info` and
 * `impersonate-on:user-info:<verb>` limit also what may be done while being somebody. It is not used here: clusters before
 * 1.36 would refuse everything, and since the API server falls back to `impersonate`, granting both would limit nothing.
 */
import { SESSION_EXTRA } from "../../worker/policy/decide.ts";
import type { Impersonated } from "../config/identities.ts";
import type { PolicyRule } from "./types.ts";

const CORE = "";
const AUTHENTICATION = "authentication.k8s.io";

/** @returns the rules of the connector's ClusterRole */
export function impersonationRules({ groups, users, extra }: Impersonated): PolicyRule[] {
  return [
    ...named(CORE, "groups", groups),
    ...(users === "any" ? [impersonate(CORE, "users")] : named(CORE, "users", users)),
    impersonate(AUTHENTICATION, "uids"),
    impersonate(AUTHENTICATION, `userextras/${SESSION_EXTRA}`),
    ...Object.entries(extra).flatMap(([key, values]) => named(AUTHENTICATION, `userextras/${key}`, values)),
  ];
}

/** No rule for no names: to RBAC an empty list of names means every name. */
function named(apiGroup: string, resource: string, names: readonly string[]): PolicyRule[] {
  return names.length === 0 ? [] : [{ ...impersonate(apiGroup, resource), resourceNames: names }];
}

function impersonate(apiGroup: string, resource: string): PolicyRule {
  return { apiGroups: [apiGroup], resources: [resource], verbs: ["impersonate"] };
}
