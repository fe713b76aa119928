import { ok } from "../../../common/result.ts";
import { identify } from "../../policy/identify.ts";
import type { Handler } from "./handler.ts";

export const whoami: Handler<"whoami"> = async (_, { identity, subject, accessIdentity, cluster, config }) => {
  const { name, user, groups, uid = null, extra, mayImpersonate, roles, rule } = identity;
  return ok({
    identity: name,
    kind: subject.email === undefined ? "service token" : "person",
    cluster: cluster?.name ?? null,
    rule: `identities[${rule}]`,
    kubernetes: { user, groups, uid, extra },
    mayImpersonate,
    roles,
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
