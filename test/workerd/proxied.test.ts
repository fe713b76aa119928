import { describe, expect, it } from "vitest";
import { as, directlyAs, HOST, someone, UPGRADE } from "./people.ts";

const PAGE = "/api/v1/namespaces/demo/pods/evil/proxy/";

describe("a workload's answer through the proxy subresource", () => {
  it("is sandboxed: a browser gives it an opaque origin", async () => {
    for (const path of [PAGE, "/api/v1/namespaces/demo/services/http:evil:80/proxy/index.html"]) {
      const response = await as(someone(), path);
      expect(response.status).toBe(200);
      expect(response.headers.get("content-security-policy")).toBe("sandbox");
      expect(response.headers.get("x-content-type-options")).toBe("nosniff");
    }
  });

  it("cannot be requested by a page of another site, not even with GET, because the workload may act on it", async () => {
    const response = await as(someone(), PAGE, { headers: { "Sec-Fetch-Site": "cross-site" } });
    expect(response.status).toBe(403);
  });

  it.each([
    ["NEL", '{"report_to":"evil","max_age":31536000,"success_fraction":1}'],
    ["Report-To", '{"group":"evil","max_age":31536000,"endpoints":[{"url":"https://evil.example"}]}'],
    ["Reporting-Endpoints", 'default="https://evil.example"'],
    ["Clear-Site-Data", '"*"'],
    ["Strict-Transport-Security", "max-age=0"],
    ["Alt-Svc", 'h3="evil.example:443"'],
    ["Access-Control-Allow-Origin", "https://evil.example"],
    ["Access-Control-Allow-Credentials", "true"],
    ["Set-Cookie", "CF_Authorization=x"],
    ["Service-Worker-Allowed", "/"],
    ["Secure-Session-Registration", '(ES256);path="/register"'],
    ["Set-Login", "logged-out"],
    ["Speculation-Rules", '"/rules.json"'],
    ["Link", '</-/admin/sessions>; rel="prefetch"'],
    ["Refresh", "0; url=https://evil.example"],
    ["WWW-Authenticate", 'Basic realm="Sallyport"'],
    ["Proxy-Authenticate", "Basic"],
    ["Origin-Agent-Cluster", "?0"],
    ["Accept-CH", "Sec-CH-UA-Model"],
    ["Critical-CH", "Sec-CH-UA-Model"],
    ["Content-Location", "/-/admin/sessions"],
    ["SourceMap", "/-/admin/sessions"],
    ["Warning", '299 - "session ended: sign in at https://evil.example"'],
    ["Public-Key-Pins", 'pin-sha256="x"; max-age=1'],
    ["A-Header-Of-Next-Year", "?1"],
  ])("cannot affect this origin: %s", async (name, value) => {
    const workload = { fetch: async () => new Response("hello", { headers: { [name]: value, ETag: '"kept"' } }) };
    for (const path of [PAGE, "/apis/aggregated.example.com/v1/namespaces/demo/things/evil/proxy/x"]) {
      const response = await directlyAs(someone(), path, {}, { bindings: { KUBE_API: workload } });
      expect(await response.text()).toBe("hello");
      expect([response.headers.get("ETag"), response.headers.get(name)]).toEqual(['"kept"', null]);
    }
  });

  it.each([
    "https://evil.example/",
    "//evil.example/",
    "/\\evil.example/",
    "javascript:alert(1)",
    "data:text/html,x",
    "/-/admin/sessions",
    "/api/v1/namespaces/demo/pods/evil/exec",
    "/api/v1/namespaces/demo/pods/evil/proxyx",
    "/api/v1/namespaces/demo/pods/evil2/proxy/",
    "../../shell/proxy/",
    "./%2e%2e/%2e%2e/shell/proxy/",
    "http://localhost:8443/api/v1/namespaces/demo/pods/evil/proxy/",
    "https://user@evil.example/api/v1/namespaces/demo/pods/evil/proxy/",
    "http://[",
  ])("redirects nobody out of the proxied path: %s", async (location) => {
    const workload = { fetch: async () => new Response(null, { status: 302, headers: { Location: location } }) };
    const response = await directlyAs(someone(), PAGE, {}, { bindings: { KUBE_API: workload } });
    expect([response.status, response.headers.get("Location")]).toEqual([302, null]);
  });

  it.each([
    ["login?next=%2F#top", "/api/v1/namespaces/demo/pods/evil/proxy/login?next=%2F#top"],
    [`${PAGE}a/`, `${PAGE}a/`],
    ["/api/v1/namespaces/demo/pods/evil/proxy", "/api/v1/namespaces/demo/pods/evil/proxy"],
    [`http://localhost${PAGE}b`, `${PAGE}b`],
    [`${HOST}${PAGE}c`, `${PAGE}c`],
  ])("may redirect within the proxied path: %s", async (location, shown) => {
    const workload = { fetch: async () => new Response(null, { status: 302, headers: { Location: location } }) };
    const response = await directlyAs(someone(), PAGE, {}, { bindings: { KUBE_API: workload } });
    expect(response.headers.get("Location")).toBe(shown);
  });

  it("keeps within a pod that is named like the subresource", async () => {
    const page = "/api/v1/namespaces/proxy/pods/proxy/proxy/";
    const redirecting = (to: string) => ({
      fetch: async () => new Response(null, { status: 302, headers: { Location: to } }),
    });
    for (const [to, shown] of [
      ["/api/v1/namespaces/proxy/pods/proxy/exec", null],
      [`${page}x`, `${page}x`],
    ] as const) {
      const response = await directlyAs(someone(), page, {}, { bindings: { KUBE_API: redirecting(to) } });
      expect(response.headers.get("Location")).toBe(shown);
    }
  });

  it("is sandboxed, the API server's own answers are not", async () => {
    const response = await as(someone(), "/api/v1/namespaces/demo/pods");
    expect(response.headers.get("content-security-policy")).toBeNull();
  });
});

describe("a small web application through the proxy of its service", () => {
  const APP = "/api/v1/namespaces/demo/services/http:web:80/proxy/";
  const gzipped = async (text: string) =>
    new Response(new Blob([text]).stream().pipeThrough(new CompressionStream("gzip"))).arrayBuffer();

  /** As the API server shows it: it has rewritten the redirect. */
  const app = {
    async fetch(url: string, init: RequestInit) {
      const { pathname, searchParams } = new URL(url);
      const headers = new Headers(init.headers);
      switch (pathname.slice(APP.length - 1)) {
        case "/":
          return new Response("<h1>Things</h1><link rel=stylesheet href=app.css>", {
            headers: { "Content-Type": "text/html; charset=utf-8", "Cache-Control": "no-cache", Vary: "Accept" },
          });
        case "/app.css":
          if (headers.get("If-None-Match") === '"1"')
            return new Response(null, { status: 304, headers: { ETag: '"1"' } });
          return new Response(await gzipped("h1 { color: red }"), {
            headers: { "Content-Type": "text/css", "Content-Encoding": "gzip", ETag: '"1"', "Last-Modified": DATE },
            encodeBody: "manual",
          });
        case "/things":
          if (init.method !== "POST") {
            return Response.json(["a", "b"], { headers: { "X-Total-Count": "2", "Content-Language": "de" } });
          }
          return new Response(null, { status: 303, headers: { Location: `${APP}things?added=${searchParams.size}` } });
        case "/report.csv":
          return new Response("a;b", { headers: { "Content-Disposition": 'attachment; filename="report.csv"' } });
        default:
          return new Response("busy", { status: 503, headers: { "Retry-After": "7" } });
      }
    },
  };
  const DATE = "Sun, 22 Nov 2026 00:00:00 GMT";
  const ask = (path: string, init: RequestInit = {}) =>
    directlyAs(someone(), APP + path, init, { bindings: { KUBE_API: app } });
  const shown = ({ status, headers }: Response, ...names: string[]) => [
    status,
    ...names.map((name) => headers.get(name)),
  ];

  it("serves its pages and data, of any type and encoding", async () => {
    const page = await ask("");
    expect(await page.text()).toContain("<h1>Things</h1>");
    expect(shown(page, "Content-Type", "Cache-Control", "Vary")).toEqual([
      ...[200, "text/html; charset=utf-8", "no-cache", "Accept"],
    ]);
    const style = await ask("app.css");
    expect(shown(style, "Content-Type", "ETag", "Last-Modified")).toEqual([200, "text/css", '"1"', DATE]);
    expect(style.headers.get("Content-Encoding")).toBe("gzip");
    const things = await ask("things");
    expect(shown(things, "X-Total-Count", "Content-Language")).toEqual([200, "2", "de"]);
    expect(await things.json()).toEqual(["a", "b"]);
  });

  it("answers what is in a cache, downloads, forms, and when to come back", async () => {
    expect(shown(await ask("app.css", { headers: { "If-None-Match": '"1"' } }), "ETag")).toEqual([304, '"1"']);
    expect(shown(await ask("report.csv"), "Content-Disposition")).toEqual([200, 'attachment; filename="report.csv"']);
    const added = await ask("things?name=c", { method: "POST", body: "name=c" });
    expect(shown(added, "Location")).toEqual([303, `${APP}things?added=1`]);
    expect(shown(await ask("busy"), "Retry-After")).toEqual([503, "7"]);
  });
});

describe("the API server's own answer", () => {
  const answering = (body: string | null, init: ResponseInit) => ({
    KUBE_API: { fetch: async () => new Response(body, init) },
  });
  const ask = (bindings: object, path = "/api/v1/namespaces/demo/pods") =>
    directlyAs(someone(), path, {}, { bindings });

  it.each([
    "application/json",
    "application/json;stream=watch",
    "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList",
    "application/vnd.kubernetes.protobuf;stream=watch",
    "application/com.github.proto-openapi.spec.v2@v1.0+protobuf",
    "application/cbor-seq",
    "text/plain; version=0.0.4",
  ])("is untouched: %s", async (type) => {
    const own = {
      ...{ "Content-Type": type, "Audit-Id": "1", "Cache-Control": "no-cache, private", Warning: '299 - "deprecated"' },
      ...{ "X-Kubernetes-Pf-Flowschema-Uid": "2", "X-Kubernetes-Pf-Prioritylevel-Uid": "3", "Retry-After": "1" },
    };
    const response = await ask(answering("{}", { headers: own }));
    expect(Object.fromEntries(response.headers)).toEqual(
      Object.fromEntries(Object.entries(own).map(([name, value]) => [name.toLowerCase(), value])),
    );
  });

  it.each([
    ["a page of an aggregated API server", { "Content-Type": "text/html" }],
    ["a picture that may hold scripts", { "Content-Type": "image/svg+xml" }],
    ["an answer whose type a browser would guess", { "Content-Type": "unknown" }],
    ["an answer of two types, of which a browser takes the last", { "Content-Type": "text/plain; a=b, text/html" }],
    ["JSON with a header that speaks for this origin", { "Content-Type": "application/json", "Set-Cookie": "a=b" }],
  ])("is sandboxed as a workload's is: %s", async (_, own) => {
    const response = await ask(
      answering("x", { headers: { ...own, "Audit-Id": "1" } }),
      "/apis/x.example.com/v1/things",
    );
    expect(response.headers.get("content-security-policy")).toBe("sandbox");
    expect([response.headers.get("audit-id"), response.headers.get("set-cookie")]).toEqual(["1", null]);
  });

  it.each([{}, { "Set-Cookie": "a=b" }])("may open a WebSocket, with the protocol that it chose: %j", async (more) => {
    const headers = { "Sec-WebSocket-Protocol": "base64.binary.k8s.io", ...more };
    const watching = {
      async fetch() {
        const { 0: client, 1: server } = new WebSocketPair();
        server.accept();
        server.send("an event");
        return new Response(null, { status: 101, webSocket: client, headers });
      },
    };
    const init = { headers: { ...UPGRADE, "Sec-WebSocket-Protocol": "base64.binary.k8s.io" } };
    const path = "/api/v1/namespaces/demo/pods?watch=true";
    const response = await directlyAs(someone(), path, init, { bindings: { KUBE_API: watching } });
    expect([response.status, response.headers.get("Sec-WebSocket-Protocol")]).toEqual([101, "base64.binary.k8s.io"]);
    expect(response.headers.get("Set-Cookie")).toBeNull();
    const socket = response.webSocket;
    const said = new Promise((resolve) => socket?.addEventListener("message", ({ data }) => resolve(data)));
    socket?.accept();
    expect(await said).toBe("an event");
    socket?.close();
  });

  it("may redirect within this host", async () => {
    const moved = (Location: string) => answering(null, { status: 301, headers: { Location } });
    expect((await ask(moved("/openapi/v2/"))).headers.get("Location")).toBe("/openapi/v2/");
    for (const location of ["https://evil.example/", "http://localhost//evil.example/", "/.//evil.example/"]) {
      expect((await ask(moved(location))).headers.get("Location")).toBeNull();
    }
  });

  it.each([
    [502, "ServiceUnavailable"],
    [500, "InternalError"],
    [503, "ServiceUnavailable"],
    [403, "Forbidden"],
    [409, "Conflict"],
    [413, "RequestEntityTooLarge"],
    [421, "BadRequest"],
  ])("without a body gets a message: %i", async (status, reason) => {
    for (const body of [null, ""]) {
      const response = await ask(answering(body, { status, headers: { "Retry-After": "3" } }));
      expect(shown(response)).toEqual([status, "application/json", "3"]);
      expect(await response.json()).toMatchObject({
        ...{ kind: "Status", status: "Failure", reason, code: status },
        message: `the cluster answered ${status} without saying why`,
      });
    }
  });

  it("keeps what the cluster said beside the body that it lacked, and nothing about that body", async () => {
    const said = { "Audit-Id": "5f1c", Warning: '299 - "deprecated"', "X-Kubernetes-Pf-Flowschema-Uid": "2" };
    const headers = { ...said, "Content-Type": "text/plain", "Content-Encoding": "gzip", ETag: '"x"' };
    const response = await ask(answering(null, { status: 429, headers }));
    for (const [name, value] of Object.entries(said)) expect(response.headers.get(name)).toBe(value);
    expect(response.headers.get("Content-Type")).toBe("application/json");
    expect([response.headers.get("Content-Encoding"), response.headers.get("ETag")]).toEqual([null, null]);
    expect(await response.json()).toMatchObject({ reason: "TooManyRequests", code: 429 });
  });

  const shown = ({ status, headers }: Response) => [status, headers.get("Content-Type"), headers.get("Retry-After")];

  it("with a body of any length keeps it, however it is delimited", async () => {
    const long = "x".repeat(300_000);
    for (const text of ["no", long]) {
      const stream = new Blob([text]).stream();
      const unknownLength = { KUBE_API: { fetch: async () => new Response(stream, { status: 500 }) } };
      const response = await ask(unknownLength);
      expect([response.status, await response.text()]).toEqual([500, text]);
      expect(await (await ask(answering(text, { status: 404 }))).text()).toBe(text);
    }
  });
});

describe("an Access identity with an address that is not plain ASCII", () => {
  it.each([
    ["a letter whose lower case is another person's", "\u212Aim@example.com"],
    ["no @", "example.com"],
    ["two @", "a@b@example.com"],
    ["a reserved name", "system:masters@example.com"],
    ["a control character", "a\u001b[2J@example.com"],
  ])("is refused: %s", async (_, email) => {
    const response = await as({ ...someone(), email }, "/api/v1/pods");
    expect(response.status).toBe(403);
    expect(await response.json()).toMatchObject({
      reason: "Forbidden",
      message: expect.stringContaining("not a plain"),
    });
  });
});
