/** Of one isolate. The oldest goes first. */
const MAX_KEPT = 1_000;

/**
 * What was learned of a token a moment ago: kubectl sends the same one with every request.
 *
 * The key is the token itself: WebCrypto's digest of it would cost a request more than all else that is done for it here,
 * and it is in this isolate's memory anyway.
 */
export class TokenCache<V> {
  readonly #kept = new Map<string, { readonly until: number; readonly value: V }>();

  get(token: string, now: number): V | undefined {
    const known = this.#kept.get(token);
    return known && now < known.until ? known.value : undefined;
  }

  /** @param until when it is forgotten, ms since the epoch */
  set(token: string, value: V, until: number): void {
    this.#kept.delete(token);
    this.#kept.set(token, { until, value });
    const [oldest] = this.#kept.keys();
    if (this.#kept.size > MAX_KEPT && oldest !== undefined) this.#kept.delete(oldest);
  }
}
