/** The console behind Access, where the admin API is an application of its own, in a browser. */
import type { Browser, Page } from "playwright-core";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { withoutBrowser } from "../../dev/programs/chromium.ts";
import { openConsole, startBrowser } from "./support/console.ts";
import { startTestStack, type TestStack } from "./support/people.ts";

let people: TestStack;
let browser: Browser;

beforeAll(async () => {
  if (withoutBrowser !== undefined) return;
  [people, browser] = await Promise.all([startTestStack(), startBrowser()]);
});
afterAll(async () => {
  await browser?.close();
  await people?.stop();
});

/** What an administrator changes in Cloudflare's dashboard. */
async function dashboard(method: "PUT" | "DELETE", path: string): Promise<void> {
  const response = await fetch(`${people.stack.access.issuer}/cdn-cgi/local/${path}`, { method });
  expect(response.status).toBe(204);
}

/** The addresses that the page itself has been at, without those of its files and calls. */
function navigations(page: Page): string[] {
  const seen: string[] = [];
  page.on("framenavigated", (frame) => {
    if (frame === page.mainFrame()) seen.push(new URL(frame.url()).pathname);
  });
  return seen;
}

// A 401 is in the browser's own messages, whatever the page makes of it.
const REFUSED_CALL = [/status of 401/];

const open = async () => {
  const opened = await openConsole(browser, people.stack.front.url, { ignoreHTTPSErrors: true }, REFUSED_CALL);
  return { ...opened, seen: navigations(opened.page) };
};

const chooseIn = (page: Page, application: string, persona: string) =>
  page
    .getByText(`signing in to ${application}`)
    .waitFor()
    .then(() => page.locator(`#${persona}`).click());

describe.skipIf(withoutBrowser !== undefined).each([
  ["by a redirect, as it does where there is no Managed OAuth", "PUT"],
  ["by 401", "DELETE"],
] as const)("a call that Access answers %s", (_, method) => {
  beforeAll(() => (withoutBrowser === undefined ? dashboard(method, "redirected-calls") : undefined));

  it("becomes one sign-in and leads back to the same view", async () => {
    const { page, seen, close } = await open();
    await page.goto(`${people.stack.front.url}/-/console/sessions?user=nobody%40example.com`);
    await chooseIn(page, "the clusters", "admin");
    await chooseIn(page, "the admin API", "admin");
    await page.getByText("No session matches").waitFor();
    expect(new URL(page.url()).search).toBe("?user=nobody%40example.com");
    // The host's sign-in, the page, the admin API's sign-in, the page again.
    const host = new URL(page.url()).host;
    const login = `/cdn-cgi/access/login/${host}`;
    expect(seen).toEqual([login, "/-/console/sessions", login, "/-/console/sessions"]);
    // Another page has its cookies, and signs in no more.
    await page.getByRole("link", { name: "Live" }).click();
    await page.getByText("Nobody has a session now").waitFor();
    expect(seen.filter((path) => path === login)).toHaveLength(2);
    await close();
  });

  it("is explained, and does not go around in circles, where the sign-in does not help", async () => {
    const { page, seen, close } = await open();
    // As after a sign-in whose cookie the browser does not keep.
    await page.addInitScript(
      "sessionStorage.getItem('sallyport.signIn.admin') ?? sessionStorage.setItem('sallyport.signIn.admin', Date.now())",
    );
    await page.goto(`${people.stack.front.url}/-/console/live`);
    await chooseIn(page, "the clusters", "admin");
    await page.getByText("Access asks for a sign-in to the admin API again").waitFor();
    expect(seen.at(-1)).toBe("/-/console/live");
    await page.getByRole("button", { name: "Sign in again" }).click();
    await chooseIn(page, "the admin API", "admin");
    await page.getByText("Nobody has a session now").waitFor();
    await close();
  });

  it("shows somebody without a role their own pages, without a sign-in to the admin API", async () => {
    const { page, seen, close } = await open();
    await page.goto(`${people.stack.front.url}/-/console/`);
    await chooseIn(page, "the clusters", "alice");
    await page.getByText("alice@example.com").first().waitFor();
    expect(seen.filter((path) => path.startsWith("/cdn-cgi/"))).toHaveLength(1);
    await close();
  });
});
