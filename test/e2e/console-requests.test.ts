/** The console's API requests in a browser, with requests of real kubectl behind them. */
import type { Browser } from "playwright-core";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { withoutBrowser } from "../../dev/programs/chromium.ts";
import { eventually } from "../support/eventually.ts";
import { query } from "./support/audit-log.ts";
import { downloadedText, expectAccessible, LOOKS, openConsole, startBrowser } from "./support/console.ts";
import { startTestStack, type TestStack } from "./support/people.ts";

let people: TestStack;
let browser: Browser;

const HOSTILE_AGENT = '<img src=x onerror="document.title=1">';
const SECRET = "/api/v1/namespaces/demo/secrets/db";

beforeAll(async () => {
  if (withoutBrowser !== undefined) return;
  [people, browser] = await Promise.all([startTestStack(), startBrowser()]);
  const { alice, mallory, stack } = people;
  await alice.run("create", "configmap", "made-here", "--from-literal=a=b");
  await alice.run("get", "nodes");
  await mallory.run("get", "pods");
  await fetch(stack.personas.alice.url + SECRET, { headers: { "User-Agent": HOSTILE_AGENT } });
  await eventually(() => expect(rowsOf("TRUE").length).toBeGreaterThanOrEqual(4));
});
afterAll(async () => {
  await browser?.close();
  await people?.stop();
});

const rowsOf = (where: string) => query(people.stack.d1Path, `SELECT * FROM requests WHERE ${where}`);

const consoleOf = (who: "admin" | "alice", options = {}) =>
  openConsole(browser, people.stack.personas[who].url, options);

describe.skipIf(withoutBrowser !== undefined)("API requests", () => {
  it("are filtered by the address, which a colleague opens, by outcome, verb and code of the refusal", async () => {
    const { page, open, close } = await consoleOf("admin");
    await open("/requests");
    const changed = page.getByRole("row").filter({ hasText: "create configmaps" });
    await changed.getByText("201").waitFor();
    await page.getByLabel("Verb").fill("list");
    await page.keyboard.press("Enter");
    await changed.waitFor({ state: "detached" });
    await page.getByText("list nodes").waitFor();
    await page.getByLabel("Verb").fill("");
    await page.keyboard.press("Enter");
    await page.getByLabel("Outcome").selectOption("refused");
    await page.getByRole("row").filter({ hasText: "mallory@example.net" }).first().waitFor();
    expect(new URL(page.url()).search).toBe("?outcome=refused");
    await page.getByRole("row").filter({ hasText: "alice@example.com" }).first().waitFor({ state: "detached" });
    await page.goto(page.url());
    await page.getByRole("link", { name: "no_identity" }).first().click();
    await page.waitForURL(/\?refusal=no_identity$/);
    // A filter that is set is seen, though it is one of the rare ones.
    await expect.poll(() => page.getByLabel("Code of the refusal").inputValue()).toBe("no_identity");
    await page.getByRole("button", { name: "Yesterday" }).click();
    await page.getByText("No request matches").waitFor();
    await close();
  });

  it("open to all that is known of them, which has an address, and text of a client is text", async () => {
    const { page, open, close } = await consoleOf("admin");
    await open("/requests?resource=secrets");
    const details = page.getByRole("row").filter({ hasText: "get secrets" }).getByRole("button", { name: "Details" });
    await details.focus();
    await page.keyboard.press("Enter");
    await page.getByText(HOSTILE_AGENT).waitFor();
    expect(await details.getAttribute("aria-expanded")).toBe("true");
    expect(await page.title()).toBe("API requests · Sallyport");
    await page.getByRole("link", { name: /^\d{4}-.*Z-/ }).click();
    await page.waitForURL(/since=/);
    await expect.poll(() => page.getByRole("button", { name: "Details" }).count()).toBe(1);
    await page.getByText(SECRET).waitFor();
    await page.getByRole("button", { name: "Details" }).click();
    await page.getByText(SECRET).waitFor({ state: "detached" });
    await close();
  });

  it("that were only counted say how many they are", async () => {
    const { page, open, close } = await consoleOf("admin");
    await page.route("**/-/admin/requests*", async (route) => {
      const response = await route.fetch();
      const { items, next } = (await response.json()) as { items: Record<string, unknown>[]; next: unknown };
      const [first] = items;
      const counted = { ...first, count: 17, firstAt: first?.["at"], lastAt: first?.["at"] };
      await route.fulfill({ response, json: { items: [counted, ...items.slice(1)], next } });
    });
    await open("/requests");
    const row = page.getByRole("row").filter({ hasText: "17 counted" });
    await row.getByRole("button", { name: "Details" }).click();
    await page.getByText("This row stands for 17 requests").waitFor();
    await close();
  });

  it("page by cursor, and are exported as they are shown", async () => {
    const { page, open, close } = await consoleOf("admin");
    await page.route(/\/-\/admin\/requests/, (route) => {
      const url = new URL(route.request().url());
      if (!url.searchParams.has("format")) url.searchParams.set("limit", "1");
      return route.continue({ url: url.href });
    });
    await open("/requests?user=alice%40example.com");
    await page.getByText("get secrets").waitFor();
    await page.getByRole("button", { name: "Older" }).click();
    await page.getByText("list nodes").waitFor();
    await page.goBack();
    await page.getByText("get secrets").waitFor();
    const [csv] = await Promise.all([
      page.waitForEvent("download"),
      page.getByRole("button", { name: "Export CSV" }).click(),
    ]);
    expect(csv.suggestedFilename()).toBe("requests.csv");
    const text = await downloadedText(csv);
    expect(text.split("\r\n")[0]).toMatch(/^"id","at","user",/);
    expect(text).toContain("configmaps");
    expect(text).not.toContain("mallory");
    await close();
  });

  it("of somebody without a role are their own alone, without an export or a way to others", async () => {
    const { page, open, close } = await consoleOf("alice");
    await open("/requests?user=mallory%40example.net");
    await page.getByText("Your own requests").waitFor();
    await page.getByText("create configmaps").waitFor();
    expect(await page.getByText("mallory").count()).toBe(0);
    expect(await page.getByLabel("Person").count()).toBe(0);
    expect(await page.getByRole("button", { name: /Export/ }).count()).toBe(0);
    expect(await page.getByRole("link", { name: "Questions" }).count()).toBe(0);
    await close();
  });

  it("lead to the question that counts refusals by reason, about the same time", async () => {
    const { page, open, close } = await consoleOf("admin");
    await open("/requests?since=2026-01-01T00%3A00%3A00Z&until=2026-01-02T00%3A00%3A00Z");
    await page.getByRole("link", { name: "Refusals by reason" }).click();
    await page.getByText("The audit log has no such row").waitFor();
    await page.getByRole("button", { name: "Today" }).click();
    await page.getByRole("row").filter({ hasText: "no_identity" }).waitFor();
    await close();
  });

  it.each(LOOKS)("have no serious finding of axe-core and no page wider than the screen: %s", async (_, options) => {
    const { page, open, close } = await consoleOf("admin", options);
    await open("/requests");
    await page.getByRole("button", { name: "Details" }).first().click();
    await page.getByText("Cloudflare").or(page.getByText("Client")).first().waitFor();
    await expectAccessible(page);
    await close();
  });
});
