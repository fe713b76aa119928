/** The pure parts of the export: lines, keys, metadata, state, and the cutting of rows into objects. */
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

describe("the line of an event", () => {
  it("has the row's columns, its time in RFC 3339, and the data as the text that was hashed", () => {
    const { line, ...rest } = eventToExportRow(EVENT);
    expect(rest).toEqual({ rowNumber: 17, fingerprint: "h-17", at: EVENT.at });
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
    ["a JSON object with a line feed between fields", '{"a":1,\n"b":2}'],
    ["a JSON object with a carriage return", '{"a":1,\r"b":2}'],
    ["broken JSON that would add a field", '{}},"user":"bob@example.com","x":{'],
    ["broken JSON that would add a line", '{}}\n{"table":"events"'],
    ["an empty text", ""],
    ["a list", "[1]"],
    ["null", "null"],
    ["a number", "1e999"],
  ])("stays one line with the same fields when forged data is %s", (_, data) => {
    const { line } = eventToExportRow({ ...EVENT, data });
    expect(line).not.toMatch(/[\r\n]/);
    expect(JSON.parse(line)).toMatchObject({ user: EVENT.user, row_number: 17, data: null, data_text: data });
  });

  it("has time null when a forged row's number is out of range", () => {
    expect(JSON.parse(eventToExportRow({ ...EVENT, at: 1e300 }).line)).toMatchObject({ time: null });
  });
});

describe("the line of a request", () => {
  it("has all columns, and its id as its fingerprint", () => {
    const request = {
      row_number: 3,
      id: "2026-11-17T09:30:00.000Z-x",
      at: EVENT.at,
      user: null,
      count: 2,
      path: "/a\nb",
    };
    const { line, fingerprint } = requestToExportRow(request as unknown as NumberedRequest);
    expect(fingerprint).toBe(request.id);
    expect(line).not.toContain("\n");
    expect(JSON.parse(line)).toEqual({ schema: 2, table: "requests", time: "2026-11-17T09:30:00.125Z", ...request });
  });
});

describe("the key of an object", () => {
  it("contains the number of its first row, and sorts as the numbers do", () => {
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
  ])("is not mistaken for one of the table: %s", (key) => {
    expect(firstRowOfKey("p/", "events", key)).toBeUndefined();
  });
});

describe("the metadata of an object", () => {
  const rows = [rowOf(5), rowOf(6), rowOf(9)] as const;

  it("says how far it goes", () => {
    const metadata = exportMetadata("events", rows);
    expect(metadata).toEqual({ schema: "2", table: "events", first: "5", last: "9", rows: "3", fingerprint: "m9" });
    expect(readCursor("k", 5, metadata)).toEqual({ ok: true, value: { key: "k", last: 9, fingerprint: "m9" } });
  });

  it.each([
    ["is missing", undefined],
    ["has no last row", { fingerprint: "m" }],
    ["has no fingerprint", { last: "9" }],
    ["has an empty fingerprint", { last: "9", fingerprint: "" }],
    ["ends before it begins", { last: "4", fingerprint: "m" }],
    ["has a last row that is not an integer", { last: "9e9", fingerprint: "m" }],
    ["has a negative last row", { last: "-9", fingerprint: "m" }],
  ])("is the failure metadata_missing when it %s", (_, metadata) => {
    expect(readCursor("events/x", 5, metadata)).toEqual({
      ok: false,
      error: { code: "metadata_missing", message: expect.stringContaining("events/x, has no valid metadata") },
    });
  });
});

describe("the state that a run left", () => {
  const key = exportKey("p/", "events", 5);
  const state = {
    cursor: { key, last: 9, fingerprint: "m9" },
    error: { at: "2026-11-17T09:30:00.000Z", message: "R2 fails" },
  };

  it.each([state, { cursor: null, error: null }])("is read as it was written: %j", (written) => {
    expect(parseState(JSON.stringify(written), "p/", "events")).toEqual(written);
  });

  it.each([
    "",
    "no json",
    "[]",
    "null",
    "{}",
    JSON.stringify({ ...state, more: 1 }),
    JSON.stringify({ ...state, cursor: { key, last: 4, fingerprint: "m" } }),
    JSON.stringify({ ...state, cursor: { key, last: 9.5, fingerprint: "m" } }),
    JSON.stringify({ ...state, cursor: { key, last: "9", fingerprint: "m" } }),
    JSON.stringify({ ...state, cursor: { key, last: 9, fingerprint: "" } }),
    JSON.stringify({ ...state, cursor: { key: "elsewhere", last: 9, fingerprint: "m" } }),
    JSON.stringify({ ...state, cursor: { key: exportKey("p/", "requests", 5), last: 9, fingerprint: "m" } }),
    JSON.stringify({ ...state, error: { at: "yesterday", message: "x" } }),
  ])("is invalid when it is %s", (text) => {
    expect(parseState(text, "p/", "events")).toBeUndefined();
  });
});

function rowOf(n: number, line = `line ${n}`): ExportRow {
  return { rowNumber: n, fingerprint: `m${n}`, at: n, line };
}

/** Reads rows as D1 would, in pages of this size. */
function pagesOf(rows: readonly ExportRow[], size: number) {
  return async (n: number) => rows.filter((row) => row.rowNumber >= n).slice(0, size);
}

const failOnMissing = () => {
  throw new Error("no row is missing");
};

async function drain(batches: Batches, onMissing: (from: number, to: number) => void = failOnMissing) {
  const all: (readonly ExportRow[])[] = [];
  for (;;) {
    const batch = await batches.next(onMissing);
    if (!batch) return all;
    all.push(batch);
  }
}

/** Starts after an exported row that D1 still has. */
async function startAfter(...args: Parameters<typeof Batches.startAfter>): Promise<Batches> {
  const started = await Batches.startAfter(...args);
  if (!started.ok) throw new Error(started.error.message);
  return started.value;
}

describe("rows are cut into objects", () => {
  it("each once and in order, whatever the page size and the limits", async () => {
    const random = new Random(1);
    for (let round = 0; round < 200; round++) {
      const total = random.below(61);
      const rows = Array.from({ length: total }, (_, i) => rowOf(i + 1, "x".repeat(random.below(31))));
      const limits = { maxRows: 1 + random.below(20), maxChars: 1 + random.below(200) };
      const after = total > 0 && random.chance(0.5) ? 1 + random.below(total) : 0;
      const cursor = after === 0 ? null : { last: after, fingerprint: `m${after}` };
      const batches = await drain(await startAfter(cursor, pagesOf(rows, 1 + random.below(10)), limits));
      expect(batches.flat().map(({ rowNumber }) => rowNumber)).toEqual(
        rows.slice(after).map(({ rowNumber }) => rowNumber),
      );
      for (const batch of batches) {
        expect(batch.length).toBeLessThanOrEqual(limits.maxRows);
        const chars = batch.slice(0, -1).reduce((sum, { line }) => sum + line.length + 1, 0);
        expect(chars).toBeLessThan(limits.maxChars);
      }
    }
  });

  it("reports row numbers without a row, and continues", async () => {
    const rows = [2, 3, 7, 8].map((n) => rowOf(n));
    const missing: (readonly [number, number])[] = [];
    const limits = { maxRows: 3, maxChars: 1_000 };
    const batches = await drain(await startAfter(null, pagesOf(rows, 2), limits), (...gap) => missing.push(gap));
    expect(batches.map((batch) => batch.map(({ rowNumber }) => rowNumber))).toEqual([[2, 3, 7], [8]]);
    expect(missing).toEqual([
      [1, 1],
      [4, 6],
    ]);
  });

  it.each([
    ["another row has its number", [rowOf(1), { ...rowOf(2), fingerprint: "other" }, rowOf(3)]],
    ["D1 ends before it", [rowOf(1)]],
    ["only the row itself is missing", [rowOf(1), rowOf(3)]],
    ["D1 is empty", []],
  ])("not at all when D1 no longer has the last exported row: %s", async (_, rows) => {
    const exported = { last: 2, fingerprint: "m2" };
    expect(await Batches.startAfter(exported, pagesOf(rows, 10), { maxRows: 10, maxChars: 100 })).toEqual({
      ok: false,
      error: {
        code: "row_replaced",
        message: expect.stringContaining("row 2 in D1 is not the row that was exported"),
      },
    });
  });
});
