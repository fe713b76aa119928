/** Requests of the plugin: bounded in time and size, never redirected, and never a credential without TLS. */
import { createServer, type RequestListener } from "node:http";
import type { AddressInfo } from "node:net";
import { describe, expect, it, onTestFinished } from "vitest";
import { makeFetch } from "../../../cli/net/https.ts";

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
