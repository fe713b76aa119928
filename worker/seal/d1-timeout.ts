import { STORAGE_TIMEOUTS_MS } from "../../common/storage-timeouts.ts";
import { withTimeout } from "../../common/with-timeout.ts";

/**
 * Rejects when D1 does not answer in time. The query may still be carried out, so every one is safe to
 * repeat.
 */
export function withD1Timeout<T>(work: Promise<T>): Promise<T> {
  return withTimeout(work, STORAGE_TIMEOUTS_MS.d1Seal);
}
