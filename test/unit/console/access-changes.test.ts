/** When pages hear that requests for access have changed. */
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { concerns } from "../../../console/src/access.ts";
import { type AccessChanged, AccessChanges, AGAIN_AFTER_MS } from "../../../console/src/api/access-changes.ts";
import type { AccessRequest } from "../../../console/src/api/endpoints.ts";
import type { StreamHandler } from "../../../console/src/api/stream.ts";
import type { AccessRecordJson } from "../../../worker/api/schemas/live.ts";

const FAILURE = { code: "network", message: "away" } as const;
const ALL: AccessRecordJson = { type: "requests", requests: [] };
const OVER = { type: "over" as const, ids: ["a"] };

let isVisible = true;
let seen: () => void = () => {};
/** The connections that were made, the newest last. */
let connections: { readonly handler: StreamHandler<AccessRecordJson>; readonly signal: AbortSignal }[] = [];

const make = () =>
  new AccessChanges({
    follow: (handler, signal) => void connections.push({ handler, signal }),
    isVisible: () => isVisible,
    onVisibility: (listener) => {
      seen = listener;
      return () => {
        seen = () => {};
      };
    },
  });

/** Where somebody looks, and what they hear. */
function listener(changes: AccessChanges) {
  const heard: AccessChanged[] = [];
  return { heard, stop: changes.subscribe((changed) => void heard.push(changed)) };
}

const newest = () => {
  const connection = connections.at(-1);
  if (!connection) throw new Error("nobody connected");
  return connection;
};
function show(visible: boolean): void {
  isVisible = visible;
  seen();
}

beforeEach(() => {
  vi.useFakeTimers();
  isVisible = true;
  connections = [];
});
afterEach(() => void vi.useRealTimers());

/** Until what has come is told. */
const settle = () => vi.advanceTimersByTime(1_000);

describe("while there is a stream", () => {
  it("all hear of each change, and nobody asks by time", () => {
    const changes = make();
    const [one, other] = [listener(changes), listener(changes)];
    expect(connections).toHaveLength(1);
    newest().handler.onOpen();
    newest().handler.onRecord(ALL);
    settle();
    newest().handler.onRecord({ type: "alive" });
    newest().handler.onRecord(OVER);
    vi.advanceTimersByTime(10 * AGAIN_AFTER_MS);
    // The first record only says what there is: what has changed before it is unknown.
    for (const { heard } of [one, other]) expect(heard).toEqual([undefined, [OVER]]);
    // The next connection may have missed something, too.
    newest().handler.onOpen();
    newest().handler.onRecord(ALL);
    settle();
    expect(one.heard).toEqual([undefined, [OVER], undefined]);
  });

  it("a burst is one change, the next of which is a second later", () => {
    const { heard } = listener(make());
    newest().handler.onRecord(ALL);
    for (let n = 0; n < 20; n++) newest().handler.onRecord(OVER);
    vi.advanceTimersByTime(100);
    // What is not known of may be anything, whatever else comes with it.
    expect(heard).toEqual([undefined]);
    for (let n = 0; n < 3; n++) newest().handler.onRecord(OVER);
    vi.advanceTimersByTime(500);
    expect(heard).toHaveLength(1);
    vi.advanceTimersByTime(500);
    expect(heard).toEqual([undefined, [OVER, OVER, OVER]]);
    // After a pause one is told at once.
    vi.advanceTimersByTime(5_000);
    newest().handler.onRecord(OVER);
    vi.advanceTimersByTime(100);
    expect(heard).toHaveLength(3);
  });

  it("it ends with the last who listens, and when nobody sees the page", () => {
    const changes = make();
    const [one, other] = [listener(changes), listener(changes)];
    one.stop();
    expect(newest().signal.aborted).toBe(false);
    show(false);
    expect(newest().signal.aborted).toBe(true);
    show(true);
    expect(connections).toHaveLength(2);
    newest().handler.onRecord(ALL);
    settle();
    expect(other.heard).toEqual([undefined]);
    newest().handler.onRecord(OVER);
    other.stop();
    settle();
    expect(other.heard).toEqual([undefined]);
    expect(newest().signal.aborted).toBe(true);
    show(true);
    expect(connections).toHaveLength(2);
  });
});

describe("while there is none", () => {
  it("pages ask at once, and then by time, until there is one again", () => {
    const { heard } = listener(make());
    newest().handler.onDown(FAILURE);
    vi.advanceTimersByTime(100);
    expect(heard).toEqual([undefined]);
    vi.advanceTimersByTime(AGAIN_AFTER_MS / 2);
    // Another attempt that failed changes nothing.
    newest().handler.onDown(FAILURE);
    vi.advanceTimersByTime(AGAIN_AFTER_MS / 2);
    expect(heard).toEqual([undefined, undefined]);
    newest().handler.onOpen();
    newest().handler.onRecord(ALL);
    vi.advanceTimersByTime(10 * AGAIN_AFTER_MS);
    expect(heard).toHaveLength(3);
  });

  it("nobody asks for a page that nobody sees", () => {
    const { heard } = listener(make());
    newest().handler.onDown(FAILURE);
    settle();
    show(false);
    vi.advanceTimersByTime(10 * AGAIN_AFTER_MS);
    expect(heard).toHaveLength(1);
  });
});

it("what has changed concerns a request that it names, and any where it is not known", () => {
  expect(concerns(undefined, "a")).toBe(true);
  expect(concerns([], "a")).toBe(false);
  const asked: AccessRecordJson = { type: "requests", requests: [{ id: "b" } as AccessRequest] };
  const over: AccessRecordJson = { type: "over", ids: ["a"] };
  expect(["a", "b", "c"].map((id) => concerns([over, asked], id))).toEqual([true, true, false]);
});
