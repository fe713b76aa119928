/** How the edge serves the console: to whom, with which headers, and where it leads a browser. */
import { env } from "cloudflare:workers";
import { describe, expect, it } from "vitest";
import { admin, type alice, HOST, requestAs, someone, stranger, UPGRADE } from "./people.ts";
import { expectApiDenial } from "./statuses.ts";

const CONSOLE = "/-/console/";
const NAVIGATION = { Accept: "text/html,*/*;q=0.8", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document" };
const OLD_BROWSER = { Accept: "text/html,application/xhtml+xml" };
const KUBECTL = { Accept: "application/json, */*", "User-Agent": "kubectl/v1.36.2" };

/** Pages and redirects are no answers of the API, whose description `as` of people.ts checks. */
const as = async (who: typeof alice, path: string, init: RequestInit = {}) =>
  env.EDGE.fetch(await requestAs(who, path, init));

const navigate = (path: string, headers: Record<string, string> = NAVIGATION) =>
  as(someone(), path, { headers, redirect: "manual" });

/** The path of the first script that the document names. */
async function scriptPath(): Promise<string> {
  const document = await (await as(someone(), CONSOLE)).text();
  return /src="([^"]+)"/.exec(document)?.[1] ?? "";
}

describe("the console's files", () => {
  it("are served to everybody whom an identity rule knows", async () => {
    const document = await as(someone(), CONSOLE);
    expect(document.status).toBe(200);
    expect(document.headers.get("Content-Type")).toBe("text/html; charset=utf-8");
    expect(document.headers.get("Cache-Control")).toBe("private, no-cache");
    const script = await as(someone(), await scriptPath());
    expect(script.status).toBe(200);
    expect(script.headers.get("Content-Type")).toMatch(/^text\/javascript/);
    expect(script.headers.get("Cache-Control")).toBe("private, max-age=31536000, immutable");
    expect((await script.text()).length).toBeGreaterThan(1_000);
  });

  it("are the document at every address of a page", async () => {
    for (const path of ["/-/console/sessions/abc", "/-/console/sessions?user=a%40b", "/-/console/nothing/here"]) {
      const page = await as(someone(), path);
      expect(page.status, path).toBe(200);
      expect(await page.text(), path).toContain('<div id="app">');
    }
  });

  it("have headers that leave a page nothing but what it needs", async () => {
    for (const path of [CONSOLE, await scriptPath()]) {
      const { headers } = await as(someone(), path);
      expect(headers.get("Content-Security-Policy")?.split("; ")).toEqual([
        "default-src 'none'",
        "script-src sallyport.example.com/-/console/assets/ 'wasm-unsafe-eval'",
        "style-src sallyport.example.com/-/console/assets/",
        "worker-src sallyport.example.com/-/console/assets/",
        "img-src sallyport.example.com/-/console/assets/",
        "connect-src sallyport.example.com/-/ wss://sallyport.example.com/-/",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
        "require-trusted-types-for 'script'",
        "trusted-types sallyport-player",
      ]);
      expect(Object.fromEntries(headers)).toMatchObject({
        "cross-origin-opener-policy": "same-origin",
        "cross-origin-resource-policy": "same-origin",
        "referrer-policy": "no-referrer",
        "x-content-type-options": "nosniff",
        "x-frame-options": "DENY",
        "permissions-policy": expect.stringContaining("camera=()"),
      });
    }
  });

  it("are not served without a token, nor under another path", async () => {
    const script = await scriptPath();
    for (const path of [CONSOLE, script]) {
      await expectApiDenial(await env.EDGE.fetch(`${HOST}${path}`), "no_token", /./);
    }
    for (const path of [script.replace("/-/console", ""), "/index.html", "/assets/"]) {
      const response = await as(someone(), path);
      await response.body?.cancel();
      expect(response.headers.get("Content-Type"), path).not.toMatch(/html|javascript/);
    }
  });

  it("are not found under a name that no build has, and no path leads out of their folder", async () => {
    for (const name of ["main-AAAAAAAA.js", "..%2findex.html", "%2e%2e/index.html", "", "a%00b"]) {
      const response = await as(someone(), `/-/console/assets/${name}`);
      const body = await response.text();
      if (response.status === 200) expect(body, name).toContain('<div id="app">');
      else await expectApiDenial(new Response(body, response), "not_found", /reload the page/);
    }
  });

  it("take GET and HEAD alone", async () => {
    const head = await as(someone(), CONSOLE, { method: "HEAD" });
    expect([head.status, await head.text()]).toEqual([200, ""]);
    for (const method of ["POST", "PUT", "DELETE"]) {
      const response = await as(someone(), CONSOLE, { method });
      expect(response.headers.get("Allow")).toBe("GET, HEAD");
      await expectApiDenial(response, "method_not_served", /use GET, HEAD/);
    }
  });

  it("are refused to people whom no rule knows: by a page where a browser asks for one", async () => {
    await expectApiDenial(await as(stranger, CONSOLE), "no_identity", /no rule here/);
    const page = await as(stranger, CONSOLE, { headers: NAVIGATION });
    expect([page.status, page.headers.get("Content-Type")]).toEqual([403, "text/html; charset=utf-8"]);
    expect(page.headers.get("Content-Security-Policy")).toContain("default-src 'none'");
    expect(await page.text()).toContain("no_identity");
  });

  it("are refused to somebody who is locked, and the page shows the reason as text", async () => {
    const person = someone();
    const lock = { method: "PUT", body: JSON.stringify({ reason: "<script>alert(1)</script>" }) };
    await (await as(admin, `/-/admin/locks/${person.email}`, lock)).body?.cancel();
    const page = await as(person, CONSOLE, { headers: NAVIGATION });
    const text = await page.text();
    expect(page.status).toBe(403);
    expect(text).toContain("&#60;script&#62;alert(1)");
    expect(text).not.toContain("<script");
  });

  it("leave no row in the audit log", async () => {
    const person = someone();
    for (const path of [CONSOLE, await scriptPath()]) await (await as(person, path)).body?.cancel();
    const { results } = await env.AUDIT_DB.prepare("SELECT id FROM requests WHERE user = ?").bind(person.email).all();
    expect(results).toEqual([]);
  });
});

describe("a browser", () => {
  it.each([
    ["the host's own address", "/"],
    ["the API's", "/-/"],
    ["the console's without its slash", "/-/console"],
  ])("that opens %s is led to the console", async (_, path) => {
    for (const headers of [NAVIGATION, OLD_BROWSER]) {
      const response = await navigate(path, headers);
      expect([response.status, response.headers.get("Location")]).toEqual([302, CONSOLE]);
    }
  });

  it.each([
    ["/-/approvals", "approvals"],
    ["/-/approvals/a-B_1", "approvals/a-B_1"],
    ["/-/admin/sessions/a-B_1", "sessions/a-B_1"],
    ["/-/admin/locks/alice%40example.com", "people/alice%40example.com"],
  ])("that opens %s, which a message names, sees the console's page of it", async (path, page) => {
    for (const headers of [NAVIGATION, OLD_BROWSER]) {
      const response = await navigate(path, headers);
      expect([response.status, response.headers.get("Location")]).toEqual([302, CONSOLE + page]);
    }
  });

  it.each([
    "/-/approvals?state=all",
    "/-/approvals/a/activity",
    "/-/admin/sessions/a/recording",
    "/-/admin/sessions",
    "/-/whoami",
  ])("that opens %s, which no message names, has the API's own answer", async (path) => {
    const response = await navigate(path);
    await response.body?.cancel();
    expect(response.headers.get("Location")).toBeNull();
  });

  it.each([
    ["kubectl", KUBECTL],
    ["a page's own call", { Accept: "text/html", "Sec-Fetch-Mode": "cors", "Sec-Fetch-Dest": "empty" }],
    ["a frame", { Accept: "text/html", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "iframe" }],
    ["a program with a token of its own", { ...OLD_BROWSER, Authorization: "Bearer x" }],
  ])("is not what %s is taken for", async (_, headers) => {
    for (const path of ["/", "/-/", "/-/approvals/a", "/-/admin/locks/alice@example.com"]) {
      const response = await navigate(path, headers);
      await response.body?.cancel();
      expect(response.headers.get("Location"), path).toBeNull();
    }
  });

  it("goes to a cluster with every other path, and with a WebSocket", async () => {
    for (const path of ["/version", "/api", "/?watch=true"]) {
      const response = await navigate(path);
      await response.body?.cancel();
      expect(response.status, path).not.toBe(302);
    }
    const response = await as(someone(), "/", { headers: { ...UPGRADE, ...NAVIGATION } });
    await response.body?.cancel();
    expect(response.status).not.toBe(302);
  });

  it.each([
    ["/-/console/sessions?user=a%40b&t=1", "/-/console/sessions?user=a%40b&t=1"],
    ["//evil.example/-/console/", CONSOLE],
    ["https://evil.example/-/console/", CONSOLE],
    ["/-/console/../admin/drain", CONSOLE],
    ["/-/console/..%2f..%2fapi", "/-/console/..%2f..%2fapi"],
    ["\\\\evil.example/-/console/", CONSOLE],
    ["/api/v1/namespaces", CONSOLE],
    ["javascript:alert(1)//-/console/", CONSOLE],
    ["", CONSOLE],
  ])("comes back from the admin API's sign-in to the page %o", async (to, location) => {
    const response = await navigate(`/-/admin/console?to=${encodeURIComponent(to)}`);
    expect([response.status, response.headers.get("Location")]).toEqual([302, location]);
  });
});
