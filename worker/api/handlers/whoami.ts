import { ok } from "../../../common/result.ts";
import { identify } from "../../policy/identify.ts";
import { approverOf, decidableGrants } from "../approver.ts";
import type { Handler } from "./handler.ts";

export const whoami: Handler<"whoami"> = async (_, api) => {
  const { identity, subject, accessIdentity, cluster, config, env } = api;
  const { name, user, groups, uid = null, extra, mayImpersonate, rule } = identity;
  return ok({
    identity: name,
    kind: subject.email === undefined ? "service token" : "person",
    cluster: cluster?.name ?? null,
    rule: `identities[${rule}]`,
    kubernetes: { user, groups, uid, extra },
    mayImpersonate,
    // On the host of a cluster with identities of its own, `identity` has none.
    roles: approverOf(api).roles,
    approves: decidableGrants(api).map((grant) => grant.name),
    adminSignIn: config.access.adminAudiences !== undefined,
    version: env.VERSION?.id ?? null,
    identityProviderGroups: accessIdentity.groups,
    identityProviderGroupNames: accessIdentity.groupNames,
    limits: { ...config.limits, ...identity.limits },
    recording: { ...config.recording, ...identity.recording },
    tokenExpiresAt: new Date(subject.expiresAt).toISOString(),
    clusters: config.clusters
      .filter(({ identities }) => identify(subject, accessIdentity, identities).ok)
      .map(({ name: clusterName, hostnames }) => ({ name: clusterName, hostnames })),
  });
};
