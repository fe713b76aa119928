/**
 * A workload's page on the console's own host name, in a browser that is signed in as an administrator: it
 * can neither read nor do anything. Beside it, the console's own page does the same.
 */
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import type { Browser } from "playwright-core";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { withoutBrowser } from "../../dev/programs/chromium.ts";
import { openConsole, startBrowser } from "./support/console.ts";
import { startTestStack, type TestStack } from "./support/people.ts";

const PAGE = "/api/v1/namespaces/demo/pods/evil/proxy/";

/** Tries everything. A page that may run scripts says more than "loaded". */
const EVIL = `<!doctype html><title>evil</title><p id="state">loaded</p>
<img src="/api/v1/namespaces/demo/pods/evil/proxy/got?image">
<iframe src="/-/console/live" title="console"></iframe>
<form id="lock" method="post" action="/-/admin/locks/alice@example.com"><input name="reason" value="x"></form>
<script>
document.getElementById("state").textContent = "ran";
fetch("/-/admin/sessions").then((r) => r.text()).then((t) => { document.title = t; });
fetch("/-/admin/locks/alice@example.com", { method: "PUT", body: "{}" });
navigator.serviceWorker && navigator.serviceWorker.register("sw.js", { scope: "/" });
window.open("/-/console/live");
document.getElementById("lock").submit();
</script>
<script src="evil.js"></script>`;

let server: Server;
let people: TestStack;
let browser: Browser;
const asked: string[] = [];

beforeAll(async () => {
  if (withoutBrowser !== undefined) return;
  server = createServer((request, response) => {
    asked.push(request.url ?? "");
    const isScript = request.url?.endsWith(".js");
    response.setHeader("Content-Type", isScript ? "text/javascript" : "text/html");
    response.end(isScript ? "document.title = 'a workload ran here'" : EVIL);
  });
  await new Promise<void>((listening) => server.listen(0, "127.0.0.1", listening));
  const upstream = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  [people, browser] = await Promise.all([startTestStack({}, { upstream }), startBrowser()]);
});
afterAll(async () => {
  await browser?.close();
  await people?.stop();
  server?.close();
});

/** What a browser says of what it refused. */
const REFUSALS = [
  /sandbox/i,
  /Refused|Blocked|violates|X-Frame-Options|frame-ancestors|status of 403|MIME|NotSameOrigin|ERR_FAILED|Failed to fetch/i,
];

describe.skipIf(withoutBrowser !== undefined)("a workload's page, opened by an administrator", () => {
  const url = () => people.stack.personas.admin.url;

  it("runs nothing, frames nothing and locks nobody", async () => {
    const { page, close } = await openConsole(browser, url(), {}, REFUSALS);
    await page.goto(url() + PAGE, { waitUntil: "load" });
    expect(await page.locator("#state").textContent()).toBe("loaded");
    expect(await page.title()).toBe("evil");
    const frame = page.frames().find((candidate) => candidate !== page.mainFrame());
    expect(await frame?.locator("#app").count()).toBe(0);
    expect(page.context().pages()).toHaveLength(1);
    const lock = await people.admin("GET", "locks/alice@example.com");
    expect(lock.status).toBe(404);
    await close();
  });

  it("cannot call the API from an opaque origin, even if it could run scripts", async () => {
    const { page, close } = await openConsole(browser, url(), {}, REFUSALS);
    // As a browser that knows no sandbox would load it.
    await page.route(`**${PAGE}`, async (route) => {
      const response = await route.fetch();
      const headers = {
        ...response.headers(),
        "content-security-policy": "sandbox allow-scripts allow-forms allow-popups",
      };
      await route.fulfill({ response, headers });
    });
    await page.goto(url() + PAGE, { waitUntil: "load" });
    await page.locator("#state", { hasText: "ran" }).waitFor();
    const got = await page.evaluate("fetch('/-/admin/sessions').then((r) => r.text(), () => 'blocked')");
    expect(got).toBe("blocked");
    const lock = await people.admin("GET", "locks/alice@example.com");
    expect(lock.status).toBe(404);
    await close();
  });

  it("cannot become a script of the console, whose policy names its own files", async () => {
    const { page, open, complaints } = await openConsole(browser, url());
    await open("/live");
    await page.getByRole("heading", { name: "Live" }).waitFor();
    const before = await page.title();
    await page.addScriptTag({ url: `${PAGE}evil.js` }).catch(() => {});
    expect(await page.title()).toBe(before);
    expect(complaints.join("\n")).toMatch(/TrustedScriptURL|Content Security Policy/);
    await page.context().close();
  });

  it("… while the console itself reads and acts there", async () => {
    const { page, open, close } = await openConsole(browser, url());
    await open("/live");
    await page.getByRole("heading", { name: "Live" }).waitFor();
    const status = await page.evaluate("fetch('/-/admin/sessions?state=live').then((r) => r.status)");
    expect(status).toBe(200);
    await close();
  });
});
