/**
 * Repeat a run with the seed that it printed: `SALLYPORT_SEED=… npx vitest run --project unit
 * test/unit/framing.test.ts`
 */
import { readdirSync, readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import type { Chunk } from "../../durable/protocols/chunk.ts";
import {
  decodeMessage,
  type Framing,
  isOfStream,
  type MessagePart,
  PartDecoder,
} from "../../durable/protocols/framing.ts";
import { KINDS_OF_SESSIONS } from "../../durable/protocols/kinds.ts";
import { FrameReader } from "../../durable/websocket/frame-reader.ts";
import { Opcode } from "../../durable/websocket/protocol.ts";
import { SESSION_KINDS, type SessionKind } from "../../kubernetes/session-target.ts";
import { Random, seedOfRun } from "../support/random.ts";
import { serverFrame } from "../support/websocket-frames.ts";

const SEED = seedOfRun();
const MAX_BYTES = 1024 * 1024;

const SUBPROTOCOLS = [
  "v5.channel.k8s.io",
  "v4.channel.k8s.io",
  "v4.base64.channel.k8s.io",
  "base64.channel.k8s.io",
  "channel.k8s.io",
  "",
  "SPDY/3.1+portforward.k8s.io",
  "plain.kubevirt.io",
  "v9.channel.k8s.io",
];
const FRAMINGS = SESSION_KINDS.flatMap((kind) =>
  SUBPROTOCOLS.map((name) => ({ name: `${kind} over ${name || "nothing"}`, framing: framingOf(kind, name) })),
);

function framingOf(kind: SessionKind, subprotocol: string): Framing {
  return KINDS_OF_SESSIONS[kind].framing(subprotocol);
}

type Message = Uint8Array | string;

/** What a sink got: bytes of a stream, joined, and whole messages. */
type Delivery =
  | { readonly stream: number | undefined; bytes: Buffer }
  | {
      readonly message: Buffer | string;
      readonly chunk: { channel: number | undefined; bytes: Buffer; isText: boolean };
    }
  | { readonly violation: string };

class Deliveries {
  readonly list: Delivery[] = [];

  onStream({ channel, payload }: Chunk): void {
    const last = this.list.at(-1);
    if (last && "stream" in last && last.stream === channel) last.bytes = Buffer.concat([last.bytes, payload]);
    else this.list.push({ stream: channel, bytes: Buffer.from(payload) });
  }

  onMessage(message: Message, { channel, payload, size, isText }: Chunk): void {
    expect(isText).toBe(typeof message === "string");
    if (payload.length > 0) expect(size).toBe(payload.length);
    this.list.push({
      message: typeof message === "string" ? message : Buffer.from(message),
      chunk: { channel, bytes: Buffer.from(payload), isText },
    });
  }

  onViolation(violation: string): void {
    this.list.push({ violation });
  }
}

/** What must be delivered of whole messages, however they are cut on their way. */
function expected(framing: Framing, messages: readonly Message[]): Delivery[] {
  const deliveries = new Deliveries();
  for (const message of messages) {
    const chunk = decodeMessage(framing, message);
    if (isOfStream(framing, chunk)) deliveries.onStream(chunk);
    // A stream without channels has no messages, so an empty one is nothing.
    else if (framing.kind !== "bytes" || chunk.isText) deliveries.onMessage(message, chunk);
  }
  return deliveries.list;
}

function* partsOf(message: Message, random: Random): Generator<MessagePart> {
  const isText = typeof message === "string";
  const bytes = Uint8Array.from(Buffer.from(message));
  const pieces = random.chance(0.3) ? [bytes] : [...random.cut(bytes, random.pick([1, 3, 20, 5_000]))];
  if (pieces.length === 0 || random.chance(0.2)) pieces.push(new Uint8Array(0));
  if (random.chance(0.1)) pieces.unshift(new Uint8Array(0));
  for (const [n, piece] of pieces.entries()) {
    yield { bytes: piece, isText, isFirst: n === 0, isLast: n === pieces.length - 1 };
  }
}

function deliver(framing: Framing, parts: Iterable<MessagePart>, maxBytes = MAX_BYTES): Delivery[] {
  const deliveries = new Deliveries();
  const decoder = new PartDecoder(framing, maxBytes, deliveries);
  for (const part of parts) {
    // A reader's buffer is used again.
    const bytes = part.bytes.slice();
    decoder.push({ ...part, bytes });
    bytes.fill(0xee);
  }
  return deliveries.list;
}

function randomMessage(framing: Framing, random: Random): Message {
  if (random.chance(0.05)) return random.pick<Message>(["", new Uint8Array(0)]);
  const payload = random.bytes(random.length(40_000));
  const channel = random.chance(0.9) ? random.below(5) : random.below(256);
  if (framing.kind !== "channels") return random.chance(0.2) ? textOf(payload) : payload;
  if (framing.protocol.encoding === "base64") {
    const text = `${String.fromCharCode(0x30 + (channel % 10))}${Buffer.from(payload).toString("base64")}`;
    return random.chance(0.1) ? Uint8Array.from(Buffer.from(text)) : text;
  }
  if (random.chance(0.1)) return `${String.fromCharCode(channel)}${textOf(payload)}`;
  return Uint8Array.of(channel, ...payload);
}

/** Text with characters of one to four bytes, and with a byte order mark at times. */
function textOf(bytes: Uint8Array): string {
  return [...bytes.subarray(0, 5_000)]
    .map((byte) => "\uFEFFaü☃🚪"[byte % 5] ?? "")
    .join("")
    .toWellFormed();
}

describe(`messages in parts (SALLYPORT_SEED=${SEED})`, () => {
  test.each(FRAMINGS)("of $name are what they are as a whole, wherever they are cut", ({ framing }) => {
    const random = new Random(SEED);
    for (let round = 0; round < 30; round++) {
      const messages = Array.from({ length: 20 }, () => randomMessage(framing, random));
      const parts = messages.flatMap((message) => [...partsOf(message, random)]);
      expect(deliver(framing, parts)).toEqual(expected(framing, messages));
    }
  });

  test.each(FRAMINGS)("of $name are so in WebSocket frames too, whose bytes arrive in any pieces", ({ framing }) => {
    const random = new Random(SEED + 1);
    for (let round = 0; round < 10; round++) {
      const messages = Array.from({ length: 20 }, () => randomMessage(framing, random));
      const stream = Buffer.concat(
        messages.flatMap((message) =>
          [...partsOf(message, random)].map(({ bytes, isText, isFirst, isLast }) =>
            serverFrame(isFirst ? (isText ? Opcode.text : Opcode.binary) : Opcode.continuation, latin1(bytes), {
              fin: isLast,
            }),
          ),
        ),
      );
      expect(deliver(framing, readFrames(random.cut(stream, random.pick([1, 30, 70_000]))))).toEqual(
        expected(framing, messages),
      );
    }
  });
});

const latin1 = (bytes: Uint8Array) => Buffer.from(bytes).toString("latin1");

function readFrames(pieces: Iterable<Uint8Array>): MessagePart[] {
  const parts: MessagePart[] = [];
  const reader = new FrameReader({
    onData: (opcode, payload, isFirst, isLast) =>
      parts.push({ bytes: payload.slice(), isText: opcode === Opcode.text, isFirst, isLast }),
    onPing() {},
    onPong() {},
    onClose() {},
  });
  for (const piece of pieces) reader.push(piece);
  expect(reader.isAtMessageBoundary).toBe(true);
  return parts;
}

describe("captures of real sessions", () => {
  const directory = new URL("../vectors/captures/", import.meta.url);

  test.each(readdirSync(directory))("%s: what the cluster sent is the same in parts", (file) => {
    const [{ handshake }, ...lines] = readFileSync(new URL(file, directory), "utf8")
      .trim()
      .split("\n")
      .map((line) => JSON.parse(line));
    const framing = framingOf(file.includes("port-forward") ? "port-forward" : "exec", handshake.chosen ?? "");
    const parts = lines
      .filter(({ dir, type }) => dir === "to-client" && ["binary", "text", "continuation"].includes(type))
      .map(({ type, base64, fin = true }) => ({ type, fin, bytes: Uint8Array.from(Buffer.from(base64, "base64")) }));
    const messages: Uint8Array[] = [];
    for (const { type, bytes } of parts) {
      expect(type).not.toBe("text");
      messages.push(type === "continuation" ? Buffer.concat([messages.pop() ?? bytes, bytes]) : bytes);
    }
    const random = new Random(SEED);
    const cut = messages.flatMap((message) => [...partsOf(message, random)]);
    const asSent = parts.map(({ type, fin, bytes }) => ({
      bytes,
      isText: false,
      isFirst: type === "binary",
      isLast: fin,
    }));
    expect(deliver(framing, asSent)).toEqual(expected(framing, messages));
    expect(deliver(framing, cut)).toEqual(expected(framing, messages));
  });
});

describe("a decoder of parts", () => {
  const exec = framingOf("exec", "v5.channel.k8s.io");
  const part = (bytes: readonly number[] | string, isFirst: boolean, isLast: boolean, isText = false): MessagePart => ({
    bytes: typeof bytes === "string" ? new TextEncoder().encode(bytes) : Uint8Array.from(bytes),
    isText,
    isFirst,
    isLast,
  });

  test("delivers a stream's bytes as they arrive, without waiting for the rest of the message", () => {
    const deliveries = new Deliveries();
    const decoder = new PartDecoder(exec, 10, deliveries);
    decoder.push(part([], true, false));
    decoder.push(part([1], false, false));
    expect(deliveries.list).toEqual([]);
    decoder.push(part("first", false, false));
    expect(deliveries.list).toEqual([{ stream: 1, bytes: Buffer.from("first") }]);
    decoder.push(part(" and more than a message may have", false, false));
    decoder.push(part([], false, true));
    expect(deliveries.list).toEqual([{ stream: 1, bytes: Buffer.from("first and more than a message may have") }]);
  });

  test("delivers a channel byte alone as a message, in one part or in several", () => {
    for (const parts of [[part([2], true, true)], [part([2], true, false), part([], false, true)]]) {
      expect(deliver(exec, parts)).toEqual([
        { message: Buffer.of(2), chunk: { channel: 2, bytes: Buffer.alloc(0), isText: false } },
      ]);
    }
  });

  test("delivers an empty message", () => {
    expect(deliver(exec, [part([], true, true)])).toEqual([
      { message: Buffer.alloc(0), chunk: { channel: undefined, bytes: Buffer.alloc(0), isText: false } },
    ]);
  });

  test.each([3, 4, 5, 254, 255])("never joins messages of channel %d", (channel) => {
    const message = [channel, 0];
    const deliveries = deliver(exec, [part(message, true, true), part(message, true, true)]);
    expect(deliveries.map((delivery) => "message" in delivery && delivery.message)).toEqual([
      Buffer.from(message),
      Buffer.from(message),
    ]);
  });

  test.each([
    ["messages", framingOf("proxy", ""), 0],
    ["base64", framingOf("exec", "v4.base64.channel.k8s.io"), 0x31],
    ["a channel that is no stream", exec, 3],
  ])("delivers nothing of a message that is too large, nor after it: %s", (_, framing, first) => {
    const parts = [part([first, ...Array(9).fill(0x41)], true, false), part([0x41], false, true)];
    expect(deliver(framing, parts, 11)).toHaveLength(1);
    expect(deliver(framing, [...parts, part([first], true, true)], 10)).toEqual([
      { violation: "the cluster sent a message that is too large" },
    ]);
  });

  test("counts each message for itself", () => {
    const parts = Array.from({ length: 50 }, () => part([3, 1, 2, 3], true, true));
    expect(deliver(exec, parts, 4)).toHaveLength(50);
  });

  test("delivers no text that is not UTF-8, for it could not be passed on as it is", () => {
    for (const framing of [exec, framingOf("proxy", ""), framingOf("port-forward", "SPDY/3.1+portforward.k8s.io")]) {
      const parts = [
        part([0x41, 0xe2], true, false, true),
        part([0x98], false, true, true),
        part("b", true, true, true),
      ];
      expect(deliver(framing, parts)).toEqual([{ violation: "the cluster sent a text message that is not UTF-8" }]);
    }
  });

  test("gives a message away: the next one is in other memory", () => {
    const messages: Message[] = [];
    const decoder = new PartDecoder({ kind: "messages" }, 100, {
      onStream() {},
      onMessage: (message) => messages.push(message),
      onViolation() {},
    });
    for (const text of ["one", "two"]) decoder.push(part(text, true, true));
    expect(messages.map((message) => Buffer.from(message).toString())).toEqual(["one", "two"]);
  });
});
