import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { onSocketEnd, SILENCE_MS } from "../../../durable/websocket/socket-end.ts";

const NORMAL = { code: 1000, reason: "bye" };
const BROKEN = { code: 1006, reason: "" };

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

function follow() {
  const socket = new EventTarget();
  const ends: (typeof BROKEN)[] = [];
  onSocketEnd(socket as unknown as WebSocket, (code, reason) => ends.push({ code, reason }));
  return {
    ends,
    message: () => void socket.dispatchEvent(new Event("message")),
    error: () => void socket.dispatchEvent(new Event("error")),
    close: (closed: typeof BROKEN) => void socket.dispatchEvent(Object.assign(new Event("close"), closed)),
  };
}

describe("a WebSocket of the platform's ends", () => {
  it("with its close", () => {
    const { ends, close } = follow();
    close(NORMAL);
    expect(ends).toEqual([NORMAL]);
  });

  it("with the close that comes after an error, however late, while messages still come", () => {
    const { ends, message, error, close } = follow();
    error();
    for (let count = 0; count < 10; count++) {
      message();
      vi.advanceTimersByTime(SILENCE_MS - 1);
    }
    expect(ends).toEqual([]);
    close(NORMAL);
    expect(ends).toEqual([NORMAL]);
  });

  it("as broken where an error has no close after it, once it is silent", () => {
    const { ends, message, error } = follow();
    message();
    error();
    vi.advanceTimersByTime(SILENCE_MS - 1);
    expect(ends).toEqual([]);
    vi.advanceTimersByTime(1);
    expect(ends).toEqual([BROKEN]);
  });

  it("once", () => {
    const { ends, error, close } = follow();
    close(NORMAL);
    error();
    close(BROKEN);
    vi.advanceTimersByTime(10 * SILENCE_MS);
    expect(ends).toEqual([NORMAL]);
  });
});
