/** Live sessions of real kubectl, watched by an auditor: with the real player, and as lines. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { chromium } from "playwright-core";
import { afterAll, beforeAll, expect, it } from "vitest";
import { CHROMIUM, withoutBrowser } from "../../dev/programs/chromium.ts";
import { query, sessionWhere } from "./support/audit-log.ts";
import { openStream } from "./support/open-stream.ts";
import { startTestStack, type TestStack } from "./support/people.ts";
import { PLAYER_BUNDLE } from "./support/players.ts";
import { Terminal } from "./support/terminal.ts";

let people: TestStack;

beforeAll(async () => {
  people = await startTestStack();
});
afterAll(() => people?.stop());

/** @param command of one test's session alone: that of another may have ended a moment ago */
async function liveSession(...command: string[]): Promise<string> {
  const { id } = await sessionWhere(people.stack.d1Path, "state = 'live' AND command = ?", JSON.stringify(command));
  return String(id);
}

const PLAYER = "/player";
const pageFor = (watchUrl: string) => `<!doctype html><meta charset="utf-8"><title>watch</title>
<link rel="stylesheet" href="${PLAYER}/asciinema-player.css"><div id="player"></div>
<script src="${PLAYER}/asciinema-player.min.js"></script>
<script>
  const player = AsciinemaPlayer.create({ driver: "websocket", url: "${watchUrl}" }, document.getElementById("player"),
    { autoPlay: true });
  let hasEnded = false;
  player.addEventListener("ended", () => { hasEnded = true; });
  const screen = () => [...document.querySelectorAll(".ap-line")].map((line) => line.textContent.trimEnd()).join("\\n");
</script>`;

it.skipIf(withoutBrowser !== undefined)("the real player shows a shell from its beginning to its end", async () => {
  const terminal = new Terminal(people.alice.command("exec", "-it", "shell", "--", "sh"), 90, 30);
  await terminal.typeUntil("echo so $((40 + 2)) far", "so 42 far");
  const id = await liveSession("sh");
  const { url } = people.stack.personas.admin;
  // The page comes from the test and not from loopback, so Chromium would not let it connect to loopback.
  const args = ["--disable-features=LocalNetworkAccessChecks"];
  const browser = await chromium.launch({ executablePath: CHROMIUM ?? "", args });
  try {
    const page = await browser.newPage();
    const errors: string[] = [];
    page.on("pageerror", (error) => errors.push(String(error)));
    await page.route(`${url}${PLAYER}/**`, (route) => {
      const name = new URL(route.request().url()).pathname.slice(PLAYER.length + 1);
      if (name === "") {
        const watchUrl = `${url.replace(/^http/, "ws")}/-/admin/sessions/${id}/watch`;
        return route.fulfill({ contentType: "text/html", body: pageFor(watchUrl) });
      }
      const contentType = name.endsWith(".css") ? "text/css" : "text/javascript";
      return route.fulfill({ contentType, body: readFileSync(join(PLAYER_BUNDLE, name)) });
    });
    await page.goto(`${url}${PLAYER}/`);
    const shows = (text: string) => page.waitForFunction(`screen().includes(${JSON.stringify(text)})`);
    await shows("so 42 far");
    terminal.type("printf 'caf\\303\\251 \\342\\230\\203\\n'\n");
    await shows("café ☃");
    terminal.type("exit 3\n");
    expect(await terminal.exited).toBe(3);
    await shows("the session is over: exit code 3");
    await page.waitForFunction("hasEnded");
    expect(errors).toEqual([]);
  } finally {
    await browser.close();
  }
  const watches = () =>
    query(people.stack.d1Path, "SELECT type, data FROM events WHERE type LIKE 'watch%' ORDER BY row_number");
  await expect.poll(() => watches().length).toBe(2);
  expect(watches().map(({ data }) => JSON.parse(String(data)))).toMatchObject([
    { session: id, user: "alice@example.com", by: "admin@example.com" },
    { session: id, reason: "session_ended" },
  ]);
});

it("a page of another site does not get in, and a person without the role does not either", async () => {
  const terminal = new Terminal(people.alice.command("exec", "-it", "shell", "--", "sh", "-i"));
  await terminal.typeUntil("echo $((1 + 1))", "2");
  const id = await liveSession("sh", "-i");
  const watch = (who: "admin" | "alice", headers = {}) =>
    fetch(`${people.stack.personas[who].url}/-/admin/sessions/${id}/watch`, { headers });
  for (const response of [await watch("alice"), await watch("admin", { Origin: "https://evil.example" })]) {
    expect(response.status).toBe(403);
  }
  terminal.type("exit\n");
  await terminal.exited;
});

it("lines come as they are written, for a command without a terminal", async () => {
  const script = "echo one; read wait; echo two";
  const command = people.alice.start(["exec", "-i", "shell", "--", "sh", "-c", script]);
  const id = await liveSession("sh", "-c", script);
  const response = await people.admin("GET", `sessions/${id}/watch`);
  expect(response.headers.get("content-type")).toBe("application/x-asciicast");
  command.child.stdin?.write("go on\n");
  const text = await response.text();
  await command.finished;
  expect(text).toMatch(/"o","one\\r\\n/);
  expect(text).toContain('"m","exit code 0"');
  expect(text.trimEnd().split("\n").at(-1)).toContain("the session is over: exit code 0");
});

it("those who have left an idle session, which nothing tells, keep nobody from watching it", async () => {
  const shell = people.alice.start(["exec", "-i", "shell", "--", "sh", "-c", "read reload"]);
  const id = await liveSession("sh", "-c", "read reload");
  const url = `${people.stack.personas.admin.url}/-/admin/sessions/${id}/watch`;
  for (let n = 0; n < 25; n++) {
    const { status, first, leave } = await openStream(url);
    expect([n, status, first]).toEqual([n, 200, expect.stringContaining('"version":2')]);
    leave();
  }
  shell.child.stdin?.end("over\n");
  expect((await shell.finished).code).toBe(0);
});
