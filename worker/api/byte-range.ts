/** One range of bytes, as `Range` asks for it (RFC 9110, section 14). Pure. */

export interface ByteRange {
  readonly offset: number;
  /** Above 0. */
  readonly length: number;
}

const ONE_RANGE = /^bytes=(?:(\d{1,15})-(\d{0,15})|-(\d{1,15}))$/;

/**
 * @param header of the request
 * @param size of the whole
 * @returns undefined for what is no single range of it: a server may then answer with the whole
 */
export function readByteRange(header: string | null, size: number): ByteRange | undefined {
  const [, first, last, suffix] = ONE_RANGE.exec(header ?? "") ?? [];
  if (suffix !== undefined) {
    const length = Math.min(Number(suffix), size);
    return length > 0 ? { offset: size - length, length } : undefined;
  }
  if (first === undefined) return undefined;
  const offset = Number(first);
  const end = last ? Math.min(Number(last), size - 1) : size - 1;
  return offset <= end ? { offset, length: end - offset + 1 } : undefined;
}
