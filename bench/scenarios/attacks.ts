/** The worst messages that a client can send, as far as anybody has thought of them. */
import { encodeFrame } from "../../kubernetes/spdy/encoder.ts";
import { HeaderBlockWriter } from "../../kubernetes/spdy/header-block.ts";
import { STDIN } from "./exec-socket.ts";

const MIB = 1024 * 1024;
const RESIZE = 4;

export interface Attack {
  readonly name: string;
  /** What is sent, as shown in the report. */
  readonly title: string;
  readonly session: "exec" | "port-forward";
  message(): Buffer;
}

export const ATTACKS = [
  // Sizes of a terminal are JSON, and go into the recording.
  { name: "largeResizes", title: "resizes of 1 MiB", session: "exec", message: () => resizes(MIB) },
  { name: "resizes", title: "resizes of 4 KB", session: "exec", message: () => resizes(4_000) },
  { name: "brokenResizes", title: "resizes of one byte", session: "exec", message: () => repeated(RESIZE, "{", 1) },
  { name: "largeInput", title: "stdin of 8 MiB", session: "exec", message: () => repeated(STDIN, "\0", 8 * MIB) },
  { name: "input", title: "stdin of one byte", session: "exec", message: () => repeated(STDIN, "\0", 1) },
  { name: "pings", title: "port-forward pings", session: "port-forward", message: () => pings(256 * 1024) },
] as const satisfies readonly Attack[];

export type AttackName = (typeof ATTACKS)[number]["name"];

function resizes(bytes: number): Buffer {
  return repeated(RESIZE, '{"Width":80,"Height":24}', bytes);
}

function repeated(channel: number, text: string, bytes: number): Buffer {
  return Buffer.concat([Buffer.of(channel), Buffer.alloc(bytes, text)]);
}

/** As many control frames as fit. */
function pings(bytes: number): Buffer {
  const ping = encodeFrame({ type: "PING", id: 1 }, new HeaderBlockWriter());
  return Buffer.concat(Array.from({ length: Math.floor(bytes / ping.length) }, () => ping));
}
