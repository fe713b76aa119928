/** Requests of the plugin: bounded in time and size, never redirected, and never a credential without TLS. */
import { execFile } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer, type RequestListener } from "node:http";
import { createServer as createTlsServer } from "node:https";
import { type AddressInfo, createServer as createTcpServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { describe, expect, it, onTestFinished } from "vitest";
import { makeFetch } from "../../../cli/net/https.ts";
import { loadTlsIdentity } from "../../../dev/stack/tls-identity.ts";

/** @returns the address of a server on this machine */
async function serve(listener: RequestListener): Promise<string> {
  const server = createServer(listener);
  await new Promise<void>((listening) => server.listen(0, "127.0.0.1", listening));
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

const get = { method: "GET", headers: {} };

describe("a request", () => {
  it("gets its answer with every header, and follows no redirect", async () => {
    const address = await serve((_, response) => {
      response
        .writeHead(
          302,
          [
            ["location", "/elsewhere"],
            ["x-many", "1"],
            ["x-many", "2"],
          ].flat(),
        )
        .end("body");
    });
    const answer = await makeFetch(undefined)(address, get);
    expect([answer.status, answer.headers.get("x-many"), await answer.text()]).toEqual([302, "1, 2", "body"]);
  });

  it("has the length of its body, also for DELETE", async () => {
    const address = await serve((request, response) => {
      request.resume().on("end", () => response.end(request.headers["content-length"]));
    });
    const answer = await makeFetch(undefined)(address, { method: "DELETE", headers: {}, body: "ü" });
    expect(await answer.text()).toBe("2");
  });

  it("ends where no answer comes, or half of one", async () => {
    const silent = await serve(() => {});
    await expect(makeFetch(undefined, 50)(silent, get)).rejects.toThrow("did not answer within 0.05 s");
    const half = await serve((_, response) => {
      response.writeHead(200, { "content-length": 10 }).write("half");
    });
    await expect(makeFetch(undefined, 50)(half, get)).rejects.toThrow("did not answer within");
  });

  it("ends where the answer is longer than anything that it asks for", async () => {
    const address = await serve((_, response) => {
      response.on("error", () => {});
      response.end(Buffer.alloc(9 * 1024 * 1024));
    });
    await expect(makeFetch(undefined)(address, get)).rejects.toThrow("too large");
  });

  it.each(["000", "099", "101", "600", "999"])("ends where the status is %s, which none is", async (status) => {
    const server = createTcpServer((socket) => {
      socket.on("error", () => {});
      socket.once("data", () => socket.end(`HTTP/1.1 ${status} X\r\ncontent-length: 2\r\n\r\nhi`));
    });
    await new Promise<void>((listening) => server.listen(0, "127.0.0.1", listening));
    onTestFinished(() => void server.close());
    const address = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    // Thrown in an event it would end the process, with a stack instead of a message.
    await expect(makeFetch(undefined)(address, get)).rejects.toMatchObject({ code: "unreachable" });
  });

  it.each([
    ["http://127.0.0.1:1", { authorization: "Bearer x" }],
    ["http://127.0.0.1:1", { "CF-Access-Client-Secret": "x" }],
    ["http://k8s.example.com", {}],
    ["http://127.0.0.1.example.com", {}],
  ])("without TLS is not sent to %s with %j", async (address, headers) => {
    await expect(async () => makeFetch(undefined)(address, { method: "GET", headers })).rejects.toThrow(
      "not an https address",
    );
  });
});

describe("a server's certificate", () => {
  /** Two authorities, a server of each, and a program that asks both. */
  async function twoAuthorities() {
    const folder = mkdtempSync(join(tmpdir(), "plugin-https-"));
    onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
    const identities = await Promise.all(
      ["cluster", "company"].map((name) => loadTlsIdentity(join(folder, `${name}.json`), new Date())),
    );
    const addresses = await Promise.all(
      identities.map(async ({ leaf: { cert, key } }) => {
        const server = createTlsServer({ cert, key }, (_, response) => response.end("ok"));
        await new Promise<void>((listening) => server.listen(0, "127.0.0.1", listening));
        onTestFinished(() => {
          server.closeAllConnections();
          server.close();
        });
        return `https://127.0.0.1:${(server.address() as AddressInfo).port}`;
      }),
    );
    const [cluster = "", company = ""] = identities.map(({ ca }) => ca.cert);
    const extra = join(folder, "company.pem");
    writeFileSync(extra, company);
    const module = join(import.meta.dirname, "../../../cli/net/https.ts");
    const script = `
      const { makeFetch } = await import(${JSON.stringify(module)});
      const fetch = makeFetch(process.argv[1] || undefined);
      const answers = process.argv.slice(2).map((url) =>
        fetch(url, { method: "GET", headers: {} }).then((answer) => answer.text(), (error) => error.code));
      console.log(JSON.stringify(await Promise.all(answers)));
      process.exit();`;
    return { cluster, extra, addresses, script };
  }

  it("is verified by the cluster's own authority, beside those of NODE_EXTRA_CA_CERTS", async () => {
    const { cluster, extra, addresses, script } = await twoAuthorities();
    const ask = async (authority: string, env: Readonly<Record<string, string>>) => {
      const args = ["--input-type=module", "-e", script, "--", authority, ...addresses];
      // Node.js reads the variable when it starts.
      const { stdout } = await promisify(execFile)(process.execPath, args, { env: { ...process.env, ...env } });
      return JSON.parse(stdout);
    };
    expect(await ask(cluster, { NODE_EXTRA_CA_CERTS: extra })).toEqual(["ok", "ok"]);
    expect(await ask(cluster, {})).toEqual(["ok", "untrusted_certificate"]);
    expect(await ask("", { NODE_EXTRA_CA_CERTS: extra })).toEqual(["untrusted_certificate", "ok"]);
  });
});
