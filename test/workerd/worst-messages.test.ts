/** What those cost that need the runtime's types, as in test/unit/worst-messages.test.ts. */
import { describe, expect, it } from "vitest";
import { KINDS_OF_SESSIONS } from "../../durable/protocols/kinds.ts";
import { LiveRecording } from "../../durable/recording/live-recording.ts";
import type { Spool } from "../../durable/recording/spool.ts";
import { ChannelTap } from "../../durable/recording/tap.ts";
import { Relay } from "../../durable/relay/relay.ts";
import { WebSocketLeg } from "../../durable/upstream/websocket-leg.ts";
import { LiveCast } from "../../durable/watch/live-cast.ts";
import { countWork } from "../support/count-work.ts";
import {
  type Bounds,
  CAST_BYTES,
  eachMessage,
  expectBoundedWork,
  METADATA,
  onChannels,
  type Reader,
  WORST,
} from "../support/worst-messages.ts";

const MIB = 1024 * 1024;
const BINARY = "v5.channel.k8s.io";
const BASE64 = "v4.base64.channel.k8s.io";
const clock = { now: () => 0, sleep: () => new Promise<void>(() => {}) };

function recording() {
  let rows = 0;
  const spool = {
    bytesHeld: 0,
    append: () => {
      rows++;
      return false;
    },
    setHeader() {},
    setStopped() {},
  } as unknown as Spool;
  const policy = { mode: "full", onFailure: "continue", onFull: "continue", maxBytes: 1 << 30 } as const;
  const live = new LiveRecording({
    ...{ metadata: METADATA, policy, spool, number: 1, maxSpoolBytes: 1 << 30 },
    createTap: (writer, withInput) => new ChannelTap(writer, withInput),
    ...{ onDirty: () => {}, onPart: () => {}, onMustEnd: () => {} },
  });
  return { live, rows: () => rows };
}

class FakeSocket extends EventTarget {
  bufferedAmount = 0;
  accept(): void {}
  close(): void {}
  send(): void {}
  message(data: ArrayBuffer | string): void {
    this.dispatchEvent(Object.assign(new Event("message"), { data }));
  }
}

/** An exec of which everything is read: observed, recorded with its input, and watched. */
function wholeSession(subprotocol: string) {
  const [client, cluster] = [new FakeSocket(), new FakeSocket()];
  const { live } = recording();
  const kind = KINDS_OF_SESSIONS.exec;
  const framing = kind.framing(subprotocol);
  const cast = new LiveCast({
    ...{ metadata: METADATA, recording: live, readStored: () => null, withInput: true },
    createTap: kind.recorder?.(framing),
  });
  cast.watch(0, () => {});
  const relay = new Relay({
    ...{ client: client as unknown as WebSocket, leg: new WebSocketLeg(cluster as unknown as WebSocket, ""), framing },
    observer: kind.createObserver({
      ...{
        framing,
        terminal: true,
        stderr: true,
        ports: [],
        onNewPort: () => {},
        portForward: { onUnreadable: "end" },
      },
    }),
    ...{ cast, inputBuffer: { append() {}, take: () => undefined, clear() {} }, maxBufferedStdinBytes: 64 * MIB },
    ...{ maxClientMessageBytes: 128 * 1024, heldInput: { bytes: 0 }, storedInput: { bytes: 0 }, startedAt: 0 },
    ...{ pauseInput: () => {}, clock, onFinalStatus: () => {}, onInputNotStored: () => {}, onMustClose: () => {} },
    onFailure: (error) => {
      throw error;
    },
  });
  relay.start();
  return { client, cluster, relay };
}

const READERS: Readonly<Record<string, () => Reader>> = {
  LiveRecording: () => {
    const { live, rows } = recording();
    return {
      take: onChannels((way, message) => live[way](message, 0)),
      ...{ written: rows, held: () => live.unstoredLines(0).length, maxHeld: 2 * MIB, onceBytes: CAST_BYTES },
    };
  },
  Relay: () => {
    const session = wholeSession(BINARY);
    return {
      take: (bytes) => {
        for (const channel of [0, 4]) session.client.message(eachMessage(channel, bytes).buffer);
        for (const channel of [1, 3]) session.cluster.message(eachMessage(channel, bytes).buffer);
      },
      ...{ held: () => session.relay.waitingBytes, maxHeld: 32 * MIB, onceBytes: CAST_BYTES },
    };
  },
  WebSocketLeg: () => {
    const cluster = new FakeSocket();
    const leg = new WebSocketLeg(cluster as unknown as WebSocket, "");
    let parts = 0;
    leg.start({
      ...{ onPart: () => void parts++, onPause() {}, onPong() {}, onClose() {}, onFailure() {} },
      whenRoom: () => undefined,
    });
    return { take: (bytes) => cluster.message(bytes.buffer), written: () => parts };
  },
};

const BOUNDS: Readonly<Record<string, Bounds>> = {
  LiveRecording: { parses: 1, bytesPerMessage: 8_192 },
  // Observed, recorded, and shown to whoever watches.
  Relay: { parses: 3, bytesPerMessage: 16_384 },
};

describe.each(Object.entries(READERS))("%s", (name, make) => {
  it.each(Object.entries(WORST))("does a bounded amount of work for %s, whatever the messages' sizes", (_, text) =>
    expectBoundedWork(make(), text, BOUNDS[name]),
  );
});

describe.each([
  ["text in base64", BASE64, (channel: number, text: string) => `${channel}${btoa(text)}`],
  ["text", BINARY, (channel: number, text: string) => `${String.fromCharCode(channel)}${text}`],
])("a message of %s", (_, subprotocol, encode) => {
  it.each([
    [0, 60_000, 1],
    // What the cluster sends arrives as bytes: base64 becomes text before it is decoded.
    [1, 60_000, subprotocol === BASE64 ? 2 : 1],
    // A text of this size is counted by encoding it: for the log, and for whether it is too long.
    [4, 4_000, subprotocol === BASE64 ? 2 : 3],
  ])("of channel %i is decoded once, for all who read it", (channel, length, expected) => {
    const { client, cluster } = wholeSession(subprotocol);
    const [message, other] = [80, 81].map((width) =>
      encode(channel, `{"Width":${width},"Height":24}${" ".repeat(length)}`),
    ) as [string, string];
    const from = channel === 1 ? cluster : client;
    // The header of the recording is written with the first.
    from.message(message);
    const { base64Chars, encodedChars } = countWork(() => from.message(other));
    expect((base64Chars + encodedChars) / other.length).toBeCloseTo(expected, 1);
  });
});
