import { readFileSync } from "node:fs";
import { join } from "node:path";
import { constants, createDeflate, createInflate, deflateSync, type ZlibOptions } from "node:zlib";
import { describe, expect, it } from "vitest";
import { SPDY_DICTIONARY } from "../../kubernetes/spdy/dictionary.ts";
import { encodeDataHead, encodeFrame } from "../../kubernetes/spdy/encoder.ts";
import { SpdyError } from "../../kubernetes/spdy/errors.ts";
import { type DataFrame, headerValue, type SpdyFrame } from "../../kubernetes/spdy/frames.ts";
import { HeaderBlockReader, HeaderBlockWriter } from "../../kubernetes/spdy/header-block.ts";
import { HeaderInflater } from "../../kubernetes/spdy/inflate.ts";
import { DEFAULT_MAX_FRAME_BYTES, SpdyFrameParser } from "../../kubernetes/spdy/parser.ts";
import { type SpdyWork, WorkBudget } from "../../kubernetes/spdy/work.ts";
import { Random, seedOfRun } from "../support/random.ts";

type Direction = "to-server" | "to-client";
const CAPTURES = ["kubectl-1.36.3", "kubectl-1.32.4"].flatMap((client) =>
  ["port-forward", "port-forward-closed-port"].map((scenario) => `${client}-${scenario}`),
);

interface CapturedFrame {
  dir?: Direction;
  type?: string;
  base64?: string;
}

function captured(name: string, direction: Direction): Uint8Array[] {
  return readFileSync(join(import.meta.dirname, "../vectors/captures", `${name}.jsonl`), "utf8")
    .trim()
    .split("\n")
    .map((line): CapturedFrame => JSON.parse(line))
    .filter((frame) => frame.dir === direction && frame.type === "binary")
    .map((frame) => new Uint8Array(Buffer.from(frame.base64 ?? "", "base64")));
}

const whole = (chunks: Uint8Array[]): Uint8Array => new Uint8Array(Buffer.concat(chunks));

/** Joins consecutive DATA of a stream, so that a stream compares equal wherever it was cut. */
function normalized(frames: SpdyFrame[]): unknown[] {
  const out: (Exclude<SpdyFrame, DataFrame> | { type: "DATA"; streamId: number; fin: boolean; data: string })[] = [];
  for (const frame of frames) {
    if (frame.type !== "DATA") {
      out.push(frame);
      continue;
    }
    const data = Buffer.from(frame.data).toString("latin1");
    const before = out.at(-1);
    if (before?.type === "DATA" && before.streamId === frame.streamId && !before.fin) {
      out[out.length - 1] = { ...before, fin: frame.fin, data: before.data + data };
    } else {
      out.push({ type: "DATA", streamId: frame.streamId, fin: frame.fin, data });
    }
  }
  return out;
}

function parse(chunks: Uint8Array[]): SpdyFrame[] {
  const parser = new SpdyFrameParser();
  return chunks.flatMap((chunk) => parser.push(chunk));
}

const streamData = (frames: SpdyFrame[], streamId: number): string =>
  frames
    .filter((frame): frame is DataFrame => frame.type === "DATA" && frame.streamId === streamId)
    .map((frame) => Buffer.from(frame.data).toString("latin1"))
    .join("");

describe("captures of kubectl and the API server", () => {
  it("open an error and a data stream with the port and a request id", () => {
    const streams = parse(captured("kubectl-1.36.3-port-forward", "to-server")).filter((f) => f.type === "SYN_STREAM");
    expect(
      streams.map((s) => [s.streamId, headerValue(s.headers, "streamtype"), headerValue(s.headers, "port")]),
    ).toEqual([
      [1, "error", "8080"],
      [3, "data", "8080"],
      [5, "error", "8080"],
      [7, "data", "8080"],
    ]);
    expect(streams.map((s) => headerValue(s.headers, "requestid"))).toEqual(["0", "0", "1", "1"]);
  });

  it("reply to every stream, and ping", () => {
    const frames = parse(captured("kubectl-1.36.3-port-forward", "to-client"));
    expect(frames.filter((f) => f.type === "SYN_REPLY").map((f) => f.streamId)).toEqual([1, 3, 5, 7]);
    expect(frames.filter((f) => f.type === "PING")).toEqual([{ type: "PING", id: 1 }]);
    expect(streamData(frames, 3)).toContain("hello from localhost/busybox:1");
  });

  it("report on the error stream that nothing listens", () => {
    const frames = parse(captured("kubectl-1.36.3-port-forward-closed-port", "to-client"));
    expect(streamData(frames, 1)).toMatch(/^error forwarding port 9 to pod .*connection refused/);
    const fromClient = parse(captured("kubectl-1.36.3-port-forward-closed-port", "to-server"));
    expect(fromClient.slice(-2).map((f) => f.type)).toEqual(["RST_STREAM", "GOAWAY"]);
  });
});

describe.each(CAPTURES)("%s", (name) => {
  it.each(["to-server", "to-client"] as const)("parses to the same frames, wherever it is cut: %s", (direction) => {
    const stream = whole(captured(name, direction));
    const expected = normalized(parse([stream]));
    expect(expected.length).toBeGreaterThan(3);
    expect(normalized(parse(captured(name, direction)))).toEqual(expected);
    expect(normalized(parse(Array.from(stream, (byte) => Uint8Array.of(byte))))).toEqual(expected);
    for (let cut = 1; cut < stream.length; cut++) {
      expect(normalized(parse([stream.subarray(0, cut), stream.subarray(cut)]))).toEqual(expected);
    }
  });

  it.each(["to-server", "to-client"] as const)("encodes to frames that parse to the same: %s", (direction) => {
    const frames = parse([whole(captured(name, direction))]);
    const headers = new HeaderBlockWriter();
    expect(parse(frames.map((frame) => encodeFrame(frame, headers)))).toEqual(frames);
  });
});

describe("every frame type", () => {
  const ALL: SpdyFrame[] = [
    {
      type: "SYN_STREAM",
      streamId: 1,
      associatedStreamId: 0,
      priority: 7,
      fin: false,
      unidirectional: true,
      headers: [["streamtype", "error"]],
    },
    { type: "SYN_REPLY", streamId: 1, fin: true, headers: [] },
    {
      type: "HEADERS",
      streamId: 1,
      fin: false,
      headers: [
        ["a", "1"],
        ["a", "2"],
        ["b", "naïve ☃"],
      ],
    },
    { type: "RST_STREAM", streamId: 0x7fff_ffff, status: 5 },
    { type: "SETTINGS", clearPersisted: true, settings: [{ flags: 1, id: 0x123456, value: 0xffff_ffff }] },
    { type: "PING", id: 0xffff_fffe },
    { type: "GOAWAY", lastStreamId: 7, status: 0 },
    { type: "WINDOW_UPDATE", streamId: 3, delta: 65536 },
    { type: "DATA", streamId: 3, fin: true, data: Uint8Array.of(1, 2, 3) },
    { type: "DATA", streamId: 3, fin: true, data: new Uint8Array(0) },
  ];

  it("is the same after encoding and parsing, at once and byte by byte", () => {
    const headers = new HeaderBlockWriter();
    const stream = whole(ALL.map((frame) => encodeFrame(frame, headers)));
    expect(parse([stream])).toEqual(ALL);
    expect(normalized(parse(Array.from(stream, (byte) => Uint8Array.of(byte))))).toEqual(normalized(ALL));
  });

  it("does not keep a view of the caller's buffer", () => {
    const stream = whole([encodeFrame({ type: "PING", id: 9 }, new HeaderBlockWriter())]);
    for (let cut = 1; cut < stream.length; cut++) {
      const parser = new SpdyFrameParser();
      const first = stream.slice(0, cut);
      parser.push(first);
      first.fill(0xff);
      expect(parser.push(stream.slice(cut))).toEqual([{ type: "PING", id: 9 }]);
    }
  });
});

const code = (run: () => unknown): string | undefined => {
  try {
    run();
  } catch (error) {
    return error instanceof SpdyError ? error.code : String(error);
  }
  return undefined;
};

/** A control frame with this length in its header, and this body. */
function control(type: number, length: number, body: readonly number[], { flags = 0, version = 3 } = {}): Uint8Array {
  return Uint8Array.of(0x80, version, 0, type, flags, length >>> 16, length >>> 8, length, ...body);
}

const SYN_STREAM = 1;
const RST_STREAM = 3;
const SETTINGS = 4;
const PING = 6;
const GOAWAY = 7;
const HEADERS = 8;
const WINDOW_UPDATE = 9;
const ZLIB_HEAD = [0x78, 0xf9, 0xe3, 0xc6, 0xa7, 0xc2];
const FLUSH = [0, 0, 0, 0xff, 0xff];
// In the fixed code: length 3, distance 24,577, end of the block.
const DISTANT_COPY = [0x02, 0x5e, 0x00, 0x00];
const block = (...headers: [string, string][]) => [...new HeaderBlockWriter().write(headers)];
const replies = (count: number, names: readonly string[]) => {
  const writer = new HeaderBlockWriter();
  const headers = names.map((name): [string, string] => [name, ""]);
  const reply = (): SpdyFrame => ({ type: "SYN_REPLY", streamId: 1, fin: false, headers });
  return whole(Array.from({ length: count }, () => encodeFrame(reply(), writer)));
};
const synStream = (id: readonly number[], headers: [string, string][]) => {
  const body = [...id, 0, 0, 0, 0, 0, 0, ...block(...headers)];
  return control(SYN_STREAM, body.length, body);
};

/** What spdystream does differently from the draft, or ends the connection for. */
describe("a frame that the kubelet might read in another way", () => {
  it.each<[string, Uint8Array, string]>([
    ["a PING that is longer: the kubelet takes 4 bytes", control(PING, 12, [0, 0, 0, 1, 0x80, 3, 0, 6]), "bad-frame"],
    ["a PING that is shorter", control(PING, 3, [0, 0, 0]), "bad-frame"],
    ["a PING with a flag", control(PING, 4, [0, 0, 0, 1], { flags: 1 }), "bad-frame"],
    ["a PING with id 0", control(PING, 4, [0, 0, 0, 0]), "bad-frame"],
    ["a RST_STREAM that is longer", control(RST_STREAM, 16, [0, 0, 0, 1, 0, 0, 0, 5]), "bad-frame"],
    ["a RST_STREAM with status 0", control(RST_STREAM, 8, [0, 0, 0, 1, 0, 0, 0, 0]), "bad-frame"],
    ["a RST_STREAM of stream 0", control(RST_STREAM, 8, [0, 0, 0, 0, 0, 0, 0, 5]), "bad-frame"],
    ["a RST_STREAM whose id has the high bit", control(RST_STREAM, 8, [0x80, 0, 0, 1, 0, 0, 0, 5]), "bad-frame"],
    ["a GOAWAY that is longer", control(GOAWAY, 12, [0, 0, 0, 1, 0, 0, 0, 0]), "bad-frame"],
    ["a GOAWAY with a flag", control(GOAWAY, 8, [0, 0, 0, 1, 0, 0, 0, 0], { flags: 1 }), "bad-frame"],
    ["a WINDOW_UPDATE that is shorter", control(WINDOW_UPDATE, 4, [0, 0, 0, 1]), "bad-frame"],
    ["a WINDOW_UPDATE with a flag", control(WINDOW_UPDATE, 8, [0, 0, 0, 1, 0, 0, 0, 1], { flags: 2 }), "bad-frame"],
    ["SETTINGS with more entries than bytes", control(SETTINGS, 12, [0, 0, 0, 2]), "bad-frame"],
    ["SETTINGS with fewer entries than bytes", control(SETTINGS, 20, [0, 0, 0, 1]), "bad-frame"],
    ["SETTINGS with half an entry", control(SETTINGS, 8, [0, 0, 0, 1]), "bad-frame"],
    ["SETTINGS without a number", control(SETTINGS, 0, []), "bad-frame"],
    ["another version: the kubelet does not look at it", control(PING, 4, [0, 0, 0, 1], { version: 2 }), "bad-version"],
    ["an unknown type", control(10, 2, [1, 2]), "bad-frame"],
    ["NOOP of SPDY/2", control(5, 0, []), "bad-frame"],
    ["DATA of stream 0", Uint8Array.of(0, 0, 0, 0, 0, 0, 0, 1, 7), "bad-frame"],
    ["a SYN_STREAM whose id has the high bit", synStream([0x80, 0, 0, 1], []), "bad-frame"],
    ["a SYN_STREAM of stream 0", synStream([0, 0, 0, 0], []), "bad-frame"],
    ["a SYN_STREAM without room for headers", control(SYN_STREAM, 9, []), "bad-frame"],
    ["a SYN_STREAM without headers", control(SYN_STREAM, 10, [0, 0, 0, 1, 0, 0, 0, 0, 0, 0]), "bad-header-block"],
    ["a SYN_STREAM with the header host", synStream([0, 0, 0, 1], [["host", "a"]]), "bad-header-block"],
    ["HEADERS of stream 0", control(HEADERS, 4 + block().length, [0, 0, 0, 0, ...block()]), "bad-frame"],
  ])("is an error: %s", (_, bytes, expected) => {
    const parser = new SpdyFrameParser();
    expect(code(() => parser.push(bytes))).toBe(expected);
    expect(code(() => parser.push(Uint8Array.of(0)))).toBe(expected);
    expect(parser.isAtFrameBoundary).toBe(false);
  });

  it.each<[string, Uint8Array]>([
    ["a PING", control(PING, 4, [0, 0, 0, 1])],
    ["a RST_STREAM with a flag, which is ignored", control(RST_STREAM, 8, [0, 0, 0, 1, 0, 0, 0, 5], { flags: 9 })],
    ["a GOAWAY with any status", control(GOAWAY, 8, [0, 0, 0, 0, 0, 0, 0, 9])],
    ["SETTINGS without entries", control(SETTINGS, 4, [0, 0, 0, 0])],
    ["SETTINGS with one entry", control(SETTINGS, 12, [0, 0, 0, 1, 0, 0, 0, 4, 0, 0, 0, 9])],
    ["DATA with unknown flags, which are ignored", Uint8Array.of(0, 0, 0, 1, 0xfe, 0, 0, 1, 7)],
    ["a SYN_STREAM with an even id", synStream([0, 0, 0, 2], [["a", ""]])],
    ["a SYN_STREAM with the last id", synStream([0x7f, 0xff, 0xff, 0xff], [["a", ""]])],
  ])("is not its legitimate neighbour: %s", (_, bytes) => {
    const parser = new SpdyFrameParser();
    expect([...bytes].flatMap((byte) => parser.push(Uint8Array.of(byte)))).toHaveLength(1);
    expect(parser.isAtFrameBoundary).toBe(true);
  });

  it("is an error as soon as its first bytes say so, before the kubelet could act on it", () => {
    const refusedAt = (bytes: Uint8Array) => {
      const parser = new SpdyFrameParser({ controlTypes: new Set(["PING", "SETTINGS"]) });
      return [...bytes].findIndex((byte) => code(() => parser.push(Uint8Array.of(byte))) !== undefined) + 1;
    };
    expect(refusedAt(control(PING, 12, [0, 0, 0, 1]))).toBe(8);
    expect(refusedAt(control(HEADERS, 100, new Array(100).fill(0)))).toBe(8);
    // The kubelet makes room for all settings when it has read how many there are.
    expect(refusedAt(control(SETTINGS, 12, [0xff, 0xff, 0xff, 0xff, 0, 0, 0, 4, 0, 0, 0, 9]))).toBe(12);
  });
});

describe("limits", () => {
  it("reject a control frame of one byte too much by its header, and everything after it", () => {
    const header = (length: number) => control(HEADERS, length, []);
    expect(code(() => new SpdyFrameParser({ maxFrameBytes: 100 }).push(header(100)))).toBeUndefined();
    const parser = new SpdyFrameParser({ maxFrameBytes: 100 });
    expect(code(() => parser.push(header(101)))).toBe("frame-too-large");
    expect(code(() => parser.push(Uint8Array.of(0)))).toBe("frame-too-large");
  });

  it("do not apply to DATA, which is returned in pieces", () => {
    const parser = new SpdyFrameParser({ maxFrameBytes: 100 });
    const frames = [encodeDataHead(3, 1000, true), new Uint8Array(600), new Uint8Array(400)].flatMap((c) =>
      parser.push(c),
    );
    expect(frames.map((f) => f.type === "DATA" && [f.data.length, f.fin])).toEqual([
      [600, false],
      [400, true],
    ]);
  });

  it("stop the inflation of headers", () => {
    const long = (bytes: number) => new HeaderBlockWriter().write([["name", "a".repeat(bytes)]]);
    const overhead = 4 + 4 + 4 + 4;
    expect(new HeaderBlockReader(1000).read(long(1000 - overhead))).toHaveLength(1);
    expect(code(() => new HeaderBlockReader(1000).read(long(1001 - overhead)))).toBe("headers-too-large");
  });

  it("count the work that a bomb causes, and stop it", async () => {
    const bomb = await compressor()(Buffer.alloc(3_000_000));
    expect(bomb.length).toBeLessThan(DEFAULT_MAX_FRAME_BYTES - 10);
    const budget = new WorkBudget();
    expect(code(() => new HeaderBlockReader(16_384, budget).read(bomb))).toBe("headers-too-large");
    expect(budget.done.inflatedBytes).toBeLessThanOrEqual(16_384);
    expect(budget.done.deflateBlocks).toBe(1);
  });

  it("apply to the number of names, and of values", () => {
    const names = (count: number) => Array.from({ length: count }, (_, n): [string, string] => [`h${n}`, ""]);
    const values = (count: number) => Array.from({ length: count }, (): [string, string] => ["a", ""]);
    for (const list of [names, values]) {
      expect(new HeaderBlockReader().read(new HeaderBlockWriter().write(list(64)))).toHaveLength(64);
      expect(code(() => new HeaderBlockReader().read(new HeaderBlockWriter().write(list(65))))).toBe(
        "headers-too-large",
      );
    }
  });

  it.each<[keyof SpdyWork, (count: number) => Uint8Array]>([
    ["frames", (count) => whole(Array.from({ length: count }, () => control(PING, 4, [0, 0, 0, 1])))],
    // A stored block and a flush each, and the number of pairs in 4 bytes.
    ["deflateBlocks", (count) => replies(count / 2, [])],
    ["inflatedBytes", (count) => replies(count / 4, [])],
    ["headerPairs", (count) => replies(count / 2, ["a", "b"])],
  ])("of one call end it: %s", (kind, bytesOf) => {
    const parser = new SpdyFrameParser({ work: { [kind]: 80 } });
    parser.push(bytesOf(80));
    expect(parser.work[kind]).toBeLessThanOrEqual(80);
    // Each call has its own.
    const again = new SpdyFrameParser({ work: { [kind]: 80 } });
    expect(code(() => again.push(bytesOf(160)))).toBe("too-much-work");
    expect(again.work[kind]).toBeLessThanOrEqual(80 + 80);
  });
});

/** Compresses pieces of one zlib stream, each to its flush. */
function compressor(options: ZlibOptions = {}, flush = constants.Z_SYNC_FLUSH) {
  const deflate = createDeflate({ dictionary: SPDY_DICTIONARY, ...options });
  return async (raw: Uint8Array): Promise<Uint8Array> => {
    deflate.write(raw);
    await new Promise<void>((resolve) => deflate.flush(flush, resolve));
    // From Node.js 26 on, read() returns one chunk, not all that is buffered.
    const chunks: Buffer[] = [];
    for (let chunk = deflate.read(); chunk !== null; chunk = deflate.read()) chunks.push(chunk as Buffer);
    return new Uint8Array(Buffer.concat(chunks));
  };
}

const inflater = () => new HeaderInflater(100_000, new WorkBudget());
const pair = (name: string, value: string) =>
  Buffer.from(
    `\0\0\0\x01\0\0\0${String.fromCharCode(name.length)}${name}\0\0\0${String.fromCharCode(value.length)}${value}`,
  );

describe("header blocks", () => {
  it("are read in order with one zlib context, as a peer compresses them", async () => {
    const reader = new HeaderBlockReader();
    const compress = compressor();
    for (let port = 1; port < 300; port++) {
      expect(reader.read(await compress(pair("port", String(port % 70))))).toEqual([["port", String(port % 70)]]);
    }
  });

  const { Z_DEFAULT_STRATEGY, Z_FIXED, Z_HUFFMAN_ONLY, Z_RLE } = constants;
  it.each<[string, ZlibOptions]>([
    ["stored", { level: 0 }],
    ["with the fixed code", { strategy: Z_FIXED }],
    ["without distances", { strategy: Z_HUFFMAN_ONLY }],
    ["with distances of 1", { strategy: Z_RLE }],
    ["quickly", { level: 1 }],
    ["as Go does it", { level: 9, strategy: Z_DEFAULT_STRATEGY }],
    ["with a small window", { windowBits: 9 }],
  ])("are inflated to what was compressed: %s", async (_, options) => {
    const random = new Random(seedOfRun());
    const compress = compressor(options);
    const reader = inflater();
    for (let total = 0; total < 200_000; ) {
      const length = random.below(random.pick([2, 100, 5_000]));
      const text = Uint8Array.from({ length }, () => random.pick([65, 66, 67, random.below(256)]));
      const raw = new Uint8Array(Buffer.concat([text, text.subarray(0, length / 2)]));
      // zlib flushes nothing after nothing.
      if (raw.length === 0) continue;
      const compressed = await compress(raw);
      if (Buffer.compare(reader.inflate(compressed), raw) !== 0) expect(reader.inflate(compressed)).toEqual(raw);
      total += raw.length;
    }
  });

  it.each<[string, () => Promise<Uint8Array>]>([
    [
      "without a flush: Go waits for the rest, in the next frame",
      async () => (await compressor()(pair("a", "b"))).slice(0, -5),
    ],
    ["that breaks off", async () => (await compressor()(pair("a", "b"))).slice(0, -1)],
    ["whose flush is not empty", async () => Uint8Array.of(...block(["a", "b"]).slice(0, -5), 0, 1, 0, 0xfe, 0xff)],
    ["with the end of its zlib stream", async () => deflateSync(pair("a", "b"), { dictionary: SPDY_DICTIONARY })],
    ["without a dictionary", () => compressor({ dictionary: undefined })(pair("a", "b"))],
    ["with another dictionary", () => compressor({ dictionary: Buffer.from("options") })(pair("a", "b"))],
    ["with a distance into nothing", async () => Uint8Array.of(...ZLIB_HEAD, ...DISTANT_COPY, ...FLUSH)],
    ["with a reserved kind of block", async () => Uint8Array.of(...ZLIB_HEAD, 0b110, ...FLUSH)],
    ["with a complement that is wrong", async () => Uint8Array.of(...ZLIB_HEAD, 0, 1, 0, 0, 0, 0, ...FLUSH)],
    ["that is empty", async () => new Uint8Array(0)],
  ])("are an error: %s", async (_, made) => {
    const compressed = await made();
    expect(code(() => inflater().inflate(compressed))).toBe("bad-header-block");
  });

  it.each<[string, Buffer]>([
    ["the pairs of the next frame: Go would find them there", Buffer.concat([pair("a", "b"), pair("port", "22")])],
    ["a name in upper case", pair("Port", "80")],
    ["a name that is no token, which Go compares in another way", pair("po rt", "80")],
    ["an empty name", pair("", "80")],
    ["a name twice", Buffer.concat([Buffer.from([0, 0, 0, 2]), ...["1", "2"].map((v) => pair("port", v).subarray(4))])],
    ["a value that is not UTF-8", Buffer.concat([pair("a", "b").subarray(0, -1), Buffer.of(0xff)])],
    ["fewer pairs than it says", Buffer.concat([Buffer.from([0, 0, 0, 2]), pair("a", "b").subarray(4)])],
    ["a length beyond its end", pair("a", "b").subarray(0, -1)],
  ])("are an error with %s", async (_, raw) => {
    const compressed = await compressor()(raw);
    expect(code(() => new HeaderBlockReader().read(compressed))).toBe("bad-header-block");
  });

  it("say at once that they have more pairs than fit into memory", async () => {
    const compressed = await compressor()(Buffer.from([0xff, 0xff, 0xff, 0xff]));
    expect(code(() => new HeaderBlockReader().read(compressed))).toBe("headers-too-large");
  });

  it("may be longer than one stored block", () => {
    const headers = [["a", "x".repeat(200_000)]] as const;
    expect(new HeaderBlockReader(300_000).read(new HeaderBlockWriter().write(headers))).toEqual(headers);
  });

  it("inflate with zlib, which checks the Adler-32 of the dictionary", async () => {
    const block = new HeaderBlockWriter().write([["port", "80"]]);
    expect([...block.subarray(2, 6)]).toEqual([0xe3, 0xc6, 0xa7, 0xc2]);
    // Without this end, Go's reader (kubectl) waits for more and then closes the connection.
    expect([...block.subarray(-5)]).toEqual([0, 0, 0, 0xff, 0xff]);
    const inflate = createInflate({ dictionary: SPDY_DICTIONARY });
    const data = new Promise<Buffer>((resolve, reject) => inflate.once("data", resolve).once("error", reject));
    inflate.write(block);
    expect((await data).toString("latin1")).toBe("\0\0\0\x01\0\0\0\x04port\0\0\0\x0280");
  });
});
