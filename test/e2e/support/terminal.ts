/** A person at a terminal: a real pty, with what it shows and what is typed. */
import { type IPty, spawn } from "@lydell/node-pty";
import { expect } from "vitest";

export class Terminal {
  readonly #pty: IPty;
  #shown = "";
  readonly exited: Promise<number>;

  constructor(command: { file: string; args: string[]; env: NodeJS.ProcessEnv }, columns = 120, rows = 40) {
    this.#pty = spawn(command.file, command.args, { cols: columns, rows, env: { ...command.env, TERM: "xterm" } });
    this.#pty.onData((data) => {
      this.#shown += data;
    });
    this.exited = new Promise((resolve) => this.#pty.onExit(({ exitCode }) => resolve(exitCode)));
  }

  get shown(): string {
    return this.#shown;
  }

  type(text: string): void {
    this.#pty.write(text);
  }

  resize(columns: number, rows: number): void {
    this.#pty.resize(columns, rows);
  }

  /** Waits until the text is on the screen. */
  async shows(text: string | RegExp, timeout = 15_000): Promise<void> {
    await expect.poll(() => this.#shown, { timeout, message: `the terminal never showed ${text}` }).toMatch(text);
  }

  kill(): void {
    this.#pty.kill();
  }
}
