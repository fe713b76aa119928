import { describe, expect, it } from "vitest";
import { FrameReader } from "../../../durable/websocket/frame-reader.ts";
import { WebSocketProtocolError } from "../../../durable/websocket/protocol.ts";
import { Random, seedOfRun } from "../../support/random.ts";
import { serverFrame } from "../../support/websocket-frames.ts";

type Read =
  | { readonly data: string; readonly opcode: number }
  | { readonly ping: string }
  | { readonly pong: string }
  | { readonly close: number; readonly reason: string };

/** Reads chunks and joins each message's pieces, checking that they begin and end once. */
function readAll(chunks: Iterable<Uint8Array>): { read: Read[]; reader: FrameReader } {
  const read: Read[] = [];
  let open: { opcode: number; text: string } | undefined;
  const reader = new FrameReader({
    onData(opcode, payload, isFirst, isLast) {
      expect(isFirst).toBe(open === undefined);
      open ??= { opcode, text: "" };
      expect(opcode).toBe(open.opcode);
      open.text += latin1(payload);
      if (!isLast) return;
      read.push({ data: open.text, opcode });
      open = undefined;
    },
    onPing: (payload) => read.push({ ping: latin1(payload) }),
    onPong: (payload) => read.push({ pong: latin1(payload) }),
    onClose: (close, reason) => read.push({ close, reason }),
  });
  for (const chunk of chunks) reader.push(chunk);
  return { read, reader };
}

function latin1(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString("latin1");
}

function join(...frames: Uint8Array[]): Uint8Array {
  return Uint8Array.from(Buffer.concat(frames));
}

describe("a frame reader", () => {
  const STREAM = join(
    serverFrame(2, "\x01hello"),
    // What an API server behind kubectl proxy sends: a message in two fragments, the second of one byte.
    serverFrame(2, `\x01${"x".repeat(300)}`, { fin: false }),
    serverFrame(9, "are you there"),
    serverFrame(0, "y"),
    serverFrame(1, ""),
    serverFrame(10, "I am"),
    serverFrame(2, "z".repeat(70_000)),
    serverFrame(8, "\x03\xe8bye"),
  );
  const EXPECTED: Read[] = [
    { data: "\x01hello", opcode: 2 },
    { ping: "are you there" },
    { data: `\x01${"x".repeat(300)}y`, opcode: 2 },
    { data: "", opcode: 1 },
    { pong: "I am" },
    { data: "z".repeat(70_000), opcode: 2 },
    { close: 1000, reason: "bye" },
  ];

  it("reads messages, fragments and control frames in between", () => {
    expect(readAll([STREAM]).read).toEqual(EXPECTED);
  });

  it("reads the same byte by byte", () => {
    const head = STREAM.subarray(0, 400);
    expect(readAll(Array.from(head, (_, at) => head.subarray(at, at + 1))).read).toEqual(EXPECTED.slice(0, 5));
  });

  it("reads the same whatever two pieces the stream is cut into", () => {
    for (let at = 0; at <= 420; at++) {
      expect(readAll([STREAM.subarray(0, at), STREAM.subarray(at)]).read).toEqual(EXPECTED);
    }
  });

  const seed = seedOfRun();
  it(`reads the same however the stream is cut (SALLYPORT_SEED=${seed})`, () => {
    const random = new Random(seed);
    for (let round = 0; round < 30; round++) {
      expect(readAll(random.cut(STREAM, random.pick([50, 4_096, 70_000]))).read).toEqual(EXPECTED);
    }
  });

  it("delivers data before its frame is complete, and keeps none of it", () => {
    const pieces: number[] = [];
    const reader = new FrameReader({
      onData: (_, payload) => pieces.push(payload.length),
      onPing: () => {},
      onPong: () => {},
      onClose: () => {},
    });
    const frame = serverFrame(2, "a".repeat(1_000_000));
    for (let at = 0; at < frame.length; at += 250_000) reader.push(frame.subarray(at, at + 250_000));
    expect(pieces).toEqual([249_990, 250_000, 250_000, 250_000, 10]);
  });

  it("knows whether the stream may end", () => {
    expect(readAll([]).reader.isAtMessageBoundary).toBe(true);
    expect(readAll([STREAM]).reader.isAtMessageBoundary).toBe(true);
    for (const at of [1, 3, 9, 200, 312, 330]) {
      expect(readAll([STREAM.subarray(0, at)]).reader.isAtMessageBoundary, `after ${at} bytes`).toBe(false);
    }
  });

  it("reads nothing after a close frame", () => {
    const { read } = readAll([join(serverFrame(8, ""), serverFrame(2, "late"))]);
    expect(read).toEqual([{ close: 1005, reason: "" }]);
  });

  it.each<[string, Uint8Array, number]>([
    ["a reserved bit", Uint8Array.of(0xc2, 0), 1002],
    ["a masked frame", Uint8Array.of(0x82, 0x80, 0, 0, 0, 0), 1002],
    ["an unknown data opcode", Uint8Array.of(0x83, 0), 1002],
    ["an unknown control opcode", Uint8Array.of(0x8b, 0), 1002],
    ["a continuation of nothing", serverFrame(0, "x"), 1002],
    ["a message inside another", join(serverFrame(2, "x", { fin: false }), serverFrame(2, "y")), 1002],
    ["a fragmented ping", serverFrame(9, "x", { fin: false }), 1002],
    ["a control frame of 126 bytes", serverFrame(9, "x".repeat(126)), 1002],
    ["a length of 16 bits that fits in 7", Uint8Array.of(0x82, 126, 0, 125), 1002],
    ["a length of 64 bits that fits in 16", Uint8Array.of(0x82, 127, 0, 0, 0, 0, 0, 0, 0xff, 0xff), 1002],
    ["a length with its highest bit set", Uint8Array.of(0x82, 127, 0x80, 0, 0, 0, 0, 0, 0, 0), 1002],
    ["half a close code", serverFrame(8, "\x03"), 1002],
    ["close code 1005 on the wire", serverFrame(8, "\x03\xed"), 1002],
    ["close code 999", serverFrame(8, "\x03\xe7"), 1002],
    ["a close reason that is not UTF-8", serverFrame(8, "\x03\xe8\xff"), 1007],
  ])("refuses %s", (_, bytes, closeCode) => {
    let thrown: unknown;
    try {
      readAll([bytes]);
    } catch (error) {
      thrown = error;
    }
    expect(thrown).toBeInstanceOf(WebSocketProtocolError);
    expect(thrown).toMatchObject({ closeCode });
  });

  it("takes what is just allowed: a ping of 125 bytes, a length of 126 and of 65,536", () => {
    const stream = join(
      serverFrame(9, "p".repeat(125)),
      serverFrame(2, "a".repeat(126)),
      serverFrame(2, "b".repeat(65_536)),
    );
    expect(readAll([stream]).read).toEqual([
      { ping: "p".repeat(125) },
      { data: "a".repeat(126), opcode: 2 },
      { data: "b".repeat(65_536), opcode: 2 },
    ]);
  });

  it("never takes garbage for more than an error", () => {
    const random = new Random(seed + 1);
    for (let round = 0; round < 2_000; round++) {
      try {
        readAll([random.bytes(random.below(400))]);
      } catch (error) {
        expect(error).toBeInstanceOf(WebSocketProtocolError);
      }
    }
  });
});
