import { env } from "cloudflare:workers";
import { describe, expect, it } from "vitest";
import { findSessions } from "../../audit/session-queries.ts";
import { admin, as, HOST, requestAs, someone, UPGRADE } from "./people.ts";
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
  [
    "another origin, but same-origin by Sec-Fetch-Site",
    { Origin: "https://evil.example", "Sec-Fetch-Site": "same-origin" },
  ],
];

const OWN: [string, Record<string, string>][] = [
  ["kubectl, which sends neither header", {}],
  ["a page of this host", { Origin: HOST, "Sec-Fetch-Site": "same-origin" }],
  ["a page of this host behind a TLS terminator", { Origin: HOST.replace("https:", "http:") }],
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
    const headers = { Upgrade: "SPDY/3.1", Origin: "https://evil.example" };
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

describe("a read", () => {
  it.each(FOREIGN)("may be caused by %s, which never sees the answer", async (_, headers) => {
    const response = await as(someone(), "/api/v1/namespaces/demo/pods", { headers });
    expect(response.status).toBe(200);
    expect([...response.headers.keys()].filter((name) => name.startsWith("access-control-"))).toEqual([]);
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
