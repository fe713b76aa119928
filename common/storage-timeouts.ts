/**
 * How long each caller waits for D1 or R2, in milliseconds. Neither can cancel a call, so a late call still
 * takes effect. Every write behind these limits is therefore safe to repeat.
 */
export const STORAGE_TIMEOUTS_MS = {
  /** A query of the API under `/-/`. A person waits: an early 503 "try again" beats a long silence. */
  d1Query: 4_000,
  /** A question of the cookbook, some of which read the whole log. */
  d1Question: 10_000,
  /** A batch of a user's outbox, at most 50 events. Nobody waits for it, except with `fail-closed`. */
  d1InsertEvents: 10_000,
  /** A page of rows for the export. Nobody waits, and a run has a budget of its own. */
  d1ExportPage: 10_000,
  /** A query of the sealing. It may look at a part of the log, at most 20,000 rows, or delete 1,000. */
  d1Seal: 20_000,
  /** One call of the export or the sealing to R2. An object has a few megabytes. */
  r2Export: 30_000,
  /** What grants give: a small object. Nobody waits, and who cannot read it goes by what they knew before. */
  r2State: 10_000,
  /** The same where a person waits whose shell was approved just now. */
  r2StateAwaited: 2_000,
} as const;
