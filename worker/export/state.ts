/**
 * What a run leaves for the next one and for whoever monitors: where to begin to list, and what went wrong. The objects
 * themselves are the truth; without this, or with nonsense in it, a run lists from the start.
 */
import * as z from "zod";
import type { ExportedTable } from "../../audit/exported-rows.ts";
import type { Cursor } from "./r2-keys.ts";
import { firstRowOfKey } from "./r2-keys.ts";

const stateSchema = z.strictObject({
  cursor: z.strictObject({ key: z.string(), last: z.int().min(1), mark: z.string().min(1) }).nullable(),
  error: z.strictObject({ at: z.iso.datetime(), message: z.string() }).nullable(),
});

export interface ExportState {
  readonly cursor: Cursor | null;
  /** Of the last run, where it failed. */
  readonly error: { readonly at: string; readonly message: string } | null;
}

export const NO_STATE: ExportState = { cursor: null, error: null };

/** Not among the objects that readers are given, and not under their lock: this one is overwritten. */
export function stateKey(prefix: string, table: ExportedTable): string {
  return `${prefix}state/${table}.json`;
}

/** @returns undefined where the text is not a state of this table */
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
