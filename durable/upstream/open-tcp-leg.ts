import { BoundedBuffer } from "../../common/bounded-buffer.ts";
import { headerList } from "../../common/header-list.ts";
import { err, ok, type Result } from "../../common/result.ts";
import { ChunkedBody } from "../websocket/chunked-body.ts";
import {
  acceptFor,
  bodyFraming,
  checkUpgrade,
  encodeKey,
  encodeRequest,
  findHeadEnd,
  MAX_HEAD_BYTES,
  parseHead,
  type ResponseHead,
} from "../websocket/handshake.ts";
import { type ByteStream, TcpLeg } from "./tcp-leg.ts";

const KEY_BYTES = 16;
const READ_BYTES = 16 * 1024;
/** RFC 9110, section 15.2: any number of interim answers may come before the answer. So many never do. */
const MAX_INTERIM_ANSWERS = 16;
/** What a chunked body may have beside its data, for each byte that is wanted of it. */
const MAX_CHUNKING_RATIO = 8;

/** The upgrade that is asked of the cluster. */
export interface UpgradeRequest {
  /** Path and query as they go on the wire. */
  readonly target: string;
  readonly host: string;
  /** A line for each pair. */
  readonly headers: Iterable<readonly [string, string]>;
}

export type UpgradeFailure =
  /** The cluster's own answer, as far as it is read. */
  | {
      readonly kind: "refused";
      readonly status: number;
      readonly contentType: string | undefined;
      readonly body: Uint8Array;
    }
  /** The connection ended before there was an answer: behind a tunnel that is how "nobody listens" looks. */
  | { readonly kind: "unreachable" }
  /** What came is no answer to this request. */
  | { readonly kind: "invalid"; readonly detail: string };

/**
 * Speaks the client's half of the opening handshake on a new connection.
 *
 * @param maxBodyBytes how much of a refusal's body is read
 * @param signal gives up; it has no effect on an opened leg
 * @returns the leg, or why there is none; then the connection is closed
 * @throws what the stream throws when it breaks, and the signal's reason
 */
export async function openTcpLeg(
  stream: ByteStream,
  { target, host, headers }: UpgradeRequest,
  maxBodyBytes: number,
  signal?: AbortSignal,
): Promise<Result<TcpLeg, UpgradeFailure>> {
  const key = encodeKey(crypto.getRandomValues(new Uint8Array(KEY_BYTES)));
  const request = encodeRequest(target, host, headers, key);
  if (!request) {
    await close(stream);
    return err({ kind: "invalid", detail: "the request cannot be written in HTTP/1.1" });
  }
  const writer = stream.writable.getWriter();
  const reader = stream.readable.getReader({ mode: "byob" });
  // A closed connection alone tells a server that reads no more nothing.
  const giveUpNow = () => {
    void reader.cancel().catch(() => {});
    void close(stream);
  };
  signal?.addEventListener("abort", giveUpNow);
  try {
    signal?.throwIfAborted();
    await writer.write(request);
    const answer = await readHead(reader);
    // The end of the stream is then of our own making.
    signal?.throwIfAborted();
    if (!answer.ok) return await giveUp(stream, answer.error);
    const { head, rest } = answer.value;
    if (head.status === 101) {
      const upgraded = checkUpgrade(head, await acceptFor(key), offeredProtocols(headers));
      return upgraded.ok
        ? ok(new TcpLeg(stream, reader, writer, rest, upgraded.value))
        : await giveUp(stream, { kind: "invalid", detail: upgraded.error });
    }
    const body = await readBody(reader, head, rest, maxBodyBytes);
    return await giveUp(stream, {
      kind: "refused",
      status: head.status,
      contentType: head.headers.get("content-type"),
      body,
    });
  } catch (error) {
    await close(stream);
    signal?.throwIfAborted();
    throw error;
  } finally {
    signal?.removeEventListener("abort", giveUpNow);
  }
}

/**
 * In the order of the header; RFC 6455, section 11.3.4 lets it be repeated, which Headers joins by commas.
 */
function offeredProtocols(headers: Iterable<readonly [string, string]>): string[] {
  return [...headers]
    .filter(([name]) => name.toLowerCase() === "sec-websocket-protocol")
    .flatMap(([, value]) => headerList(value));
}

async function giveUp(stream: ByteStream, failure: UpgradeFailure): Promise<Result<TcpLeg, UpgradeFailure>> {
  await close(stream);
  return err(failure);
}

async function close(stream: ByteStream): Promise<void> {
  await stream.close().catch(() => {});
}

interface Answer {
  readonly head: ResponseHead;
  /** What arrived behind the head. */
  readonly rest: Uint8Array;
}

async function readHead(reader: ReadableStreamBYOBReader): Promise<Result<Answer, UpgradeFailure>> {
  const received = new BoundedBuffer(MAX_HEAD_BYTES + READ_BYTES);
  let interimAnswers = 0;
  let searchedBytes = 0;
  for await (const piece of readPieces(reader)) {
    received.add(piece);
    for (;;) {
      const end = findHeadEnd(received.bytes.subarray(0, MAX_HEAD_BYTES), searchedBytes);
      searchedBytes = received.length;
      if (end === undefined) break;
      const parsed = parseHead(received.bytes.subarray(0, end));
      if (!parsed.ok) return err({ kind: "invalid", detail: parsed.error });
      const rest = received.take().slice(end);
      const { status } = parsed.value;
      if (status >= 200 || status === 101) return ok({ head: parsed.value, rest });
      if (++interimAnswers > MAX_INTERIM_ANSWERS) return err({ kind: "invalid", detail: "it sent too many heads" });
      received.add(rest);
      searchedBytes = 0;
    }
    if (received.length >= MAX_HEAD_BYTES) return err({ kind: "invalid", detail: "its head is too long" });
  }
  return err(received.length === 0 ? { kind: "unreachable" } : { kind: "invalid", detail: "its head is cut off" });
}

/**
 * @returns at most `maxBytes` of the body; what the framing promises and the connection does not bring is
 * missing
 */
async function readBody(
  reader: ReadableStreamBYOBReader,
  head: ResponseHead,
  early: Uint8Array,
  maxBytes: number,
): Promise<Uint8Array> {
  const framing = bodyFraming(head);
  const chunks = framing.kind === "chunked" ? new ChunkedBody() : undefined;
  const wantedBytes = framing.kind === "length" ? Math.min(framing.bytes, maxBytes) : maxBytes;
  const body = new BoundedBuffer(wantedBytes);
  let receivedBytes = 0;
  const isWhole = (piece: Uint8Array) => {
    for (const data of chunks?.push(piece) ?? [piece]) body.add(data.subarray(0, wantedBytes - body.length));
    receivedBytes += piece.length;
    return body.length === wantedBytes || chunks?.isComplete || receivedBytes > wantedBytes * MAX_CHUNKING_RATIO;
  };
  if (isWhole(early)) return body.take();
  for await (const piece of readPieces(reader)) if (isWhole(piece)) break;
  return body.take();
}

/** @returns what arrives, in views that are valid until the next one is asked for */
async function* readPieces(reader: ReadableStreamBYOBReader): AsyncGenerator<Uint8Array> {
  for (let buffer = new ArrayBuffer(READ_BYTES); ; ) {
    const { value, done } = await reader.read(new Uint8Array(buffer));
    if (value && value.length > 0) yield value;
    if (done) return;
    buffer = value.buffer;
  }
}
