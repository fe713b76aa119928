/**
 * HTTP as bytes on both sides of the Worker, so that no client or server library corrects what is sent or
 * received.
 */
import { createHash } from "node:crypto";
import { connect, type Socket } from "node:net";
import { LoopbackServer } from "./loopback-server.ts";

const HEAD_END = "\r\n\r\n";
const WEBSOCKET_GUID = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
/** A close frame with the code 1000. */
const CLOSE_NORMALLY = Buffer.from([0x88, 0x02, 0x03, 0xe8]);
const ANSWER_TIMEOUT_MS = 60_000;

export interface RawAnswer {
  /** 0 if the connection was closed without an answer. */
  readonly status: number;
  /** Everything received, one character per byte. */
  readonly text: string;
}

/**
 * Sends bytes and reads one answer.
 *
 * @param bytes one character per byte
 * @param quiet if given, all answers are read, until none has come while `quiet()` was pending
 */
export function exchange(url: string, bytes: string, quiet?: () => Promise<void>): Promise<RawAnswer> {
  const { hostname, port } = new URL(url);
  return exchangeOn(connect(Number(port), hostname), bytes, quiet);
}

/** Does the same on a connection that is open, and closes it. */
export function exchangeOn(socket: Socket, bytes: string, quiet?: () => Promise<void>): Promise<RawAnswer> {
  const isHead = bytes.startsWith("HEAD ");
  return new Promise((resolve, reject) => {
    let text = "";
    const fail = (cause: unknown) => {
      clearTimeout(timer);
      socket.destroy();
      reject(new Error(`no answer to ${JSON.stringify(bytes.slice(0, 200))}`, { cause }));
    };
    const timer = setTimeout(() => fail("timeout"), ANSWER_TIMEOUT_MS);
    const done = () => {
      clearTimeout(timer);
      socket.destroy();
      resolve({ status: Number(/^HTTP\/1\.\d (\d{3})/.exec(text)?.[1] ?? 0), text });
    };
    socket.on("data", (chunk: Buffer) => {
      text += chunk.toString("latin1");
      if (quiet === undefined && isWhole(text, isHead)) done();
    });
    // A server that refuses early closes while this side still writes. Its answer has arrived by then.
    socket.on("error", () => {});
    socket.on("close", done);
    socket.write(Buffer.from(bytes, "latin1"));
    if (quiet !== undefined) waitUntilQuiet(() => text.length, quiet).then(done, fail);
  });
}

async function waitUntilQuiet(received: () => number, quiet: () => Promise<void>): Promise<void> {
  for (let before = -1; before !== received(); ) {
    before = received();
    await quiet();
  }
}

const QUIET_MS = 250;
const HEALTH_REQUEST = "GET /-/healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";

/**
 * For a Worker: resolves after it has answered other requests and some time has passed. On a busy machine
 * that takes as long as the answers that a test waits for.
 */
export function quietOf(url: string): () => Promise<void> {
  return async () => {
    for (let round = 0; round < 2; round++) await exchange(url, HEALTH_REQUEST);
    await new Promise((resolve) => setTimeout(resolve, QUIET_MS));
  };
}

function isWhole(text: string, isHead: boolean): boolean {
  const end = text.indexOf(HEAD_END);
  if (end < 0) return false;
  const head = text.slice(0, end);
  if (isHead || /^HTTP\/1\.\d (1|204|304)/.test(head)) return true;
  if (/^transfer-encoding: *chunked/im.test(head)) return chunksEnd(text, end + HEAD_END.length) !== undefined;
  const length = /^content-length: *(\d+)/im.exec(head)?.[1];
  return length !== undefined && text.length >= end + HEAD_END.length + Number(length);
}

/** A request as received. */
export interface Arrived {
  readonly requestLine: string;
  readonly lines: readonly (readonly [name: string, value: string])[];
  /** Everything after the head, undecoded. */
  readonly body: string;
  /** What followed the request on the connection: a smuggled request. */
  readonly surplus: string;
}

/**
 * A fake cluster that keeps what it receives. It answers 404, and accepts upgrades only to close them at
 * once.
 */
export class CapturingUpstream extends LoopbackServer {
  readonly #connections: Buffer[][] = [];

  /** The first request of each connection that has sent anything. */
  get arrived(): Arrived[] {
    return this.#connections
      .map((chunks) => Buffer.concat(chunks).toString("latin1"))
      .filter((text) => text !== "")
      .map(readRequest);
  }

  protected override accept(socket: Socket): void {
    const chunks: Buffer[] = [];
    this.#connections.push(chunks);
    let isAnswered = false;
    socket.on("data", (chunk: Buffer) => {
      // What follows an upgrade is frames.
      if (isAnswered && isUpgrade(chunks)) return;
      chunks.push(chunk);
      const text = Buffer.concat(chunks).toString("latin1");
      if (isAnswered || bodyEnd(text) === undefined) return;
      isAnswered = true;
      answer(socket, readRequest(text));
    });
  }
}

function isUpgrade(chunks: readonly Buffer[]): boolean {
  return /^upgrade:/im.test(Buffer.concat(chunks).toString("latin1"));
}

function answer(socket: Socket, { lines }: Arrived): void {
  const key = lines.find(([name]) => name.toLowerCase() === "sec-websocket-key")?.[1];
  if (key === undefined) {
    socket.end("HTTP/1.1 404 Not Found\r\nContent-Type: text/plain\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
    return;
  }
  const accept = createHash("sha1").update(`${key}${WEBSOCKET_GUID}`).digest("base64");
  socket.write(
    `HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: ${accept}\r\n\r\n`,
  );
  socket.end(CLOSE_NORMALLY);
}

function readRequest(text: string): Arrived {
  const headEnd = text.indexOf(HEAD_END);
  const [requestLine = "", ...lines] = text.slice(0, headEnd < 0 ? undefined : headEnd).split("\r\n");
  const end = bodyEnd(text) ?? text.length;
  return {
    requestLine,
    lines: lines.map((line) => {
      const colon = line.indexOf(":");
      return [line.slice(0, colon), line.slice(colon + 1).trim()] as const;
    }),
    body: headEnd < 0 ? "" : text.slice(headEnd + HEAD_END.length, end),
    surplus: text.slice(end),
  };
}

/** Where the request ends; undefined until it is complete. */
function bodyEnd(text: string): number | undefined {
  const headEnd = text.indexOf(HEAD_END);
  if (headEnd < 0) return undefined;
  const head = text.slice(0, headEnd);
  const start = headEnd + HEAD_END.length;
  if (/^transfer-encoding:/im.test(head)) return chunksEnd(text, start);
  const end = start + Number(/^content-length: *(\d+)/im.exec(head)?.[1] ?? 0);
  return text.length < end ? undefined : end;
}

function chunksEnd(text: string, start: number): number | undefined {
  for (let at = start; ; ) {
    const line = text.indexOf("\r\n", at);
    if (line < 0) return undefined;
    const size = Number.parseInt(text.slice(at, line), 16);
    at = line + 2 + size + 2;
    if (text.length < at) return undefined;
    if (size === 0) return at;
  }
}
