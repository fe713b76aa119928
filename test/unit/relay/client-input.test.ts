/** What one large message of a client costs in each turn of the event loop: counted, not timed. */
import { describe, expect, it } from "vitest";
import { concatBytes } from "../../../common/bytes.ts";
import type { Chunk } from "../../../durable/protocols/chunk.ts";
import type { Framing } from "../../../durable/protocols/framing.ts";
import { KINDS_OF_SESSIONS } from "../../../durable/protocols/kinds.ts";
import { ClientInput } from "../../../durable/relay/client-input.ts";
import { splitMessage } from "../../../durable/relay/split-message.ts";
import { UpstreamWriter } from "../../../durable/relay/upstream-writer.ts";
import type { UpstreamLeg } from "../../../durable/upstream/leg.ts";
import type { SessionKind } from "../../../kubernetes/session-target.ts";
import { countWork } from "../../support/count-work.ts";

const MIB = 1024 * 1024;
const BINARY = "v5.channel.k8s.io";
const BASE64 = "v4.base64.channel.k8s.io";
/** A piece and what it is copied and encoded with, several times. */
const MAX_BYTES_PER_TURN = 4 * MIB;

/**
 * The way in of a session, whose cluster takes everything at once and whose timers ring when the test says
 * so.
 */
class Session {
  readonly framing: Framing;
  readonly sent: (Uint8Array | string)[] = [];
  readonly recorded: Uint8Array[] = [];
  readonly failures: unknown[] = [];
  readonly #input: ClientInput;
  #sleepers: (() => void)[] = [];

  constructor(kind: SessionKind, subprotocol: string, observe = () => true, heldByAll = { bytes: 0 }) {
    const framing = KINDS_OF_SESSIONS[kind].framing(subprotocol);
    this.framing = framing;
    const leg = {
      ...{ isMeasured: true, unsentBytes: 0, takenBytes: 0 },
      send: (message: ArrayBuffer | Uint8Array | string) =>
        this.sent.push(message instanceof ArrayBuffer ? new Uint8Array(message) : message),
    } as unknown as UpstreamLeg;
    const clock = { now: () => 0, sleep: () => new Promise<void>((resolve) => this.#sleepers.push(resolve)) };
    const buffer = { append() {}, take: () => undefined, clear() {} };
    const pauseInput = () => {};
    const toCluster = new UpstreamWriter({
      ...{ leg, framing, buffer, maxBufferedBytes: 64 * MIB, heldByAll: { bytes: 0 }, pauseInput, clock },
      onOverflow: () => this.failures.push("overflow"),
    });
    this.#input = new ClientInput({
      ...{ framing, toCluster, pauseInput, clock, observe, heldByAll, parsedFrames: () => 0 },
      record: ({ payload }: Chunk) => this.recorded.push(payload.slice()),
      onFailure: (error) => this.failures.push(error),
    });
  }

  get input(): ClientInput {
    return this.#input;
  }

  /** Lets timers ring once. */
  async turn(): Promise<void> {
    for (const wake of this.#sleepers.splice(0)) wake();
    for (let n = 0; n < 5; n++) await Promise.resolve();
  }

  async finish(): Promise<void> {
    for (let turns = 0; this.#sleepers.length > 0 && turns < 1_000; turns++) await this.turn();
  }

  /** What the payloads on the way to the cluster are together. */
  get payload(): Uint8Array {
    return concatBytes(this.sent.map((message) => payloadOf(this.framing, message)));
  }
}

function payloadOf(framing: Framing, message: Uint8Array | string): Uint8Array {
  if (typeof message === "string") return Buffer.from(message.slice(1), "base64");
  return framing.kind === "channels" ? message.subarray(1) : message;
}

const bytesOfLength = (length: number) => {
  const bytes = new Uint8Array(length);
  for (let at = 0; at < length; at++) bytes[at] = (at * 7) % 251;
  return bytes;
};

function messageOf(subprotocol: string, payload: Uint8Array): ArrayBuffer | string {
  if (subprotocol === BASE64) return `0${Buffer.from(payload).toString("base64")}`;
  return concatBytes([Uint8Array.of(0), payload]).buffer;
}

describe.each([BINARY, BASE64])("a large message of stdin over %s", (subprotocol) => {
  const payload = bytesOfLength(20 * MIB);

  it("is recorded and sent in pieces, one in each turn, and what comes meanwhile waits behind", async () => {
    const session = new Session("exec", subprotocol);
    const { input, recorded, sent } = session;
    const message = messageOf(subprotocol, payload);
    expect(countWork(() => input.take(message)).copiedBytes).toBeLessThan(MAX_BYTES_PER_TURN);
    input.take(messageOf(subprotocol, Uint8Array.of(1)));
    for (let turns = 1; recorded.length <= 20; turns++) {
      // A piece at once for each of the two that came, and one in each turn.
      for (const pieces of [recorded, sent]) expect(pieces.length).toBeLessThanOrEqual(turns + 2);
      await session.turn();
    }
    expect([input.isWaiting, input.heldBytes > 5 * MIB]).toEqual([true, true]);
    await session.finish();
    const whole = concatBytes([payload, Uint8Array.of(1)]);
    expect(Buffer.compare(session.payload, whole)).toBe(0);
    expect(Buffer.compare(concatBytes(recorded), whole)).toBe(0);
    expect(Math.max(...recorded.map(({ length }) => length))).toBeLessThanOrEqual(MIB / 2);
    expect([input.isWaiting, input.heldBytes, session.failures]).toEqual([false, 0, []]);
  });

  it("is waited for before a close", async () => {
    const session = new Session("exec", subprotocol);
    session.input.take(messageOf(subprotocol, payload));
    let sentAtTheEnd = 0;
    void session.input.whenAllTaken().then(() => {
      sentAtTheEnd = session.payload.length;
    });
    await session.finish();
    expect(sentAtTheEnd).toBe(payload.length);
  });

  it("is forgotten at the end of the session", async () => {
    const session = new Session("exec", subprotocol);
    session.input.take(messageOf(subprotocol, payload));
    session.input.end();
    const ended = session.input.whenAllTaken();
    await session.finish();
    await ended;
    expect(session.payload.length).toBeLessThan(MIB);
    expect([session.input.isWaiting, session.input.heldBytes]).toEqual([false, 0]);
  });

  it("that may not pass is neither recorded nor sent", async () => {
    const session = new Session("exec", subprotocol, () => false);
    session.input.take(messageOf(subprotocol, payload));
    await session.finish();
    expect([session.recorded, session.sent, session.input.heldBytes]).toEqual([[], [], 0]);
  });
});

it("a flood of large messages pays for what waits, so that all sessions of an object hold one of them", async () => {
  const held = { bytes: 0 };
  const sessions = Array.from({ length: 3 }, () => new Session("exec", BINARY, () => true, held));
  for (let count = 0; count < 9; count++) {
    sessions[count % 3]?.input.take(messageOf(BINARY, new Uint8Array(20 * MIB)));
    expect(held.bytes).toBeLessThanOrEqual(32 * MIB);
  }
  expect(held.bytes).toBeGreaterThan(0);
  sessions[2]?.input.end();
  for (const session of sessions) await session.finish();
  expect(held.bytes).toBe(0);
});

it("a large message that must stay whole is recorded in pieces, and sent as it came", async () => {
  const session = new Session("console", "plain.kubevirt.io");
  const message = bytesOfLength(5 * MIB);
  session.input.take(message.buffer);
  expect([session.recorded.length, session.sent.length]).toEqual([1, 0]);
  await session.finish();
  expect(session.sent).toHaveLength(1);
  expect(Buffer.compare(session.payload, message)).toBe(0);
  expect(Buffer.compare(concatBytes(session.recorded), message)).toBe(0);
});

it("a fault in a later piece is told once, and nothing follows", async () => {
  const session = new Session("exec", BINARY);
  session.input.take(messageOf(BINARY, new Uint8Array(5 * MIB)));
  session.recorded.push = () => {
    throw new RangeError("a bug");
  };
  await session.finish();
  expect(session.failures).toEqual([new RangeError("a bug")]);
  expect([session.sent.length, session.input.heldBytes]).toEqual([1, 0]);
});

describe("a message is cut", () => {
  const framing = (subprotocol: string) => KINDS_OF_SESSIONS.exec.framing(subprotocol);
  const large = "x".repeat(3 * MIB);

  it.each<[string, Framing, ArrayBuffer | string, number]>([
    ["not where it is small", framing(BINARY), new ArrayBuffer(512 * 1024), 1],
    ["into binary pieces where it is text of a binary channel", framing(BINARY), `\0${large}`, 6],
    ["not where its channel is no stream", framing(BINARY), `\u0004${large}`, 1],
    ["not where a message has a meaning of its own", { kind: "messages" }, large, 1],
    ["wherever it is a stream of bytes", { kind: "bytes" }, new ArrayBuffer(3 * MIB), 6],
    ["not where a stream of bytes gets text", { kind: "bytes" }, large, 1],
    ["at whole bytes of base64", framing(BASE64), `0${large}`, 6],
    ["not where base64 has line ends", framing(BASE64), `0\n${large}`, 1],
    ["not where base64 is of another channel", framing(BASE64), `4${large}`, 1],
  ])("%s", (_, how, message, pieces) => {
    const cut = [...splitMessage(how, message)];
    expect(cut).toHaveLength(pieces);
    if (pieces === 1) expect(cut[0]).toBe(message);
  });
});
