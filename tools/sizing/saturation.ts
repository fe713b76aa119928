/** Which limits a deployment reaches first as people and clusters are added, and what to do then. Pure. */

import { KEEP_MONTHS } from "../../audit/seal/months.ts";
import { MAX_REPORTS_PER_SECOND } from "../../durable/directory/live-directory.ts";
import { REPORT_MS } from "../../durable/intervals.ts";
import { MAX_VARIABLE_BYTES, splitIntoVariables } from "../../worker/config/variables.ts";
import { ASSUMPTIONS as A } from "./assumptions.ts";
import { d1Growth } from "./cost.ts";
import { D1_GB, d1GbHeld } from "./kept-rows.ts";
import type { Day } from "./simulate.ts";

/** For API requests, and for sessions over TCP. */
const VPC_SERVICES_PER_CLUSTER = 2;

export interface Load {
  readonly id: LimitId;
  readonly what: string;
  readonly used: number;
  readonly capacity: number;
  readonly unit: string;
  /** `used` divided by `capacity`: 1 is full. */
  readonly share: number;
  readonly remedy: string;
}

const GB = 1e9;
/** A Worker may have 128 variables. Some are left for others than the configuration. */
const MAX_VARIABLES = 120;

interface Limit {
  readonly what: string;
  readonly capacity: number;
  readonly unit: string;
  readonly use: (day: Day) => number;
  readonly remedy: string;
}

/** The sources of the capacities are in platform.ts. */
const LIMITS = {
  d1Size: {
    what: "size of the D1 database",
    capacity: D1_GB,
    unit: `GB with \`keepMonths\` ${KEEP_MONTHS.least}`,
    use: (day) => d1GbHeld(d1GbPerMonth(day), KEEP_MONTHS.least),
    remedy:
      "exclude from `audit.requests` what nobody reads; use a deployment, and so a database, for each group of clusters",
  },
  d1Writes: {
    what: "D1's throughput",
    capacity: 1_000 / A.d1DeliveryMs,
    unit: "deliveries/s",
    use: d1DeliveriesPerSecond,
    remedy: "nothing is lost, the outboxes wait; use a deployment, and so a database, for each group of clusters",
  },
  directory: {
    what: "the directory: objects that report every 5 s",
    capacity: (MAX_REPORTS_PER_SECOND * REPORT_MS) / 1_000,
    unit: "objects",
    use: ({ peak }) => peak.objects,
    remedy: "nothing: beyond it objects report less often, at most once a minute; counts in lists are as old",
  },
  accessHosts: {
    what: "host names of one Access application",
    capacity: 5,
    unit: "host names",
    use: ({ scale }) => scale.clusters,
    remedy:
      "use an application for a wildcard host name, or one for every five, each with its tag in `access.audiences`",
  },
  document: {
    what: "the configuration in the Worker's variables",
    capacity: MAX_VARIABLES * MAX_VARIABLE_BYTES,
    unit: "bytes",
    use: ({ scale }) => documentBytes(scale.clusters),
    remedy: "define common identities and rules once for all clusters",
  },
  customDomains: {
    what: "custom domains of one zone",
    capacity: 100,
    unit: "host names",
    use: ({ scale }) => scale.clusters,
    remedy: "use a second zone, or a wildcard route",
  },
  tunnels: {
    what: "VPC services of the account",
    capacity: 1_000,
    unit: "services",
    use: ({ scale }) => VPC_SERVICES_PER_CLUSTER * scale.clusters,
    remedy: 'use a second account, or `"transport": "websocket"`, which needs one service instead of two',
  },
  tunnelPeople: {
    what: "the busiest cluster's connectors: people",
    capacity: (A.replicas - 1) * 4_000,
    unit: "people at once",
    use: ({ peak }) => peak.clusterUsers,
    remedy: "add replicas: 25 per tunnel at most",
  },
  tunnelBytes: {
    what: "the busiest cluster's connectors: bytes",
    capacity: ((A.replicas - 1) * 1e9) / 8,
    unit: "bytes/s",
    use: ({ peak }) => peak.clusterBytesPerSecond,
    remedy: "add replicas, or bandwidth: 1 Gbit/s each is assumed",
  },
  apiServer: {
    what: "the busiest API server: requests in flight",
    capacity: 400,
    unit: "at once",
    use: ({ peak }) => peak.clusterRequestsPerSecond * A.apiServerSeconds,
    remedy: "add API servers; give the connector's account a priority level of its own",
  },
} as const satisfies Record<string, Limit>;
export type LimitId = keyof typeof LIMITS;

/** Every limit with its load, the fullest first. */
export function loadsOf(day: Day): Load[] {
  return (Object.entries(LIMITS) as [LimitId, Limit][])
    .map(([id, { what, capacity, unit, use, remedy }]) => {
      const used = use(day);
      return { id, what, used, capacity, unit, share: used / capacity, remedy };
    })
    .sort((one, other) => other.share - one.share);
}

/**
 * Deliveries in the busiest second, if every event and every request is delivered by itself. Sessions end as
 * often as they start.
 */
export function d1DeliveriesPerSecond({ peak, events, sessions, auditedRequests, requests }: Day): number {
  return (peak.starts * events) / sessions + (peak.requestsPerSecond * auditedRequests) / requests;
}

/** How much the audit log grows in a month. */
export function d1GbPerMonth({ sessions, forwards, refused, auditedRequests }: Day): number {
  return (d1Growth(sessions, forwards, refused, auditedRequests).bytes * A.workdaysPerMonth) / GB;
}

/** A usual configuration document: common identities and rules, and one rule of each cluster's own. */
export function exampleDocument(clusters: number) {
  return {
    access: {
      teamDomain: "https://example.cloudflareaccess.com",
      audiences: ["0".repeat(64), "1".repeat(64)],
      adminAudiences: ["1".repeat(64)],
    },
    clusters: Array.from({ length: clusters }, (_, index) => ({
      name: `prod-eu-${index}`,
      hostnames: [`prod-eu-${index}.k8s.example.com`],
      binding: `KUBE_API_PROD_EU_${index}`,
      tcpBinding: `KUBE_TCP_PROD_EU_${index}`,
      rules: [
        {
          name: "say why in production",
          match: { kinds: ["exec", "attach"], namespaces: [`team-${index}-*`] },
          action: "allow",
          requireReason: true,
        },
      ],
    })),
    identities: Array.from({ length: 10 }, (_, index) => ({
      match: { claim: "custom.groups", value: `team-${index}` },
      groups: [`team-${index}`, "developers"],
    })),
    rules: [
      { name: "no tunnels to databases", match: { kinds: ["port-forward"], names: ["postgres-*"] }, action: "refuse" },
    ],
  };
}

function documentBytes(clusters: number): number {
  return new TextEncoder().encode(JSON.stringify(exampleDocument(clusters))).length;
}

/** The size of a usual configuration document, and the number of variables that it is split into. */
export function documentSize(clusters: number): { bytes: number; variables: number } {
  const variables = Object.keys(splitIntoVariables(exampleDocument(clusters))).length;
  return { bytes: documentBytes(clusters), variables };
}
