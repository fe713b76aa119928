import { once } from "node:events";
import { type AddressInfo, connect, createServer, type Server, type Socket } from "node:net";
import { Duplex } from "node:stream";
import { afterEach, describe, expect, it, vi } from "vitest";
import { WebSocketServer } from "ws";
import type { MessagePart } from "../../../durable/protocols/framing.ts";
import type { LegClose } from "../../../durable/upstream/leg.ts";
import { openTcpLeg } from "../../../durable/upstream/open-tcp-leg.ts";
import { type ByteStream, TcpLeg } from "../../../durable/upstream/tcp-leg.ts";
import { serverFrame } from "../../support/websocket-frames.ts";

const PROTOCOL = "v5.channel.k8s.io";
const MAX_BODY_BYTES = 1_000;
/** A message at which the receiver fails. */
const FATAL = "fatal";
const cleanups: (() => void)[] = [];

afterEach(() => {
  for (const cleanup of cleanups.splice(0)) cleanup();
});

async function listen(server: Server): Promise<number> {
  const sockets = new Set<Socket>();
  server.on("connection", (socket) => {
    sockets.add(socket);
    socket.on("error", () => {});
  });
  server.listen(0, "127.0.0.1");
  cleanups.push(() => {
    server.close();
    for (const socket of sockets) socket.destroy();
  });
  await once(server, "listening");
  return (server.address() as AddressInfo).port;
}

/** A connection as `connect()` of the platform gives it. */
function byteStream(port: number): { stream: ByteStream; socket: Socket } {
  const socket = connect({ port, host: "127.0.0.1", allowHalfOpen: true });
  socket.on("error", () => {});
  cleanups.push(() => socket.destroy());
  const { readable, writable } = Duplex.toWeb(socket, { readableType: "bytes" } as never);
  const stream = { readable, writable, close: async () => void socket.destroy() } as unknown as ByteStream;
  return { stream, socket };
}

function open(port: number) {
  const headers = new Headers({ "Sec-WebSocket-Protocol": PROTOCOL, "Impersonate-User": "alice@example.com" });
  return openTcpLeg(
    byteStream(port).stream,
    { target: "/exec?command=sh", host: "localhost", headers },
    MAX_BODY_BYTES,
  );
}

/** A server that answers whatever it is asked with these bytes. */
function answering(...pieces: string[]): Promise<number> {
  return listen(
    createServer((socket) => {
      socket.once("data", () => {
        for (const piece of pieces) socket.write(Buffer.from(piece, "latin1"));
        socket.end();
      });
    }),
  );
}

/** A WebSocket server, and what a test does with each connection. */
async function webSocketServer(onConnection: (socket: Socket) => void, before = ""): Promise<number> {
  const server = createServer();
  const { createHash } = await import("node:crypto");
  server.on("connection", (socket) => {
    socket.once("data", (request) => {
      const key = /Sec-WebSocket-Key: (.*)\r/.exec(request.toString())?.[1] ?? "";
      const accept = createHash("sha1").update(`${key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`).digest("base64");
      socket.write(
        `${before}HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: ${accept}\r\nSec-WebSocket-Protocol: ${PROTOCOL}\r\n\r\n`,
      );
      onConnection(socket);
    });
  });
  return listen(server);
}

/** Collects what a leg delivers. */
function collect(leg: TcpLeg) {
  const messages: string[] = [];
  let text = "";
  let room: Promise<void> | undefined;
  const closes: LegClose[] = [];
  const failures: unknown[] = [];
  leg.start({
    onPart({ bytes, isFirst, isLast }: MessagePart) {
      text = (isFirst ? "" : text) + Buffer.from(bytes).toString("latin1");
      if (text === FATAL) throw new RangeError("a bug");
      if (isLast) messages.push(text);
    },
    onPause() {},
    onPong: (payload) => messages.push(`(pong ${payload})`),
    onClose: (close) => closes.push(close),
    onFailure: (error) => failures.push(error),
    whenRoom: () => room,
  });
  return {
    messages,
    closes,
    failures,
    hold() {
      let release = () => {};
      room = new Promise((resolve) => {
        release = () => {
          room = undefined;
          resolve();
        };
      });
      return () => release();
    },
  };
}

async function opened(port: number): Promise<TcpLeg> {
  const leg = await open(port);
  if (!leg.ok) throw new Error(JSON.stringify(leg.error));
  return leg.value;
}

describe("the handshake over TCP", () => {
  it("is one that a WebSocket server takes, and messages go both ways", async () => {
    const wss = new WebSocketServer({ host: "127.0.0.1", port: 0, handleProtocols: () => PROTOCOL });
    await once(wss, "listening");
    cleanups.push(() => wss.close());
    wss.on("connection", (socket, request) => {
      socket.send(
        `${request.url} ${request.headers["impersonate-user"]} ${request.headers["sec-websocket-extensions"]}`,
      );
      socket.on("message", (data, isBinary) => socket.send(data, { binary: isBinary }));
    });
    const leg = await opened((wss.address() as AddressInfo).port);
    expect(leg.subprotocol).toBe(PROTOCOL);
    const { messages, closes } = collect(leg);
    const large = Uint8Array.from({ length: 300_000 }, (_, at) => at % 256);
    leg.send("text");
    leg.send(large);
    leg.ping(Uint8Array.of(1, 2));
    expect(leg.sentBytes).toBe(300_004);
    await vi.waitFor(() => expect(messages).toHaveLength(4));
    expect(messages.toSorted((one, other) => one.length - other.length)).toEqual([
      "text",
      "(pong 1,2)",
      "/exec?command=sh alice@example.com undefined",
      Buffer.from(large).toString("latin1"),
    ]);
    await vi.waitFor(() => expect(leg.unsentBytes).toBe(0));
    leg.close(1001, "done");
    await vi.waitFor(() => expect(closes).toEqual([{ code: 1001, reason: "done" }]));
  });

  it.each<[string, string[], object]>([
    [
      "a Status with its length",
      ["HTTP/1.1 403 Forbidden\r\nContent-Type: application/json\r\nContent-Length: 13\r\n\r\n", '{"code": 403}'],
      { kind: "refused", status: 403, contentType: "application/json", body: '{"code": 403}' },
    ],
    [
      "a body in chunks, after an interim answer",
      [
        "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 404 Not Found\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nno p",
        "\r\n2\r\nod\r\n0\r\n\r\n",
      ],
      { kind: "refused", status: 404, contentType: undefined, body: "no pod" },
    ],
    [
      "a body in chunks of a byte, up to what is wanted",
      [
        "HTTP/1.1 404 Not Found\r\nTransfer-Encoding: chunked\r\n\r\n",
        ...("1\r\nx\r\n".repeat(1_200).match(/.{1,7}/gs) ?? []),
      ],
      { kind: "refused", status: 404, contentType: undefined, body: "x".repeat(MAX_BODY_BYTES) },
    ],
    [
      "a body of chunks that are hardly any data",
      [`HTTP/1.1 404 Not Found\r\nTransfer-Encoding: chunked\r\n\r\n${`1;${"e".repeat(200)}\r\nx\r\n`.repeat(1_000)}`],
      { kind: "refused", status: 404, contentType: undefined, body: expect.stringMatching(/^x{10,200}$/) },
    ],
    [
      "nothing but interim answers",
      ["HTTP/1.1 102 Processing\r\n\r\n".repeat(100)],
      { kind: "invalid", detail: "it sent too many heads" },
    ],
    [
      "a body that ends with the connection",
      ["HTTP/1.0 502 Bad Gateway\r\n\r\nnobody", " there"],
      { kind: "refused", status: 502, contentType: undefined, body: "nobody there" },
    ],
    [
      "no body",
      ["HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n"],
      { kind: "refused", status: 400, contentType: undefined, body: "" },
    ],
    [
      "a body longer than anybody wants",
      [`HTTP/1.1 500 Oops\r\nContent-Length: 5000\r\n\r\n${"x".repeat(5_000)}`],
      { kind: "refused", status: 500, contentType: undefined, body: "x".repeat(MAX_BODY_BYTES) },
    ],
    [
      "success without an upgrade",
      ["HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"],
      { kind: "refused", status: 200, contentType: undefined, body: "ok" },
    ],
    ["nothing", [], { kind: "unreachable" }],
    ["half a head", ["HTTP/1.1 101 Switch"], { kind: "invalid", detail: "its head is cut off" }],
    ["another protocol", ["SSH-2.0-x\r\n\r\n"], { kind: "invalid", detail: "its status line is not HTTP/1.1" }],
    [
      "a head without end",
      [`HTTP/1.1 101 X\r\nX: ${"y".repeat(40_000)}`],
      { kind: "invalid", detail: "its head is too long" },
    ],
    [
      "an upgrade for another key",
      [
        "HTTP/1.1 101 X\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n",
      ],
      { kind: "invalid", detail: "its Sec-WebSocket-Accept does not fit the key" },
    ],
  ])("tells of %s", async (_, pieces, expected) => {
    const result = await open(await answering(...pieces));
    if (result.ok) throw new Error("opened");
    const { error } = result;
    expect(error.kind === "refused" ? { ...error, body: Buffer.from(error.body).toString() } : error).toEqual(expected);
  });

  it("takes an answer that comes in one packet with an interim one", async () => {
    const port = await webSocketServer(() => {}, "HTTP/1.1 103 Early Hints\r\n\r\n");
    const leg = await opened(port);
    expect(leg.subprotocol).toBe(PROTOCOL);
  });

  it.each(["999", "600", "099"])("takes no status %s, which no answer can have", async (status) => {
    const opening = await open(await answering(`HTTP/1.1 ${status} Odd\r\n\r\n`));
    expect(opening).toMatchObject({ ok: false, error: { kind: "invalid" } });
  });

  it("reads what comes in one packet with the answer", async () => {
    const port = await webSocketServer((socket) => {
      socket.cork();
      socket.write(serverFrame(2, "first"));
      socket.uncork();
    });
    const { messages } = collect(await opened(port));
    await vi.waitFor(() => expect(messages).toEqual(["first"]));
  });
});

describe("a leg over TCP", () => {
  it("answers a ping with its payload, between fragments too", async () => {
    let received = Buffer.alloc(0);
    const port = await webSocketServer((socket) => {
      socket.on("data", (data) => {
        received = Buffer.concat([received, data]);
      });
      socket.write(serverFrame(2, "ab", { fin: false }));
      socket.write(serverFrame(9, "p"));
      socket.write(serverFrame(0, "c"));
    });
    const { messages } = collect(await opened(port));
    await vi.waitFor(() => expect(messages).toEqual(["abc"]));
    await vi.waitFor(() => expect(received.length).toBe(7));
    expect(received[0]).toBe(0x8a);
    expect((received[6] ?? 0) ^ (received[2] ?? 0)).toBe("p".charCodeAt(0));
  });

  it("masks each frame with another random key, which nobody can choose or know before", async () => {
    const MESSAGES = 64;
    const wire: Buffer[] = [];
    const port = await webSocketServer((socket) => socket.on("data", (data) => wire.push(data)));
    const leg = await opened(port);
    collect(leg);
    const message = new Uint8Array(16);
    for (let count = 0; count < MESSAGES; count++) leg.send(message);
    const frameBytes = 2 + 4 + message.length;
    await vi.waitFor(() => expect(Buffer.concat(wire).length).toBe(MESSAGES * frameBytes));
    const frames = Array.from({ length: MESSAGES }, (_, frame) =>
      Buffer.concat(wire).subarray(frame * frameBytes, (frame + 1) * frameBytes),
    );
    expect(frames.every((frame) => frame.readUInt16BE(0) === (0x8280 | message.length))).toBe(true);
    const masks = frames.map((frame) => frame.subarray(2, 6).toString("hex"));
    expect(new Set(masks).size).toBe(MESSAGES);
    // Of zeros the mask is all that is seen.
    expect(frames.map((frame) => frame.subarray(6).toString("hex"))).toEqual(masks.map((mask) => mask.repeat(4)));
  });

  it("answers a flood of pings with few pongs, the last of which answers them all", async () => {
    const frames: Buffer[] = [];
    const port = await webSocketServer((socket) => {
      socket.on("data", (bytes) => frames.push(bytes));
      const pings = Array.from({ length: 50_000 }, (_, index) => serverFrame(9, `${index}`));
      socket.write(Buffer.concat(pings));
    });
    const leg = await opened(port);
    collect(leg);
    const lastPayload = () => {
      const pong = Buffer.concat(frames).subarray(-9);
      const [mask, payload] = [pong.subarray(0, 4), pong.subarray(4)];
      return Buffer.from(payload.map((byte, index) => byte ^ (mask[index % 4] ?? 0))).toString();
    };
    await vi.waitFor(() => expect(lastPayload()).toBe("49999"), { timeout: 60_000 });
    // A pong has at most 11 bytes: far fewer than pings have come.
    expect(Buffer.concat(frames).length / 11).toBeLessThan(5_000);
    leg.abort();
  });

  it("drops what was not sent yet when it is aborted", async () => {
    const port = await webSocketServer((socket) => void socket.pause());
    const leg = await opened(port);
    collect(leg);
    for (let index = 0; index < 64; index++) leg.send(new Uint8Array(1024 * 1024));
    expect(leg.unsentBytes).toBeGreaterThan(60 * 1024 * 1024);
    leg.abort();
    expect(leg.unsentBytes).toBeLessThanOrEqual(2 * 1024 * 1024);
  });

  it("says 1006 when the connection ends without a close frame, in a message or not", async () => {
    for (const frame of [serverFrame(2, "whole"), serverFrame(2, "cut off").subarray(0, 5)]) {
      const port = await webSocketServer((socket) => socket.end(frame));
      const { closes } = collect(await opened(port));
      await vi.waitFor(() => expect(closes).toEqual([{ code: 1006, reason: "" }]));
    }
  });

  it("says how the cluster closed, and answers with the same code", async () => {
    const sent: Buffer[] = [];
    const port = await webSocketServer((socket) => {
      socket.on("data", (data) => sent.push(data));
      socket.write(serverFrame(8, "\x0f\xa0enough"));
    });
    const { closes } = collect(await opened(port));
    await vi.waitFor(() => expect(closes).toEqual([{ code: 4000, reason: "enough" }]));
    await vi.waitFor(() => expect(Buffer.concat(sent)[0]).toBe(0x88));
  });

  it("ends a peer that breaks the protocol, and says which rule", async () => {
    const port = await webSocketServer((socket) => socket.write(Buffer.of(0xc2, 0)));
    const { closes } = collect(await opened(port));
    await vi.waitFor(() =>
      expect(closes).toEqual([
        { code: 1006, reason: "the cluster broke the WebSocket protocol: a reserved bit is set" },
      ]),
    );
  });

  it("reads nothing while its receiver has no room, and everything once it has", async () => {
    const total = 40 * 1024 * 1024;
    let server: Socket | undefined;
    const port = await webSocketServer((socket) => {
      server = socket;
      const frame = serverFrame(2, "x".repeat(65_536));
      for (let sent = 0; sent < total; sent += 65_536) socket.write(frame);
    });
    const leg = await opened(port);
    const received = collect(leg);
    const release = received.hold();
    await vi.waitFor(() => expect(server?.writableLength).toBeGreaterThan(total / 2));
    const before = received.messages.length;
    expect(before).toBeLessThanOrEqual(4);
    release();
    await vi.waitFor(() => expect(received.messages).toHaveLength(total / 65_536), { timeout: 10_000 });
  });

  it("counts what the cluster has not taken, and is cut at once when aborted", async () => {
    const port = await webSocketServer((socket) => socket.pause());
    const leg = await opened(port);
    const { closes } = collect(leg);
    const block = new Uint8Array(1024 * 1024);
    for (let n = 0; n < 32; n++) leg.send(block);
    await vi.waitFor(() => expect(leg.unsentBytes).toBeLessThan(32 * 1024 * 1024));
    expect(leg.unsentBytes).toBeGreaterThan(16 * 1024 * 1024);
    leg.abort();
    expect(closes).toEqual([{ code: 1006, reason: "" }]);
  });

  it("sends what has gathered in one write, after the one that is under way", async () => {
    const writes: number[] = [];
    const ends: (() => void)[] = [];
    const writable = new WritableStream<Uint8Array>({
      write: (chunk) => {
        writes.push(chunk.length);
        return new Promise((resolve) => ends.push(resolve));
      },
    });
    const readable = new ReadableStream({ type: "bytes" }) as ReadableStream<Uint8Array>;
    const stream = { readable, writable, close: async () => {} };
    const reader = readable.getReader({ mode: "byob" });
    const leg = new TcpLeg(stream, reader, writable.getWriter(), new Uint8Array(0), PROTOCOL);
    collect(leg);
    const frameBytes = 8 + 1_000;
    for (let count = 0; count < 301; count++) leg.send(new Uint8Array(1_000));
    expect([leg.unsentBytes, leg.takenBytes]).toEqual([301 * frameBytes, 0]);
    for (let count = 1; count <= 3; count++) {
      await vi.waitFor(() => expect(ends).toHaveLength(count));
      ends.at(-1)?.();
    }
    await vi.waitFor(() => expect(leg.unsentBytes).toBe(0));
    expect(writes).toEqual([frameBytes, 260 * frameBytes, 40 * frameBytes]);
  });

  it("tells a fault of its receiver apart from a broken connection, and can still be closed", async () => {
    const sent: Buffer[] = [];
    const port = await webSocketServer((socket) => {
      socket.on("data", (data) => sent.push(data));
      socket.write(serverFrame(2, FATAL));
    });
    const leg = await opened(port);
    const { closes, failures } = collect(leg);
    await vi.waitFor(() => expect(failures).toEqual([new RangeError("a bug")]));
    expect(closes).toEqual([]);
    leg.close(1001, "sorry");
    await vi.waitFor(() => expect(Buffer.concat(sent)[0]).toBe(0x88));
    leg.abort();
  });

  describe("that can no longer write", () => {
    /** A connection whose writes fail, and whose reading side is the test's. */
    function halfBroken() {
      let cluster: ReadableByteStreamController | undefined;
      const readable = new ReadableStream({
        type: "bytes",
        start: (controller) => {
          cluster = controller;
        },
      }) as ReadableStream<Uint8Array>;
      const writable = new WritableStream<Uint8Array>({ write: () => Promise.reject(new Error("EPIPE")) });
      const stream = { readable, writable, close: async () => {} };
      const reader = readable.getReader({ mode: "byob" });
      const leg = new TcpLeg(stream, reader, writable.getWriter(), new Uint8Array(0), PROTOCOL);
      return { leg, say: (message: string) => cluster?.enqueue(Uint8Array.from(serverFrame(2, message))) };
    }

    it("keeps nothing for the cluster, and ends as broken once that is silent", async () => {
      vi.useFakeTimers();
      cleanups.push(() => vi.useRealTimers());
      const { leg } = halfBroken();
      const { closes } = collect(leg);
      leg.send("lost");
      await vi.advanceTimersByTimeAsync(1);
      leg.send(new Uint8Array(1_000_000));
      expect([leg.unsentBytes, closes]).toEqual([0, []]);
      await vi.advanceTimersByTimeAsync(2_000);
      expect(closes).toEqual([{ code: 1006, reason: "" }]);
    });

    it("still delivers what the cluster says, for as long as it says something", async () => {
      vi.useFakeTimers();
      cleanups.push(() => vi.useRealTimers());
      const { leg, say } = halfBroken();
      const { messages, closes } = collect(leg);
      leg.send("lost");
      for (const message of ["one", "two", "three", "four"]) {
        await vi.advanceTimersByTimeAsync(700);
        say(message);
      }
      await vi.advanceTimersByTimeAsync(1);
      expect([messages, closes]).toEqual([["one", "two", "three", "four"], []]);
      await vi.advanceTimersByTimeAsync(2_100);
      expect(closes).toEqual([{ code: 1006, reason: "" }]);
    });

    it("waits for a client without room before it gives up", async () => {
      vi.useFakeTimers();
      cleanups.push(() => vi.useRealTimers());
      const { leg, say } = halfBroken();
      const { hold, messages, closes } = collect(leg);
      const release = hold();
      say("the command's Status");
      leg.send("lost");
      await vi.advanceTimersByTimeAsync(10_000);
      expect([messages, closes]).toEqual([[], []]);
      release();
      await vi.advanceTimersByTimeAsync(1);
      expect(messages).toEqual(["the command's Status"]);
    });
  });

  it("sends nothing after its close frame", async () => {
    const sent: Buffer[] = [];
    const port = await webSocketServer((socket) => socket.on("data", (data) => sent.push(data)));
    const leg = await opened(port);
    collect(leg);
    leg.close(1000);
    leg.send("late");
    leg.close(1001);
    await vi.waitFor(() => expect(Buffer.concat(sent)).toHaveLength(8));
    leg.abort();
  });
});
