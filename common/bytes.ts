/** Copies byte arrays into a new one, in order. */
export function concatBytes(parts: readonly Uint8Array[]): Uint8Array<ArrayBuffer> {
  const joined = new Uint8Array(parts.reduce((length, part) => length + part.length, 0));
  let offset = 0;
  for (const part of parts) {
    joined.set(part, offset);
    offset += part.length;
  }
  return joined;
}

/** Where text is encoded to be counted. Large, because each round costs a slice of the text. */
const COUNTING_BYTES = 64 * 1024;
const utf8 = new TextEncoder();

/** Counts the bytes of a text in UTF-8, without holding them: a message may have 32 MiB. */
export function utf8Length(text: string): number {
  if (text.length * 3 <= COUNTING_BYTES) return utf8.encode(text).length;
  const buffer = new Uint8Array(COUNTING_BYTES);
  let bytes = 0;
  for (let at = 0; at < text.length; ) {
    // Never reads half of a surrogate pair that the slice cuts: the buffer is full before.
    const { read, written } = utf8.encodeInto(text.slice(at, at + COUNTING_BYTES), buffer);
    at += read;
    bytes += written;
  }
  return bytes;
}
