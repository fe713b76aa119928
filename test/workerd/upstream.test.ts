import { createExecutionContext } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { describe, expect, inject, it, vi } from "vitest";
import { eventually } from "../support/eventually.ts";
import { ended } from "./audit-rows.ts";
import { Client } from "./client.ts";
import { admin, alice, as, bob, directlyAs, HOST, requestAs, someone, stranger, UPGRADE, upgrade } from "./people.ts";
import { Puppet } from "./puppet.ts";
import { expectApiDenial, expectStatus } from "./statuses.ts";

const PODS = "/api/v1/namespaces/demo/pods";

interface Seen {
  readonly method: string;
  readonly url: string;
  readonly headers: Record<string, string>;
  readonly body: string;
}

async function seen(response: Response): Promise<Seen> {
  expect(response.status).toBe(200);
  return response.json();
}

/** The header lines as they left workerd; what its own fetch adds is taken out. */
async function lines(response: Response): Promise<[string, string][]> {
  const added = ["host", "cf-worker", "connection", "sec-websocket-key", "sec-websocket-version", "content-length"];
  const answer: { lines: [string, string][] } = await response.json();
  const byName = ([a]: [string, string], [b]: [string, string]) => a.localeCompare(b);
  return answer.lines.filter(([name]) => !added.includes(name)).sort(byName);
}

describe("the headers that reach the cluster", () => {
  const rawObject = `/api/v1/namespaces/demo/configmaps/raw-${inject("rawHeadersPort")}`;
  const rawPod = `/api/v1/namespaces/demo/pods/raw-${inject("rawHeadersPort")}/exec?command=sh`;

  it("are what kubectl says about its request, and the user, with each group in a line of its own", async () => {
    const response = await as(alice, rawObject, {
      headers: {
        Accept: "application/json;as=Table;v=v1;g=meta.k8s.io,application/json",
        "User-Agent": "kubectl/v1.36.3 (linux/amd64) kubernetes/0f29094",
        "Kubectl-Command": "kubectl get",
        "Kubectl-Session": "5d8f",
      },
    });
    expect(await lines(response)).toEqual([
      ["accept", "application/json;as=Table;v=v1;g=meta.k8s.io,application/json"],
      ["impersonate-group", "developers"],
      ["impersonate-group", "oncall"],
      ["impersonate-uid", "uid-alice"],
      ["impersonate-user", "alice@example.com"],
      ["kubectl-command", "kubectl get"],
      ["kubectl-session", "5d8f"],
      ["user-agent", "kubectl/v1.36.3 (linux/amd64) kubernetes/0f29094"],
    ]);
  });

  it("of a session are the same with subprotocols and the session id, without the plan", async () => {
    const response = await upgrade(alice, rawPod, { "User-Agent": "kubectl/v1.36.3", Authorization: "Bearer x" });
    expect(response.status).toBe(403);
    expect(await lines(response)).toEqual([
      ["impersonate-extra-sallyport-session", expect.stringMatching(/^[A-Za-z0-9_-]{64}$/)],
      ["impersonate-group", "developers"],
      ["impersonate-group", "oncall"],
      ["impersonate-uid", "uid-alice"],
      ["impersonate-user", "alice@example.com"],
      ["sec-websocket-protocol", "v5.channel.k8s.io"],
      ["upgrade", "websocket"],
      ["user-agent", "kubectl/v1.36.3"],
    ]);
  });

  it("carry no credentials or claims of the client's choice", async () => {
    const smuggled = {
      Authorization: "Bearer stolen",
      "Proxy-Authorization": "Basic stolen",
      Cookie: "CF_Authorization=stolen",
      "CF-Connecting-IP": "203.0.113.7",
      "CF-Ray": "ray",
      "Cf-Access-Authenticated-User-Email": "admin@example.com",
      "Cf-Access-Client-Secret": "stolen",
      "X-Remote-User": "admin",
      "X-Remote-Group": "system:masters",
      "X-Remote-Extra-Scopes": "all",
      "X-Forwarded-For": "203.0.113.7",
      "X-Forwarded-Host": "evil.example",
      "X-Forwarded-Client-Cert": "By=admin",
      Forwarded: "for=203.0.113.7",
      "X-Original-URL": "/api/v1/secrets",
      "X-HTTP-Method-Override": "DELETE",
      "Sallyport-Plan": encodeURIComponent(JSON.stringify({ user: "admin@example.com" })),
      "Audit-ID": "forged",
      traceparent: "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
      "X-Unknown": "unknown",
    };
    const onlyBob = [
      ["impersonate-group", "viewers"],
      ["impersonate-uid", "uid-bob"],
      ["impersonate-user", "bob@viewers.example.com"],
    ];
    expect(await lines(await as(bob, rawObject, { headers: smuggled }))).toEqual(onlyBob);
    const session = await lines(await upgrade(bob, rawPod, smuggled));
    expect(session.filter(([name]) => !/^(upgrade|sec-websocket-protocol|impersonate-extra-)/.test(name))).toEqual(
      onlyBob,
    );
  });

  it("never include a bearer token from the subprotocols", async () => {
    const offered = "base64url.bearer.authorization.k8s.io.c3RvbGVu, v4.channel.k8s.io";
    const session = await lines(await upgrade(bob, rawPod, { "Sec-WebSocket-Protocol": offered }));
    expect(session).toContainEqual(["sec-websocket-protocol", "v4.channel.k8s.io"]);
    expect(JSON.stringify(session)).not.toContain("c3RvbGVu");
  });

  it.each([
    ["Impersonate-User", /^(this user is not available to you: --as takes admin@example\.com|--as is empty: .*)$/],
    ["Impersonate-Group", /^--as-group needs --as/],
    ["Impersonate-Uid", /^only --as and --as-group are available here/],
    ["Impersonate-Extra-Sallyport-Session", /^only --as and --as-group are available here/],
    ["impersonate-extra-scopes", /^only --as and --as-group are available here/],
    ["Impersonate_User", /^only --as and --as-group are available here/],
  ])(
    "are not sent if the client asks to be somebody else (%s): it is refused with a message",
    async (header, message) => {
      await expectStatus(await as(admin, PODS, { headers: { [header]: "system:admin" } }), "Forbidden", message);
      await expectStatus(
        await upgrade(admin, `${PODS}/silent/exec?command=sh`, { [header]: "x" }),
        "Forbidden",
        message,
      );
      // An empty header counts too: a server on the way might not ignore it.
      await expectStatus(await as(admin, PODS, { headers: { [header]: "" } }), "Forbidden", message);
    },
  );

  it("keep the identity if the client declares it hop-by-hop (CVE-2021-31999)", async () => {
    const headers = { Connection: "Impersonate-User, Impersonate-Group, Impersonate-Uid" };
    expect(await lines(await as(bob, rawObject, { headers }))).toEqual([
      ["impersonate-group", "viewers"],
      ["impersonate-uid", "uid-bob"],
      ["impersonate-user", "bob@viewers.example.com"],
    ]);
  });

  it("of a session carry the id that is also in the audit log, at the client and in the admin API", async () => {
    const pod = await Puppet.make();
    const client = await Client.open(upgrade(someone(), pod.path()));
    const { headers } = await pod.request();
    expect(client.sessionId).toMatch(/^[A-Za-z0-9_-]{64}$/);
    expect(headers["impersonate-extra-sallyport-session"]).toBe(client.sessionId);
    pod.close(1000);
    expect((await ended(client.sessionId)).pod).toBe(pod.name);
  });
});

describe("somebody whom no identity rule matches", () => {
  const message = "no rule here gives mallory@elsewhere.example access: ask your administrator to add one";

  it("gets no answer of the cluster, and is told whom to ask", async () => {
    await expectStatus(await as(stranger, PODS), "Forbidden", message);
    await expectStatus(await upgrade(stranger, `${PODS}/silent/exec?command=sh`), "Forbidden", message);
    await expectApiDenial(await as(stranger, "/-/admin/sessions"), "no_identity", message);
  });
});

describe("somebody whose name cannot be sent to the cluster exactly", () => {
  it("gets no answer of it: no request is sent as the proxy itself, or as somebody with a similar name", async () => {
    const person = { email: "m\u00fcller@viewers.example.com", sub: "uid" };
    const message = "the email in the Cloudflare Access token is not a plain ASCII address, so it is not accepted here";
    await expectStatus(await as(person, PODS), "Forbidden", message);
    await expectStatus(await upgrade(person, `${PODS}/silent/exec?command=sh`), "Forbidden", message);
    const uid = { ...bob, sub: "uid\u00fc" };
    await expectStatus(await as(uid, PODS), "Forbidden", /^cannot impersonate: the uid/);
  });
});

describe("a denial of API discovery", () => {
  it("is plain text, the only form in which kubectl shows the message", async () => {
    const headers = { Accept: "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList,application/json" };
    const response = await as(stranger, "/api", { headers });
    expect(response.status).toBe(403);
    expect(response.headers.get("content-type")).toMatch(/^text\/plain/);
    expect(await response.text()).toBe(
      "no rule here gives mallory@elsewhere.example access: ask your administrator to add one",
    );
  });
});

describe("a request reaches the cluster as the client sent it", () => {
  it.each(["GET", "POST", "PUT", "PATCH", "DELETE"])("with the method %s, and its body", async (method) => {
    const body = method === "GET" ? null : '{"spec":{"ü":"\u{1F6AA}"}}';
    const arrived = await seen(await as(bob, PODS, { method, body, headers: { "Content-Type": "application/json" } }));
    expect(arrived).toMatchObject({ method, body: body ?? "" });
    expect(arrived.headers["content-type"]).toBe("application/json");
  });

  it("with GET, HEAD and an empty body that was announced in chunks, as some clients send it", async () => {
    for (const method of ["GET", "HEAD"]) {
      const { headers, signal } = await requestAs(bob, PODS, { headers: { "Transfer-Encoding": "chunked" } });
      const raw = { url: HOST + PODS, method, headers, signal, body: new Blob([]).stream() };
      const { default: worker } = await import("../../worker/index.ts");
      const response = await worker.fetch(
        raw as unknown as Parameters<typeof worker.fetch>[0],
        env,
        createExecutionContext(),
      );
      expect(response.status).toBe(200);
      if (method === "GET") expect(await response.json()).toMatchObject({ method: "GET", body: "" });
    }
  });

  it("with Java's offer of HTTP/2, which goes no further", async () => {
    const offer = { Connection: "Upgrade, HTTP2-Settings", Upgrade: "h2c", "HTTP2-Settings": "AAMAAABkAAQAAP__" };
    for (const init of [{ headers: offer }, { headers: offer, method: "PATCH", body: "{}" }]) {
      const { headers } = await seen(await as(bob, `${PODS}/x`, init));
      expect([headers["upgrade"], headers["http2-settings"]]).toEqual([undefined, undefined]);
    }
  });

  it("with an Upgrade header that Connection does not name, as a plain request", async () => {
    const { headers } = await seen(await as(bob, PODS, { headers: { Upgrade: "websocket" } }));
    expect(headers["upgrade"]).toBeUndefined();
  });

  it("except a GET or HEAD with a body, which is refused: some servers take the body for a second request", async () => {
    for (const method of ["GET", "HEAD"]) {
      const { headers, signal } = await requestAs(bob, PODS, { headers: { "Content-Length": "3" } });
      const body = new Blob(["abc"]).stream();
      const raw = { url: HOST + PODS, method, headers, signal, body };
      const { default: worker } = await import("../../worker/index.ts");
      const response = await worker.fetch(
        raw as unknown as Parameters<typeof worker.fetch>[0],
        env,
        createExecutionContext(),
      );
      await expectStatus(response, "BadRequest", `a ${method} with a body is not forwarded`);
    }
  });

  it.each([
    "?labelSelector=app%3Dweb%2Ctier%21%3Ddb&limit=500",
    "?fieldSelector=a&fieldSelector=b&fieldSelector=a",
    "?q=a+b%20c%2Bd&empty=&bare&=novalue",
    "?unicode=%C3%BC%F0%9F%9A%AA",
  ])("with the query %s", async (query) => {
    expect((await seen(await as(bob, PODS + query))).url).toBe(`http://localhost${PODS}${query}`);
  });

  it.each([
    "/version",
    "/apis/apps/v1/namespaces/demo/deployments/web/scale",
    "/api/v1/namespaces/demo/services/http:web:80/proxy/a%2Fb//c",
    "/api/v1/namespaces/demo/configmaps/a%3Ab",
  ])("with the path %s", async (path) => {
    expect((await seen(await as(bob, path))).url).toBe(`http://localhost${path}`);
  });

  it("with every repeated `command` of a session, in order", async () => {
    const pod = await Puppet.make();
    const query = "command=sh&command=-c&command=echo+a%3B+echo+%22b%22&command=sh&container=c";
    const client = await Client.open(upgrade(someone(), pod.path(query)));
    expect((await pod.request()).url).toBe(`http://localhost${pod.path(query)}`);
    pod.close(1000);
    const row = await ended(client.sessionId);
    expect(row.command).toEqual(["sh", "-c", 'echo a; echo "b"', "sh"]);
  });
});

describe("paths that the API server would read differently are refused, not sent", () => {
  it.each([
    `${PODS}/silent%2Fexec`,
    `${PODS}/silent/%65xec%2f`,
    "/api/v1/namespaces/demo//pods/silent/exec",
    "/api/v1/namespaces/demo/pods/silent%252Fexec",
  ])("%s", async (path) => {
    const response = await upgrade(someone(), `${path}?command=sh`);
    expect(response.status).toBe(400);
    expect(await response.json()).toMatchObject({ kind: "Status", reason: "BadRequest" });
  });

  it.each([
    `${PODS}/silent/log/../exec?command=sh`,
    `${PODS}/silent/./exec?command=sh`,
    `${PODS}/silent/%2e%2E/silent/exec?command=sh`,
    `${PODS}/silent\\exec?command=sh`,
  ])("%s, although URL parsers normalize it", async (path) => {
    const response = await overTheWire(`https://sallyport.example.com${path}`, { headers: UPGRADE });
    expect(response.status).toBe(400);
    expect(await response.json()).toMatchObject({ kind: "Status", reason: "BadRequest" });
  });

  it.each([
    // The Host header is part of the URL as text: for a URL parser the first of these is nodes/proxy at the
    // host `x`.
    ["/x", "http:///x/api/v1/nodes/worker/proxy/run/demo/pod/c"],
    [
      "localhost/api/v1/nodes/worker/proxy/run/demo/pod/c?",
      "http://localhost/api/v1/nodes/worker/proxy/run/demo/pod/c?/",
    ],
    ["localhost\\x", "http://localhost\\x/api/v1/pods"],
    ["a@localhost", "http://a@localhost/api/v1/pods"],
    ["a#b", "http://a#b/api/v1/pods"],
    ["a b", "http://a b/api/v1/pods"],
    ["[", "http://[/api/v1/pods"],
    ["a, b", "http://a, b/api/v1/pods"],
  ])("a request whose Host header is not a host: %j", async (host, url) => {
    const response = await overTheWire(url, { method: "POST", headers: { Host: host } });
    await expectStatus(response, "BadRequest", "the Host header is not the name of a host");
  });

  it.each(["PUT", "DELETE", "PATCH", "POST"])("an exec over WebSocket with the method %s", async (method) => {
    const response = await directlyAs(someone(), `${PODS}/silent/exec?command=sh`, { method, headers: UPGRADE });
    await expectStatus(response, "BadRequest", "exec over WebSocket requires the method GET");
  });

  it("requests to the kubelet", async () => {
    const path = "/api/v1/nodes/worker/proxy/exec/demo/pod/c?command=sh";
    await expectStatus(
      await upgrade(admin, path),
      "Forbidden",
      /^connection upgrades for nodes\/proxy are not relayed/,
    );
    await expectStatus(await as(admin, path), "Forbidden", /^nodes\/proxy is not available here/);
  });

  it("a percent-encoded subresource of a session is still a session, and recorded", async () => {
    const client = await Client.open(upgrade(someone(), `${PODS}/exit-3/%65xec?command=sh&stdout=true`));
    expect(await ended(client.sessionId)).toMatchObject({ kind: "exec", pod: "exit-3", exit_code: 3 });
  });
});

describe("the cluster's answer arrives unchanged", () => {
  async function answered(status: number, body: string, headers: Record<string, string>): Promise<Response> {
    const upstream = await Puppet.make();
    const path = `/api/v1/namespaces/demo/configmaps/${upstream.name}`;
    const response = as(someone(), path, { redirect: "manual" });
    await upstream.request();
    upstream.refuse(status, body, headers);
    return response;
  }

  it.each([200, 201, 202, 400, 401, 404, 409, 410, 422, 429, 500, 503])("with the status %d", async (status) => {
    const body = JSON.stringify({ kind: "Status", message: "the cluster's own message", code: status });
    const headers = {
      "Content-Type": "application/json",
      "Retry-After": "7",
      Warning: '299 - "deprecated"',
      "Audit-Id": "a1",
    };
    const response = await answered(status, body, headers);
    expect(response.status).toBe(status);
    expect(await response.text()).toBe(body);
    for (const [name, value] of Object.entries(headers)) expect(response.headers.get(name)).toBe(value);
  });

  it("with bytes that are not text", async () => {
    const upstream = await Puppet.make();
    const answer = as(someone(), `/api/v1/namespaces/demo/configmaps/${upstream.name}`);
    await upstream.request();
    upstream.accept(200, { "Content-Type": "application/vnd.kubernetes.protobuf" });
    const response = await answer;
    upstream.send(Uint8Array.of(0x6b, 0x38, 0x73, 0x00, 0xff, 0xfe));
    upstream.close();
    expect(response.headers.get("content-type")).toBe("application/vnd.kubernetes.protobuf");
    expect([...(await response.bytes())]).toEqual([0x6b, 0x38, 0x73, 0x00, 0xff, 0xfe]);
  });

  it.each([301, 302, 307, 308])("with a redirect (%d), which only the client follows", async (status) => {
    const response = await answered(status, "", { Location: "http://localhost/version" });
    expect(response.status).toBe(status);
    // The host of upstream URLs is nobody's but ours.
    expect(response.headers.get("location")).toBe("/version");
  });

  it("or is a message if it does not come, and the log has no more than the error's name", async () => {
    const log = vi.spyOn(console, "error").mockImplementation(() => {});
    const cluster = { fetch: () => Promise.reject(new TypeError("tunnel 10.0.0.7 refused")) } as unknown as Fetcher;
    const response = await directlyAs(alice, PODS, {}, { bindings: { KUBE_API: cluster } });
    const message = "the cluster cannot be reached: try again; if this persists, contact your administrator";
    await expectStatus(response, "ServiceUnavailable", message);
    expect(log.mock.calls.map(([line]) => JSON.parse(line))).toEqual([
      { event: "cluster_request_failed", level: "error", method: "GET", error: "TypeError" },
    ]);
    log.mockRestore();
  });
});

describe("streams are not buffered", () => {
  const objectOf = (upstream: Puppet) => `/api/v1/namespaces/demo/pods/${upstream.name}/log?follow=true`;

  it("the first lines of a log arrive before the rest has been sent", async () => {
    const upstream = await Puppet.make();
    const answer = as(someone(), objectOf(upstream));
    await upstream.request();
    upstream.accept();
    const reader = (await answer).body?.getReader();
    upstream.send(new TextEncoder().encode("first line\n"));
    expect(new TextDecoder().decode((await reader?.read())?.value)).toBe("first line\n");
    upstream.send(new TextEncoder().encode("second line\n"));
    expect(new TextDecoder().decode((await reader?.read())?.value)).toBe("second line\n");
    upstream.close();
    expect((await reader?.read())?.done).toBe(true);
  });

  it("the status arrives before the first byte of a watch", async () => {
    const upstream = await Puppet.make();
    const answer = as(someone(), `/api/v1/namespaces/demo/configmaps/${upstream.name}?watch=true`);
    await upstream.request();
    upstream.accept(200);
    expect((await answer).status).toBe(200);
  });

  it("the first bytes of an upload arrive before the rest has been sent", async () => {
    const upstream = await Puppet.make();
    const { readable, writable } = new IdentityTransformStream();
    const writer = writable.getWriter();
    const answer = as(someone(), `/api/v1/namespaces/demo/configmaps/${upstream.name}`, {
      method: "PUT",
      body: readable,
    });
    await writer.write(Uint8Array.of(1, 2, 3));
    await eventually(() => expect(upstream.received).toEqual([Uint8Array.of(1, 2, 3)]));
    await writer.write(Uint8Array.of(4));
    await writer.close();
    await upstream.bodyEnded();
    expect(upstream.received).toEqual([Uint8Array.of(1, 2, 3), Uint8Array.of(4)]);
    upstream.accept(201);
    expect((await answer).status).toBe(201);
  });

  it("a large upload arrives complete", async () => {
    const upstream = await Puppet.make();
    const megabytes = 20;
    const piece = crypto.getRandomValues(new Uint8Array(65_536));
    let left = (megabytes * 1024 * 1024) / piece.length;
    const body = new ReadableStream({
      pull(controller) {
        if (left-- > 0) controller.enqueue(piece);
        else controller.close();
      },
    });
    const answer = as(someone(), `/api/v1/namespaces/demo/configmaps/${upstream.name}`, { method: "POST", body });
    await upstream.bodyEnded();
    const bytes = upstream.received.reduce((sum, chunk) => sum + chunk.length, 0);
    expect(bytes).toBe(megabytes * 1024 * 1024);
    upstream.accept(201);
    expect((await answer).status).toBe(201);
  });

  it("a client that goes away during a stream ends the request to the cluster", async () => {
    const upstream = await Puppet.make();
    const answer = as(someone(), objectOf(upstream));
    await upstream.request();
    upstream.accept();
    const reader = (await answer).body?.getReader();
    upstream.send(Uint8Array.of(1));
    await reader?.read();
    await reader?.cancel();
    await upstream.cancelled();
  });

  it("a client that goes away before the answer ends it too", async () => {
    const upstream = await Puppet.make();
    const leaving = new AbortController();
    const request = await requestAs(someone(), objectOf(upstream));
    const answer = env.EDGE.fetch(request, { signal: leaving.signal });
    await upstream.request();
    leaving.abort();
    await expect(answer).rejects.toThrow();
    await upstream.cancelled();
  });
});

/**
 * Not with `new Request()`, which normalizes the URL. A request from the network has it as the client wrote
 * it.
 */
async function overTheWire(url: string, init: RequestInit): Promise<Response> {
  const { method, headers, signal } = await requestAs(someone(), PODS, init);
  const raw = { url, method, headers, signal, body: null };
  const { default: worker } = await import("../../worker/index.ts");
  return worker.fetch(raw as unknown as Parameters<typeof worker.fetch>[0], env, createExecutionContext());
}
