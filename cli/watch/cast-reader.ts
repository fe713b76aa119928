/** Reads a live cast as it comes: pieces of bytes in, lines out. Pure. */

/** A longer line is none of a cast's: `MERGE_BYTES` of durable/recording/policy.ts, escaped, and some room. */
const MAX_LINE_CHARS = 1024 * 1024;

/** An event of an asciicast v2: https://docs.asciinema.org/manual/asciicast/v2/ */
export interface CastEvent {
  readonly code: string;
  readonly data: string;
}

export class CastReader {
  readonly #decoder = new TextDecoder();
  readonly #onLine: (line: string) => void;
  #rest = "";

  /** @param onLine given each line without its line feed */
  constructor(onLine: (line: string) => void) {
    this.#onLine = onLine;
  }

  push(piece: Uint8Array): void {
    const lines = (this.#rest + this.#decoder.decode(piece, { stream: true })).split("\n");
    this.#rest = (lines.pop() ?? "").slice(0, MAX_LINE_CHARS);
    for (const line of lines) this.#onLine(line);
  }
}

/** @returns undefined for the header, and for what is no event */
export function readEvent(line: string): CastEvent | undefined {
  let event: unknown;
  try {
    event = JSON.parse(line);
  } catch {
    return undefined;
  }
  if (!Array.isArray(event)) return undefined;
  const [, code, data]: unknown[] = event;
  return typeof code === "string" && typeof data === "string" ? { code, data } : undefined;
}
