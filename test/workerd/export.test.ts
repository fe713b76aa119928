/** The export to R2: every row exactly once, whatever fails. */
import { createScheduledController } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { afterEach, beforeAll, beforeEach, describe, expect, it, type MockInstance, vi } from "vitest";
import { type ChainedEvent, hashEvent } from "../../audit/chain.ts";
import { eventsFrom, requestsFrom } from "../../audit/export-queries.ts";
import type { StoredRequestRow } from "../../audit/rows.ts";
import { loadConfig } from "../../worker/config/load.ts";
import { exportKey } from "../../worker/export/r2-keys.ts";
import { RUN_LIMITS, type RunLimits, runExport } from "../../worker/export/run.ts";
import { stateKey } from "../../worker/export/state.ts";
import worker from "../../worker/index.ts";
import { createScheduled } from "../../worker/scheduled.ts";
import { eventually } from "../support/eventually.ts";
import { write } from "./audit-rows.ts";
import { admin, alice, as, directlyAs } from "./people.ts";
import { sessionEvents } from "./session-events.ts";
import { insertRequests } from "./stored-requests.ts";

const TABLES = ["events", "requests"] as const;
type Table = (typeof TABLES)[number];
/** Cuts a few rows into several objects. */
const SMALL: RunLimits = { ...RUN_LIMITS, maxRowsPerObject: 4 };

const [guide = ""] = Object.values(
  import.meta.glob<string>("../../docs/EXPORT.md", { query: "?raw", import: "default", eager: true }),
);

/** The fields in the guide's table under this heading. */
function documented(heading: string): string[] {
  const section = guide.split(`### ${heading}\n`)[1]?.split(/^#/m)[0] ?? "";
  return [...section.matchAll(/^\| `([a-z_]+)` \|/gm)].map(([, field = ""]) => field);
}

let prefix: string;
let count = 0;
beforeEach(() => {
  prefix = `test-${++count}/`;
  vi.spyOn(console, "log").mockImplementation(() => {});
});
afterEach(() => vi.restoreAllMocks());

function bucket(): R2Bucket {
  if (!env.EXPORT) throw new Error("the tests bind EXPORT");
  return env.EXPORT;
}

function run(other: Partial<Parameters<typeof runExport>[0]> = {}) {
  return runExport({
    database: env.AUDIT_DB,
    bucket: bucket(),
    prefix,
    now: Date.now,
    limits: SMALL,
    ...other,
  });
}

const results = async (running: ReturnType<typeof run>) => (await running).map(({ result }) => result);

/** The real bucket with some methods replaced. */
function bucketWith(other: Partial<Record<keyof R2Bucket, (...args: never[]) => unknown>>): R2Bucket {
  const real = bucket();
  const bound = Object.fromEntries(
    (["get", "head", "list", "put"] as const).map((name) => [name, real[name].bind(real)]),
  );
  return { ...bound, ...other } as unknown as R2Bucket;
}

/** A bucket that fails the nth put of an object (not of the state), before it is stored or after. */
function failingPut(nth: number, when: "before" | "after"): R2Bucket {
  const real = bucket();
  let puts = 0;
  return bucketWith({
    put: async (...args: Parameters<R2Bucket["put"]>) => {
      const isFailing = args[0].endsWith(".ndjson.gz") && ++puts === nth;
      if (isFailing && when === "before") throw new Error("put: internal error (10001)");
      const put = await real.put(...args);
      if (isFailing) throw new Error("put: connection lost");
      return put;
    },
  });
}

interface Line {
  readonly row_number: number;
  readonly [field: string]: unknown;
}

async function objectsOf(table: Table, where = prefix): Promise<R2Object[]> {
  const objects: R2Object[] = [];
  for (let cursor: string | undefined; ; ) {
    const page: R2Objects = await bucket().list({
      prefix: `${where}${table}/`,
      include: ["customMetadata", "httpMetadata"],
      ...(cursor !== undefined && { cursor }),
    });
    objects.push(...page.objects);
    if (!page.truncated) return objects;
    cursor = page.cursor;
  }
}

async function textLinesOf(object: R2Object | undefined): Promise<string[]> {
  const stored = object && (await bucket().get(object.key));
  if (!stored) throw new Error(`${object?.key} is not there`);
  const text = await new Response(stored.body.pipeThrough(new DecompressionStream("gzip"))).text();
  expect(text.endsWith("\n")).toBe(true);
  return text.slice(0, -1).split("\n");
}

async function exportedLines(object: R2Object): Promise<Line[]> {
  return (await textLinesOf(object)).map((line) => JSON.parse(line) as Line);
}

async function newest(table: Table): Promise<number> {
  const source = table === "requests" ? "request_rows" : table;
  return (
    (await env.AUDIT_DB.prepare(`SELECT coalesce(max(row_number), 0) AS n FROM ${source}`).first<number>("n")) ?? 0
  );
}

/** Expects every row of a table in R2 once, in order, in objects whose key and metadata fit their content. */
async function expectComplete(table: Table): Promise<Line[]> {
  const all: Line[] = [];
  for (const object of await objectsOf(table)) {
    const lines = await exportedLines(object);
    const [first, last] = [lines[0]?.row_number ?? 0, lines.at(-1)?.row_number ?? 0];
    expect(object.key).toBe(exportKey(prefix, table, first));
    expect(object.customMetadata).toMatchObject({ first: `${first}`, last: `${last}`, rows: `${lines.length}` });
    all.push(...lines);
  }
  expect(all.map(({ row_number }) => row_number)).toEqual(Array.from({ length: await newest(table) }, (_, i) => i + 1));
  return all;
}

async function expectAllComplete(): Promise<void> {
  for (const table of TABLES) await expectComplete(table);
}

function requestRow(at: number, more: Partial<StoredRequestRow> = {}): StoredRequestRow {
  return {
    id: `${new Date(at).toISOString()}-${crypto.randomUUID().slice(0, 8)}`,
    ...{ at, user: "alice@example.com", kubernetes_user: "alice@example.com", cluster: "prod", category: "mutation" },
    ...{ decision: "allowed", rule: null, refusal: null, reason: null, method: "DELETE", path: "/api/v1/x" },
    ...{ verb: "delete", api_group: "", resource: "pods", subresource: null, namespace: "shop", name: "web-0" },
    ...{ status: 200, count: 1, client_address: "192.0.2.1", country: "DE", user_agent: "kubectl", ray: null },
    ...more,
  };
}

/** The lines that were logged on one level. */
function linesOf(logged: MockInstance<(line: string) => void>): unknown[] {
  return logged.mock.calls.map(([line]) => JSON.parse(line));
}

/** Adds sessions and requests to D1. */
async function addRows(sessions: number, requests: number): Promise<void> {
  for (let i = 0; i < sessions; i++) await write(...sessionEvents({ at: Date.parse("2026-11-17T09:00:00Z") + i }));
  const at = Date.parse("2026-11-17T09:30:00Z");
  if (requests > 0)
    await insertRequests(
      env.AUDIT_DB,
      Array.from({ length: requests }, (_, i) => requestRow(at + i)),
    );
}

beforeAll(() => addRows(5, 11));

describe("a run", () => {
  it("exports every row once, in order, in objects of a bounded size", async () => {
    expect(await run()).toEqual([
      { table: "events", rows: await newest("events"), objects: 4, result: "done", error: null },
      { table: "requests", rows: await newest("requests"), objects: 3, result: "done", error: null },
    ]);
    await expectAllComplete();
    const [object] = await objectsOf("events");
    expect(object?.httpMetadata).toEqual({ contentType: "application/gzip" });
    expect(object?.customMetadata).toMatchObject({ schema: "2", table: "events", first: "1", last: "4", rows: "4" });
  });

  it("adds the user and the target of its session to each event", async () => {
    await run();
    const lines = await expectComplete("events");
    expect(new Set(lines.map(({ type }) => type))).toEqual(new Set(["start", "connect", "end"]));
    for (const line of lines) {
      expect(line).toMatchObject({ user: "alice@example.com", cluster: "prod", kind: "exec", pod: "web-0" });
    }
  });

  it("writes exactly the fields that the guide documents", async () => {
    await run();
    const common = documented("Every line");
    expect(common).toEqual(["schema", "table", "row_number", "time", "at"]);
    for (const table of TABLES) {
      const fields = [...common, ...documented(`Lines of \`${table}\``)];
      expect(fields.length).toBeGreaterThan(15);
      for (const line of await expectComplete(table)) expect(Object.keys(line)).toEqual(fields);
    }
  });

  it("lets a reader verify the hash chain from the text of the lines", async () => {
    await run();
    const [object] = await objectsOf("events");
    for (const text of await textLinesOf(object)) {
      const { session_id, seq, at, type, prev_hash, hash } = JSON.parse(text) as ChainedEvent;
      const data = text.slice(text.indexOf('"data":') + '"data":'.length, -1);
      expect(hashEvent({ session_id, seq, at, type, prev_hash, data })).toBe(hash);
    }
  });

  it("reads one row of D1 for each request, and about five for each event", async () => {
    const read: number[] = [];
    for (const query of [eventsFrom, requestsFrom]) {
      const database = {
        prepare: (sql: string) => ({
          bind: (n: number) => ({
            all: async () => {
              const answer = await env.AUDIT_DB.prepare(sql).bind(n).all();
              read.push(answer.meta.rows_read / answer.results.length);
              return answer;
            },
          }),
        }),
      } as unknown as D1Database;
      await query(database, 1);
    }
    expect(read[0]).toBeLessThan(6);
    expect(read[1]).toBe(1);
  });

  it("logs row numbers that have no row, and exports the others", async () => {
    const logged = vi.spyOn(console, "error").mockImplementation(() => {});
    const removed = new Set([1, 3, 4]);
    const database = {
      prepare: (sql: string) => ({
        first: (column: string) => env.AUDIT_DB.prepare(sql).first(column),
        bind: (fromRow: number) => ({
          all: async () => {
            const answer = await env.AUDIT_DB.prepare(sql).bind(fromRow).all<Line>();
            return { ...answer, results: answer.results.filter(({ row_number }) => !removed.has(row_number)) };
          },
        }),
      }),
    } as unknown as D1Database;
    const [events] = await run({ database });
    expect(events).toMatchObject({ result: "done", rows: (await newest("events")) - removed.size });
    const missing = { event: "export_rows_missing", level: "error", table: "events" };
    expect(linesOf(logged).filter((line) => (line as Line)["table"] === "events")).toEqual([
      { ...missing, from: 1, to: 1 },
      { ...missing, from: 3, to: 4 },
    ]);
  });

  it("writes nothing when there is nothing new, and later only what is new", async () => {
    await run();
    const put = vi.fn();
    expect(await run({ bucket: bucketWith({ put }) })).toMatchObject([
      { rows: 0, result: "done" },
      { rows: 0, result: "done" },
    ]);
    expect(put).not.toHaveBeenCalled();
    const before = (await objectsOf("requests")).map(({ key, etag }) => [key, etag]);
    await addRows(0, 2);
    expect(await run()).toMatchObject([{ rows: 0 }, { rows: 2, objects: 1 }]);
    expect((await objectsOf("requests")).slice(0, -1).map(({ key, etag }) => [key, etag])).toEqual(before);
    await expectAllComplete();
  });

  it("stops at its maximum of objects, and later runs continue to the end", async () => {
    const limits = { ...SMALL, maxRowsPerObject: 3, maxObjectsPerTable: 2 };
    expect(await results(run({ limits }))).toEqual(["more", "more"]);
    expect((await objectsOf("events")).length).toBe(2);
    let rounds = 1;
    while ((await results(run({ limits }))).includes("more")) rounds++;
    expect(rounds).toBeLessThan(20);
    await expectAllComplete();
  });

  it("starts no object after its time budget", async () => {
    let now = 0;
    const slow = bucketWith({
      put: (...args: Parameters<R2Bucket["put"]>) => {
        now += 700;
        return bucket().put(...args);
      },
    });
    const limits = { ...SMALL, budgetMs: 1_000 };
    const [events] = await run({ bucket: slow, now: () => now, limits });
    expect(events).toMatchObject({ objects: 2, result: "more" });
  });

  it("lists from the newest object on, not from the start", async () => {
    await run();
    const real = bucket();
    const starts: (string | undefined)[] = [];
    await run({
      bucket: bucketWith({
        list: (options: R2ListOptions) => {
          starts.push(options.startAfter);
          return real.list(options);
        },
      }),
    });
    expect(starts).toEqual([(await objectsOf("events")).at(-1)?.key, (await objectsOf("requests")).at(-1)?.key]);
  });

  it("finds the newest object behind several pages of the list, without a state", async () => {
    const limits = { ...SMALL, maxRowsPerObject: 1, maxObjectsPerTable: 1_000 };
    await run({ limits });
    await bucket().delete(TABLES.map((table) => stateKey(prefix, table)));
    const real = bucket();
    const list = vi.fn((options: R2ListOptions) => real.list({ ...options, limit: 3 }));
    expect(await run({ limits, bucket: bucketWith({ list }) })).toMatchObject([{ rows: 0 }, { rows: 0 }]);
    expect(list.mock.calls.length).toBeGreaterThan(4);
  });
});

describe("no row is lost or exported twice when", () => {
  it.each([
    [1, "before"],
    [2, "before"],
    [1, "after"],
    [3, "after"],
  ] as const)("put number %d fails %s R2 has stored the object", async (nth, when) => {
    vi.spyOn(console, "error").mockImplementation(() => {});
    const outcomes = await run({ bucket: failingPut(nth, when) });
    expect(outcomes[0]).toMatchObject({ table: "events", result: "failed", objects: nth - 1 });
    // The failure of one table does not affect the other.
    expect(outcomes[1]).toMatchObject({ table: "requests", result: "done" });
    expect(await results(run())).toEqual(["done", "done"]);
    await expectAllComplete();
  });

  it.each(["get", "head", "list"] as const)("%s fails", async (method) => {
    const logged = vi.spyOn(console, "error").mockImplementation(() => {});
    await run({ limits: { ...SMALL, maxObjectsPerTable: 1 } });
    const broken = bucketWith({
      [method]: () => {
        throw new Error("internal error (10001)");
      },
    });
    expect(await results(run({ bucket: broken }))).toEqual(["failed", "failed"]);
    const error = "internal error (10001)";
    expect(linesOf(logged)).toContainEqual({
      ...{ event: "export_failed", level: "error", table: "events", rows: 0, objects: 0, error },
    });
    await run();
    await expectAllComplete();
  });

  it("the state cannot be written, as if a run stopped between an object and its state", async () => {
    const logged = vi.spyOn(console, "error").mockImplementation(() => {});
    const real = bucket();
    const stateless = bucketWith({
      put: (...args: Parameters<R2Bucket["put"]>) => {
        if (args[0].includes("state/")) throw new Error("gone");
        return real.put(...args);
      },
    });
    for (let i = 0; i < 3; i++) await run({ bucket: stateless, limits: { ...SMALL, maxObjectsPerTable: 1 } });
    expect(linesOf(logged)).toContainEqual({
      ...{ event: "export_state_not_written", level: "error", table: "events", error: "Error: gone" },
    });
    await run();
    await expectAllComplete();
  });

  it.each([1, 2, 3])("query number %d of D1 fails", async (nth) => {
    vi.spyOn(console, "error").mockImplementation(() => {});
    let asked = 0;
    const database = {
      prepare: (sql: string) => {
        if (++asked === nth) throw new Error("D1_ERROR: Network connection lost.");
        return env.AUDIT_DB.prepare(sql);
      },
    } as unknown as D1Database;
    const outcomes = await run({ database });
    expect(outcomes.filter(({ result }) => result === "failed").map(({ error }) => error)).toEqual([
      "D1_ERROR: Network connection lost.",
    ]);
    expect(await results(run())).toEqual(["done", "done"]);
    await expectAllComplete();
  });

  it("several runs export at once", async () => {
    const limits = { ...SMALL, maxRowsPerObject: 2 };
    const all = (await Promise.all(Array.from({ length: 4 }, () => run({ limits })))).flat();
    expect(all.some(({ result }) => result === "overtaken")).toBe(true);
    expect(all.every(({ result }) => result !== "failed")).toBe(true);
    await run();
    await expectAllComplete();
    for (const table of TABLES) {
      const exported = all.filter((outcome) => outcome.table === table).reduce((sum, { rows }) => sum + rows, 0);
      expect(exported).toBeLessThanOrEqual(await newest(table));
    }
  });

  it("a slow run that read fewer rows puts its object last", async () => {
    const { promise: later, resolve: release } = Promise.withResolvers<void>();
    const { promise: reached, resolve: atPut } = Promise.withResolvers<void>();
    const real = bucket();
    const late = bucketWith({
      put: async (...args: Parameters<R2Bucket["put"]>) => {
        atPut();
        await later;
        return real.put(...args);
      },
    });
    const running = run({ bucket: late, limits: RUN_LIMITS });
    await reached;
    await addRows(1, 1);
    await run({ limits: RUN_LIMITS });
    release();
    expect((await running)[0]).toMatchObject({ table: "events", result: "overtaken", rows: 0 });
    await run();
    await expectAllComplete();
  });

  it.each([
    ["is not JSON", () => "{"],
    ["has another shape", () => '{"cursor": 7}'],
    ["is empty", () => ""],
    [
      "names an object far ahead that does not exist",
      (table: Table) =>
        JSON.stringify({ cursor: { key: exportKey(prefix, table, 9e6), last: 9e6, fingerprint: "x" }, error: null }),
    ],
    [
      "names an object elsewhere",
      () => JSON.stringify({ cursor: { key: `${prefix}elsewhere`, last: 9e6, fingerprint: "x" }, error: null }),
    ],
  ])("the state that a run left %s", async (_, text) => {
    vi.spyOn(console, "error").mockImplementation(() => {});
    await run({ limits: { ...SMALL, maxObjectsPerTable: 1 } });
    for (const table of TABLES) await bucket().put(stateKey(prefix, table), text(table));
    expect(await results(run())).toEqual(["done", "done"]);
    await expectAllComplete();
  });

  it("other objects are in the same folder", async () => {
    await run({ limits: { ...SMALL, maxObjectsPerTable: 1 } });
    const foreign = [`${prefix}events/zzz`, `${prefix}events/9999999999999999.ndjson`, `${prefix}events/.keep`];
    for (const key of foreign) await bucket().put(key, "x");
    expect(await results(run())).toEqual(["done", "done"]);
    await bucket().delete(foreign);
    await expectAllComplete();
  });

  it("a lifecycle rule has removed some objects, or all", async () => {
    await run();
    const [first] = await objectsOf("events");
    await bucket().delete(first?.key ?? "");
    expect(await run()).toMatchObject([{ rows: 0 }, { rows: 0 }]);
    await bucket().delete((await objectsOf("events")).map(({ key }) => key));
    expect(await run()).toMatchObject([{ rows: 0, error: null }, { rows: 0 }]);
    await addRows(1, 0);
    expect(await run()).toMatchObject([{ rows: 3, error: null }, { rows: 0 }]);
  });
});

describe("an export stops with a message", () => {
  async function replaceNewest(change: Record<string, string>): Promise<string> {
    const last = (await objectsOf("events")).at(-1);
    const body = await (await bucket().get(last?.key ?? ""))?.arrayBuffer();
    if (!last || !body) throw new Error("there is no newest object");
    await bucket().put(last.key, body, { customMetadata: change });
    return last.key;
  }

  it("when D1 has another row under the last exported number, because it was restored", async () => {
    vi.spyOn(console, "error").mockImplementation(() => {});
    await run();
    const last = await newest("events");
    await replaceNewest({ last: String(last), fingerprint: "0".repeat(64) });
    await addRows(1, 0);
    const [events, requests] = await run();
    expect(events).toMatchObject({ result: "failed", rows: 0 });
    expect(events?.error).toContain(`row ${last} in D1 is not the row that was exported: the database was restored`);
    expect(requests).toMatchObject({ result: "done" });
  });

  it("when D1 has fewer rows than were exported", async () => {
    vi.spyOn(console, "error").mockImplementation(() => {});
    await run();
    await replaceNewest({ last: String((await newest("events")) + 1_000), fingerprint: "m" });
    expect((await run())[0]).toMatchObject({ result: "failed", rows: 0 });
  });

  it("when the newest object has lost its metadata, and continues once it is restored", async () => {
    vi.spyOn(console, "error").mockImplementation(() => {});
    await run();
    const { customMetadata = {} } = (await objectsOf("events")).at(-1) ?? {};
    const key = await replaceNewest({});
    const [events] = await run();
    expect(events?.error).toContain(`the newest object, ${key}, has no valid metadata`);
    await replaceNewest(customMetadata);
    await addRows(1, 0);
    expect((await run())[0]).toMatchObject({ result: "done", rows: 3 });
    await expectAllComplete();
  });
});

describe("the row numbers that the export relies on", () => {
  const insert = (n: string) =>
    env.AUDIT_DB.prepare(
      `INSERT OR REPLACE INTO events (row_number, session_id, seq, at, type, data, prev_hash, hash) VALUES (${n}, ?, 0, 0, 'lock', '{}', '', '')`,
    )
      .bind(crypto.randomUUID())
      .run();

  it.each(["-1", "0", "9223372036854775807", "1", "(SELECT max(row_number) + 2 FROM events)"])(
    "cannot be chosen by a writer: %s",
    async (n) => {
      const before = await newest("events");
      const total = () => env.AUDIT_DB.prepare("SELECT count(*) AS total FROM events").first<number>("total");
      const rows = await total();
      await insert(n).catch(() => {});
      expect([await newest("events"), await total()]).toEqual([before, rows]);
    },
  );

  it("have no gap after a repeated or failed delivery", async () => {
    const events = sessionEvents({ at: 1_000 });
    await write(...events);
    await write(...events);
    await expect(write({ ...sessionEvents({})[0], type: null } as never)).rejects.toThrow();
    const row = requestRow(Date.now());
    await insertRequests(env.AUDIT_DB, [row]);
    await insertRequests(env.AUDIT_DB, [row, requestRow(Date.now())]);
    for (const table of TABLES) {
      const sql = `SELECT max(row_number) - count(*) AS gaps, min(row_number) AS first FROM ${table}`;
      expect(await env.AUDIT_DB.prepare(sql).first()).toEqual({ gaps: 0, first: 1 });
    }
  });
});

describe("the cron trigger", () => {
  const CRON = "*/5 * * * *";
  const controller = () => createScheduledController({ scheduledTime: new Date(), cron: CRON });

  it("exports to the bound bucket, under the configured prefix", async () => {
    await worker.scheduled(controller(), env);
    const exported = (await objectsOf("events", "")).reduce(
      (sum, { customMetadata }) => sum + Number(customMetadata?.["rows"]),
      0,
    );
    expect(exported).toBe(await newest("events"));
    const scheduled = createScheduled(configWith({ export: { prefix } }));
    await scheduled(CRON, env);
    await expectAllComplete();
  });

  it("exports nothing without a bucket, and logs that once", async () => {
    const logged = vi.spyOn(console, "log").mockImplementation(() => {});
    const scheduled = createScheduled(configWith({}));
    const { AUDIT_DB, DIRECTORY, RECORDINGS, USER_SESSIONS } = env;
    const without = { AUDIT_DB, DIRECTORY, RECORDINGS, USER_SESSIONS };
    for (let i = 0; i < 3; i++) await scheduled(CRON, without);
    const lines = linesOf(logged).filter((line) => (line as { event: string }).event === "export_without_bucket");
    expect(lines).toEqual([{ event: "export_without_bucket", level: "log" }]);
  });

  it("fails when the export of a table fails", async () => {
    vi.spyOn(console, "error").mockImplementation(() => {});
    const scheduled = createScheduled(configWith({ export: { prefix } }));
    const { AUDIT_DB, DIRECTORY, RECORDINGS, USER_SESSIONS } = env;
    const EXPORT = failingPut(1, "before");
    await expect(scheduled(CRON, { AUDIT_DB, DIRECTORY, RECORDINGS, USER_SESSIONS, EXPORT })).rejects.toThrow(
      "export of events failed",
    );
  });

  it.each(["siem", "/siem/", "a//", "../x/", "a b/", 7])("rejects the prefix %s", (bad) => {
    expect(() => configWith({ export: { prefix: bad } })).toThrow("export.prefix");
  });
});

function configWith(more: object) {
  const document = typeof env.SALLYPORT_CONFIG === "string" ? JSON.parse(env.SALLYPORT_CONFIG) : env.SALLYPORT_CONFIG;
  return loadConfig({ ...document, ...more });
}

describe("GET /-/admin/export", () => {
  const status = async (bindings: object = {}) => {
    const config = { export: { prefix } };
    const response = await directlyAs(admin, "/-/admin/export", {}, { config, bindings });
    return [response.status, await response.json()] as const;
  };

  it("shows how far the export is, how many rows wait and since when", async () => {
    const example = JSON.parse(/^```json\n(.*?)^```$/ms.exec(guide)?.[1] ?? "{}");
    const [, shown] = await status();
    expect(Object.keys(shown as object)).toEqual(Object.keys(example));
    expect(Object.keys((shown as typeof example).tables[0])).toEqual(Object.keys(example.tables[0]));
    const events = await newest("events");
    const oldest = await env.AUDIT_DB.prepare("SELECT at FROM events WHERE row_number = 1").first<number>("at");
    const waiting = { exported: 0, waiting: events, newest: events, lastObject: null, error: null };
    expect(await status()).toMatchObject([
      200,
      {
        enabled: true,
        prefix,
        tables: [
          { table: "events", ...waiting, oldestWaiting: new Date(oldest ?? 0).toISOString() },
          { table: "requests" },
        ],
      },
    ]);
    await run({ limits: RUN_LIMITS });
    const done = { exported: events, waiting: 0, newest: events, oldestWaiting: null, error: null };
    expect(await status()).toMatchObject([
      200,
      {
        tables: [
          { ...done, lastObject: exportKey(prefix, "events", 1) },
          { table: "requests", waiting: 0 },
        ],
      },
    ]);
  });

  it("shows the error of the last run, until a run succeeds", async () => {
    vi.spyOn(console, "error").mockImplementation(() => {});
    await run({ bucket: failingPut(1, "before") });
    const error = { at: expect.stringMatching(/^\d{4}-.*Z$/), message: "put: internal error (10001)" };
    expect(await status()).toMatchObject([200, { tables: [{ error }, { error: null }] }]);
    await run();
    expect(await status()).toMatchObject([200, { tables: [{ error: null }, { error: null }] }]);
  });

  it("says that the export is off when no bucket is bound", async () => {
    expect(await status({ EXPORT: undefined })).toEqual([200, { enabled: false }]);
  });

  it("says whether R2 or D1 does not answer", async () => {
    vi.spyOn(console, "error").mockImplementation(() => {});
    const broken = () => {
      throw new Error("internal error");
    };
    expect(await status({ EXPORT: bucketWith({ get: broken }) })).toMatchObject([
      503,
      { error: { code: "export_unavailable" } },
    ]);
    expect(await status({ AUDIT_DB: { prepare: broken } })).toMatchObject([
      503,
      { error: { code: "audit_database_unavailable" } },
    ]);
  });

  it("is read-only, for administrators and auditors", async () => {
    expect((await as(alice, "/-/admin/export")).status).toBe(403);
    const identities = [{ match: { email: "alice@example.com" }, groups: ["developers"], roles: ["auditor" as const] }];
    expect((await directlyAs(alice, "/-/admin/export", {}, { config: { identities } })).status).toBe(200);
    expect((await as(admin, "/-/admin/export", { method: "DELETE" })).status).toBe(405);
    // Whoever asks what is new next must not find this event among it.
    await eventually(async () => {
      const sql = "SELECT status FROM requests WHERE method = 'DELETE' AND path = '/-/admin/export'";
      expect(await env.AUDIT_DB.prepare(sql).first("status")).toBe(405);
    });
  });
});

// The last one, because every later test would export these rows too.
describe("large events", () => {
  it("are read in small pages, and their objects are cut by size", async () => {
    const before = await newest("events");
    const reason = "ä".repeat(300_000);
    for (let i = 0; i < 8; i++) {
      const data = { user: "eve@example.com", by: "ada@example.com", reason, until: null };
      await write({ session_id: crypto.randomUUID(), seq: 0, at: i, type: "lock", data });
    }
    expect((await eventsFrom(env.AUDIT_DB, before + 1)).length).toBe(4);
    await run({ limits: { ...RUN_LIMITS, maxCharsPerObject: 1_000_000 } });
    const sizes = (await objectsOf("events")).map(({ customMetadata }) => Number(customMetadata?.["rows"]));
    // The first object has all the small events too.
    expect(sizes).toEqual([before + 4, 4]);
    await expectComplete("events");
  });
});
