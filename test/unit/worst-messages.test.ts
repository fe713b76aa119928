/**
 * Everything that reads what a client or a cluster sends, given the worst that either could think of. What it
 * costs is counted and not timed, and bounded by the size of the message and a constant for each.
 *
 * The list of readers is taken from the sources: a new one fails here until it is counted.
 */
import { globSync, readFileSync } from "node:fs";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { NO_COUNTS } from "../../audit/events.ts";
import { BoundedBuffer } from "../../common/bounded-buffer.ts";
import { createErrorChannel } from "../../durable/protocols/error-channel.ts";
import { ErrorText, ForwardLedger } from "../../durable/protocols/forward-ledger.ts";
import { decodeMessage, PartDecoder } from "../../durable/protocols/framing.ts";
import { KINDS_OF_SESSIONS } from "../../durable/protocols/kinds.ts";
import { MAX_WORK_PER_CHUNK, PORT_FORWARD_TUNNEL } from "../../durable/protocols/port-forward-tunnel.ts";
import { AsciicastWriter } from "../../durable/recording/asciicast-writer.ts";
import { ControlScanner } from "../../durable/recording/control-scanner.ts";
import { JsonEscaper } from "../../durable/recording/json-escaper.ts";
import { ChannelTap, RawTap, ResizeReader } from "../../durable/recording/tap.ts";
import { ClientInput } from "../../durable/relay/client-input.ts";
import { ClientWriter } from "../../durable/relay/client-writer.ts";
import { FrameMerger } from "../../durable/relay/frame-merger.ts";
import { UpstreamWriter } from "../../durable/relay/upstream-writer.ts";
import { HeldLeg } from "../../durable/upstream/held-leg.ts";
import { HeldOutput, MAX_HELD_BYTES } from "../../durable/upstream/held-output.ts";
import type { UpstreamLeg } from "../../durable/upstream/leg.ts";
import { Liveness } from "../../durable/upstream/liveness.ts";
import { UnrecordedCast } from "../../durable/watch/cast-source.ts";
import { LiveCast } from "../../durable/watch/live-cast.ts";
import { ShownBlocks } from "../../durable/watch/shown-blocks.ts";
import { ShownChunks } from "../../durable/watch/shown-chunks.ts";
import { TrafficLines } from "../../durable/watch/traffic-lines.ts";
import { WatchBudget } from "../../durable/watch/watch-budget.ts";
import { WatchFeed } from "../../durable/watch/watch-feed.ts";
import { Watcher } from "../../durable/watch/watcher.ts";
import { ChunkedBody } from "../../durable/websocket/chunked-body.ts";
import { FrameReader } from "../../durable/websocket/frame-reader.ts";
import { channelProtocol } from "../../kubernetes/channels.ts";
import type { SessionKind } from "../../kubernetes/session-target.ts";
import { SpdyError } from "../../kubernetes/spdy/errors.ts";
import { SpdyFrameGate } from "../../kubernetes/spdy/frame-gate.ts";
import { DEFAULT_MAX_FRAME_BYTES, SpdyFrameParser } from "../../kubernetes/spdy/parser.ts";
import { countWork } from "../support/count-work.ts";
import {
  type Bounds,
  CAST_BYTES,
  chunk,
  costOf,
  eachMessage,
  expectBoundedWork,
  METADATA,
  onChannels,
  type Reader,
  WORST,
} from "../support/worst-messages.ts";

const MIB = 1024 * 1024;
const BINARY = "v5.channel.k8s.io";
const BASE64 = "v4.base64.channel.k8s.io";
const PING = "\x80\x03\x00\x06\x00\x00\x00\x04\x00\x00\x00\x01";

/** The same for readers of frames. */
const WORST_FRAMES: Readonly<Record<string, Readonly<Record<string, string>>>> = {
  PortForwardTunnelObserver: { PINGs: PING, "empty frames": "\x00\x00\x00\x01\x00\x00\x00\x00" },
  SpdyFrameParser: { PINGs: PING, "empty frames": "\x00\x00\x00\x01\x00\x00\x00\x00" },
  FrameReader: { PINGs: "\x89\x00", "empty messages": "\x82\x00" },
  ChunkedBody: { "chunks of one byte": "1\r\nx\r\n" },
};

/** What a message may cost, where that is not the usual. */
const BOUNDS: Readonly<Record<string, Bounds>> = {
  ExecObserver: { parses: 1 },
  StatusChannel: { parses: 1 },
  // What is shown of an error's text.
  TextChannel: { bytesPerMessage: 1_300 },
  // The rest of a size whose end has not come, in each of several readers.
  ResizeReader: { parses: 1, bytesPerMessage: 8_192 },
  ChannelTap: { parses: 1, bytesPerMessage: 8_192 },
  // Whoever watches is shown the size too.
  LiveCast: { parses: 2, bytesPerMessage: 16_384 },
  WatchFeed: { parses: 2, bytesPerMessage: 16_384 },
  // What somebody who watches is shown at a time.
  UnrecordedCast: { bytesPerMessage: 160 * 1024 },
  ShownBlocks: { bytesPerMessage: 192 * 1024 },
  Watcher: { bytesPerMessage: 192 * 1024 },
};

const clock = { now: () => 0, sleep: () => new Promise<void>(() => {}) };
function observer(kind: SessionKind, subprotocol: string): Reader {
  const framing = KINDS_OF_SESSIONS[kind].framing(subprotocol);
  const observed = KINDS_OF_SESSIONS[kind].createObserver({
    ...{ framing, terminal: true, stderr: true, ports: [1, 2], onNewPort: () => {} },
    portForward: { onUnreadable: "continue" },
  });
  let frames = 0;
  return {
    take: onChannels((way, message) => {
      observed[way](message);
      observed.finalStatus();
      frames = Math.max(frames, observed.parsedFrames ?? 0);
    }),
    held: () => Math.max(frames, JSON.stringify(observed.traffic?.() ?? {}).length),
    maxHeld: MAX_WORK_PER_CHUNK.frames,
  };
}

function castWriter() {
  let lines = 0;
  const writer = new AsciicastWriter(METADATA, 1 << 30, (bytes) => {
    for (const byte of bytes) if (byte === 0x0a) lines++;
  });
  return {
    writer,
    rest: { written: () => lines, held: () => writer.finishedLines(0).length, maxHeld: 2 * MIB, onceBytes: CAST_BYTES },
  };
}

/** What those see who watch a session that nobody records. */
function watched() {
  const parts = { metadata: METADATA, recording: undefined, readStored: () => null, withInput: true };
  const cast = new LiveCast({ ...parts, createTap: (writer, withInput) => new ChannelTap(writer, withInput) });
  let news = 0;
  const sources = () => cast.watch(0, () => news++);
  return { cast, sources, news: () => news };
}

const UNREAD = { unsentBytes: 0, takenBytes: 0, isMeasured: true, hasBackpressure: true, subprotocol: "" };

function upstreamWriter() {
  let [rows, bytes] = [0, 0];
  const leg = { ...UNREAD, unsentBytes: 64 * MIB, send() {} } as unknown as UpstreamLeg;
  const writer = new UpstreamWriter({
    ...{ leg, framing: KINDS_OF_SESSIONS.exec.framing(BINARY), maxBufferedBytes: 64 * MIB, heldByAll: { bytes: 0 } },
    buffer: {
      append: (piece) => {
        rows++;
        bytes += piece.bytes.length;
      },
      take: () => undefined,
      clear() {},
    },
    ...{ pauseInput: () => {}, clock, onOverflow: () => {} },
  });
  return { writer, rows: () => rows, inMemory: () => writer.waitingBytes - writer.unsentBytes - bytes - rows * 1024 };
}

/** Every reader, by the name of its class. */
const READERS: Readonly<Record<string, () => Reader>> = {
  ExecObserver: () => observer("exec", BINARY),
  PortForwardChannelsObserver: () => observer("port-forward", "v4.channel.k8s.io"),
  PortForwardTunnelObserver: () => observer("port-forward", PORT_FORWARD_TUNNEL),
  RawObserver: () => observer("console", ""),
  StatusChannel: () => {
    const channel = createErrorChannel(channelProtocol(BINARY) ?? raise());
    return { take: (bytes) => [channel.push(bytes), channel.status] };
  },
  TextChannel: () => {
    const channel = createErrorChannel(channelProtocol("channel.k8s.io") ?? raise());
    return { take: (bytes) => [channel.push(bytes), channel.status] };
  },
  ForwardAccount: () => {
    const ledger = new ForwardLedger(() => {});
    return { take: (bytes) => void ledger.account(1).failed(bytes) };
  },
  ErrorText: () => {
    const text = new ErrorText();
    return { take: (bytes) => text.add(bytes) };
  },
  PartDecoder: () => {
    const decoder = new PartDecoder({ kind: "messages" }, 16 * MIB, {
      ...{ onStream: () => {}, onMessage: () => {}, onViolation: () => {} },
    });
    return {
      take: (bytes) => decoder.push({ bytes, isText: false, isFirst: true, isLast: false }),
      ...{ held: () => decoder.heldBytes, maxHeld: 16 * MIB, onceBytes: 8 * MIB },
    };
  },
  BoundedBuffer: () => {
    const buffer = new BoundedBuffer(64 * 1024);
    return { take: (bytes) => buffer.add(bytes), held: () => buffer.heldBytes, maxHeld: 64 * 1024 };
  },
  AsciicastWriter: () => {
    const { writer, rest } = castWriter();
    return { take: (bytes) => writer.write("stdout", bytes, 0), ...rest };
  },
  ChannelTap: () => {
    const { writer, rest } = castWriter();
    const tap = new ChannelTap(writer, true);
    return { take: onChannels((way, message) => tap[way](message, 0)), ...rest, written: () => rest.written() / 8 };
  },
  RawTap: () => {
    const { writer, rest } = castWriter();
    const tap = new RawTap(writer, true);
    return { take: onChannels((way, message) => tap[way](message, 0)), ...rest, written: () => rest.written() / 8 };
  },
  ResizeReader: () => {
    const reader = new ResizeReader();
    return { take: (bytes) => reader.push(chunk(4, bytes)) };
  },
  ControlScanner: () => {
    const scanner = new ControlScanner();
    return { take: (bytes) => [...scanner.scan(bytes)] };
  },
  JsonEscaper: () => {
    const escaper = new JsonEscaper(true);
    const target = new Uint8Array(JsonEscaper.room(MIB));
    return { take: (bytes) => escaper.push(bytes, target, 0) };
  },
  LiveCast: () => {
    const { cast, sources, news } = watched();
    sources();
    return {
      take: onChannels((way, message) => cast[way](message, 0)),
      // Those who watch are told of each chunk once, which costs them nothing until they look.
      ...{ written: () => news() / 8, onceBytes: CAST_BYTES },
    };
  },
  UnrecordedCast: () => {
    const cast = new UnrecordedCast(METADATA, undefined, 0);
    return {
      take: (bytes) => {
        cast.writer.write("stdout", bytes, 0);
        cast.read(0, 64 * 1024, 0);
      },
      ...{ held: () => cast.read(0, MIB, 0)?.bytes.length ?? 0, maxHeld: MIB, onceBytes: CAST_BYTES },
    };
  },
  ShownChunks: () => {
    let shown = 0;
    const chunks = new ShownChunks({ show: () => shown++, notice: () => {} });
    return {
      take: (bytes) => chunks.push(chunk(1, bytes), 0),
      held: () => {
        const before = shown;
        chunks.renew(0);
        return shown - before;
      },
      // Each costs memory beside its bytes.
      maxHeld: 1_024,
    };
  },
  ShownBlocks: () => {
    const { cast, sources } = watched();
    const [source] = sources();
    const blocks = new ShownBlocks();
    return {
      take: (bytes) => {
        cast.fromUpstream(chunk(1, bytes), 0);
        if (source) blocks.read(source, 0, 0);
      },
      onceBytes: CAST_BYTES,
    };
  },
  Watcher: () => {
    const { cast, sources } = watched();
    const blocks = new ShownBlocks();
    let sent = 0;
    const sink = {
      unsentBytes: 0,
      takenBytes: 0,
      send: (_: string, bytes: number) => {
        sent += bytes;
      },
      end() {},
      drop() {},
    };
    const read = blocks.read.bind(blocks);
    const watcher = new Watcher({ cast, sink, read, seconds: () => 0 }, sources(), 0);
    return {
      take: (bytes) => {
        cast.fromUpstream(chunk(1, bytes), 0);
        watcher.advance(cast.sources, 0);
      },
      ...{ written: () => sent / (64 * 1024), onceBytes: CAST_BYTES },
    };
  },
  WatchFeed: () => {
    const { cast } = watched();
    let sent = 0;
    const sink = { unsentBytes: 0, takenBytes: 0, send: () => void sent++, end() {}, drop() {} };
    const carried = () => ({ traffic: {}, counts: NO_COUNTS });
    const feed = new WatchFeed({ cast, budget: new WatchBudget(), isBusy: () => false, now: () => 0, carried });
    for (let count = 0; count < 10; count++) feed.add(sink, new AbortController().signal, () => {});
    const before = sent;
    return {
      take: onChannels((way, message) => cast[way](message, 0)),
      // Nothing is sent by a message: only a timer's turn does, and there is one.
      held: () => sent - before + vi.getTimerCount(),
      ...{ maxHeld: 1, onceBytes: CAST_BYTES },
    };
  },
  TrafficLines: () => {
    const lines = new TrafficLines();
    const { take, held = () => 0 } = observer("port-forward", PORT_FORWARD_TUNNEL);
    const forwards = Array.from({ length: 65 }, (_, port) => ({
      ...{ port, connections: 1, bytes_in: 0, bytes_out: 0, errors: 1, first_error: "e".repeat(512) },
    }));
    let longest = 0;
    return {
      take: (bytes) => {
        take(bytes);
        for (const forward of forwards) forward.bytes_in += bytes.length + 1;
        longest = Math.max(longest, lines.next({ traffic: { forwards }, counts: NO_COUNTS }).length);
      },
      ...{ held: () => Math.max(held(), longest), maxHeld: MAX_WORK_PER_CHUNK.frames },
    };
  },
  ClientInput: () => {
    const { writer } = upstreamWriter();
    const heldByAll = { bytes: 0 };
    const input = new ClientInput({
      ...{ framing: KINDS_OF_SESSIONS.exec.framing(BINARY), toCluster: writer, pauseInput: () => {}, clock, heldByAll },
      ...{ observe: () => true, parsedFrames: () => 0, record: () => {} },
      onFailure: (error) => {
        throw error;
      },
    });
    return {
      take: (bytes) => input.take(eachMessage(0, bytes).buffer),
      // Each message does a step of a large one's that waits before it.
      ...{ held: () => heldByAll.bytes, maxHeld: 32 * MIB, onceBytes: 4 * MIB },
    };
  },
  ClientWriter: () => {
    const writer = new ClientWriter({ send() {}, bufferedAmount: 0 }, 32 * 1024 + 1, clock);
    return { take: (bytes) => writer.append(1, bytes) };
  },
  FrameMerger: () => {
    let sent = 0;
    const merger = new FrameMerger(
      () => sent++,
      () => true,
    );
    return { take: (bytes) => merger.push(0, eachMessage(0, bytes).buffer), written: () => sent };
  },
  UpstreamWriter: () => {
    const { writer, rows, inMemory } = upstreamWriter();
    return {
      take: (bytes) => writer.send(eachMessage(0, bytes)),
      ...{ written: rows, held: inMemory, maxHeld: 64 * 1024 + 1 },
    };
  },
  HeldLeg: () => {
    let interrupts = 0;
    const protocol = channelProtocol(BINARY) ?? raise();
    const input = { kind: "typed", protocol } as const;
    const leg = new HeldLeg({ subprotocol: BINARY, input, onInterrupt: () => interrupts++, onOverflow: raise });
    return {
      take: (bytes) => [0, 3, 4].map((channel) => leg.send(eachMessage(channel, bytes))),
      ...{ held: () => leg.unsentBytes, maxHeld: 0, written: () => interrupts },
    };
  },
  FrameReader: () => {
    let delivered = 0;
    const sink = {
      onData: () => void delivered++,
      ...{ onPing: () => void delivered++, onPong: () => void delivered++, onClose() {} },
    };
    const reader = new FrameReader(sink);
    return { take: untilRefused((bytes) => reader.push(bytes)), onceBytes: 0 };
  },
  Liveness: () => {
    const liveness = new Liveness(0);
    return { take: (bytes) => liveness.answered(0, bytes) };
  },
  ChunkedBody: () => {
    const body = new ChunkedBody();
    return { take: (bytes) => void body.push(bytes) };
  },
  HeldOutput: () => {
    const receiver = { onPart: raise, onPause: () => {}, onPong: raise, onClose: raise, onFailure: raise };
    const output = new HeldOutput({
      ...{ receiver: { ...receiver, whenRoom: () => undefined }, isSpdy: false },
      ...{ canWait: () => false, onOverflow: () => output.hold() },
    });
    output.hold();
    return {
      take: (bytes) => output.onPart({ bytes, isText: false, isFirst: true, isLast: true }),
      ...{ held: () => output.heldBytes, maxHeld: MAX_HELD_BYTES },
    };
  },
  SpdyFrameGate: () => {
    const gate = new SpdyFrameGate();
    return { take: (bytes) => gate.push(bytes), held: () => gate.heldBytes, maxHeld: DEFAULT_MAX_FRAME_BYTES + 8 };
  },
  SpdyFrameParser: () => {
    const parser = new SpdyFrameParser({ work: MAX_WORK_PER_CHUNK });
    let frames = 0;
    return {
      take: untilRefused((bytes) => parser.parse(bytes, () => frames++)),
      ...{ held: () => parser.work.frames, maxHeld: MAX_WORK_PER_CHUNK.frames + 1 },
    };
  },
};

/** Readers of which something else than this file counts the work: where, and why not here. */
const COUNTED_ELSEWHERE: Readonly<Record<string, string>> = {
  // The runtime's types.
  LiveRecording: "test/workerd/worst-messages.test.ts",
  Relay: "test/workerd/worst-messages.test.ts",
  WebSocketLeg: "test/workerd/worst-messages.test.ts",
  // Its work is rows, each of one chunk, in the object's SQLite.
  Spool: "test/workerd/recording.test.ts",
  // It reads a stream, with back-pressure: a FrameReader does the work.
  TcpLeg: "test/unit/websocket/tcp-leg.test.ts",
  // They read header blocks, whose bytes, pairs and blocks are a budget of their own.
  HeaderBlockReader: "test/unit/spdy.test.ts",
  HeaderInflater: "test/unit/spdy.test.ts",
};

/** What watchers read of a session, beside those who take its chunks. */
const WATCHING = ["ShownBlocks", "TrafficLines", "Watcher", "WatchFeed"];

/** Names of the classes that take what a client or a cluster sends, as the sources have them. */
function readersInSources(): string[] {
  const TAKES_BYTES = /\b(?:Chunk|MessagePart|Message|Uint8Array|ArrayBuffer|ShownChunkSink|AsciicastWriter)\b/;
  const isConstructorOnly = (methods: RegExpExecArray[]) => methods.every(([, name]) => name === "constructor");
  return globSync(["durable/**/*.ts", "kubernetes/spdy/*.ts", "common/bounded-buffer.ts"]).flatMap((file) => {
    const classes = readFileSync(file, "utf8").matchAll(/^(?:export )?class (\w+).*?\{\n(.*?)^\}/gms);
    return [...classes].flatMap(([, name = "", body = ""]) => {
      const methods = [...body.matchAll(/^ {2}(?:async |\*)?(#?\w+)\((.*?)\)(?:: | \{)/gms)];
      const taking = methods.filter(([, , parameters = ""]) => TAKES_BYTES.test(parameters));
      return taking.length === 0 || isConstructorOnly(taking) ? [] : [name];
    });
  });
}

function untilRefused(push: (bytes: Uint8Array) => void) {
  return (bytes: Uint8Array) => {
    try {
      push(bytes);
    } catch (error) {
      if (!(error instanceof SpdyError) && (error as Error).name !== "WebSocketProtocolError") throw error;
    }
  };
}

function raise(): never {
  throw new Error("unknown protocol");
}

beforeEach(() => void vi.useFakeTimers({ now: 0 }));
afterEach(() => void vi.useRealTimers());

it("no reader of what a client or a cluster sends is left out", () => {
  const counted = [...Object.keys(READERS), ...Object.keys(COUNTED_ELSEWHERE)];
  const known = [...new Set([...readersInSources(), ...WATCHING, "UnrecordedCast", "ForwardAccount"])];
  expect(new Set(counted)).toEqual(new Set(known));
  for (const [name, file] of Object.entries(COUNTED_ELSEWHERE)) {
    expect(readFileSync(file, "utf8"), `${file} counts ${name}`).toMatch(
      file.includes("worst") ? new RegExp(`^  ${name}: \\(\\) => `, "m") : new RegExp(`\\b${name}\\b|SpdyWork`),
    );
  }
});

describe.each(Object.keys(READERS))("%s", (name) => {
  it.each(Object.entries({ ...WORST, ...WORST_FRAMES[name] }))(
    "does a bounded amount of work for %s, whatever the messages' sizes",
    (_, text) => expectBoundedWork(READERS[name]?.() ?? raise(), text, BOUNDS[name]),
  );
});

it("a message that must stay whole is decoded no more often while its session waits for an approval", () => {
  const protocol = channelProtocol(BASE64) ?? raise();
  const input = { kind: "typed", protocol } as const;
  const leg = new HeldLeg({ subprotocol: BASE64, input, onInterrupt: () => {}, onOverflow: raise });
  const large = `4${btoa("x".repeat(3 * MIB))}`;
  expect(costOf(countWork(() => leg.send(large)))).toBe(0);
});

it("decodes nothing of a large message twice, wherever it is split", () => {
  const framing = KINDS_OF_SESSIONS.exec.framing(BASE64);
  const decoded = decodeMessage(framing, `1${btoa("x".repeat(30_000))}`);
  const { base64Chars } = countWork(() => [decoded.payload, decoded.payload, decoded.size]);
  expect(base64Chars).toBe(40_000);
});
