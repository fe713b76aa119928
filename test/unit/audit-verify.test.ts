import { resolve } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { describe, expect, it } from "vitest";
import { type ChainedEvent, hashEvent } from "../../audit/chain.ts";
import type { BrokenLink, Verdict } from "../../audit/verify.ts";
import { readMigrations } from "../../dev/stack/migrations.ts";
import { remoteEvents } from "../../tools/audit-source.ts";
import { describeVerdict, verifyEvents } from "../../tools/audit-verify.ts";

type Draft = Pick<ChainedEvent, "session_id" | "seq" | "at" | "type" | "data">;

/**
 * Chains events as an object does: within a session, and each start to the previous start of the same object.
 */
function chain(drafts: readonly Draft[]): ChainedEvent[] {
  const lastStart = new Map<string, string>();
  const lastOf = new Map<string, string>();
  return drafts.map((draft) => {
    const { user = "", location_hint = "" } = JSON.parse(draft.data) as {
      user?: string;
      location_hint?: string | null;
    };
    const owner = `${user} ${location_hint}`;
    const isFirst = draft.seq === 0;
    const prev_hash = isFirst ? (lastStart.get(owner) ?? "") : (lastOf.get(draft.session_id) ?? "");
    const hash = hashEvent({ ...draft, prev_hash });
    if (isFirst) lastStart.set(owner, hash);
    lastOf.set(draft.session_id, hash);
    return { ...draft, prev_hash, hash };
  });
}

function session(id: string, user: string, at: number, locationHint: string | null = null): Draft[] {
  return [
    { session_id: id, seq: 0, at, type: "start", data: JSON.stringify({ user, location_hint: locationHint }) },
    { session_id: id, seq: 1, at: at + 1, type: "connect", data: "{}" },
    { session_id: id, seq: 2, at: at + 2, type: "end", data: '{"outcome":"exited"}' },
  ];
}

const LOG = chain([
  ...session("a", "alice", 10),
  ...session("b", "bob", 20),
  ...session("c", "alice", 30),
  ...session("d", "alice", 40),
]);

const without = (id: string, seq?: number) =>
  LOG.filter((event) => event.session_id !== id || (seq !== undefined && event.seq !== seq));
const changed = (id: string, seq: number, change: Partial<ChainedEvent>) =>
  LOG.map((event) => (event.session_id === id && event.seq === seq ? { ...event, ...change } : event));

describe("the verifier", () => {
  it("finds no broken link in an intact log, and lists sessions without an end", async () => {
    expect(await verifyEvents(LOG)).toEqual({
      sessions: 4,
      requests: 0,
      events: 12,
      open: [],
      openRequests: [],
      broken: [],
    });
    expect(await verifyEvents(without("d", 2))).toMatchObject({ open: ["d"], broken: [] });
    expect(await verifyEvents([])).toEqual({
      sessions: 0,
      requests: 0,
      events: 0,
      open: [],
      openRequests: [],
      broken: [],
    });
  });

  it("follows the directory's chain of drains, whoever gave the commands", async () => {
    const drain = (id: string, at: number, type: "drain" | "drain_end", by: string): Draft => ({
      ...{ session_id: id, seq: 0, at, type },
      data: JSON.stringify({ by, reason: "upgrade", ...(type === "drain" && { until: at + 60_000 }) }),
    });
    const drains = chain([
      drain("m", 50, "drain", "ada"),
      drain("n", 60, "drain_end", "grace"),
      drain("o", 70, "drain", "ada"),
    ]);
    expect(await verifyEvents([...LOG, ...drains])).toMatchObject({ sessions: 4, events: 15, open: [], broken: [] });
    const missing = await verifyEvents([...LOG, ...drains.filter(({ session_id }) => session_id !== "n")]);
    expect(missing.broken).toMatchObject([{ session_id: "o", seq: 0 }]);
    const changedTime = drains.map((event) => ({
      ...event,
      data: event.data.replace('"until":60050', '"until":60051'),
    }));
    expect((await verifyEvents([...LOG, ...changedTime])).broken[0]).toMatchObject({ session_id: "m" });
  });

  it("follows one chain for each of a user's objects", async () => {
    const events = chain([
      ...session("a", "alice", 10),
      ...session("b", "alice", 20, "weur"),
      ...session("c", "alice", 30),
      ...session("d", "alice", 40, "weur"),
    ]);
    expect(await verifyEvents(events)).toEqual({
      sessions: 4,
      requests: 0,
      events: 12,
      open: [],
      openRequests: [],
      broken: [],
    });
    const missing = await verifyEvents(events.filter(({ session_id }) => session_id !== "b"));
    expect(missing.broken).toMatchObject([{ session_id: "d", seq: 0 }]);
    const moved = events.map((event) => {
      if (event.session_id !== "d" || event.seq !== 0) return event;
      const forged = { ...event, prev_hash: events.find(({ session_id }) => session_id === "c")?.hash ?? "" };
      return { ...forged, hash: hashEvent(forged) };
    });
    expect((await verifyEvents(moved)).broken).toMatchObject([
      { seq: 1 },
      { problem: expect.stringMatching(/links to another object of the same user/) },
    ]);
  });

  it.each<[string, readonly ChainedEvent[], string, number, RegExp]>([
    ["data was changed", changed("b", 2, { data: '{"outcome":"refused"}' }), "b", 2, /changed/],
    ["a time was changed", changed("a", 1, { at: 12 }), "a", 1, /changed/],
    ["a start was moved to another user", changed("c", 0, { data: '{"user":"bob"}' }), "c", 0, /changed/],
    ["an event is missing", without("c", 1), "c", 2, /event 1 of its session is missing/],
    ["a start is missing", without("b", 0), "b", 1, /start of its session is missing/],
    ["a whole session is missing", without("c"), "d", 0, /the one before it of alice is missing/],
    ["the first session is missing", without("a"), "c", 0, /the one before it of alice is missing/],
    [
      "an event was changed and hashed again",
      LOG.map((event) => {
        if (event.session_id !== "a" || event.seq !== 1) return event;
        const forged = { ...event, data: '{"protocol":"x"}' };
        return { ...forged, hash: hashEvent(forged) };
      }),
      "a",
      2,
      /prev_hash is not the previous event's hash/,
    ],
    [
      "a session was inserted",
      [...LOG, ...chain(session("z", "alice", 35))],
      "z",
      0,
      /first of alice, as another does/,
    ],
    [
      "an event comes after the end",
      (() => {
        const last = LOG[2] as ChainedEvent;
        const late = { session_id: "a", seq: 3, at: 13, type: "connect" as const, data: "{}", prev_hash: last.hash };
        return [...LOG.slice(0, 3), { ...late, hash: hashEvent(late) }, ...LOG.slice(3)];
      })(),
      "a",
      3,
      /after the end of its session/,
    ],
  ])("names the first broken link when %s", async (_, events, session_id, seq, problem) => {
    const { broken } = await verifyEvents(events);
    expect(broken[0]).toMatchObject({ session_id, seq, problem: expect.stringMatching(problem) });
  });

  it("hashes the fields of an event apart: moving a character between them changes the hash", () => {
    const base = { session_id: "a", seq: 1, at: 23, type: "end" as const, data: "{}", prev_hash: "x" };
    expect(hashEvent({ ...base, seq: 12, at: 3 })).not.toBe(hashEvent({ ...base, seq: 1, at: 23 }));
    expect(hashEvent({ ...base, prev_hash: "xa", session_id: "" })).not.toBe(hashEvent(base));
  });
});

describe("the verifier of API requests", () => {
  const USER = { user: "alice", location_hint: null };
  const change = (id: string, at: number): Draft => ({
    ...{ session_id: id, seq: 0, at, type: "request", data: JSON.stringify({ ...USER, awaits_response: true }) },
  });
  const answer = (id: string, at: number): Draft => ({
    ...{ session_id: id, seq: 1, at, type: "response", data: '{"status":200,"reason":null}' },
  });
  const read: Draft = { ...change("r3", 30), data: JSON.stringify({ ...USER, awaits_response: false }) };
  const counted: Draft = { ...read, session_id: "r4", at: 60, type: "request_summary" };
  const nobody: Draft = { ...read, session_id: "r5", data: '{"user":null,"awaits_response":false}' };
  // Answers come in another order than their requests, and a session lies between.
  const events = chain([
    ...[change("r1", 10), change("r2", 20), ...session("s", "alice", 25), read, answer("r2", 40), answer("r1", 50)],
    ...[counted, nobody, { ...nobody, session_id: "r6" }, change("r7", 70)],
  ]).toSorted((one, other) => one.session_id.localeCompare(other.session_id) || one.seq - other.seq);
  const verifyWithout = (id: string, seq: number) =>
    verifyEvents(events.filter((event) => event.session_id !== id || event.seq !== seq));

  it("follows the object's chain through them, and names changes without an answer", async () => {
    expect(await verifyEvents(events)).toEqual({
      ...{ sessions: 1, requests: 6, events: 12, open: [], openRequests: ["r7"], broken: [] },
    });
    expect(await verifyWithout("r2", 1)).toMatchObject({ openRequests: ["r2", "r7"], broken: [] });
  });

  it.each([
    ["a change", "r1", 0, /start of its session is missing/],
    ["a read", "r3", 0, /the one before it of alice is missing/],
    ["a summary", "r4", 0, /the one before it of alice is missing/],
    ["a request without an identity", "r5", 0, /of the requests without an identity is missing/],
  ])("finds that %s was removed", async (_, id, seq, problem) => {
    const { broken } = await verifyWithout(id, seq);
    expect(broken.map((link) => link.problem).join("\n")).toMatch(problem);
  });

  it("finds a second answer, and one to a request that has none", async () => {
    for (const of of ["r1", "r3"]) {
      const last = events.findLast(({ session_id }) => session_id === of);
      if (!last) throw new Error("no such request");
      const forged = { ...last, seq: last.seq + 1, type: "response" as const, data: "{}", prev_hash: last.hash };
      const log = events.flatMap((event) =>
        event === last ? [event, { ...forged, hash: hashEvent(forged) }] : [event],
      );
      expect((await verifyEvents(log)).broken[0]).toMatchObject({ session_id: of, seq: last.seq + 1 });
    }
  });
});

describe("the result, as an operator reads it", () => {
  const TOTALS: Verdict = { sessions: 1, requests: 2, events: 6, open: ["s-1"], openRequests: [], broken: [] };
  const brokenLinks = (count: number): BrokenLink[] =>
    Array.from({ length: count }, (_, i) => ({ session_id: `s-${i}`, seq: i, problem: "it was changed" }));

  it("says that the audit log is intact", () => {
    expect(describeVerdict(TOTALS)).toBe(
      "The audit log is intact: 1 session, 2 requests, 6 events, 1 without an end (live or interrupted).",
    );
  });

  it("names changes of which no answer is known, which are no broken links", () => {
    const ids = Array.from({ length: 12 }, (_, i) => `r-${i}`);
    const lines = describeVerdict({ ...TOTALS, openRequests: ids }).split("\n");
    expect(lines[0]).toMatch(/is intact/);
    expect(lines[1]).toMatch(/^Of 12 changes no answer is known/);
    expect(lines.slice(2)).toEqual([...ids.slice(0, 10).map((id) => `  ${id}`), "  … and 2 more"]);
  });

  it("names each broken link", () => {
    expect(describeVerdict({ ...TOTALS, broken: brokenLinks(2) })).toBe(
      [
        "The audit log is NOT intact: 2 broken links in 1 session, 2 requests, 6 events, 1 without an end (live or interrupted).",
        "  s-0, event 0: it was changed",
        "  s-1, event 1: it was changed",
      ].join("\n"),
    );
  });

  it.each([
    [20, 21, /event 19: it was changed$/],
    [21, 22, /… and 1 more$/],
  ])("of %d broken links has %d lines", (count, lines, last) => {
    const text = describeVerdict({ ...TOTALS, broken: brokenLinks(count) });
    expect(text.split("\n").length).toBe(lines);
    expect(text).toMatch(last);
  });
});

it("the deployed audit log is read page by page, without events that arrive meanwhile", async () => {
  const database = new DatabaseSync(":memory:");
  for (const { statements } of readMigrations(resolve(import.meta.dirname, "../../migrations"))) {
    for (const statement of statements) database.exec(statement);
  }
  const insert = (event: ChainedEvent) =>
    database
      .prepare("INSERT INTO events (session_id, seq, at, type, data, prev_hash, hash) VALUES (?, ?, ?, ?, ?, ?, ?)")
      .run(event.session_id, event.seq, event.at, event.type, event.data, event.prev_hash, event.hash);
  // A quote in an id must not end the SQL text.
  const drafts = Array.from({ length: 400 }, (_, index) =>
    session(`it's ${String(index).padStart(3, "0")}`, "alice", index),
  );
  for (const event of chain(drafts.flat())) insert(event);
  const pages: number[] = [];
  const query = async <Row>(sql: string): Promise<Row[]> => {
    const rows = database.prepare(sql).all() as Row[];
    pages.push(rows.length);
    const [late] = chain(session(`it's ${pages.length}`, "bob", 1));
    if (late) insert(late);
    return rows;
  };
  expect(await verifyEvents(remoteEvents(query))).toMatchObject({ sessions: 400, events: 1_200, open: [], broken: [] });
  expect(pages).toEqual([1, 500, 500, 200]);
});
