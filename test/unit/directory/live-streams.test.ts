/** The directory's streams of what is live: what each reader is told, and what a slow one costs. */
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import type { LivePage } from "../../../contract/directory.ts";
import { type LiveRecord, readLiveRecord } from "../../../contract/live-stream.ts";
import type { LiveSessionRow } from "../../../contract/session-row.ts";
import { LiveStreams, MAX_STALL_MS, MAX_STREAMS_PER_PERSON } from "../../../durable/directory/live-streams.ts";
import { MAX_STREAMED_SESSIONS, ToldSessions } from "../../../durable/directory/tellers.ts";
import { FULL_BYTES } from "../../../durable/watch/watch-sink.ts";
import { liveRowOf } from "../../support/live-row.ts";

const MAX_STREAMS = 50;

let rows: LiveSessionRow[] = [];
let isComplete = true;

function make() {
  const list = vi.fn((limit: number): LivePage => ({ sessions: rows.slice(0, limit), isComplete }));
  const told = new ToldSessions({ list, count: () => rows.length });
  const streams = new LiveStreams({ told, what: "live sessions", maxStreams: MAX_STREAMS, now: () => Date.now() });
  return { streams, list };
}

/** A reader that reads everything as it comes. */
function readerOf(response: Response) {
  const records: LiveRecord[] = [];
  let text = "";
  const decoder = new TextDecoder();
  const over = (async () => {
    for await (const piece of response.body as ReadableStream<Uint8Array>) {
      const lines = (text + decoder.decode(piece, { stream: true })).split("\n");
      text = lines.pop() ?? "";
      for (const line of lines) {
        const record = readLiveRecord(line);
        if (!record.ok) throw new Error(record.error.detail);
        records.push(record.value);
      }
    }
  })();
  over.catch(() => {});
  return { records, over };
}

const open = (streams: LiveStreams, by = "ada@example.com", signal = new AbortController().signal) =>
  streams.open({ by }, signal);
const pass = (ms: number) => vi.advanceTimersByTimeAsync(ms);
/** An answer that comes after it was seen whether others have left. */
async function refusalOf(answer: Promise<Response>): Promise<Response> {
  await pass(1_500);
  return answer;
}

/** A reader of whom the first thing that is written says that they have left. */
async function failAtNextWrite(body: ReadableStream<Uint8Array>): Promise<void> {
  const reader = body.getReader();
  for (const decoder = new TextDecoder(); ; ) {
    const { value, done } = await reader.read();
    if (done) return;
    if (decoder.decode(value).includes('"alive"')) return reader.cancel();
  }
}

const idsOf = (records: readonly LiveRecord[]) =>
  records.flatMap((record) => (record.type === "sessions" ? record.sessions.map(({ id }) => id) : []));

beforeEach(() => {
  vi.useFakeTimers();
  rows = [];
  isComplete = true;
});
afterEach(() => {
  vi.useRealTimers();
});

describe("a stream", () => {
  it("tells what is live, then what begins, is used and ends, and nothing twice", async () => {
    rows = [liveRowOf("b"), liveRowOf("a")];
    const { streams } = make();
    const { records } = readerOf(await open(streams));
    await pass(10);
    expect(records).toEqual([
      { type: "summary", isComplete: true, omitted: 0 },
      { type: "sessions", sessions: rows },
    ]);
    records.length = 0;
    rows = [liveRowOf("c"), liveRowOf("b", { active_at: 9, bytes_in: 5 })];
    streams.changed();
    await pass(300);
    const { active_at, bytes_in, bytes_out, messages_in, messages_out } = liveRowOf("b", { active_at: 9, bytes_in: 5 });
    const waits_for = null;
    expect(records).toEqual([
      { type: "ended", ids: ["a"] },
      { type: "sessions", sessions: [liveRowOf("c")] },
      { type: "counts", sessions: [{ id: "b", active_at, waits_for, bytes_in, bytes_out, messages_in, messages_out }] },
    ]);
    records.length = 0;
    streams.changed();
    await pass(5_000);
    expect(records).toEqual([]);
  });

  it("tells of a lease that ended without a report", async () => {
    rows = [liveRowOf("a")];
    const { streams } = make();
    const { records } = readerOf(await open(streams));
    await pass(10);
    rows = [];
    await pass(2_100);
    expect(records.at(-1)).toEqual({ type: "ended", ids: ["a"] });
  });

  it("says when the whole is known, and how many sessions it leaves out", async () => {
    isComplete = false;
    rows = Array.from({ length: MAX_STREAMED_SESSIONS + 3 }, (_, n) => liveRowOf(`s${n}`));
    const { streams } = make();
    const { records } = readerOf(await open(streams));
    await pass(2_000);
    expect(records[0]).toEqual({ type: "summary", isComplete: false, omitted: 3 });
    expect(idsOf(records)).toHaveLength(MAX_STREAMED_SESSIONS);
    isComplete = true;
    rows = rows.slice(0, 5);
    streams.changed();
    await pass(2_000);
    expect(records.filter(({ type }) => type === "summary").at(-1)).toEqual({
      ...{ type: "summary", isComplete: true, omitted: 0 },
    });
    // Each once, though there were many records.
    expect(new Set(idsOf(records)).size).toBe(idsOf(records).length);
  });

  it("is never silent for long", async () => {
    const { streams } = make();
    const { records } = readerOf(await open(streams));
    await pass(16_000);
    expect(records.map(({ type }) => type)).toEqual(["summary", "alive"]);
    await pass(16_000);
    expect(records.filter(({ type }) => type === "alive")).toHaveLength(2);
  });
});

describe("a reader that does not read", () => {
  it("is held little for, and then dropped, while others are told everything", async () => {
    const command = ["x".repeat(900)];
    rows = Array.from({ length: 1_000 }, (_, n) => liveRowOf(`s${n}`, { command }));
    const { streams } = make();
    const slow = await open(streams, "slow@example.com");
    const { records } = readerOf(await open(streams, "ada@example.com"));
    for (let second = 1; second < MAX_STALL_MS / 1_000; second++) {
      rows = rows.map((row) => ({ ...row, active_at: second }));
      streams.changed();
      await pass(1_000);
    }
    expect(streams.count).toBe(2);
    await pass(3_000);
    expect(streams.count).toBe(1);
    expect(idsOf(records)).toHaveLength(1_000);
    // What it was held: the queue breaks off instead of ending, so nobody takes it for all.
    const reader = (slow.body as ReadableStream<Uint8Array>).getReader();
    await expect(reader.read()).rejects.toThrow("stopped reading");
  });

  it("leaves at most a queue and a record in memory", async () => {
    const command = ["x".repeat(900)];
    rows = Array.from({ length: 1_000 }, (_, n) => liveRowOf(`s${n}`, { command }));
    const { streams } = make();
    const reader = ((await open(streams)).body as ReadableStream<Uint8Array>).getReader();
    await pass(10_000);
    let bytes = 0;
    const drained = (async () => {
      for (;;) {
        const { value, done } = await reader.read();
        if (done) return;
        bytes += value.byteLength;
      }
    })();
    drained.catch(() => {});
    // Before the directory's next turn: only what waited.
    await Promise.resolve();
    await vi.advanceTimersByTimeAsync(0);
    expect(bytes).toBeGreaterThan(0);
    expect(bytes).toBeLessThan(FULL_BYTES + 50 * 2_000);
  });
});

describe("streams", () => {
  it("are bounded for each person and for all, and leave room when they end", async () => {
    const { streams } = make();
    const first = await open(streams);
    const leaving = new AbortController();
    await open(streams, "ada@example.com", leaving.signal);
    for (let n = 2; n < MAX_STREAMS_PER_PERSON; n++) await open(streams);
    const refused = await refusalOf(open(streams));
    expect(refused.status).toBe(400);
    expect(await refused.json()).toMatchObject({ live: "refused", code: "too_many_watchers" });
    expect((await open(streams, "bob@example.com")).status).toBe(200);
    await first.body?.cancel();
    leaving.abort();
    expect([(await open(streams)).status, (await open(streams)).status]).toEqual([200, 200]);
    expect((await refusalOf(open(streams))).status).toBe(400);
    for (let n = 0; streams.count < MAX_STREAMS; n++) await open(streams, `p${n}@example.com`);
    expect((await refusalOf(open(streams, "late@example.com"))).status).toBe(400);
  });

  it("whose readers have left, which only a write tells, make room for another", async () => {
    const { streams } = make();
    const alive = readerOf(await open(streams));
    const left = [];
    for (let n = 1; n < MAX_STREAMS_PER_PERSON; n++) left.push(await open(streams));
    await pass(10);
    // What the runtime does once a write to them has failed.
    for (const { body } of left) void failAtNextWrite(body as ReadableStream<Uint8Array>);
    alive.records.length = 0;
    const another = open(streams);
    await pass(100);
    expect((await another).status).toBe(200);
    expect(alive.records).toEqual([{ type: "alive" }]);
    expect(streams.count).toBe(2);
  });

  it("are not all written to for somebody who asks again and again", async () => {
    const { streams } = make();
    const { records } = readerOf(await open(streams));
    for (let n = 1; n < MAX_STREAMS_PER_PERSON; n++) readerOf(await open(streams));
    await pass(10);
    records.length = 0;
    const refused = Array.from({ length: 20 }, () => open(streams));
    await pass(1_500);
    expect(new Set((await Promise.all(refused)).map(({ status }) => status))).toEqual(new Set([400]));
    expect(records.map(({ type }) => type)).toEqual(["alive", "alive", "alive", "alive"]);
  });

  it("are not begun for somebody who left while there was no room", async () => {
    const { streams } = make();
    const first = await open(streams);
    for (let n = 1; n < MAX_STREAMS_PER_PERSON; n++) await open(streams);
    const leaving = new AbortController();
    const another = open(streams, "ada@example.com", leaving.signal);
    leaving.abort();
    await first.body?.cancel();
    await pass(1_500);
    await another;
    expect(streams.count).toBe(MAX_STREAMS_PER_PERSON - 1);
  });

  it("that nobody reads cost nothing", async () => {
    const { streams, list } = make();
    streams.changed();
    await pass(5_000);
    expect(list).not.toHaveBeenCalled();
    const stream = await open(streams);
    await pass(10);
    await stream.body?.cancel();
    await pass(2_000);
    list.mockClear();
    streams.changed();
    await pass(5_000);
    expect(list).not.toHaveBeenCalled();
    expect(vi.getTimerCount()).toBe(0);
  });

  it("share what was looked up, however many there are", async () => {
    const { streams, list } = make();
    for (let n = 0; n < 10; n++) await open(streams, `p${n}@example.com`);
    await pass(10);
    expect(list).toHaveBeenCalledTimes(1);
  });
});
