/** The opening handshake of a WebSocket over a new TCP connection, and no more of it than has to be. */
import { concatBytes } from "../../common/bytes.ts";
import { headerList } from "../../common/header-list.ts";
import {
  acceptFor,
  checkUpgrade,
  encodeKey,
  encodeRequest,
  findHeadEnd,
  parseHead,
} from "../../durable/websocket/handshake.ts";

const READ_BYTES = 16 * 1024;
const PROTOCOL_HEADER = "Sec-WebSocket-Protocol";

export interface OpenWebSocket {
  readonly stream: Socket;
  readonly reader: ReadableStreamBYOBReader;
  readonly writer: WritableStreamDefaultWriter<Uint8Array>;
  /** What arrived behind the handshake's answer. */
  readonly early: Uint8Array;
  readonly subprotocol: string;
}

/** @throws where the cluster does not accept */
export async function openWebSocket(stream: Socket, target: string, headers: Headers): Promise<OpenWebSocket> {
  const key = encodeKey(crypto.getRandomValues(new Uint8Array(16)));
  const request = encodeRequest(target, "localhost", headers, key);
  if (!request) throw new Error("the request cannot be written in HTTP/1.1");
  const writer: WritableStreamDefaultWriter<Uint8Array> = stream.writable.getWriter();
  const reader = stream.readable.getReader({ mode: "byob" });
  await writer.write(request);
  for (let received = new Uint8Array(0); ; ) {
    const { value, done } = await reader.read(new Uint8Array(READ_BYTES));
    if (done) throw new Error("the connection ended without an answer");
    received = concatBytes([received, value]);
    const end = findHeadEnd(received);
    if (end === undefined) continue;
    const head = parseHead(received.subarray(0, end));
    if (!head.ok) throw new Error(head.error);
    const upgraded = checkUpgrade(head.value, await acceptFor(key), headerList(headers.get(PROTOCOL_HEADER)));
    if (!upgraded.ok) throw new Error(upgraded.error);
    return { stream, reader, writer, early: received.subarray(end), subprotocol: upgraded.value };
  }
}
