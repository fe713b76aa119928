import { describe, expect, it } from "vitest";
import { BackpressuredSender, HIGH_WATER_BYTES, MAX_UNSENT_BYTES } from "../../durable/backpressured-sender.ts";

/** A socket whose reader takes what the test says, and a clock that the outlet's waiting moves on. */
class Reader {
  bufferedAmount = 0;
  now = 0;
  readonly held: Promise<void>[] = [];
  readonly outlet = new BackpressuredSender(this, (until) => void this.held.push(until()), {
    now: () => this.now,
    sleep: async (ms) => {
      this.now += ms;
    },
  });

  send(message: ArrayBuffer | Uint8Array<ArrayBuffer> | string): void {
    this.bufferedAmount += typeof message === "string" ? message.length : message.byteLength;
  }

  take(bytes: number): void {
    this.bufferedAmount -= bytes;
  }
}

const bytes = (length: number) => new ArrayBuffer(length);

describe("an outlet", () => {
  it("holds nothing up while its reader keeps up", () => {
    const reader = new Reader();
    expect(reader.outlet.send(bytes(HIGH_WATER_BYTES))).toBe(true);
    expect(reader.held).toHaveLength(0);
  });

  it("holds the object's events for one slice at a time once the reader is behind", async () => {
    const reader = new Reader();
    reader.outlet.send(bytes(HIGH_WATER_BYTES + 1));
    expect(reader.held).toHaveLength(1);
    reader.outlet.send(bytes(1));
    expect(reader.held).toHaveLength(1);
    await reader.held[0];
    expect(reader.now).toBe(50);
    reader.outlet.send(bytes(1));
    expect(reader.held).toHaveLength(2);
  });

  it("lets go as soon as the reader has caught up", async () => {
    const reader = new Reader();
    reader.outlet.send(bytes(HIGH_WATER_BYTES + 1));
    reader.take(HIGH_WATER_BYTES);
    await reader.held[0];
    expect(reader.now).toBeLessThan(5);
  });

  it("takes a message up to its limit and none beyond", () => {
    const reader = new Reader();
    expect(reader.outlet.send(bytes(MAX_UNSENT_BYTES - 1))).toBe(true);
    expect(reader.outlet.send("xy")).toBe(false);
    expect(reader.bufferedAmount).toBe(MAX_UNSENT_BYTES - 1);
    expect(reader.outlet.send("x")).toBe(true);
    expect(reader.outlet.send("x")).toBe(false);
  });

  it("counts a stall from the last byte that the reader took", () => {
    const reader = new Reader();
    reader.now = 10_000;
    expect(reader.outlet.stalledMs()).toBe(0);
    reader.outlet.send(bytes(100));
    reader.now = 20_000;
    expect(reader.outlet.stalledMs()).toBe(10_000);
    reader.take(1);
    expect(reader.outlet.stalledMs()).toBe(0);
    reader.now = 25_000;
    reader.outlet.send(bytes(100));
    expect(reader.outlet.stalledMs()).toBe(5_000);
    reader.take(199);
    expect(reader.outlet.stalledMs()).toBe(0);
  });

  it("that cannot see what its reader takes ends the session at the limit, and never queues without bound", () => {
    const sent: number[] = [];
    const blind = new BackpressuredSender(
      { send: (message) => void sent.push((message as ArrayBuffer).byteLength) },
      () => expect.unreachable("nothing to wait for"),
      { now: () => 0, sleep: () => Promise.resolve() },
    );
    while (blind.send(bytes(1024 * 1024)));
    expect(sent).toHaveLength(MAX_UNSENT_BYTES / 1024 / 1024);
    expect(blind.stalledMs()).toBe(0);
  });

  it("survives a socket that closed under it", () => {
    const closed = {
      bufferedAmount: 0,
      send: () => {
        throw new TypeError("closed");
      },
    };
    const outlet = new BackpressuredSender(closed, () => {}, { now: () => 0, sleep: () => Promise.resolve() });
    expect(outlet.send("x")).toBe(true);
  });
});
