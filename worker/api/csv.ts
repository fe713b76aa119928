/** Lists of the API as CSV (RFC 4180), for spreadsheets, where a cell may be a program. Pure. */
import * as z from "zod";
import { maskControlCharacters, printableJson } from "../../common/text.ts";

export const CSV_CONTENT_TYPE = "text/csv";

/** What becomes CSV. */
export interface Table {
  readonly columns: readonly string[];
  readonly rows: readonly (readonly unknown[])[];
}

/** A page of a list. */
const page = z.object({ items: z.array(z.record(z.string(), z.unknown())), next: z.string().nullable() });
/** A table already. */
const table = z.object({ columns: z.array(z.string()), rows: z.array(z.array(z.unknown())) });

/** A handler's answer as a table, and where the next page begins; null where there is none. */
export interface CsvPage extends Table {
  readonly next: string | null;
}

/**
 * Makes a table of what a route with `csv` answers.
 *
 * @param schema of the route's answer: it names the columns of a page, also of an empty one
 * @throws where the answer is neither a page nor a table
 */
export function csvPageOf(schema: z.ZodType, answer: unknown): CsvPage {
  const asTable = table.safeParse(answer);
  if (asTable.success) return { ...asTable.data, next: null };
  const { items, next } = page.parse(answer);
  const columns = columnsOf(schema);
  return { columns, rows: items.map((item) => columns.map((column) => item[column])), next };
}

function columnsOf(schema: z.ZodType): readonly string[] {
  const items = schema instanceof z.ZodObject ? schema.shape["items"] : undefined;
  const element = items instanceof z.ZodArray ? items.element : undefined;
  if (!(element instanceof z.ZodObject)) throw new TypeError("a route with csv must answer items");
  return Object.keys(element.shape);
}

/**
 * Renders a table. Each record ends with CRLF.
 *
 * @param withHeader whether the columns' names come first
 */
export function renderCsv({ columns, rows }: Table, withHeader: boolean): string {
  const records = [...(withHeader ? [columns] : []), ...rows];
  return records.map((record) => `${record.map(renderCell).join(",")}\r\n`).join("");
}

/**
 * What spreadsheets take for the beginning of a formula, in the forms for full width too. OWASP, "CSV
 * Injection": a formula can send what is in the sheet somewhere else.
 */
const FORMULA = /^\s*[=+\-@\uFF0B\uFF0D\uFF1D\uFF20]/;

function renderCell(value: unknown): string {
  if (value === null || value === undefined) return "";
  if (typeof value === "number" || typeof value === "boolean" || typeof value === "bigint") return String(value);
  const text = typeof value === "string" ? maskControlCharacters(value) : printableJson(value);
  // The apostrophe has a spreadsheet show the rest as text.
  const harmless = FORMULA.test(text) ? `'${text}` : text;
  return `"${harmless.replaceAll('"', '""')}"`;
}
