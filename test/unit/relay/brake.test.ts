import { describe, expect, it } from "vitest";
import { Brake, HIGH_WATER_BYTES } from "../../../durable/relay/brake.ts";

/** A reader that takes what the test says, and a clock that advances while the brake waits. */
class Reader {
  waiting = 0;
  now = 0;
  readonly pauses: Promise<void>[] = [];
  readonly brake = new Brake((until) => void this.pauses.push(until()), {
    now: () => this.now,
    sleep: async (ms) => {
      for (let turn = 0; turn < 20; turn++) await Promise.resolve();
      this.now += ms;
    },
  });

  receive(bytes: number, whenTaken: (maxMs: number) => Promise<void> = () => this.sleepABit()): void {
    this.waiting += bytes;
    this.brake.apply(() => this.waiting, whenTaken);
  }

  /** As with a leg over TCP. */
  receiveBlindly(bytes: number): Promise<void> | undefined {
    this.waiting += bytes;
    this.brake.apply(() => this.waiting, undefined);
    return this.pauses.at(-1);
  }

  async sleepABit(): Promise<void> {
    this.now += 1;
  }
}

describe("the brake", () => {
  it("pauses nothing while the reader keeps up", () => {
    const reader = new Reader();
    reader.receive(HIGH_WATER_BYTES);
    expect(reader.pauses).toHaveLength(0);
  });

  it("pauses the object's events for one slice at a time once the reader is behind", async () => {
    const reader = new Reader();
    reader.receive(HIGH_WATER_BYTES + 1);
    expect(reader.pauses).toHaveLength(1);
    reader.receive(1);
    expect(reader.pauses).toHaveLength(1);
    await reader.pauses[0];
    expect(reader.now).toBeGreaterThanOrEqual(50);
    reader.receive(1);
    expect(reader.pauses).toHaveLength(2);
  });

  it("ends a slice although nothing is taken, and nobody says so", async () => {
    const reader = new Reader();
    const allowed: number[] = [];
    reader.receive(HIGH_WATER_BYTES + 1, async (maxMs) => {
      allowed.push(maxMs);
      reader.now += Math.min(maxMs, 30);
    });
    await reader.pauses[0];
    expect([reader.now, allowed]).toEqual([50, [50, 20]]);
  });

  it("lets go as soon as the reader has caught up", async () => {
    const reader = new Reader();
    reader.receive(HIGH_WATER_BYTES + 1);
    reader.waiting = 0;
    await reader.pauses[0];
    expect(reader.now).toBeLessThan(5);
  });

  it("works again after a failure of the reader's", async () => {
    const reader = new Reader();
    reader.receive(HIGH_WATER_BYTES + 1, () => Promise.reject(new Error("gone")));
    await expect(reader.pauses[0]).rejects.toThrow("gone");
    reader.receive(1);
    expect(reader.pauses).toHaveLength(2);
  });
});

describe("the brake where nobody knows within a slice what is taken", () => {
  /** @returns how long the next slice was, ms */
  async function nextSlice(reader: Reader, bytes: number): Promise<number> {
    const before = reader.now;
    await reader.receiveBlindly(bytes);
    return reader.now - before;
  }

  it("waits ever longer while more and more waits, up to the usual", async () => {
    const reader = new Reader();
    reader.waiting = HIGH_WATER_BYTES;
    const slices: number[] = [];
    for (let count = 0; count < 8; count++) slices.push(await nextSlice(reader, 1_000));
    expect(slices).toEqual([2, 4, 8, 16, 32, 50, 50, 50]);
    reader.waiting = 3 * HIGH_WATER_BYTES;
    for (let count = 0; count < 3; count++) slices.push(await nextSlice(reader, 1_000));
    expect(slices.slice(-2)).toEqual([150, 150]);
  });

  it("lets the reader catch up between short slices, and starts anew after it has", async () => {
    const reader = new Reader();
    reader.waiting = 2 * HIGH_WATER_BYTES - 10_000;
    for (let count = 0; count < 6; count++) await nextSlice(reader, 1_000);
    const slices: number[] = [];
    for (let count = 0; count < 7; count++) slices.push(await nextSlice(reader, -1_000));
    expect(slices).toEqual([50, 25, 12.5, 6.25, 3.125, 2, 2]);
    for (let count = 0; count < 4; count++) await nextSlice(reader, 1_000);
    reader.waiting = 0;
    expect(await nextSlice(reader, 1_000)).toBe(0);
    expect(await nextSlice(reader, 2 * HIGH_WATER_BYTES)).toBe(2);
  });
});
