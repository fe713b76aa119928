import type { CastSource } from "./cast-source.ts";

/** About as much as a watcher is sent at once. */
export const BLOCK_BYTES = 64 * 1024;

/** A block of a cast as text. */
export interface ShownBlock {
  readonly start: number;
  readonly next: number;
  readonly text: string;
  readonly bytes: number;
  readonly lines: number;
}

/** Reads blocks for watchers. Most are at the same place, so the last one serves them all. */
export class ShownBlocks {
  #last: { readonly source: CastSource; readonly offset: number; readonly block: ShownBlock } | undefined;

  read(source: CastSource, offset: number, now: number): ShownBlock | null {
    if (this.#last?.source === source && this.#last.offset === offset) return this.#last.block;
    const read = source.read(offset, BLOCK_BYTES, now);
    if (!read) return null;
    const text = new TextDecoder().decode(read.bytes);
    let lines = 0;
    for (const byte of read.bytes) if (byte === 0x0a) lines++;
    const block = { start: read.start, next: read.next, text, bytes: read.bytes.length, lines };
    this.#last = { source, offset, block };
    return block;
  }

  forget(): void {
    this.#last = undefined;
  }
}
