import { vi } from "vitest";

/** On a busy machine a condition may become true late. This limit only ends what hangs. */
export const PATIENCE_MS = 60_000;

/**
 * Waits until `check` no longer throws.
 *
 * @param intervalMs between two checks
 * @returns the value of `check`
 */
export function eventually<T>(check: () => T | Promise<T>, intervalMs = 20): Promise<T> {
  return vi.waitFor(check, { timeout: PATIENCE_MS, interval: intervalMs });
}
