import { describe, expect, it } from "vitest";
import { concatBytes } from "../../common/bytes.ts";
import { encodeFrame } from "../../kubernetes/spdy/encoder.ts";
import { SpdyFrameGate } from "../../kubernetes/spdy/frame-gate.ts";
import type { SpdyFrame } from "../../kubernetes/spdy/frames.ts";
import { HeaderBlockWriter } from "../../kubernetes/spdy/header-block.ts";
import { DEFAULT_MAX_FRAME_BYTES, SpdyFrameParser } from "../../kubernetes/spdy/parser.ts";

const text = (value: string) => new TextEncoder().encode(value);
const syn = (streamId: number): SpdyFrame => ({
  ...{ type: "SYN_STREAM", streamId, associatedStreamId: 0, priority: 0, fin: false, unidirectional: false },
  headers: [["port", "80"]],
});
const FRAMES: readonly SpdyFrame[] = [
  syn(1),
  { type: "DATA", streamId: 1, fin: false, data: text("one") },
  { type: "PING", id: 7 },
  { type: "DATA", streamId: 1, fin: false, data: new Uint8Array(0) },
  { type: "SETTINGS", clearPersisted: true, settings: [{ flags: 0, id: 4, value: 100 }] },
  syn(3),
  { type: "DATA", streamId: 3, fin: true, data: text("two") },
  { type: "RST_STREAM", streamId: 1, status: 5 },
  { type: "GOAWAY", lastStreamId: 3, status: 0 },
  { type: "WINDOW_UPDATE", streamId: 3, delta: 9 },
];

function wire(frames: readonly SpdyFrame[] = FRAMES): Uint8Array {
  const headers = new HeaderBlockWriter();
  return concatBytes(frames.map((frame) => encodeFrame(frame, headers)));
}

/** The frames that somebody reads, with the data of a stream joined: it has no borders. */
function read(bytes: Uint8Array) {
  const data = new Map<number, string>();
  const others: SpdyFrame[] = [];
  const fins: number[] = [];
  for (const frame of new SpdyFrameParser().push(bytes)) {
    if (frame.type !== "DATA") others.push(frame);
    else {
      data.set(frame.streamId, (data.get(frame.streamId) ?? "") + new TextDecoder().decode(frame.data));
      if (frame.fin) fins.push(frame.streamId);
    }
  }
  return { data, others, fins };
}

describe("the frames of a connection", () => {
  it("stay what they are, wherever they are cut, and every piece ends with a frame", () => {
    const bytes = wire();
    for (let size = 1; size <= bytes.length; size++) {
      const gate = new SpdyFrameGate();
      const parser = new SpdyFrameParser();
      const given: Uint8Array[] = [];
      for (let at = 0; at < bytes.length; at += size) {
        for (const frame of gate.push(bytes.subarray(at, at + size))) {
          parser.push(frame.bytes);
          expect(parser.isAtFrameBoundary).toBe(true);
          given.push(frame.bytes);
        }
      }
      expect(read(concatBytes(given))).toEqual(read(bytes));
    }
  });

  it("pass at once where they keep the connection alive, and no other does", () => {
    const gate = new SpdyFrameGate();
    const types = FRAMES.map((frame) => frame.type);
    const frames = gate.push(wire());
    expect(frames.map(({ keepsAlive }, index) => keepsAlive && types[index]).filter(Boolean)).toEqual([
      "PING",
      "SETTINGS",
    ]);
  });

  it("are copied: the reader's buffer may be used again", () => {
    const gate = new SpdyFrameGate();
    const bytes = wire([{ type: "DATA", streamId: 1, fin: false, data: text("kept") }]);
    const [frame] = gate.push(bytes);
    bytes.fill(0);
    expect(new TextDecoder().decode(frame?.bytes.subarray(8))).toBe("kept");
  });
});

/** Frames that one reader takes for something else than another. */
const control = (type: number, flags: number, body: readonly number[], version = 3) =>
  Uint8Array.of(0x80, version, 0, type, flags, 0, 0, body.length, ...body);

describe("what could smuggle data", () => {
  it.each([
    ["a PING with a frame of data in its rest", control(6, 0, [0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 1, 65])],
    ["a PING with flags", control(6, 1, [0, 0, 0, 1])],
    ["a short PING", control(6, 0, [0, 1])],
    ["a PING of another version", control(6, 0, [0, 0, 0, 1], 2)],
    ["SETTINGS with more than they count", control(4, 0, [0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 1])],
    ["SETTINGS with less than they count", control(4, 0, [0, 0, 0, 2, 0, 0, 0, 1, 0, 0, 0, 1])],
    ["SETTINGS without a count", control(4, 0, [0, 0])],
    ["SETTINGS with unknown flags", control(4, 2, [0, 0, 0, 0])],
    ["an unknown type", control(5, 0, [])],
  ])("does not pass: %s", (_, bytes) => {
    const frames = new SpdyFrameGate().push(bytes);
    expect(frames.map(({ keepsAlive }) => keepsAlive)).toEqual([false]);
    expect(concatBytes(frames.map((frame) => frame.bytes))).toEqual(bytes);
  });

  it("does not pass: anything after a control frame that is too large", () => {
    const gate = new SpdyFrameGate();
    const length = DEFAULT_MAX_FRAME_BYTES + 1;
    const head = Uint8Array.of(0x80, 3, 0, 1, 0, 0, length >> 8, length & 0xff);
    const ping = wire([{ type: "PING", id: 1 }]);
    const frames = [...gate.push(head), ...gate.push(ping), ...gate.push(ping)];
    expect(frames.map(({ keepsAlive }) => keepsAlive)).toEqual([false, false, false]);
    expect(concatBytes(frames.map((frame) => frame.bytes))).toEqual(concatBytes([head, ping, ping]));
  });

  it("is not held in memory: half of a control frame is all that waits", () => {
    const gate = new SpdyFrameGate();
    const head = Uint8Array.of(0, 0, 0, 1, 0, 0xff, 0xff, 0xff);
    expect(gate.push(head)).toEqual([]);
    const [piece] = gate.push(new Uint8Array(100_000));
    expect(piece?.bytes.length).toBe(100_008);
  });
});
