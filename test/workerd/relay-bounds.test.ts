/** How a relay holds back a cluster that cannot be told to wait, and what it says about what it holds. */
import { describe, expect, it } from "vitest";
import { KINDS_OF_SESSIONS } from "../../durable/protocols/kinds.ts";
import type { Clock } from "../../durable/relay/brake.ts";
import { Relay } from "../../durable/relay/relay.ts";
import { type CloseCause, closureOf } from "../../durable/session/close-cause.ts";
import type { LegReceiver, UpstreamLeg } from "../../durable/upstream/leg.ts";
import { WebSocketLeg } from "../../durable/upstream/websocket-leg.ts";

const MIB = 1024 * 1024;
const STDIN = 0;
const STDOUT = 1;
const ERROR = 3;
const RESIZE = 4;

/** A socket that takes what the test says. @property bufferedAmount undefined on older versions of workerd */
class FakeSocket extends EventTarget {
  bufferedAmount: number | undefined;
  readonly sent: (ArrayBuffer | Uint8Array | string)[] = [];

  constructor(isMeasured: boolean) {
    super();
    if (isMeasured) this.bufferedAmount = 0;
  }

  accept(): void {}
  close(): void {}

  send(message: ArrayBuffer | Uint8Array | string): void {
    this.sent.push(message);
    if (this.bufferedAmount !== undefined) this.bufferedAmount += lengthOf(message);
  }

  text(channel: number, text: string): void {
    const { buffer: data } = Uint8Array.from([channel, ...new TextEncoder().encode(text)]);
    this.dispatchEvent(Object.assign(new Event("message"), { data }));
  }

  message(channel: number, bytes: number): void {
    const { buffer: data } = new Uint8Array(1 + bytes).fill(channel, 0, 1);
    this.dispatchEvent(Object.assign(new Event("message"), { data }));
  }

  hangUp(code = 1006): void {
    this.dispatchEvent(Object.assign(new Event("close"), { code, reason: "" }));
  }

  /** Nothing more can be sent. */
  break(): void {
    this.dispatchEvent(new Event("error"));
  }
}

function lengthOf(message: ArrayBuffer | Uint8Array | string): number {
  return typeof message === "string" ? message.length : message.byteLength;
}

/** The runtime looks at no timer. */
const STOPPED_CLOCK: Clock = { now: () => 0, sleep: () => new Promise(() => {}) };

interface Setting {
  readonly clock?: Clock;
  readonly onFinalStatus?: () => void;
  /** What a leg over TCP has. */
  readonly hasBackpressure?: boolean;
  readonly isClientMeasured?: boolean;
  readonly isClusterMeasured?: boolean;
}

/** An exec in a runtime that looks at no timer, as while messages arrive without a break. */
function session({
  clock = STOPPED_CLOCK,
  onFinalStatus = () => {},
  hasBackpressure = false,
  isClientMeasured = true,
  isClusterMeasured = true,
}: Setting = {}) {
  const client = new FakeSocket(isClientMeasured);
  const cluster = new FakeSocket(isClusterMeasured);
  const pauses: (() => Promise<void>)[] = [];
  const causes: CloseCause[] = [];
  const kind = KINDS_OF_SESSIONS.exec;
  const framing = kind.framing("v5.channel.k8s.io");
  const leg = hasBackpressure ? new SilentLeg() : new WebSocketLeg(cluster as unknown as WebSocket, "");
  const relay = new Relay({
    ...{ client: client as unknown as WebSocket, leg, framing, cast: undefined },
    observer: kind.createObserver({
      ...{
        framing,
        terminal: false,
        stderr: true,
        ports: [],
        onNewPort: () => {},
        portForward: { onUnreadable: "end" },
      },
    }),
    inputBuffer: { append() {}, take: () => undefined, clear() {} },
    ...{
      maxBufferedStdinBytes: 0,
      maxClientMessageBytes: 128 * 1024,
      heldInput: { bytes: 0 },
      storedInput: { bytes: 0 },
      startedAt: 0,
    },
    pauseInput: (until) => pauses.push(until),
    clock,
    ...{ onFinalStatus, onInputNotStored: () => {} },
    onMustClose: (cause) => causes.push(cause),
    onFailure: (error) => {
      throw error;
    },
  });
  relay.start();
  return { client, cluster, leg, relay, pauses, causes };
}

/** A leg that the test delivers for. */
class SilentLeg implements UpstreamLeg {
  readonly subprotocol = "";
  readonly hasBackpressure = true;
  readonly isMeasured = true;
  readonly takenBytes = 0;
  readonly sentBytes = 0;
  unsentBytes = 0;
  receiver: LegReceiver | undefined;

  start(receiver: LegReceiver): void {
    this.receiver = receiver;
  }
  send(): void {}
  ping(payload: Uint8Array): void {
    this.unsentBytes += 6 + payload.length;
  }
  close(): void {}
  abort(): void {}
}

describe("a flood from the cluster", () => {
  it("of tiny messages is interrupted after 1,280 of them, where the cluster cannot be told to wait", () => {
    const { cluster, pauses } = session();
    for (let count = 0; count < 1_279; count++) cluster.message(STDOUT, 1);
    expect(pauses).toHaveLength(0);
    for (let count = 0; count < 1_280 * 9 + 1; count++) cluster.message(STDOUT, 1);
    expect(pauses).toHaveLength(10);
  });

  it.each([12, 32])("of ordinary messages of %i KiB that the client takes is hardly interrupted", (kibibytes) => {
    const { client, cluster, pauses } = session();
    for (let bytes = 0; bytes < 100 * MIB; bytes += kibibytes * 1024) {
      cluster.message(STDOUT, kibibytes * 1024 - 1);
      client.bufferedAmount = 0;
    }
    expect(pauses.length).toBeLessThan(10);
  });

  it("is left to back-pressure where there is some", () => {
    const { leg, pauses } = session({ hasBackpressure: true });
    const part = { bytes: Uint8Array.of(STDOUT, 1), isText: false, isFirst: true, isLast: true };
    for (let count = 0; count < 10_000; count++) (leg as SilentLeg).receiver?.onPart(part);
    expect(pauses).toHaveLength(0);
  });
});

describe("what an ended session still holds", () => {
  const end = closureOf({ kind: "internal" }, undefined);

  it.each([true, false])("is nothing once both sides are gone, whether it is measured (%s) or not", (isMeasured) => {
    const { client, leg, relay } = session({ isClientMeasured: isMeasured, isClusterMeasured: isMeasured });
    client.message(STDIN, 100);
    relay.close(end);
    expect(relay.waitingBytes).toBeGreaterThan(100);
    client.hangUp();
    expect(relay.waitingBytes).toBe(101);
    leg.abort();
    expect(relay.waitingBytes).toBe(0);
  });
});

describe("what a session holds waits for", () => {
  it("its client, the cluster, or the rest of a message: whatever is most", () => {
    const { client, cluster, relay } = session();
    client.message(STDIN, 1_000);
    expect(relay.waitsFor).toBe("cluster");
    cluster.message(STDOUT, 10_000);
    relay.onPause();
    expect(relay.waitsFor).toBe("client");
    relay.onPart({ bytes: new Uint8Array(MIB).fill(RESIZE), isText: false, isFirst: true, isLast: false });
    expect(relay.waitsFor).toBe("message");
  });

  it("counts what tiny messages cost, and not a client that is gone", () => {
    const { client, cluster, relay } = session();
    client.message(STDIN, 50_000);
    // Resizes are never joined. A message costs 256 bytes beside its own.
    for (let count = 0; count < 1_000; count++) cluster.message(RESIZE, 1);
    expect(relay.waitsFor).toBe("client");
    client.hangUp();
    expect(relay.waitsFor).toBe("cluster");
  });
});

describe("a cluster that has taken everything", () => {
  it("is not stalled by a ping, however long nothing happened before, but by one that it does not take", () => {
    let now = 0;
    const { leg, relay } = session({ hasBackpressure: true, clock: { ...STOPPED_CLOCK, now: () => now } });
    const tick = (at: number) => {
      now = at;
      relay.tick(now);
      return relay.stalledReader(1_000);
    };
    // A machine that was suspended for a minute.
    for (const at of [0, 60_000]) expect(tick(at)).toBeUndefined();
    expect((leg as SilentLeg).unsentBytes).toBeGreaterThan(0);
    expect(tick(60_999)).toBeUndefined();
    expect(tick(61_000)).toBe("cluster");
  });
});

describe("what a side had sent before its connection broke", () => {
  it("is taken of the cluster, with how the command ended", () => {
    const { client, cluster, leg, causes } = session();
    client.message(STDIN, 100);
    cluster.break();
    expect([leg.unsentBytes, causes]).toEqual([0, []]);
    cluster.text(ERROR, '{"status":"Success"}');
    cluster.hangUp(1000);
    expect(causes).toMatchObject([{ kind: "command", status: { status: "Success" }, side: "cluster", code: 1000 }]);
  });

  it("is taken of the client, which nothing waits for any more", () => {
    const { client, cluster, relay, causes } = session();
    cluster.message(STDOUT, 100);
    relay.onPause();
    expect(relay.unsentBytes).toBeGreaterThan(0);
    client.break();
    expect([relay.unsentBytes, causes]).toEqual([0, []]);
    client.message(STDIN, 100);
    expect(cluster.sent).toHaveLength(1);
    cluster.bufferedAmount = 0;
    client.hangUp(1000);
    expect(causes).toEqual([{ kind: "client", code: 1000, reason: "" }]);
  });
});

describe("a command's Status", () => {
  it("is written before its client hears of it, once, whatever pieces it comes in", () => {
    const sentBefore: number[] = [];
    const { client, cluster } = session({ onFinalStatus: () => sentBefore.push(client.sent.length) });
    cluster.text(STDOUT, "out");
    cluster.text(ERROR, '{"status":');
    expect([sentBefore, client.sent.length]).toEqual([[], 2]);
    cluster.text(ERROR, '"Success"}');
    cluster.text(ERROR, "\n");
    // The last of its pieces was not sent when it was written.
    expect([sentBefore, client.sent.length]).toEqual([[2], 4]);
  });
});
