import { ok } from "../../../common/result.ts";
import type { Config } from "../../config/schema.ts";
import type { Handler } from "./handler.ts";

/**
 * What auditors see of the document: named, so that a field which may once hold a secret is not shown by itself.
 */
function shownConfig(config: Config) {
  const { access, identities, grants, limits, audit, recording, portForward, loopbackOrigins } = config;
  const { teamDomain, audiences, adminAudiences, serviceAudiences, groups, managedOAuth } = access;
  return {
    access: { teamDomain, audiences, adminAudiences, serviceAudiences, groups, managedOAuth },
    ...{ identities, grants, limits, audit, recording, portForward, loopbackOrigins, export: config.export },
    clusters: config.clusters.map((cluster) => {
      const { name, hostnames, locationHint, connectorNamespace, upstream, rules } = cluster;
      const own = cluster.identities === identities ? {} : { identities: cluster.identities };
      return { name, hostnames, locationHint, connectorNamespace, transport: upstream.transport, ...own, rules };
    }),
  };
}

export const getConfig: Handler<"getConfig"> = async (_, { config, env }) =>
  ok({
    version: env.VERSION?.id ?? null,
    roles: config.identities.flatMap(({ match, roles }, index) =>
      roles.length === 0 ? [] : [{ rule: `identities[${index}]`, match, roles }],
    ),
    document: shownConfig(config),
  });
