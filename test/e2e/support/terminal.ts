/** A person at a terminal, whose screen tests read and into which they type. */
import { expect, onTestFinished } from "vitest";
import { Terminal as RealTerminal, type TerminalCommand } from "../../../dev/programs/terminal.ts";

export class Terminal extends RealTerminal {
  constructor(command: TerminalCommand, columns?: number, rows?: number) {
    super(command, columns, rows);
    // The session of a test that fails must not count towards the next test's limits.
    onTestFinished(() => this.kill());
  }

  /**
   * Types the command repeatedly until the text is on the screen. kubectl sends the terminal's size beside
   * stdin, so the first command may run before the size has arrived.
   */
  async typeUntil(command: string, text: string): Promise<void> {
    const shown = () => {
      this.type(`${command}\n`);
      return this.shown;
    };
    await expect.poll(shown, { interval: 300, message: `${command} never showed ${text}` }).toContain(text);
  }

  /** Waits until the text is on the screen. */
  async shows(text: string | RegExp): Promise<void> {
    await expect.poll(() => this.shown, { message: `the terminal never showed ${text}` }).toMatch(text);
  }
}
