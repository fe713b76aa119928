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

  receive(bytes: number, whenTaken: () => Promise<void> = () => this.sleepABit()): void {
    this.waiting += bytes;
    this.brake.apply(() => this.waiting, whenTaken);
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
    reader.receive(HIGH_WATER_BYTES + 1, () => new Promise(() => {}));
    await reader.pauses[0];
    expect(reader.now).toBe(50);
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
