/**
 * The permissions of the connector's account: impersonate what the identity rules and grants give, and
 * nothing else.
 *
 * The API server (k8s.io/apiserver, endpoints/filters/impersonation) authorizes each part of an identity with
 * the verb `impersonate`: `users`, `groups`, `uids`, and `userextras/<key>` with each value as the name. A
 * user with the name `system:serviceaccount:…` is authorized as `serviceaccounts`, which is not granted, so
 * no workload can be impersonated.
 *
 * - Groups are granted by name: `system:masters`, `system:nodes` and every group that no rule gives stay out
 *   of reach.
 * - Users are granted by name where the rules, or `impersonate.users`, name them. RBAC has no patterns, so
 *   for names from claims it is all or nothing, and the deployment file must say "any" (see config/load.ts).
 * - Every uid is granted: Access makes them, they are not known in advance, and RBAC grants nothing to a uid.
 * - Extras are granted by key and value. `sallyport-session` is granted by key, because its values are
 *   sessions' ids; so is `sallyport-user`, which names the person who acts as another user, where a rule's
 *   `mayImpersonate` has users, and `sallyport-grant` where there are grants: one that only approves rules
 *   then needs no change of the role.
 *
 * Constrained impersonation (KEP-5284, beta and on by default in Kubernetes 1.36) also limits what may be
 * done while impersonating. It is not used: earlier clusters would refuse everything, and because the API
 * server falls back to `impersonate`, granting both would limit nothing.
 */
import { GRANT_EXTRA, PERSON_EXTRA, SESSION_EXTRA } from "../../worker/config/reserved-extras.ts";
import type { Impersonated } from "../config/identities.ts";
import type { PolicyRule } from "./types.ts";

const CORE = "";
const AUTHENTICATION = "authentication.k8s.io";

/** The rules of the connector's ClusterRole. */
export function impersonationRules({ groups, users, extra, hasOtherUsers, hasGrants }: Impersonated): PolicyRule[] {
  return [
    ...named(CORE, "groups", groups),
    ...(users === "any" ? [impersonate(CORE, "users")] : named(CORE, "users", users)),
    impersonate(AUTHENTICATION, "uids"),
    impersonate(AUTHENTICATION, `userextras/${SESSION_EXTRA}`),
    ...(hasOtherUsers ? [impersonate(AUTHENTICATION, `userextras/${PERSON_EXTRA}`)] : []),
    ...(hasGrants ? [impersonate(AUTHENTICATION, `userextras/${GRANT_EXTRA}`)] : []),
    ...Object.entries(extra).flatMap(([key, values]) => named(AUTHENTICATION, `userextras/${key}`, values)),
  ];
}

/** No names, no rule: for RBAC an empty list of names means every name. */
function named(apiGroup: string, resource: string, names: readonly string[]): PolicyRule[] {
  return names.length === 0 ? [] : [{ ...impersonate(apiGroup, resource), resourceNames: names }];
}

function impersonate(apiGroup: string, resource: string): PolicyRule {
  return { apiGroups: [apiGroup], resources: [resource], verbs: ["impersonate"] };
}
