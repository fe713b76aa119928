/**
 * Names of sealed objects in the bucket of recordings. A name has the numbers of the first and the last row,
 * and the beginning of the content's hash. So a name never has two contents: two runs that write the same
 * write the same object, and a database that was restored to an earlier time meets nothing in its way.
 */

/** Every sealed object has a key that begins so: a bucket lock of its own is for this prefix. */
export const SEALS_PREFIX = "seals/";

/** The digits of the largest row number, so that keys sort as the numbers do. */
const ROW_DIGITS = 16;
const HASH_DIGITS = 16;

interface Rows {
  readonly firstRow: number;
  readonly lastRow: number;
}

/** @param textSha256 SHA-256 of the lines, not of the compressed object: compressors may differ */
export function partKey(rows: Rows, textSha256: string): string {
  return `${SEALS_PREFIX}events/${nameOf(rows)}.${textSha256.slice(0, HASH_DIGITS)}.ndjson.gz`;
}

/** @param sha256 of the manifest's text */
export function manifestKey(rows: Rows, sha256: string): string {
  return `${SEALS_PREFIX}manifests/${nameOf(rows)}.${sha256.slice(0, HASH_DIGITS)}.json`;
}

/** The id under which the audit log has the events of a seal. */
export function sealEventId(firstRow: number): string {
  return `seal-${digits(firstRow)}`;
}

function nameOf({ firstRow, lastRow }: Rows): string {
  return `${digits(firstRow)}-${digits(lastRow)}`;
}

const digits = (rowNumber: number) => String(rowNumber).padStart(ROW_DIGITS, "0");
