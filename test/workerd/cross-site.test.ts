import { env } from "cloudflare:workers";
import { describe, expect, it } from "vitest";
import { findSessions } from "../../audit/session-queries.ts";
import type { Route } from "../../worker/api/route.ts";
import { ROUTES } from "../../worker/api/routes.ts";
import { eventually } from "../support/eventually.ts";
import { admin, as, directlyAs, HOST, requestAs, someone, UPGRADE } from "./people.ts";
import { expectApiDenial, expectStatus } from "./statuses.ts";

const CROSS_SITE = "refused: a web page of another site made this request; use kubectl, or a page of this host";
const EXEC = "/api/v1/namespaces/demo/pods/silent/exec?command=sh";
const WATCH = "/api/v1/namespaces/demo/pods?watch=true";

const FOREIGN: [string, Record<string, string>][] = [
  ["a page of another host", { Origin: "https://evil.example" }],
  ["a page of another port", { Origin: `${HOST}:8443` }],
  ["a page whose host begins like ours", { Origin: `${HOST}.evil.example` }],
  ["a page with our host as the user name in its origin", { Origin: "https://sallyport.example.com@evil.example" }],
  ["a sandboxed frame or a local file", { Origin: "null" }],
  ["an invalid origin", { Origin: "nonsense" }],
  ["a cross-site fetch", { "Sec-Fetch-Site": "cross-site" }],
  ["a fetch from a sibling domain", { "Sec-Fetch-Site": "same-site" }],
  ["an unknown Sec-Fetch-Site", { "Sec-Fetch-Site": "future" }],
  ["our origin, but cross-site by Sec-Fetch-Site", { Origin: HOST, "Sec-Fetch-Site": "cross-site" }],
  ["a page of this host without TLS, which may be anybody's", { Origin: HOST.replace("https:", "http:") }],
  [
    "another origin, but same-origin by Sec-Fetch-Site",
    { Origin: "https://evil.example", "Sec-Fetch-Site": "same-origin" },
  ],
];

const OWN: [string, Record<string, string>][] = [
  ["kubectl, which sends neither header", {}],
  ["a page of this host", { Origin: HOST, "Sec-Fetch-Site": "same-origin" }],
  ["an address typed into the browser", { "Sec-Fetch-Site": "none" }],
];

describe("a session", () => {
  it.each(FOREIGN)("is not opened for %s, and no event is recorded", async (_, headers) => {
    const person = someone();
    const response = await as(person, EXEC, { headers: { ...UPGRADE, ...headers } });
    await expectStatus(response, "Forbidden", CROSS_SITE);
    expect(await findSessions(env.AUDIT_DB, { state: "all", user: person.email }, 1)).toEqual([]);
  });

  it("is not opened for a page of another site by SPDY either", async () => {
    const headers = { Connection: "Upgrade", Upgrade: "SPDY/3.1", Origin: "https://evil.example" };
    await expectStatus(await as(someone(), EXEC, { method: "POST", headers }), "Forbidden", CROSS_SITE);
  });

  it.each(OWN)("is opened for %s", async (_, headers) => {
    const response = await as(someone(), EXEC, { headers: { ...UPGRADE, ...headers } });
    expect(response.status).toBe(101);
    response.webSocket?.accept();
    response.webSocket?.close();
  });
});

describe("a watch over WebSocket", () => {
  it.each(FOREIGN)("is not opened for %s", async (_, headers) => {
    await expectStatus(await as(someone(), WATCH, { headers: { ...UPGRADE, ...headers } }), "Forbidden", CROSS_SITE);
  });

  it.each(OWN)("is forwarded for %s", async (_, headers) => {
    const response = await as(someone(), WATCH, { headers: { ...UPGRADE, ...headers } });
    expect(await response.json()).toMatchObject({ headers: { upgrade: "websocket" } });
  });
});

describe("a write", () => {
  const CONFIGMAP = "/api/v1/namespaces/demo/configmaps/c";

  it.each(FOREIGN)("is not forwarded for %s", async (_, headers) => {
    for (const method of ["POST", "PUT", "PATCH", "DELETE"]) {
      await expectStatus(await as(someone(), CONFIGMAP, { method, headers }), "Forbidden", CROSS_SITE);
    }
  });

  it.each(OWN)("is forwarded for %s", async (_, headers) => {
    const response = await as(someone(), CONFIGMAP, { method: "PUT", body: "{}", headers });
    expect(await response.json()).toMatchObject({ method: "PUT", body: "{}" });
  });

  it("is every method that is not known to read", async () => {
    const headers = { Origin: "https://evil.example" };
    for (const method of ["PROPFIND", "REPORT"]) {
      expect((await as(someone(), CONFIGMAP, { method, headers })).status).not.toBe(200);
    }
  });
});

describe("a read that leaves a row in the audit log", () => {
  const NS = "/api/v1/namespaces/demo";
  const READS = [
    `${NS}/secrets`,
    `${NS}/secrets/db`,
    "/apis/certificates.k8s.io/v1/certificatesigningrequests/alice",
    `${NS}/pods/web/proxy/`,
  ];

  it.each(FOREIGN)("is not forwarded for %s", async (_, headers) => {
    for (const path of READS) await expectStatus(await as(someone(), path, { headers }), "Forbidden", CROSS_SITE);
  });

  it.each(OWN)("is forwarded for %s", async (_, headers) => {
    expect((await as(someone(), `${NS}/secrets/db`, { headers })).status).toBe(200);
  });
});

describe("a read that the cluster denies, which leaves a row as well", () => {
  const NODES = "/api/v1/nodes";
  const bindings = { KUBE_API: { fetch: async () => Response.json({ kind: "Status", code: 403 }, { status: 403 }) } };
  const rowOf = (user: string) =>
    eventually(async () => {
      const row = await env.AUDIT_DB.prepare("SELECT * FROM requests WHERE user = ?").bind(user).first();
      if (!row) throw new Error("there is no row yet");
      return row;
    });

  it.each(FOREIGN)("is nothing that the person tried, for %s", async (_, headers) => {
    const person = someone();
    await expectStatus(await directlyAs(person, NODES, { headers }, { bindings }), "Forbidden", CROSS_SITE);
    expect(await rowOf(person.email)).toMatchObject({ decision: "refused", refusal: "cross_site", status: null });
  });

  it.each(OWN)("is the cluster's denial for %s", async (_, headers) => {
    const person = someone();
    const response = await directlyAs(person, NODES, { headers }, { bindings });
    expect([response.status, await response.json()]).toEqual([403, { kind: "Status", code: 403 }]);
    expect(await rowOf(person.email)).toMatchObject({ decision: "allowed", refusal: null, status: 403 });
  });
});

describe("a page on the person's own machine", () => {
  const PAGE = "http://localhost:8001";
  const config = { loopbackOrigins: [PAGE] };
  const CONFIGMAP = "/api/v1/namespaces/demo/configmaps/c";
  const write = { method: "PUT", body: "{}" };

  const THROUGH_PROXY: [string, Record<string, string>][] = [
    ["a browser that says so", { Origin: PAGE, "Sec-Fetch-Site": "same-origin" }],
    ["a desktop application, or an older browser", { Origin: PAGE }],
    ["a browser with cookies of its own for the program", { Origin: PAGE, Cookie: "theme=dark" }],
  ];

  it.each(THROUGH_PROXY)("writes and opens sessions through kubectl proxy, with %s", async (_, headers) => {
    const person = someone();
    const written = await directlyAs(person, CONFIGMAP, { ...write, headers }, { config });
    expect(await written.json()).toMatchObject({ method: "PUT", body: "{}" });
    const opened = await directlyAs(person, EXEC, { headers: { ...UPGRADE, ...headers } }, { config });
    expect(opened.status).toBe(101);
    opened.webSocket?.accept();
    opened.webSocket?.close();
  });

  it("reads through kubectl proxy, which needs no Origin", async () => {
    const headers = { "Sec-Fetch-Site": "same-origin" };
    expect((await directlyAs(someone(), "/api/v1/namespaces/demo/secrets", { headers }, { config })).status).toBe(200);
  });

  it.each<[string, Record<string, string>]>([
    ["calls us itself", { Origin: PAGE, "Sec-Fetch-Site": "cross-site" }],
    ["calls us itself, under a name of the same site", { Origin: PAGE, "Sec-Fetch-Site": "same-site" }],
    ["calls us itself, by a header that no browser sends with an Origin", { Origin: PAGE, "Sec-Fetch-Site": "none" }],
    ["opens a WebSocket itself, with our cookie", { Origin: PAGE, Cookie: "a=b; CF_Authorization=ey.J.x" }],
    ["… with another of our cookies", { Origin: PAGE, Cookie: "CF_AppSession=0123" }],
    [
      "… with our cookie, same-origin by its own word",
      { Origin: PAGE, "Sec-Fetch-Site": "same-origin", Cookie: "CF_Authorization=x" },
    ],
    ["is on another port", { Origin: "http://localhost:8002" }],
    ["is on another name of loopback", { Origin: "http://127.0.0.1:8001" }],
    ["has another scheme", { Origin: "https://localhost:8001" }],
    ["is a host that begins like it", { Origin: "http://localhost:8001.evil.example" }],
    ["is in a sandbox", { Origin: "null", "Sec-Fetch-Site": "same-origin" }],
    ["has two origins", { Origin: `${PAGE}, https://evil.example` }],
  ])("does neither when it %s", async (_, headers) => {
    const written = await directlyAs(someone(), CONFIGMAP, { ...write, headers }, { config });
    await expectStatus(written, "Forbidden", CROSS_SITE);
    const opened = await directlyAs(someone(), EXEC, { headers: { ...UPGRADE, ...headers } }, { config });
    await expectStatus(opened, "Forbidden", CROSS_SITE);
  });

  it.each(THROUGH_PROXY)("does neither where it is not configured, with %s", async (_, headers) => {
    await expectStatus(await as(someone(), CONFIGMAP, { ...write, headers }), "Forbidden", CROSS_SITE);
  });

  it.each(THROUGH_PROXY)("never calls the admin API, with %s", async (_, headers) => {
    const response = await directlyAs(admin, "/-/admin/sessions", { headers }, { config });
    await expectApiDenial(response, "cross_site", CROSS_SITE);
  });
});

describe("a read", () => {
  it.each(FOREIGN)("may be caused by %s, which never sees the answer", async (_, headers) => {
    const response = await as(someone(), "/api/v1/namespaces/demo/pods", { headers });
    expect(response.status).toBe(200);
    expect([...response.headers.keys()].filter((name) => name.startsWith("access-control-"))).toEqual([]);
  });
});

describe("a host without TLS", () => {
  it.each(["http://sallyport.example.com", "https://sallyport.example.com"])(
    "has its own pages, with TLS that ends before it or without: %s",
    async (Origin) => {
      const init = { method: "PUT", body: "{}", headers: { Origin } };
      const other = { host: "http://sallyport.example.com" };
      const response = await directlyAs(someone(), "/api/v1/namespaces/demo/configmaps/c", init, other);
      expect(response.status).toBe(200);
    },
  );
});

describe("every route under /-/ that does more than show people their own data", () => {
  const PAGE = "http://localhost:8001";
  const config = { loopbackOrigins: [PAGE] };
  const PAGES: [string, Record<string, string>][] = [
    ["a page of another site", { Origin: "https://evil.example", "Sec-Fetch-Site": "cross-site" }],
    ["a navigation from another site, which sends no Origin", { "Sec-Fetch-Site": "cross-site" }],
    ["a page on the person's own machine that may write to clusters", { Origin: PAGE }],
  ];
  const routes = Object.values<Route>(ROUTES)
    .filter(({ access }) => access !== "public")
    .map(({ method, path, access }) => ({ method, access, path: path.replace(/\{\w+\}/g, "a".repeat(64)) }));
  const shows = ({ method, access }: (typeof routes)[number]) => method === "GET" && access === "user";

  it.each(PAGES)("is refused to %s", async (_, headers) => {
    const guarded = routes.filter((route) => !shows(route));
    expect(guarded.map(({ path }) => path)).toEqual(
      expect.arrayContaining([
        "/-/access",
        `/-/approvals/${"a".repeat(64)}`,
        `/-/grants/${"a".repeat(64)}`,
        "/-/reason",
      ]),
    );
    for (const { method, path } of guarded) {
      const response = await directlyAs(admin, path, { method, headers }, { config });
      await expectApiDenial(response, "cross_site", CROSS_SITE);
    }
  });

  it("is also what shows them their own data, where a page asks for a WebSocket, which it could read", async () => {
    for (const { method, path } of routes.filter(shows)) {
      const headers = { Origin: PAGE, ...UPGRADE };
      const response = await directlyAs(someone(), path, { method, headers }, { config });
      await expectApiDenial(response, "cross_site", CROSS_SITE);
    }
  });
});

describe("the admin API", () => {
  it.each(FOREIGN)("refuses %s, even with an administrator's token", async (_, headers) => {
    for (const [method, path] of [
      ["GET", "/-/admin/sessions"],
      ["DELETE", "/-/admin/users/alice@example.com/sessions"],
    ] as const) {
      const response = await as(admin, path, { method, headers });
      await expectApiDenial(response, "cross_site", CROSS_SITE);
    }
  });

  it.each(OWN)("answers %s", async (_, headers) => {
    expect((await as(admin, "/-/admin/sessions", { headers })).status).toBe(200);
  });

  it("sends no CORS headers that would let a page of another site read its answers", async () => {
    const request = await requestAs(admin, "/-/admin/sessions", {
      method: "OPTIONS",
      headers: { Origin: "https://evil.example", "Access-Control-Request-Method": "DELETE" },
    });
    const response = await env.EDGE.fetch(request);
    expect(response.status).toBe(403);
    expect([...response.headers.keys()].filter((name) => name.startsWith("access-control-"))).toEqual([]);
  });
});
