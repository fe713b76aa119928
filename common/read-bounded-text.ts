export interface BoundedText {
  /** The whole body, or as much of its beginning as fits into the bound, without a character cut in two. */
  readonly text: string;
  readonly isTruncated: boolean;
}

/**
 * Reads a body as UTF-8. Holds at most `maxBytes` of it plus one chunk, and cancels a longer stream.
 *
 * @param body null for a message without one
 */
export async function readBoundedText(body: AsyncIterable<Uint8Array> | null, maxBytes: number): Promise<BoundedText> {
  if (!body) return { text: "", isTruncated: false };
  const decoder = new TextDecoder();
  let text = "";
  let room = maxBytes;
  for await (const chunk of body) {
    text += decoder.decode(chunk.subarray(0, room), { stream: true });
    // Leaving the loop cancels the stream.
    if (chunk.byteLength > room) return { text, isTruncated: true };
    room -= chunk.byteLength;
  }
  return { text: text + decoder.decode(), isTruncated: false };
}
