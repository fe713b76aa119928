/**
 * Simulates one day of many people, from a seed: who opens which session when, and what is open at once.
 * Pure.
 */
import { Random } from "../random.ts";
import { ASSUMPTIONS as A, USAGE_PROFILES, type UsageProfile } from "./assumptions.ts";
import { CHUNKS_PER_SECOND, r2Writes } from "./facts.ts";

export interface Scale {
  readonly users: number;
  readonly clusters: number;
  /** How much each person does, as a multiple of assumptions.ts: 2 is twice as many sessions and requests. */
  readonly busyness: number;
}

export interface Day {
  readonly scale: Scale;
  readonly activeUsers: number;
  /** Sessions that opened. The sums below are over all of them. */
  readonly sessions: number;
  readonly refused: number;
  readonly sessionSeconds: number;
  /** How long users' objects were awake: simultaneous sessions of one user count once. */
  readonly objectSeconds: number;
  readonly messages: number;
  readonly events: number;
  readonly forwards: number;
  readonly recordings: number;
  readonly chunks: number;
  readonly castBytes: number;
  readonly r2Writes: number;
  readonly requests: number;
  readonly auditedRequests: number;
  readonly peak: {
    readonly sessions: number;
    readonly objects: number;
    /** In the busiest second. */
    readonly starts: number;
    readonly requestsPerSecond: number;
    /** Of the busiest cluster. */
    readonly clusterSessions: number;
    readonly clusterUsers: number;
    readonly clusterBytesPerSecond: number;
    readonly clusterRequestsPerSecond: number;
  };
}

const SECONDS_A_DAY = 86_400;
const BINS = SECONDS_A_DAY + A.maxSeconds + A.lingerSeconds + 1;

interface Session {
  readonly start: number;
  readonly end: number;
  readonly profile: UsageProfile;
  readonly cluster: number;
}

/** How many are open in each second of the day. */
class Levels {
  readonly #changes = new Float64Array(BINS + 1);

  add(from: number, to: number, amount: number): void {
    const first = Math.floor(from);
    const last = Math.min(BINS, Math.max(first + 1, Math.ceil(to)));
    this.#changes[first] = (this.#changes[first] ?? 0) + amount;
    this.#changes[last] = (this.#changes[last] ?? 0) - amount;
  }

  get peak(): number {
    let level = 0;
    let most = 0;
    for (const change of this.#changes) {
      level += change;
      most = Math.max(most, level);
    }
    return most;
  }
}

/** Simulates a day. The same seed and scale give the same day. */
export function simulateDay(scale: Scale, seed: number): Day {
  const random = new Random(seed);
  const shares = sharesOf(scale.clusters);
  const open = new Levels();
  const awake = new Levels();
  const perCluster = shares.map(() => ({ sessions: new Levels(), bytes: new Levels() }));
  const starts = new Float64Array(SECONDS_A_DAY);
  const sum = { sessions: 0, refused: 0, sessionSeconds: 0, objectSeconds: 0, messages: 0, events: 0, forwards: 0 };
  const recorded = { recordings: 0, chunks: 0, castBytes: 0, r2Writes: 0 };
  let activeUsers = 0;

  for (let user = 0; user < scale.users; user++) {
    if (random.next() >= A.activeShare) continue;
    activeUsers++;
    const { taken, refused } = withinLimit(sessionsOf(random, shares, scale.busyness));
    sum.refused += refused;
    for (const session of taken) {
      const { start, end, profile, cluster } = session;
      const seconds = end - start;
      open.add(start, end, 1);
      perCluster[cluster]?.sessions.add(start, end, 1);
      perCluster[cluster]?.bytes.add(start, end, profile.bytesPerSecond);
      starts[Math.floor(start)] = (starts[Math.floor(start)] ?? 0) + 1;
      sum.sessions++;
      sum.sessionSeconds += seconds;
      sum.messages += profile.messages.least + profile.messages.perSecond * seconds;
      sum.events += profile.events;
      sum.forwards += profile.events - 3;
      if (profile.castBytesPerSecond === 0) continue;
      const bytes = Math.min(A.maxCastBytes, 500 + profile.castBytesPerSecond * seconds);
      recorded.recordings++;
      recorded.castBytes += bytes;
      recorded.r2Writes += r2Writes(bytes);
      recorded.chunks += Math.ceil(profile.shownShare * seconds * CHUNKS_PER_SECOND);
    }
    for (const [from, to] of awakeSpans(taken)) {
      awake.add(from, to, 1);
      sum.objectSeconds += to - from;
    }
  }

  const requests = activeUsers * A.requestsPerDay * scale.busyness;
  const hours = A.hours.reduce((total, hour) => total + hour, 0);
  const requestsPerSecond = (requests * A.burst * Math.max(...A.hours)) / hours / 3_600;
  const [largest = 1] = shares;
  return {
    ...{ scale, activeUsers, ...sum, ...recorded, requests, auditedRequests: requests * A.auditedRequestsShare },
    peak: {
      sessions: open.peak,
      objects: awake.peak,
      starts: starts.reduce((most, count) => Math.max(most, count), 0),
      requestsPerSecond,
      clusterSessions: Math.max(...perCluster.map(({ sessions }) => sessions.peak)),
      clusterUsers: activeUsers * largest,
      clusterBytesPerSecond: Math.max(...perCluster.map(({ bytes }) => bytes.peak)),
      clusterRequestsPerSecond: requestsPerSecond * largest,
    },
  };
}

/** Each cluster's share of all use, in descending order. */
function sharesOf(clusters: number): number[] {
  const weights = Array.from({ length: clusters }, (_, index) => 1 / Math.sqrt(index + 1));
  const total = weights.reduce((sum, weight) => sum + weight, 0);
  return weights.map((weight) => weight / total);
}

/** The sessions that one person opens on a day, in order. */
function sessionsOf(random: Random, shares: readonly number[], factor: number): Session[] {
  const busyness = factor * random.logNormal(Math.exp(-(A.busynessSigma ** 2) / 2), A.busynessSigma);
  const sessions = Object.values(USAGE_PROFILES).flatMap((profile: UsageProfile) =>
    Array.from({ length: random.poisson(profile.perDay * busyness) }, () => {
      const start = (random.weighted(A.hours) + random.next()) * 3_600;
      const seconds = Math.min(A.maxSeconds, random.logNormal(profile.seconds.median, profile.seconds.sigma));
      return { start, end: start + seconds, profile, cluster: random.weighted(shares) };
    }),
  );
  return sessions.sort((one, other) => one.start - other.start);
}

/** Applies the limit of simultaneous sessions. */
function withinLimit(sessions: readonly Session[]): { taken: Session[]; refused: number } {
  const taken: Session[] = [];
  let live: Session[] = [];
  for (const session of sessions) {
    live = live.filter(({ end }) => end > session.start);
    if (live.length >= A.maxSessionsPerUser) continue;
    live.push(session);
    taken.push(session);
  }
  return { taken, refused: sessions.length - taken.length };
}

/** When the user's object is awake: from the first of overlapping sessions until a little after the last. */
function awakeSpans(sessions: readonly Session[]): [number, number][] {
  const spans: [number, number][] = [];
  for (const { start, end } of sessions) {
    const until = end + A.lingerSeconds;
    const last = spans.at(-1);
    if (last && start <= last[1]) last[1] = Math.max(last[1], until);
    else spans.push([start, until]);
  }
  return spans;
}
