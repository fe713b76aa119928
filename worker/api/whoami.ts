import { json } from "../json.ts";
import { identify } from "../policy/identify.ts";
import type { ApiRequest } from "./request.ts";

/** `GET /-/whoami`: who one is here, by which rule, and with which limits. `kubectl get --raw /-/whoami` asks it. */
export function serveWhoami({ subject, details, identity, cluster, config }: ApiRequest): Response {
  const { name, user, groups, uid, extra, roles, rule } = identity;
  return json({
    identity: name,
    kind: subject.email === undefined ? "service token" : "person",
    cluster: cluster?.name ?? null,
    rule: `identities[${rule}]`,
    kubernetes: { user, groups, uid: uid ?? null, extra },
    roles,
    identityProviderGroups: details.groups,
    limits: { ...config.limits, ...identity.limits },
    recording: { ...config.recording, ...identity.recording },
    tokenExpiresAt: new Date(subject.expiresAt).toISOString(),
    clusters: config.clusters
      .filter(({ identities }) => identify(subject, details, identities).ok)
      .map(({ name: clusterName, hostnames }) => ({ name: clusterName, hostnames })),
  });
}
