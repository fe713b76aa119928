import { beforeEach, describe, expect, it } from "vitest";
import { HeldLeg } from "../../durable/upstream/held-leg.ts";
import type { LegReceiver, UpstreamLeg } from "../../durable/upstream/leg.ts";
import { Channel, channelProtocol, encodeFrame } from "../../kubernetes/channels.ts";

const PROTOCOLS = ["v5.channel.k8s.io", "v4.base64.channel.k8s.io"] as const;

/** The cluster's leg, once there is one. */
class Cluster {
  readonly subprotocol = "";
  readonly hasBackpressure = true;
  readonly isMeasured = false;
  readonly unsentBytes = 3;
  readonly takenBytes = 4;
  readonly sent: unknown[] = [];
  readonly calls: string[] = [];
  receiver: LegReceiver | undefined;
  readonly leg = this as unknown as UpstreamLeg;
  start(receiver: LegReceiver): void {
    this.receiver = receiver;
  }
  send(message: unknown): void {
    this.sent.push(message);
  }
  ping(): void {
    this.calls.push("ping");
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
  let cluster: Cluster;
  const receiver = {
    onClose: ({ code }: { code: number }) => void closes.push(code),
  } as unknown as LegReceiver;

  function held(isTerminal: boolean): HeldLeg {
    const leg = new HeldLeg({ subprotocol, protocol: protocol as never, isTerminal, onInterrupt: () => interrupts++ });
    leg.start(receiver);
    return leg;
  }

  beforeEach(() => {
    closes = [];
    interrupts = 0;
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
    expect(leg).toMatchObject({ isHolding: true, isMeasured: true, unsentBytes: 0, takenBytes: 0 });
    expect(leg.whenTaken).toBeUndefined();
    leg.join(cluster.leg);
    expect(leg).toMatchObject({
      isHolding: false,
      isMeasured: false,
      unsentBytes: 3,
      takenBytes: 4,
      hasBackpressure: true,
    });
    expect(cluster.receiver).toBe(receiver);
  });

  it("is the cluster's leg from then on", () => {
    const leg = held(false);
    leg.ping();
    leg.join(cluster.leg);
    leg.ping();
    leg.close(1000);
    leg.abort();
    expect(cluster.calls).toEqual(["ping", "close 1000", "abort"]);
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
