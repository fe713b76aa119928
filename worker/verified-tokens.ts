import type { Subject } from "./authenticate.ts";

/** Not longer than the cool-down of the key set: a withdrawn key is believed no longer than without this. */
const MAX_AGE_MS = 30 * 1000;
/** Of one isolate. The oldest goes first. */
const MAX_KEPT = 1_000;

/**
 * Subjects of tokens that were verified a moment ago: kubectl sends the same one with every request, and to verify it is most
 * of what Sallyport adds to a plain request. Only what has passed every check is kept, and it is forgotten at its `exp`.
 */
export class VerifiedTokens {
  readonly #kept = new Map<string, { readonly until: number; readonly subject: Subject }>();

  /** @param key of the token; see `tokenKey` */
  get(key: string, now: number): Subject | undefined {
    const known = this.#kept.get(key);
    return known && now < known.until ? known.subject : undefined;
  }

  keep(key: string, subject: Subject, now: number): void {
    this.#kept.delete(key);
    this.#kept.set(key, { until: Math.min(now + MAX_AGE_MS, subject.expiresAt), subject });
    const [oldest] = this.#kept.keys();
    if (this.#kept.size > MAX_KEPT && oldest !== undefined) this.#kept.delete(oldest);
  }
}

/** The key of what is kept of a token: not the token itself, which would be one more place that has it. */
export async function tokenKey(token: string): Promise<string> {
  const bytes = await crypto.subtle.digest("SHA-256", new TextEncoder().encode(token));
  return btoa(String.fromCharCode(...new Uint8Array(bytes)));
}
