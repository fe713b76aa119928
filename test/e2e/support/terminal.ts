/** A person at a terminal, whose screen tests read and into which they type. */
import { onTestFinished } from "vitest";
import { messageOf } from "../../../common/errors.ts";
import { Terminal as RealTerminal, type TerminalCommand } from "../../../dev/programs/terminal.ts";
import { PATIENCE_MS } from "../../support/eventually.ts";

const TYPE_AGAIN_MS = 300;

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
    const typing = setInterval(() => this.type(`${command}\n`), TYPE_AGAIN_MS);
    try {
      this.type(`${command}\n`);
      await this.shows(text);
    } finally {
      clearInterval(typing);
    }
  }

  /** Waits until the text is on the screen. @throws at once where the program exits without it */
  async shows(text: string | RegExp): Promise<void> {
    const find = (shown: string) => (typeof text === "string" ? shown.includes(text) : text.test(shown)) || undefined;
    try {
      await this.until(find, PATIENCE_MS);
    } catch (cause) {
      // Its own stack does not lead to the test.
      throw new Error(`the terminal never showed ${text}: ${messageOf(cause)}`, { cause });
    }
  }
}
