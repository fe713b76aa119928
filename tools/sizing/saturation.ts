/** What becomes too small first as people and clusters come, and what to do then. Pure. */
import { MAX_VARIABLE_BYTES, splitIntoVariables } from "../../worker/config/variables.ts";
import { ASSUMPTIONS as A } from "./assumptions.ts";
import { d1Growth } from "./cost.ts";
import type { Day } from "./simulate.ts";

export interface Load {
  readonly id: LimitId;
  readonly what: string;
  readonly used: number;
  readonly capacity: number;
  readonly unit: string;
  /** `used` of `capacity`: 1 is full. */
  readonly share: number;
  readonly remedy: string;
}

const GB = 1e9;
/** A Worker's variables, less some for what is not the configuration. */
const VARIABLES = 120;

interface Limit {
  readonly what: string;
  readonly capacity: number;
  readonly unit: string;
  readonly use: (day: Day) => number;
  readonly remedy: string;
}

/** The capacities' sources are in platform.ts, and stand in docs/SIZING.md. */
const LIMITS = {
  d1Size: {
    what: "size of the D1 database",
    capacity: 10,
    unit: `GB after ${A.retentionMonths} months`,
    use: (day) => d1GbPerMonth(day) * A.retentionMonths,
    remedy: "leave out of `audit.requests` what nobody will read; begin a new database in time (below)",
  },
  d1Writes: {
    what: "D1's one thread",
    capacity: 1_000 / A.d1DeliveryMs,
    unit: "deliveries/s",
    use: d1DeliveriesPerSecond,
    remedy: "nothing is lost, the outboxes wait; a deployment for each group of clusters, with its own database",
  },
  accessHosts: {
    what: "host names of one Access application",
    capacity: 5,
    unit: "host names",
    use: ({ scale }) => scale.clusters,
    remedy: "one application for a wildcard host name, or one for every five, each with its tag in `access.audiences`",
  },
  document: {
    what: "the configuration in the Worker's variables",
    capacity: VARIABLES * MAX_VARIABLE_BYTES,
    unit: "bytes",
    use: ({ scale }) => documentBytes(scale.clusters),
    remedy: "common identities and rules once, for all clusters",
  },
  customDomains: {
    what: "custom domains of one zone",
    capacity: 100,
    unit: "host names",
    use: ({ scale }) => scale.clusters,
    remedy: "a second zone, or a wildcard route",
  },
  tunnels: {
    what: "tunnels, and VPC services, of the account",
    capacity: 1_000,
    unit: "clusters",
    use: ({ scale }) => scale.clusters,
    remedy: "a second account",
  },
  tunnelPeople: {
    what: "the busiest cluster's connectors: people",
    capacity: (A.replicas - 1) * 4_000,
    unit: "people at once",
    use: ({ peak }) => peak.clusterUsers,
    remedy: "more replicas: 25 of one tunnel at most",
  },
  tunnelBytes: {
    what: "the busiest cluster's connectors: bytes",
    capacity: ((A.replicas - 1) * 1e9) / 8,
    unit: "bytes/s",
    use: ({ peak }) => peak.clusterBytesPerSecond,
    remedy: "more replicas, or nodes with more network: 1 Gbit/s each is the guess here",
  },
  apiServer: {
    what: "the busiest API server: requests in flight",
    capacity: 400,
    unit: "at once",
    use: ({ peak }) => peak.clusterRequestsPerSecond * A.apiServerSeconds,
    remedy: "more API servers; its own priority level for the connector's account",
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

/** In the busiest second, if each event and each request goes to D1 by itself: what is open must end as often as it starts. */
export function d1DeliveriesPerSecond({ peak, events, sessions, requestsOnRecord, requests }: Day): number {
  return (peak.starts * events) / sessions + (peak.requestsPerSecond * requestsOnRecord) / requests;
}

/** What the record grows by in a month. */
export function d1GbPerMonth({ sessions, forwards, refused, requestsOnRecord }: Day): number {
  return (d1Growth(sessions, forwards, refused, requestsOnRecord).bytes * A.workdaysPerMonth) / GB;
}

/** A usual document of so many clusters: common identities and rules, and one rule that each has for itself. */
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

/** @returns bytes of a usual document of so many clusters, and the variables that it takes */
export function documentSize(clusters: number): { bytes: number; variables: number } {
  const variables = Object.keys(splitIntoVariables(exampleDocument(clusters))).length;
  return { bytes: documentBytes(clusters), variables };
}
