import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import type { Category } from "../../audit/request-categories.ts";
import type { StoredRequestRow } from "../../audit/rows.ts";
import { createIdGenerator } from "../../worker/request-audit/ids.ts";
import {
  BATCH_ROWS,
  FLUSH_AFTER_MS,
  MAX_COMMON_ROWS,
  MAX_ROWS,
  type QueueDependencies,
  RequestQueue,
  WINDOW_MS,
} from "../../worker/request-audit/queue.ts";
import { summaryRow, type UnsavedRow } from "../../worker/request-audit/tally.ts";

const CLOCK = { now: () => Date.now(), sleep: (ms: number) => new Promise<void>((resolve) => setTimeout(resolve, ms)) };

function row(name: string, category: Category = "mutation", user: string | null = "alice@example.com"): UnsavedRow {
  return {
    ...{ at: Date.now(), user, kubernetes_user: user, cluster: "prod", category, decision: "allowed", rule: null },
    ...{ refusal: null, reason: null, method: "POST", path: `/${name}`, verb: "create", api_group: "" },
    ...{ resource: "configmaps", subresource: null, namespace: "demo", name, status: 201, count: 1 },
    ...{ client_address: null, country: null, user_agent: null, ray: null },
  };
}

/** D1 as the queue sees it, and the requests that lend it time. */
class D1 {
  readonly rows: StoredRequestRow[] = [];
  readonly writes: number[] = [];
  readonly refuses = new Set<string | null>();
  isDown = false;
  isSilent = false;
  readonly dependencies: QueueDependencies = {
    waitUntil: (work) => void work,
    write: async (rows) => {
      this.writes.push(rows.length);
      if (this.isSilent) return new Promise(() => {});
      if (this.isDown || rows.some(({ name }) => this.refuses.has(name))) throw new Error("D1_ERROR");
      this.rows.push(...rows);
    },
  };

  get names(): (string | null)[] {
    return this.rows.map(({ name }) => name);
  }
}

let d1: D1;
let queue: RequestQueue;
let logged: string[];
beforeEach(() => {
  vi.useFakeTimers();
  vi.setSystemTime("2026-11-17T09:30:00Z");
  d1 = new D1();
  queue = new RequestQueue(createIdGenerator(), CLOCK);
  logged = [];
  vi.spyOn(console, "error").mockImplementation((line: string) => void logged.push(line));
});
afterEach(() => {
  vi.useRealTimers();
  vi.restoreAllMocks();
});

const pass = (ms: number) => vi.advanceTimersByTimeAsync(ms);
const push = (count: number, prefix: string, category?: Category) => {
  for (let i = 0; i < count; i++) queue.push(row(`${prefix}${i}`, category), d1.dependencies);
};

describe("rows", () => {
  test("that arrive together share a write", async () => {
    push(3, "a");
    expect(d1.writes).toEqual([]);
    await pass(FLUSH_AFTER_MS);
    expect(d1.writes).toEqual([3]);
    expect(d1.names).toEqual(["a0", "a1", "a2"]);
    expect(queue.length).toBe(0);
  });

  test("that fill a batch are written at once, one batch after the other", async () => {
    push(2 * BATCH_ROWS + 1, "a");
    await pass(0);
    expect(d1.writes).toEqual([BATCH_ROWS, BATCH_ROWS, 1]);
    expect(new Set(d1.names).size).toBe(2 * BATCH_ROWS + 1);
    await pass(60_000);
    expect(d1.writes.length).toBe(3);
  });

  test("have unique ids that begin with their time and sort by it", async () => {
    push(40, "a");
    await pass(1_000);
    push(1, "b");
    await pass(1_000);
    const ids = d1.rows.map(({ id }) => id);
    expect(new Set(ids).size).toBe(41);
    expect(ids.toSorted((one, other) => (one < other ? -1 : 1))).toEqual(ids);
    expect(ids[0]).toMatch(/^2026-11-17T09:30:00\.000Z-[0-9a-f]{16}000000$/);
  });
});

describe("while D1 fails", () => {
  test("rows wait, are retried, and are written once each", async () => {
    d1.isDown = true;
    push(3, "a");
    await pass(2_000);
    expect(d1.rows).toEqual([]);
    expect(logged.join("\n")).toMatch(
      /"event":"request_rows_not_delivered".*"rows":3,"waiting":3,"lost":0,"error":"Error: D1_ERROR"/,
    );
    d1.isDown = false;
    await pass(20_000);
    expect(new Set(d1.names)).toEqual(new Set(["a0", "a1", "a2"]));
    expect(d1.rows.length).toBe(3);
    expect(queue.length).toBe(0);
  });

  test("one request stops after a while, and the next one continues, however long the outage", async () => {
    d1.isDown = true;
    push(3, "a");
    await pass(60_000);
    const tries = d1.writes.length;
    expect(tries).toBeLessThan(7);
    await pass(600_000);
    expect(d1.writes.length).toBe(tries);
    for (let minute = 0; minute < 30; minute++) {
      push(1, `b${minute}-`);
      await pass(60_000);
    }
    d1.isDown = false;
    push(1, "c");
    await pass(60_000);
    expect(d1.names.length).toBe(34);
    expect(new Set(d1.names).size).toBe(34);
    expect(logged.some((line) => /request_rows_los(ing|t)"/.test(line))).toBe(false);
  });

  test("more requests do not mean more writes", async () => {
    d1.isDown = true;
    for (let i = 0; i < 300; i++) {
      push(1, `${i}-`);
      await pass(10);
    }
    expect(d1.writes.length).toBeLessThan(5);
  });

  test("rows without room are counted by user, logged, and become one row once D1 accepts rows again", async () => {
    d1.isDown = true;
    push(MAX_COMMON_ROWS + 7, "a");
    queue.push(row("b", "mutation", "bob@example.com"), d1.dependencies);
    expect(queue.length).toBe(MAX_COMMON_ROWS);
    await pass(WINDOW_MS);
    expect(logged.join("\n")).toMatch(
      /"request_rows_losing".*"cause":"the queue was full"[\s\S]*"request_rows_not_delivered".*"lost":8/,
    );
    d1.isDown = false;
    await pass(60_000);
    // There is no room for this row either, but its request writes the others.
    push(1, "later");
    await pass(60_000);
    const dropped = d1.rows.filter(({ category }) => category === "dropped");
    const lostReason = "not written: the queue was full; of category mutation";
    expect(dropped.map(({ user, count, reason, path }) => ({ user, count, reason, path }))).toEqual([
      { user: "alice@example.com", count: 9, reason: lostReason, path: null },
    ]);
    expect(d1.rows.length).toBe(MAX_COMMON_ROWS + 1);
    expect(JSON.parse(logged.at(-1) ?? "")).toMatchObject({ event: "request_rows_lost", rows: 9 });
  });

  test.each<Category>(["mutation", "precursor"])(
    "one user's flood evicts no row of another user: %s",
    async (category) => {
      d1.isDown = true;
      push(2 * MAX_ROWS, "flood", category);
      for (let i = 0; i < 20; i++) queue.push(row(`bob${i}`, category, "bob@example.com"), d1.dependencies);
      expect(queue.length).toBe(category === "mutation" ? MAX_COMMON_ROWS : MAX_ROWS);
      d1.isDown = false;
      await pass(60_000);
      expect(d1.rows.filter(({ user, category: of }) => user === "bob@example.com" && of === category).length).toBe(20);
      const room = category === "mutation" ? MAX_COMMON_ROWS : MAX_ROWS;
      const dropped = d1.rows.filter(({ category: of }) => of === "dropped");
      expect(dropped.map(({ user, count }) => [user, count])).toEqual([
        ["alice@example.com", 2 * MAX_ROWS - room + 20],
      ]);
    },
  );

  test("a flood of access reviews, which anybody may send, leaves room for rows that are worse to miss", async () => {
    d1.isSilent = true;
    const review = {
      api_group: "authorization.k8s.io",
      resource: "selfsubjectaccessreviews",
      user: "mallory@example.com",
    };
    for (let i = 0; i < 2 * MAX_ROWS; i++) queue.push({ ...row(`review${i}`, "token"), ...review }, d1.dependencies);
    expect(queue.length).toBe(MAX_COMMON_ROWS);
    for (const category of ["token", "precursor", "secret-read", "admin"] as const) push(1, category, category);
    expect(queue.length).toBe(MAX_COMMON_ROWS + 4);
  });

  test("a flood of denied requests leaves room for other categories", async () => {
    d1.isDown = true;
    push(2 * MAX_ROWS, "flood", "denied");
    for (const category of ["precursor", "token", "secret-read", "admin"] as const) push(10, category, category);
    d1.isDown = false;
    await pass(60_000);
    expect(d1.rows.filter(({ category }) => !["denied", "dropped"].includes(category)).length).toBe(40);
    push(2 * MAX_ROWS, "more", "precursor");
    expect(queue.length).toBe(MAX_ROWS);
  });

  test("a row that D1 refuses by itself is dropped, and blocks no other", async () => {
    d1.refuses.add("bad");
    push(10, "a");
    queue.push(row("bad"), d1.dependencies);
    push(10, "b");
    for (let i = 0; i < 5; i++) {
      await pass(60_000);
      push(1, `later${i}-`);
    }
    await pass(60_000);
    expect(queue.length).toBe(0);
    expect(d1.names.filter((name) => name !== null).length).toBe(25);
    expect(d1.rows.filter(({ category }) => category === "dropped")).toMatchObject([
      { count: 1, user: "alice@example.com", reason: "not written: D1 refused the row; of category mutation" },
    ]);
  });
});

describe("after the platform cuts off a request", () => {
  test("that held the timer, the next one takes over", async () => {
    queue = new RequestQueue(createIdGenerator(), { ...CLOCK, sleep: () => new Promise(() => {}) });
    push(1, "a");
    await pass(60_000);
    expect(d1.writes).toEqual([]);
    push(BATCH_ROWS, "b");
    await pass(0);
    expect(d1.names.length).toBe(BATCH_ROWS + 1);
  });

  test("that was writing, the next one takes over with the same ids", async () => {
    d1.isSilent = true;
    push(1, "a");
    await pass(60_000);
    expect(d1.writes).toEqual([1]);
    d1.isSilent = false;
    push(1, "b");
    await pass(1_000);
    expect(d1.names).toEqual(["a0", "b0"]);
  });
});

describe("requests without a row of their own", () => {
  const refused = (address: string, refusal = "no_token") =>
    summaryRow({ ...row("x", "denied", null), decision: "refused", refusal, client_address: address });

  test("become one row per reason and address every ten seconds, with their count", async () => {
    for (let i = 0; i < 500; i++) queue.count(refused(i % 2 ? "192.0.2.1" : "192.0.2.2"), d1.dependencies);
    queue.count(refused("192.0.2.1", "bad_token"), d1.dependencies);
    expect(queue.length).toBe(0);
    await pass(WINDOW_MS);
    expect(d1.rows.map(({ refusal, client_address, count, path }) => [refusal, client_address, count, path])).toEqual([
      ["no_token", "192.0.2.2", 250, null],
      ["no_token", "192.0.2.1", 250, null],
      ["bad_token", "192.0.2.1", 1, null],
    ]);
    queue.count(refused("192.0.2.1"), d1.dependencies);
    await pass(WINDOW_MS);
    expect(d1.rows.length).toBe(4);
  });

  test("from too many addresses are counted together", async () => {
    for (let i = 0; i < 5_000; i++) queue.count(refused(`2001:db8::${i}`), d1.dependencies);
    await pass(WINDOW_MS);
    expect(d1.rows.length).toBe(21);
    expect(d1.rows.at(-1)).toMatchObject({ client_address: null, count: 4_980, category: "denied" });
  });

  test("take no room in the queue, however long the outage", async () => {
    d1.isDown = true;
    push(1, "a");
    for (let i = 0; i < 100; i++) {
      for (let j = 0; j < 50; j++) queue.count(refused(`2001:db8::${j}`), d1.dependencies);
      await pass(WINDOW_MS);
    }
    expect(queue.length).toBe(1);
    d1.isDown = false;
    push(1, "b");
    await pass(60_000);
    const counted = d1.rows.filter(({ category }) => category === "denied");
    expect(counted.length).toBe(21);
    expect(counted.reduce((sum, { count }) => sum + count, 0)).toBe(5_000);
  });
});
