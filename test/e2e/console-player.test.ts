/** Recordings that are made to harm who replays them, in the console: the page stays usable. */
import type { Browser, Page } from "playwright-core";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { withoutBrowser } from "../../dev/programs/chromium.ts";
import { LARGEST_SIZE } from "../../durable/recording/cast-lines.ts";
import { eventually } from "../support/eventually.ts";
import { query } from "./support/audit-log.ts";
import { openConsole, SCREEN, startBrowser } from "./support/console.ts";
import { startTestStack, type TestStack } from "./support/people.ts";
import { Terminal } from "./support/terminal.ts";

let people: TestStack;
let browser: Browser;
/** The id of an ended session, whose recording some tests replace. */
let ended: string;

/** What acts on terminals and pages, as a pod prints it. */
const HOSTILE = [
  String.raw`printf '\033]0;a title\007\033]8;;javascript:alert(1)\007a link\033]8;;\007'`,
  String.raw`printf '\033]52;c;c3RvbGVu\007\033[8;9999;9999t\033[6n\033[5i'`,
  String.raw`printf '<img src=x onerror=document.title=1><script>document.title=2</script>\n'`,
  String.raw`printf '\342\230 \355\240\200 \300\257 \377\000 \n'`,
  "echo the end of it",
].join("; ");

beforeAll(async () => {
  if (withoutBrowser !== undefined) return;
  [people, browser] = await Promise.all([startTestStack(), startBrowser()]);
  await people.alice.run("exec", "shell", "--", "sh", "-c", HOSTILE);
  ended = await idOf("state = 'ended'");
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

const replay = async () => {
  const opened = await openConsole(browser, people.stack.personas.admin.url);
  return { ...opened, path: `/sessions/${ended}` };
};

async function replaceRecording(page: Page, cast: string): Promise<void> {
  await page.route("**/recording", (route) => route.fulfill({ contentType: "application/x-asciicast", body: cast }));
}

const HEADER = { version: 2, width: 80, height: 24, timestamp: 1 };
const castOf = (header: object, events: readonly unknown[]) =>
  `${[{ ...HEADER, ...header }, ...events].map((line) => JSON.stringify(line)).join("\n")}\n`;

/** A page that takes so much longer than usual, ms, is not usable. */
const USABLE_MS = 5_000;
/** However busy the machine is. */
const USABLE_RATIO = 3;

/** Goes to the list of sessions. @returns how long that took, ms */
async function leaveForSessions(page: Page): Promise<number> {
  const began = performance.now();
  await page.getByRole("link", { name: "Sessions" }).click();
  await page.getByRole("heading", { name: "Sessions", level: 1 }).waitFor();
  return performance.now() - began;
}

describe.skipIf(withoutBrowser !== undefined)("a recording", () => {
  it("of what acts on terminals and pages is text on its own screen, and nothing else", async () => {
    const { page, open, close, path } = await replay();
    await open(`${path}?t=999`);
    await expect.poll(() => page.evaluate(SCREEN)).toContain("the end of it");
    expect(await page.evaluate(SCREEN)).toContain("<script>document.title=2</script>");
    expect(await page.title()).toBe("demo/shell · Session · Sallyport");
    expect(await page.locator(".player a, .player img, .player script").count()).toBe(0);
    expect(await page.evaluate("navigator.clipboard.readText().then(() => 'read', () => 'refused')")).toBe("refused");
    await close();
  });

  it("of a terminal of 9999 × 9999 is played, as large as players can take it", async () => {
    const terminal = new Terminal(people.alice.command("exec", "-it", "shell", "--", "sh"), 9_999, 9_999);
    await terminal.typeUntil("echo vast-$((40 + 2))", "vast-42");
    terminal.type("exit\n");
    expect(await terminal.exited).toBe(0);
    const vast = await idOf("command = '[\"sh\"]' AND state = 'ended'");
    const { page, open, close } = await replay();
    await open(`/sessions/${vast}?t=999`);
    await expect.poll(() => page.evaluate(SCREEN)).toContain("vast-42");
    const lines = "document.querySelectorAll('.ap-term-text .ap-line').length";
    expect(await page.evaluate(lines)).toBe(LARGEST_SIZE.rows);
    await leaveForSessions(page);
    await close();
  });

  it("is played by the next player, without the message that the one before could not be loaded", async () => {
    const { page, open, path } = await replay();
    await page.route("**/assets/player-*.css", (route) => route.abort(), { times: 1 });
    await open(path);
    const message = page.getByText("The player cannot show this");
    await message.waitFor();
    await page.getByLabel("Speed").selectOption("2");
    await page.locator(".player .ap-wrapper").waitFor();
    expect(await message.count()).toBe(0);
    await page.context().close();
  });

  it("of 64 MiB leaves the page usable while it is read and played", async () => {
    const { page, open, close, path } = await replay();
    await open("/live");
    const usualMs = await leaveForSessions(page);
    const line = "x".repeat(1_000);
    const count = Math.ceil((64 * 1024 * 1024) / line.length);
    const events = Array.from({ length: count }, (_, index) => [index / 1_000, "o", `${line}\r\n`]);
    await replaceRecording(page, castOf({}, [...events, [count / 1_000, "o", "the last line"]]));
    await open(path);
    await page.getByText("This browser computed them").waitFor();
    await page.locator(".player .ap-wrapper").waitFor();
    await page.locator(".player .ap-overlay-start").click();
    expect(await leaveForSessions(page)).toBeLessThan(USABLE_MS + USABLE_RATIO * usualMs);
    await close();
  });

  it.each([
    ["of nothing", ""],
    ["that is no asciicast", "<html>\n"],
    ["whose lines are broken", `${castOf({}, [[0, "o", "before"]])}[1, "o", \n`],
    ["whose sizes are no sizes", castOf({ width: "a", height: -1 }, [[0, "o", "x"]])],
    ["of 9999 × 9999, which no recorder of ours writes", castOf({ width: 9_999, height: 9_999 }, [[0, "o", "x"]])],
  ])("%s leaves the rest of the page as it is", async (_, cast) => {
    const { page, open, path } = await replay();
    await replaceRecording(page, cast);
    await open(path);
    await page.getByText("This browser computed them").waitFor();
    await leaveForSessions(page);
    await page.context().close();
  });
});
