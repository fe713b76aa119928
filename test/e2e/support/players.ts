/** The players of recordings: asciinema, and asciinema-player in a browser. */
import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { type Browser, type BrowserContext, chromium } from "playwright-core";
import { expect } from "vitest";
import { CHROMIUM, withoutBrowser } from "../../../dev/programs/chromium.ts";

/** Why no cast can be played in a terminal here, if so. */
export const withoutAsciinema =
  spawnSync("asciinema", ["--version"]).status === 0 ? undefined : "asciinema is not installed";

for (const [player, missing] of Object.entries({ "a terminal": withoutAsciinema, "a browser": withoutBrowser })) {
  if (missing !== undefined) console.info(`SKIP playing recordings in ${player}: ${missing}`);
}

/** Plays a cast as fast as it goes. @returns what asciinema wrote to the terminal */
export function playInTerminal(cast: string): string {
  const home = mkdtempSync(join(tmpdir(), "asciinema-"));
  try {
    const file = join(home, "session.cast");
    writeFileSync(file, cast);
    const { status, stdout, stderr } = spawnSync("asciinema", ["play", "-s", "100000", file], {
      env: { PATH: process.env["PATH"], LC_ALL: "C.UTF-8", HOME: home },
      encoding: "utf8",
      maxBuffer: 1 << 30,
    });
    expect([status, stderr]).toEqual([0, ""]);
    return stdout;
  } finally {
    rmSync(home, { recursive: true });
  }
}

/** A secure origin, because a page of another one has no clipboard. */
const ORIGIN = "https://player.test";
/** The folder of its scripts. */
export const PLAYER_BUNDLE = resolve(import.meta.dirname, "../../../node_modules/asciinema-player/dist/bundle");
const PAGE = `<!doctype html><meta charset="utf-8"><title>player</title>
<link rel="stylesheet" href="asciinema-player.css">
<style>html, body, #player { height: 100%; margin: 0 }</style>
<div id="player"></div>
<script src="asciinema-player.min.js"></script>
<script>
  function play() {
    const options = { autoPlay: true, speed: 100000, idleTimeLimit: 0.001, fit: "both" };
    const player = AsciinemaPlayer.create("session.cast", document.getElementById("player"), options);
    return new Promise((done) => player.addEventListener("ended", done));
  }
  const lines = () => [...document.querySelectorAll(".ap-line")];
  const screen = () => lines().map((line) => line.textContent.trimEnd());
  const colours = () => Object.fromEntries(lines().flatMap((line) => [...line.querySelectorAll("span")])
    .map((span) => [span.textContent.trim(), getComputedStyle(span).color]));
</script>`;

/** What a cast looks like at its end. */
export interface Played {
  /** The lines of the screen. */
  readonly screen: readonly string[];
  /** The colours of its texts: `rgb(…)`. */
  readonly colours: Readonly<Record<string, string>>;
  /** What the page has as its title and in its clipboard, which are `player` and `before` at first. */
  readonly title: string;
  readonly clipboard: string;
  /** The picture as a PNG. */
  readonly picture: Buffer;
}

/** asciinema-player in Chromium. */
export class WebPlayer {
  readonly #browser: Browser;
  readonly #context: BrowserContext;

  private constructor(browser: Browser, context: BrowserContext) {
    this.#browser = browser;
    this.#context = context;
  }

  static async start(): Promise<WebPlayer> {
    const browser = await chromium.launch({ executablePath: CHROMIUM ?? "" });
    const context = await browser.newContext();
    await context.grantPermissions(["clipboard-read", "clipboard-write"], { origin: ORIGIN });
    return new WebPlayer(browser, context);
  }

  /**
   * Plays a cast to its end. Any error of the page fails the test.
   *
   * @param lastText what is on the screen then
   */
  async play(cast: string, lastText: string): Promise<Played> {
    const page = await this.#context.newPage();
    try {
      const errors: string[] = [];
      page.on("pageerror", (error) => errors.push(String(error)));
      page.on("crash", () => errors.push("the page crashed"));
      page.on("dialog", (dialog) => errors.push(`a dialog: ${dialog.message()}`));
      page.on("console", (message) => {
        if (message.type() === "error") errors.push(message.text());
      });
      await page.route("**/*", (route) => {
        const { origin, pathname } = new URL(route.request().url());
        if (origin !== ORIGIN) errors.push(`the page asks for ${route.request().url()}`);
        if (pathname === "/") return route.fulfill({ contentType: "text/html", body: PAGE });
        if (pathname === "/session.cast") return route.fulfill({ contentType: "application/x-asciicast", body: cast });
        if (/^\/asciinema-player[\w.-]+$/.test(pathname)) {
          const contentType = pathname.endsWith(".css") ? "text/css" : "text/javascript";
          return route.fulfill({ contentType, body: readFileSync(join(PLAYER_BUNDLE, pathname)) });
        }
        return route.fulfill({ status: 204 });
      });
      await page.goto(ORIGIN);
      await page.evaluate("navigator.clipboard.writeText('before')");
      await page.evaluate("play()");
      // The last event is drawn a little later.
      await page.waitForFunction(`screen().some((line) => line.includes(${JSON.stringify(lastText)}))`);
      const played = {
        screen: await page.evaluate<string[]>("screen()"),
        colours: await page.evaluate<Record<string, string>>("colours()"),
        title: await page.title(),
        clipboard: await page.evaluate<string>("navigator.clipboard.readText()"),
        picture: await page.screenshot(),
      };
      expect(errors).toEqual([]);
      return played;
    } finally {
      await page.close();
    }
  }

  async stop(): Promise<void> {
    await this.#browser.close();
  }
}
