/** How much of a container's output is kept for `kubectl logs`. Older output is dropped. */
const MAX_KEPT_BYTES = 4 * 1024 * 1024;
const NEWLINE = 0x0a;

interface Chunk {
  readonly start: number;
  readonly time: number;
  readonly bytes: Buffer;
}

/** The output of one run, in order. Positions are bytes since the start of the run. */
export class ContainerLog {
  #chunks: Chunk[] = [];
  #end = 0;
  #kept = 0;
  #finished = false;
  readonly #waiting = new Set<() => void>();

  append(bytes: Buffer): void {
    this.#chunks.push({ start: this.#end, time: Date.now(), bytes });
    this.#end += bytes.length;
    this.#kept += bytes.length;
    while (this.#kept > MAX_KEPT_BYTES && this.#chunks.length > 1)
      this.#kept -= this.#chunks.shift()?.bytes.length ?? 0;
    this.#wake();
  }

  /** Marks the end of the run: nothing more is appended. */
  finish(): void {
    this.#finished = true;
    this.#wake();
  }

  get finished(): boolean {
    return this.#finished;
  }

  /**
   * @returns the output from a position (or the oldest kept) to the end of its chunk; undefined at the end
   */
  read(position: number): { bytes: Buffer; time: number; next: number } | undefined {
    const chunk = this.#chunks.find(({ start, bytes }) => start + bytes.length > position);
    if (chunk === undefined) return undefined;
    const bytes = chunk.bytes.subarray(Math.max(0, position - chunk.start));
    return { bytes, time: chunk.time, next: chunk.start + chunk.bytes.length };
  }

  /** Resolves at the next output or at the end of the run. */
  changed(signal: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      const wake = (): void => {
        this.#waiting.delete(wake);
        signal.removeEventListener("abort", wake);
        resolve();
      };
      this.#waiting.add(wake);
      signal.addEventListener("abort", wake);
    });
  }

  /** @returns the position of the last `lines` lines */
  tailPosition(lines: number): number {
    let missing = lines;
    for (const { bytes, start } of this.#chunks.toReversed()) {
      for (let at = bytes.lastIndexOf(NEWLINE); at !== -1; at = at === 0 ? -1 : bytes.lastIndexOf(NEWLINE, at - 1)) {
        // The final newline belongs to the last line.
        if (start + at + 1 !== this.#end && --missing <= 0) return start + at + 1;
      }
    }
    return lines === 0 ? this.#end : 0;
  }

  /** @returns the position of what was written at or after a time */
  timePosition(since: number): number {
    return this.#chunks.find(({ time }) => time >= since)?.start ?? this.#end;
  }

  #wake(): void {
    for (const wake of [...this.#waiting]) wake();
  }
}
