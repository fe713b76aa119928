import type { IncomingMessage, ServerResponse } from "node:http";
import { acceptWebSocket, offeredProtocols, type Upgrade } from "../sessions/websocket.ts";
import { badRequest } from "./status.ts";
import type { WatchSink } from "./watch.ts";

/** Events as lines of the response body. */
export function responseSink(response: ServerResponse): WatchSink {
  response.writeHead(200, { "content-type": "application/json" });
  response.flushHeaders();
  return {
    write: (line) => void response.write(line),
    bufferedBytes: () => response.writableLength,
    end: () => void response.end(),
    onClose: (listener) => void response.once("close", listener),
  };
}

/**
 * @returns the subprotocol of a watch by WebSocket: the one that the client offers, or none; throws 400 for
 *   several
 */
export function watchProtocol(request: IncomingMessage): string {
  const [first = "", second] = offeredProtocols(request);
  if (second !== undefined) throw badRequest("a watch takes at most one WebSocket subprotocol");
  return first;
}

/** Events as text messages of a WebSocket, which Headlamp uses. */
export async function webSocketSink(request: IncomingMessage, upgrade: Upgrade, protocol: string): Promise<WatchSink> {
  const socket = await acceptWebSocket(request, upgrade, protocol);
  return {
    write: (line) => socket.send(line),
    bufferedBytes: () => socket.bufferedAmount,
    end: () => socket.close(1000),
    onClose: (listener) => void socket.once("close", listener),
  };
}
