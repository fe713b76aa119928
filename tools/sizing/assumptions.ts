/**
 * How people work: the model's guesses, all in one place. Replace them with yours and run `npx sallyport
 * sizing`.
 */
import { limitsSchema, recordingSchema } from "../../worker/config/shared-fields.ts";

/**
 * How a kind of session is used. Times are in seconds, sizes in bytes. Durations are distributed
 * log-normally.
 */
export interface UsageProfile {
  /** Sessions of an active person on a workday. */
  readonly perDay: number;
  readonly seconds: { readonly median: number; readonly sigma: number };
  /** Bytes per second in both directions together, averaged over the session. */
  readonly bytesPerSecond: number;
  /** WebSocket messages of both sides: a minimum, and so many per second. */
  readonly messages: { readonly least: number; readonly perSecond: number };
  /** Bytes of the recording per second of the session; 0 for a kind that is not recorded. */
  readonly castBytesPerSecond: number;
  /** The share of its time in which it has output, and so writes chunks of its recording. */
  readonly shownShare: number;
  /** Audit events. A port-forward has one more, for its port. */
  readonly events: number;
}

export const USAGE_PROFILES = {
  /** `kubectl exec -it`: mostly idle, some typing, an occasional screenful. */
  shell: {
    perDay: 3,
    seconds: { median: 300, sigma: 1.3 },
    bytesPerSecond: 250,
    messages: { least: 10, perSecond: 1.2 },
    castBytesPerSecond: 350,
    shownShare: 0.25,
    events: 3,
  },
  /** `kubectl exec POD -- command`: short. */
  command: {
    perDay: 8,
    seconds: { median: 2, sigma: 1.2 },
    bytesPerSecond: 4_000,
    messages: { least: 10, perSecond: 2 },
    castBytesPerSecond: 5_000,
    shownShare: 1,
    events: 3,
  },
  /**
   * `kubectl cp`: a tar stream at 5 MB/s. Half copy in, which is not recorded; a byte of an archive takes 2.6
   * of a recording.
   */
  copy: {
    perDay: 0.4,
    seconds: { median: 2, sigma: 1.8 },
    bytesPerSecond: 5_000_000,
    messages: { least: 10, perSecond: 400 },
    castBytesPerSecond: 0.5 * 2.6 * 5_000_000,
    shownShare: 0.5,
    events: 3,
  },
  /** `kubectl port-forward`: open for a long time, used occasionally; SPDY frames are small. */
  forward: {
    perDay: 1,
    seconds: { median: 1_200, sigma: 1.3 },
    bytesPerSecond: 4_000,
    messages: { least: 20, perSecond: 6 },
    castBytesPerSecond: 0,
    shownShare: 0,
    events: 4,
  },
} as const satisfies Record<string, UsageProfile>;

const { maxSessionsPerUser, maxDurationSeconds } = limitsSchema.parse({});
const { maxBytes } = recordingSchema.parse({});

export const ASSUMPTIONS = {
  workdaysPerMonth: 22,
  /** The share of all users who are active on a workday. */
  activeShare: 0.6,
  /** Some people do much more than others: the standard deviation of the logarithm of how much. */
  busynessSigma: 0.8,
  /** The weight of each hour of the day, in one time zone. */
  hours: [1, 1, 1, 1, 1, 1, 2, 5, 14, 20, 22, 20, 13, 18, 22, 20, 16, 10, 5, 4, 3, 2, 1, 1],
  /** API requests of an active person per day: kubectl, a dashboard, an editor's plug-in. */
  requestsPerDay: 300,
  /**
   * The share of them in the audit log: changes, reads of secrets (Helm's releases are secrets), tokens,
   * refusals.
   */
  auditedRequestsShare: 0.05,
  /** How long an object is awake for one change, until D1 has its events. Those of a burst share it. */
  awakeSecondsPerChange: 0.5,
  /** CPU time of the edge for a request: it verifies a signature and parses a path. */
  cpuMsPerRequest: 3,
  /** How much busier the busiest second of a day is than its busiest minute. */
  burst: 3,
  /** How long the API server works on an API request. */
  apiServerSeconds: 0.05,
  /** How long D1 is busy with one delivery: a transaction on one thread, replicated before it commits. */
  d1DeliveryMs: 5,
  /** How long recordings and seals stay in R2. */
  retentionMonths: 12,
  /** How long rows of the audit log stay in D1 after their seal: `audit.seal.keepMonths`. */
  keepMonths: 3,
  /** Connectors per cluster. */
  replicas: 3,
  /** Defaults of the configuration. */
  maxCastBytes: maxBytes,
  maxSessionsPerUser,
  maxSeconds: maxDurationSeconds,
  /** How long an object is billed after its last socket has closed. */
  lingerSeconds: 10,
} as const;
