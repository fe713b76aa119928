/** When pages hear that requests for access have changed. */
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { concerns } from "../../../console/src/access.ts";
import { type AccessChange, AccessChanges, AGAIN_AFTER_MS } from "../../../console/src/api/access-changes.ts";
import type { StreamHandler } from "../../../console/src/api/stream.ts";
import type { AccessRecordJson } from "../../../worker/api/schemas/live.ts";

const FAILURE = { code: "network", message: "away" };
const ALL: AccessRecordJson = { type: "requests", requests: [] };
const OVER: AccessRecordJson = { type: "over", ids: ["a"] };

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
  const heard: AccessChange[] = [];
  return { heard, stop: changes.subscribe((change) => void heard.push(change)) };
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

describe("while there is a stream", () => {
  it("all hear of each change, and nobody asks by time", () => {
    const changes = make();
    const [one, other] = [listener(changes), listener(changes)];
    expect(connections).toHaveLength(1);
    newest().handler.onOpen();
    newest().handler.onRecord(ALL);
    newest().handler.onRecord({ type: "alive" });
    newest().handler.onRecord(OVER);
    vi.advanceTimersByTime(10 * AGAIN_AFTER_MS);
    // The first record only says what there is: what has changed before it is unknown.
    for (const { heard } of [one, other]) expect(heard).toEqual([undefined, OVER]);
    // The next connection may have missed something, too.
    newest().handler.onOpen();
    newest().handler.onRecord(ALL);
    expect(one.heard).toEqual([undefined, OVER, undefined]);
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
    expect(other.heard).toEqual([undefined]);
    other.stop();
    expect(newest().signal.aborted).toBe(true);
    show(true);
    expect(connections).toHaveLength(2);
  });
});

describe("while there is none", () => {
  it("pages ask at once, and then by time, until there is one again", () => {
    const { heard } = listener(make());
    newest().handler.onDown(FAILURE);
    expect(heard).toHaveLength(1);
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
    show(false);
    vi.advanceTimersByTime(10 * AGAIN_AFTER_MS);
    expect(heard).toHaveLength(1);
  });
});

it("a change concerns a request that it names, and any where it is not known", () => {
  expect(concerns(undefined, "a")).toBe(true);
  expect([concerns(OVER as AccessChange, "a"), concerns(OVER as AccessChange, "b")]).toEqual([true, false]);
  expect(concerns({ type: "requests", requests: [{ id: "b" } as never] }, "a")).toBe(false);
  expect(concerns({ type: "requests", requests: [{ id: "b" } as never] }, "b")).toBe(true);
});
