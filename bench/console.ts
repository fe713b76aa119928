/**
 * `npm run bench:console`: the figures of docs/CONSOLE.md. How large the console is, how soon a browser shows
 * it, and how soon a watcher sees what a pod prints.
 */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Browser, chromium, type Page } from "playwright-core";
import { bundleConsole } from "../console/build.ts";
import { compressedBytes, firstLoad, loadedWith } from "../console/sizes.ts";
import { CHROMIUM, withoutBrowser } from "../dev/programs/chromium.ts";
import { Kubectl } from "../dev/programs/kubectl.ts";
import { Terminal } from "../dev/programs/terminal.ts";
import { type Stack, startStack } from "../dev/stack/index.ts";
import { median, percentile } from "../tools/statistics.ts";

const LOADS = 10;
const PRINTED = 40;
const PRINT_EVERY_S = 0.25;

async function measure(): Promise<void> {
  await say("sizes, compressed", sizes);
  const home = mkdtempSync(join(tmpdir(), "sallyport-bench-console-"));
  const stack = await startStack({ stateDir: join(home, "state"), port: 0, quiet: true });
  try {
    const browser = await chromium.launch({ executablePath: CHROMIUM ?? "" });
    try {
      await say(`first load, p50 of ${LOADS}, each with an empty cache`, () => loads(browser, stack));
      await say("from a pod to the page of a watcher", () => delays(browser, stack, home));
    } finally {
      await browser.close();
    }
  } finally {
    await stack.stop();
    rmSync(home, { recursive: true, force: true, maxRetries: 5 });
  }
}

async function say(what: string, found: () => Promise<string>): Promise<void> {
  process.stdout.write(`${what}: ${await found()}\n`);
}

async function sizes(): Promise<string> {
  const files = await bundleConsole();
  const kilobytes = (names: Iterable<string>) =>
    [...names].reduce((sum, name) => sum + compressedBytes(files, name), 0) / 1_000;
  const first = firstLoad(files);
  const isOfPlayer = (name: string) => /assets\/(?:asciinema|player)-/.test(name);
  // What several pages share is in chunks of its own, which count towards each.
  const isPage = (name: string) => name.endsWith(".js") && !/assets\/chunk-/.test(name) && !isOfPlayer(name);
  const pages = [...files.keys()]
    .filter((name) => isPage(name) && !first.has(name))
    .map((name) => kilobytes([...loadedWith(files, name)].filter((loaded) => !first.has(loaded))));
  const [least, most] = [Math.min(...pages), Math.max(...pages)];
  const player = kilobytes([...files.keys()].filter(isOfPlayer));
  return `first load ${kilobytes(first).toFixed(1)} kB; a page ${least.toFixed(1)} to ${most.toFixed(1)} kB; player ${player.toFixed(1)} kB`;
}

/** Milliseconds from the navigation's begin, by the browser's own clock. */
const FIRST_PAINT = "performance.getEntriesByName('first-contentful-paint')[0]?.startTime";

async function loads(browser: Browser, { personas }: Stack): Promise<string> {
  const [paints, lists]: [number[], number[]] = [[], []];
  for (let load = 0; load < LOADS; load++) {
    const context = await browser.newContext();
    const page = await context.newPage();
    await page.goto(`${personas.admin.url}/-/console/live`, { waitUntil: "commit" });
    await page.getByText("Updated as it happens").waitFor();
    lists.push(Number(await page.evaluate("performance.now()")));
    paints.push(Number(await page.evaluate(FIRST_PAINT)));
    await context.close();
  }
  const [paint, list] = [median(paints), median(lists)];
  return `first contentful paint ${paint.toFixed(0)} ms, list of live sessions ${list.toFixed(0)} ms (at most ${Math.max(...lists).toFixed(0)} ms)`;
}

/** Notes, for each time that the screen shows, how long ago that was. */
const NOTE_DELAYS = `{
  const seen = new Map();
  globalThis.delays = seen;
  new MutationObserver(() => {
    for (const [, at] of document.querySelector(".ap-term-text").textContent.matchAll(/at (\\d{13})\\b/g))
      if (!seen.has(at)) seen.set(at, Date.now() - Number(at));
  }).observe(document.querySelector(".player"), { subtree: true, childList: true, characterData: true });
}`;

async function delays(browser: Browser, stack: Stack, home: string): Promise<string> {
  const kubectl = new Kubectl(stack.kubeconfig, "alice", home);
  const loop = `while read -r go; do date +'at %s%3N '; sleep ${PRINT_EVERY_S}; done`;
  const terminal = new Terminal(kubectl.command("exec", "-it", "shell", "--", "sh", "-c", `echo ready; ${loop}`));
  try {
    await terminal.until((shown) => shown.includes("ready") || undefined, 60_000);
    const page = await browser.newPage();
    await page.goto(`${stack.personas.admin.url}/-/console/live`);
    await page.getByRole("link", { name: "Watch" }).click();
    await page.locator(".ap-term-text").getByText("ready").waitFor();
    await page.evaluate(NOTE_DELAYS);
    // The first only shows that it works: the player has begun to draw.
    for (let count = 1; count <= PRINTED + 1; count++) {
      terminal.type("\n");
      await untilDelays(page, count);
    }
    const found = (await page.evaluate("[...globalThis.delays.values()]")) as number[];
    const counted = found.slice(1);
    const [p50, p95] = [0.5, 0.95].map((share) => percentile(counted, share));
    return `p50 ${p50} ms, p95 ${p95} ms (${counted.length} lines)`;
  } finally {
    terminal.kill();
  }
}

/** The page's policy admits no function of ours, so it is asked again and again. */
async function untilDelays(page: Page, count: number): Promise<void> {
  for (let asked = 0; asked < 1_000; asked++) {
    if (Number(await page.evaluate("globalThis.delays.size")) >= count) return;
    await page.waitForTimeout(20);
  }
  throw new Error(`the page of a watcher never showed line ${count}`);
}

if (withoutBrowser === undefined) await measure();
else {
  process.stderr.write(`${withoutBrowser}\n`);
  process.exitCode = 2;
}
