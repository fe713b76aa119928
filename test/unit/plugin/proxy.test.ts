/** The proxy: whom it serves, and which headers pass it. */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import { type AddressInfo, connect, createServer as createTcpServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, it, onTestFinished } from "vitest";
import { admitRequest, refusalStatus } from "../../../cli/proxy/admit.ts";
import { serviceToken } from "../../../cli/proxy/credentials.ts";
import { isSessionProtocol, requestHeaders, responseHeaders, upgradeHead } from "../../../cli/proxy/headers.ts";
import { startProxy } from "../../../cli/proxy/server.ts";
import { isProxyKubeconfig, proxyKubeconfig } from "../../../cli/verbs/proxy.ts";

const address = { port: 8001, secretPath: "/s3cret-path" };
const host = "127.0.0.1:8001";

const admit = (target: string, headers: Readonly<Record<string, string>> = { host }) =>
  admitRequest({ target, headers }, address);

describe("the proxy", () => {
  it.each([
    ["/s3cret-path/api/v1/pods?watch=true", "/api/v1/pods?watch=true"],
    ["/s3cret-path/api/%2e%2e/x//y", "/api/%2e%2e/x//y"],
    ["/s3cret-path", "/"],
    ["/s3cret-path/", "/"],
    ["/s3cret-path?x", "/?x"],
  ])("serves %s, as the client has spelt it", (target, path) => {
    expect(admit(target)).toEqual({ ok: true, value: path });
    expect(admit(target, { host: "localhost:8001" })).toEqual({ ok: true, value: path });
  });

  it("serves a client that leaves port 80 out, as browsers and curl do, and only there", () => {
    const at80 = { ...address, port: 80 };
    const target = "/s3cret-path/api";
    for (const host of ["127.0.0.1", "127.0.0.1:80", "localhost"]) {
      expect(admitRequest({ target, headers: { host } }, at80)).toEqual({ ok: true, value: "/api" });
    }
    const own = { host: "127.0.0.1", origin: "http://127.0.0.1", "sec-fetch-site": "same-origin" };
    expect(admitRequest({ target, headers: own }, at80).ok).toBe(true);
    expect(admitRequest({ target, headers: { host: "evil.example.com" } }, at80).ok).toBe(false);
    expect(admitRequest({ target, headers: { ...own, origin: "http://127.0.0.1:3000" } }, at80).ok).toBe(false);
    expect(admit(target, { host: "127.0.0.1" }).ok).toBe(false);
  });

  it.each([
    ["a path without the secret", "/api/v1/pods", { host }, 404],
    ["another secret", "/s3cret-pat0/api", { host }, 404],
    ["a secret with a tail", "/s3cret-paths/api", { host }, 404],
    ["a name that somebody points to this machine", "/s3cret-path/api", { host: "evil.example.com:8001" }, 403],
    ["another port", "/s3cret-path/api", { host: "127.0.0.1:8002" }, 403],
    ["no Host", "/s3cret-path/api", {}, 403],
    ["a web page", "/s3cret-path/api", { host, origin: "https://evil.example.com" }, 403],
    ["a sandboxed page", "/s3cret-path/api", { host, origin: "null" }, 403],
    ["a page on another port", "/s3cret-path/api", { host, origin: "http://127.0.0.1:3000" }, 403],
    ["an image of a web page", "/s3cret-path/api", { host, "sec-fetch-site": "cross-site" }, 403],
    ["a page of the same site", "/s3cret-path/api", { host, "sec-fetch-site": "same-site" }, 403],
    ["an absolute target", "http://evil.example.com/s3cret-path/api", { host }, 400],
    ["*", "*", { host }, 400],
  ])("refuses %s", (_, target, headers, status) => {
    expect(admit(target, headers)).toMatchObject({ ok: false, error: { status } });
  });

  it("refuses with a Status, which kubectl shows", () => {
    expect(JSON.parse(refusalStatus({ status: 403, message: "no" }))).toMatchObject({
      kind: "Status",
      reason: "Forbidden",
      code: 403,
      message: "kubectl sallyport proxy: no",
    });
  });
});

describe("a request's headers", () => {
  const given = [
    ["Host", host],
    ["Authorization", "Bearer of-the-client"],
    ["Cookie", "CF_Authorization=x"],
    ["CF-Access-Client-Id", "forged"],
    ["Cf-Access-Jwt-Assertion", "forged"],
    ["Connection", "keep-alive, X-Hop"],
    ["X-Hop", "1"],
    ["Accept", "application/json"],
    ["Impersonate-Group", "a"],
    ["Impersonate-Group", "b"],
  ].flat();

  it("pass without what says who asks, and with the proxy's credential", () => {
    expect(requestHeaders(given, "k8s.example.com", { authorization: "Bearer T" }, { isChunked: false })).toEqual([
      "host",
      "k8s.example.com",
      "Accept",
      "application/json",
      "Impersonate-Group",
      "a",
      "Impersonate-Group",
      "b",
      "authorization",
      "Bearer T",
    ]);
  });

  it("keep an upgrade, and a body whose length is not known", () => {
    const upgrade = requestHeaders(["Upgrade", "SPDY/3.1"], "h", {}, { upgrade: "SPDY/3.1", isChunked: false });
    expect(upgrade).toEqual(["host", "h", "connection", "Upgrade", "upgrade", "SPDY/3.1"]);
    expect(requestHeaders([], "h", {}, { isChunked: true })).toEqual(["host", "h", "transfer-encoding", "chunked"]);
  });

  it("keep a body's length, also where the client says that it is of its connection only", () => {
    const raw = ["Connection", "X-Hop, Content-Length", "Content-Length", "4", "X-Hop", "1"];
    expect(requestHeaders(raw, "h", {}, { isChunked: false })).toEqual(["host", "h", "Content-Length", "4"]);
  });

  it("ask for a session by WebSocket or SPDY only: other protocols are not the proxy's to change to", () => {
    expect(["websocket", "WebSocket", "SPDY/3.1"].every(isSessionProtocol)).toBe(true);
    expect(["h2c", "TLS/1.0", "", undefined].some(isSessionProtocol)).toBe(false);
  });
});

describe("an answer's headers", () => {
  const given = ["Set-Cookie", "CF_Authorization=x", "Connection", "close", "Content-Type", "text/plain"];

  it("pass without Access's cookies and what is of one connection only", () => {
    expect(responseHeaders(given)).toEqual(["Content-Type", "text/plain"]);
  });

  it("of an upgrade are all there, but for cookies", () => {
    expect(upgradeHead(101, "Switching Protocols", [...given, "Sec-WebSocket-Protocol", "v5.channel.k8s.io"])).toBe(
      "HTTP/1.1 101 Switching Protocols\r\nConnection: close\r\nContent-Type: text/plain\r\n" +
        "Sec-WebSocket-Protocol: v5.channel.k8s.io\r\n\r\n",
    );
  });
});

describe("a service token", () => {
  const token = { CF_ACCESS_CLIENT_ID: "id.access", CF_ACCESS_CLIENT_SECRET: "secret" };

  it("of the environment becomes Access's two headers", async () => {
    expect(await serviceToken(token, undefined)?.headers()).toEqual({
      "cf-access-client-id": "id.access",
      "cf-access-client-secret": "secret",
    });
    expect(serviceToken({}, undefined)).toBeUndefined();
  });

  it("that is half there, or no header value, is refused without showing it", () => {
    expect(() => serviceToken({ CF_ACCESS_CLIENT_SECRET: "secret" }, undefined)).toThrow("needs both");
    expect(() => serviceToken({ ...token, CF_ACCESS_CLIENT_SECRET: "se\ncret" }, undefined)).toThrow(
      /^(?!.*cret\b).*$/s,
    );
  });

  it("of a file becomes the same headers, before what the environment has", async () => {
    const folder = mkdtempSync(join(tmpdir(), "sallyport-proxy-"));
    onTestFinished(() => rmSync(folder, { recursive: true }));
    const file = join(folder, "token.json");
    writeFileSync(file, JSON.stringify({ clientId: "file.access", clientSecret: "of-the-file" }));
    expect(await serviceToken(token, file)?.headers()).toEqual({
      "cf-access-client-id": "file.access",
      "cf-access-client-secret": "of-the-file",
    });
  });

  it("of a file that is not there, or not as described, is refused", () => {
    expect(() => serviceToken({}, "/nowhere/token.json")).toThrow("there is no file");
    expect(() => serviceToken({}, "package.json")).toThrow("must be JSON like");
  });
});

describe("a client that resets while the deployment thinks about its session", () => {
  it("ends its own connection, and not the proxy", async () => {
    const upstream = createServer((_, response) => response.end("here"));
    const asked = Promise.withResolvers<void>();
    const ended = Promise.withResolvers<unknown>();
    upstream.on("upgrade", (_, socket) => {
      socket.on("error", ended.resolve).on("end", ended.resolve).resume();
      onTestFinished(() => void socket.destroy());
      asked.resolve();
    });
    await new Promise<void>((listening) => upstream.listen(0, "127.0.0.1", listening));
    onTestFinished(() => void upstream.close());
    const failures: string[] = [];
    const proxy = await startProxy({
      origin: `http://127.0.0.1:${(upstream.address() as AddressInfo).port}`,
      certificateAuthority: undefined,
      credentials: { headers: async () => ({}), reject: () => false },
      port: 0,
      secretPath: "/s3cret",
      onFailure: (message) => failures.push(message),
    });
    onTestFinished(proxy.close);
    const { port, host: own } = new URL(proxy.address);
    const client = connect(Number(port), "127.0.0.1");
    client.write(`GET /s3cret/exec HTTP/1.1\r\nHost: ${own}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n`);
    await asked.promise;
    // An error without a listener would end the process, and with it this test.
    client.resetAndDestroy();
    await ended.promise;
    expect(await (await fetch(`${proxy.address}/version`)).text()).toBe("here");
    expect(failures).toEqual([]);
  });
});

describe("a deployment whose answers are not as HTTP has them", () => {
  async function proxyTo(head: string): Promise<{ readonly address: string; readonly failures: string[] }> {
    const upstream = createTcpServer((socket) => {
      socket.on("error", () => {});
      socket.once("data", () => socket.end(`${head}\r\ncontent-length: 2\r\n\r\nhi`));
    });
    await new Promise<void>((listening) => upstream.listen(0, "127.0.0.1", listening));
    onTestFinished(() => void upstream.close());
    const failures: string[] = [];
    const proxy = await startProxy({
      origin: `http://127.0.0.1:${(upstream.address() as AddressInfo).port}`,
      certificateAuthority: undefined,
      credentials: { headers: async () => ({}), reject: () => false },
      port: 0,
      secretPath: "/s3cret",
      onFailure: (message) => failures.push(message),
    });
    onTestFinished(proxy.close);
    return { address: proxy.address, failures };
  }

  it.each(["000", "099", "101"])("does not end the proxy with the status %s", async (status) => {
    const { address, failures } = await proxyTo(`HTTP/1.1 ${status} X`);
    for (const _ of [1, 2]) {
      const answer = await fetch(`${address}/version`);
      expect([answer.status, (await answer.json()).message]).toEqual([503, expect.stringContaining("the status")]);
    }
    expect(failures).toHaveLength(2);
  });

  it("does not end it with a reason phrase that Node.js does not write", async () => {
    const { address, failures } = await proxyTo("HTTP/1.1 200 a\u0001b");
    const answer = await fetch(`${address}/version`);
    expect([answer.status, answer.statusText, await answer.text()]).toEqual([200, "a b", "hi"]);
    expect(failures).toEqual([]);
  });

  it("passes a status on that nobody has defined", async () => {
    const { address } = await proxyTo("HTTP/1.1 299 Odd");
    expect((await fetch(`${address}/version`)).status).toBe(299);
  });
});

describe("the file for the proxy's kubeconfig", () => {
  it.each([
    ["what a proxy has left", proxyKubeconfig("http://127.0.0.1:8001/s3cret-path_"), true],
    ["an empty file, as of mktemp", "", true],
    ["somebody's own kubeconfig", "apiVersion: v1\nkind: Config\nclusters: []\n", false],
    ["what a proxy has left, with something added", `${proxyKubeconfig("http://127.0.0.1:1/s")}users: []\n`, false],
    ["that of another server", proxyKubeconfig("https://k8s.example.com"), false],
  ])("may be %s: %#", (_, text, isReplaceable) => {
    expect(isProxyKubeconfig(text)).toBe(isReplaceable);
  });
});
