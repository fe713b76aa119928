/** The export's pure parts: lines, keys, what a former run left, and how rows are cut into objects. */
import { describe, expect, it } from "vitest";
import type { NumberedEvent, NumberedRequest } from "../../audit/exported-rows.ts";
import { Batches } from "../../worker/export/batches.ts";
import { type ExportRow, eventToExportRow, requestToExportRow } from "../../worker/export/lines.ts";
import { exportKey, exportMetadata, firstRowOfKey, readCursor } from "../../worker/export/r2-keys.ts";
import { parseState } from "../../worker/export/state.ts";
import { Random } from "../support/random.ts";

const EVENT: NumberedEvent = {
  row_number: 17,
  session_id: "s-1",
  seq: 0,
  at: Date.parse("2026-11-17T09:30:00.125Z"),
  type: "start",
  data: '{"user":"alice@example.com","command":["sh","-c","echo \\"ä\\""]}',
  prev_hash: "",
  hash: "h-17",
  user: "alice@example.com",
  cluster: "prod",
  kind: "exec",
  namespace: "shop",
  pod: "web-0",
};

describe("an event's line", () => {
  it("has what the row has, its time for people, and the data as the text that was hashed", () => {
    const { line, ...rest } = eventToExportRow(EVENT);
    expect(rest).toEqual({ rowNumber: 17, mark: "h-17", at: EVENT.at });
    expect(JSON.parse(line)).toEqual({
      schema: 2,
      table: "events",
      time: "2026-11-17T09:30:00.125Z",
      ...EVENT,
      data: JSON.parse(EVENT.data),
    });
    expect(line).toContain(`"data":${EVENT.data}}`);
  });

  it.each([
    ["a line feed between its parts", '{"a":1,\n"b":2}'],
    ["a carriage return", '{"a":1,\r"b":2}'],
    ["no JSON, to add a field", '{}},"user":"bob@example.com","x":{'],
    ["no JSON, to add a line", '{}}\n{"table":"events"'],
    ["nothing", ""],
    ["a list", "[1]"],
    ["null", "null"],
    ["a number", "1e999"],
  ])("stays one line of the same fields where somebody forged data with %s", (_, data) => {
    const { line } = eventToExportRow({ ...EVENT, data });
    expect(line).not.toMatch(/[\r\n]/);
    expect(JSON.parse(line)).toMatchObject({ user: EVENT.user, row_number: 17, data: null, data_text: data });
  });

  it("has no time where a forger wrote a number that is none", () => {
    expect(JSON.parse(eventToExportRow({ ...EVENT, at: 1e300 }).line)).toMatchObject({ time: null });
  });
});

describe("a request's line", () => {
  it("has all columns, and its id as its mark", () => {
    const request = {
      row_number: 3,
      id: "2026-11-17T09:30:00.000Z-x",
      at: EVENT.at,
      user: null,
      count: 2,
      path: "/a\nb",
    };
    const { line, mark } = requestToExportRow(request as unknown as NumberedRequest);
    expect(mark).toBe(request.id);
    expect(line).not.toContain("\n");
    expect(JSON.parse(line)).toEqual({ schema: 2, table: "requests", time: "2026-11-17T09:30:00.125Z", ...request });
  });
});

describe("a key", () => {
  it("says the first number, and sorts as numbers do", () => {
    const numbers = [1, 2, 9, 10, 11, 99, 100, 123_456_789, Number.MAX_SAFE_INTEGER];
    const keys = numbers.map((n) => exportKey("p/", "events", n));
    expect(keys.toSorted((one, other) => (one < other ? -1 : 1))).toEqual(keys);
    expect(keys.map((key) => firstRowOfKey("p/", "events", key))).toEqual(numbers);
    expect(keys[0]).toBe("p/events/0000000000000001.ndjson.gz");
  });

  it.each([
    "events/0000000000000001.ndjson.gz",
    "p/requests/0000000000000001.ndjson.gz",
    "p/events/1.ndjson.gz",
    "p/events/0000000000000001.ndjson",
    "p/events/deeper/0000000000000001.ndjson.gz",
    "p/events/000000000000000x.ndjson.gz",
    "p/events/.keep",
  ])("that is none of the table's is told apart: %s", (key) => {
    expect(firstRowOfKey("p/", "events", key)).toBeUndefined();
  });
});

describe("an object's metadata", () => {
  const rows = [rowOf(5), rowOf(6), rowOf(9)] as const;

  it("says how far it goes", () => {
    const metadata = exportMetadata("events", rows);
    expect(metadata).toEqual({ schema: "2", table: "events", first: "5", last: "9", rows: "3", mark: "m9" });
    expect(readCursor("k", 5, metadata)).toEqual({ key: "k", last: 9, mark: "m9" });
  });

  it.each([
    ["is missing", undefined],
    ["has no last row", { mark: "m" }],
    ["has no mark", { last: "9" }],
    ["has an empty mark", { last: "9", mark: "" }],
    ["ends before it begins", { last: "4", mark: "m" }],
    ["has a number that is none", { last: "9e9", mark: "m" }],
    ["has a negative number", { last: "-9", mark: "m" }],
  ])("is a fault in words where it %s", (_, metadata) => {
    expect(() => readCursor("events/x", 5, metadata)).toThrow("the newest object, events/x, has no metadata");
  });
});

describe("what a former run left", () => {
  const key = exportKey("p/", "events", 5);
  const state = {
    cursor: { key, last: 9, mark: "m9" },
    error: { at: "2026-11-17T09:30:00.000Z", message: "R2 fails" },
  };

  it.each([state, { cursor: null, error: null }])("is read as it was written: %j", (left) => {
    expect(parseState(JSON.stringify(left), "p/", "events")).toEqual(left);
  });

  it.each([
    "",
    "no json",
    "[]",
    "null",
    "{}",
    JSON.stringify({ ...state, more: 1 }),
    JSON.stringify({ ...state, cursor: { key, last: 4, mark: "m" } }),
    JSON.stringify({ ...state, cursor: { key, last: 9.5, mark: "m" } }),
    JSON.stringify({ ...state, cursor: { key, last: "9", mark: "m" } }),
    JSON.stringify({ ...state, cursor: { key, last: 9, mark: "" } }),
    JSON.stringify({ ...state, cursor: { key: "elsewhere", last: 9, mark: "m" } }),
    JSON.stringify({ ...state, cursor: { key: exportKey("p/", "requests", 5), last: 9, mark: "m" } }),
    JSON.stringify({ ...state, error: { at: "yesterday", message: "x" } }),
  ])("counts for nothing where it is %s", (text) => {
    expect(parseState(text, "p/", "events")).toBeUndefined();
  });
});

function rowOf(n: number, line = `line ${n}`): ExportRow {
  return { rowNumber: n, mark: `m${n}`, at: n, line };
}

/** Reads rows as D1 would, in pages of so many. */
function pagesOf(rows: readonly ExportRow[], size: number) {
  return async (n: number) => rows.filter((row) => row.rowNumber >= n).slice(0, size);
}

const never = () => {
  throw new Error("nothing is missing");
};

async function drain(batches: Batches, onMissing: (from: number, to: number) => void = never) {
  const all: (readonly ExportRow[])[] = [];
  for (;;) {
    const batch = await batches.next(onMissing);
    if (!batch) return all;
    all.push(batch);
  }
}

describe("rows are cut into objects", () => {
  it("each once and in order, whatever the pages and the limits", async () => {
    const random = new Random(1);
    for (let round = 0; round < 200; round++) {
      const total = random.below(61);
      const rows = Array.from({ length: total }, (_, i) => rowOf(i + 1, "x".repeat(random.below(31))));
      const limits = { rows: 1 + random.below(20), chars: 1 + random.below(200) };
      const after = total > 0 && random.chance(0.5) ? 1 + random.below(total) : 0;
      const cursor = after === 0 ? null : { last: after, mark: `m${after}` };
      const batches = await drain(await Batches.after(cursor, pagesOf(rows, 1 + random.below(10)), limits));
      expect(batches.flat().map(({ rowNumber }) => rowNumber)).toEqual(
        rows.slice(after).map(({ rowNumber }) => rowNumber),
      );
      for (const batch of batches) {
        expect(batch.length).toBeLessThanOrEqual(limits.rows);
        const chars = batch.slice(0, -1).reduce((sum, { line }) => sum + line.length + 1, 0);
        expect(chars).toBeLessThan(limits.chars);
      }
    }
  });

  it("says which numbers have no row, and goes on", async () => {
    const rows = [2, 3, 7, 8].map((n) => rowOf(n));
    const missing: (readonly [number, number])[] = [];
    const limits = { rows: 3, chars: 1_000 };
    const batches = await drain(await Batches.after(null, pagesOf(rows, 2), limits), (...gap) => missing.push(gap));
    expect(batches.map((batch) => batch.map(({ rowNumber }) => rowNumber))).toEqual([[2, 3, 7], [8]]);
    expect(missing).toEqual([
      [1, 1],
      [4, 6],
    ]);
  });

  it.each([
    ["another row is in its place", [rowOf(1), { ...rowOf(2), mark: "other" }, rowOf(3)]],
    ["the database ends before it", [rowOf(1)]],
    ["the row is gone, and later ones are there", [rowOf(1), rowOf(3)]],
    ["the database is empty", []],
  ])("but not where the newest exported row is not what it was: %s", async (_, rows) => {
    const begun = Batches.after({ last: 2, mark: "m2" }, pagesOf(rows, 10), { rows: 10, chars: 100 });
    await expect(begun).rejects.toThrow("row 2 is not the one that was exported");
  });
});
