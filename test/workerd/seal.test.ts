/** Sealing: rows go to R2 for good and later leave D1, whatever fails, and in no other way. */
import { env } from "cloudflare:workers";
import { afterEach, beforeEach, describe, expect, it, type MockInstance, vi } from "vitest";
import { type ChainedEvent, hashEvent } from "../../audit/chain.ts";
import { insertEvents } from "../../audit/insert-events.ts";
import { DATABASE_ALARM_BYTES } from "../../audit/seal/database-size.ts";
import { type Manifest, parseManifest } from "../../audit/seal/manifest.ts";
import type { Seal } from "../../audit/seal/tables.ts";
import { STORAGE_TIMEOUTS_MS } from "../../common/storage-timeouts.ts";
import { makeSessionId } from "../../contract/session-id.ts";
import { runExport } from "../../worker/export/run.ts";
import { runSeal, SEAL_RUN_LIMITS, type SealDependencies, type SealRunLimits } from "../../worker/seal/run.ts";
import { admin, directlyAs } from "./people.ts";
import { emptyAuditLog, setDatabaseClock, withoutTriggers } from "./seal-clock.ts";
import { type MadeSession, sessionEvents } from "./session-events.ts";

const NOVEMBER = Date.UTC(2026, 10, 2, 10);
const DECEMBER = Date.UTC(2026, 11, 1, 0, 5);
const DAY = 24 * 3_600_000;
const MINUTE = 60_000;
/** Cuts a few rows into several parts. */
const SMALL: SealRunLimits = { ...SEAL_RUN_LIMITS, maxPartRows: 4 };

let logged: MockInstance<typeof console.log>;
let errors: MockInstance<typeof console.error>;
beforeEach(async () => {
  logged = vi.spyOn(console, "log").mockImplementation(() => {});
  errors = vi.spyOn(console, "error").mockImplementation(() => {});
  await emptyAuditLog();
});
afterEach(() => vi.restoreAllMocks());

const [OBJECT, OTHER_OBJECT] = ["a1".repeat(32), "b2".repeat(32)] as const;
let serial = 0;
const idOf = (object: string, at: number) =>
  makeSessionId(
    object,
    at,
    new Uint8Array([0, 0, 0, 0, 0, 0, ...[24, 16, 8, 0].map((bits) => (++serial >> bits) & 255)]),
  );

/** Chains and writes the events of a session as its object does. @returns its id */
async function session(at: number, made: MadeSession = {}, object: string = OBJECT): Promise<string> {
  const id = idOf(object, at);
  let prev_hash = "";
  const chained = sessionEvents({ id, at, ...made }).map((event): ChainedEvent => {
    const body = { ...event, data: JSON.stringify(event.data), prev_hash };
    prev_hash = hashEvent(body);
    return { ...body, hash: prev_hash };
  });
  await insertEvents(env.AUDIT_DB, chained);
  return id;
}

let clock = 0;
async function setClock(now: number): Promise<void> {
  if (now !== clock) await setDatabaseClock(now);
  clock = now;
}

async function run(now: number, other: Partial<SealDependencies> = {}) {
  await setClock(now);
  return runSeal({
    ...{ database: env.AUDIT_DB, bucket: env.RECORDINGS, keepMonths: null, now: () => now, limits: SMALL },
    ...other,
  });
}

/** Runs until there is nothing to do. */
async function runAll(now: number, other: Partial<SealDependencies> = {}) {
  for (let runs = 0; runs < 50; runs++) {
    const outcome = await run(now, other);
    if (outcome.error !== null) throw new Error(outcome.error);
    if (outcome.parts + outcome.seals + outcome.removed === 0) return;
  }
  throw new Error("it never ends");
}

async function rows<Row = Record<string, unknown>>(sql: string, ...values: unknown[]): Promise<Row[]> {
  return (
    await env.AUDIT_DB.prepare(sql)
      .bind(...values)
      .all<Row>()
  ).results;
}
const seals = () => rows<Seal>("SELECT * FROM seals ORDER BY first_row");
const eventRows = () =>
  rows<ChainedEvent & { row_number: number }>(
    "SELECT row_number, session_id, seq, at, type, data, prev_hash, hash FROM events ORDER BY row_number",
  );

async function textOf(key: string): Promise<string> {
  const found = await env.RECORDINGS.get(key);
  if (!found) throw new Error(`no ${key}`);
  return key.endsWith(".gz")
    ? new Response(found.body.pipeThrough(new DecompressionStream("gzip"))).text()
    : found.text();
}

async function manifestOf({ key }: Pick<Seal, "key">): Promise<Manifest> {
  const manifest = parseManifest(await textOf(key));
  if (!manifest.ok) throw new Error(manifest.error);
  return manifest.value;
}

async function sealedLines(manifest: Manifest): Promise<unknown[]> {
  const texts = await Promise.all(manifest.parts.map(({ key }) => textOf(key)));
  return texts.flatMap((text) =>
    text
      .trimEnd()
      .split("\n")
      .map((line): unknown => JSON.parse(line)),
  );
}

async function sha256(text: string): Promise<string> {
  const digest = await crypto.subtle.digest("SHA-256", new TextEncoder().encode(text));
  return [...new Uint8Array(digest)].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}

const keys = async () => (await env.RECORDINGS.list()).objects.map(({ key }) => key);

describe("a month", () => {
  it("is sealed once it is over: every row, as it is in D1, and what each object contributed", async () => {
    await session(NOVEMBER);
    await session(NOVEMBER + MINUTE, { start: { user: "bob@example.com", location_hint: "weur" } }, OTHER_OBJECT);
    await session(NOVEMBER + 2 * MINUTE, { start: { command: ["printf", "\u0000\u2028é"] } });
    const november = await eventRows();
    await runAll(NOVEMBER + 20 * DAY);
    expect(await seals()).toEqual([]);
    await session(DECEMBER);
    await runAll(DECEMBER);

    const [seal, ...others] = await seals();
    if (!seal) throw new Error("nothing was sealed");
    expect(others).toEqual([]);
    expect(seal).toMatchObject({ first_row: 1, last_row: 9, rows: 9, month: "2026-11", closed_by: "month", parts: 3 });
    const manifest = await manifestOf(seal);
    expect(await sha256(await textOf(seal.key))).toBe(seal.sha256);
    expect(await sealedLines(manifest)).toEqual(november);
    expect(manifest.previous).toBeNull();
    expect(manifest.parts.map(({ firstRow, lastRow, rows: count }) => [firstRow, lastRow, count])).toEqual([
      [1, 4, 4],
      [5, 8, 4],
      [9, 9, 1],
    ]);
    const of = (...indexes: number[]) => indexes.map((index) => november[index]?.hash);
    expect(manifest.objects).toEqual([
      { user: "alice@example.com", locationHint: "", events: 2, firstHash: of(0)[0], lastHash: of(6)[0] },
      { user: "bob@example.com", locationHint: "weur", events: 1, firstHash: of(3)[0], lastHash: of(3)[0] },
    ]);
    expect(logged.mock.calls.flat().join()).toContain("seal_progressed");
  });

  it("is an event of the audit log, chained to the seal before", async () => {
    await session(NOVEMBER);
    await session(DECEMBER);
    await runAll(DECEMBER);
    await session(Date.UTC(2027, 0, 1, 0, 1));
    await runAll(Date.UTC(2027, 0, 1, 0, 5));
    const events = (await eventRows()).filter(({ type }) => type === "seal");
    expect(events.map(({ session_id, seq, prev_hash }) => [session_id, seq, prev_hash])).toEqual([
      ["seal-0000000000000001", 0, ""],
      ["seal-0000000000000004", 0, events[0]?.hash],
    ]);
    for (const event of events) expect(hashEvent(event)).toBe(event.hash);
    const [first, second] = await seals();
    expect(JSON.parse(events[0]?.data ?? "")).toMatchObject({ first_row: 1, last_row: 3, sha256: first?.sha256 });
    expect(second?.previous_sha256).toBe(first?.sha256);
    const manifest = await manifestOf(second as Seal);
    expect(manifest.previous).toEqual({ key: first?.key, sha256: first?.sha256 });
    // The second range has December's session and the first range's event.
    expect(await sealedLines(manifest)).toHaveLength(4);
    expect(manifest.objects.map(({ user, events: count }) => [user, count])).toEqual([["alice@example.com", 1]]);
  });

  it("ends earlier where it reaches the size of a range", async () => {
    for (let i = 0; i < 6; i++) await session(NOVEMBER + i * MINUTE);
    await runAll(NOVEMBER + DAY, { limits: { ...SMALL, maxRangeBytes: 3_000 } });
    const [first] = await seals();
    expect(first).toMatchObject({ first_row: 1, closed_by: "size", month: "2026-11" });
    expect(first?.text_bytes).toBeGreaterThanOrEqual(3_000);
    expect(first?.last_row).toBeLessThan(18);
  });

  it("does not get what arrives later: that belongs to the next range", async () => {
    await session(NOVEMBER);
    await session(DECEMBER);
    await runAll(DECEMBER);
    const late = await session(NOVEMBER + MINUTE);
    await session(Date.UTC(2027, 0, 1, 0, 1));
    await runAll(Date.UTC(2027, 0, 1, 0, 5));
    const [first, second] = await Promise.all((await seals()).map(manifestOf));
    const idsOf = async (manifest: Manifest | undefined) =>
      new Set(((await sealedLines(manifest as Manifest)) as ChainedEvent[]).map(({ session_id }) => session_id));
    expect((await idsOf(first)).has(late)).toBe(false);
    expect((await idsOf(second)).has(late)).toBe(true);
  });
});

/** A method that fails once, at its `nth` call: before it has done its work, or after. */
function failing(nth: number, when: "before" | "after") {
  let calls = 0;
  async function call<T>(work: () => Promise<T>): Promise<T> {
    const isIt = ++calls === nth;
    if (isIt && when === "before") throw new Error("cut off");
    const result = await work();
    if (isIt) throw new Error("cut off");
    return result;
  }
  const statement = (real: D1PreparedStatement): D1PreparedStatement =>
    ({
      bind: (...values: unknown[]) => statement(real.bind(...values)),
      all: () => call(() => real.all()),
      run: () => call(() => real.run()),
      first: (...column: [string]) => call(() => real.first(...column)),
      real,
    }) as unknown as D1PreparedStatement;
  const database = {
    prepare: (sql: string) => statement(env.AUDIT_DB.prepare(sql)),
    batch: (statements: { real: D1PreparedStatement }[]) =>
      call(() => env.AUDIT_DB.batch(statements.map(({ real }) => real))),
  } as unknown as D1Database;
  const bucket = {
    put: (key: string, value: ArrayBuffer, options: R2PutOptions & { onlyIf: R2Conditional }) =>
      call(() => env.RECORDINGS.put(key, value, options)),
    get: (key: string) => call(() => env.RECORDINGS.get(key)),
    head: (key: string) => call(() => env.RECORDINGS.head(key)),
  } as unknown as R2Bucket;
  return { database, bucket, calls: () => calls };
}

describe("a run that is cut off", () => {
  it.each(["before", "after"] as const)(
    "%s any of its calls is continued by the next, to the same end",
    async (when) => {
      const fill = async () => {
        serial = 0;
        await emptyAuditLog();
        await session(NOVEMBER);
        await session(NOVEMBER + MINUTE);
        await session(DECEMBER);
      };
      const later = DECEMBER + 60 * DAY;
      const finish = async () => {
        await runAll(DECEMBER);
        await runAll(later, { keepMonths: 1 });
        const log = (await eventRows()).map(({ row_number, hash }) => [row_number, hash]);
        return { seals: await seals(), log, keys: await keys() };
      };
      await fill();
      const whole = await finish();
      expect(whole.seals.length).toBe(2);

      let cuts = 0;
      for (let nth = 1; ; nth++) {
        await fill();
        const broken = failing(nth, when);
        const outcome = await run(DECEMBER, broken);
        if (broken.calls() < nth) {
          expect(outcome.error).toBeNull();
          break;
        }
        // A copy that arrived in R2 although its write failed is found at once.
        if (outcome.error !== null || when === "before") expect(outcome.error).toContain("cut off");
        cuts++;
        expect(await finish()).toEqual(whole);
      }
      expect(cuts).toBeGreaterThan(15);
      expect(errors.mock.calls.flat().join()).toContain("seal_failed");

      cuts = 0;
      for (let nth = 1; ; nth++) {
        await fill();
        await runAll(DECEMBER);
        const broken = failing(nth, when);
        await run(later, { ...broken, keepMonths: 1 });
        if (broken.calls() < nth) break;
        cuts++;
        await runAll(later, { keepMonths: 1 });
        expect({ seals: await seals(), keys: await keys() }).toEqual({ seals: whole.seals, keys: whole.keys });
        expect((await eventRows()).map(({ row_number, hash }) => [row_number, hash])).toEqual(whole.log);
      }
      expect(cuts).toBeGreaterThan(8);
    },
  );

  it("by its limits, or twice at once, makes the same", async () => {
    for (let i = 0; i < 5; i++) await session(NOVEMBER + i * MINUTE);
    await session(DECEMBER);
    for (let runs = 0; (await seals()).length === 0; runs++) {
      const both = await Promise.all([
        run(DECEMBER, { limits: { ...SMALL, maxSteps: 1 } }),
        run(DECEMBER, { limits: { ...SMALL, maxSteps: 2 } }),
      ]);
      expect(both.map(({ error }) => error)).toEqual([null, null]);
      expect(runs).toBeLessThan(10);
    }
    const [seal] = await seals();
    expect(await sealedLines(await manifestOf(seal as Seal))).toEqual((await eventRows()).slice(0, 15));
    const written = await rows<{ key: string }>("SELECT key FROM seal_parts UNION ALL SELECT key FROM seals");
    expect(new Set(await keys())).toEqual(new Set(written.map(({ key }) => key)));
    expect((await eventRows()).filter(({ type }) => type === "seal")).toHaveLength(1);
  });
});

describe("work on a whole range", () => {
  const SLOW = 100_000;
  /** A clock that each read of a part moves on. */
  function slowly() {
    let reads = 0;
    const now = (at: number) => () => at + reads * SLOW;
    const counted = (real: D1PreparedStatement) => ({
      all: () => {
        reads++;
        return real.all();
      },
    });
    const database = {
      prepare: (sql: string) => {
        const real = env.AUDIT_DB.prepare(sql);
        const isRead = sql.includes("AS firstHash, l.hash");
        return isRead ? { bind: (...values: unknown[]) => counted(real.bind(...values)) } : real;
      },
      batch: (statements: D1PreparedStatement[]) => env.AUDIT_DB.batch(statements),
    } as unknown as D1Database;
    const bucket = {
      ...{ put: env.RECORDINGS.put.bind(env.RECORDINGS), head: env.RECORDINGS.head.bind(env.RECORDINGS) },
      get: (key: string) => {
        reads++;
        return env.RECORDINGS.get(key);
      },
    } as unknown as R2Bucket;
    return { database, bucket, now, reads: () => reads };
  }

  /** Sessions of November, written in five parts, so that the next step closes the range. */
  async function written(): Promise<void> {
    for (let i = 0; i < 5; i++) await session(NOVEMBER + i * MINUTE);
    await session(DECEMBER);
    await run(DECEMBER, { limits: { ...SMALL, maxPartRows: 3, maxSteps: 5 } });
    expect(await rows("SELECT 1 FROM seal_parts")).toHaveLength(5);
  }

  it("stops between two parts where its time is over, writes nothing, and is done by the next run", async () => {
    await written();
    const slow = slowly();
    const before = [await eventRows(), await keys()];
    const outcome = await run(DECEMBER, { database: slow.database, now: slow.now(DECEMBER) });
    expect(outcome.error).toMatch(/^it took too long to close rows 1 to 15, .* the next run begins again$/);
    expect(slow.reads()).toBe(3);
    expect([await eventRows(), await keys()]).toEqual(before);
    expect(await seals()).toEqual([]);
    await runAll(DECEMBER);
    expect(await seals()).toMatchObject([{ first_row: 1, last_row: 15, parts: 5 }]);
  });

  it("does the same before a range leaves, and still deletes what was on its way", async () => {
    await written();
    await runAll(DECEMBER);
    await runAll(DECEMBER + 33 * DAY);
    const due = DECEMBER + 70 * DAY;
    await runAll(due);
    const limits = { ...SMALL, maxDeletes: 1, maxRowsPerDelete: 6 };
    const slow = slowly();
    const outcome = await run(due, { bucket: slow.bucket, keepMonths: 1, now: slow.now(due), limits });
    expect(outcome).toMatchObject({
      removed: 0,
      error: expect.stringMatching(/^it took too long to verify rows 1 to/),
    });
    expect(await rows("SELECT 1 FROM seal_removals")).toEqual([]);
    expect(await run(due, { keepMonths: 1, limits })).toMatchObject({ removed: 6, error: null });
    // The next range, of which a part was lost.
    const [, second] = await seals();
    await env.RECORDINGS.delete((await manifestOf(second as Seal)).parts[0]?.key ?? "");
    expect(await run(due, { keepMonths: 1, limits })).toMatchObject({
      removed: 6,
      error: expect.stringContaining("has no seals/events"),
    });
  });

  it.each<[string, string]>([
    ["the parts", "FROM seal_parts WHERE first_row BETWEEN"],
    ["what each object has", "AS firstHash, l.hash"],
  ])("does not wait for ever for D1: %s", async (_, silent) => {
    await written();
    vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] });
    const asked = Promise.withResolvers<void>();
    const never = () => {
      asked.resolve();
      return new Promise(() => {});
    };
    const database = {
      prepare: (sql: string) => (sql.includes(silent) ? { bind: () => ({ all: never }) } : env.AUDIT_DB.prepare(sql)),
      batch: (statements: D1PreparedStatement[]) => env.AUDIT_DB.batch(statements),
    } as unknown as D1Database;
    const running = run(DECEMBER, { database });
    await asked.promise;
    await vi.advanceTimersByTimeAsync(STORAGE_TIMEOUTS_MS.d1Seal);
    expect((await running).error).toContain("no answer within");
    vi.useRealTimers();
    await runAll(DECEMBER);
    expect(await seals()).toHaveLength(1);
  });
});

describe("rows leave D1", () => {
  const JANUARY = Date.UTC(2027, 0, 1, 0, 5);
  const ids = async () => [...new Set((await eventRows()).map(({ session_id }) => session_id))];

  it("after keepMonths, whole sessions only, and the audit log says so", async () => {
    const gone = await session(NOVEMBER);
    // Its end never came.
    const endless = await session(DECEMBER - 10 * MINUTE, { seconds: null });
    await session(DECEMBER);
    await runAll(DECEMBER);
    const [seal] = await seals();
    const due = DECEMBER + 31 * DAY;
    await runAll(due - MINUTE, { keepMonths: 1 });
    expect(await ids()).toContain(gone);
    await runAll(due, { keepMonths: 1 });
    expect(await ids()).not.toContain(gone);
    // It never ended, so it stays for somebody to find out why.
    expect(await ids()).toContain(endless);
    const [removal] = (await eventRows()).filter(({ type }) => type === "removal");
    expect(removal).toMatchObject({ session_id: "seal-0000000000000001", seq: 1, prev_hash: seal?.event_hash });
    expect(JSON.parse(removal?.data ?? "")).toEqual({
      ...{
        first_row: 1,
        last_row: seal?.last_row,
        rows: seal?.rows,
        key: seal?.key,
        sha256: seal?.sha256,
        keep_months: 1,
      },
    });
    expect(hashEvent(removal as ChainedEvent)).toBe(removal?.hash);
  });

  it("together with the last of their session's events", async () => {
    const id = idOf(OBJECT, DECEMBER);
    const events = sessionEvents({ id, at: DECEMBER - 10 * MINUTE, seconds: 1_200 });
    const write = (chosen: (typeof events)[number][]) =>
      insertEvents(
        env.AUDIT_DB,
        chosen.map((event) => ({ ...event, data: JSON.stringify(event.data), prev_hash: "", hash: `${event.seq}` })),
      );
    const other = await session(DECEMBER - 20 * MINUTE);
    await write(events.slice(0, 2));
    await session(DECEMBER);
    await write(events.slice(2));
    await runAll(DECEMBER + 20 * MINUTE);
    await session(JANUARY);
    await runAll(JANUARY);
    await runAll(DECEMBER + 32 * DAY, { keepMonths: 1 });
    expect(await ids()).not.toContain(other);
    expect((await eventRows()).filter(({ session_id }) => session_id === id)).toHaveLength(3);
    await runAll(JANUARY + 32 * DAY, { keepMonths: 1 });
    expect(await ids()).not.toContain(id);
  });

  it("and their numbers are never given again, not even in an empty table", async () => {
    await session(NOVEMBER);
    await session(DECEMBER);
    await runAll(DECEMBER);
    await runAll(DECEMBER + 60 * DAY, { keepMonths: 1 });
    const newest = (await eventRows()).at(-1)?.row_number ?? 0;
    const next = await session(DECEMBER + 60 * DAY);
    expect((await eventRows()).find(({ session_id }) => session_id === next)?.row_number).toBe(newest + 1);
    const sealedTo = (await seals()).at(-1)?.last_row ?? 0;
    expect(sealedTo).toBeGreaterThan(3);
    await withoutTriggers("DELETE FROM events");
    await session(DECEMBER + 61 * DAY);
    expect((await eventRows())[0]?.row_number).toBe(sealedTo + 1);
  });

  it("for one written row each: D1 bills no index entries then (tools/sizing/cost.ts)", async () => {
    await session(NOVEMBER);
    await session(DECEMBER);
    await runAll(DECEMBER);
    await run(DECEMBER + 32 * DAY, { keepMonths: 1, limits: { ...SMALL, maxDeletes: 0 } });
    const { meta } = await env.AUDIT_DB.prepare("DELETE FROM events WHERE row_number <= 3").run();
    expect([meta.changes, meta.rows_written]).toEqual([3, 3]);
  });

  it("in pieces of a bounded size", async () => {
    for (let i = 0; i < 10; i++) await session(NOVEMBER + i * MINUTE);
    await session(DECEMBER);
    await runAll(DECEMBER);
    const limits = { ...SMALL, maxDeletes: 2, maxRowsPerDelete: 5 };
    const removed: number[] = [];
    for (let runs = 0; runs < 4; runs++)
      removed.push((await run(DECEMBER + 32 * DAY, { keepMonths: 1, limits })).removed);
    expect(removed).toEqual([10, 10, 10, 0]);
  });

  it("only after they were exported, and the export goes on after them", async () => {
    const bucket = env.EXPORT;
    if (!bucket) throw new Error("the tests bind EXPORT");
    const exportAll = () =>
      runExport({ database: env.AUDIT_DB, bucket, prefix: "sealed/", now: Date.now }).then(([events]) => events);
    await session(NOVEMBER);
    await session(DECEMBER);
    await runAll(DECEMBER);
    expect(await exportAll()).toMatchObject({ rows: 7, result: "done" });
    await runAll(DECEMBER + 60 * DAY, { keepMonths: 1 });
    await session(DECEMBER + 60 * DAY);
    // The second seal, the first removal, and the session.
    expect(await exportAll()).toMatchObject({ rows: 5, result: "done" });
    // Even the row that was exported last may have left, while the export was off.
    await session(DECEMBER + 61 * DAY);
    await runAll(DECEMBER + 150 * DAY, { keepMonths: 1 });
    const { rows: exported = 0 } = (await exportAll()) ?? {};
    expect(exported).toBeGreaterThan(0);
    expect(errors.mock.calls.flat().join()).not.toContain("export_rows_missing");
  });

  it("and the API says where a session may be that D1 does not have", async () => {
    const gone = await session(NOVEMBER);
    await session(DECEMBER);
    await runAll(DECEMBER);
    const ask = async (keepMonths: number | null) => {
      const response = await directlyAs(
        admin,
        `/-/admin/sessions/${gone}`,
        {},
        { config: { audit: { seal: { keepMonths } } } },
      );
      return [response.status, JSON.stringify(await response.json())] as const;
    };
    expect((await ask(1))[0]).toBe(200);
    await runAll(DECEMBER + 60 * DAY, { keepMonths: 1 });
    expect(await ask(1)).toEqual([404, expect.stringContaining("audit-restore")]);
    expect(await ask(null)).toEqual([404, expect.stringContaining("there is no session with this id")]);
  });

  it("never without keepMonths", async () => {
    await session(NOVEMBER);
    await session(DECEMBER);
    await runAll(DECEMBER);
    await runAll(DECEMBER + 3_000 * DAY);
    expect((await eventRows())[0]?.row_number).toBe(1);
  });
});

describe("nobody removes rows in another way", () => {
  const NOW = DECEMBER + 32 * DAY;
  /** Seals November, 32 days ago. @returns the seal */
  async function sealed(): Promise<Seal> {
    await session(NOVEMBER);
    await session(NOVEMBER + MINUTE);
    await session(DECEMBER);
    // Two parts of November, and none of December yet.
    await runAll(DECEMBER, { limits: { ...SMALL, maxPartRows: 5 } });
    await setClock(NOW);
    const [seal] = await seals();
    if (!seal) throw new Error("nothing was sealed");
    return seal;
  }
  const exec = (sql: string) => env.AUDIT_DB.prepare(sql).run();
  const part = (first: number, last: number) =>
    exec(`INSERT INTO seal_parts SELECT ${first}, ${last}, count(*), 10, 5, 'seals/x', 'x', (SELECT hash FROM events WHERE row_number = ${first}),
      (SELECT hash FROM events WHERE row_number = ${last}) FROM events WHERE row_number BETWEEN ${first} AND ${last}`);

  it.each([
    ["rows that are not sealed", "DELETE FROM events WHERE row_number = 8", /only after they were sealed/],
    [
      "sealed rows whose range does not leave",
      "DELETE FROM events WHERE row_number = 1",
      /only after they were sealed/,
    ],
    ["everything", "DELETE FROM events", /only after they were sealed/],
    ["a seal", "DELETE FROM seals", /seals are never deleted/],
    ["a part", "DELETE FROM seal_parts", /never deleted/],
    ["a seal's range", "UPDATE seals SET last_row = 9", /seals are never updated/],
    ["a seal's time", "UPDATE seals SET sealed_at = 0", /seals are never updated/],
    ["a part's hash", "UPDATE seal_parts SET sha256 = ''", /never updated/],
    [
      "a removal without its event",
      `INSERT INTO seal_removals SELECT first_row, last_row, ${NOW} FROM seals`,
      /only after its event/,
    ],
    [
      "a removal of more than the seal",
      `INSERT INTO seal_removals SELECT first_row, last_row + 3, ${NOW} FROM seals`,
      /sealed 28 days ago/,
    ],
  ])("%s", async (_, sql, refusal) => {
    await sealed();
    const before = [await eventRows(), await seals(), await rows("SELECT * FROM seal_parts")];
    await expect(exec(sql)).rejects.toThrow(refusal);
    expect([await eventRows(), await seals(), await rows("SELECT * FROM seal_parts")]).toEqual(before);
  });

  it("by replacing rows", async () => {
    const seal = await sealed();
    const before = [await eventRows(), await seals(), await rows("SELECT * FROM seal_parts")];
    const columns = Object.keys(seal);
    const select = columns.map((name) => (name === "sha256" ? "'forged'" : name)).join(", ");
    await exec(`INSERT OR REPLACE INTO seals (${columns.join(", ")}) SELECT ${select} FROM seals`);
    await exec(
      "INSERT OR REPLACE INTO seal_parts SELECT first_row, last_row, rows, 0, 0, 'x', 'x', 'x', 'x' FROM seal_parts",
    );
    await exec(
      "INSERT OR REPLACE INTO events (row_number, session_id, seq, at, type, data, prev_hash, hash) VALUES (1, 'x', 0, 0, 'lock', '{}', '', 'x')",
    );
    expect([await eventRows(), await seals(), await rows("SELECT * FROM seal_parts")]).toEqual(before);
  });

  it.each([
    ["that does not follow the seal before", { first_row: 1_000 }],
    ["that overlaps it", { first_row: 2 }],
    ["without parts", { parts: 0 }],
    ["of more rows than its parts have", { rows: 99 }],
    ["with a later end than its parts have", { last_row: 99 }],
    ["that names another seal before it", { previous_sha256: "x" }],
    ["that claims to be older than it is", { sealed_at: DECEMBER }],
    ["without an event", { event_hash: "x" }],
  ])("a forged seal %s is refused", async (_, change) => {
    const seal = await sealed();
    const first = seal.last_row + 1;
    await part(first, first + 2);
    await exec(
      `INSERT INTO events (session_id, seq, at, type, data, prev_hash, hash) VALUES ('seal-${String(first).padStart(16, "0")}', 0, ${NOW}, 'seal', '{}', '', 'forged')`,
    );
    const forged = {
      ...seal,
      ...{ first_row: first, last_row: first + 2, rows: 3, parts: 1, text_bytes: 10, bytes: 5 },
      ...{ previous_sha256: seal.sha256, sealed_at: NOW, event_hash: "forged", ...change },
    };
    const insert = (row: typeof forged) =>
      env.AUDIT_DB.prepare(
        `INSERT INTO seals (${Object.keys(row).join(", ")}) VALUES (${Object.keys(row)
          .map(() => "?")
          .join(", ")})`,
      )
        .bind(...Object.values(row))
        .run();
    await expect(insert(forged)).rejects.toThrow(/does not agree/);
    expect(await seals()).toHaveLength(1);
  });

  it.each([
    ["that does not follow", () => part(1_000, 1_001)],
    [
      "with another number of rows",
      () =>
        exec(
          "INSERT INTO seal_parts SELECT max(last_row) + 1, max(last_row) + 2, 7, 0, 0, '', '', (SELECT hash FROM events WHERE row_number = (SELECT max(last_row) + 1 FROM seal_parts)), (SELECT hash FROM events WHERE row_number = (SELECT max(last_row) + 2 FROM seal_parts)) FROM seal_parts",
        ),
    ],
    ["with rows that do not exist", () => part(9, 2_000)],
    [
      "with other hashes",
      () =>
        exec(
          "INSERT INTO seal_parts SELECT max(last_row) + 1, max(last_row) + 1, 1, 0, 0, '', '', 'x', 'x' FROM seal_parts",
        ),
    ],
  ])("a forged part %s is refused", async (_, forge) => {
    await sealed();
    await expect(forge()).rejects.toThrow(/does not agree with the rows|NOT NULL/);
  });

  it("a forged seal that agrees with everything but the bucket removes nothing for 28 days, and is found at once", async () => {
    const seal = await sealed();
    const first = seal.last_row + 1;
    await part(first, first + 2);
    const id = `seal-${String(first).padStart(16, "0")}`;
    await exec(
      `INSERT INTO events (session_id, seq, at, type, data, prev_hash, hash) VALUES ('${id}', 0, ${NOW}, 'seal', '{}', '', 'forged')`,
    );
    await exec(
      `INSERT INTO seals SELECT ${first}, ${first + 2}, 3, month, closed_by, 1, 10, 5, 'seals/forged', 'x', sha256, ${NOW}, 'forged' FROM seals`,
    );
    const removal = `INSERT INTO events (session_id, seq, at, type, data, prev_hash, hash) VALUES ('${id}', 1, ${NOW}, 'removal', '{}', '', 'x')`;
    await exec(removal);
    await exec(
      `INSERT INTO events (session_id, seq, at, type, data, prev_hash, hash) VALUES ('seal-0000000000000001', 1, ${NOW}, 'removal', '{}', '', 'x')`,
    );
    await exec(`INSERT INTO seal_removals VALUES (1, ${seal.last_row}, ${NOW})`);
    await expect(exec(`INSERT INTO seal_removals VALUES (${first}, ${first + 2}, ${NOW})`)).rejects.toThrow(
      /28 days ago/,
    );
    const outcome = await run(NOW, { keepMonths: 1 });
    expect(outcome.error).toContain("the bucket has no seals/forged");
    expect(outcome.removed).toBe(0);
  });

  it.each<[string, (seal: Seal) => Promise<unknown>, RegExp]>([
    ["the manifest is missing", ({ key }) => env.RECORDINGS.delete(key), /has no seals\/manifests/],
    ["the manifest was altered", ({ key }) => env.RECORDINGS.put(key, "{}"), /manifests.* is not what was sealed/],
    [
      "a part is missing",
      async (seal) => env.RECORDINGS.delete((await manifestOf(seal)).parts[1]?.key ?? ""),
      /has no seals\/events/,
    ],
    [
      "a part was altered",
      async (seal) => env.RECORDINGS.put((await manifestOf(seal)).parts[0]?.key ?? "", "x"),
      /events.* is not what was sealed/,
    ],
  ])("nothing leaves while %s", async (_, damage, problem) => {
    await damage(await sealed());
    const before = await eventRows();
    const outcome = await run(NOW, { keepMonths: 1 });
    expect(outcome).toMatchObject({ removed: 0, error: expect.stringMatching(problem) });
    expect((await eventRows()).slice(0, before.length)).toEqual(before);
    expect(errors.mock.calls.flat().join()).toContain("seal_failed");
  });

  it("a part that was forged under its name before it is written is not sealed", async () => {
    serial = 0;
    await session(NOVEMBER);
    await session(DECEMBER);
    await runAll(DECEMBER);
    const [seal] = await seals();
    const { parts } = await manifestOf(seal as Seal);
    serial = 0;
    await emptyAuditLog();
    await env.RECORDINGS.put(parts[0]?.key ?? "", "forged");
    await session(NOVEMBER);
    await session(DECEMBER);
    expect((await run(DECEMBER)).error).toContain("is not what was sealed");
    expect(await seals()).toEqual([]);
  });
});

it("the log warns long before D1 is full", async () => {
  const ofSize = (size_after: number) =>
    ({
      prepare: (sql: string) => env.AUDIT_DB.prepare(sql),
      batch: async (statements: D1PreparedStatement[]) =>
        (await env.AUDIT_DB.batch(statements)).map((result) => ({ ...result, meta: { ...result.meta, size_after } })),
    }) as unknown as D1Database;
  await run(NOVEMBER, { database: ofSize(DATABASE_ALARM_BYTES - 1) });
  expect(errors.mock.calls.flat().join()).not.toContain("audit_database_filling");
  await run(NOVEMBER, { database: ofSize(DATABASE_ALARM_BYTES) });
  expect(errors.mock.calls.flat().join()).toContain(`"audit_database_filling"`);
});
