import type { Refusal } from "./refusal.ts";

/**
 * kubectl answers every refused WebSocket upgrade with a SPDY POST of the same request, and shows the answer
 * to the POST. So the refusal of the first half is kept for a moment and given again to the second. The
 * person reads why, and the attempt counts once.
 */

const KEEP_MS = 30_000;
const MAX_KEPT = 64;

export class RefusedAttempts {
  readonly #kept = new Map<string, { readonly refusal: Refusal; readonly at: number }>();

  /** @param attempt see `attemptKey` */
  remember(attempt: string, refusal: Refusal, now: number): void {
    this.#kept.delete(attempt);
    this.#kept.set(attempt, { refusal, at: now });
    const oldest = this.#kept.keys().next();
    if (this.#kept.size > MAX_KEPT && !oldest.done) this.#kept.delete(oldest.value);
  }

  /** Takes the first half's refusal out. It is given once, so that a later SPDY attempt is one of its own. */
  take(attempt: string, now: number): Refusal | undefined {
    const kept = this.#kept.get(attempt);
    this.#kept.delete(attempt);
    return kept && now - kept.at <= KEEP_MS ? kept.refusal : undefined;
  }
}

/**
 * What both halves have in common: the request, and kubectl's `Kubectl-Session`. That header alone is a hint
 * from the client, which could ask for the refusal of another request.
 */
export function attemptKey(url: string, kubectlSession: string | null): string {
  return JSON.stringify([url, kubectlSession]);
}
