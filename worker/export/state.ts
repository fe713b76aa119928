/**
 * What a run leaves for the next one and for monitoring: where to start to list, and what went wrong. The
 * objects are the truth. When the state is missing or invalid, a run lists all of them.
 */
import * as z from "zod";
import type { ExportedTable } from "../../audit/exported-rows.ts";
import type { Cursor } from "./r2-keys.ts";
import { firstRowOfKey } from "./r2-keys.ts";

const stateSchema = z.strictObject({
  cursor: z.strictObject({ key: z.string(), last: z.int().min(1), fingerprint: z.string().min(1) }).nullable(),
  error: z.strictObject({ at: z.iso.datetime(), message: z.string() }).nullable(),
});

export interface ExportState {
  readonly cursor: Cursor | null;
  /** Why the last run failed, or null. */
  readonly error: { readonly at: string; readonly message: string } | null;
}

export const NO_STATE: ExportState = { cursor: null, error: null };

/** Outside the prefixes that readers and bucket locks use, because the state is overwritten. */
export function stateKey(prefix: string, table: ExportedTable): string {
  return `${prefix}state/${table}.json`;
}

/** @returns undefined when the text is not a valid state of this table */
export function parseState(text: string, prefix: string, table: ExportedTable): ExportState | undefined {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return undefined;
  }
  const parsed = stateSchema.safeParse(value);
  if (!parsed.success) return undefined;
  const { cursor } = parsed.data;
  if (cursor && (firstRowOfKey(prefix, table, cursor.key) ?? Number.POSITIVE_INFINITY) > cursor.last) return undefined;
  return parsed.data;
}

export function isSameState(one: ExportState, other: ExportState): boolean {
  return JSON.stringify(one) === JSON.stringify(other);
}
