/** How long a keystroke's echo takes, by where the user's object is. A model, not a measurement. Pure. */

const REGIONS = ["weur", "enam", "wnam", "apac", "oc"] as const;
export type Region = (typeof REGIONS)[number];

/** Round trips between regions, ms: usual values of Internet backbones. Replace them with yours. */
const BETWEEN: Readonly<Record<string, number>> = {
  "enam weur": 85,
  "weur wnam": 145,
  "apac weur": 165,
  "oc weur": 260,
  "enam wnam": 65,
  "apac enam": 225,
  "enam oc": 205,
  "apac wnam": 175,
  "oc wnam": 150,
  "apac oc": 95,
};

export const LEGS = {
  /** Between a person and the nearest Cloudflare data center. */
  userToEdge: 10,
  /** Between two data centers of one region. */
  withinRegion: 6,
  /** Between the tunnel's data center and cloudflared in the cluster. */
  edgeToCluster: 4,
  /** The relay's own processing, as the bench measures it. */
  relay: 1,
};

function roundTrip(one: Region, other: Region): number {
  if (one === other) return LEGS.withinRegion;
  const found = BETWEEN[one < other ? `${one} ${other}` : `${other} ${one}`];
  if (found === undefined) throw new RangeError(`no round trip between ${one} and ${other}`);
  return found;
}

/**
 * The time from a keystroke to its echo, ms.
 *
 * @param object where the user's object is
 */
export function echoMs(user: Region, object: Region, cluster: Region): number {
  const { userToEdge, edgeToCluster, relay } = LEGS;
  return userToEdge + roundTrip(user, object) + relay + roundTrip(object, cluster) + edgeToCluster;
}

/** The same without an object on the path: a direct connection through the same network. */
export function directMs(user: Region, cluster: Region): number {
  return LEGS.userToEdge + roundTrip(user, cluster) + LEGS.edgeToCluster;
}

/** The cases of the table in docs/SIZING.md. */
export const CASES: readonly {
  readonly what: string;
  readonly user: Region;
  readonly cluster: Region;
  readonly elsewhere: Region;
}[] = [
  { what: "within one region", user: "weur", cluster: "weur", elsewhere: "enam" },
  { what: "to the next continent", user: "weur", cluster: "enam", elsewhere: "apac" },
  { what: "to the far side of the world", user: "oc", cluster: "weur", elsewhere: "wnam" },
  { what: "traveling, to a cluster at home", user: "apac", cluster: "weur", elsewhere: "enam" },
];
