/** A keystroke's way to the pod and its echo's way back, by where the user's object lives. A model, not a measurement. Pure. */

const REGIONS = ["weur", "enam", "wnam", "apac", "oc"] as const;
export type Region = (typeof REGIONS)[number];

/** Round trips between regions, ms: what the public Internet's backbones usually take. A guess to be replaced by yours. */
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
  /** A person and the Cloudflare data centre that answers them. */
  userToEdge: 10,
  /** Two data centres of one region. */
  withinRegion: 6,
  /** The tunnel's data centre and cloudflared in the cluster. */
  edgeToCluster: 4,
  /** What the relay itself adds; measured, see README. */
  relay: 1,
};

function roundTrip(one: Region, other: Region): number {
  if (one === other) return LEGS.withinRegion;
  const found = BETWEEN[one < other ? `${one} ${other}` : `${other} ${one}`];
  if (found === undefined) throw new RangeError(`no round trip between ${one} and ${other}`);
  return found;
}

/**
 * The time from a key to its echo, ms.
 *
 * @param object where the user's object lives
 */
export function echoMs(user: Region, object: Region, cluster: Region): number {
  const { userToEdge, edgeToCluster, relay } = LEGS;
  return userToEdge + roundTrip(user, object) + relay + roundTrip(object, cluster) + edgeToCluster;
}

/** The same without an object on the way: what a direct connection through the same network would take. */
export function directMs(user: Region, cluster: Region): number {
  return LEGS.userToEdge + roundTrip(user, cluster) + LEGS.edgeToCluster;
}

/** The ways worth a look. */
export const WAYS: readonly {
  readonly what: string;
  readonly user: Region;
  readonly cluster: Region;
  readonly elsewhere: Region;
}[] = [
  { what: "at home", user: "weur", cluster: "weur", elsewhere: "enam" },
  { what: "to the next continent", user: "weur", cluster: "enam", elsewhere: "apac" },
  { what: "to the far one", user: "oc", cluster: "weur", elsewhere: "wnam" },
  { what: "travelling, to the cluster at home", user: "apac", cluster: "weur", elsewhere: "enam" },
];
