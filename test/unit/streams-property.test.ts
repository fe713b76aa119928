/**
 * Random streams through both codecs, more than a million frames per run. Repeat a run with the seed that it
 * printed: `SALLYPORT_SEED=… npx vitest run --project unit test/unit/streams-property.test.ts`
 */
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { afterAll, describe, expect, test } from "vitest";
import { channelProtocol, decodeFrame, encodeFrame as encodeChannelFrame } from "../../kubernetes/channels.ts";
import { encodeFrame } from "../../kubernetes/spdy/encoder.ts";
import { SpdyError } from "../../kubernetes/spdy/errors.ts";
import type { SpdyFrame } from "../../kubernetes/spdy/frames.ts";
import { DEFAULT_MAX_HEADER_BYTES, HeaderBlockWriter } from "../../kubernetes/spdy/header-block.ts";
import { SpdyFrameParser } from "../../kubernetes/spdy/parser.ts";
import { MessageObserver } from "../support/observe-messages.ts";
import { Random, seedOfRun } from "../support/random.ts";
import { randomFrame } from "../support/spdy-frames.ts";

const SEED = seedOfRun();
const SPDY_CONNECTIONS = 16;
const SPDY_FRAMES = 20_000;
const CHANNEL_SESSIONS = 88;
const CHANNEL_FRAMES = 8_000;
const HOSTILE_STREAMS = 1_000;

let frames = 0;

afterAll(() => {
  console.log(`streams: ${frames} frames, SALLYPORT_SEED=${SEED}`);
  expect(frames).toBeGreaterThanOrEqual(1_000_000);
});

describe(`random streams (SALLYPORT_SEED=${SEED})`, () => {
  test("of SPDY parse to the frames that were encoded, wherever they are cut", () => {
    const random = new Random(SEED);
    for (let connection = 0; connection < SPDY_CONNECTIONS; connection++) {
      const sent = Array.from({ length: SPDY_FRAMES }, () => randomFrame(random));
      const stream = encodeAll(sent);
      expectSame(parseAll([stream]), sent);
      const longest = random.pick([4, 40, 500, 70_000]);
      expectSame(parseAll(random.cut(stream, longest)), sent);
      frames += sent.length;
    }
  });

  test("of channels keep their bytes, however they are cut into frames and interleaved", () => {
    const random = new Random(SEED + 1);
    for (let session = 0; session < CHANNEL_SESSIONS; session++) {
      const protocol = channelProtocol(random.pick(["v5.channel.k8s.io", "v4.base64.channel.k8s.io", ""]));
      if (!protocol) throw new Error("not a channel protocol");
      const channels = protocol.encoding === "base64" ? 10 : 256;
      const sent: Streams = new Map();
      const received: Streams = new Map();
      for (let n = 0; n < CHANNEL_FRAMES; n++) {
        const channel = random.chance(0.9) ? random.below(5) : random.below(channels);
        const payload = random.bytes(random.length(20_000));
        const message = encodeChannelFrame(protocol, channel, payload);
        const frame = decodeFrame(protocol, typeof message === "string" ? message : message.buffer);
        if (frame?.channel !== channel) throw new Error(`channel ${channel} became ${frame?.channel}`);
        append(sent, channel, payload);
        append(received, channel, frame.payload);
      }
      expect([...received.keys()]).toEqual([...sent.keys()]);
      for (const [channel, pieces] of sent) {
        expect(Buffer.compare(Buffer.concat(received.get(channel) ?? []), Buffer.concat(pieces))).toBe(0);
      }
      frames += CHANNEL_FRAMES;
    }
  });

  test("with a Status give that status, in any pieces and between other frames", () => {
    const random = new Random(SEED + 2);
    const status = { status: "Failure", reason: "NonZeroExitCode", message: "ü🚪".repeat(300) };
    const bytes = new TextEncoder().encode(JSON.stringify(status));
    for (let session = 0; session < 60; session++) {
      const name = random.pick(["v5.channel.k8s.io", "v4.base64.channel.k8s.io"]);
      const protocol = channelProtocol(name);
      if (!protocol) throw new Error("not a channel protocol");
      const observer = new MessageObserver("exec", name, false);
      const say = (channel: number, payload: Uint8Array) => {
        const message = encodeChannelFrame(protocol, channel, payload);
        observer.fromUpstream(typeof message === "string" ? message : message.buffer);
        frames++;
      };
      for (const piece of random.cut(bytes, random.pick([2, 50, 2_000]))) {
        say(3, piece);
        if (random.chance(0.3)) say(random.pick([1, 2]), random.bytes(random.length(50)));
      }
      expect(observer.finalStatus()).toMatchObject(status);
    }
  });

  test("of damaged SPDY throw SpdyError or nothing, and return no more data than they had", () => {
    const random = new Random(SEED + 3);
    for (let n = 0; n < HOSTILE_STREAMS; n++) {
      const stream = damaged(encodeAll(Array.from({ length: 40 }, () => randomFrame(random))), random);
      const parser = new SpdyFrameParser();
      const pieces = [...random.cut(stream, random.pick([1, 50, 2_000]))];
      const read: SpdyFrame[] = [];
      try {
        for (const piece of pieces) read.push(...parser.push(piece));
      } catch (error) {
        if (!(error instanceof SpdyError)) throw error;
        expect(() => parser.push(Uint8Array.of(0))).toThrow(SpdyError);
        expect(parser.isAtFrameBoundary).toBe(false);
      }
      // Each frame has a header, and DATA is returned once more for each cut.
      expect(read.length).toBeLessThanOrEqual(stream.length / 8 + pieces.length);
      const data = read.reduce((sum, frame) => sum + (frame.type === "DATA" ? frame.data.length : 0), 0);
      expect(data).toBeLessThanOrEqual(stream.length);
      for (const frame of read) {
        if ("headers" in frame) expect(frame.headers.length).toBeLessThanOrEqual(DEFAULT_MAX_HEADER_BYTES);
      }
    }
  });
});

test("a parser that waits for the longest frame, byte by byte, holds no more than that frame", () => {
  const endless = encodeAll([{ type: "SYN_REPLY", streamId: 1, fin: false, headers: [["a", "x".repeat(4_000)]] }]);
  const head = Uint8Array.of(0x80, 3, 0, 2, 0, 0, 0x10, 0);
  const before = usedMemoryBytes();
  const parsers = Array.from({ length: 30 }, () => {
    const parser = new SpdyFrameParser();
    for (const byte of endless) parser.push(Uint8Array.of(byte));
    for (const byte of head) parser.push(Uint8Array.of(byte));
    for (let n = 0; n < 0xfff; n++) parser.push(Uint8Array.of(0));
    return parser;
  });
  // The frame and the zlib window are about 100 KiB. An object for each byte would be megabytes.
  expect((usedMemoryBytes() - before) / parsers.length).toBeLessThan(512 * 1024);
});

type Streams = Map<number, Uint8Array[]>;

function append(streams: Streams, channel: number, bytes: Uint8Array): void {
  const pieces = streams.get(channel);
  if (pieces) pieces.push(bytes);
  else streams.set(channel, [bytes]);
}

function usedMemoryBytes(): number {
  setFlagsFromString("--expose-gc");
  const collect = runInNewContext("gc");
  // The first run finalizes, the second frees.
  for (let n = 0; n < 2; n++) collect();
  const { heapUsed, arrayBuffers } = process.memoryUsage();
  return heapUsed + arrayBuffers;
}

function encodeAll(list: readonly SpdyFrame[]): Uint8Array {
  const headers = new HeaderBlockWriter();
  return new Uint8Array(Buffer.concat(list.map((frame) => encodeFrame(frame, headers))));
}

function* parseAll(pieces: Iterable<Uint8Array>): Generator<SpdyFrame> {
  const parser = new SpdyFrameParser();
  for (const piece of pieces) yield* parser.push(piece);
  if (!parser.isAtFrameBoundary) throw new Error("the last frame is incomplete");
}

/** Compares frame by frame, joining DATA. `toEqual` would take minutes for a million frames. */
function expectSame(read: Iterable<SpdyFrame>, sent: readonly SpdyFrame[]): void {
  let at = 0;
  let dataAt = 0;
  for (const frame of read) {
    const expected = sent[at];
    if (frame.type !== "DATA" || expected?.type !== "DATA") {
      if (JSON.stringify(frame) !== JSON.stringify(expected)) expect(frame).toEqual(expected);
      at++;
      continue;
    }
    const piece = expected.data.subarray(dataAt, dataAt + frame.data.length);
    const isLast = dataAt + frame.data.length === expected.data.length;
    const isSame = frame.streamId === expected.streamId && Buffer.compare(frame.data, piece) === 0;
    if (!isSame || frame.fin !== (isLast && expected.fin)) expect(frame).toEqual({ ...expected, data: piece });
    dataAt = isLast ? 0 : dataAt + frame.data.length;
    if (isLast) at++;
  }
  expect(at).toBe(sent.length);
}

/** Overwrites a few bytes, and may cut a part out or repeat it, so that much of the stream stays valid. */
function damaged(stream: Uint8Array, random: Random): Uint8Array {
  const bytes = stream.slice();
  for (let n = random.below(4); n >= 0; n--) bytes[random.below(bytes.length)] = random.uint32();
  if (random.chance(0.7)) return bytes;
  const [from, to] = [random.below(bytes.length), random.below(bytes.length)];
  return new Uint8Array(Buffer.concat([bytes.subarray(0, from), bytes.subarray(to)]));
}
