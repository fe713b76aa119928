/** The console in a browser, with sessions of real kubectl behind it. */
import { DatabaseSync } from "node:sqlite";
import type { Browser } from "playwright-core";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { withoutBrowser } from "../../dev/programs/chromium.ts";
import { eventually } from "../support/eventually.ts";
import { query } from "./support/audit-log.ts";
import {
  downloadedText,
  expectAccessible,
  expectAllAccessible,
  LOOKS,
  openConsole,
  SCREEN,
  startBrowser,
} from "./support/console.ts";
import { startTestStack, type TestStack } from "./support/people.ts";
import { Terminal } from "./support/terminal.ts";

if (withoutBrowser !== undefined) console.warn(`The console is not tested in a browser: ${withoutBrowser}`);

let people: TestStack;
let browser: Browser;
/** The id of an ended session with output, stderr and an exit code. */
let ended: string;

const SCRIPT = "echo before; sleep 1; echo oops >&2; sleep 1; printf '\\033[32mgreen\\033[0m\\n'; exit 3";
const HOSTILE_NAME = '<img src=x onerror="document.title=1">';

beforeAll(async () => {
  if (withoutBrowser !== undefined) return;
  const rules = [{ name: "shells", match: { kinds: ["exec" as const], names: ["shell"] }, action: "allow" as const }];
  [people, browser] = await Promise.all([startTestStack({ rules }), startBrowser()]);
  await people.alice.run("exec", "shell", "--", "sh", "-c", SCRIPT);
  await people.alice.run("exec", "shell", "--", "echo", HOSTILE_NAME);
  ended = await idOf("command LIKE '%exit 3%' AND state = 'ended'");
  await idOf("command LIKE '%<img%' AND state = 'ended'");
});
afterAll(async () => {
  await browser?.close();
  await people?.stop();
});

async function idOf(where: string): Promise<string> {
  return eventually(async () => {
    const [row] = query(people.stack.d1Path, `SELECT id FROM sessions WHERE ${where}`);
    expect(row, where).toBeDefined();
    return String(row?.["id"]);
  });
}

const consoleOf = (who: "admin" | "alice", options = {}, expected: readonly RegExp[] = []) =>
  openConsole(browser, people.stack.personas[who].url, options, expected);

describe.skipIf(withoutBrowser !== undefined)("the console", () => {
  it("is where a browser that opens the host's address ends up, and shows who is live first", async () => {
    const { page, close } = await consoleOf("admin");
    await page.goto(people.stack.personas.admin.url);
    await page.getByRole("heading", { level: 1, name: "Live" }).waitFor();
    expect(new URL(page.url()).pathname).toBe("/-/console/live");
    expect(await page.title()).toBe("Live · Sallyport");
    await close();
  });

  it("shows somebody without a role their own sessions, no page of others, and says why at its address", async () => {
    const { page, open, close } = await consoleOf("alice");
    await open("/");
    await page.getByText("Your own sessions").waitFor();
    expect(await page.getByRole("link", { name: "Live" }).count()).toBe(0);
    await page.getByRole("link", { name: "demo/shell" }).last().click();
    await page.getByText("This browser computed them").waitFor();
    expect(await page.getByRole("button", { name: "Lock person" }).count()).toBe(0);
    await open("/live");
    await page.getByText("needs a role in Sallyport").waitFor();
    await close();
  });

  it.each(LOOKS)("has no serious finding of axe-core and no page wider than the screen: %s", async (_, options) => {
    const admin = await consoleOf("admin", options);
    const { page } = admin;
    const pages = [
      ["/live", page.getByText("Updated as it happens")],
      ["/sessions", page.getByRole("link", { name: "demo/shell" }).first()],
      [`/sessions/${ended}`, page.getByText("This browser computed them")],
      ["/nothing", page.getByRole("heading", { name: "No such page" })],
    ] as const;
    await expectAllAccessible(admin, pages);
    await admin.close();
  });

  it("is light or dark as the reader chooses, whatever their system has, and stays so", async () => {
    const { page, open, close } = await consoleOf("admin", { colorScheme: "light" });
    await open("/live");
    const background = () => page.evaluate("getComputedStyle(document.documentElement).backgroundColor");
    const light = await background();
    await page.getByLabel("Theme").selectOption("dark");
    const dark = await background();
    expect(dark).not.toBe(light);
    await page.reload();
    await page.getByText("Updated as it happens").waitFor();
    expect(await background()).toBe(dark);
    await page.getByLabel("Theme").selectOption("system");
    expect(await background()).toBe(light);
    await close();
  });

  it("is used by the keyboard alone: skip link, navigation, a dialog that keeps and returns the focus", async () => {
    const { page, open, close } = await consoleOf("admin");
    await open("/live");
    await page.getByText("Updated as it happens").waitFor();
    await page.keyboard.press("Tab");
    expect(await page.evaluate("document.activeElement.textContent.trim()")).toBe("Skip to the page");
    for (let presses = 0; presses < 3; presses++) await page.keyboard.press("Tab");
    expect(await page.evaluate("document.activeElement.textContent")).toBe("Sessions");
    await page.keyboard.press("Enter");
    await page.getByRole("link", { name: "demo/shell" }).first().waitFor();
    // Another page is told by the focus.
    expect(await page.evaluate("document.activeElement.id")).toBe("main");
    await open(`/sessions/${ended}`);
    const lock = page.getByRole("button", { name: "Lock person" });
    await lock.focus();
    await page.keyboard.press("Enter");
    const dialog = page.getByRole("dialog", { name: "Lock person" });
    await dialog.waitFor();
    for (let presses = 0; presses < 12; presses++) {
      await page.keyboard.press("Tab");
      expect(
        await page.evaluate("document.activeElement === document.body || !!document.activeElement.closest('dialog')"),
      ).toBe(true);
    }
    await page.keyboard.press("Escape");
    await dialog.waitFor({ state: "detached" });
    expect(await page.evaluate("document.activeElement.textContent")).toBe("Lock person");
    await close();
  });
});

describe.skipIf(withoutBrowser !== undefined)("sessions", () => {
  it("are filtered by the address, which a colleague opens, and text of a client is text", async () => {
    const { page, open, close } = await consoleOf("admin");
    await open("/sessions");
    await page.getByText(HOSTILE_NAME).waitFor();
    expect(await page.title()).toBe("Sessions · Sallyport");
    await page.getByLabel("Pod").fill("nothing-of-this-name");
    await page.keyboard.press("Enter");
    await page.getByText("No session matches").waitFor();
    expect(new URL(page.url()).search).toBe("?pod=nothing-of-this-name");
    await page.getByRole("button", { name: "Clear filters" }).click();
    await page.getByRole("button", { name: "Last hour" }).click();
    await page.getByRole("link", { name: "demo/shell" }).first().waitFor();
    const shared = page.url();
    await page.getByRole("button", { name: "Yesterday" }).click();
    await page.getByText("No session matches").waitFor();
    await page.goto(shared);
    await page.getByRole("link", { name: "demo/shell" }).first().waitFor();
    await close();
  });

  it("are found by each of the filters, and by all of them at once", async () => {
    const { page, open, close } = await consoleOf("admin");
    const [session] = query(people.stack.d1Path, `SELECT * FROM sessions WHERE id = '${ended}'`);
    const matching = new URLSearchParams({
      ...{ user: "alice@example.com", cluster: String(session?.["cluster"]), namespace: "demo", pod: "shell" },
      ...{ kind: "exec", state: "ended", outcome: "exited", recorded: "true", rule: "shells" },
      ...{ since: "2026-01-01T00:00:00Z", until: "2100-01-01T00:00:00Z" },
    });
    await open(`/sessions?${matching}`);
    await page.getByText("exit 3", { exact: true }).waitFor();
    const others = {
      ...{ user: "bob@example.com", cluster: "other", namespace: "prod", pod: "other", kind: "attach" },
      ...{ state: "live", outcome: "failed", recorded: "false", rule: "other" },
      ...{ since: "2099-01-01T00:00:00Z", until: "2026-01-02T00:00:00Z" },
    };
    // A field of the form each, so that what somebody chose is seen.
    expect(Object.keys(others)).toEqual([...matching.keys()]);
    for (const [name, value] of Object.entries(others)) {
      expect(await page.locator(`form [name=${name}]`).inputValue(), name).not.toBe("");
      const changed = new URLSearchParams(matching);
      changed.set(name, value);
      await open(`/sessions?${changed}`);
      await page.getByText("No session matches").waitFor();
    }
    await close();
  });

  it("have times in the reader's zone, with UTC beside", async () => {
    const { page, open, close } = await consoleOf("admin", { timezoneId: "Asia/Kolkata" });
    await open("/sessions?pod=shell&outcome=exited");
    const time = page.getByRole("row").filter({ hasText: "exit 3" }).getByRole("time").first();
    const at = new Date(String(await time.getAttribute("datetime")));
    const local = new Intl.DateTimeFormat("en-GB", {
      dateStyle: "medium",
      timeStyle: "medium",
      timeZone: "Asia/Kolkata",
    });
    const shown = String(await time.textContent());
    expect(shown.startsWith(local.format(at))).toBe(true);
    expect(shown.endsWith(`${at.toISOString().slice(11, 19)} UTC`)).toBe(true);
    await close();
  });

  it("page by cursor, and Back goes back", async () => {
    const { page, open, close } = await consoleOf("admin");
    await page.route("**/-/admin/sessions?*", (route) => {
      const url = new URL(route.request().url());
      url.searchParams.set("limit", "1");
      return route.continue({ url: url.href });
    });
    await page.route("**/-/admin/sessions", (route) => route.continue({ url: `${route.request().url()}?limit=1` }));
    await open("/sessions");
    await page.getByText(HOSTILE_NAME).waitFor();
    await page.getByRole("button", { name: "Older" }).click();
    await page.getByText("exit 3", { exact: true }).waitFor();
    expect(new URL(page.url()).searchParams.get("cursor")).not.toBeNull();
    await page.goBack();
    await page.getByText(HOSTILE_NAME).waitFor();
    await close();
  });

  it("are exported as they are shown", async () => {
    const { page, open, close } = await consoleOf("admin");
    await open("/sessions?outcome=exited&user=alice%40example.com");
    await page.getByRole("link", { name: "demo/shell" }).first().waitFor();
    const [csv] = await Promise.all([
      page.waitForEvent("download"),
      page.getByRole("button", { name: "Export CSV" }).click(),
    ]);
    expect(csv.suggestedFilename()).toBe("sessions.csv");
    const text = await downloadedText(csv);
    expect(text.split("\r\n")[0]).toMatch(/^"id","state","user",/);
    expect(text).toContain(ended);
    const [json] = await Promise.all([
      page.waitForEvent("download"),
      page.getByRole("button", { name: "Export JSON" }).click(),
    ]);
    const { items } = JSON.parse(await downloadedText(json)) as { items: { id: string }[] };
    expect(items.map(({ id }) => id)).toContain(ended);
    await close();
  });
});

describe.skipIf(withoutBrowser !== undefined)("a session", () => {
  it("is replayed: at a moment of the address, at markers of stderr, with a link to a moment", async () => {
    const { page, open, close } = await consoleOf("admin", { permissions: ["clipboard-read", "clipboard-write"] });
    await open(`/sessions/${ended}?t=1.5`);
    await expect.poll(() => page.evaluate(SCREEN)).toMatch(/oops(?!.*green)/s);
    await page.getByText("moments to jump to").click();
    await page.getByRole("button", { name: /exit code 3/ }).click();
    await expect.poll(() => page.evaluate(SCREEN)).toContain("green");
    await page.getByRole("button", { name: /stderr/ }).click();
    await expect.poll(() => page.evaluate(SCREEN)).not.toContain("green");
    await page.getByRole("button", { name: "Link to this moment" }).click();
    await page.waitForURL(/[?&]t=1\.\d/);
    await expect.poll(() => page.evaluate("navigator.clipboard.readText()")).toMatch(/[?&]t=1\.\d/);
    const end = page.getByRole("listitem").filter({ has: page.getByText("end", { exact: true }) });
    await end.getByRole("link", { name: "Show on screen" }).click();
    await page.waitForURL(/[?&]at=/);
    await expect.poll(() => page.evaluate(SCREEN)).toContain("oops");
    await page.getByLabel("Speed").selectOption("4");
    await page.waitForURL(/speed=4/);
    await expect.poll(() => page.evaluate(SCREEN)).toContain("before");
    await page.getByLabel("Pauses").selectOption("1");
    await page.waitForURL(/idle=1/);
    await expect.poll(() => page.evaluate(SCREEN)).toContain("before");
    await close();
  });

  it("has a moment at each change of the terminal's size", async () => {
    const terminal = new Terminal(people.alice.command("exec", "-it", "shell", "--", "sh"), 90, 30);
    await terminal.typeUntil("echo narrow-$((40 + 2))", "narrow-42");
    terminal.resize(120, 40);
    await terminal.typeUntil("echo wide-$((40 + 2))", "wide-42");
    terminal.type("exit\n");
    expect(await terminal.exited).toBe(0);
    const id = await idOf("command = '[\"sh\"]' AND state = 'ended' AND outcome = 'exited'");
    const { page, open, close } = await consoleOf("admin");
    await open(`/sessions/${id}`);
    await page.getByText("moments to jump to").click();
    await page.getByRole("button", { name: "size 120 × 40" }).click();
    await expect.poll(() => page.evaluate(SCREEN)).toContain("narrow-42");
    await close();
  });

  it("has a chain that this browser checks, and an event that somebody changed is named", async () => {
    const { page, open, close } = await consoleOf("admin");
    await open(`/sessions/${ended}`);
    await page.getByText("This browser computed them").waitFor();
    await page.getByText("After it: the log's entry next to it is the one").waitFor();
    const database = new DatabaseSync(people.stack.d1Path);
    database.exec("PRAGMA busy_timeout = 10000; DROP TRIGGER events_are_never_updated");
    database
      .prepare(
        "UPDATE events SET data = replace(data, '\"exit_code\":3', '\"exit_code\":0') WHERE session_id = ? AND type = 'end'",
      )
      .run(ended);
    database.close();
    await page.getByRole("button", { name: "Reload" }).click();
    await page.getByText("not as it was written").waitFor();
    await page
      .getByText(/Event 2: its text is not the one that was hashed/)
      .or(page.getByText(/Event \d: .*not.*hashed/))
      .first()
      .waitFor();
    await close();
  });

  it("is watched live, and ended from the page while kubectl prints the reason", async () => {
    const terminal = new Terminal(people.alice.command("exec", "-it", "shell", "--", "sh"), 90, 30);
    await terminal.typeUntil("echo so $((40 + 2)) far", "so 42 far");
    const { page, open, close } = await consoleOf("admin");
    await open("/live");
    const row = page.getByRole("row").filter({ hasText: "alice@example.com" }).filter({ hasText: "exec" });
    await row.getByRole("link", { name: "Watch" }).click();
    await expect.poll(() => page.evaluate(SCREEN)).toContain("so 42 far");
    terminal.type("echo and $((50 + 4)) now\n");
    await expect.poll(() => page.evaluate(SCREEN)).toContain("and 54 now");
    await expectAccessible(page);
    await page.getByRole("button", { name: "End session" }).click();
    await expectAccessible(page);
    await page.getByRole("dialog").getByLabel("Reason").fill("wrong cluster");
    await page.getByRole("dialog").getByRole("button", { name: "End session" }).click();
    await terminal.shows(/wrong cluster/);
    expect(await terminal.exited).toBe(1);
    await page.getByText("terminated", { exact: true }).first().waitFor();
    await close();
  });

  it("leaves the live list by itself, and its person is locked from there", async () => {
    const watched = await consoleOf("admin");
    await watched.open("/live");
    const terminal = new Terminal(people.alice.command("exec", "-it", "shell", "--", "sh"), 90, 30);
    await terminal.typeUntil("echo $((1 + 1))", "2");
    const live = watched.page.getByRole("row").filter({ hasText: "alice@example.com" }).filter({ hasText: "exec" });
    await live.waitFor();
    await live.getByRole("button", { name: "Lock person" }).click();
    const dialog = watched.page.getByRole("dialog");
    await dialog.getByLabel(/Minutes/).fill("5");
    await dialog.getByLabel("Reason").fill("stolen laptop");
    await dialog.getByRole("button", { name: "Lock person" }).click();
    await terminal.shows(/stolen laptop/);
    await live.waitFor({ state: "detached" });
    await watched.page.getByText("Nobody has a session now").waitFor();
    await people.admin("DELETE", "locks/alice@example.com");
    await watched.close();
  });
});

describe.skipIf(withoutBrowser !== undefined)("while D1 is away", () => {
  /** Takes the audit log from everybody who asks D1, or gives it back. */
  function renameEvents(from: string, to: string): void {
    const database = new DatabaseSync(people.stack.d1Path);
    database.exec(`PRAGMA busy_timeout = 10000; PRAGMA legacy_alter_table = ON; ALTER TABLE ${from} RENAME TO ${to}`);
    database.close();
  }

  it("live sessions come, are watched and go, and a list of the log says what to do", async () => {
    renameEvents("events", "events_away");
    const { page, open, close } = await consoleOf("admin", {}, [/status of 503/]);
    try {
      await open("/live");
      const row = page.getByRole("row").filter({ hasText: "alice@example.com" }).filter({ hasText: "exec" });
      const terminal = new Terminal(people.alice.command("exec", "-it", "shell", "--", "sh"), 90, 30);
      await terminal.typeUntil("echo without $((1 + 1)) a log", "without 2 a log");
      await row.getByRole("link", { name: "Watch" }).click();
      await expect.poll(() => page.evaluate(SCREEN)).toContain("without 2 a log");
      await page.getByText("The audit database does not answer").waitFor();
      await open("/sessions");
      await page
        .getByRole("alert")
        .getByText(/D1 does not answer/)
        .waitFor();
      await page.getByRole("button", { name: "Try again" }).waitFor();
      await open("/live");
      await row.waitFor();
      terminal.type("exit\n");
      await row.waitFor({ state: "detached" });
    } finally {
      renameEvents("events_away", "events");
    }
    await page.getByText("Nobody has a session now").waitFor();
    await close();
  });
});
