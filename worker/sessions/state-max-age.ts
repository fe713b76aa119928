/**
 * How long an answer of a person's object counts, ms from the moment of its question: after this, a lock and
 * a grant hold in every isolate.
 */
export const STATE_MAX_AGE_MS = 10_000;
