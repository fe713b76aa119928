import { describe, expect, it } from "vitest";
import {
  API_SERVER_MESSAGE_BYTES,
  ClientWriter,
  HIGH_WATER_BYTES,
  LARGE_MESSAGE_BYTES,
  LOW_WATER_BYTES,
  maxMessageBytesOf,
} from "../../../durable/relay/client-writer.ts";

/** A client that reads what the test says, and a clock that advances while the writer waits. */
class Client {
  bufferedAmount = 0;
  now = 0;
  /** Called whenever the writer sleeps. */
  onSleep: () => void = () => {};
  readonly messages: (Uint8Array | string)[] = [];
  readonly writer: ClientWriter;

  constructor(maxMessageBytes = API_SERVER_MESSAGE_BYTES) {
    this.writer = new ClientWriter(this, maxMessageBytes, {
      now: () => this.now,
      sleep: async (ms) => {
        await Promise.resolve();
        this.now += ms;
        this.onSleep();
      },
    });
  }

  send(message: ArrayBuffer | Uint8Array | string): void {
    this.messages.push(message instanceof ArrayBuffer ? new Uint8Array(message) : message);
    this.bufferedAmount += typeof message === "string" ? message.length : message.byteLength;
  }
}

const filled = (length: number, value: number) => new Uint8Array(length).fill(value);

describe("a client's writer", () => {
  it("joins bytes of one channel, and begins a message for another", () => {
    const client = new Client();
    client.writer.append(1, filled(3, 7));
    client.writer.append(1, filled(2, 8));
    client.writer.append(2, filled(1, 9));
    expect(client.messages).toEqual([Uint8Array.of(1, 7, 7, 7, 8, 8)]);
    client.writer.flush();
    expect(client.messages[1]).toEqual(Uint8Array.of(2, 9));
    client.writer.flush();
    expect(client.messages).toHaveLength(2);
  });

  it("joins bytes of a protocol without channels, and adds none", () => {
    const client = new Client();
    client.writer.append(undefined, filled(3, 7));
    client.writer.append(undefined, filled(2, 8));
    client.writer.flush();
    expect(client.messages).toEqual([Uint8Array.of(7, 7, 7, 8, 8)]);
  });

  it("copies, because the bytes are valid during the call only", () => {
    const client = new Client();
    const bytes = filled(3, 7);
    client.writer.append(1, bytes);
    bytes.fill(0);
    client.writer.flush();
    expect(client.messages).toEqual([Uint8Array.of(1, 7, 7, 7)]);
  });

  it.each([
    ["kubectl/v1.36.3 (linux/amd64) kubernetes/abc", LARGE_MESSAGE_BYTES],
    ["OpenAPI-Generator/31.0.0/python", API_SERVER_MESSAGE_BYTES],
    ["not kubectl/", API_SERVER_MESSAGE_BYTES],
    [null, API_SERVER_MESSAGE_BYTES],
  ])("never sends %s more than %i bytes in a message, every byte in order", (userAgent, maxBytes) => {
    const client = new Client(maxMessageBytesOf(userAgent));
    const sent: number[] = [];
    for (let size = 1; size < 300_000; size = size * 3 + 1) {
      const piece = Uint8Array.from({ length: size }, (_, index) => (sent.length + index) % 251);
      for (const byte of piece) sent.push(byte);
      client.writer.append(1, piece);
    }
    client.writer.flush();
    const lengths = client.messages.map((message) => message.length);
    expect(Math.max(...lengths)).toBe(maxBytes);
    const payload = client.messages.flatMap((message) => [...(message as Uint8Array).subarray(1)]);
    expect(payload.length).toBe(sent.length);
    expect(payload.every((byte, index) => byte === sent[index])).toBe(true);
    expect(client.messages.every((message) => message[0] === 1)).toBe(true);
  });

  it("sends a whole message after what was joined before it", () => {
    const client = new Client();
    client.writer.append(1, filled(1, 7));
    client.writer.send("text");
    expect(client.messages).toEqual([Uint8Array.of(1, 7), "text"]);
  });

  it("waits while the client has much unread, until it has little", async () => {
    const client = new Client();
    client.writer.send(filled(HIGH_WATER_BYTES - 1024, 1));
    expect(client.writer.whenRoom()).toBeUndefined();
    expect(client.writer.isFull).toBe(false);
    client.writer.send(filled(2048, 1));
    const steps = [HIGH_WATER_BYTES, LOW_WATER_BYTES + 1, LOW_WATER_BYTES - 1024];
    const seen: number[] = [];
    client.onSleep = () => {
      expect(client.writer.isFull).toBe(true);
      client.bufferedAmount = steps.shift() ?? 0;
      seen.push(client.bufferedAmount);
    };
    await client.writer.whenRoom();
    expect(seen).toEqual([HIGH_WATER_BYTES, LOW_WATER_BYTES + 1, LOW_WATER_BYTES - 1024]);
    expect(client.writer.isFull).toBe(false);
  });

  it("waits for a client that has not read many tiny messages, which cost more than their bytes", async () => {
    const client = new Client();
    let sent = 0;
    while (client.writer.whenRoom() === undefined && sent < 100_000) {
      client.writer.send(filled(1, 1));
      sent++;
      client.onSleep = () => {
        client.bufferedAmount = 0;
      };
    }
    expect(sent).toBeLessThan(5_000);
    expect(client.writer.heldBytes).toBeGreaterThan(100 * sent);
    await client.writer.whenRoom();
    expect(client.writer.heldBytes).toBe(0);
  });

  it("waits no longer once the session is over, though nothing more is read", async () => {
    const client = new Client();
    client.writer.send(filled(2 * HIGH_WATER_BYTES, 1));
    const room = client.writer.whenRoom();
    expect(room).toBeDefined();
    client.onSleep = () => client.writer.end();
    await room;
    expect(client.writer.whenRoom()).toBeUndefined();
  });

  it("asks ever less often while nothing is read", async () => {
    const client = new Client();
    client.writer.send(filled(HIGH_WATER_BYTES + 1, 1));
    let polls = 0;
    client.onSleep = () => {
      polls++;
      if (client.now >= 60_000) client.bufferedAmount = 0;
    };
    await client.writer.whenRoom();
    expect(polls).toBeLessThan(620);
  });

  it("counts a stall from the last byte that the client read", () => {
    const client = new Client();
    client.now = 10_000;
    expect(client.writer.stalledMs()).toBe(0);
    client.writer.send(filled(100, 1));
    client.now = 20_000;
    expect(client.writer.stalledMs()).toBe(10_000);
    client.bufferedAmount -= 1;
    expect(client.writer.stalledMs()).toBe(0);
    client.now = 25_000;
    client.writer.send(filled(100, 1));
    expect(client.writer.stalledMs()).toBe(5_000);
    client.bufferedAmount = 0;
    expect(client.writer.stalledMs()).toBe(0);
  });

  it("without a measure counts all as unread, and never as a stall", () => {
    const writer = new ClientWriter({ send: () => {} }, 100, { now: () => 0, sleep: () => Promise.resolve() });
    writer.send(filled(70, 1));
    expect([writer.isMeasured, writer.unsentBytes, writer.stalledMs()]).toEqual([false, 70, 0]);
    expect(writer.whenRoom()).toBeUndefined();
  });

  it("survives a socket that has closed", () => {
    const closed = {
      bufferedAmount: 0,
      send: () => {
        throw new TypeError("closed");
      },
    };
    const writer = new ClientWriter(closed, 100, { now: () => 0, sleep: () => Promise.resolve() });
    writer.send("x");
    expect(writer.unsentBytes).toBe(0);
  });
});
