/** Which rows are sealed together, and what a sealed object and its manifest are. */
import { setImmediate } from "node:timers/promises";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { describe, expect, it } from "vitest";
import { manifestKey, partKey, SEALS_PREFIX } from "../../audit/seal/keys.ts";
import { parseSealLine, type SealedRow, sealLine } from "../../audit/seal/lines.ts";
import {
  type Manifest,
  manifestText,
  mergeObjects,
  ObjectSum,
  parseManifest,
  SEAL_FORMAT,
} from "../../audit/seal/manifest.ts";
import { endOfMonth, monthAfter, monthOf, monthsBefore } from "../../audit/seal/months.ts";
import { monthOfRange, nextStep, type OpenRange, SEAL_LIMITS, type SealLimits } from "../../audit/seal/next-step.ts";
import { Random } from "../../tools/random.ts";

const at = (text: string) => Date.parse(`${text}Z`);
const HOUR = 3_600_000;

describe("a month", () => {
  it("is UTC's, and ends with the next one's first millisecond", () => {
    expect(monthOf(at("2026-11-30T23:59:59.999"))).toBe("2026-11");
    expect(endOfMonth("2026-11")).toBe(at("2026-12-01T00:00:00"));
    expect([monthAfter("2026-11"), monthAfter("2026-12")]).toEqual(["2026-12", "2027-01"]);
  });

  it("is counted back to the same day, or the month's last", () => {
    expect(monthsBefore(at("2026-03-31T12:00:00"), 1)).toBe(at("2026-02-28T12:00:00"));
    expect(monthsBefore(at("2026-11-26T12:00:00"), 13)).toBe(at("2025-10-26T12:00:00"));
  });

  it("exists for times of clocks that are wrong", () => {
    expect([monthOf(-1), monthOf(Number.MAX_SAFE_INTEGER)]).toEqual(["1970-01", "9999-12"]);
  });
});

/** A log in memory, sealed as worker/seal/run.ts does it. */
class Log {
  readonly rows: { readonly row: number; readonly at: number }[] = [];
  readonly parts: (readonly [number, number])[] = [];
  readonly seals: (readonly [number, number, string, string])[] = [];
  readonly #limits: SealLimits;

  constructor(limits: Partial<SealLimits> = {}) {
    this.#limits = { ...SEAL_LIMITS, maxPartRows: 10, maxRangeBytes: 3_000, ...limits };
  }

  add(...times: readonly number[]): this {
    for (const time of times) this.rows.push({ row: this.rows.length + 1, at: time });
    return this;
  }

  /** Steps until there is nothing to do. A row has 100 bytes. */
  async sealAt(now: number, maxSteps = Number.POSITIVE_INFINITY): Promise<this> {
    for (let steps = 0; steps < maxSteps; steps++) {
      const step = await nextStep(
        this.#open(),
        now,
        async ({ from, to, since }) => this.#later(from, to, since, now),
        this.#limits,
      );
      if (step.kind === "wait") return this;
      if (step.kind === "part") this.parts.push([step.firstRow, step.lastRow]);
      else this.seals.push([this.#open().firstRow, this.#open().writtenTo, step.month, step.closedBy]);
      expect(this.parts.length + this.seals.length).toBeLessThan(1_000);
    }
    return this;
  }

  #open(): OpenRange {
    const [, last = 0, month, closedBy] = this.seals.at(-1) ?? [];
    const parts = this.parts.filter(([first]) => first > last);
    const writtenTo = parts.at(-1)?.[1] ?? last;
    return {
      previous: month !== undefined ? { month, closedBy: closedBy as "month" | "size" } : null,
      firstRow: last + 1,
      firstAt: this.rows[last]?.at ?? null,
      parts: parts.length,
      textBytes: (writtenTo - last) * 100,
      writtenTo,
      nextRow: this.rows[writtenTo]?.row ?? null,
      newestRow: this.rows.length,
    };
  }

  #later(from: number, to: number, since: number, now: number): number | null {
    return this.rows.find(({ row, at: time }) => row >= from && row <= to && time >= since && time <= now)?.row ?? null;
  }
}

const times = (start: string, count: number, step = 60_000) =>
  Array.from({ length: count }, (_, i) => at(start) + i * step);

describe("ranges", () => {
  it("wait until a part is full, and end with their month", async () => {
    const log = new Log().add(...times("2026-11-02T10:00:00", 25));
    await log.sealAt(at("2026-11-20T00:00:00"));
    expect([log.parts, log.seals]).toEqual([
      [
        [1, 10],
        [11, 20],
      ],
      [],
    ]);
    log.add(...times("2026-12-01T00:00:00", 3));
    await log.sealAt(at("2026-12-01T00:05:00"));
    expect([log.parts.at(-1), log.seals]).toEqual([[21, 25], [[1, 25, "2026-11", "month"]]]);
  });

  it("end at their size before that, and the rest of the month is another one", async () => {
    const log = new Log().add(...times("2026-11-02T10:00:00", 45));
    await log.sealAt(at("2026-11-20T00:00:00"));
    expect(log.seals).toEqual([[1, 30, "2026-11", "size"]]);
    await log.add(at("2026-12-01T00:00:00")).sealAt(at("2026-12-01T00:05:00"));
    expect(log.seals.at(-1)).toEqual([31, 45, "2026-11", "month"]);
  });

  it("take what arrives late, whatever its time, and never reopen", async () => {
    const log = new Log().add(...times("2026-11-02T10:00:00", 5), at("2026-12-01T00:00:00"));
    await log.sealAt(at("2026-12-01T00:05:00"));
    expect(log.seals).toEqual([[1, 5, "2026-11", "month"]]);
    // An object delivers November's events after an outage.
    log.add(...times("2026-11-30T23:00:00", 4), ...times("2026-12-01T00:10:00", 3), at("2027-01-01T00:00:00"));
    await log.sealAt(at("2027-01-01T00:05:00"));
    expect(log.seals.at(-1)).toEqual([6, 13, "2026-12", "month"]);
  });

  it("do not begin with a month of their own when a late row is the first after a cut by size", async () => {
    const log = new Log().add(...times("2026-11-30T23:40:00", 25), ...times("2026-11-30T10:00:00", 15));
    await log.sealAt(at("2026-12-03T00:00:00"));
    expect(log.seals[0]).toEqual([1, 20, "2026-11", "month"]);
    expect(log.seals).toHaveLength(1);
  });

  it("end a day after their month when nobody does anything, and what comes then is the next month's", async () => {
    const log = new Log().add(...times("2026-11-02T10:00:00", 5));
    await log.sealAt(at("2026-12-01T23:00:00"));
    expect(log.seals).toEqual([]);
    await log.sealAt(at("2026-12-02T00:00:00"));
    expect(log.seals).toEqual([[1, 5, "2026-11", "month"]]);
    // Three late rows, one at a time, are not three ranges.
    for (const hour of [1, 2, 3])
      await log.add(at("2026-11-30T12:00:00")).sealAt(at("2026-12-03T00:00:00") + hour * HOUR);
    expect(log.seals).toHaveLength(1);
    await log.sealAt(at("2027-01-02T00:00:00"));
    expect(log.seals.at(-1)).toEqual([6, 8, "2026-12", "month"]);
  });

  it("are not cut by a clock that is wrong", async () => {
    const log = new Log().add(
      ...times("2026-11-02T10:00:00", 3),
      at("2031-01-01T00:00:00"),
      0,
      ...times("2026-11-03T10:00:00", 3),
    );
    await log.add(at("2026-12-01T00:00:00")).sealAt(at("2026-12-01T00:05:00"));
    expect(log.seals).toEqual([[1, 8, "2026-11", "month"]]);
    // Not even if it is the range's first.
    const future = new Log().add(at("2031-01-01T00:00:00"), ...times("2026-11-03T10:00:00", 3));
    await future.add(at("2026-12-01T00:00:00")).sealAt(at("2026-12-31T00:00:00"));
    expect(future.seals).toEqual([]);
    await future.sealAt(at("2031-02-02T00:00:00"));
    expect(future.seals).toEqual([[1, 5, "2031-01", "month"]]);
  });

  it("of a log that is older than the sealing are those of its months", async () => {
    const log = new Log({ maxRangeBytes: 1e9 });
    for (const month of ["2026-08", "2026-09", "2026-10", "2026-11"]) log.add(...times(`${month}-05T10:00:00`, 25));
    await log.sealAt(at("2026-11-26T00:00:00"));
    expect(log.seals).toEqual([
      [1, 25, "2026-08", "month"],
      [26, 50, "2026-09", "month"],
      [51, 75, "2026-10", "month"],
    ]);
    expect(log.parts.at(-1)).toEqual([86, 95]);
  });

  it("are the same however often a run was cut off, and whenever it looked", async () => {
    const random = new Random(11);
    const arrivals = Array.from({ length: 400 }, (_, i) => {
      const due = at("2026-08-20T00:00:00") + i * 6 * HOUR;
      return { row: due, at: random.weighted([9, 1]) === 0 ? due : due - 40 * 24 * HOUR };
    });
    const end = at("2026-12-20T00:00:00");
    const patient = await new Log().add(...arrivals.map(({ at: time }) => time)).sealAt(end);
    const interrupted = new Log();
    for (const arrival of arrivals) {
      interrupted.add(arrival.at);
      if (random.weighted([1, 1]) === 0) await interrupted.sealAt(arrival.row + HOUR, 1);
    }
    await interrupted.sealAt(end);
    expect(interrupted.seals).toEqual(patient.seals);
    expect(patient.seals.length).toBeGreaterThan(3);
  });
});

describe("the month of a range", () => {
  const range = { firstRow: 1, parts: 0, textBytes: 0, writtenTo: 0, nextRow: 1, newestRow: 1 };
  it("is never one that is sealed", () => {
    const now = at("2026-11-26T00:00:00");
    const firstAt = at("2026-10-01T00:00:00");
    expect(monthOfRange({ ...range, firstAt, previous: null }, now)).toBe("2026-10");
    expect(monthOfRange({ ...range, firstAt, previous: { month: "2026-10", closedBy: "month" } }, now)).toBe("2026-11");
    expect(monthOfRange({ ...range, firstAt, previous: { month: "2026-10", closedBy: "size" } }, now)).toBe("2026-10");
  });
});

const ROW: SealedRow = {
  ...{ row_number: 7, session_id: "s", seq: 0, at: 1, type: "start", prev_hash: "", hash: "ab" },
  data: '{"b":1,"a":"\\u0000é\u2028","n":1.0}',
};

describe("a line", () => {
  it("has the row column by column, the data byte for byte", () => {
    expect(JSON.parse(sealLine(ROW))).toEqual(ROW);
    expect(sealLine(ROW)).not.toContain("\n");
    expect(parseSealLine(sealLine(ROW))).toEqual({ ok: true, value: ROW });
  });

  it.each([
    "",
    "{",
    "[]",
    '{"row_number":1}',
    sealLine(ROW).replace('"seq":0', '"seq":0,"more":1'),
    sealLine({ ...ROW, row_number: 0 }),
  ])("that is none is refused: %s", (line) => {
    expect(parseSealLine(line).ok).toBe(false);
  });
});

const HASH = "a".repeat(64);
const part = (firstRow: number, lastRow: number) => ({
  ...{ key: partKey({ firstRow, lastRow }, HASH), firstRow, lastRow, rows: lastRow - firstRow + 1, bytes: 10 },
  ...{ sha256: HASH, textBytes: 100, firstHash: "x", lastHash: "y" },
});
const MANIFEST: Manifest = {
  ...{ format: SEAL_FORMAT, table: "events", month: "2026-11", closedBy: "month", firstRow: 1, lastRow: 30, rows: 30 },
  previous: null,
  parts: [part(1, 10), part(11, 30)],
  objects: [{ user: "alice@example.com", locationHint: "", events: 30, firstHash: "x", lastHash: "y" }],
};

describe("a manifest", () => {
  it("is read as it was written", () => {
    expect(parseManifest(manifestText(MANIFEST))).toEqual({ ok: true, value: MANIFEST });
    expect(manifestKey(MANIFEST, HASH)).toBe(
      `${SEALS_PREFIX}manifests/0000000000000001-0000000000000030.aaaaaaaaaaaaaaaa.json`,
    );
  });

  it.each<[string, Partial<Manifest>, RegExp]>([
    ["a missing part", { parts: [part(1, 10)] }, /do not end with its last row/],
    ["a gap", { parts: [part(1, 10), part(12, 30)] }, /does not follow/],
    ["an overlap", { parts: [part(1, 10), part(10, 30)] }, /does not follow/],
    ["another number of rows", { rows: 29 }, /number of rows/],
    ["another format", { format: "sallyport-seal/9" as typeof SEAL_FORMAT }, /no manifest of/],
  ])("with %s is refused", (_, change, problem) => {
    expect(parseManifest(JSON.stringify({ ...MANIFEST, ...change }))).toEqual({
      ok: false,
      error: expect.stringMatching(problem),
    });
  });

  it("adds up each object's events, and has its first and last hash", () => {
    const one = (user: string, locationHint: string, events: number, firstHash: string, lastHash: string) => ({
      ...{ user, locationHint, events, firstHash, lastHash },
    });
    const [early, late] = [
      [one("b", "", 2, "b1", "b2"), one("a", "weur", 1, "a1", "a1")],
      [one("b", "", 3, "b3", "b5"), one("b", "weur", 1, "c1", "c1")],
    ];
    expect(mergeObjects([early, late])).toEqual([
      one("a", "weur", 1, "a1", "a1"),
      one("b", "", 5, "b1", "b5"),
      one("b", "weur", 1, "c1", "c1"),
    ]);
  });

  it("is made in the memory of one part, however many a range has", async () => {
    setFlagsFromString("--expose-gc");
    const collectGarbage = runInNewContext("gc") as () => void;
    const sum = new ObjectSum();
    const added = (last: number) => {
      const objects = Array.from({ length: 100 }, (_, user) => {
        const lastHash = `${last}-${user}`;
        return { user: String(user), locationHint: "", events: 1, firstHash: lastHash, lastHash };
      });
      sum.add(objects);
      return objects.map((object) => new WeakRef(object));
    };
    added(0);
    const later = [1, 2, 3].flatMap(added);
    // A WeakRef keeps its object until the turn is over.
    await setImmediate();
    collectGarbage();
    expect(later.filter((object) => object.deref() !== undefined)).toEqual([]);
    expect(sum.objects).toHaveLength(100);
    expect(sum.objects[7]).toMatchObject({ events: 4, firstHash: `0-${sum.objects[7]?.user}` });
  });
});
