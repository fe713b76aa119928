import { afterEach, beforeEach, expect, it, vi } from "vitest";
import { NO_COUNTS } from "../../../audit/events.ts";
import { ChannelTap } from "../../../durable/recording/tap.ts";
import { LiveCast } from "../../../durable/watch/live-cast.ts";
import { BUSY_BYTES_PER_SECOND, WatchBudget } from "../../../durable/watch/watch-budget.ts";
import { type FeedEnd, WatchFeed } from "../../../durable/watch/watch-feed.ts";
import { FULL_BYTES, type WatchSink } from "../../../durable/watch/watch-sink.ts";
import { MAX_STALL_MS } from "../../../durable/watch/watcher.ts";

beforeEach(() => void vi.useFakeTimers({ now: 1_000_000 }));
afterEach(() => void vi.useRealTimers());

/** A watcher that reads when the test says so. */
class Reader implements WatchSink {
  unsentBytes = 0;
  #sentBytes = 0;
  received = "";
  closed: { message: string; canReturn: boolean } | undefined;
  readonly reads: boolean;

  constructor(reads = true) {
    this.reads = reads;
  }

  get takenBytes(): number {
    return this.#sentBytes - this.unsentBytes;
  }

  send(text: string, bytes: number): void {
    this.received += text;
    this.#sentBytes += bytes;
    if (!this.reads) this.unsentBytes += text.length;
  }

  end(message: string): void {
    this.closed = { message, canReturn: false };
  }

  drop(message: string, canReturn: boolean): void {
    this.closed = { message, canReturn };
  }
}

function session(isBusy = false) {
  const metadata = {
    ...{ sessionId: "s1", user: "alice@example.com", cluster: "c", kind: "exec" as const, namespace: "demo", pod: "p" },
    ...{ container: null, command: [], tty: true },
  };
  const cast = new LiveCast({
    ...{ metadata, recording: undefined, readStored: () => null, withInput: false },
    createTap: (writer, withInput) => new ChannelTap(writer, withInput),
  });
  const budget = new WatchBudget();
  const carried = () => ({ traffic: {}, counts: NO_COUNTS });
  const feed = new WatchFeed({ cast, budget, carried, isBusy: () => isBusy, now: () => Date.now() });
  const show = (text: string) => {
    const payload = new TextEncoder().encode(text);
    cast.fromUpstream({ channel: 1, isText: false, size: payload.length, payload }, Date.now());
  };
  const watch = (sink: WatchSink) => {
    const ends: FeedEnd[] = [];
    const leaving = new AbortController();
    feed.add(sink, leaving.signal, (why) => ends.push(why));
    return { ends, leave: () => leaving.abort() };
  };
  return { feed, show, watch };
}

it("holds nothing for a watcher who does not read, shows others everything, and drops that one", () => {
  const { feed, show, watch } = session();
  const [reader, sleeper] = [new Reader(), new Reader(false)];
  watch(reader);
  const { ends } = watch(sleeper);
  for (let second = 0; second * 1000 <= MAX_STALL_MS; second++) {
    show(`${"x".repeat(50_000)} line ${second}\r\n`);
    vi.advanceTimersByTime(1000);
    feed.tick();
  }
  expect(reader.received.match(/line \d+/g)).toHaveLength(MAX_STALL_MS / 1000 + 1);
  expect(sleeper.received.length).toBeLessThan(2 * FULL_BYTES);
  expect([ends, sleeper.closed]).toEqual([["too_slow"], { message: "the watcher stopped reading", canReturn: true }]);
  expect([reader.closed, feed.count]).toEqual([undefined, 1]);
});

it("a watcher who reads slowly is not dropped, and is shown the present with a notice of what is left out", () => {
  const { feed, show, watch } = session();
  const slow = new Reader(false);
  const { ends } = watch(slow);
  for (let second = 0; second < 60; second++) {
    for (let part = 0; part < 10; part++) show("y".repeat(50_000));
    show(` second ${second} `);
    // It takes a little now and then.
    slow.unsentBytes = Math.max(0, slow.unsentBytes - 50_000);
    vi.advanceTimersByTime(1000);
    feed.tick();
  }
  slow.unsentBytes = 0;
  vi.advanceTimersByTime(1000);
  expect(ends).toEqual([]);
  expect(slow.received).toMatch(/\d+ (KiB|MiB) are left out here/);
  expect(slow.received).toContain(" second 59 ");
  for (const line of slow.received.trimEnd().split("\n")) expect(() => JSON.parse(line)).not.toThrow();
});

it("sends all watchers together no more than the budget, less while sessions are busy", () => {
  const { show, watch } = session(true);
  const readers = Array.from({ length: 10 }, () => new Reader());
  for (const reader of readers) watch(reader);
  const before = readers.reduce((sum, { received }) => sum + received.length, 0);
  for (let step = 0; step < 100; step++) {
    for (let part = 0; part < 20; part++) show("z".repeat(50_000));
    vi.advanceTimersByTime(100);
  }
  const sent = readers.reduce((sum, { received }) => sum + received.length, 0) - before;
  expect(sent).toBeGreaterThan(BUSY_BYTES_PER_SECOND);
  expect(sent).toBeLessThan(11 * BUSY_BYTES_PER_SECOND);
  for (const { received } of readers) expect(received.length).toBeGreaterThan(sent / 20);
});

it("the end of a session ends each watch once its watcher has everything", () => {
  const { feed, show, watch } = session();
  const [reader, sleeper] = [new Reader(), new Reader(false)];
  const [one, other] = [watch(reader), watch(sleeper)];
  sleeper.unsentBytes = FULL_BYTES;
  show("the last words");
  feed.end("exit code 3");
  expect(reader.received).toContain("the last words");
  expect(reader.received).toContain('"m","exit code 3"');
  expect(reader.closed).toEqual({ message: "the session is over: exit code 3", canReturn: false });
  expect([one.ends, other.ends]).toEqual([["session_ended"], []]);
  sleeper.unsentBytes = 0;
  vi.advanceTimersByTime(1000);
  expect(sleeper.received).toContain("the last words");
  expect([other.ends, feed.count, vi.getTimerCount()]).toEqual([["session_ended"], 0, 0]);
});

it("sends something now and then to a watcher of a silent session, in the cast's own time", () => {
  const { feed, show, watch } = session();
  const reader = new Reader();
  const { leave } = watch(reader);
  for (let second = 0; second < 60; second++) {
    vi.advanceTimersByTime(1000);
    feed.tick();
  }
  show("late");
  vi.advanceTimersByTime(1000);
  const events = reader.received
    .trimEnd()
    .split("\n")
    .slice(1)
    .map((line) => JSON.parse(line));
  const times = events.map(([seconds]) => seconds);
  expect(events.filter(([, , data]) => data === "alive")).toHaveLength(2);
  expect(times).toEqual([...times].sort((one, two) => one - two));
  leave();
  show("unseen");
  vi.advanceTimersByTime(60_000);
  expect([reader.received.includes("unseen"), feed.count, vi.getTimerCount()]).toEqual([false, 0, 0]);
});
