/** The console's pages of people and rules, in a browser: a day, a lock, sessions ended, and explanations. */
import type { Browser } from "playwright-core";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { withoutBrowser } from "../../dev/programs/chromium.ts";
import { eventually } from "../support/eventually.ts";
import { query } from "./support/audit-log.ts";
import { carryOut, expectAllAccessible, LOOKS, openConsole, startBrowser } from "./support/console.ts";
import { startTestStack, type TestStack } from "./support/people.ts";
import { Terminal } from "./support/terminal.ts";

const HOSTILE_RULE = 'no <img src=x onerror="document.title=1">';

let people: TestStack;
let browser: Browser;

beforeAll(async () => {
  if (withoutBrowser !== undefined) return;
  const rules = [
    {
      ...{ name: HOSTILE_RULE, match: { resources: ["secrets"], namespaces: ["prod"] }, action: "refuse" as const },
      message: "secrets are read by the operators",
    },
    { name: "all shells", match: { kinds: ["exec" as const] }, action: "allow" as const },
  ];
  [people, browser] = await Promise.all([startTestStack({ rules }), startBrowser()]);
  expect(await people.alice.run("exec", "shell", "--", "sh", "-c", "exit 3")).toMatchObject({ code: 3 });
  expect(await people.alice.run("get", "secrets", "-n", "prod")).toMatchObject({ code: 1 });
  await eventually(async () => {
    expect(query(people.stack.d1Path, "SELECT id FROM sessions WHERE state = 'ended'")).toHaveLength(1);
    expect(query(people.stack.d1Path, "SELECT id FROM requests WHERE decision = 'refused'")).not.toHaveLength(0);
  });
});
afterAll(async () => {
  await browser?.close();
  await people?.stop();
});

const consoleOf = (who: "admin" | "alice", options = {}, expected: readonly RegExp[] = []) =>
  openConsole(browser, people.stack.personas[who].url, options, expected);
/** That nobody is locked is an answer, of which the browser complains all the same. */
const UNLOCKED = [/status of 404/];

async function shell(): Promise<Terminal> {
  const terminal = new Terminal(people.alice.command("exec", "-it", "shell", "--", "sh"), 90, 30);
  await terminal.typeUntil("echo ready-$((6*7))", "ready-42");
  return terminal;
}

describe.skipIf(withoutBrowser !== undefined)("a person", () => {
  it("is found, and their day has sessions and requests in one, with the days beside it", async () => {
    const { page, open, close } = await consoleOf("admin", {}, UNLOCKED);
    await open("/people");
    await page.getByRole("link", { name: "alice@example.com" }).waitFor();
    await page.getByRole("link", { name: "identities[0]" }).waitFor();
    await page.getByLabel(/Email address/).fill("Alice@example.com");
    await page.keyboard.press("Enter");
    const day = page.getByRole("region", { name: "What they did" });
    await day.getByText("exit 3").first().waitFor();
    await day.getByText("refused").first().waitFor();
    await day.getByText("secrets are read by the operators").waitFor();
    expect(await page.title()).toBe("alice@example.com · People · Sallyport");
    await page.getByRole("button", { name: "Day before" }).click();
    await page.getByText("No session and no API request of this day").waitFor();
    const shared = new URL(page.url());
    expect(shared.searchParams.get("since")).toMatch(/^\d{4}-\d\d-\d\dT2[23]:00:00Z$/);
    await page.getByRole("button", { name: "Today" }).click();
    await day.getByText("exit 3").first().waitFor();
    await page.goto(shared.href);
    await page.getByText("No session and no API request of this day").waitFor();
    await close();
  });

  it("is explained: who they are by the document, and as the cluster saw them", async () => {
    const { page, open, close } = await consoleOf("admin", {}, UNLOCKED);
    await open("/people/admin%40example.com");
    await page.getByText("matches", { exact: true }).waitFor();
    await page.getByText("admin", { exact: true }).first().waitFor();
    await open("/people/alice%40example.com");
    await page.getByText("may match").first().waitFor();
    await page.getByText("The cluster saw them last as").waitFor();
    await close();
  });

  it("reads a line on the terminal, then all of their sessions are ended at once", async () => {
    const [one, two] = [await shell(), await shell()];
    const admin = await consoleOf("admin", {}, UNLOCKED);
    await admin.open("/people/alice@example.com");
    const live = admin.page.getByRole("region", { name: "Live sessions" });
    await expect.poll(() => live.getByRole("link", { name: "demo/shell" }).count()).toBe(2);
    await live.getByRole("link", { name: "demo/shell" }).first().click();
    await carryOut(admin, "Send a line", { Line: "please stop: <b>I</b> restore this" });
    await expect.poll(() => one.shown + two.shown).toContain("admin@example.com: please stop: <b>I</b> restore this");
    await admin.open("/people/alice@example.com");
    await carryOut(admin, "End all sessions", { Reason: "wrong cluster" });
    expect([await one.exited, await two.exited]).toEqual([1, 1]);
    for (const { shown } of [one, two]) expect(shown).toMatch(/terminated by admin@example.com.*wrong cluster/);
    await admin.page.getByText("They have no session now.").waitFor();
    await admin.close();
  });

  it("is locked for some minutes while kubectl prints why, and let in again", async () => {
    const terminal = await shell();
    const admin = await consoleOf("admin", {}, UNLOCKED);
    await admin.open("/people/alice@example.com");
    await carryOut(admin, "Lock person", { Minutes: "5", Reason: "stolen laptop" });
    expect(await terminal.exited).toBe(1);
    expect(terminal.shown).toContain("stolen laptop");
    await admin.page.getByText("locked", { exact: true }).waitFor();
    await admin.page.getByRole("region", { name: "Lock" }).getByText("stolen laptop").waitFor();
    // The address that a webhook names is the same page.
    await admin.page.goto(`${people.stack.personas.admin.url}/-/admin/locks/alice@example.com`);
    await carryOut(admin, "Lift lock", { Reason: "found" });
    await admin.page.getByRole("button", { name: "Lock person" }).waitFor();
    await expect.poll(() => people.alice.run("get", "pods")).toMatchObject({ code: 0 });
    await admin.close();
  });

  it("without a role sees their own day, nobody else's, and no button of an administrator", async () => {
    const { page, open, close } = await consoleOf("alice");
    await open("/");
    await page.getByRole("banner").getByRole("link", { name: "alice@example.com" }).click();
    await page.getByRole("region", { name: "What you did" }).getByText("exit 3").first().waitFor();
    expect(await page.getByRole("button", { name: /Lock|End|Lift/ }).count()).toBe(0);
    for (const path of ["/people/bob%40example.com", "/people", "/rules"]) {
      await open(path);
      await page.getByText("needs a role in Sallyport").waitFor();
    }
    await close();
  });
});

describe.skipIf(withoutBrowser !== undefined)("the rules", () => {
  it("are in words, searched, and where the name of a rule leads", async () => {
    const { page, open, close } = await consoleOf("admin");
    await open("/rules");
    const rule = page.getByRole("article").filter({ hasText: HOSTILE_RULE });
    await rule.getByText("Requests and sessions for secrets in the namespace prod").waitFor();
    expect(await page.title()).toBe("Rules · Sallyport");
    await page.getByRole("textbox", { name: "Search" }).fill("operators");
    await expect.poll(() => page.getByRole("article").count()).toBe(1);
    expect(new URL(page.url()).search).toBe("?q=operators");
    // From a session to the rule that allowed it.
    await open("/sessions");
    await page.getByRole("link", { name: "demo/shell" }).first().click();
    await page.getByRole("link", { name: "all shells" }).click();
    await page.locator("article.here").getByText("all shells").first().waitFor();
    await open("/rules#rule-of%20last%20year");
    await page.getByText("The document in force has no rule of last year").waitFor();
    await close();
  });

  it("are asked what would happen, by an address that a colleague opens", async () => {
    const { page, open, close } = await consoleOf("admin");
    await open("/rules/try");
    await page.getByLabel("Person").fill("alice@example.com");
    await page.getByLabel("Namespace").fill("demo");
    await page.getByLabel("Pod").fill("shell");
    await page.keyboard.press("Tab");
    // Nobody knows what Access would say of her.
    await page.getByText("Refused", { exact: true }).waitFor();
    await page.getByLabel("custom.groups=developers").check();
    await page.getByText("Allowed", { exact: true }).waitFor();
    await page.getByRole("region", { name: "…then" }).getByRole("link", { name: "all shells" }).waitFor();
    await page.getByLabel("Verb").selectOption("list");
    await page.getByLabel("Namespace").fill("prod");
    await page.getByLabel("Resource").fill("secrets");
    await page.keyboard.press("Tab");
    await page.getByText("secrets are read by the operators").waitFor();
    await page.getByText("GET /api/v1/namespaces/prod/secrets", { exact: true }).waitFor();
    const shared = page.url();
    await open("/live");
    await page.goto(shared);
    await page.getByText("Refused", { exact: true }).waitFor();
    expect(await page.getByLabel("custom.groups=developers").isChecked()).toBe(true);
    await close();
  });
});

it.skipIf(withoutBrowser !== undefined).each(LOOKS)(
  "no page has a serious finding of axe-core or is wider than the screen: %s",
  async (_, options) => {
    const admin = await consoleOf("admin", options, UNLOCKED);
    const { page } = admin;
    const question = "as=alice%40example.com&claim=custom.groups%3Ddevelopers&namespace=demo&name=shell";
    const pages = [
      ["/people", page.getByRole("link", { name: "alice@example.com" })],
      ["/people/alice@example.com", page.getByText("exit 3").first()],
      ["/rules", page.getByRole("article").first()],
      [`/rules/try?${question}`, page.getByText("Allowed", { exact: true })],
    ] as const;
    await expectAllAccessible(admin, pages);
    await admin.close();
  },
);
