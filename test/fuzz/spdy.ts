/**
 * Fuzzes the SPDY parser and the port-forward observer. Only SpdyError is thrown, frames are the
 * same wherever the stream is cut and after encoding, and the data for the audit log stays
 * small. See harness.ts for the options.
 */
import { deepStrictEqual, ok } from "node:assert";
import { concatBytes } from "../../common/bytes.ts";
import { PORT_FORWARD_TUNNEL } from "../../durable/protocols/port-forward-tunnel.ts";
import { encodeFrame } from "../../kubernetes/spdy/encoder.ts";
import { SpdyError, type SpdyErrorCode } from "../../kubernetes/spdy/errors.ts";
import type { SpdyFrame } from "../../kubernetes/spdy/frames.ts";
import { HeaderBlockWriter } from "../../kubernetes/spdy/header-block.ts";
import { SpdyFrameParser } from "../../kubernetes/spdy/parser.ts";
import { MessageObserver } from "../support/observe-messages.ts";
import { Random } from "../support/random.ts";
import { randomFrame } from "../support/spdy-frames.ts";
import { randomSequence } from "../support/spdy-sequences.ts";
import { captures, fuzz } from "./harness.ts";

const MAX_TRAFFIC_CHARS = 64 * 1024;

const real = captures("kubectl").flatMap((messages) =>
  (["to-server", "to-client"] as const).map((dir) =>
    concatBytes(messages.filter((message) => message.dir === dir).map(({ bytes }) => bytes)),
  ),
);
const made = Array.from({ length: 20 }, (_, seed) => {
  const random = new Random(seed);
  return encodeAll(Array.from({ length: 30 }, () => randomFrame(random)));
});
const sequences = Array.from({ length: 40 }, (_, seed) =>
  concatBytes(randomSequence(new Random(seed)).steps.flatMap(({ messages }) => messages)),
);
const [first, ...others] = [...made, ...sequences, ...real.filter((stream) => stream[0] === 0x80)];
if (!first) throw new Error("the corpus is empty");

fuzz({
  name: "spdy",
  corpus: [first, ...others],
  check(input, random) {
    const whole = parse([input]);
    const cut = parse(random.cut(input, random.pick([1, 5, 40, 4_000])));
    deepStrictEqual(cut.code, whole.code);
    if (whole.code === undefined) {
      deepStrictEqual(joinData(cut.frames), joinData(whole.frames));
      checkEncoding(whole.frames);
    }
    for (const onUnreadable of ["end", "continue"] as const) checkObserver(input, random, onUnreadable);
  },
});

interface Parsed {
  readonly frames: SpdyFrame[];
  readonly code: SpdyErrorCode | undefined;
}

function parse(pieces: Iterable<Uint8Array>): Parsed {
  const parser = new SpdyFrameParser();
  const frames: SpdyFrame[] = [];
  try {
    for (const piece of pieces) frames.push(...parser.push(piece));
  } catch (error) {
    if (!(error instanceof SpdyError)) throw error;
    return { frames, code: error.code };
  }
  return { frames, code: undefined };
}

function checkEncoding(frames: readonly SpdyFrame[]): void {
  const again = parse([encodeAll(frames)]);
  // Compressed headers may be longer when they are encoded again.
  if (again.code === "frame-too-large") return;
  deepStrictEqual(again.code, undefined);
  deepStrictEqual(joinData(again.frames), joinData(frames));
}

function checkObserver(input: Uint8Array, random: Random, onUnreadable: "end" | "continue"): void {
  const ports = new Set<number>();
  const onNewPort = (port: number) => {
    ok(!ports.has(port), `port ${port} was reported twice`);
    ports.add(port);
  };
  const observer = new MessageObserver("port-forward", PORT_FORWARD_TUNNEL, false, {
    ports: [],
    onNewPort,
    onUnreadable,
  });
  const hasEnded = { fromClient: false, fromUpstream: false };
  for (const piece of random.cut(input, random.pick([5, 500, 20_000]))) {
    const message = piece.slice().buffer;
    for (const side of ["fromClient", "fromUpstream"] as const) {
      const isViolation = typeof observer[side](message) === "object";
      ok(!isViolation || onUnreadable === "end", "a session that should go on was ended");
      ok(isViolation || !hasEnded[side] || message.byteLength === 0, "bytes were read after the end");
      hasEnded[side] ||= isViolation;
    }
  }
  const traffic = observer.traffic();
  ok(onUnreadable === "continue" || !traffic?.unreadable, "unreadable traffic was passed on");
  ok(ports.size <= 64 && (traffic?.forwards?.length ?? 0) <= 65, "too many ports");
  ok(JSON.stringify(traffic).length < MAX_TRAFFIC_CHARS, "the traffic data is too long");
  const carried = (traffic?.forwards ?? []).reduce((sum, { bytes_in }) => sum + bytes_in, 0);
  ok(carried <= input.length, "more bytes were counted than sent");
  observer.goodbyeFrames("the end");
}

/** Normalizes frames for comparison: joins DATA, and groups the values of a name as the encoder does. */
function joinData(frames: readonly SpdyFrame[]): unknown[] {
  const out: { type: string; streamId?: number; fin?: boolean; data?: Buffer }[] = [];
  for (const frame of frames) {
    if ("headers" in frame) {
      const names = [...new Set(frame.headers.map(([name]) => name))];
      const headers = names.flatMap((name) => frame.headers.filter(([other]) => other === name));
      out.push({ ...frame, ...{ headers } });
      continue;
    }
    const last = out.at(-1);
    if (frame.type === "DATA" && last?.type === "DATA" && last.streamId === frame.streamId && !last.fin) {
      last.data = Buffer.concat([last.data ?? Buffer.alloc(0), frame.data]);
      last.fin = frame.fin;
    } else {
      out.push(frame.type === "DATA" ? { ...frame, data: Buffer.from(frame.data) } : { ...frame });
    }
  }
  return out.filter(({ type, data, fin }) => type !== "DATA" || fin || (data?.length ?? 0) > 0);
}

function encodeAll(frames: readonly SpdyFrame[]): Uint8Array {
  const headers = new HeaderBlockWriter();
  return concatBytes(frames.map((frame) => encodeFrame(frame, headers)));
}
