export interface BoundedText {
  readonly text: string;
  /** The body was longer; `text` is its beginning. */
  readonly isTruncated: boolean;
}

/**
 * Reads a body as UTF-8, and never holds more than `maxBytes` of it plus one chunk. A longer body is cancelled.
 *
 * @param body null for a message without one
 */
export async function readBoundedText(body: ReadableStream<Uint8Array> | null, maxBytes: number): Promise<BoundedText> {
  if (!body) return { text: "", isTruncated: false };
  const decoder = new TextDecoder();
  let text = "";
  let bytes = 0;
  for await (const chunk of body) {
    bytes += chunk.byteLength;
    // Leaving the loop cancels the stream.
    if (bytes > maxBytes) return { text, isTruncated: true };
    text += decoder.decode(chunk, { stream: true });
  }
  return { text: text + decoder.decode(), isTruncated: false };
}
