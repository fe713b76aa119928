import { err, ok, type Result } from "../../common/result.ts";
import type { ExportFailure } from "./failure.ts";
import type { ExportRow } from "./lines.ts";

export interface BatchLimits {
  readonly maxRows: number;
  /** Characters of the lines. The row that reaches the limit is still in the batch. */
  readonly maxChars: number;
}

/** Reads a page of rows in order, from this row number on. An empty page means that there are no more. */
export type ReadPage = (fromRow: number) => Promise<readonly ExportRow[]>;

/** Reads a table page by page and cuts it into batches: the rows of one object each. */
export class Batches {
  readonly #readPage: ReadPage;
  readonly #limits: BatchLimits;
  readonly #buffered: ExportRow[];
  #nextRow: number;

  private constructor(readPage: ReadPage, limits: BatchLimits, nextRow: number, buffered: readonly ExportRow[]) {
    this.#readPage = readPage;
    this.#limits = limits;
    this.#nextRow = nextRow;
    this.#buffered = [...buffered];
  }

  /**
   * Starts after the row that was exported last, if D1 still has that row. Row numbers start again when a
   * database is restored to an earlier time. Continuing by number alone would then leave rows out.
   *
   * @param exported the last exported row, or null to start with the first row
   * @param leftTo rows up to this number may have left D1 after they were sealed
   * @returns the failure `row_replaced` when D1 has another row, or none, under that number
   */
  static async startAfter(
    exported: { readonly last: number; readonly fingerprint: string } | null,
    readPage: ReadPage,
    limits: BatchLimits,
    leftTo = 0,
  ): Promise<Result<Batches, ExportFailure>> {
    if (!exported) return ok(new Batches(readPage, limits, 1, []));
    const page = await readPage(exported.last);
    const [row, ...rest] = page;
    if (row?.rowNumber === exported.last && row.fingerprint === exported.fingerprint) {
      return ok(new Batches(readPage, limits, exported.last + 1, rest));
    }
    // As when the export was off for months: what is not exported yet is only in the seals, or still here.
    if (row?.rowNumber !== exported.last && exported.last <= leftTo) {
      return ok(new Batches(readPage, limits, exported.last + 1, page));
    }
    return err({
      code: "row_replaced",
      message:
        `row ${exported.last} in D1 is not the row that was exported: the database was restored or changed; ` +
        "find out why, then export everything again under a new prefix",
    });
  }

  /**
   * @param onMissing is called with the first and last of row numbers that have no row. Only somebody who can
   *   change the schema can delete rows.
   * @returns the rows of the next object, or undefined when there are no more
   */
  async next(onMissing: (from: number, to: number) => void): Promise<readonly [ExportRow, ...ExportRow[]] | undefined> {
    const batch: ExportRow[] = [];
    let chars = 0;
    while (batch.length < this.#limits.maxRows && chars < this.#limits.maxChars) {
      if (this.#buffered.length === 0) this.#buffered.push(...(await this.#readPage(this.#nextRow)));
      const row = this.#buffered.shift();
      if (!row) break;
      if (row.rowNumber > this.#nextRow) onMissing(this.#nextRow, row.rowNumber - 1);
      this.#nextRow = row.rowNumber + 1;
      chars += row.line.length + 1;
      batch.push(row);
    }
    const [first, ...others] = batch;
    return first && [first, ...others];
  }
}
