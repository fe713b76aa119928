/** How people work: the model's guesses, all in one place. Change them to your own and run `npm run sizing` again. */
import { limitsSchema, recordingSchema } from "../../worker/config/shared-fields.ts";

/** One way to use a session. Times in seconds, sizes in bytes, log-normal: half of the values are below the median. */
export interface Habit {
  /** Sessions of a person on a day at work. */
  readonly perDay: number;
  readonly seconds: { readonly median: number; readonly sigma: number };
  /** Bytes that cross in either direction in a second, on average over the session. */
  readonly bytesPerSecond: number;
  /** WebSocket messages of both sides: so many at any rate, and so many a second. */
  readonly messages: { readonly least: number; readonly perSecond: number };
  /** Of the cast for a second of the session; 0: not recorded. */
  readonly castBytesPerSecond: number;
  /** The share of its time in which it shows something, and so writes chunks of its recording. */
  readonly shownShare: number;
  /** Events of its record; a port-forward has one more for its port. */
  readonly events: number;
}

export const HABITS = {
  /** `kubectl exec -it`: mostly thinking, some typing, now and then a screenful. */
  shell: {
    perDay: 3,
    seconds: { median: 300, sigma: 1.3 },
    bytesPerSecond: 250,
    messages: { least: 10, perSecond: 1.2 },
    castBytesPerSecond: 350,
    shownShare: 0.25,
    events: 3,
  },
  /** `kubectl exec POD -- command`: over at once. */
  command: {
    perDay: 8,
    seconds: { median: 2, sigma: 1.2 },
    bytesPerSecond: 4_000,
    messages: { least: 10, perSecond: 2 },
    castBytesPerSecond: 5_000,
    shownShare: 1,
    events: 3,
  },
  /** `kubectl cp`: a tar stream at 5 MB/s. Half go in, and are not recorded; bytes of an archive take 2.6 of a cast. */
  copy: {
    perDay: 0.4,
    seconds: { median: 2, sigma: 1.8 },
    bytesPerSecond: 5_000_000,
    messages: { least: 10, perSecond: 400 },
    castBytesPerSecond: 0.5 * 2.6 * 5_000_000,
    shownShare: 0.5,
    events: 3,
  },
  /** `kubectl port-forward`: open for long, used now and then; SPDY frames are small. */
  forward: {
    perDay: 1,
    seconds: { median: 1_200, sigma: 1.3 },
    bytesPerSecond: 4_000,
    messages: { least: 20, perSecond: 6 },
    castBytesPerSecond: 0,
    shownShare: 0,
    events: 4,
  },
} as const satisfies Record<string, Habit>;

const { maxSessionsPerUser, maxDurationSeconds } = limitsSchema.parse({});
const { maxBytes } = recordingSchema.parse({});

export const ASSUMPTIONS = {
  workdaysPerMonth: 22,
  /** Of all users, those who do something on a day at work. */
  activeShare: 0.6,
  /** Some do much more than others: spread of the logarithm of how much. */
  busynessSigma: 0.8,
  /** Weight of each hour of the day, in one time zone. */
  hours: [1, 1, 1, 1, 1, 1, 2, 5, 14, 20, 22, 20, 13, 18, 22, 20, 16, 10, 5, 4, 3, 2, 1, 1],
  /** Plain requests of an active person a day: kubectl, a dashboard, an editor's plug-in. */
  requestsPerDay: 300,
  /** Of them on record: changes, reads of secrets (helm's releases are some), tokens, refusals. */
  requestsOnRecordShare: 0.05,
  /** CPU of the Worker for a request: a signature to check, a path to read. */
  cpuMsPerRequest: 3,
  /** The busiest second of a day against its busiest minute. */
  burst: 3,
  /** A plain request's time at the API server. */
  apiServerSeconds: 0.05,
  /** How long D1 is busy with one delivery: a transaction on one thread, copied to other places before it counts. */
  d1DeliveryMs: 5,
  /** Months that the record stays in D1, and recordings in R2. */
  retentionMonths: 12,
  /** Connectors of one cluster. */
  replicas: 3,
  /** The configuration's own defaults. */
  maxCastBytes: maxBytes,
  maxSessionsPerUser,
  maxSeconds: maxDurationSeconds,
  /** An object is billed for as long after its last socket has gone. */
  lingerSeconds: 10,
} as const;
