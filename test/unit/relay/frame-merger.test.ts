import { expect, it } from "vitest";
import { FrameMerger } from "../../../durable/relay/frame-merger.ts";
import { eventually } from "../../support/eventually.ts";

const KIB = 1024;

/** A frame of a channel, its payload counted up from `first`. */
function frame(channel: number, payload: number, first = 0): ArrayBuffer {
  return Uint8Array.from({ length: payload + 1 }, (_, i) => (i === 0 ? channel : first + i)).buffer;
}

function merger(isFlooded = false) {
  const sent: Uint8Array[] = [];
  const merger = new FrameMerger(
    (message) => sent.push(new Uint8Array(message)),
    () => isFlooded,
  );
  return { sent, merger };
}

it("passes a small frame at once, so that the echo of a keystroke is not delayed", () => {
  const { sent, merger: it } = merger();
  it.push(1, frame(1, 1));
  expect(sent).toEqual([new Uint8Array(frame(1, 1))]);
});

it("merges large frames of one channel behind one channel byte, within two turns of the event loop", async () => {
  const { sent, merger: it } = merger();
  it.push(1, frame(1, 8 * KIB));
  it.push(1, frame(1, 8 * KIB, 7));
  it.push(1, frame(1, 3));
  expect(sent).toEqual([]);
  await eventually(() => expect(sent).toHaveLength(1));
  expect(sent[0]?.length).toBe(1 + 16 * KIB + 3);
  expect([sent[0]?.[0], sent[0]?.[1], sent[0]?.[1 + 8 * KIB]]).toEqual([1, 1, 8]);
});

it("never merges two channels, and keeps their order", () => {
  const { sent, merger: it } = merger();
  it.push(1, frame(1, 8 * KIB));
  it.push(2, frame(2, 8 * KIB));
  it.push(1, frame(1, 8 * KIB));
  it.flush();
  expect(sent.map((message) => message[0])).toEqual([1, 2, 1]);
});

it("sends no message of more than 128 KiB, and holds no more than that", () => {
  const { sent, merger: it } = merger();
  for (let i = 0; i < 100; i++) it.push(1, frame(1, 20 * KIB));
  it.flush();
  expect(Math.max(...sent.map(({ length }) => length))).toBeLessThanOrEqual(128 * KIB);
  expect(sent.reduce((sum, { length }) => sum + length - 1, 0)).toBe(100 * 20 * KIB);
});

it("passes a very large frame unchanged, after what waited", () => {
  const { sent, merger: it } = merger();
  it.push(1, frame(1, 8 * KIB));
  it.push(1, frame(1, 256 * KIB));
  expect(sent.map(({ length }) => length)).toEqual([1 + 8 * KIB, 1 + 256 * KIB]);
});

it("merges small frames in a flood of them, and holds few of them at a time", async () => {
  const { sent, merger: it } = merger(true);
  for (let count = 0; count < 3_000; count++) it.push(1, frame(1, 1, count));
  expect(sent.map(({ length }) => length)).toEqual([1 + 1_024, 1 + 1_024]);
  await eventually(() => expect(sent).toHaveLength(3));
  const bytes = sent.flatMap((message) => [...message.subarray(1)]);
  expect(bytes).toEqual(Array.from({ length: 3_000 }, (_, count) => (count + 1) % 256));
});
