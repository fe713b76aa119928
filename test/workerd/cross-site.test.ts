import { env, exports } from "cloudflare:workers";
import { describe, expect, it } from "vitest";
import { findSessions } from "../../audit/queries.ts";
import { admin, as, HOST, requestAs, someone, UPGRADE } from "./people.ts";
import { expectStatus } from "./statuses.ts";

const WORDS = "refused: a web page of another site made this request; use kubectl, or a page of this host";
const EXEC = "/api/v1/namespaces/demo/pods/silent/exec?command=sh";
const WATCH = "/api/v1/namespaces/demo/pods?watch=true";

const FOREIGN: [string, Record<string, string>][] = [
  ["a page of another host", { Origin: "https://evil.example" }],
  ["a page of another port", { Origin: `${HOST}:8443` }],
  ["a page whose host only begins like ours", { Origin: `${HOST}.evil.example` }],
  ["a page that puts our host where the user name goes", { Origin: "https://sallyport.example.com@evil.example" }],
  ["a sandboxed frame or a local file", { Origin: "null" }],
  ["an origin that is none", { Origin: "nonsense" }],
  ["a fetch across sites", { "Sec-Fetch-Site": "cross-site" }],
  ["a fetch from a sibling of the domain", { "Sec-Fetch-Site": "same-site" }],
  ["a kind of site nobody knows yet", { "Sec-Fetch-Site": "future" }],
  ["a page of ours as it says, across sites as the browser says", { Origin: HOST, "Sec-Fetch-Site": "cross-site" }],
  [
    "another host as it says, the same as the browser says",
    { Origin: "https://evil.example", "Sec-Fetch-Site": "same-origin" },
  ],
];

const OWN: [string, Record<string, string>][] = [
  ["kubectl, which says nothing", {}],
  ["a page of this host", { Origin: HOST, "Sec-Fetch-Site": "same-origin" }],
  ["a page of this host behind a TLS terminator", { Origin: HOST.replace("https:", "http:") }],
  ["somebody who typed the address", { "Sec-Fetch-Site": "none" }],
];

describe("a session", () => {
  it.each(FOREIGN)("is not opened for %s, and nothing is recorded or asked of the cluster", async (_, headers) => {
    const person = someone();
    const response = await as(person, EXEC, { headers: { ...UPGRADE, ...headers } });
    await expectStatus(response, "Forbidden", WORDS);
    expect(await findSessions(env.AUDIT_DB, { state: "all", user: person.email }, 1)).toEqual([]);
  });

  it("is not opened for a foreign page by the second half's way either", async () => {
    const headers = { Upgrade: "SPDY/3.1", Origin: "https://evil.example" };
    await expectStatus(await as(someone(), EXEC, { method: "POST", headers }), "Forbidden", WORDS);
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
    await expectStatus(await as(someone(), WATCH, { headers: { ...UPGRADE, ...headers } }), "Forbidden", WORDS);
  });

  it.each(OWN)("is sent on for %s", async (_, headers) => {
    const response = await as(someone(), WATCH, { headers: { ...UPGRADE, ...headers } });
    expect(await response.json()).toMatchObject({ headers: { upgrade: "websocket" } });
  });
});

describe("a write", () => {
  const CONFIGMAP = "/api/v1/namespaces/demo/configmaps/c";

  it.each(FOREIGN)("is not done for %s", async (_, headers) => {
    for (const method of ["POST", "PUT", "PATCH", "DELETE"]) {
      await expectStatus(await as(someone(), CONFIGMAP, { method, headers }), "Forbidden", WORDS);
    }
  });

  it.each(OWN)("is done for %s", async (_, headers) => {
    const response = await as(someone(), CONFIGMAP, { method: "PUT", body: "{}", headers });
    expect(await response.json()).toMatchObject({ method: "PUT", body: "{}" });
  });

  it("is one under any name: what is no known read is refused to a foreign page", async () => {
    const headers = { Origin: "https://evil.example" };
    for (const method of ["PROPFIND", "REPORT"]) {
      expect((await as(someone(), CONFIGMAP, { method, headers })).status).not.toBe(200);
    }
  });
});

describe("a plain read", () => {
  it.each(FOREIGN)("may be caused by %s, which never sees the answer", async (_, headers) => {
    const response = await as(someone(), "/api/v1/namespaces/demo/pods", { headers });
    expect(response.status).toBe(200);
    expect([...response.headers.keys()].filter((name) => name.startsWith("access-control-"))).toEqual([]);
  });
});

describe("the admin API", () => {
  it.each(FOREIGN)("answers no %s, not even an administrator's browser", async (_, headers) => {
    for (const [method, path] of [
      ["GET", "/-/admin/sessions"],
      ["DELETE", "/-/admin/users/alice@example.com/sessions"],
    ] as const) {
      const response = await as(admin, path, { method, headers });
      expect(response.status).toBe(403);
      expect(await response.json()).toEqual({ error: { code: "forbidden", message: WORDS } });
    }
  });

  it.each(OWN)("answers %s", async (_, headers) => {
    expect((await as(admin, "/-/admin/sessions", { headers })).status).toBe(200);
  });

  it("gives no page of another site leave to read its answers", async () => {
    const request = await requestAs(admin, "/-/admin/sessions", {
      method: "OPTIONS",
      headers: { Origin: "https://evil.example", "Access-Control-Request-Method": "DELETE" },
    });
    const response = await exports.default.fetch(request);
    expect(response.status).toBe(403);
    expect([...response.headers.keys()].filter((name) => name.startsWith("access-control-"))).toEqual([]);
  });
});
