import { readFileSync } from "node:fs";
import { join } from "node:path";
import { constants, createDeflate, createInflate, deflateSync } from "node:zlib";
import { describe, expect, it } from "vitest";
import { SPDY_DICTIONARY } from "../../kubernetes/spdy/dictionary.ts";
import { encodeDataHead, encodeFrame } from "../../kubernetes/spdy/encoder.ts";
import { SpdyError } from "../../kubernetes/spdy/errors.ts";
import { type DataFrame, headerValue, type SpdyFrame } from "../../kubernetes/spdy/frames.ts";
import { HeaderBlockReader, HeaderBlockWriter } from "../../kubernetes/spdy/header-block.ts";
import { DEFAULT_MAX_FRAME_BYTES, SpdyFrameParser } from "../../kubernetes/spdy/parser.ts";

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

  it("ignores control frames of an unknown type", () => {
    const unknown = Uint8Array.of(0x80, 3, 0, 10, 0, 0, 0, 2, 1, 2);
    const ping = encodeFrame({ type: "PING", id: 1 }, new HeaderBlockWriter());
    expect(parse([unknown, ping])).toEqual([{ type: "PING", id: 1 }]);
  });
});

describe("limits", () => {
  const code = (run: () => unknown): string | undefined => {
    try {
      run();
    } catch (error) {
      return error instanceof SpdyError ? error.code : "other";
    }
    return undefined;
  };
  const controlHeader = (length: number, version = 3) =>
    Uint8Array.of(0x80, version, 0, 6, 0, length >>> 16, length >>> 8, length);

  it("reject a control frame of one byte too much by its header, and everything after it", () => {
    expect(code(() => new SpdyFrameParser({ maxFrameBytes: 100 }).push(controlHeader(100)))).toBeUndefined();
    const parser = new SpdyFrameParser({ maxFrameBytes: 100 });
    expect(code(() => parser.push(controlHeader(101)))).toBe("frame-too-large");
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
    const block = (bytes: number) => new HeaderBlockWriter().write([["name", "a".repeat(bytes)]]);
    const overhead = 4 + 4 + 4 + 4;
    expect(new HeaderBlockReader(1000).read(block(1000 - overhead))).toHaveLength(1);
    expect(code(() => new HeaderBlockReader(1000).read(block(1001 - overhead)))).toBe("headers-too-large");
    const bomb = deflateSync(Buffer.alloc(50_000_000), { dictionary: SPDY_DICTIONARY });
    expect(bomb.length).toBeLessThan(DEFAULT_MAX_FRAME_BYTES);
    expect(code(() => new HeaderBlockReader(1000).read(bomb))).toBe("headers-too-large");
  });

  it("are not the only errors: other versions, short bodies and invalid zlib data", () => {
    expect(code(() => parse([controlHeader(4, 2)]))).toBe("bad-version");
    expect(code(() => parse([controlHeader(3), new Uint8Array(3)]))).toBe("bad-frame");
    const settings = Uint8Array.of(0x80, 3, 0, 4, 0, 0, 0, 4, 0xff, 0xff, 0xff, 0xff);
    expect(code(() => parse([settings]))).toBe("bad-frame");
    expect(code(() => new HeaderBlockReader().read(new Uint8Array(20).fill(0xab)))).toBe("bad-header-block");
  });
});

describe("header blocks", () => {
  it("are read in order with one zlib context, as a peer compresses them", async () => {
    const reader = new HeaderBlockReader();
    const deflate = createDeflate({ dictionary: SPDY_DICTIONARY });
    for (let port = 1; port < 300; port++) {
      const [name, value] = ["port", String(port % 70)];
      deflate.write(Buffer.from(`\0\0\0\x01\0\0\0\x04${name}\0\0\0${String.fromCharCode(value.length)}${value}`));
      await new Promise<void>((resolve) => deflate.flush(constants.Z_SYNC_FLUSH, resolve));
      // From Node.js 26 on, read() returns one chunk, not all that is buffered.
      const chunks: Buffer[] = [];
      for (let chunk = deflate.read(); chunk !== null; chunk = deflate.read()) chunks.push(chunk as Buffer);
      expect(reader.read(Buffer.concat(chunks))).toEqual([[name, value]]);
    }
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
