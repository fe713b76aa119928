/**
 * Questions that security teams ask of the audit log, as SQL with named parameters (`:since`). Pure.
 *
 * This is the one source: docs/QUERIES.md has them with their examples in the place of the parameters, and the
 * API runs them with values that are bound, never written into the text.
 */
import { inlineParameters, SQL_PARAMETER } from "../../common/sql-text.ts";

export interface Parameter {
  /**
   * - `time`: RFC 3339, or a day in UTC.
   * - `zone`: an offset as SQLite has it, such as `+2 hours`.
   * - `user`: in lower case.
   * - `pattern`: of SQL's LIKE. D1 takes at most 50 bytes.
   * - `json`: a list.
   */
  readonly type: "time" | "zone" | "user" | "text" | "pattern" | "integer" | "json";
  /** A sentence. */
  readonly description: string;
  /** What stands in the documentation. */
  readonly example: string | number;
  /** Where it may be left out. Times have defaults of their own: the last seven days. */
  readonly default?: string | number;
}

export interface Question {
  /** Its name in the API. Never rename one. */
  readonly name: string;
  readonly title: string;
  /** One SELECT without a semicolon. */
  readonly sql: string;
  readonly parameters: Readonly<Record<string, Parameter>>;
  /** What to know of the answer, in Markdown. It says "By index" or "Whole table". */
  readonly notes: string;
  /** Columns of which a chart helps. */
  readonly chart?: { readonly label: string; readonly value: string };
}

export interface Section {
  readonly title: string;
  readonly questions: readonly Question[];
}

export const SINCE = { type: "time", description: "From this time on. Default: seven days ago." } as const;
export const UNTIL = { type: "time", description: "Before this time. Default: now." } as const;
export const ZONE = {
  type: "zone",
  description: "The offset in which times are shown, such as `+2 hours`.",
  default: "+0 hours",
} as const;

/** The names of the parameters in the SQL, in the order of their first use. */
export function placeholdersOf({ sql }: Pick<Question, "sql">): string[] {
  return [...new Set([...sql.matchAll(SQL_PARAMETER)].map(([, name = ""]) => name))];
}

/** Whether a question reads the whole audit log, however short the time is that it asks about. */
export function readsWholeTable({ notes }: Pick<Question, "notes">): boolean {
  return /\bWhole\s+table\b/.test(notes);
}

/**
 * The SQL as D1 takes it: numbered parameters, and a bound for the rows.
 *
 * @param values by the names of the parameters
 * @param limit the most rows
 */
export function compileQuestion(
  question: Pick<Question, "sql">,
  values: Readonly<Record<string, string | number>>,
  limit: number,
): { readonly sql: string; readonly bound: readonly (string | number)[] } {
  const names = placeholdersOf(question);
  const bound = names.map((name) => {
    const value = values[name];
    if (value === undefined) throw new RangeError(`no value for the parameter ${name}`);
    return value;
  });
  const numbered = question.sql.trim().replace(SQL_PARAMETER, (_, name: string) => `?${names.indexOf(name) + 1}`);
  // A few have a bound of their own, which is lower.
  if (/\bLIMIT \S+$/.test(numbered)) return { sql: numbered, bound };
  return { sql: `${numbered}\nLIMIT ?${names.length + 1}`, bound: [...bound, limit] };
}

/** The SQL as people run it by hand: with the examples in the place of the parameters. */
export function renderExample({ sql, parameters }: Question): string {
  const examples = Object.entries(parameters).map(([name, { example }]) => [name, example]);
  return inlineParameters(sql, Object.fromEntries(examples));
}
