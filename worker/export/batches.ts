/** Cuts a table, read in pages, into the rows of one object after the other. */

import type { ExportRow } from "./lines.ts";
import { ExportError } from "./r2-keys.ts";

export interface BatchLimits {
  readonly rows: number;
  /** Characters of the lines. The row that reaches it is still in. */
  readonly chars: number;
}

/** A page of rows from this number on; empty where there are no more. */
export type ReadPage = (rowNumber: number) => Promise<readonly ExportRow[]>;

export class Batches {
  readonly #read: ReadPage;
  readonly #limits: BatchLimits;
  #waiting: ExportRow[] = [];
  /** The number of the next row. */
  #next: number;

  private constructor(read: ReadPage, limits: BatchLimits, next: number, waiting: readonly ExportRow[]) {
    this.#read = read;
    this.#limits = limits;
    this.#next = next;
    this.#waiting.push(...waiting);
  }

  /**
   * Begins after a row, when it is still the one that was exported: numbers begin anew where a database was restored to an
   * earlier time, and going on from a number would then leave rows out.
   *
   * @param after null: at the beginning
   * @throws ExportFault where another row, or none, is in its place
   */
  static async after(
    after: { readonly last: number; readonly mark: string } | null,
    read: ReadPage,
    limits: BatchLimits,
  ): Promise<Batches> {
    if (!after) return new Batches(read, limits, 1, []);
    const [exported, ...rest] = await read(after.last);
    if (exported?.rowNumber !== after.last || exported.mark !== after.mark) {
      throw new ExportError(
        `row ${after.last} is not the one that was exported: the database was restored to an earlier time, or changed; ` +
          "once that is understood, export it anew under another prefix",
      );
    }
    return new Batches(read, limits, after.last + 1, rest);
  }

  /**
   * @param onMissing is told of numbers that have no row (from, to): only somebody who may change the schema can make such
   * @returns the rows of the next object; undefined where there are none
   */
  async next(onMissing: (from: number, to: number) => void): Promise<readonly [ExportRow, ...ExportRow[]] | undefined> {
    const batch: ExportRow[] = [];
    let chars = 0;
    while (batch.length < this.#limits.rows && chars < this.#limits.chars) {
      if (this.#waiting.length === 0) this.#waiting.push(...(await this.#read(this.#next)));
      const row = this.#waiting.shift();
      if (!row) break;
      if (row.rowNumber > this.#next) onMissing(this.#next, row.rowNumber - 1);
      this.#next = row.rowNumber + 1;
      chars += row.line.length + 1;
      batch.push(row);
    }
    const [first, ...others] = batch;
    return first && [first, ...others];
  }
}
