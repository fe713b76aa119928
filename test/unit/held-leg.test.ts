import { beforeEach, describe, expect, it } from "vitest";
import { type HeldInput, HeldLeg } from "../../durable/upstream/held-leg.ts";
import { FULL_BYTES } from "../../durable/upstream/held-output.ts";
import type { LegReceiver, UpstreamLeg } from "../../durable/upstream/leg.ts";
import { Channel, type ChannelProtocol, channelProtocol, encodeFrame } from "../../kubernetes/channels.ts";

const PROTOCOLS = ["v5.channel.k8s.io", "v4.base64.channel.k8s.io"] as const;

/** The cluster's leg, once there is one. */
class Cluster {
  readonly subprotocol = "";
  get hasBackpressure(): boolean {
    return this.isBraked;
  }
  readonly isMeasured = false;
  readonly unsentBytes = 3;
  readonly takenBytes = 4;
  readonly sentBytes = 5;
  readonly sent: unknown[] = [];
  isBraked = true;
  readonly calls: string[] = [];
  receiver: LegReceiver | undefined;
  readonly leg = this as unknown as UpstreamLeg;
  start(receiver: LegReceiver): void {
    this.receiver = receiver;
  }
  send(message: unknown): void {
    this.sent.push(message);
  }
  ping(payload: Uint8Array): void {
    this.calls.push(`ping ${payload}`);
  }
  close(code?: number): void {
    this.calls.push(`close ${code}`);
  }
  abort(): void {
    this.calls.push("abort");
  }
}

describe.each(PROTOCOLS)("a session over %s that waits", (subprotocol) => {
  const protocol = channelProtocol(subprotocol);
  if (!protocol) throw new Error("unknown protocol");
  const frame = (channel: number, payload: string) => encodeFrame(protocol, channel, new TextEncoder().encode(payload));
  let closes: number[];
  let interrupts: number;
  let overflows: number;
  let cluster: Cluster;
  const receiver = {
    onClose: ({ code }: { code: number }) => void closes.push(code),
  } as unknown as LegReceiver;

  function held(isTerminal: boolean): HeldLeg {
    const input: HeldInput = isTerminal ? { kind: "typed", protocol: protocol as never } : { kind: "stored" };
    const leg = new HeldLeg({ subprotocol, input, onInterrupt: () => interrupts++, onOverflow: () => overflows++ });
    leg.start(receiver);
    return leg;
  }

  beforeEach(() => {
    closes = [];
    interrupts = 0;
    overflows = 0;
    cluster = new Cluster();
  });

  it("drops what is typed at a terminal, and sends its last size first", () => {
    const leg = held(true);
    expect(leg.isHolding).toBe(false);
    leg.send(frame(Channel.resize, '{"Width":80,"Height":24}'));
    leg.send(frame(Channel.stdin, "rm -rf /\r"));
    leg.send(frame(Channel.resize, '{"Width":120,"Height":40}'));
    leg.join(cluster.leg);
    leg.send(frame(Channel.stdin, "ls\r"));
    expect(cluster.sent).toEqual([frame(Channel.resize, '{"Width":120,"Height":40}'), frame(Channel.stdin, "ls\r")]);
    expect(interrupts).toBe(0);
  });

  it("keeps no large message in memory that says it is a size", () => {
    const leg = held(true);
    leg.send(frame(Channel.resize, '{"Width":80,"Height":24}'));
    leg.send(frame(Channel.resize, `{"Width":120,"Height":40}${" ".repeat(2_000)}`));
    leg.join(cluster.leg);
    expect(cluster.sent).toEqual([frame(Channel.resize, '{"Width":80,"Height":24}')]);
  });

  it("is given up by Ctrl-C while it waits; afterwards that is the command's", () => {
    const leg = held(true);
    leg.send(frame(Channel.resize, "\u0003"));
    expect(interrupts).toBe(0);
    leg.send(frame(Channel.stdin, "x\u0003"));
    expect(interrupts).toBe(1);
    leg.join(cluster.leg);
    leg.send(frame(Channel.stdin, "\u0003"));
    expect(interrupts).toBe(1);
    expect(cluster.sent).toEqual([frame(Channel.resize, "\u0003"), frame(Channel.stdin, "\u0003")]);
  });

  it("has the relay store what is piped into it, and holds nothing itself", () => {
    const leg = held(false);
    expect(leg).toMatchObject({ isHolding: true, isMeasured: true, unsentBytes: 0, takenBytes: 0, sentBytes: 0 });
    expect(leg.whenTaken).toBeUndefined();
    leg.join(cluster.leg);
    expect(leg).toMatchObject({
      isHolding: false,
      isMeasured: false,
      unsentBytes: 3,
      takenBytes: 4,
      sentBytes: 5,
      hasBackpressure: true,
    });
  });

  it("is the cluster's leg from then on", () => {
    const leg = held(false);
    leg.ping(Uint8Array.of(1));
    leg.join(cluster.leg);
    leg.ping(Uint8Array.of(2));
    leg.close(1000);
    leg.abort();
    expect(cluster.calls).toEqual(["ping 2", "close 1000", "abort"]);
  });

  it("takes no cluster any more once it has ended, and holds nothing", () => {
    const leg = held(false);
    leg.close(1001);
    leg.join(cluster.leg);
    expect(cluster.calls).toEqual(["abort"]);
    expect(cluster.receiver).toBeUndefined();
    expect(leg.isHolding).toBe(false);
  });

  it("tells of its end once where it is cut", () => {
    const leg = held(true);
    leg.abort();
    leg.abort();
    expect(closes).toEqual([1006]);
  });
});

describe("a session that is frozen because nobody watches it", () => {
  const frame = (channel: number, payload: string) => Uint8Array.of(channel, ...new TextEncoder().encode(payload));
  const protocol = channelProtocol("v5.channel.k8s.io") as ChannelProtocol;
  let cluster: Cluster;
  let got: unknown[];
  let overflows: number;
  let room: Promise<void> | undefined;

  const receiver: LegReceiver = {
    onPart: ({ bytes }) => void got.push([...bytes]),
    onPause: () => {},
    onPong: (payload) => void got.push(`pong ${payload}`),
    onClose: ({ code }) => void got.push(`close ${code}`),
    onFailure: () => {},
    whenRoom: () => room,
  };

  function joined(input: HeldInput): HeldLeg {
    const leg = new HeldLeg({ subprotocol: "", input, onInterrupt: () => {}, onOverflow: () => overflows++ });
    leg.start(receiver);
    leg.join(cluster.leg);
    return leg;
  }
  const arrives = (bytes: Uint8Array) =>
    cluster.receiver?.onPart({ bytes, isText: false, isFirst: true, isLast: true });

  beforeEach(() => {
    cluster = new Cluster();
    got = [];
    overflows = 0;
    room = undefined;
  });

  it("gives on nothing of what the cluster sends, and then all of it before its end", () => {
    const leg = joined({ kind: "stored" });
    arrives(frame(1, "a"));
    leg.freeze();
    const view = frame(1, "b");
    arrives(view);
    view.fill(0);
    cluster.receiver?.onPong(Uint8Array.of(3));
    cluster.receiver?.onClose({ code: 1000, reason: "" });
    expect(got).toEqual([[1, 97], "pong 3"]);
    expect(leg).toMatchObject({ isHeld: true, isHolding: true, isDropping: false, isMeasured: true });
    leg.thaw();
    expect(got).toEqual([[1, 97], "pong 3", [1, 98], "close 1000"]);
    expect(leg).toMatchObject({ isHeld: false, isHolding: false, heldOutputBytes: 0 });
  });

  it("ends at once where the cluster has ended and nothing is held", () => {
    const leg = joined({ kind: "stored" });
    leg.freeze();
    cluster.receiver?.onClose({ code: 1006, reason: "" });
    expect(got).toEqual(["close 1006"]);
  });

  it("reads no more from the cluster once enough is held, until it goes on", async () => {
    const leg = joined({ kind: "stored" });
    leg.freeze();
    arrives(frame(1, "x"));
    expect(cluster.receiver?.whenRoom()).toBeUndefined();
    arrives(new Uint8Array(FULL_BYTES));
    const waits = cluster.receiver?.whenRoom();
    expect(waits).toBeInstanceOf(Promise);
    expect(leg.heldOutputBytes).toBeGreaterThan(FULL_BYTES);
    leg.thaw();
    await waits;
    expect(cluster.receiver?.whenRoom()).toBeUndefined();
  });

  it("is not left waiting for room when it ends, and gives on nothing any more", async () => {
    const leg = joined({ kind: "stored" });
    leg.freeze();
    arrives(new Uint8Array(FULL_BYTES));
    const waits = cluster.receiver?.whenRoom();
    leg.close(1001);
    await waits;
    leg.thaw();
    expect(got).toEqual([]);
    expect(cluster.calls).toEqual(["close 1001"]);
  });

  it("overflows once where the cluster cannot be told to wait, with nothing given on", () => {
    cluster.isBraked = false;
    const leg = joined({ kind: "stored" });
    leg.freeze();
    for (let count = 0; count < 6; count++) arrives(new Uint8Array(1024 * 1024));
    expect([overflows, got, leg.heldOutputBytes]).toEqual([1, [], 0]);
  });

  it("drops what is typed, and keeps the last size", () => {
    const leg = joined({ kind: "typed", protocol });
    leg.freeze();
    expect(leg).toMatchObject({ isDropping: true, isHolding: false });
    leg.send(frame(Channel.stdin, "rm -rf /"));
    leg.send(frame(Channel.resize, '{"Width":80,"Height":24}'));
    expect(cluster.sent).toEqual([]);
    leg.thaw();
    expect(cluster.sent).toEqual([frame(Channel.resize, '{"Width":80,"Height":24}')]);
  });

  it("stays frozen if that happened while the cluster was asked", () => {
    const leg = new HeldLeg({
      subprotocol: "",
      input: { kind: "stored" },
      onInterrupt: () => {},
      onOverflow: () => {},
    });
    leg.start(receiver);
    leg.freeze();
    leg.join(cluster.leg);
    arrives(frame(1, "a"));
    expect([got, leg.isHeld]).toEqual([[], true]);
    leg.thaw();
    expect(got).toEqual([[1, 97]]);
  });

  it("sends pings of SPDY, holds its other frames, and counts them as unsent", () => {
    const leg = joined({ kind: "spdy" });
    const ping = Uint8Array.of(0x80, 3, 0, 6, 0, 0, 0, 4, 0, 0, 0, 1);
    const data = Uint8Array.of(0, 0, 0, 1, 0, 0, 0, 1, 65);
    leg.send(data.subarray(0, 4));
    expect(cluster.sent).toEqual([]);
    leg.freeze();
    expect(leg.isHolding).toBe(false);
    leg.send(Uint8Array.of(...data.subarray(4), ...ping, ...data));
    expect(cluster.sent).toEqual([ping]);
    expect(leg.unsentBytes).toBeGreaterThan(cluster.unsentBytes + data.length);
    arrives(Uint8Array.of(...data, ...ping));
    expect(got).toEqual([[...ping]]);
    leg.thaw();
    expect(cluster.sent.slice(1).flatMap((bytes) => [...(bytes as Uint8Array)])).toEqual([...data, ...data]);
    expect(leg.unsentBytes).toBe(cluster.unsentBytes);
    expect(got).toEqual([[...ping], [...data]]);
  });
});
