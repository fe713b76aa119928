/** Entries of one isolate. The oldest is evicted first. */
const MAX_ENTRIES = 1_000;

/**
 * Caches what was found out about a token: kubectl sends the same one with every request.
 *
 * The key is the token itself. Its WebCrypto digest would cost a request more than everything else that is
 * done for it here, and the token is in this isolate's memory anyway.
 */
export class TokenCache<V> {
  readonly #entries = new Map<string, { readonly expiresAt: number; readonly value: V }>();

  /** @param now ms since the epoch */
  get(token: string, now: number): V | undefined {
    const entry = this.#entries.get(token);
    return entry && now < entry.expiresAt ? entry.value : undefined;
  }

  /** @param expiresAt ms since the epoch */
  set(token: string, value: V, expiresAt: number): void {
    this.#entries.delete(token);
    this.#entries.set(token, { expiresAt, value });
    const [oldest] = this.#entries.keys();
    if (this.#entries.size > MAX_ENTRIES && oldest !== undefined) this.#entries.delete(oldest);
  }
}
