/** A person at a terminal: a real pty whose output tests read and into which they type. */
import { type IPty, spawn } from "@lydell/node-pty";
import { expect, onTestFinished } from "vitest";

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
    // The session of a test that fails must not count towards the next test's limits.
    onTestFinished(() => this.#pty.kill());
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

  /**
   * Types the command repeatedly until the text is on the screen. kubectl sends the terminal's size beside
   * stdin, so the first command may run before the size has arrived.
   */
  async typeUntil(command: string, text: string): Promise<void> {
    const shown = () => {
      this.type(`${command}\n`);
      return this.#shown;
    };
    await expect.poll(shown, { interval: 300, message: `${command} never showed ${text}` }).toContain(text);
  }

  /** Waits until the text is on the screen. */
  async shows(text: string | RegExp): Promise<void> {
    await expect.poll(() => this.#shown, { message: `the terminal never showed ${text}` }).toMatch(text);
  }
}
