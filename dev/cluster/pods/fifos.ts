import { execFile } from "node:child_process";
import { closeSync, constants, openSync, rmSync } from "node:fs";
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";

const BATCH = 48;
const LOW_WATER = 12;

/**
 * The file descriptors of both ends of a pipe. The process's end blocks, as programs expect; ours does not.
 */
export interface PipeEnds {
  readonly ours: number;
  readonly theirs: number;
}

/**
 * Real pipes for child processes. Node's own `stdio: "pipe"` creates socket pairs, which cannot be opened by
 * name: `echo x > /dev/stderr` in a container would fail. Each FIFO is used once and unlinked when opened.
 * They are created in batches in advance, because `mkfifo` costs a process.
 */
export class FifoPool {
  readonly #folder: string;
  #paths: string[] = [];
  #made = 0;
  #refill: Promise<void> | undefined;

  constructor(folder: string) {
    this.#folder = folder;
  }

  /** Removes an earlier run's files and creates the first batch. */
  async open(): Promise<void> {
    rmSync(this.#folder, { recursive: true, force: true });
    await mkdir(this.#folder, { recursive: true, mode: 0o700 });
    await this.#fill();
  }

  /** A pipe that the process writes to and we read. */
  async output(): Promise<PipeEnds> {
    const path = await this.#take();
    const ours = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
    const theirs = openSync(path, constants.O_WRONLY);
    rmSync(path);
    return { ours, theirs };
  }

  /** A pipe that we write to and the process reads. */
  async input(): Promise<PipeEnds> {
    const path = await this.#take();
    // Opening one end of a FIFO blocks until the other is opened. A non-blocking reader avoids that.
    const opener = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
    const ours = openSync(path, constants.O_WRONLY | constants.O_NONBLOCK);
    const theirs = openSync(path, constants.O_RDONLY);
    closeSync(opener);
    rmSync(path);
    return { ours, theirs };
  }

  async #take(): Promise<string> {
    if (this.#paths.length < LOW_WATER) {
      this.#refill ??= this.#fill().finally(() => {
        this.#refill = undefined;
      });
    }
    for (;;) {
      const path = this.#paths.pop();
      if (path !== undefined) return path;
      await (this.#refill ?? this.#fill());
    }
  }

  async #fill(): Promise<void> {
    const paths = Array.from({ length: BATCH }, () => join(this.#folder, `pipe-${++this.#made}`));
    await promisify(execFile)("mkfifo", ["-m", "600", ...paths]);
    this.#paths.push(...paths);
  }
}
