import { Channel, type ChannelProtocol, channelProtocol, decodeFrame } from "../../kubernetes/channels.ts";
import type { SessionKind } from "../../kubernetes/session-target.ts";
import type { Message } from "../protocols/observer.ts";
import type { AsciicastWriter } from "./asciicast-writer.ts";
import type { TerminalSize } from "./cast-lines.ts";

/** Extracts from a session's messages what belongs in its cast. */
export interface Tap {
  fromClient(message: Message, now: number): void;
  fromUpstream(message: Message, now: number): void;
}

/** A resize has some 30 bytes. What is longer without an end is cut, which makes it unreadable. */
const MAX_RESIZE_CHARS = 1_024;
const MAX_CELLS = 65_535;

/**
 * @param subprotocol what the upstream chose. Where it has no channels (KubeVirt's, and future ones of exec)
 *   all bytes are recorded as they come: an odd cast is better than none.
 */
export function createTap(kind: SessionKind, subprotocol: string, withInput: boolean, writer: AsciicastWriter): Tap {
  const channels = kind === "console" ? undefined : channelProtocol(subprotocol);
  return channels ? new ChannelTap(channels, withInput, writer) : new RawTap(withInput, writer);
}

class ChannelTap implements Tap {
  readonly #protocol: ChannelProtocol;
  readonly #withInput: boolean;
  readonly #writer: AsciicastWriter;
  readonly #resizes = new ResizeReader();

  constructor(protocol: ChannelProtocol, withInput: boolean, writer: AsciicastWriter) {
    this.#protocol = protocol;
    this.#withInput = withInput;
    this.#writer = writer;
  }

  fromClient(message: Message, now: number): void {
    const channel = channelOf(this.#protocol, message);
    if (channel !== Channel.resize && !(this.#withInput && channel === Channel.stdin)) return;
    const frame = decodeFrame(this.#protocol, message);
    if (!frame) return;
    if (channel === Channel.stdin) this.#writer.write("stdin", frame.payload, now);
    else for (const size of this.#resizes.push(frame.payload)) this.#writer.resize(size, now);
  }

  fromUpstream(message: Message, now: number): void {
    const channel = channelOf(this.#protocol, message);
    if (channel !== Channel.stdout && channel !== Channel.stderr) return;
    const frame = decodeFrame(this.#protocol, message);
    if (frame) this.#writer.write(channel === Channel.stdout ? "stdout" : "stderr", frame.payload, now);
  }
}

class RawTap implements Tap {
  readonly #withInput: boolean;
  readonly #writer: AsciicastWriter;

  constructor(withInput: boolean, writer: AsciicastWriter) {
    this.#withInput = withInput;
    this.#writer = writer;
  }

  fromClient(message: Message, now: number): void {
    if (this.#withInput) this.#writer.write("stdin", bytesOf(message), now);
  }

  fromUpstream(message: Message, now: number): void {
    this.#writer.write("stdout", bytesOf(message), now);
  }
}

/** The resize channel is a stream of JSON objects, `{"Width":80,"Height":24}`, read as Go does. */
class ResizeReader {
  readonly #decoder = new TextDecoder();
  #rest = "";

  push(bytes: Uint8Array): TerminalSize[] {
    const pieces = `${this.#rest}${this.#decoder.decode(bytes, { stream: true })}`.split("}");
    this.#rest = (pieces.pop() ?? "").slice(0, MAX_RESIZE_CHARS);
    return pieces.map((piece) => parseSize(`${piece}}`)).filter((size) => size !== undefined);
  }
}

/** Go matches the names of fields case-insensitively. */
function parseSize(text: string): TerminalSize | undefined {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return undefined;
  }
  const fields = new Map(Object.entries(value as object).map(([name, field]) => [name.toLowerCase(), field]));
  const [columns, rows]: unknown[] = [fields.get("width"), fields.get("height")];
  return isCells(columns) && isCells(rows) ? { columns, rows } : undefined;
}

function isCells(value: unknown): value is number {
  return typeof value === "number" && Number.isInteger(value) && value > 0 && value <= MAX_CELLS;
}

/** Reads the channel only: most messages are not recorded and need no decoding. */
function channelOf(protocol: ChannelProtocol, message: Message): number | undefined {
  const first = typeof message === "string" ? message.charCodeAt(0) : new Uint8Array(message)[0];
  if (first === undefined) return undefined;
  return protocol.encoding === "base64" ? first - 0x30 : first;
}

function bytesOf(message: Message): Uint8Array {
  return typeof message === "string" ? new TextEncoder().encode(message) : new Uint8Array(message);
}
