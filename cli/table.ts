/** Text in columns. Pure. */
import { maskControlCharacters } from "../common/text.ts";

/** Rows with equally wide columns, two spaces apart. What a cell has of control characters is masked. */
export function columnsOf(rows: readonly (readonly string[])[]): string[] {
  const cells = rows.map((row) => row.map((cell) => maskControlCharacters(cell)));
  const widths = (cells[0] ?? []).map((_, column) => Math.max(...cells.map((row) => row[column]?.length ?? 0)));
  return cells.map((row) =>
    row
      .map((cell, column) => cell.padEnd(widths[column] ?? 0))
      .join("  ")
      .trimEnd(),
  );
}

const UNITS = [
  [86_400_000, "d"],
  [3_600_000, "h"],
  [60_000, "m"],
  [1_000, "s"],
] as const;

/** A duration as kubectl shows ages: its largest unit, or `<unknown>` for a time that is none. */
export function ageOf(sinceMs: number, nowMs: number): string {
  if (!Number.isFinite(sinceMs)) return "<unknown>";
  const age = Math.max(0, nowMs - sinceMs);
  const [ms, unit] = UNITS.find(([each]) => age >= each) ?? [1_000, "s"];
  return `${Math.floor(age / ms)}${unit}`;
}

/** At most so many characters; an ellipsis stands for the rest. */
export function shorten(text: string, maxChars: number): string {
  return text.length <= maxChars ? text : `${text.slice(0, maxChars - 1)}…`;
}
