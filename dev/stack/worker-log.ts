/** The log of the Workers and of workerd, kept in a file. Only errors reach the terminal. */
import { chmodSync, closeSync, openSync, renameSync, statSync, writeSync } from "node:fs";
import { Log, LogLevel } from "miniflare";
import { errorCode } from "../../common/errors.ts";

/** A larger log is moved aside at the next start. */
const MAX_KEPT_BYTES = 10 * 1024 * 1024;
const TERMINAL_LINE_CHARS = 200;
/** Anything in the form of a signed token. The Workers log none; this is a second line of defence. */
const TOKEN = /\beyJ[\w-]{8,}\.[\w-]{8,}\.[\w-]*/g;

export interface WorkerLogOptions {
  readonly path: string;
  readonly verbose: boolean;
  readonly print: (line: string) => void;
}

export class WorkerLog {
  readonly #options: WorkerLogOptions;
  #file: number | undefined;
  #lastPrinted = "";

  constructor(options: WorkerLogOptions) {
    this.#options = options;
    setAsideIfLarge(options.path);
    this.#file = openSync(options.path, "a", 0o600);
    chmodSync(options.path, 0o600);
  }

  write(level: string, message: string, timestampMs: number = Date.now()): void {
    if (this.#file === undefined) return;
    const safe = message.replaceAll(TOKEN, "[token]").trimEnd();
    writeSync(this.#file, `${new Date(timestampMs).toISOString()} ${level} ${safe}\n`);
    if (this.#options.verbose) this.#options.print(`${level}: ${safe}`);
    else if (level === "error") this.#printShort(safe);
  }

  close(): void {
    if (this.#file !== undefined) closeSync(this.#file);
    this.#file = undefined;
  }

  /** Prints repetitions of one error once, for example those of a client that retries. */
  #printShort(message: string): void {
    const line = (message.split("\n")[0] ?? "").slice(0, TERMINAL_LINE_CHARS);
    if (line === this.#lastPrinted) return;
    this.#lastPrinted = line;
    this.#options.print(`error: ${line} (more in ${this.#options.path})`);
  }
}

/** Writes Miniflare's own messages to the same file. */
export class RuntimeLog extends Log {
  readonly #target: WorkerLog;

  constructor(target: WorkerLog) {
    super(LogLevel.WARN);
    this.#target = target;
  }

  override logWithLevel(level: LogLevel, message: string): void {
    if (level > this.level) return;
    this.#target.write(level === LogLevel.ERROR ? "error" : "warn", message);
  }
}

function setAsideIfLarge(path: string): void {
  try {
    if (statSync(path).size > MAX_KEPT_BYTES) renameSync(path, `${path}.1`);
  } catch (error) {
    if (errorCode(error) !== "ENOENT") throw error;
  }
}
