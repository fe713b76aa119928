/** The worst messages that a client or a cluster could think of, and what a reader of them may cost. */
import { expect } from "vitest";
import { concatBytes } from "../../common/bytes.ts";
import type { Chunk } from "../../durable/protocols/chunk.ts";
import type { CastMetadata } from "../../durable/recording/cast-lines.ts";
import { countWork, type Work } from "./count-work.ts";

const MIB = 1024 * 1024;

/** What a message repeats. */
export const WORST = {
  nesting: '}[{"a":',
  sizes: '{"Width":80,"Height":24}',
  "lines of a cast": '"]\n[0,"o","',
  "control sequences": "\x1b[c\x1b]52;c;aGk=\x07\x1bP$q\x1b\\",
  "halves of characters": "\xf0\x9f\x9a",
};
/** How many messages, and of how many bytes each, one run after the other: the large ones begin a burst. */
const RUNS = [
  [16, 4 * 1024],
  [2, MIB],
  [1_500, 0],
  [1_500, 1],
] as const;

/** A reader. It is given a message in the form in which it takes them. */
export interface Reader {
  take(bytes: Uint8Array<ArrayBuffer>): void;
  /** Lines or rows that it has written. */
  written?(): number;
  /** Bytes, or things, that it holds. */
  held?(): number;
  /** The most that it may hold. */
  readonly maxHeld?: number;
  /** What its buffers may copy once while they grow. */
  readonly onceBytes?: number;
}

/** What a message may cost, where that is not the usual. */
export interface Bounds {
  /** How often a byte may be copied or decoded. Default 8, for readers that are given each 8 times. */
  readonly passes?: number | undefined;
  /** Beside its bytes. Default 1 KiB. */
  readonly bytesPerMessage?: number | undefined;
  /** Texts of JSON that are parsed. Default none. */
  readonly parses?: number | undefined;
}

export const METADATA: CastMetadata = {
  ...{ sessionId: "s", user: "u", cluster: "c", kind: "exec", namespace: "n", pod: "p", container: null },
  ...{ command: [], tty: true },
};
/** A cast's buffer grows to its chunk's size. */
export const CAST_BYTES = 8 * MIB;

/** A chunk of a channel. */
export const chunk = (channel: number | undefined, payload: Uint8Array): Chunk => ({
  ...{ channel, size: payload.length, payload, isText: false },
});

/** Gives each message to several channels, both ways. */
export function onChannels(take: (way: "fromClient" | "fromUpstream", chunk: Chunk) => void) {
  return (bytes: Uint8Array) => {
    for (const channel of [0, 1, 3, 4]) {
      take("fromClient", chunk(channel, bytes));
      take("fromUpstream", chunk(channel, bytes));
    }
  };
}

/** A message of a channel. */
export function eachMessage(channel: number, bytes: Uint8Array): Uint8Array<ArrayBuffer> {
  return Uint8Array.from(concatBytes([Uint8Array.of(channel), bytes]));
}

/** The bytes that the runtime was made to copy, decode, encode or parse. */
export const costOf = ({ jsonChars, textBytes, base64Chars, encodedChars, copiedBytes }: Work) =>
  jsonChars + textBytes + base64Chars + encodedChars + copiedBytes;

/** Gives a reader message after message that repeats a text, and fails where it does more than it may. */
export function expectBoundedWork(reader: Reader, text: string, bounds: Bounds = {}): void {
  const { passes = 8, bytesPerMessage = 1024, parses = 0 } = bounds;
  for (const [messages, size] of RUNS) {
    const bytes = Uint8Array.from({ length: size }, (_, at) => text.charCodeAt(at % text.length));
    const copies = Array.from({ length: messages }, () => bytes.slice());
    const work = countWork(() => {
      for (const copy of copies) reader.take(copy);
    });
    const what = `${messages} messages of ${size} bytes`;
    const perMessage = passes * size + bytesPerMessage;
    expect(costOf(work), what).toBeLessThanOrEqual(messages * perMessage + (reader.onceBytes ?? 0));
    expect(work.jsonParses, what).toBeLessThanOrEqual(messages * parses);
  }
  const lines = RUNS.reduce((sum, [messages, size]) => sum + messages * (1 + size / 256), 1_000);
  expect(reader.written?.() ?? 0).toBeLessThanOrEqual(lines);
  if (reader.maxHeld !== undefined) expect(reader.held?.() ?? 0).toBeLessThanOrEqual(reader.maxHeld);
}
