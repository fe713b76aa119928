/** Reads the body of a request that writes pods, beside its way to the cluster. */
import type { PodFacts } from "../../audit/pod-facts.ts";
import { BoundedBuffer } from "../../common/bounded-buffer.ts";
import { MAX_READ_BYTES, podFacts, unreadFormat } from "./pod-facts.ts";

/** The answer comes after the body, and what is left of that is in memory already. */
const LATE_MS = 250;

export interface ObservedBody {
  /** What goes to the cluster in place of the request's own body. */
  readonly body: ReadableStream<Uint8Array> | null;
  /**
   * What the body says. Call it once the cluster has answered: a body that is not there by then, because the
   * answer came early, is `incomplete`, and is not read any further.
   */
  readonly facts: () => Promise<PodFacts>;
}

/**
 * Observes a body. It is never held up: the cluster gets each chunk as it comes. No more than
 * `MAX_READ_BYTES` and a chunk are kept, and what is not going to be read is not copied at all.
 */
export function observePods(headers: Headers, body: ReadableStream<Uint8Array> | null): ObservedBody {
  const contentType = headers.get("Content-Type");
  const unread =
    // Nothing that the API server reads is compressed.
    (headers.get("Content-Encoding") ?? "identity").toLowerCase() !== "identity"
      ? "content_type"
      : (unreadFormat(contentType) ??
        (Number(headers.get("Content-Length") ?? 0) > MAX_READ_BYTES ? "too_large" : undefined));
  if (unread !== undefined || body === null) {
    return { body, facts: async () => ({ unread: unread ?? "invalid" }) };
  }
  const [forwarded, copy] = body.tee();
  const reading = new AbortController();
  const read = readFacts(copy, contentType, reading.signal);
  return {
    body: forwarded,
    facts: async () => {
      const late = setTimeout(() => reading.abort(), LATE_MS);
      try {
        return await read;
      } finally {
        clearTimeout(late);
      }
    },
  };
}

/** Never rejects. Cancels the copy as soon as it is not needed, so that nothing of it is kept. */
async function readFacts(
  copy: ReadableStream<Uint8Array>,
  contentType: string | null,
  signal: AbortSignal,
): Promise<PodFacts> {
  const reader = copy.getReader();
  const stop = () => void reader.cancel().catch(() => {});
  signal.addEventListener("abort", stop, { once: true });
  const kept = new BoundedBuffer(MAX_READ_BYTES);
  try {
    for (let next = await reader.read(); !next.done; next = await reader.read()) {
      if (kept.add(next.value)) continue;
      stop();
      return { unread: "too_large" };
    }
  } catch {
    return { unread: "incomplete" };
  }
  return signal.aborted ? { unread: "incomplete" } : podFacts(kept.take(), contentType);
}
