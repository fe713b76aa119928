/**
 * Makes ids that sort by time, however many isolates make them: `2026-11-17T09:30:00.000Z-` and a suffix of this isolate's
 * own. Readable, so that `WHERE id >= '2026-11-17'` is the query by time.
 */
export function createIdGenerator(): (at: number) => string {
  let isolate = "";
  let count = 0;
  return (at) => {
    // Not when the Worker starts: there is no randomness outside a request.
    isolate ||= [...crypto.getRandomValues(new Uint8Array(8))]
      .map((byte) => byte.toString(16).padStart(2, "0"))
      .join("");
    return `${new Date(at).toISOString()}-${isolate}${(count++).toString(36).padStart(6, "0")}`;
  };
}
