/** The console's questions and health in a browser, with what real kubectl has done behind them. */
import type { Browser } from "playwright-core";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { withoutBrowser } from "../../dev/programs/chromium.ts";
import { eventually } from "../support/eventually.ts";
import { query } from "./support/audit-log.ts";
import { expectAllAccessible, LOOKS, openConsole, startBrowser } from "./support/console.ts";
import { startTestStack, type TestStack } from "./support/people.ts";

let people: TestStack;
let browser: Browser;

const HOSTILE_NAME = '<img src=x onerror="document.title=1">';

beforeAll(async () => {
  if (withoutBrowser !== undefined) return;
  [people, browser] = await Promise.all([startTestStack(AUDITOR), startBrowser()]);
  await people.alice.run("exec", "shell", "--", "echo", HOSTILE_NAME);
  await people.alice.run("get", "nodes");
  await eventually(() => {
    expect(query(people.stack.d1Path, "SELECT id FROM sessions WHERE state = 'ended'")).toHaveLength(1);
    expect(query(people.stack.d1Path, "SELECT id FROM requests WHERE user = 'alice@example.com'")).not.toEqual([]);
  });
});
afterAll(async () => {
  await browser?.close();
  await people?.stop();
});

const AUDITOR = {
  identities: [
    { match: { email: "admin@example.com" }, groups: ["developers"], roles: ["admin" as const] },
    { match: { email: "bob@example.com" }, groups: ["viewers"], roles: ["auditor" as const] },
    { match: { claim: "custom.groups", value: "developers" }, groups: ["developers"] },
  ],
};

const consoleOf = (who: "admin" | "bob" | "alice", options = {}, expected: readonly RegExp[] = []) =>
  openConsole(browser, people.stack.personas[who].url, options, expected);

describe.skipIf(withoutBrowser !== undefined)("questions", () => {
  it("are found by their subject, and one that needs nothing is answered when it is opened", async () => {
    const { page, open, close } = await consoleOf("bob");
    await open("/questions");
    await page.getByRole("heading", { name: "What data left" }).waitFor();
    await page.getByRole("textbox", { name: "Find" }).fill("production");
    await page.getByRole("heading", { name: "Where from" }).waitFor({ state: "detached" });
    await page.getByRole("link", { name: "Who was in production" }).click();
    // The only cluster and the reader's own zone need not be given.
    const row = page.getByRole("row").filter({ hasText: "alice@example.com" });
    await row.getByText(HOSTILE_NAME).waitFor();
    expect(await page.getByLabel("Cluster").inputValue()).not.toBe("");
    expect(await page.title()).toBe("Who was in production last Tuesday night? · Questions · Sallyport");
    // SQL has shown it an hour later, in the zone; it is read as what it is.
    const began = await row.getByRole("time").getAttribute("datetime");
    expect(Math.abs(Date.parse(String(began)) - Date.now())).toBeLessThan(600_000);
    await close();
  });

  it("say what they need, are asked by the keyboard, and have an address that a colleague opens", async () => {
    const { page, open, close } = await consoleOf("bob");
    await open("/questions/one-persons-day");
    await page.getByText("Before this can be asked, fill in: Person.").waitFor();
    await page.getByLabel("Person").fill("ALICE@example.com");
    await page.keyboard.press("Enter");
    await page.getByRole("row").filter({ hasText: "exec begins" }).waitFor();
    await page.getByRole("row").filter({ hasText: "list nodes" }).waitFor();
    await page.goto(page.url());
    await page.getByRole("row").filter({ hasText: "exec ends" }).waitFor();
    await page.getByRole("button", { name: "Yesterday" }).click();
    await page.getByText("The audit log has no such row").waitFor();
    expect(new URL(page.url()).searchParams.get("user")).toBe("ALICE@example.com");
    await page.goBack();
    await page.getByRole("row").filter({ hasText: "exec ends" }).waitFor();
    await close();
  });

  it("lead from a row to its session and its person", async () => {
    const { page, open, close } = await consoleOf("bob");
    await open("/questions/who-ran-a-command?pattern=%25onerror%25");
    const row = page.getByRole("row").filter({ hasText: HOSTILE_NAME });
    expect(await row.getByRole("link", { name: "alice@example.com" }).getAttribute("href")).toContain("alice");
    await row.getByRole("link", { name: "…" }).click();
    await page.getByText("This browser computed them").waitFor();
    await close();
  });

  it("show their SQL with the values in it, to be copied and run by hand", async () => {
    const { page, open, close } = await consoleOf("bob", { permissions: ["clipboard-read", "clipboard-write"] });
    await open("/questions/who-ran-a-command?pattern=%25o'x%25");
    await page.getByText("The audit log has no such row").waitFor();
    await page.getByRole("button", { name: "Copy SQL" }).click();
    await page.getByText("SQL copied.").waitFor();
    const sql = String(await page.evaluate("navigator.clipboard.readText()"));
    expect(sql).toContain("LIKE '%o''x%'");
    expect(query(people.stack.d1Path, sql)).toEqual([]);
    await close();
  });

  it("are charted where that helps, and exported as they are shown", async () => {
    const { page, open, close } = await consoleOf("bob");
    await page.route(/\/-\/admin\/questions\/probing/, async (route) => {
      const response = await route.fetch();
      const answer = (await response.json()) as object;
      const rows = [
        ["alice@example.com", "2026-11-20", 7, 4],
        [HOSTILE_NAME, "2026-11-21", 3, 3],
      ];
      await route.fulfill({ response, json: { ...answer, rows } });
    });
    await open("/questions/probing");
    const chart = page.getByRole("img", { name: "Denied by user" });
    await chart.waitFor();
    expect(await chart.getByText(HOSTILE_NAME).count()).toBe(1);
    const widths = await page.evaluate(
      "[...document.querySelectorAll('.bars rect')].map((bar) => bar.getBoundingClientRect().width)",
    );
    const [first = 0, second = 0] = widths as number[];
    expect(second / first).toBeCloseTo(3 / 7, 1);
    await open("/questions/refused-by-reason");
    const [json] = await Promise.all([
      page.waitForEvent("download"),
      page.getByRole("button", { name: "Export JSON" }).click(),
    ]);
    expect(json.suggestedFilename()).toBe("refused-by-reason.json");
    await close();
  });

  it("say what is wrong with a value, and that there is no such question", async () => {
    const { page, open, close } = await consoleOf("bob", {}, [/status of 400/]);
    await open("/questions/probing?least=many");
    await page
      .getByRole("alert")
      .getByText(/least is not as it must be/)
      .waitFor();
    await page.getByLabel("At least").fill("2");
    await page.keyboard.press("Enter");
    await page.getByRole("alert").waitFor({ state: "detached" });
    await open("/questions/constructor");
    await page.getByText("There is no question with this name").waitFor();
    await close();
  });

  it("are for auditors", async () => {
    const { page, open, close } = await consoleOf("alice");
    await open("/questions");
    await page.getByText("needs a role in Sallyport").waitFor();
    await close();
  });

  it.each(LOOKS)("have no serious finding of axe-core and no page wider than the screen: %s", async (_, options) => {
    const bob = await consoleOf("bob", options);
    const { page } = bob;
    const pages = [
      ["/questions", page.getByRole("heading", { name: "Where from" })],
      ["/questions/one-persons-day?user=alice%40example.com", page.getByText("exec ends")],
      ["/questions/bypassed", page.getByText("Before this can be asked")],
    ] as const;
    await expectAllAccessible(bob, pages);
    await bob.close();
  });
});

describe.skipIf(withoutBrowser !== undefined)("health", () => {
  it("says how each part is, to auditors without a button that would be refused", async () => {
    const { page, open, close } = await consoleOf("bob");
    await open("/health");
    await page.getByText("Sessions open as usual.").waitFor();
    await page.getByText(/The newest \d+ events are as they were hashed/).waitFor();
    await page.getByText(/MB of 10\.0 GB|kB of 10\.0 GB/).waitFor();
    expect(await page.getByRole("button", { name: "Refuse new sessions" }).count()).toBe(0);
    await close();
  });

  it("is where an administrator refuses new sessions, with a reason that kubectl prints, and opens them", async () => {
    const { page, open, close } = await consoleOf("admin");
    await open("/health");
    await page.getByRole("button", { name: "Refuse new sessions" }).focus();
    await page.keyboard.press("Enter");
    const dialog = page.getByRole("dialog", { name: "Refuse new sessions" });
    await dialog.getByLabel("Reason").fill("upgrade <b>tonight</b>");
    await page.keyboard.press("Enter");
    await page.getByText("New sessions are refused everywhere.").waitFor();
    await page.getByText("upgrade <b>tonight</b>").waitFor();
    // It ends in an hour, to the minute that the field had.
    const until = Date.parse(String(await page.locator("dd time").first().getAttribute("datetime")));
    expect(until - Date.now()).toBeGreaterThan(58 * 60_000);
    expect(until - Date.now()).toBeLessThanOrEqual(60 * 60_000);
    await page.getByRole("link", { name: "New sessions" }).waitFor();
    await eventually(async () => {
      const refused = await people.alice.run("exec", "shell", "--", "true");
      expect(refused.stderr).toContain("upgrade <b>tonight</b>");
    });
    await page.getByRole("button", { name: "Open sessions again" }).click();
    await page.getByRole("dialog").getByRole("button", { name: "Open sessions again" }).click();
    await page.getByText("Sessions open as usual.").waitFor();
    await eventually(async () => expect((await people.alice.run("exec", "shell", "--", "true")).code).toBe(0));
    await close();
  });

  it.each(LOOKS)("has no serious finding of axe-core and no page wider than the screen: %s", async (_, options) => {
    const admin = await consoleOf("admin", options);
    await expectAllAccessible(admin, [["/health", admin.page.getByText("Sessions open as usual.")]]);
    await admin.close();
  });
});
