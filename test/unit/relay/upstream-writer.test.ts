import { describe, expect, it } from "vitest";
import { concatBytes } from "../../../common/bytes.ts";
import type { Framing } from "../../../durable/protocols/framing.ts";
import { splitMessage } from "../../../durable/relay/split-message.ts";
import {
  type BufferedPiece,
  type InputBuffer,
  type InputOverflow,
  MAX_HELD_INPUT_BYTES,
  MAX_UNTAKEN_BYTES,
  UpstreamWriter,
} from "../../../durable/relay/upstream-writer.ts";
import type { UpstreamLeg } from "../../../durable/upstream/leg.ts";
import { channelProtocol } from "../../../kubernetes/channels.ts";

const protocol = channelProtocol("v5.channel.k8s.io");
if (!protocol) throw new Error("no protocol");
const CHANNELS: Framing = { kind: "channels", protocol, isStream: (channel) => channel <= 2 };
const MESSAGES: Framing = { kind: "messages" };
const MIB = 1024 * 1024;

/** A cluster that takes what the test says, with a buffer in memory in place of SQLite. */
class Cluster {
  now = 0;
  unsentBytes = 0;
  takenBytes = 0;
  readonly #framing: Framing;
  readonly isMeasured: boolean = true;
  readonly received: (Uint8Array | string)[] = [];
  readonly stored: BufferedPiece[] = [];
  readonly overflows: InputOverflow["kind"][] = [];
  /** Whether the session waits for an approval. */
  isHolding = false;
  /** Of this session and others that wait, or have waited. */
  readonly heldByAll = { bytes: 0 };
  pauses = 0;
  storageFails = false;
  takeFails = false;
  clearFails = false;
  #sleepers: (() => void)[] = [];
  readonly writer: UpstreamWriter;

  constructor(framing: Framing = CHANNELS, maxBufferedBytes = 16 * MIB, isMeasured = true) {
    this.isMeasured = isMeasured;
    this.#framing = framing;
    const buffer: InputBuffer = {
      append: (piece) => {
        if (this.storageFails) throw new Error("database or disk is full");
        this.stored.push({ ...piece, bytes: piece.bytes.slice() });
      },
      take: () => {
        if (this.takeFails) throw new Error("SQLITE_IOERR");
        return this.stored.shift();
      },
      clear: () => {
        if (this.clearFails) throw new Error("SQLITE_IOERR");
        this.stored.splice(0);
      },
    };
    this.writer = new UpstreamWriter({
      leg: this as unknown as UpstreamLeg,
      framing,
      buffer,
      maxBufferedBytes,
      heldByAll: this.heldByAll,
      pauseInput: () => void this.pauses++,
      clock: { now: () => this.now, sleep: () => new Promise((resolve) => this.#sleepers.push(resolve)) },
      onOverflow: ({ kind }) => this.overflows.push(kind),
    });
  }

  send(message: ArrayBuffer | Uint8Array | string): void {
    this.received.push(message instanceof ArrayBuffer ? new Uint8Array(message) : message);
    this.unsentBytes += typeof message === "string" ? message.length : message.byteLength;
  }

  take(bytes = this.unsentBytes): void {
    this.unsentBytes -= bytes;
    this.takenBytes += bytes;
  }

  /** Sends a message as the relay does: in pieces, as soon as there is room for each. */
  async sendFromClient(message: ArrayBuffer | string): Promise<void> {
    for (const piece of splitMessage(this.#framing, message)) {
      this.writer.send(piece);
      const room = this.writer.whenRoom();
      for (let isReady = room === undefined; !isReady; ) {
        void room?.then(() => {
          isReady = true;
        });
        this.take(Math.min(this.unsentBytes, MIB));
        await this.rest();
      }
    }
  }

  /** Lets timers ring. */
  async rest(): Promise<void> {
    for (const wake of this.#sleepers.splice(0)) wake();
    for (let turn = 0; turn < 10; turn++) await Promise.resolve();
  }

  /** Takes everything that there is, until nothing more comes. */
  async takeAll(): Promise<void> {
    for (let before = -1; before !== this.received.length; ) {
      before = this.received.length;
      this.take();
      await this.rest();
    }
  }

  /** What arrived on a channel. */
  bytes(channel: number): Uint8Array {
    const messages = this.received.filter((message) => message[0] === channel) as Uint8Array[];
    return concatBytes(messages.map((message) => message.subarray(1)));
  }
}

function stdin(length: number, seed = 0): Uint8Array<ArrayBuffer> {
  const message = new Uint8Array(1 + length);
  for (let at = 1; at <= length; at++) message[at] = (at * 31 + seed) % 251;
  return message;
}

describe("the cluster's writer", () => {
  it("passes on at once what the cluster can take", () => {
    const cluster = new Cluster();
    cluster.writer.send(stdin(10));
    cluster.writer.send("text");
    expect(cluster.received).toEqual([stdin(10), "text"]);
    expect([cluster.stored.length, cluster.pauses]).toEqual([0, 0]);
  });

  it("holds the client back while the cluster is slow, not once it has stopped", () => {
    const cluster = new Cluster();
    cluster.writer.send(stdin(2 * MIB));
    expect(cluster.pauses).toBe(1);
    cluster.now = 5_000;
    cluster.writer.send(stdin(10));
    expect(cluster.pauses).toBe(1);
  });

  it("stores what a cluster that has stopped does not take, and sends it in order", async () => {
    const cluster = new Cluster();
    const sent: Uint8Array[] = [];
    for (let index = 0; index < 10; index++) {
      sent.push(stdin(MIB, index));
      cluster.writer.send(stdin(MIB, index));
    }
    expect(cluster.unsentBytes).toBeLessThanOrEqual(MAX_UNTAKEN_BYTES);
    expect(cluster.writer.waitingBytes).toBeGreaterThanOrEqual(10 * MIB);
    await cluster.rest();
    const before = cluster.received.length;
    await cluster.rest();
    expect(cluster.received.length).toBe(before);
    // What comes meanwhile waits behind.
    cluster.writer.send(Uint8Array.of(255, 0));
    await cluster.takeAll();
    expect(cluster.bytes(0)).toEqual(concatBytes(sent.map((message) => message.subarray(1))));
    expect(cluster.received.at(-1)).toEqual(Uint8Array.of(255, 0));
    expect([cluster.writer.waitingBytes, cluster.stored.length, cluster.overflows]).toEqual([0, 0, []]);
    // And afterwards nothing is stored.
    cluster.writer.send(stdin(5));
    expect(cluster.received.at(-1)).toEqual(stdin(5));
  });

  it("keeps little in memory of one message of 31 MiB, in pieces that SQLite and the cluster take", async () => {
    const cluster = new Cluster(CHANNELS, 64 * MIB);
    const message = stdin(31 * MIB);
    await cluster.sendFromClient(message.buffer);
    expect(cluster.unsentBytes).toBeLessThanOrEqual(MAX_UNTAKEN_BYTES);
    expect(Math.max(...cluster.stored.map(({ bytes }) => bytes.length))).toBeLessThan(2_000_000);
    await cluster.takeAll();
    const received = cluster.bytes(0);
    expect(received.length).toBe(31 * MIB);
    expect(Buffer.compare(received, message.subarray(1))).toBe(0);
  });

  it("cuts a large text message of stdin, as Python's client sends one, into binary pieces", async () => {
    const cluster = new Cluster(CHANNELS, 64 * MIB);
    const text = `\0${"ä".repeat(5 * MIB)}`;
    await cluster.sendFromClient(text);
    await cluster.takeAll();
    expect(cluster.received.length).toBeGreaterThan(5);
    expect(Buffer.compare(cluster.bytes(0), Buffer.from(text).subarray(1))).toBe(0);
  });

  it.each([
    ["binary", new Uint8Array(5 * MIB).fill(9)],
    ["text", "ä".repeat(3 * MIB)],
  ])("keeps a %s message whole where its borders mean something", async (_, message) => {
    const cluster = new Cluster(MESSAGES, 64 * MIB);
    for (let index = 0; index < 3; index++) cluster.writer.send(message);
    expect(cluster.stored.length).toBeGreaterThan(3);
    await cluster.takeAll();
    expect(cluster.received.length).toBe(3);
    expect(cluster.received.every((received) => received.length === message.length)).toBe(true);
    expect(cluster.received[2]).toEqual(message);
  });

  it("joins tiny messages before they are stored, so that their rows are bounded too", async () => {
    const cluster = new Cluster(CHANNELS, 16 * MIB);
    cluster.writer.send(stdin(MAX_UNTAKEN_BYTES));
    for (let index = 0; index < 100_000; index++) cluster.writer.send(Uint8Array.of(0, index % 251));
    expect(cluster.stored.length).toBeLessThan(20);
    await cluster.takeAll();
    const tiny = cluster.bytes(0).subarray(MAX_UNTAKEN_BYTES);
    expect(tiny.length).toBe(100_000);
    expect(tiny.every((byte, index) => byte === index % 251)).toBe(true);
  });

  it("ends once tiny messages that must stay whole cost too many rows", () => {
    const cluster = new Cluster(MESSAGES, MIB);
    cluster.writer.send(new Uint8Array(MAX_UNTAKEN_BYTES));
    let sent = 0;
    for (; cluster.overflows.length === 0 && sent < 1_000_000; sent++) cluster.writer.send(Uint8Array.of(1));
    expect(sent).toBeLessThan(1_100);
  });

  it("keeps empty messages in their place", async () => {
    const cluster = new Cluster(MESSAGES, 64 * MIB);
    for (const message of [new Uint8Array(5 * MIB), "1", "", "2"]) cluster.writer.send(message);
    await cluster.takeAll();
    expect(cluster.received.slice(1)).toEqual(["1", "", "2"]);
    expect([cluster.stored.length, cluster.writer.waitingBytes]).toEqual([0, 0]);
  });

  it("sends one large message to a cluster that keeps up, although nothing may be stored", async () => {
    const cluster = new Cluster(CHANNELS, 0);
    await cluster.sendFromClient(stdin(9 * MIB).buffer);
    expect([cluster.overflows, cluster.stored.length, cluster.bytes(0).length]).toEqual([[], 0, 9 * MIB]);
  });

  it("waits for room no longer than the cluster takes something, and only where nothing may be stored", async () => {
    const [cluster, storing] = [new Cluster(CHANNELS, 0), new Cluster()];
    for (const { writer } of [cluster, storing]) writer.send(stdin(2 * MIB));
    expect(storing.writer.whenRoom()).toBeUndefined();
    let hasRoom = false;
    void cluster.writer.whenRoom()?.then(() => {
      hasRoom = true;
    });
    await cluster.rest();
    expect(hasRoom).toBe(false);
    cluster.now = 1_000;
    await cluster.rest();
    expect(hasRoom).toBe(true);
    expect(cluster.writer.whenRoom()).toBeUndefined();
  });

  it("ends where the storage fails at the end too, without an error", () => {
    const cluster = new Cluster();
    cluster.clearFails = true;
    for (let index = 0; index < 10; index++) cluster.writer.send(stdin(MIB));
    expect(() => cluster.writer.end()).not.toThrow();
  });

  it("ends at the bound of what may be stored, once, and forgets what was stored", () => {
    const cluster = new Cluster(CHANNELS, 2 * MIB);
    for (let index = 0; index < 10; index++) cluster.writer.send(stdin(MIB));
    expect(cluster.overflows).toEqual(["full"]);
    expect([cluster.stored.length, cluster.writer.waitingBytes]).toEqual([0, cluster.unsentBytes]);
  });

  it("stores nothing where the bound is 0", () => {
    const cluster = new Cluster(CHANNELS, 0);
    for (let index = 0; index < 10; index++) cluster.writer.send(stdin(MIB));
    expect([cluster.overflows, cluster.stored.length]).toEqual([["full"], 0]);
  });

  it("ends where the object's storage fails, or nobody knows what the cluster has taken, and says which", () => {
    const failing = new Cluster();
    failing.storageFails = true;
    const blind = new Cluster(CHANNELS, 16 * MIB, false);
    for (const cluster of [failing, blind]) {
      for (let index = 0; index < 10; index++) cluster.writer.send(stdin(MIB));
    }
    expect([failing.overflows, blind.overflows]).toEqual([["storage"], ["unmeasured"]]);
  });

  it("ends where the storage does not give back what it took", async () => {
    const cluster = new Cluster();
    for (let index = 0; index < 10; index++) cluster.writer.send(stdin(MIB));
    cluster.takeFails = true;
    cluster.take();
    await cluster.rest();
    expect(cluster.overflows).toEqual(["storage"]);
  });

  it("sends nothing after the end", async () => {
    const cluster = new Cluster();
    for (let index = 0; index < 10; index++) cluster.writer.send(stdin(MIB));
    cluster.writer.end();
    const before = cluster.received.length;
    cluster.writer.send(stdin(1));
    await cluster.takeAll();
    expect(cluster.received.length).toBe(before);
    expect(cluster.writer.waitingBytes).toBe(0);
  });

  it("says when all is taken, what is stored included", async () => {
    const cluster = new Cluster();
    for (let index = 0; index < 10; index++) cluster.writer.send(stdin(MIB));
    let isTaken = false;
    void cluster.writer.whenAllTaken().then(() => {
      isTaken = true;
    });
    while (cluster.stored.length > 0) {
      cluster.take();
      await cluster.rest();
    }
    expect([isTaken, cluster.writer.isWaiting]).toEqual([false, true]);
    await cluster.takeAll();
    expect([isTaken, cluster.writer.isWaiting, cluster.bytes(0).length]).toEqual([true, false, 10 * MIB]);
  });

  it("waits for nothing after the end, nor where nobody knows what is taken", async () => {
    const ended = new Cluster();
    const blind = new Cluster(CHANNELS, 16 * MIB, false);
    for (const { writer } of [ended, blind]) writer.send(stdin(10));
    const taken = Promise.all([ended.writer.whenAllTaken(), blind.writer.whenAllTaken()]);
    ended.writer.end();
    await ended.rest();
    await taken;
  });

  it("counts a stall from the last byte that the cluster took", () => {
    const cluster = new Cluster();
    cluster.now = 10_000;
    expect(cluster.writer.stalledMs()).toBe(0);
    cluster.writer.send(stdin(99));
    cluster.now = 20_000;
    expect(cluster.writer.stalledMs()).toBe(10_000);
    cluster.take(1);
    expect(cluster.writer.stalledMs()).toBe(0);
    cluster.now = 25_000;
    expect(cluster.writer.stalledMs()).toBe(5_000);
    cluster.take();
    expect(cluster.writer.stalledMs()).toBe(0);
  });

  describe("before the cluster is asked", () => {
    it("stores what others leave of what may wait, and frees it as the cluster takes it", async () => {
      const cluster = new Cluster();
      cluster.isHolding = true;
      const others = MAX_HELD_INPUT_BYTES - 2 * MIB;
      cluster.heldByAll.bytes = others;
      for (let index = 0; index < 1_000; index++) cluster.writer.send(stdin(1_024));
      expect(cluster.overflows).toEqual([]);
      expect(cluster.heldByAll.bytes).toBeGreaterThan(others + 900 * 1_024);
      cluster.isHolding = false;
      await cluster.rest();
      await cluster.takeAll();
      expect([cluster.bytes(0).length, cluster.heldByAll.bytes]).toEqual([1_000 * 1_024, others]);
      // Now it is the cluster's pace that fills the buffer, which has the bound of its session alone.
      for (let index = 0; index < 8; index++) cluster.writer.send(stdin(MIB));
      expect([cluster.stored.length > 0, cluster.heldByAll.bytes]).toEqual([true, others]);
    });

    it("ends where all that wait have stored too much, in whatever messages, and gives back what it had", () => {
      for (const send of [
        (cluster: Cluster) => cluster.writer.send(stdin(64 * 1_024)),
        // Messages that are no stream take a row each, however small.
        (cluster: Cluster) => cluster.writer.send(Uint8Array.of(4)),
      ]) {
        const cluster = new Cluster();
        cluster.isHolding = true;
        cluster.heldByAll.bytes = MAX_HELD_INPUT_BYTES - MIB;
        for (let index = 0; index < 2_000; index++) send(cluster);
        expect(cluster.overflows).toEqual(["held"]);
        expect([cluster.heldByAll.bytes, cluster.stored.length]).toEqual([MAX_HELD_INPUT_BYTES - MIB, 0]);
      }
    });

    it("takes its own bound where that alone is more", () => {
      const cluster = new Cluster(CHANNELS, 2 * MAX_HELD_INPUT_BYTES);
      cluster.isHolding = true;
      cluster.heldByAll.bytes = MAX_HELD_INPUT_BYTES + MIB;
      for (let index = 0; index < 4; index++) cluster.writer.send(stdin(64 * 1_024));
      expect(cluster.overflows).toEqual([]);
    });
  });
});
