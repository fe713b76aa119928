import { type ChildProcess, spawn } from "node:child_process";
import { closeSync } from "node:fs";
import { Socket } from "node:net";
import { constants } from "node:os";
import { type IPty, spawn as spawnPty } from "@lydell/node-pty";
import type { FifoPool, PipeEnds } from "./fifos.ts";
import { endSession, signalGroup } from "./process-group.ts";

export type OutputStream = "stdout" | "stderr";

export interface ProcessOptions {
  /** An executable's path, and the arguments with argv[0]. */
  readonly file: string;
  readonly argv: readonly string[];
  readonly cwd: string;
  readonly env: Readonly<Record<string, string>>;
  readonly stdin: boolean;
  /** On a terminal, where all output is stdout. */
  readonly tty: boolean;
  onOutput(stream: OutputStream, chunk: Buffer): void;
}

/** A container's process, on pipes or on a terminal. */
export interface ContainerProcess {
  readonly pid: number;
  /** The exit code (128 + n for a signal), after the process has ended and its output was delivered. */
  readonly exited: Promise<number>;
  /** Writes input. False means that `onDrain` will be called when there is room again. */
  write(chunk: Buffer): boolean;
  /** Calls the listener whenever input is wanted again, until the returned function is called. */
  onDrain(listener: () => void): () => void;
  endInput(): void;
  pauseOutput(): void;
  resumeOutput(): void;
  resize(columns: number, rows: number): void;
  /** Signals the process and its children, as far as they stayed in its process group. */
  kill(signal: NodeJS.Signals): void;
}

// A background process may keep the output open after the command has ended. Wait only while output arrives.
const LINGER_MS = 200;
const EOT = Buffer.of(4);
const DEFAULT_COLUMNS = 80;
const DEFAULT_ROWS = 24;

/** Starts a process on pipes. */
export async function startOnPipes(options: ProcessOptions, fifos: FifoPool): Promise<ContainerProcess> {
  const [stdin, stdout, stderr] = await Promise.all([
    options.stdin ? fifos.input() : undefined,
    fifos.output(),
    fifos.output(),
  ]);
  const child = spawn(options.file, options.argv.slice(1), {
    ...(options.argv[0] === undefined ? {} : { argv0: options.argv[0] }),
    cwd: options.cwd,
    env: { ...options.env },
    stdio: [stdin?.theirs ?? "ignore", stdout.theirs, stderr.theirs],
    // A process group of its own, so that all of it can be signalled.
    detached: true,
  });
  for (const ends of [stdin, stdout, stderr]) if (ends !== undefined) closeSync(ends.theirs);
  return new PipedProcess(options, child, stdin, stdout, stderr);
}

class PipedProcess implements ContainerProcess {
  readonly pid: number;
  readonly exited: Promise<number>;
  readonly #input: Socket | undefined;
  readonly #outputs: readonly Socket[];
  #paused = false;
  readonly #drained = new Set<() => void>();

  constructor(
    options: ProcessOptions,
    child: ChildProcess,
    stdin: PipeEnds | undefined,
    stdout: PipeEnds,
    stderr: PipeEnds,
  ) {
    this.pid = child.pid ?? -1;
    const read = (stream: OutputStream, { ours }: PipeEnds): Socket =>
      new Socket({ fd: ours, readable: true, writable: false }).on("data", (chunk: Buffer) =>
        options.onOutput(stream, chunk),
      );
    this.#outputs = [read("stdout", stdout), read("stderr", stderr)];
    if (stdin !== undefined) {
      this.#input = new Socket({ fd: stdin.ours, readable: false, writable: true });
      const drained = (): void => {
        for (const listener of this.#drained) listener();
      };
      // EPIPE: the process no longer reads. Further input is dropped, as on a real cluster.
      this.#input
        .on("error", () => undefined)
        .on("drain", drained)
        .on("close", drained);
    }
    this.exited = exitCodeOf(child).then(async (code) => {
      await this.#outputsEnd();
      endSession(this.pid);
      return code;
    });
  }

  write(chunk: Buffer): boolean {
    if (this.#input === undefined || !this.#input.writable) return true;
    return this.#input.write(chunk);
  }

  onDrain(listener: () => void): () => void {
    this.#drained.add(listener);
    return () => this.#drained.delete(listener);
  }

  endInput(): void {
    this.#input?.end();
  }

  pauseOutput(): void {
    this.#paused = true;
    for (const output of this.#outputs) output.pause();
  }

  resumeOutput(): void {
    this.#paused = false;
    for (const output of this.#outputs) output.resume();
  }

  resize(): void {
    // Pipes have no size.
  }

  kill(signal: NodeJS.Signals): void {
    signalGroup(this.pid, signal);
  }

  async #outputsEnd(): Promise<void> {
    this.#input?.destroy();
    const open = (): Socket[] => this.#outputs.filter((output) => !output.closed);
    const ended = Promise.all(open().map((output) => new Promise((resolve) => output.once("close", resolve))));
    let seen = -1;
    const lingering = setInterval(() => {
      const read = this.#outputs.reduce((sum, output) => sum + output.bytesRead, 0);
      if (read === seen && !this.#paused) for (const output of open()) output.destroy();
      seen = read;
    }, LINGER_MS);
    await ended;
    clearInterval(lingering);
  }
}

function exitCodeOf(child: ChildProcess): Promise<number> {
  return new Promise((resolve) => {
    child.once("exit", (code, signal) => resolve(code ?? 128 + (signal === null ? 0 : constants.signals[signal])));
    // Found in the path, but it could not be started: the exit code that shells use.
    child.once("error", () => resolve(126));
  });
}

/** Starts a process on a new terminal. */
export function startOnTerminal(options: ProcessOptions): ContainerProcess {
  const pty = spawnPty(options.file, options.argv.slice(1), {
    name: options.env["TERM"] ?? "xterm",
    cols: DEFAULT_COLUMNS,
    rows: DEFAULT_ROWS,
    cwd: options.cwd,
    env: { ...options.env },
    // Bytes, because a character may be split between two reads.
    encoding: null,
  });
  // With `encoding: null` the data are Buffers, whatever the declared type says.
  pty.onData((data: string | Buffer) => options.onOutput("stdout", Buffer.from(data)));
  return new TerminalProcess(pty);
}

class TerminalProcess implements ContainerProcess {
  readonly pid: number;
  readonly exited: Promise<number>;
  readonly #pty: IPty;
  #over = false;

  constructor(pty: IPty) {
    this.#pty = pty;
    this.pid = pty.pid;
    this.exited = new Promise((resolve) => {
      pty.onExit(({ exitCode, signal }) => {
        this.#over = true;
        endSession(this.pid);
        resolve(signal ? 128 + signal : exitCode);
      });
    });
  }

  write(chunk: Buffer): boolean {
    // Bytes pass unchanged; the declared type allows only text.
    if (!this.#over) this.#pty.write(chunk as unknown as string);
    return true;
  }

  // node-pty queues input, and typed input is small, so write() never asks to wait.
  onDrain(): () => void {
    return () => undefined;
  }

  endInput(): void {
    this.write(EOT);
  }

  // node-pty drops unread output 200 ms after the exit, so a client that does not read loses the end.
  pauseOutput(): void {
    if (!this.#over) this.#pty.pause();
  }

  resumeOutput(): void {
    if (!this.#over) this.#pty.resume();
  }

  resize(columns: number, rows: number): void {
    if (!this.#over && columns > 0 && rows > 0) this.#pty.resize(columns, rows);
  }

  kill(signal: NodeJS.Signals): void {
    signalGroup(this.pid, signal);
  }
}
