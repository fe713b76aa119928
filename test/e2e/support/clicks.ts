/** Counts what somebody does with a page until their question is answered. */
import type { Locator, Page } from "playwright-core";

export class Clicks {
  readonly #page: Page;
  #count = 0;

  constructor(page: Page) {
    this.#page = page;
  }

  get count(): number {
    return this.#count;
  }

  /** One click. */
  async click(what: Locator): Promise<void> {
    await what.click();
    this.#count++;
  }

  /** Types into a field and presses Enter: as much as one click. */
  async enter(label: string, text: string): Promise<void> {
    await this.#page.getByLabel(label, { exact: true }).fill(text);
    await this.#page.keyboard.press("Enter");
    this.#count++;
  }

  /** Opens a list of choices and takes one: two clicks. */
  async choose(label: string, option: string): Promise<void> {
    // Not exactly: the label's text has the choices, too.
    await this.#page.getByLabel(label).selectOption({ label: option });
    this.#count += 2;
  }
}
