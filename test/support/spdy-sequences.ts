/**
 * Sequences of SPDY frames as no well-behaved client sends them, mixed with such as kubectl does. The bytes
 * are made here, without the encoder under test.
 */
import type { Random } from "./random.ts";

/** Ports of the pod: a TCP echo, an HTTP server, and one where nothing listens. */
export const ECHO_PORT = 7;
export const HTTP_PORT = 8080;
export const CLOSED_PORT = 9;

export interface SequenceStep {
  readonly name: string;
  /** Whether no kubectl sends it. */
  readonly isOdd: boolean;
  /** Payloads of WebSocket messages, which may cut frames anywhere. */
  readonly messages: readonly Uint8Array[];
  /** The id of a PING at the end of the step whose answer may be waited for. */
  readonly pingId: number | undefined;
}

export interface SpdySequence {
  readonly steps: readonly SequenceStep[];
  /** What the echo answers to the last connection, unless the frames before it broke the tunnel. */
  readonly lastEcho: string;
  /** Whether kubectl might send all of it. */
  readonly isValid: boolean;
}

type Headers = readonly (readonly [name: string, value: string])[];
type Step = (tunnel: TunnelBytes, random: Random) => void;

const SYN_STREAM = 1;
const SYN_REPLY = 2;
const RST_STREAM = 3;
const SETTINGS = 4;
const PING = 6;
const GOAWAY = 7;
const HEADERS = 8;
const WINDOW_UPDATE = 9;
const FIN = 1;
const UNIDIRECTIONAL = 2;

const ZLIB_HEAD = [0x78, 0xf9, 0xe3, 0xc6, 0xa7, 0xc2];
const FLUSH = Uint8Array.of(0, 0, 0, 0xff, 0xff);
const HTTP_REQUEST = "GET /index.html HTTP/1.0\r\n\r\n";

export function randomSequence(random: Random): SpdySequence {
  const tunnel = new TunnelBytes(random);
  const steps: SequenceStep[] = [];
  const isValid = random.chance(0.3);
  const add = (name: string, isOdd: boolean, step: Step) => {
    step(tunnel, random);
    const pingId = random.chance(0.3) ? tunnel.ping() : undefined;
    const bytes = tunnel.takeBytes();
    const longest = random.pick([3, 50, 1_000, 100_000]);
    const messages = random.chance(0.5) ? [bytes] : [...random.cut(bytes, longest)];
    steps.push({ name, isOdd, messages, pingId });
  };
  const length = random.between(1, 5);
  for (let n = 0; n < length; n++) {
    const isOdd = !isValid && random.chance(0.5);
    const [name, step] = random.pick(isOdd ? ODD_STEPS : VALID_STEPS);
    add(name, isOdd, step);
  }
  if (!isValid && steps.every(({ isOdd }) => !isOdd)) {
    const [name, step] = random.pick(ODD_STEPS);
    add(name, true, step);
  }
  let lastEcho = "";
  add("the last connection", false, () => {
    lastEcho = tunnel.connect(ECHO_PORT);
  });
  return { steps, lastEcho, isValid };
}

/** Makes the bytes of a client's direction. */
class TunnelBytes {
  readonly #random: Random;
  #pieces: Uint8Array[] = [];
  #isFirstBlock = true;
  #lastId = -1;
  #requests = 0;
  #pings = 0;
  #tokens = 0;
  /** Data streams with an open connection to the echo. */
  readonly echoes: number[] = [];

  constructor(random: Random) {
    this.#random = random;
  }

  takeBytes(): Uint8Array {
    const bytes = new Uint8Array(Buffer.concat(this.#pieces));
    this.#pieces = [];
    return bytes;
  }

  /** What `make` adds, to be hidden in another frame. */
  apart(make: () => void): Uint8Array {
    const before = this.#pieces;
    this.#pieces = [];
    make();
    const made = this.takeBytes();
    this.#pieces = before;
    return made;
  }

  add(...pieces: readonly Uint8Array[]): void {
    this.#pieces.push(...pieces);
  }

  nextId(): number {
    this.#lastId += 2;
    return this.#lastId;
  }

  nextRequest(): string {
    return String(this.#requests++);
  }

  /** Unique in the run, so that an echo says what it answers. */
  token(): string {
    return `echo-${this.#random.uint32().toString(36)}-${this.#tokens++};`;
  }

  ping(): number {
    const id = 2 * this.#pings++ + 1;
    this.add(control(PING, uint32(id)));
    return id;
  }

  block(headers: Headers): Uint8Array {
    const raw = rawHeaders(headers);
    return Uint8Array.of(
      ...this.#zlibHead(),
      ...(this.#random.chance(0.5) ? flushed(stored(raw)) : withFixedCode(raw)),
    );
  }

  /** A header block that lacks its flush, or whose DEFLATE block is the last of its stream. */
  oddBlock(headers: Headers, { isLast = false } = {}): Uint8Array {
    const block = stored(rawHeaders(headers));
    if (isLast) block[0] = 1;
    return Uint8Array.of(...this.#zlibHead(), ...block);
  }

  #zlibHead(): readonly number[] {
    const head = this.#isFirstBlock ? ZLIB_HEAD : [];
    this.#isFirstBlock = false;
    return head;
  }

  open(id: number, headers: Headers, { flags = 0, priority = 0, version = 3 } = {}): void {
    this.openWithBlock(id, this.block(headers), { flags, priority, version });
  }

  openWithBlock(id: number, block: Uint8Array, { flags = 0, priority = 0, version = 3 } = {}): void {
    const body = [...uint32(id), ...uint32(0), priority << 5, 0, ...block];
    this.add(control(SYN_STREAM, Uint8Array.from(body), { flags, version }));
  }

  data(id: number, text: string, flags = 0): void {
    const bytes = Buffer.from(text);
    this.add(uint32(id), uint32((flags << 24) | bytes.length), bytes);
  }

  reset(id: number, status = 5): void {
    this.add(control(RST_STREAM, Uint8Array.of(...uint32(id), ...uint32(status))));
  }

  /** Opens a connection as kubectl does. @returns what the echo will answer */
  connect(port: number, { close = this.#random.chance(0.3), priority = 0, flags = 0 } = {}): string {
    const request = this.nextRequest();
    const error = this.nextId();
    const data = this.nextId();
    this.open(error, streamHeaders("error", port, request), { priority });
    if (this.#random.chance(0.8)) this.data(error, "", FIN);
    this.open(data, streamHeaders("data", port, request), { priority, flags });
    return this.talk(data, port, close);
  }

  talk(data: number, port: number, close: boolean): string {
    if (port === CLOSED_PORT) return "";
    const text = port === ECHO_PORT ? this.token() : HTTP_REQUEST;
    this.data(data, text);
    if (close) this.data(data, "", FIN);
    else if (port === ECHO_PORT) this.echoes.push(data);
    return text;
  }

  /** An open connection to the echo, or a new one. */
  anEcho(): number {
    if (this.echoes.length === 0) this.connect(ECHO_PORT, { close: false });
    return this.#random.pick(this.echoes);
  }
}

const streamHeaders = (type: string, port: number | string, request: string): Headers => [
  ["port", String(port)],
  ["streamtype", type],
  ["requestid", request],
];

const servicePort = (random: Random) => random.pick([ECHO_PORT, HTTP_PORT]);

/** What kubectl might send, or a client that the kubelet serves like it. */
const VALID_STEPS: readonly (readonly [string, Step])[] = Object.entries({
  "an echo": (t) => t.connect(ECHO_PORT),
  "an HTTP request": (t) => t.connect(HTTP_PORT),
  "a closed port": (t) => t.connect(CLOSED_PORT),
  "more data": (t) => t.data(t.anEcho(), t.token()),
  "much data": (t, random) => t.data(t.anEcho(), "x".repeat(random.below(60_000))),
  "empty data": (t) => t.data(t.anEcho(), ""),
  "unknown flags of data": (t) => t.data(t.anEcho(), t.token(), 0xfe),
  "a request whose stream is reset": (t) => {
    t.connect(HTTP_PORT, { close: false });
    t.reset(t.nextId() - 2);
  },
  "a reset echo": (t) => t.reset(t.echoes.pop() ?? 99),
  "data after the end of a stream": (t) => {
    const id = t.anEcho();
    t.data(id, "", FIN);
    t.data(id, t.token());
    t.echoes.splice(t.echoes.indexOf(id), 1);
  },
  "a PING": (t) => t.ping(),
  SETTINGS: (t, random) => {
    const count = random.below(4);
    t.add(control(SETTINGS, Uint8Array.of(...uint32(count), ...new Array<number>(8 * count).fill(1))));
  },
  WINDOW_UPDATE: (t) => t.add(control(WINDOW_UPDATE, Uint8Array.of(...uint32(1), ...uint32(70_000)))),
  "a reset of an unknown stream": (t) => t.reset(9_999),
  "data on an unknown stream": (t) => t.data(9_999, t.token()),
  "a refused stream": (t, random) => {
    const id = t.nextId();
    const port = random.pick(["0", "+7", " 7", "7 ", "7,8080", "65536", "http", "0x7", "7_7", "", "７"]);
    t.open(id, streamHeaders("data", port, t.nextRequest()));
    t.data(id, t.token());
  },
  "a stream of an unknown type": (t, random) => {
    t.open(t.nextId(), streamHeaders(random.pick(["", "Data", "stdin"]), ECHO_PORT, t.nextRequest()));
  },
  "a stream without a type": (t) => t.open(t.nextId(), [["port", "7"]]),
  "an error stream alone": (t) => t.open(t.nextId(), streamHeaders("error", HTTP_PORT, t.nextRequest())),
  "a data stream alone": (t) => t.open(t.nextId(), streamHeaders("data", HTTP_PORT, t.nextRequest())),
  "a port in another spelling": (t, random) => {
    const request = t.nextRequest();
    const [error, data] = [t.nextId(), t.nextId()];
    const port = random.pick(["007", "0000000000000000000000000007", "7\x009", "7\0"]);
    t.open(error, streamHeaders("error", port, request));
    t.open(data, streamHeaders("data", port, request));
    t.talk(data, ECHO_PORT, false);
  },
  "the data stream first": (t, random) => {
    const request = t.nextRequest();
    const [data, error] = [t.nextId(), t.nextId()];
    const port = servicePort(random);
    t.open(data, streamHeaders("data", port, request));
    t.open(error, streamHeaders("error", port, request));
    t.talk(data, port, false);
  },
  "no requestid": (t, random) => {
    const [error, data] = [t.nextId(), t.nextId()];
    const port = servicePort(random);
    // Numbers of other requests are small.
    if (error < 40) return;
    t.open(error, streamHeaders("error", port, "").slice(0, 2));
    t.open(data, streamHeaders("data", port, "").slice(0, 2));
    t.talk(data, port, false);
  },
  "a jump of ids": (t, random) => {
    const jump = random.below(50);
    for (let n = 0; n < jump; n++) t.nextId();
  },
  "another header": (t, random) => {
    const request = t.nextRequest();
    const [error, data] = [t.nextId(), t.nextId()];
    const more: Headers = [["x-more", random.pick(["", "a", "a\0b", "é".repeat(100)])]];
    t.open(error, [...streamHeaders("error", ECHO_PORT, request), ...more]);
    t.open(data, [...more, ...streamHeaders("data", ECHO_PORT, request)]);
    t.talk(data, ECHO_PORT, false);
  },
  priorities: (t, random) => t.connect(servicePort(random), { priority: random.below(8) }),
  "unknown flags of a new stream": (t, random) => t.connect(servicePort(random), { flags: 0xfc }),
} satisfies Record<string, Step>);

/** What no kubectl sends, and what readers of SPDY may read in several ways. */
const ODD_STEPS: readonly (readonly [string, Step])[] = Object.entries({
  "frames inside a PING": (t, random) => {
    const hidden = t.apart(() => t.connect(servicePort(random)));
    t.add(control(PING, Uint8Array.of(...uint32(1), ...hidden)));
  },
  "frames inside a RST_STREAM": (t, random) => {
    const hidden = t.apart(() => t.connect(servicePort(random)));
    t.add(control(RST_STREAM, Uint8Array.of(...uint32(9_999), ...uint32(5), ...hidden)));
  },
  "frames inside SETTINGS": (t, random) => {
    const hidden = t.apart(() => t.connect(servicePort(random)));
    t.add(control(SETTINGS, Uint8Array.of(...uint32(0), ...hidden)));
  },
  "SETTINGS that swallow the head of a DATA frame around others": (t, random) => {
    const hidden = t.apart(() => t.connect(servicePort(random)));
    t.add(control(SETTINGS, uint32(1)), uint32(9_999), uint32(hidden.length), hidden);
  },
  "a PING whose length is 0": (t, random) => {
    t.add(control(PING, new Uint8Array(0)), uint32(1));
    t.connect(servicePort(random));
  },
  "a RST_STREAM whose length is 0": (t, random) => {
    t.add(control(RST_STREAM, new Uint8Array(0)), uint32(9_999), uint32(5));
    t.connect(servicePort(random));
  },
  "a RST_STREAM with status 0": (t) => t.reset(t.anEcho(), 0),
  "a RST_STREAM of stream 0": (t) => t.reset(0),
  "a RST_STREAM whose id has the high bit": (t) => {
    const id = t.anEcho();
    t.reset((id | 0x8000_0000) >>> 0);
    t.data(id, t.token());
  },
  "a PING with id 0": (t) => t.add(control(PING, uint32(0))),
  "a PING with flags": (t) => t.add(control(PING, uint32(1), { flags: 1 })),
  "a GOAWAY with flags": (t) => t.add(control(GOAWAY, new Uint8Array(8), { flags: 1 })),
  "a GOAWAY that is longer": (t) => t.add(control(GOAWAY, new Uint8Array(12))),
  "a WINDOW_UPDATE that is longer": (t) => t.add(control(WINDOW_UPDATE, new Uint8Array(12))),
  "another version": (t, random) => {
    const request = t.nextRequest();
    const [error, data] = [t.nextId(), t.nextId()];
    const port = servicePort(random);
    const version = random.pick([0, 2, 4, 255]);
    t.open(error, streamHeaders("error", port, request), { version });
    t.open(data, streamHeaders("data", port, request), { version });
    t.talk(data, port, false);
  },
  "an unknown type": (t, random) => {
    t.add(control(random.pick([0, 5, 10, 11, 200]), random.bytes(random.below(20))));
  },
  "the id of an open stream once more": (t) => {
    const id = t.anEcho();
    t.open(id, streamHeaders("data", HTTP_PORT, t.nextRequest()));
    t.data(id, t.token());
  },
  "an id that is too low": (t) => {
    t.connect(ECHO_PORT);
    t.open(1, streamHeaders("data", HTTP_PORT, t.nextRequest()));
  },
  "an id with the high bit": (t) => {
    const request = t.nextRequest();
    const [error, data] = [t.nextId(), t.nextId()];
    t.open((error | 0x8000_0000) >>> 0, streamHeaders("error", HTTP_PORT, request));
    t.open((data | 0x8000_0000) >>> 0, streamHeaders("data", HTTP_PORT, request));
    t.data(data, t.token());
  },
  "SYN_REPLY with FIN": (t) => {
    const id = t.anEcho();
    t.add(control(SYN_REPLY, Uint8Array.of(...uint32(id), ...t.block([])), { flags: FIN }));
    t.data(id, t.token());
  },
  "HEADERS with FIN": (t) => {
    const id = t.anEcho();
    t.add(control(HEADERS, Uint8Array.of(...uint32(id), ...t.block([])), { flags: FIN }));
    t.data(id, t.token());
  },
  "HEADERS on an unknown stream": (t) => t.add(control(HEADERS, Uint8Array.of(...uint32(9_998), ...t.block([])))),
  "a unidirectional stream": (t, random) => t.connect(servicePort(random), { flags: UNIDIRECTIONAL }),
  "a connection after GOAWAY": (t, random) => {
    t.add(control(GOAWAY, new Uint8Array(8)));
    t.connect(servicePort(random));
  },
  "headers for the next frame": (t) => {
    const request = t.nextRequest();
    const [error, data] = [t.nextId(), t.nextId()];
    const first = t.block(streamHeaders("error", HTTP_PORT, request));
    const second = t.block(streamHeaders("data", HTTP_PORT, request));
    t.openWithBlock(error, Uint8Array.of(...first, ...second));
    t.open(data, streamHeaders("data", CLOSED_PORT, request));
    t.data(data, HTTP_REQUEST);
  },
  "headers without a flush": (t) => {
    t.openWithBlock(t.nextId(), t.oddBlock(streamHeaders("data", HTTP_PORT, t.nextRequest())));
  },
  "the end of the zlib stream": (t) => {
    t.openWithBlock(t.nextId(), t.oddBlock(streamHeaders("data", HTTP_PORT, t.nextRequest()), { isLast: true }));
  },
  "an empty header block": (t) => t.openWithBlock(t.nextId(), new Uint8Array(0)),
  "a header name in upper case": (t) => {
    t.open(t.nextId(), [["Port", "8080"], ...streamHeaders("data", ECHO_PORT, t.nextRequest())]);
  },
  "a header name that is no token": (t, random) => {
    const request = t.nextRequest();
    const [error, data] = [t.nextId(), t.nextId()];
    const odd: Headers = [[random.pick(["po rt", "é", "port\0", "", "\uFEFFport"]), "9"]];
    t.open(error, [...odd, ...streamHeaders("error", ECHO_PORT, request)]);
    t.open(data, [...odd, ...streamHeaders("data", ECHO_PORT, request)]);
    t.talk(data, ECHO_PORT, false);
  },
  "a header twice": (t) => {
    const request = t.nextRequest();
    const [error, data] = [t.nextId(), t.nextId()];
    t.open(error, [["port", "7"], ...streamHeaders("error", HTTP_PORT, request)]);
    t.open(data, [["port", "7"], ...streamHeaders("data", HTTP_PORT, request)]);
    t.talk(data, ECHO_PORT, false);
  },
  "a forbidden header": (t, random) => {
    const name = random.pick(["host", "connection", "keep-alive", "transfer-encoding", "proxy-connection"]);
    t.open(t.nextId(), [[name, "a"], ...streamHeaders("data", ECHO_PORT, t.nextRequest())]);
  },
  "many headers": (t) => {
    const more = Array.from({ length: 100 }, (_, n): [string, string] => [`x-${n}`, ""]);
    t.open(t.nextId(), [...more, ...streamHeaders("data", ECHO_PORT, t.nextRequest())]);
  },
  "long headers": (t) => {
    t.open(t.nextId(), [["x", "x".repeat(10_000)], ...streamHeaders("data", ECHO_PORT, t.nextRequest())]);
  },
  "DATA of stream 0": (t) => t.data(0, t.token()),
  "streams for two ports with one requestid": (t) => {
    const request = t.nextRequest();
    const [error, data] = [t.nextId(), t.nextId()];
    t.open(error, streamHeaders("error", HTTP_PORT, request));
    t.open(data, streamHeaders("data", ECHO_PORT, request));
    t.talk(data, ECHO_PORT, false);
  },
  "a requestid twice": (t) => {
    const request = t.nextRequest();
    const [error, data, otherError, otherData] = [t.nextId(), t.nextId(), t.nextId(), t.nextId()];
    t.open(error, streamHeaders("error", ECHO_PORT, request));
    t.open(data, streamHeaders("data", ECHO_PORT, request));
    t.talk(data, ECHO_PORT, false);
    t.open(otherError, streamHeaders("error", HTTP_PORT, request));
    t.open(otherData, streamHeaders("data", HTTP_PORT, request));
    t.talk(otherData, HTTP_PORT, false);
  },
  "data on an error stream": (t) => {
    const id = t.nextId();
    t.open(id, streamHeaders("error", ECHO_PORT, t.nextRequest()));
    t.data(id, t.token());
  },
} satisfies Record<string, Step>);

function control(type: number, body: Uint8Array, { flags = 0, version = 3 } = {}): Uint8Array {
  const { length } = body;
  return Uint8Array.of(0x80, version, 0, type, flags, length >>> 16, length >>> 8, length, ...body);
}

function uint32(value: number): Uint8Array {
  return Uint8Array.of(value >>> 24, value >>> 16, value >>> 8, value);
}

function rawHeaders(headers: Headers): Uint8Array {
  const strings = headers.flat().map((text) => Buffer.from(text));
  return Uint8Array.of(...uint32(headers.length), ...strings.flatMap((text) => [...uint32(text.length), ...text]));
}

/** A stored block of DEFLATE, not the last. */
function stored(raw: Uint8Array): Uint8Array {
  const [low, high] = [raw.length & 0xff, raw.length >> 8];
  return Uint8Array.of(0, low, high, low ^ 0xff, high ^ 0xff, ...raw);
}

const flushed = (block: Uint8Array) => Uint8Array.of(...block, ...FLUSH);

/** Literals in DEFLATE's fixed code (RFC 1951, 3.2.6), and a flush. */
function withFixedCode(raw: Uint8Array): Uint8Array {
  const bits: number[] = [0, 1, 0];
  const code = (value: number, length: number) => {
    for (let bit = length - 1; bit >= 0; bit--) bits.push((value >> bit) & 1);
  };
  for (const byte of raw) byte < 144 ? code(0x30 + byte, 8) : code(0x190 + byte - 144, 9);
  code(0, 7);
  // The three bits that begin the flush.
  bits.push(0, 0, 0);
  while (bits.length % 8 !== 0) bits.push(0);
  const bytes = Array.from({ length: bits.length / 8 }, (_, at) =>
    bits.slice(8 * at, 8 * at + 8).reduce((byte, bit, place) => byte | (bit << place), 0),
  );
  return Uint8Array.of(...bytes, ...FLUSH.subarray(1));
}
