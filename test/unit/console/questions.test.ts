/** Questions in the console: their forms, what their columns are, their notes and their charts. */
import { DatabaseSync } from "node:sqlite";
import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import { findQuestion, SECTIONS } from "../../../audit/questions/index.ts";
import { placeholdersOf } from "../../../audit/questions/question.ts";
import { inlineParameters } from "../../../common/sql-text.ts";
import type { Question } from "../../../console/src/api/endpoints.ts";
import { barsOf, histogramOf } from "../../../console/src/questions/chart.ts";
import { kindOf, readCommand, readTime, titleOf } from "../../../console/src/questions/columns.ts";
import { missingOf, questionFields, questionValues, zoneOffset } from "../../../console/src/questions/fields.ts";
import { parseNotes } from "../../../console/src/questions/notes.ts";
import { RANGES, readLocalInput, toAddressTime, toLocalInput } from "../../../console/src/ui/time-range.ts";
import { isRequired } from "../../../worker/api/question-values.ts";

beforeAll(() => {
  // Clocks change there on 2026-10-25.
  vi.stubEnv("TZ", "Europe/Berlin");
});
afterAll(() => {
  vi.unstubAllEnvs();
});

const all = SECTIONS.flatMap(({ questions }) => questions);
const ONE_CLUSTER = { zone: "+01:00", clusters: ["prod"] };

/** The parameters as the API lists them. */
function parametersOf(name: string): Question["parameters"] {
  const question = findQuestion(name);
  if (!question) throw new Error(name);
  return placeholdersOf(question).flatMap((each) => {
    const parameter = question.parameters[each];
    if (!parameter) return [];
    const { type, description, example } = parameter;
    return [{ name: each, type, description, example, required: isRequired(each, parameter) }];
  });
}

describe("the form of a question", () => {
  it("asks first for what must be given, and has the reader's zone where nobody chose one", () => {
    const parameters = parametersOf("one-persons-day");
    const fields = questionFields(parameters, ONE_CLUSTER);
    expect(fields.map(({ name }) => name)).toEqual(["user", "since", "until", "zone"]);
    expect(fields[0]).toMatchObject({ label: "Person", isRequired: true, example: "alice@example.com", otherwise: "" });
    expect(fields[1]).toMatchObject({ isTime: true, isRequired: false });
    expect(fields[3]).toMatchObject({ otherwise: "+01:00", isRare: true });
  });

  it("shows what the API used where the address has nothing", () => {
    const parameters = parametersOf("probing");
    const fields = questionFields(parameters, ONE_CLUSTER, { least: 3, since: "2026-11-20T00:00:00.000Z" });
    expect(fields.map(({ otherwise }) => otherwise)).toEqual(["2026-11-20T00:00:00.000Z", "", "3"]);
  });

  it.each([
    [["prod"], "prod", []],
    [["prod", "stage"], "", ["cluster"]],
    [[], "", ["cluster"]],
  ])("of clusters %j chooses '%s', and then lacks %j", (clusters, cluster, missing) => {
    const parameters = parametersOf("who-was-in-a-cluster");
    const values = questionValues(parameters, { zone: "+01:00", clusters }, () => "");
    expect(values).toEqual({ zone: "+01:00", cluster, since: "", until: "" });
    expect(missingOf(parameters, values).map(({ name }) => name)).toEqual(missing);
  });

  it("takes what the address has before all else", () => {
    const parameters = parametersOf("who-was-in-a-cluster");
    const address: Record<string, string> = { cluster: "stage", zone: "+05:30" };
    const values = questionValues(parameters, ONE_CLUSTER, (name) => address[name] ?? "");
    expect(values).toMatchObject({ cluster: "stage", zone: "+05:30" });
  });

  it("says the reader's offset as SQLite takes it, in summer and in winter", () => {
    expect(zoneOffset(new Date("2026-07-01T00:00:00Z"))).toBe("+02:00");
    expect(zoneOffset(new Date("2026-12-01T00:00:00Z"))).toBe("+01:00");
    vi.stubEnv("TZ", "America/St_Johns");
    expect(zoneOffset(new Date("2026-12-01T00:00:00Z"))).toBe("-03:30");
    vi.stubEnv("TZ", "Europe/Berlin");
  });
});

describe("times in addresses and fields", () => {
  it("are UTC in the address, and the reader's in the field", () => {
    expect(toAddressTime(new Date("2026-11-27T08:00:01.234Z"))).toBe("2026-11-27T08:00:01Z");
    expect(toAddressTime(undefined)).toBe("");
    expect(toLocalInput("2026-11-27T23:30:00Z")).toBe("2026-11-28T00:30");
    expect(toLocalInput("2026-07-01T00:00:00Z")).toBe("2026-07-01T02:00");
    expect(toLocalInput("yesterday")).toBe("");
  });

  it("are read from a field, and come back as they were", () => {
    expect(readLocalInput("2026-11-28T00:30")?.toISOString()).toBe("2026-11-27T23:30:00.000Z");
    expect(readLocalInput("2026-07-01T02:00:30.5")?.toISOString()).toBe("2026-07-01T00:00:30.500Z");
    // A date alone is a midnight of the reader's.
    expect(readLocalInput("2026-11-28")?.toISOString()).toBe("2026-11-27T23:00:00.000Z");
    expect(readLocalInput("2000-01-01T00:00")).toBeDefined();
  });

  it.each(["", "0002-11-27T10:00", "0020-11-27", "0202-11-27T10:00", "1999-12-31T23:59", "20261-11-27T10:00", "soon"])(
    "are not read while they are typed: '%s'",
    (text) => {
      expect(readLocalInput(text)).toBeUndefined();
    },
  );

  it("have days of the reader's calendar, also the one of 25 hours", () => {
    const range = RANGES.find(({ label }) => label === "Yesterday")?.range(new Date("2026-10-26T12:00:00Z"));
    expect(range?.map((at) => at?.toISOString())).toEqual(["2026-10-24T22:00:00.000Z", "2026-10-25T23:00:00.000Z"]);
  });
});

describe("a column", () => {
  /** What an alias of the SQL is made of, as `datetime(…) AS began`. */
  const aliases = (sql: string) =>
    [...sql.matchAll(/\bdatetime\(((?:[^()]|\([^()]*\))*)\) AS (\w+)/g)].map(([, made = "", name = ""]) => ({
      made,
      name,
    }));

  it.each(all)("of $name that is a time is shown as one, in the zone that it is in", ({ sql, parameters }) => {
    for (const { made, name } of aliases(sql)) {
      expect(kindOf(name), name).toBe("time");
      // Otherwise the console would take a time of UTC for one of the zone.
      if (parameters["zone"]) expect(made, name).toContain(":zone");
    }
  });

  it("is known by names that questions have", () => {
    expect(all.flatMap(({ sql }) => aliases(sql)).length).toBeGreaterThan(15);
    for (const name of ["watched_by", "of", "ended_by", "taken_back_by", "locked_by", "sallyport_user", "bytes_out"]) {
      expect(kindOf(name), name).not.toBe("other");
      expect(
        all.some(({ sql }) => new RegExp(`\\b${name}\\b`).test(sql)),
        name,
      ).toBe(true);
    }
    expect(kindOf("reason")).toBe("other");
    expect(kindOf("constructor")).toBe("other");
    expect(titleOf("first_time")).toBe("First time");
  });

  it.each([
    ["2026-11-17 21:30:00", undefined, "2026-11-17T21:30:00.000Z"],
    ["2026-11-17 22:30:00", "+1 hour", "2026-11-17T21:30:00.000Z"],
    ["2026-11-17 22:30:00", "+01:00", "2026-11-17T21:30:00.000Z"],
    ["2026-11-17 18:00:00", "-03:30", "2026-11-17T21:30:00.000Z"],
    ["2026-11-17T22:30:00+01:00", "+05:00", "2026-11-17T21:30:00.000Z"],
    ["2026-11-17", undefined, undefined],
    ["2026-99-17 21:30:00", undefined, undefined],
    ["<b>2026-11-17 21:30:00</b>", undefined, undefined],
    [1_795_000_000_000, undefined, undefined],
    [null, undefined, undefined],
  ])("time %j with offset %s is %s", (cell, zone, iso) => {
    const at = readTime(cell, zone);
    expect(at === undefined ? undefined : new Date(at).toISOString()).toBe(iso);
  });

  it("has a command only where it is a list of texts", () => {
    expect(readCommand('["sh","-c","id"]')).toEqual(["sh", "-c", "id"]);
    for (const other of ["exited", '["sh",1]', "[broken", '{"0":"sh"}', null, 7]) {
      expect(readCommand(other), String(other)).toBeUndefined();
    }
  });
});

describe("notes", () => {
  it("are paragraphs, code in them, and blocks of code", () => {
    expect(parseNotes("One `a <b>` two\nlines. By index.\n\n```jq\nselect(.x)\n| `y`\n```\n")).toEqual([
      {
        kind: "paragraph",
        spans: [
          { kind: "text", text: "One " },
          { kind: "code", text: "a <b>" },
          { kind: "text", text: " two lines. By index." },
        ],
      },
      { kind: "block", text: "select(.x)\n| `y`" },
    ]);
  });

  it.each(all)("of $name have nothing that they do not show", ({ notes }) => {
    expect(notes).not.toMatch(/\*\*|\]\(|^#|^[-*] /m);
  });
});

describe("bars", () => {
  const of = (rows: unknown[][]) =>
    barsOf({ columns: ["user", "denied"], rows, chart: { label: "user", value: "denied" } });

  it("add up what one label has, in the order of the answer", () => {
    const rows = [
      ["bob", 2],
      ["alice", 5],
      ["bob", 1],
      ["eve", 0],
      ["text", "7"],
      [null, 1],
    ];
    expect(of(rows)).toEqual([
      { label: "bob", value: 3 },
      { label: "alice", value: 5 },
      { label: "–", value: 1 },
    ]);
  });

  it("are the largest, of many", () => {
    const bars = of(Array.from({ length: 40 }, (_, index) => [`u${index}`, index]));
    expect(bars).toHaveLength(15);
    expect(bars.at(-1)).toEqual({ label: "u39", value: 39 });
  });

  it("are the largest, also where many are as large as the last of them", () => {
    const bars = of([...Array.from({ length: 20 }, (_, index) => [`u${index}`, 1]), ["most", 9]]);
    expect(bars).toHaveLength(15);
    expect(bars.at(-1)).toEqual({ label: "most", value: 9 });
    expect(bars[0]).toEqual({ label: "u0", value: 1 });
  });

  it("are none where the question has no chart", () => {
    expect(barsOf({ columns: ["user"], rows: [["a"]], chart: null })).toEqual([]);
  });
});

describe("a histogram", () => {
  const columns = ["began", "user"];

  it("has a column for each day of the reader's zone, empty ones too", () => {
    const rows = [
      ["2026-10-24 22:30:00", "a"],
      ["2026-10-24 23:30:00", "a"],
      ["2026-10-26 08:00:00", "b"],
    ];
    const values = { since: "2026-10-23T22:00:00.000Z", until: "2026-10-26T23:00:00.000Z" };
    const histogram = histogramOf({ columns, rows, values, complete: true });
    expect(histogram?.step).toBe("day");
    expect(histogram?.buckets.map(({ from, count }) => [from.toISOString(), count])).toEqual([
      ["2026-10-23T22:00:00.000Z", 0],
      // This day has 25 hours.
      ["2026-10-24T22:00:00.000Z", 2],
      ["2026-10-25T23:00:00.000Z", 1],
    ]);
  });

  it("has hours where the time is short, and takes in what lies before it", () => {
    const rows = [
      ["2026-11-17 19:10:00", "a"],
      ["2026-11-17 21:00:00", "a"],
    ];
    const values = { since: "2026-11-17T20:00:00.000Z", until: "2026-11-17T22:00:00.000Z", zone: "+00:00" };
    expect(histogramOf({ columns, rows, values, complete: true })?.buckets.map(({ count }) => count)).toEqual([
      1, 0, 1,
    ]);
  });

  it.each([
    ["no column is a time", { columns: ["user"], rows: [["a"], ["b"]] }],
    ["all rows are of one day", { columns, rows: [["2026-11-01 10:00:00"], ["2026-11-01 10:05:00"]] }],
    ["times are years apart", { columns, rows: [["2020-11-01 10:00:00"], ["2026-11-01 10:05:00"]] }],
    ["nothing was found", { columns, rows: [] }],
  ])("is none where %s", (_, answer) => {
    expect(histogramOf({ ...answer, values: {}, complete: true })).toBeUndefined();
  });

  it("is none of an answer that is cut: what it lacks would be shown as nothing", () => {
    const rows = [["2026-11-01 10:00:00"], ["2026-11-02 10:05:00"]];
    expect(histogramOf({ columns, rows, values: {}, complete: true })).toBeDefined();
    expect(histogramOf({ columns, rows, values: {}, complete: false })).toBeUndefined();
  });
});

it("SQL with values in it is quoted as SQL has it, and no value names another parameter", () => {
  expect(inlineParameters("SELECT * FROM a WHERE b = :user AND c > :least ", { user: "o'x :least", least: 3 })).toBe(
    "SELECT * FROM a WHERE b = 'o''x :least' AND c > 3;",
  );
  expect(inlineParameters("SELECT :constructor", {})).toBe("SELECT '';");
});

describe("SQL that is copied", () => {
  it("shows what is invisible as its code: no link brings control characters to a clipboard", () => {
    expect(inlineParameters("SELECT :user", { user: "x\x1b[201~\r'y" })).toBe(
      "SELECT ('x'||char(27)||'[201~'||char(13)||'''y');",
    );
  });

  it.each([
    "\0",
    "a\0b",
    "'\x1b'",
    "\u202Egnp\u2028\u2029\u200B",
    "\u{E0041}\x7f\x9b",
    '["a",\n\t"b"]',
    "zoë's 日本 👩",
  ])("means the text that it was made of, and has nothing invisible: %j", (text) => {
    const sql = inlineParameters("SELECT CAST(:user AS BLOB) AS bytes", { user: text });
    expect(sql).not.toMatch(/(?![\n\t])[\p{C}\u2028\u2029]/u);
    const database = new DatabaseSync(":memory:");
    const row = database.prepare(sql).get() as { readonly bytes: Uint8Array };
    database.close();
    expect(new TextDecoder().decode(row.bytes)).toBe(text);
  });

  it("keeps a text that is visible as one literal", () => {
    const visible = "zoë's 日本\n\t👍";
    expect(inlineParameters("SELECT :user", { user: visible })).toBe("SELECT 'zoë''s 日本\n\t👍';");
  });
});
