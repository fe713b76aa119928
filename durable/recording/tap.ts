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

/**
 * A resize has some 30 bytes. A longer message is not read at all: clients are free to write any JSON there.
 */
const MAX_RESIZE_BYTES = 4 * 1024;
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

  fromClient(chunk: Chunk, now: number): void {
    if (chunk.channel === Channel.stdin && this.#withInput) this.#writer.write("stdin", chunk.payload, now);
    const size = chunk.channel === Channel.resize ? this.#resizes.push(chunk) : undefined;
    if (size) this.#writer.resize(size, now);
  }

  fromUpstream(chunk: Chunk, now: number): void {
    if (chunk.channel === Channel.stdout) this.#writer.write("stdout", chunk.payload, now);
    else if (chunk.channel === Channel.stderr) this.#writer.write("stderr", chunk.payload, now);
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

  fromClient(chunk: Chunk, now: number): void {
    if (this.#withInput) this.#writer.write("stdin", chunk.payload, now);
  }

  fromUpstream({ payload }: Chunk, now: number): void {
    this.#writer.write("stdout", payload, now);
  }
}

/**
 * The resize channel is a stream of JSON objects, `{"Width":80,"Height":24}`. Of several in one message the
 * last counts, and nothing but it is parsed: the others were on the screen for no time.
 */
export class ResizeReader {
  /** The beginning of an object whose end has not arrived. */
  #rest = "";

  push(chunk: Chunk): TerminalSize | undefined {
    const text = chunk.size > MAX_RESIZE_BYTES ? "" : this.#rest + new TextDecoder().decode(chunk.payload);
    const end = text.lastIndexOf("}") + 1;
    const start = text.lastIndexOf("{", end - 1);
    const isTooLong = text.length - end > MAX_RESIZE_BYTES;
    this.#rest = isTooLong ? "" : text.slice(end);
    return end > 0 && start >= 0 ? parseSize(text.slice(start, end)) : undefined;
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
