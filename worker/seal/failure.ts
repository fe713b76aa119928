/**
 * Why sealing cannot continue until a person has looked at it. D1 or R2 being away is none of these: the next
 * run tries again.
 */
export interface SealFailure {
  /**
   * `object_missing`: the bucket lacks an object that a seal names. `object_altered`: an object is not what
   * was written.
   */
  readonly code: "object_missing" | "object_altered";
  /** For a person: what happened, and what to do. */
  readonly message: string;
}

const ADVICE = "find out who can write to the bucket of recordings, then run npx sallyport audit-verify --remote";

export function objectMissing(key: string): SealFailure {
  return { code: "object_missing", message: `the bucket has no ${key}, which a seal names: ${ADVICE}` };
}

export function objectAltered(key: string): SealFailure {
  return { code: "object_altered", message: `${key} is not what was sealed: ${ADVICE}` };
}
