/** The export's side of R2: how far it is, and the next object. */
import type { ExportedTable } from "../../audit/exported-rows.ts";
import { withTimeout } from "../../common/with-timeout.ts";
import type { ExportRow } from "./lines.ts";
import { type Cursor, exportFolder, exportKey, exportMetadata, firstRowOfKey, readCursor } from "./r2-keys.ts";
import { type ExportState, NO_STATE, parseState, stateKey } from "./state.ts";

/** An object is some megabytes at most. One that comes later all the same finds its key taken, or takes it rightly. */
const R2_TIMEOUT_MS = 30_000;

export class ExportStore {
  readonly #bucket: R2Bucket;
  readonly #prefix: string;
  readonly #table: ExportedTable;

  constructor(bucket: R2Bucket, prefix: string, table: ExportedTable) {
    this.#bucket = bucket;
    this.#prefix = prefix;
    this.#table = table;
  }

  /** What the last run left. Nonsense is said aloud and taken for nothing. Rejects where R2 does not answer. */
  async readState(): Promise<ExportState> {
    const key = stateKey(this.#prefix, this.#table);
    const found = await withTimeout(this.#bucket.get(key), R2_TIMEOUT_MS);
    if (!found) return NO_STATE;
    const state = parseState(await withTimeout(found.text(), R2_TIMEOUT_MS), this.#prefix, this.#table);
    if (!state) console.error(`export: ${key} is not what an export writes there: every object is listed instead`);
    return state ?? NO_STATE;
  }

  async writeState(state: ExportState): Promise<void> {
    const options = { httpMetadata: { contentType: "application/json" } };
    const key = stateKey(this.#prefix, this.#table);
    await withTimeout(this.#bucket.put(key, `${JSON.stringify(state)}\n`, options), R2_TIMEOUT_MS);
  }

  /**
   * How far the export is, by the objects that are there; null: nothing is exported yet.
   *
   * @param hint an earlier answer; where its object still is, only what came after it is listed
   * @throws ExportFault where the newest object does not say how far it goes
   */
  async findCursor(hint: Cursor | null): Promise<Cursor | null> {
    const hinted = hint && (await withTimeout(this.#bucket.head(hint.key), R2_TIMEOUT_MS));
    const newest = (await this.#lastAfter(hinted?.key)) ?? hinted;
    // All objects gone, as with a short lifecycle and a quiet month, is no reason to export everything again.
    if (!newest) return hint;
    return readCursor(newest.key, this.#firstOf(newest.key) ?? 0, newest.customMetadata);
  }

  /**
   * Puts the next object, if nobody has.
   *
   * @returns how far the export is now, or null where another run was first: its object stays as it is
   */
  async put(rows: readonly [ExportRow, ...ExportRow[]]): Promise<Cursor | null> {
    const key = exportKey(this.#prefix, this.#table, rows[0].rowNumber);
    const metadata = exportMetadata(this.#table, rows);
    const body = await gzip(rows.map(({ line }) => `${line}\n`).join(""));
    const written = await withTimeout(
      this.#bucket.put(key, body, {
        onlyIf: { etagDoesNotMatch: "*" },
        // Not Content-Encoding: half of the readers would then unpack it once, the other half twice.
        httpMetadata: { contentType: "application/gzip" },
        customMetadata: metadata,
      }),
      R2_TIMEOUT_MS,
    );
    return written && readCursor(key, rows[0].rowNumber, metadata);
  }

  async #lastAfter(startAfter: string | undefined): Promise<R2Object | undefined> {
    let last: R2Object | undefined;
    for (let cursor: string | undefined; ; ) {
      const page: R2Objects = await withTimeout(
        this.#bucket.list({
          prefix: exportFolder(this.#prefix, this.#table),
          include: ["customMetadata"],
          ...(startAfter !== undefined && { startAfter }),
          ...(cursor !== undefined && { cursor }),
        }),
        R2_TIMEOUT_MS,
      );
      last = page.objects.findLast(({ key }) => this.#firstOf(key) !== undefined) ?? last;
      if (!page.truncated) return last;
      cursor = page.cursor;
    }
  }

  #firstOf(key: string): number | undefined {
    return firstRowOfKey(this.#prefix, this.#table, key);
  }
}

/** Whole in memory: R2 wants to know the size beforehand, and an object is bounded. */
async function gzip(text: string): Promise<ArrayBuffer> {
  const stream = new Blob([text]).stream().pipeThrough(new CompressionStream("gzip"));
  return new Response(stream).arrayBuffer();
}
