/** What a security team asks: each is answered by at most five clicks from the console's first page. */
import type { Browser, Page } from "playwright-core";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { EXAMPLE_NAMESPACE, makeExamples } from "../../dev/examples/index.ts";
import { withoutBrowser } from "../../dev/programs/chromium.ts";
import { Clicks } from "./support/clicks.ts";
import { type ConsolePage, openConsole, startBrowser } from "./support/console.ts";
import { startTestStack, type TestStack } from "./support/people.ts";

const MOST_CLICKS = 5;

let people: TestStack;
let browser: Browser;
const done = new AbortController();
let opened: ConsolePage;
let page: Page;
let clicks: Clicks;

beforeAll(async () => {
  if (withoutBrowser !== undefined) return;
  [people, browser] = await Promise.all([startTestStack(), startBrowser()]);
  await makeExamples(people.stack, { signal: done.signal });
});
afterAll(async () => {
  done.abort();
  await browser?.close();
  await people?.stop();
});
beforeEach(async () => {
  if (withoutBrowser !== undefined) return;
  opened = await openConsole(browser, people.stack.personas.admin.url);
  page = opened.page;
  clicks = new Clicks(page);
  await opened.open("/");
  await page.getByRole("heading", { level: 1, name: "Live" }).waitFor();
});
afterEach(async () => {
  if (withoutBrowser !== undefined) return;
  expect(clicks.count).toBeGreaterThan(0);
  expect(clicks.count).toBeLessThanOrEqual(MOST_CLICKS);
  await opened.close();
});

const tab = (name: string) => page.getByRole("navigation").getByRole("link", { name, exact: true });
const inTable = (text: string) => page.getByRole("row").filter({ hasText: text });

describe.skipIf(withoutBrowser !== undefined)("at most five clicks from the first page tell", () => {
  it("who was in a production pod at some time", async () => {
    await clicks.click(tab("Sessions"));
    await clicks.enter("Namespace", EXAMPLE_NAMESPACE);
    // Real sessions are of now; any other time is entered in the two fields beside.
    await clicks.click(page.getByRole("button", { name: "Today" }));
    await inTable("exit 3").getByText("admin@example.com").waitFor();
    await inTable("exit 0").filter({ hasText: "vault" }).getByText("alice@example.com").waitFor();
    await inTable("refused").getByText("bob@example.com").waitFor();
  });

  it("what they saw on their screen", async () => {
    await clicks.click(tab("Sessions"));
    await clicks.enter("Pod", "vault");
    await clicks.click(page.getByRole("link", { name: /^example-prod\/vault/ }));
    await clicks.click(page.locator(".ap-overlay-start, .ap-play-button, .ap-playback-button").first());
    await page.locator(".ap-term-text").getByText("sealed: false").waitFor();
  });

  it("whether anybody reached the database's port, and how much came out of it", async () => {
    await clicks.click(tab("Sessions"));
    await clicks.choose("Kind", "port-forward");
    await clicks.click(page.getByRole("link", { name: /^example-prod\/database/ }));
    const port = page.getByRole("region", { name: "Ports that were reached" }).getByRole("row").last();
    await expect.poll(() => port.getByRole("cell").allTextContents()).toEqual(["5432", "1", "36 B", "36 B", "0"]);
  });

  it("who approved it", async () => {
    await clicks.click(tab("Sessions"));
    await clicks.enter("Rule", "vault-shell");
    await clicks.click(page.getByRole("link", { name: /^example-prod\/vault/ }));
    const decision = page.getByRole("region", { name: "What was decided about them" }).getByRole("row").last();
    await expect.poll(() => decision.textContent()).toMatch(/vault-shell.*approve.*bob@example\.com/);
  });

  it("whether the log was changed", async () => {
    await clicks.click(tab("Sessions"));
    await clicks.enter("Pod", "shop");
    await clicks.click(page.getByRole("link", { name: /^example-prod\/shop/ }).first());
    await page.getByText("This browser computed them").waitFor();
    await page.getByText("unchanged", { exact: true }).waitFor();
    await page.getByText("After it: the log's entry next to it is the one").waitFor();
  });

  it("whether the newest of the whole log was changed", async () => {
    await clicks.click(tab("Health"));
    const integrity = page.getByRole("region", { name: "Integrity of the newest events" });
    await integrity.getByText(/The newest \d+ events are as they were hashed/).waitFor();
    await integrity.getByText("well", { exact: true }).waitFor();
  });
});
