/** What an auditor may do in the console: see everything, and act on nothing but their own sessions. */
import type { Browser } from "playwright-core";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { withoutBrowser } from "../../dev/programs/chromium.ts";
import { carryOut, openConsole, SCREEN, startBrowser } from "./support/console.ts";
import { startTestStack, type TestStack } from "./support/people.ts";
import { Terminal } from "./support/terminal.ts";

let people: TestStack;
let browser: Browser;

/** bob sees what everybody does, and has shells of his own. */
const AUDITOR = {
  identities: [
    { match: { email: "admin@example.com" }, groups: ["developers"], roles: ["admin" as const] },
    { match: { email: "bob@example.com" }, groups: ["developers"], roles: ["auditor" as const] },
    { match: { claim: "custom.groups", value: "developers" }, groups: ["developers"] },
  ],
};

beforeAll(async () => {
  if (withoutBrowser !== undefined) return;
  [people, browser] = await Promise.all([startTestStack(AUDITOR), startBrowser()]);
});
afterAll(async () => {
  await browser?.close();
  await people?.stop();
});

/** Buttons of administrators, on whichever page. */
const ACTS = /^(End|Lock|Lift|Send|Refuse|Open sessions)/;
/** That nobody is locked is an answer, of which the browser complains all the same. */
const UNLOCKED = [/status of 404/];

async function shellOf(who: "alice" | "bob"): Promise<Terminal> {
  const terminal = new Terminal(people[who].command("exec", "-it", "shell", "--", "sh"), 90, 30);
  await terminal.typeUntil("echo ready-$((6*7))", "ready-42");
  return terminal;
}

describe.skipIf(withoutBrowser !== undefined)("an auditor", () => {
  it("watches somebody's session, and has no button that acts on it, on them or on all", async () => {
    await shellOf("alice");
    const { page, open, close } = await openConsole(browser, people.stack.personas.bob.url, {}, UNLOCKED);
    await open("/live");
    const row = page.getByRole("row").filter({ hasText: "alice@example.com" });
    await row.getByRole("link", { name: "Watch" }).waitFor();
    expect(await page.getByRole("button", { name: ACTS }).count()).toBe(0);
    await row.getByRole("link", { name: "Watch" }).click();
    await expect.poll(() => page.evaluate(SCREEN)).toContain("ready-42");
    expect(await page.getByRole("button", { name: ACTS }).count()).toBe(0);
    await open("/people/alice%40example.com");
    await page.getByRole("region", { name: "Live sessions" }).getByRole("link", { name: "demo/shell" }).waitFor();
    await page.getByRole("link", { name: "identities[2]" }).waitFor();
    expect(await page.getByRole("button", { name: ACTS }).count()).toBe(0);
    await open("/health");
    await page.getByText("Sessions open as usual.").waitFor();
    expect(await page.getByRole("button", { name: ACTS }).count()).toBe(0);
    await close();
  });

  it("ends their own session, as everybody does", async () => {
    const terminal = await shellOf("bob");
    const bob = await openConsole(browser, people.stack.personas.bob.url);
    await bob.open("/live");
    const row = bob.page.getByRole("row").filter({ hasText: "bob@example.com" });
    await row.getByRole("button", { name: "End session" }).waitFor();
    await row.getByRole("link", { name: "Watch" }).click();
    // The list, which has a button of the same name, stays until the session's page is there.
    await bob.page.getByRole("table", { name: "Live sessions" }).waitFor({ state: "detached" });
    await carryOut(bob, "End session", { Reason: "done here" });
    expect(await terminal.exited).toBe(1);
    await bob.page.getByText("terminated", { exact: true }).first().waitFor();
    await bob.close();
  });
});
