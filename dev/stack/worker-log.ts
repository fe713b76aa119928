/** What the Workers and their runtime say, kept in a file; only trouble reaches the terminal. */
import { chmodSync, closeSync, openSync, renameSync, statSync, writeSync } from "node:fs";
import { Log, LogLevel } from "miniflare";
import { errorCode } from "./errors.ts";

/** A log larger than this is put aside at the next start. */
const MAX_KEPT_BYTES = 10 * 1024 * 1024;
const TERMINAL_LINE_CHARS = 200;
/** Anything shaped like a signed token. The Worker logs none; this is the second lock on that door. */
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

  /** The same trouble over and over (a client that retries) is one line. */
  #printShort(message: string): void {
    const line = (message.split("\n")[0] ?? "").slice(0, TERMINAL_LINE_CHARS);
    if (line === this.#lastPrinted) return;
    this.#lastPrinted = line;
    this.#options.print(`error: ${line} (more in ${this.#options.path})`);
  }
}

/** The local runtime's own remarks, into the same file. */
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
