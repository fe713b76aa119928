/** What the columns of an answer are, by their names in the SQL of audit/questions. Pure. */
import { parseJson } from "../../../common/json.ts";

export type ColumnKind = "time" | "person" | "session" | "command" | "bytes" | "other";

const NAMES = {
  time: [
    ...["asked", "at", "began", "ended", "first_time", "last_used", "left_at", "local_time", "minute", "sealed_at"],
    ...["since", "until"],
  ],
  person: ["user", "ended_by", "locked_by", "of", "sallyport_user", "taken_back_by", "watched_by"],
  session: ["id", "session"],
  command: ["command", "detail"],
  bytes: ["bytes_out", "other_days"],
} as const satisfies Readonly<Record<Exclude<ColumnKind, "other">, readonly string[]>>;

const KINDS: ReadonlyMap<string, ColumnKind> = new Map(
  Object.entries(NAMES).flatMap(([kind, names]) => names.map((name) => [name, kind as ColumnKind] as const)),
);

export function kindOf(column: string): ColumnKind {
  return KINDS.get(column) ?? "other";
}

/** The title of a column. */
export function titleOf(column: string): string {
  const text = column.replaceAll("_", " ");
  return text.charAt(0).toUpperCase() + text.slice(1);
}

const SQL_TIME = /^(\d{4}-\d\d-\d\d) (\d\d:\d\d:\d\d)$/;
const RFC_3339 = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?(?:Z|[+-]\d\d:\d\d)$/;
const ZONE = /^([+-])(\d{1,2})(?::(\d\d)| hours?)$/;

/**
 * Reads a time of an answer.
 *
 * @param zone the offset that SQLite has added to it, as it was bound; undefined for UTC
 * @returns ms since the epoch; undefined where the cell is no time
 */
export function readTime(cell: unknown, zone?: string | number): number | undefined {
  if (typeof cell !== "string") return undefined;
  const [, day, time] = SQL_TIME.exec(cell) ?? [];
  const text = day === undefined ? cell : `${day}T${time}Z`;
  if (!RFC_3339.test(text)) return undefined;
  const at = Date.parse(text);
  if (Number.isNaN(at)) return undefined;
  return day === undefined ? at : at - offsetMs(zone);
}

function offsetMs(zone: string | number | undefined): number {
  const [, sign, hours, minutes = "0"] = ZONE.exec(String(zone ?? "")) ?? [];
  const ms = (Number(hours ?? 0) * 60 + Number(minutes)) * 60_000;
  return sign === "-" ? -ms : ms;
}

/** Reads a command of an answer. @returns undefined where the cell is no list of texts */
export function readCommand(cell: unknown): readonly string[] | undefined {
  if (typeof cell !== "string" || !cell.startsWith("[")) return undefined;
  const parsed = parseJson(cell);
  return Array.isArray(parsed) && parsed.every((part) => typeof part === "string") ? parsed : undefined;
}
