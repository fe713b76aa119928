/** A watch over a WebSocket of the edge's: what it passes on, what it holds, and what ends it. */
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { err, ok, type Result } from "../../common/result.ts";
import { type Denial, denial } from "../../worker/denials.ts";
import { MAX_STALL_MS, MAX_UNREAD_BYTES } from "../../worker/sessions/unread-meter.ts";
import { type WatcherSocket, WatchSocket } from "../../worker/sessions/watch-socket.ts";

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

/** The edge's end, with a client that reads or does not. */
class Socket implements WatcherSocket {
  readonly sent: string[] = [];
  closed: { code: number | undefined; reason: string | undefined } | undefined;
  bufferedAmount = 0;
  reads = true;
  readonly #listeners = new Map<string, (event: { code: number }) => void>();

  accept(): void {}

  send(message: string): void {
    this.sent.push(message);
    if (!this.reads) this.bufferedAmount += message.length;
  }

  close(code?: number, reason?: string): void {
    if (code === 1006) throw new RangeError("never on the wire");
    this.closed ??= { code, reason };
  }

  addEventListener(type: string, listener: (event: { code: number }) => void): void {
    this.#listeners.set(type, listener);
  }

  hears(type: string, code = 0): void {
    this.#listeners.get(type)?.({ code });
  }
}

const NO_ROLE = denial("not_admin", `this requires the role admin or auditor: ${"x".repeat(200)}`);

/** A watch whose stream is written by the test. */
function watched() {
  const socket = new Socket();
  const access = { is: ok(null) as Result<null, Denial> };
  const leave = vi.fn();
  let pulled = 0;
  let controller: ReadableByteStreamController | undefined;
  let supply: (() => Uint8Array) | undefined;
  const lines = new ReadableStream({
    type: "bytes",
    start: (given: ReadableByteStreamController) => {
      controller = given;
    },
    pull: (given: ReadableByteStreamController) => {
      const piece = supply?.();
      if (!piece) return;
      pulled += piece.length;
      given.enqueue(piece);
    },
  });
  const ended = new WatchSocket(socket, { lines, checkAccess: async () => access.is, leave }).run();
  return {
    ...{ socket, leave, ended, controller: controller as unknown as ReadableByteStreamController },
    pulled: () => pulled,
    lose: (why: Denial) => {
      access.is = err(why);
    },
    /** Pieces without end. */
    flood: (piece: Uint8Array) => {
      supply = () => piece.slice();
    },
  };
}

const bytes = (text: string) => new TextEncoder().encode(text);
const moment = () => vi.advanceTimersByTimeAsync(200);

it("sends each line as a message, wherever its bytes are cut", async () => {
  const { socket, controller } = watched();
  const lines = ['{"version":2}', '[0,"o","caf\u00e9 \u2603"]', "[1]", '[2,"o","\u{1f600}"]'];
  const all = bytes(`${lines.join("\n")}\n`);
  for (const byte of all.subarray(0, -1)) controller.enqueue(Uint8Array.of(byte));
  await moment();
  expect(socket.sent).toEqual(lines.slice(0, -1));
  controller.enqueue(all.slice(-1));
  await moment();
  expect(socket.sent).toEqual(lines);
});

describe("a watcher who does not read", () => {
  const piece = bytes(`${"x".repeat(32 * 1024 - 1)}\n`);

  it("costs a bound of memory, and goes on with the next line once they read", async () => {
    const { socket, pulled, flood, leave } = watched();
    socket.reads = false;
    flood(piece);
    await vi.advanceTimersByTimeAsync(MAX_STALL_MS / 2);
    expect(socket.bufferedAmount).toBeLessThan(2 * MAX_UNREAD_BYTES);
    expect(pulled()).toBeLessThan(3 * MAX_UNREAD_BYTES);
    const before = socket.sent.length;
    socket.bufferedAmount = 0;
    await moment();
    expect(socket.sent.length).toBeGreaterThan(before);
    // Slow is not stalled.
    for (let second = 0; second < 2 * (MAX_STALL_MS / 1_000); second++) {
      socket.bufferedAmount -= 1_000;
      await vi.advanceTimersByTimeAsync(1_000);
    }
    expect([socket.closed, leave.mock.calls]).toEqual([undefined, []]);
  });

  it("is dropped, and may come back", async () => {
    const { socket, flood, leave, ended } = watched();
    socket.reads = false;
    flood(piece);
    await vi.advanceTimersByTimeAsync(MAX_STALL_MS - 1_000);
    expect(socket.closed).toBeUndefined();
    await vi.advanceTimersByTimeAsync(2_000);
    expect(socket.closed).toEqual({ code: 1013, reason: "the watcher stopped reading" });
    expect(leave).toHaveBeenCalledOnce();
    await ended;
  });

  it("is dropped in an idle session as well, where little is sent", async () => {
    const { socket, controller } = watched();
    for (const reads of [true, false]) {
      socket.reads = reads;
      for (let alive = 0; alive < 4 && !socket.closed; alive++) {
        controller.enqueue(bytes('[9,"e","alive"]\n'));
        await vi.advanceTimersByTimeAsync(25_000);
      }
      expect(socket.closed?.code).toBe(reads ? undefined : 1013);
    }
  });
});

describe("it ends", () => {
  it("when the watcher may no longer watch, and says why in what a close may carry", async () => {
    const { socket, lose, leave, ended, controller } = watched();
    controller.enqueue(bytes("one\n"));
    await vi.advanceTimersByTimeAsync(60_000);
    expect(socket.closed).toBeUndefined();
    lose(NO_ROLE);
    await vi.advanceTimersByTimeAsync(10_000);
    expect(socket.closed?.code).toBe(1000);
    expect(socket.closed?.reason).toBe(NO_ROLE.message.slice(0, 123));
    expect(leave).toHaveBeenCalledOnce();
    // As an aborted request does.
    controller.error(new Error("aborted"));
    await ended;
    expect(socket.sent).toEqual(["one"]);
    expect(vi.getTimerCount()).toBe(0);
  });

  it("where nobody knows whether they still may, so that they come back and are checked", async () => {
    const { socket, lose } = watched();
    lose(denial("object_unavailable", "the object does not answer"));
    await vi.advanceTimersByTimeAsync(10_000);
    expect(socket.closed).toEqual({ code: 1013, reason: "the object does not answer" });
  });

  it.each([
    ["closes", 1000, 1000],
    ["goes away", 1001, 1001],
    ["closes without a code", 1005, 1000],
    ["vanishes", 1006, undefined],
  ])("at once when the watcher %s", async (_, code, answered) => {
    const { socket, leave } = watched();
    await moment();
    socket.hears("close", code);
    expect(leave).toHaveBeenCalledOnce();
    expect(socket.closed?.code).toBe(answered);
    await vi.advanceTimersByTimeAsync(60_000);
    expect(vi.getTimerCount()).toBe(0);
  });

  it("at once when the connection breaks", async () => {
    const { socket, leave } = watched();
    await moment();
    socket.hears("error");
    expect(leave).toHaveBeenCalledOnce();
  });

  it("with the session, after its last lines had time to be shown", async () => {
    const { socket, controller, ended } = watched();
    controller.enqueue(bytes("last\n"));
    controller.close();
    await moment();
    expect([socket.sent, socket.closed]).toEqual([["last"], undefined]);
    await vi.advanceTimersByTimeAsync(1_000);
    expect(socket.closed).toEqual({ code: 1000, reason: "the session is over: its last line says how" });
    await ended;
  });

  it("when the object breaks it off, so that the watcher comes back", async () => {
    const { socket, controller, ended } = watched();
    controller.error(new Error("the object died"));
    await ended;
    expect(socket.closed).toEqual({ code: 1013, reason: "the watch broke off: try again" });
  });

  it("… but not where the object did so because they are locked", async () => {
    const { socket, controller, ended, lose } = watched();
    lose(denial("user_locked", "you are locked: drill"));
    controller.error(new Error("locked"));
    await ended;
    expect(socket.closed).toEqual({ code: 1000, reason: "you are locked: drill" });
  });
});
