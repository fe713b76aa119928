/** Writes one part of a range: rows become lines, lines one gzipped object, which is read back. */
import { partKey } from "../../audit/seal/keys.ts";
import { type SealedRow, sealLine } from "../../audit/seal/lines.ts";
import type { ManifestPart } from "../../audit/seal/manifest.ts";
import { err, ok, type Result } from "../../common/result.ts";
import { objectAltered, type SealFailure } from "./failure.ts";
import { type SealStore, sha256OfContent, toHex } from "./store.ts";

/** Not Content-Encoding: some readers would then decompress once, others twice. */
const CONTENT_TYPE = "application/gzip";

export interface PartBounds {
  readonly firstRow: number;
  /** The part may end earlier, where it is full. */
  readonly lastRow: number;
  /** Characters of lines. The page that reaches the limit is still in the part. */
  readonly maxChars: number;
}

/**
 * @param readPage reads the first page of the rows with these numbers; empty when there are none
 * @returns the part, or null where there are no such rows
 */
export async function writePart(
  store: SealStore,
  readPage: (first: number, last: number) => Promise<readonly SealedRow[]>,
  bounds: PartBounds,
): Promise<Result<ManifestPart | null, SealFailure>> {
  const text = await gatherLines(readPage, bounds);
  if (!text) return ok(null);
  const rows = { firstRow: bounds.firstRow, lastRow: text.last.row_number };
  const key = partKey(rows, text.sha256);
  const stored = await store.put(key, text.gzipped, CONTENT_TYPE);
  if (!stored.ok) return stored;
  // The object may be an earlier run's, of another compressor: its content decides.
  const { bytes, sha256 } = stored.value;
  if ((await readContent(bytes)) !== text.sha256) return err(objectAltered(key));
  return ok({
    key,
    ...rows,
    rows: text.rows,
    bytes: bytes.byteLength,
    sha256,
    textBytes: text.bytes,
    firstHash: text.first.hash,
    lastHash: text.last.hash,
  });
}

interface Lines {
  readonly gzipped: ArrayBuffer;
  /** SHA-256 of the lines. */
  readonly sha256: string;
  readonly rows: number;
  readonly bytes: number;
  readonly first: SealedRow;
  readonly last: SealedRow;
}

/** Only a page of lines and the compressed object are in memory. */
async function gatherLines(
  readPage: (first: number, last: number) => Promise<readonly SealedRow[]>,
  { firstRow, lastRow, maxChars }: PartBounds,
): Promise<Lines | null> {
  const gzip = new CompressionStream("gzip");
  const digest = new crypto.DigestStream("SHA-256");
  const gzipped = new Response(gzip.readable).arrayBuffer();
  const [toGzip, toDigest] = [gzip.writable.getWriter(), digest.getWriter()];
  let first: SealedRow | undefined;
  let last: SealedRow | undefined;
  let rows = 0;
  let bytes = 0;
  try {
    for (let next = firstRow, chars = 0; next <= lastRow && chars < maxChars; ) {
      const page = await readPage(next, lastRow);
      const newest = page.at(-1);
      if (!newest) break;
      const lines = page.map((row) => `${sealLine(row)}\n`).join("");
      const encoded = new TextEncoder().encode(lines);
      await Promise.all([toGzip.write(encoded), toDigest.write(encoded)]);
      first ??= page[0];
      last = newest;
      rows += page.length;
      bytes += encoded.length;
      chars += lines.length;
      next = newest.row_number + 1;
    }
    await Promise.all([toGzip.close(), toDigest.close()]);
  } catch (error) {
    await Promise.allSettled([toGzip.abort(error), toDigest.abort(error), gzipped, digest.digest]);
    throw error;
  }
  const result = { gzipped: await gzipped, sha256: toHex(await digest.digest), rows, bytes };
  return first && last ? { ...result, first, last } : null;
}

/** @returns the hash of the content, or a text that is none where it cannot be decompressed */
async function readContent(gzipped: ArrayBuffer): Promise<string> {
  try {
    return await sha256OfContent(gzipped);
  } catch {
    return "not gzip";
  }
}
