/**
 * `npm run console:screenshots`: makes the pictures in docs/screenshots/, of a local stack with examples.
 *
 *   npm run console:screenshots [-- NAME ...]    all of them, or those of the names
 */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Browser, chromium } from "playwright-core";
import { makeExamples } from "../examples/index.ts";
import { CHROMIUM, withoutBrowser } from "../programs/chromium.ts";
import { type Stack, startStack } from "../stack/index.ts";
import { REPOSITORY } from "../workers/configuration.ts";
import { MAX_PICTURE_BYTES, PICTURES, type Picture } from "./pictures.ts";

const FOLDER = join(REPOSITORY, "docs/screenshots");
const WIDTH = 1200;
const HEIGHT = 720;
/** Longer than the directory of live sessions takes to know all. */
const PATIENCE_MS = 120_000;

const names = process.argv.slice(2);
const unknown = names.filter((name) => !PICTURES.some((picture) => picture.name === name));
const refusal = unknown.length > 0 ? `no such picture: ${unknown.join(", ")}` : withoutBrowser;
if (refusal === undefined) await makePictures();
else {
  process.stderr.write(`${refusal}\n`);
  process.exitCode = 2;
}

async function makePictures(): Promise<void> {
  const stateDir = mkdtempSync(join(tmpdir(), "sallyport-screenshots-"));
  const stack = await startStack({ stateDir, port: 0, quiet: true });
  const done = new AbortController();
  try {
    await makeExamples(stack, { signal: done.signal, print: (line) => process.stderr.write(`${line}\n`) });
    const browser = await chromium.launch({ executablePath: CHROMIUM ?? "" });
    try {
      await takeAll(browser, stack);
    } finally {
      await browser.close();
    }
  } finally {
    done.abort();
    await stack.stop();
    rmSync(stateDir, { recursive: true, force: true });
  }
}

async function takeAll(browser: Browser, stack: Stack): Promise<void> {
  mkdirSync(FOLDER, { recursive: true });
  for (const picture of PICTURES.filter(({ name }) => names.length === 0 || names.includes(name))) {
    const image = await take(browser, stack, picture);
    if (image.length > MAX_PICTURE_BYTES)
      throw new Error(`${picture.name} has ${image.length} bytes, more than ${MAX_PICTURE_BYTES}`);
    writeFileSync(join(FOLDER, `${picture.name}.png`), image);
    process.stderr.write(`${picture.name}.png: ${Math.ceil(image.length / 1024)} KiB\n`);
  }
}

async function take(browser: Browser, { personas }: Stack, picture: Picture): Promise<Buffer> {
  const { who = "admin", path, show, colorScheme = "light", height = HEIGHT } = picture;
  const context = await browser.newContext({
    ...{ colorScheme, viewport: { width: WIDTH, height } },
    ...{ locale: "en-GB", timezoneId: "Europe/Berlin", reducedMotion: "reduce" },
  });
  const page = await context.newPage();
  page.setDefaultTimeout(PATIENCE_MS);
  await page.goto(`${personas[who].url}/-/console${path}`);
  await show(page);
  const image = await page.screenshot({ animations: "disabled" });
  await context.close();
  return image;
}
