/**
 * One line of a sealed object: a row of D1's table `events`, column by column. `data` is text here as there,
 * byte for byte as it was hashed, so that a reader can verify it and load it into the same table.
 */
import * as z from "zod";
import { err, ok, type Result } from "../../common/result.ts";
import type { ChainedEvent } from "../chain.ts";

export type SealedRow = ChainedEvent & { readonly row_number: number };

const rowSchema = z.strictObject({
  row_number: z.int().positive(),
  session_id: z.string(),
  seq: z.int(),
  at: z.int(),
  type: z.string(),
  data: z.string(),
  prev_hash: z.string(),
  hash: z.string(),
});

/** Columns of a sealed row, in the order of its line. */
export const SEALED_COLUMNS = Object.keys(rowSchema.shape) as readonly (keyof SealedRow)[];

/** @returns the line without its line feed */
export function sealLine({ row_number, session_id, seq, at, type, data, prev_hash, hash }: SealedRow): string {
  return JSON.stringify({ row_number, session_id, seq, at, type, data, prev_hash, hash });
}

/** Reads a line back. @returns a message for a person when it is no row */
export function parseSealLine(line: string): Result<SealedRow, string> {
  let value: unknown;
  try {
    value = JSON.parse(line);
  } catch {
    return err("a line is not JSON");
  }
  const row = rowSchema.safeParse(value);
  return row.success ? ok(row.data as SealedRow) : err("a line is not a row of events");
}
