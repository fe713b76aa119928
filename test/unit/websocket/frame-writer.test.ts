import { once } from "node:events";
import { type AddressInfo, connect } from "node:net";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type RawData, type WebSocket, WebSocketServer } from "ws";
import {
  clientFrameBytes,
  closePayload,
  encodeClientFrame,
  writeClientFrame,
} from "../../../durable/websocket/frame-writer.ts";
import {
  acceptFor,
  checkUpgrade,
  encodeKey,
  encodeRequest,
  findHeadEnd,
  parseHead,
} from "../../../durable/websocket/handshake.ts";
import { Opcode } from "../../../durable/websocket/protocol.ts";

/** The peer is an implementation of its own: ws, strict in what a client must do. */
describe("what is written is read by another implementation", () => {
  let server: WebSocketServer;
  beforeAll(async () => {
    server = new WebSocketServer({ host: "127.0.0.1", port: 0, perMessageDeflate: false });
    await once(server, "listening");
  });
  afterAll(() => void server.close());

  async function open(): Promise<{ socket: ReturnType<typeof connect>; peer: WebSocket }> {
    const accepted = once(server, "connection") as Promise<[WebSocket]>;
    const { port } = server.address() as AddressInfo;
    const socket = connect(port, "127.0.0.1");
    const key = encodeKey(crypto.getRandomValues(new Uint8Array(16)));
    const request = encodeRequest(
      "/x?y=1",
      `127.0.0.1:${port}`,
      [["Sec-WebSocket-Protocol", "v5.channel.k8s.io"]],
      key,
    );
    if (!request) throw new Error("no request");
    socket.write(request);
    const [answer] = (await once(socket, "data")) as [Buffer];
    const head = parseHead(Uint8Array.from(answer.subarray(0, findHeadEnd(answer))));
    if (!head.ok) throw new Error(head.error);
    expect(checkUpgrade(head.value, await acceptFor(key), ["v5.channel.k8s.io"])).toEqual({
      ok: true,
      value: "v5.channel.k8s.io",
    });
    return { socket, peer: (await accepted)[0] };
  }

  it.each([0, 1, 2, 3, 4, 5, 125, 126, 127, 65_535, 65_536, 300_001])("a payload of %i bytes", async (length) => {
    const { socket, peer } = await open();
    const payload = Uint8Array.from({ length }, (_, at) => (at * 31) % 251);
    const received = once(peer, "message") as Promise<[RawData, boolean]>;
    socket.write(encodeClientFrame(Opcode.binary, payload, crypto.getRandomValues(new Uint8Array(4))));
    const [data, isBinary] = await received;
    expect(isBinary).toBe(true);
    expect(Buffer.compare(data as Buffer, Buffer.from(payload))).toBe(0);
    socket.destroy();
  });

  it("text, a ping, and a close with its code and reason", async () => {
    const { socket, peer } = await open();
    const mask = () => crypto.getRandomValues(new Uint8Array(4));
    const text = once(peer, "message") as Promise<[RawData, boolean]>;
    socket.write(encodeClientFrame(Opcode.text, new TextEncoder().encode("grüß"), mask()));
    expect(await text).toEqual([Buffer.from("grüß"), false]);
    const ping = once(peer, "ping") as Promise<[Buffer]>;
    socket.write(encodeClientFrame(Opcode.ping, Uint8Array.of(1, 2), mask()));
    expect(await ping).toEqual([Buffer.of(1, 2)]);
    const closed = once(peer, "close") as Promise<[number, Buffer]>;
    socket.write(encodeClientFrame(Opcode.close, closePayload(1001, "going away"), mask()));
    expect(await closed).toEqual([1001, Buffer.from("going away")]);
    socket.destroy();
  });
});

it("does not change what it is given", () => {
  const payload = Uint8Array.of(1, 2, 3);
  encodeClientFrame(Opcode.binary, payload, Uint8Array.of(9, 9, 9, 9));
  expect(payload).toEqual(Uint8Array.of(1, 2, 3));
});

it("writes a frame anywhere in a buffer, masked byte by byte as section 5.3 says, and nothing beside it", () => {
  const mask = Uint8Array.of(0x91, 0x02, 0xa3, 0x74);
  // Every place of a payload within a word of 8 bytes, and every length up to two rounds of four words.
  const lengths = [...Array.from({ length: 81 }, (_, length) => length), 125, 126, 200, 1_001];
  for (let at = 0; at < 8; at++) {
    for (const length of lengths) {
      const payload = Uint8Array.from({ length }, (_, index) => (index * 31) % 251);
      const end = at + clientFrameBytes(length);
      // A view that begins anywhere, too.
      const target = new Uint8Array(new ArrayBuffer(1 + end + 8), 1).fill(0xee);
      writeClientFrame(target, at, Opcode.binary, payload, mask);
      const expected = payload.map((byte, index) => byte ^ (mask[index % 4] ?? 0));
      expect(target.subarray(end - length, end)).toEqual(expected);
      expect(target.subarray(end - length - 4, end - length)).toEqual(mask);
      expect([...target.subarray(0, at), ...target.subarray(end)]).toEqual(Array(at + 8).fill(0xee));
    }
  }
});
