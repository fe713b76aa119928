/** The cookbook's questions: their SQL only reads, and what callers give is bound, never part of it. */
import { describe, expect, it } from "vitest";
import { findQuestion, SECTIONS } from "../../audit/questions/index.ts";
import { compileQuestion, placeholdersOf, type Question, renderExample } from "../../audit/questions/question.ts";
import { isRequired, readValues } from "../../worker/api/question-values.ts";

const questions = SECTIONS.flatMap((section) => section.questions);
const NOW = Date.parse("2026-11-20T00:00:00Z");

function question(name: string): Question {
  const found = findQuestion(name);
  if (!found) throw new Error(name);
  return found;
}

/** What a caller would give for the examples. */
const examplesOf = ({ parameters }: Question) =>
  Object.fromEntries(Object.entries(parameters).map(([name, { example }]) => [name, String(example)]));

describe.each(questions)("$name", (one) => {
  it("is one statement that only reads", () => {
    // Without what is in quotes.
    const sql = one.sql.trim().replace(/'[^']*'/g, "''");
    expect(sql).toMatch(/^(SELECT|WITH)\b/);
    expect(sql).not.toContain(";");
    expect(sql).not.toMatch(/\b(INSERT|UPDATE|DELETE|REPLACE|DROP|ALTER|CREATE|ATTACH|PRAGMA|VACUUM)\b/);
  });

  it("describes exactly the parameters that it uses, with examples that fit", () => {
    expect(new Set(Object.keys(one.parameters))).toEqual(new Set(placeholdersOf(one)));
    for (const { description } of Object.values(one.parameters)) expect(description).toMatch(/^[A-Z].*\.$/);
    const values = readValues(one, examplesOf(one), NOW);
    expect(values).toMatchObject({ ok: true });
    if (values.ok) expect(Object.keys(values.value)).toEqual(placeholdersOf(one));
  });

  it("has bounds for its rows", () => {
    const values = readValues(one, examplesOf(one), NOW);
    const { sql, bound } = compileQuestion(one, values.ok ? values.value : {}, 7);
    expect(sql).toMatch(/\bLIMIT (\?\d+|\d+)$/);
    expect(sql).not.toMatch(/:[a-z]/);
    const numbers = [...sql.matchAll(/\?(\d+)/g)].map(([, number]) => Number(number));
    expect(Math.max(0, ...numbers)).toBe(bound.length);
  });

  it("says whether it reads by index or the whole table", () => {
    expect(one.notes.match(/\bBy\s+index\b|\bWhole\s+table\b/g)).toHaveLength(1);
  });

  it("has notes that hold for whatever is asked, and so name no example", () => {
    for (const { example } of Object.values(one.parameters)) expect(one.notes).not.toContain(String(example));
    // As people write the examples of numbers and of zones.
    expect(one.notes).not.toMatch(/\bUTC[+-]\d|\b\d+ [kMG]B\b|\bat least (?:\d|two|three|four|five)/);
  });

  it("has a name that a path can have", () => {
    expect(one.name).toMatch(/^[a-z][a-z-]*$/);
  });
});

it("no two questions have one name", () => {
  expect(new Set(questions.map(({ name }) => name)).size).toBe(questions.length);
  expect(findQuestion("constructor")).toBeUndefined();
});

it("examples are quoted as SQL has it", () => {
  const parameters = { text: { type: "text", description: "A text.", example: "it's" } } as const;
  expect(renderExample({ name: "a", title: "b", sql: "SELECT :text", parameters, notes: "" })).toBe("SELECT 'it''s';");
});

describe("parameters", () => {
  const secrets = question("secrets-read");
  const read = (given: Record<string, string>, of = secrets) => readValues(of, given, NOW);

  it("have the last seven days by themselves", () => {
    expect(read({ namespace: "payments" })).toEqual({
      ok: true,
      value: { namespace: "payments", since: "2026-11-13T00:00:00.000Z", until: "2026-11-20T00:00:00.000Z" },
    });
    expect(isRequired("since", { type: "time", description: "", example: "" })).toBe(false);
    expect(isRequired("namespace", { type: "text", description: "", example: "" })).toBe(true);
  });

  it("are bound as they are, whatever they contain", () => {
    const hostile = "x' OR '1'='1'; DROP TABLE events; --";
    const values = read({ namespace: hostile });
    if (!values.ok) throw new Error(values.error);
    const { sql, bound } = compileQuestion(secrets, values.value, 10);
    expect(sql).not.toContain("DROP");
    expect(bound).toContain(hostile);
    // A value that looks like a parameter is none.
    const again = read({ namespace: ":since" });
    if (again.ok) expect(compileQuestion(secrets, again.value, 10).bound).toContain(":since");
  });

  it("may be texts of any script, with all that is no control character", () => {
    for (const namespace of ["zoë's 日本 👩", "a\u200Bb\u202Ec"]) {
      expect(read({ namespace })).toMatchObject({ ok: true, value: { namespace } });
    }
  });

  it("are times in any zone, or days in UTC", () => {
    const of = (since: string) => read({ namespace: "a", since });
    expect(of("2026-11-17T00:00:00+01:00")).toMatchObject({ value: { since: "2026-11-16T23:00:00.000Z" } });
    expect(of("2026-11-17")).toMatchObject({ value: { since: "2026-11-17T00:00:00.000Z" } });
    for (const text of ["yesterday", "2026-13-01", "2026-11-17T00:00:00", "1700000000000", "' OR 1", ""]) {
      expect(of(text)).toMatchObject({ ok: false, error: expect.stringMatching(/^query parameter since is not/) });
    }
  });

  it("are for a bounded time that goes forward", () => {
    expect(read({ namespace: "a", since: "2026-01-01", until: "2026-11-01" })).toEqual({
      ok: false,
      error: "a question is about 100 days at most",
    });
    expect(read({ namespace: "a", since: "2026-11-02", until: "2026-11-01" })).toMatchObject({ ok: false });
  });

  it.each<[string, Record<string, string>, RegExp]>([
    ["secrets-read", {}, /^query parameter namespace is missing: give a text, such as payments$/],
    ["secrets-read", { namespace: "" }, /^query parameter namespace is not/],
    ["secrets-read", { namespace: "a".repeat(513) }, /^query parameter namespace is not/],
    ["secrets-read", { namespace: "a", nmespace: "b" }, /^unknown query parameter nmespace: this question takes /],
    ["locked", { user: "a" }, /^unknown query parameter user: this question takes no parameters$/],
    ["one-persons-day", { user: "x\x1b[201~\nrm" }, /^query parameter user is not/],
    ["secrets-read", { namespace: "a\0" }, /^query parameter namespace is not/],
    ["who-ran-a-command", { pattern: "%\x9b%" }, /^query parameter pattern is not/],
    ["probing", { least: "3.5" }, /least is not/],
    ["probing", { least: "-1" }, /least is not/],
    ["who-ran-a-command", { pattern: `%${"é".repeat(30)}%` }, /pattern is not .* at most 50 bytes/],
    ["outside-office-hours", { zone: "+1 hour; --" }, /zone is not/],
    ["outside-office-hours", { zone: "start of year" }, /zone is not/],
    ["bypassed", { log: "{}" }, /log is not .* a JSON list/],
    ["bypassed", { log: "[" }, /log is not/],
    ["bypassed", { log: `[${'"a",'.repeat(3_000)}"a"]` }, /log is not/],
  ])("of %s are refused: %j", (name, given, message) => {
    const values = read(given, question(name));
    expect(values).toMatchObject({ ok: false, error: expect.stringMatching(message) });
  });

  it("name people in lower case", () => {
    expect(read({ user: "Alice@Example.com" }, question("one-persons-day"))).toMatchObject({
      value: { user: "alice@example.com", zone: "+0 hours" },
    });
  });
});
