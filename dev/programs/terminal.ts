/** A program at a terminal: a real pty, whose output is read and into which is typed. */
import { type IPty, spawn } from "@lydell/node-pty";

/** What runs in it, as `Kubectl.command` says. */
export interface TerminalCommand {
  readonly file: string;
  readonly args: readonly string[];
  readonly env: NodeJS.ProcessEnv;
}

export class Terminal {
  readonly #pty: IPty;
  readonly #watchers = new Set<() => void>();
  #shown = "";
  #hasExited = false;
  /** The exit code. */
  readonly exited: Promise<number>;

  constructor(command: TerminalCommand, columns = 120, rows = 40) {
    const { file, args, env } = command;
    this.#pty = spawn(file, [...args], { cols: columns, rows, env: { ...env, TERM: "xterm" } });
    this.#pty.onData((data) => {
      this.#shown += data;
      this.#look();
    });
    this.exited = new Promise((resolve) =>
      this.#pty.onExit(({ exitCode }) => {
        this.#hasExited = true;
        this.#look();
        resolve(exitCode);
      }),
    );
  }

  /** Everything that it has printed. */
  get shown(): string {
    return this.#shown;
  }

  type(text: string): void {
    this.#pty.write(text);
  }

  resize(columns: number, rows: number): void {
    this.#pty.resize(columns, rows);
  }

  kill(): void {
    this.#pty.kill();
  }

  /**
   * Waits until it has printed what somebody waits for.
   *
   * @param find looks for it in what was printed
   * @param patienceMs ends what hangs
   * @throws Error with what was printed, where the program exits before
   */
  until<T>(find: (shown: string) => T | undefined, patienceMs: number): Promise<T> {
    return new Promise((resolve, reject) => {
      const fail = (why: string) => finish(() => reject(new Error(`${why}: ${this.#shown.trim()}`)));
      const timer = setTimeout(() => fail("it did not print what was expected"), patienceMs);
      const finish = (settle: () => void) => {
        clearTimeout(timer);
        this.#watchers.delete(look);
        settle();
      };
      const look = () => {
        const found = find(this.#shown);
        if (found !== undefined) finish(() => resolve(found));
        else if (this.#hasExited) fail("it exited");
      };
      this.#watchers.add(look);
      look();
    });
  }

  #look(): void {
    for (const look of [...this.#watchers]) look();
  }
}
