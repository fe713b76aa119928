import type { Subject } from "./subject.ts";

/** Not longer than the cool-down of the key set: a withdrawn key is believed no longer than without this. */
const MAX_AGE_MS = 30 * 1000;
/** Of one isolate. The oldest goes first. */
const MAX_KEPT = 1_000;

/**
 * Subjects of tokens that were verified a moment ago: kubectl sends the same one with every request, and to verify it is most
 * of what Sallyport adds to a plain request. Only what has passed every check is kept, and it is forgotten at its `exp`.
 *
 * The key is the token itself: WebCrypto's digest of it would cost a request more than all else that is done for it here,
 * and it is in this isolate's memory anyway.
 */
export class VerifiedTokens {
  readonly #kept = new Map<string, { readonly until: number; readonly subject: Subject }>();

  get(token: string, now: number): Subject | undefined {
    const known = this.#kept.get(token);
    return known && now < known.until ? known.subject : undefined;
  }

  keep(token: string, subject: Subject, now: number): void {
    this.#kept.delete(token);
    this.#kept.set(token, { until: Math.min(now + MAX_AGE_MS, subject.expiresAt), subject });
    const [oldest] = this.#kept.keys();
    if (this.#kept.size > MAX_KEPT && oldest !== undefined) this.#kept.delete(oldest);
  }
}
