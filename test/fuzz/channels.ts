/**
 * Fuzzes the channel codec and its observers. Nothing is thrown, a frame decodes to itself
 * after encoding, a Status is the same wherever it is cut, and the data for the audit log stays
 * small. See harness.ts for the options.
 */
import { deepStrictEqual, ok } from "node:assert";
import type { Message } from "../../durable/protocols/framing.ts";
import { channelProtocol, decodeFrame, encodeFrame } from "../../kubernetes/channels.ts";
import { exitCodeOf, MAX_STATUS_BYTES } from "../../kubernetes/status.ts";
import { MessageObserver } from "../support/observe-messages.ts";
import type { Random } from "../support/random.ts";
import { captures, fuzz } from "./harness.ts";

const NAMES = [
  "v5.channel.k8s.io",
  "v4.channel.k8s.io",
  "v4.base64.channel.k8s.io",
  "base64.channel.k8s.io",
  "",
] as const;
const MAX_TRAFFIC_CHARS = 64 * 1024;

const messages = [
  ...captures("exec"),
  ...captures("attach"),
  ...captures("cp-"),
  ...captures("client-node-port-forward"),
]
  .flat()
  .map(({ bytes }) => bytes);
const base64 = messages.map((bytes) => Buffer.from(`${bytes[0]}${Buffer.from(bytes.subarray(1)).toString("base64")}`));
const [first, ...others] = [...messages, ...base64].filter(({ length }) => length < 4_096);
if (!first) throw new Error("the corpus is empty");

fuzz({
  name: "channels",
  corpus: [first, ...others],
  check(input, random) {
    for (const name of NAMES) {
      const protocol = channelProtocol(name);
      if (!protocol) throw new Error(`${name} is no channel protocol`);
      for (const message of [messageOf(input), new TextDecoder().decode(input)]) {
        const frame = decodeFrame(protocol, message);
        if (!frame) continue;
        const again = decodeFrame(protocol, asMessage(encodeFrame(protocol, frame.channel, frame.payload)));
        deepStrictEqual(
          [again?.channel, Buffer.from(again?.payload ?? [])],
          [frame.channel, Buffer.from(frame.payload)],
        );
      }
      checkObservers(name, input, random);
      checkStatus(name, input, random);
    }
  },
});

function checkObservers(name: string, input: Uint8Array, random: Random): void {
  const ports = Array.from({ length: random.below(200) }, (_, n) => n + 1);
  const observers: MessageObserver[] = [
    new MessageObserver("exec", name, true),
    new MessageObserver("port-forward", name, false, { ports, onNewPort: (port) => ok(ports.includes(port)) }),
  ];
  for (const observer of observers) {
    for (const piece of random.cut(input, random.pick([5, 100, 4_000]))) {
      const message = random.chance(0.5) ? messageOf(piece) : new TextDecoder().decode(piece);
      observer.fromClient(message);
      observer.fromUpstream(message);
    }
    observer.finalStatus();
    observer.goodbyeFrames("the end");
    const traffic = observer.traffic() ?? {};
    ok((traffic.forwards?.length ?? 0) <= 65, "too many ports");
    ok(JSON.stringify(traffic).length < MAX_TRAFFIC_CHARS, "the traffic data is too long");
  }
}

/** The error channel gives the same status in one piece and in many. */
function checkStatus(name: string, input: Uint8Array, random: Random): void {
  if (input.length === 0 || input.length > MAX_STATUS_BYTES) return;
  const statusOf = (pieces: Iterable<Uint8Array>) => {
    const observer = new MessageObserver("exec", name, false);
    const protocol = channelProtocol(name);
    if (!protocol) throw new Error(`${name} is no channel protocol`);
    for (const piece of pieces) observer.fromUpstream(asMessage(encodeFrame(protocol, 3, piece)));
    return observer.finalStatus();
  };
  const whole = statusOf([input]);
  deepStrictEqual(statusOf(random.cut(input, random.pick([2, 30, 500]))), whole);
  if (whole) exitCodeOf(whole);
}

function messageOf(bytes: Uint8Array): ArrayBuffer {
  return Uint8Array.from(bytes).buffer;
}

function asMessage(message: Uint8Array<ArrayBuffer> | string): Message {
  return typeof message === "string" ? message : message.buffer;
}
