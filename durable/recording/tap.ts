import { Channel } from "../../kubernetes/channels.ts";
import type { Chunk } from "../protocols/chunk.ts";
import type { AsciicastWriter } from "./asciicast-writer.ts";
import type { TerminalSize } from "./cast-lines.ts";

/** Extracts from a session's traffic what belongs in its cast. */
export interface Tap {
  fromClient(chunk: Chunk, now: number): void;
  fromUpstream(chunk: Chunk, now: number): void;
}

/** Creates the tap of a session. @param withInput whether stdin is recorded too */
export type CreateTap = (writer: AsciicastWriter, withInput: boolean) => Tap;

/** A resize has some 30 bytes. What is longer without an end is cut, which makes it unreadable. */
const MAX_RESIZE_CHARS = 1_024;
const MAX_CELLS = 65_535;

/** For sessions whose streams have channels, which are those of exec and attach. */
export class ChannelTap implements Tap {
  readonly #writer: AsciicastWriter;
  readonly #withInput: boolean;
  readonly #resizes = new ResizeReader();

  constructor(writer: AsciicastWriter, withInput: boolean) {
    this.#writer = writer;
    this.#withInput = withInput;
  }

  fromClient({ channel, payload }: Chunk, now: number): void {
    if (channel === Channel.stdin && this.#withInput) this.#writer.write("stdin", payload, now);
    if (channel !== Channel.resize) return;
    for (const size of this.#resizes.push(payload)) this.#writer.resize(size, now);
  }

  fromUpstream({ channel, payload }: Chunk, now: number): void {
    if (channel === Channel.stdout) this.#writer.write("stdout", payload, now);
    else if (channel === Channel.stderr) this.#writer.write("stderr", payload, now);
  }
}

/** For sessions without channels: all bytes are recorded as they come. */
export class RawTap implements Tap {
  readonly #writer: AsciicastWriter;
  readonly #withInput: boolean;

  constructor(writer: AsciicastWriter, withInput: boolean) {
    this.#writer = writer;
    this.#withInput = withInput;
  }

  fromClient({ payload }: Chunk, now: number): void {
    if (this.#withInput) this.#writer.write("stdin", payload, now);
  }

  fromUpstream({ payload }: Chunk, now: number): void {
    this.#writer.write("stdout", payload, now);
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
