/**
 * kubectl answers every refused WebSocket upgrade with a SPDY POST of the same request, and shows the person the
 * answer to that one. So the refusal of the first half is kept for a moment, to be given again to the second: the
 * person reads why, the attempt counts once.
 */

const KEEP_MS = 30_000;
const MAX_KEPT = 64;

/** A refusal as it goes over the wire. */
export interface RefusalResponse {
  readonly status: number;
  readonly contentType: string;
  readonly body: string;
}

export class RefusedAttempts {
  readonly #kept = new Map<string, RefusalResponse & { readonly at: number }>();

  /** @param attempt see `attemptKey` */
  remember(attempt: string, refusal: RefusalResponse, now: number): void {
    this.#kept.delete(attempt);
    this.#kept.set(attempt, { ...refusal, at: now });
    const oldest = this.#kept.keys().next();
    if (this.#kept.size > MAX_KEPT && !oldest.done) this.#kept.delete(oldest.value);
  }

  /** Takes the first half's refusal out: one second half a first half, so that a later SPDY attempt stands alone. */
  take(attempt: string, now: number): RefusalResponse | undefined {
    const kept = this.#kept.get(attempt);
    this.#kept.delete(attempt);
    return kept && now - kept.at <= KEEP_MS ? kept : undefined;
  }
}

/**
 * What both halves have in common: the request, and kubectl's `Kubectl-Session`. That header alone would be a hint
 * from the client, and could give one request's answer to another.
 */
export function attemptKey(url: string, kubectlSession: string | null): string {
  return JSON.stringify([url, kubectlSession]);
}
