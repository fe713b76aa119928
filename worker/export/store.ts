import type { ExportedTable } from "../../audit/exported-rows.ts";
import { logEvent } from "../../common/log.ts";
import { ok, type Result } from "../../common/result.ts";
import { STORAGE_TIMEOUTS_MS } from "../../common/storage-timeouts.ts";
import { withTimeout } from "../../common/with-timeout.ts";
import type { ExportFailure } from "./failure.ts";
import type { ExportRow } from "./lines.ts";
import { type Cursor, exportFolder, exportKey, exportMetadata, firstRowOfKey, readCursor } from "./r2-keys.ts";
import { type ExportState, NO_STATE, parseState, stateKey } from "./state.ts";

/** The objects of one table in R2. Every method rejects when R2 fails or does not answer in time. */
export class ExportStore {
  readonly #bucket: R2Bucket;
  readonly #prefix: string;
  readonly #table: ExportedTable;

  constructor(bucket: R2Bucket, prefix: string, table: ExportedTable) {
    this.#bucket = bucket;
    this.#prefix = prefix;
    this.#table = table;
  }

  /** What the last run left. An invalid state is logged and counts as none. */
  async readState(): Promise<ExportState> {
    const key = stateKey(this.#prefix, this.#table);
    const found = await withR2Timeout(this.#bucket.get(key));
    if (!found) return NO_STATE;
    const state = parseState(await withR2Timeout(found.text()), this.#prefix, this.#table);
    if (!state) logEvent("error", "export_state_invalid", { key });
    return state ?? NO_STATE;
  }

  async writeState(state: ExportState): Promise<void> {
    const options = { httpMetadata: { contentType: "application/json" } };
    const key = stateKey(this.#prefix, this.#table);
    await withR2Timeout(this.#bucket.put(key, `${JSON.stringify(state)}\n`, options));
  }

  /**
   * Finds out how far the export is by the objects that exist.
   *
   * @param hint an earlier answer. While its object exists, only later objects are listed.
   * @returns null when nothing is exported yet, or the failure `metadata_missing`
   */
  async findCursor(hint: Cursor | null): Promise<Result<Cursor | null, ExportFailure>> {
    const hinted = hint && (await withR2Timeout(this.#bucket.head(hint.key)));
    const newest = (await this.#findNewest(hinted?.key)) ?? hinted;
    // A short lifecycle rule and a quiet month remove every object. That is
    // no reason to export everything again.
    if (!newest) return ok(hint);
    return readCursor(newest.key, this.#firstRowOf(newest.key) ?? 0, newest.customMetadata);
  }

  /**
   * Writes the next object, unless it exists. A write that timed out may still
   * take effect: then the next run finds it.
   *
   * @returns how far the export is now, or null when another run was first; its object stays as it is
   */
  async put(rows: readonly [ExportRow, ...ExportRow[]]): Promise<Cursor | null> {
    const [first] = rows;
    const last = rows.at(-1) ?? first;
    const key = exportKey(this.#prefix, this.#table, first.rowNumber);
    const body = await gzip(rows.map(({ line }) => `${line}\n`).join(""));
    const written = await withR2Timeout(
      this.#bucket.put(key, body, {
        onlyIf: { etagDoesNotMatch: "*" },
        // Not Content-Encoding: some readers would then decompress once, others twice.
        httpMetadata: { contentType: "application/gzip" },
        customMetadata: exportMetadata(this.#table, rows),
      }),
    );
    return written && { key, last: last.rowNumber, fingerprint: last.fingerprint };
  }

  async #findNewest(startAfter: string | undefined): Promise<R2Object | undefined> {
    let newest: R2Object | undefined;
    for (let cursor: string | undefined; ; ) {
      const page: R2Objects = await withR2Timeout(
        this.#bucket.list({
          prefix: exportFolder(this.#prefix, this.#table),
          include: ["customMetadata"],
          ...(startAfter !== undefined && { startAfter }),
          ...(cursor !== undefined && { cursor }),
        }),
      );
      newest = page.objects.findLast(({ key }) => this.#firstRowOf(key) !== undefined) ?? newest;
      if (!page.truncated) return newest;
      cursor = page.cursor;
    }
  }

  #firstRowOf(key: string): number | undefined {
    return firstRowOfKey(this.#prefix, this.#table, key);
  }
}

function withR2Timeout<T>(work: Promise<T>): Promise<T> {
  return withTimeout(work, STORAGE_TIMEOUTS_MS.r2Export);
}

/** Compresses in memory: R2 needs the size beforehand, and an object is bounded. */
async function gzip(text: string): Promise<ArrayBuffer> {
  const stream = new Blob([text]).stream().pipeThrough(new CompressionStream("gzip"));
  return new Response(stream).arrayBuffer();
}
