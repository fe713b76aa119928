import { describe, expect, it } from "vitest";
import { BackpressuredSender, HIGH_WATER_BYTES, MAX_UNSENT_BYTES } from "../../durable/backpressured-sender.ts";

/** A socket whose reader takes what the test says, and a clock that advances while the sender waits. */
class Reader {
  bufferedAmount = 0;
  now = 0;
  readonly pauses: Promise<void>[] = [];
  readonly sender = new BackpressuredSender(this, (until) => void this.pauses.push(until()), {
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

describe("a sender with back-pressure", () => {
  it("pauses nothing while its reader keeps up", () => {
    const reader = new Reader();
    expect(reader.sender.send(bytes(HIGH_WATER_BYTES))).toBe(true);
    expect(reader.pauses).toHaveLength(0);
  });

  it("pauses the object's events for one slice at a time once its reader is behind", async () => {
    const reader = new Reader();
    reader.sender.send(bytes(HIGH_WATER_BYTES + 1));
    expect(reader.pauses).toHaveLength(1);
    reader.sender.send(bytes(1));
    expect(reader.pauses).toHaveLength(1);
    await reader.pauses[0];
    expect(reader.now).toBe(50);
    reader.sender.send(bytes(1));
    expect(reader.pauses).toHaveLength(2);
  });

  it("continues as soon as the reader has caught up", async () => {
    const reader = new Reader();
    reader.sender.send(bytes(HIGH_WATER_BYTES + 1));
    reader.take(HIGH_WATER_BYTES);
    await reader.pauses[0];
    expect(reader.now).toBeLessThan(5);
  });

  it("sends a message up to its limit and none beyond", () => {
    const reader = new Reader();
    expect(reader.sender.send(bytes(MAX_UNSENT_BYTES - 1))).toBe(true);
    expect(reader.sender.send("xy")).toBe(false);
    expect(reader.bufferedAmount).toBe(MAX_UNSENT_BYTES - 1);
    expect(reader.sender.send("x")).toBe(true);
    expect(reader.sender.send("x")).toBe(false);
  });

  it("counts a stall from the last byte that the reader took", () => {
    const reader = new Reader();
    reader.now = 10_000;
    expect(reader.sender.stalledMs()).toBe(0);
    reader.sender.send(bytes(100));
    reader.now = 20_000;
    expect(reader.sender.stalledMs()).toBe(10_000);
    reader.take(1);
    expect(reader.sender.stalledMs()).toBe(0);
    reader.now = 25_000;
    reader.sender.send(bytes(100));
    expect(reader.sender.stalledMs()).toBe(5_000);
    reader.take(199);
    expect(reader.sender.stalledMs()).toBe(0);
  });

  it("without bufferedAmount refuses messages at the limit, and never queues without bound", () => {
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

  it("survives a socket that has closed", () => {
    const closed = {
      bufferedAmount: 0,
      send: () => {
        throw new TypeError("closed");
      },
    };
    const sender = new BackpressuredSender(closed, () => {}, { now: () => 0, sleep: () => Promise.resolve() });
    expect(sender.send("x")).toBe(true);
  });
});
