import { accessSync, constants, statSync } from "node:fs";
import { delimiter, join, resolve } from "node:path";
import { FifoPool } from "./fifos.ts";
import { type ContainerProcess, type OutputStream, startOnPipes, startOnTerminal } from "./process.ts";

/** The command cannot be started. The message is runc's. */
export class CommandError extends Error {
  override readonly name = "CommandError";
}

export interface RunOptions {
  readonly command: readonly string[];
  readonly cwd: string;
  readonly env: Readonly<Record<string, string>>;
  readonly stdin: boolean;
  readonly tty: boolean;
  onOutput(stream: OutputStream, chunk: Buffer): void;
}

const KILL_GRACE_MS = 1_000;

/** Starts the processes of all containers and sessions, and ensures that none outlives the cluster. */
export class ProcessRunner {
  readonly #fifos: FifoPool;
  readonly #running = new Set<ContainerProcess>();
  #closed = false;

  constructor(stateDir: string) {
    this.#fifos = new FifoPool(join(stateDir, "fifos"));
  }

  async open(): Promise<void> {
    await this.#fifos.open();
  }

  /** Starts a command. Throws CommandError if there is no such executable. */
  async run(options: RunOptions): Promise<ContainerProcess> {
    const file = findExecutable(options.command[0] ?? "", options.cwd, options.env["PATH"] ?? "");
    const processOptions = { ...options, file, argv: options.command };
    const started = options.tty ? startOnTerminal(processOptions) : await startOnPipes(processOptions, this.#fifos);
    this.#running.add(started);
    void started.exited.then(() => this.#running.delete(started));
    if (this.#closed) started.kill("SIGKILL");
    return started;
  }

  /** Ends all processes: first with SIGTERM, then with SIGKILL. */
  async close(): Promise<void> {
    this.#closed = true;
    const all = [...this.#running];
    for (const process of all) {
      process.resumeOutput();
      process.kill("SIGTERM");
      process.kill("SIGHUP");
    }
    const timer = setTimeout(() => {
      for (const process of this.#running) process.kill("SIGKILL");
    }, KILL_GRACE_MS);
    await Promise.all(all.map(({ exited }) => exited));
    clearTimeout(timer);
  }
}

function findExecutable(name: string, cwd: string, path: string): string {
  if (name.includes("/")) {
    const file = resolve(cwd, name);
    try {
      if (!statSync(file).isFile()) throw new CommandError(`exec: ${JSON.stringify(name)}: is a directory: unknown`);
      accessSync(file, constants.X_OK);
      return file;
    } catch (error) {
      if (error instanceof CommandError) throw error;
      const isThere = statSync(file, { throwIfNoEntry: false }) !== undefined;
      const why = isThere ? "permission denied" : `stat ${name}: no such file or directory`;
      throw new CommandError(`exec: ${JSON.stringify(name)}: ${why}: unknown`);
    }
  }
  for (const folder of path.split(delimiter)) {
    const file = join(folder, name);
    if (name !== "" && isExecutable(file)) return file;
  }
  throw new CommandError(`exec: ${JSON.stringify(name)}: executable file not found in $PATH: unknown`);
}

function isExecutable(file: string): boolean {
  try {
    accessSync(file, constants.X_OK);
    return statSync(file).isFile();
  } catch {
    return false;
  }
}
