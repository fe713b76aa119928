/** The console in a browser. A page fails its test on whatever the browser complains of. */
import { createRequire } from "node:module";
import {
  type Browser,
  type BrowserContextOptions,
  chromium,
  type Download,
  type Locator,
  type Page,
} from "playwright-core";
import { expect } from "vitest";
import { CHROMIUM } from "../../../dev/programs/chromium.ts";

/** One browser for all pages of a test file. */
export async function startBrowser(): Promise<Browser> {
  return chromium.launch({ executablePath: CHROMIUM ?? "" });
}

export interface ConsolePage {
  readonly page: Page;
  /** What the browser complained of so far: errors, messages of the console, violations of the policy. */
  readonly complaints: readonly string[];
  /** Opens an address below the console's, such as `/sessions?user=x`. */
  open(path: string): Promise<void>;
  /** Ends the page, and fails if the browser complained of anything. */
  close(): Promise<void>;
}

/** How people look at it, by what a test is named after: both colour schemes, and a narrow phone. */
export const LOOKS = [
  ["light", { colorScheme: "light" }],
  ["dark", { colorScheme: "dark" }],
  ["375 px wide", { viewport: { width: 375, height: 700 } }],
] as const satisfies readonly (readonly [string, BrowserContextOptions])[];

/**
 * Opens a page of its own profile.
 *
 * @param url of a persona's address
 * @param expected complaints that the test causes by itself, such as a status in the browser's own message
 */
export async function openConsole(
  browser: Browser,
  url: string,
  options: BrowserContextOptions = {},
  expected: readonly RegExp[] = [],
): Promise<ConsolePage> {
  const context = await browser.newContext({ locale: "en-GB", timezoneId: "Europe/Berlin", ...options });
  const page = await context.newPage();
  const complaints: string[] = [];
  const complain = (text: string) => {
    if (!expected.some((pattern) => pattern.test(text))) complaints.push(text);
  };
  page.on("pageerror", (error) => complain(`error: ${error}`));
  page.on("console", (message) => {
    if (["error", "warning"].includes(message.type())) complain(`${message.type()}: ${message.text()}`);
  });
  return {
    page,
    complaints,
    open: async (path) => {
      await page.goto(`${url}/-/console${path}`);
    },
    close: async () => {
      await context.close();
      expect(complaints).toEqual([]);
    },
  };
}

/**
 * What the player's terminal shows, for `page.evaluate`. The page's policy admits no function of a test's
 * text, so the tests ask again and again.
 */
export const SCREEN =
  "[...document.querySelectorAll('.ap-term-text .ap-line')].map((line) => line.textContent).join('\\n')";

/**
 * Opens a command's dialog, fills it in, and carries the command out.
 *
 * @param title of the command's button, on the page and in the dialog
 * @param fields values by what their labels begin with
 */
export async function carryOut(
  { page }: ConsolePage,
  title: string,
  fields: Readonly<Record<string, string>>,
): Promise<void> {
  const dialog = page.getByRole("dialog");
  // A click on a page that still moves may do nothing. Whoever sees that clicks again.
  const appears = () =>
    dialog.waitFor({ timeout: 5_000 }).then(
      () => true,
      () => false,
    );
  do await page.getByRole("button", { name: title, exact: true }).click();
  while (!(await appears()));
  for (const [label, value] of Object.entries(fields)) await dialog.getByLabel(new RegExp(`^${label}`)).fill(value);
  await dialog.getByRole("button", { name: title, exact: true }).click();
  await dialog.waitFor({ state: "detached" });
}

const AXE = createRequire(import.meta.url).resolve("axe-core/axe.min.js");

interface AxeResults {
  readonly violations: readonly {
    readonly id: string;
    readonly impact: string;
    readonly nodes: readonly { readonly html: string; readonly failureSummary: string }[];
  }[];
}

/**
 * Opens pages in turn, each of which must be accessible.
 *
 * @param pages addresses as `open` takes them, and what each shows once it is there
 */
export async function expectAllAccessible(
  { page, open }: ConsolePage,
  pages: readonly (readonly [path: string, shown: Locator])[],
): Promise<void> {
  for (const [path, shown] of pages) {
    await open(path);
    await shown.waitFor();
    await expectAccessible(page);
  }
}

/**
 * Fails on any serious or critical finding of axe-core on the page as it is now, and where it is wider than
 * the screen (https://www.w3.org/TR/WCAG22/#reflow, which axe-core does not check).
 */
export async function expectAccessible(page: Page): Promise<void> {
  // Beside the page, since its policy admits no script of ours.
  const session = await page.context().newCDPSession(page);
  const { frameTree } = await session.send("Page.getFrameTree");
  const world = { frameId: frameTree.frame.id, worldName: "axe", grantUniveralAccess: true };
  const { executionContextId } = await session.send("Page.createIsolatedWorld", world);
  const { readFileSync } = await import("node:fs");
  const evaluate = (expression: string) =>
    session.send("Runtime.evaluate", {
      expression,
      contextId: executionContextId,
      awaitPromise: true,
      returnByValue: true,
    });
  await evaluate(readFileSync(AXE, "utf8"));
  const { result, exceptionDetails } = await evaluate("axe.run(document)");
  await session.detach();
  if (exceptionDetails) throw new Error(`axe-core: ${exceptionDetails.text}`);
  const { violations } = result.value as AxeResults;
  const serious = violations.filter(({ impact }) => impact === "serious" || impact === "critical");
  expect(serious.map(({ id, nodes }) => [id, nodes.map(({ html, failureSummary }) => [html, failureSummary])])).toEqual(
    [],
  );
  const overflow = await page.evaluate("document.documentElement.scrollWidth - innerWidth");
  expect(overflow, page.url()).toBeLessThanOrEqual(0);
}

/** The text of what a button or a link downloads. */
export async function downloadedText(download: Download): Promise<string> {
  const pieces: Buffer[] = [];
  for await (const piece of await download.createReadStream()) pieces.push(piece);
  return Buffer.concat(pieces).toString();
}
