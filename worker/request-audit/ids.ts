import { bytesToHex } from "@noble/hashes/utils.js";

/**
 * Makes the generator of row ids. They sort by time across isolates: `2026-11-17T09:30:00.000Z-` and a suffix
 * of this isolate. They are readable, so `WHERE id >= '2026-11-17'` is the query by time. Rows of one
 * millisecond from two isolates sort in any order.
 */
export function createIdGenerator(): (at: number) => string {
  let isolate = "";
  let count = 0;
  return (at) => {
    // Not at start: outside a request the platform has no randomness.
    isolate ||= bytesToHex(crypto.getRandomValues(new Uint8Array(8)));
    return `${new Date(at).toISOString()}-${isolate}${(count++).toString(36).padStart(6, "0")}`;
  };
}
