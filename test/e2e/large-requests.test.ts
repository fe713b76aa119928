/**
 * Requests as large as clients send them, and answers that come before their end: kubectl, and clients that
 * read nothing until they have sent everything, through the local stack.
 */
import { connect } from "node:net";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { sessionWhere } from "./support/audit-log.ts";
import { startTestStack, type TestStack } from "./support/people.ts";
import { sendLarge } from "./support/send-large.ts";

const CONFIGMAPS = "/api/v1/namespaces/demo/configmaps";
const TOO_LARGE = "Request entity too large: limit is 3145728";
const MIB = 1024 * 1024;

let people: TestStack;
beforeAll(async () => {
  people = await startTestStack();
});
afterAll(async () => {
  await people?.stop();
});

/** Sends a body, by default a new ConfigMap. */
const post = (
  url: string,
  headers: Record<string, string>,
  body: string,
  { line = `POST ${CONFIGMAPS}`, readsMeanwhile = false } = {},
) => sendLarge(url, line, headers, body, readsMeanwhile);

const configMap = (name: string, bytes: number, metadata: object = {}) =>
  JSON.stringify({
    ...{ apiVersion: "v1", kind: "ConfigMap", metadata: { name, namespace: "demo", ...metadata } },
    data: { text: "x".repeat(bytes) },
  });

const JSON_TYPE = { "Content-Type": "application/json" };

describe("an object", () => {
  it("of 12 MB is refused as a real API server refuses it, and kubectl says why", async () => {
    const body = configMap("large", 12_000_000);
    const { code, stderr } = await people.alice.runWithInput(body, "create", "-f", "-");
    expect([code, stderr]).toEqual([1, expect.stringContaining(TOO_LARGE)]);
  });

  it("of 12 MB gets its refusal though its client reads nothing before all is sent, with and without its length", async () => {
    const body = configMap("large", 12_000_000);
    for (const framing of [{}, { "Transfer-Encoding": "chunked" }]) {
      const { status, json } = await post(people.stack.personas.alice.url, { ...JSON_TYPE, ...framing }, body);
      expect([status, json]).toEqual([
        413,
        expect.objectContaining({ kind: "Status", reason: "RequestEntityTooLarge", message: TOO_LARGE, code: 413 }),
      ]);
    }
  });

  it("of 12 MB is answered by the embedded cluster itself as by Go's server, which then ends the connection", async () => {
    const body = configMap("large", 12_000_000);
    const send = (headers: Record<string, string>) =>
      post(people.stack.upstreamUrl, { ...JSON_TYPE, "Impersonate-User": "x", ...headers }, body, {
        readsMeanwhile: true,
      });
    // Not authorized, and nothing of the body was read.
    expect(await send({})).toMatchObject({ status: 403, connection: "close" });
    expect(await send({ "Impersonate-Group": "developers" })).toMatchObject({ status: 413, connection: "close" });
  });

  it("of somebody who may not create it gets that refusal, which came before the object", async () => {
    const { status, json } = await post(people.stack.personas.bob.url, JSON_TYPE, configMap("large", 12_000_000));
    expect([status, json]).toEqual([403, expect.objectContaining({ reason: "Forbidden" })]);
  });

  it.each<[string, string, Record<string, string>, number, object]>([
    ["a page of another site", `POST ${CONFIGMAPS}`, { Origin: "https://evil.example" }, 403, { reason: "Forbidden" }],
    ["a body that is not forwarded", `GET ${CONFIGMAPS}`, {}, 400, { reason: "BadRequest" }],
    ["--as a stranger", `POST ${CONFIGMAPS}`, { "Impersonate-User": "x" }, 403, { reason: "Forbidden" }],
    ["Sallyport's own API", "POST /-/reason", {}, 400, { reason: "BadRequest" }],
  ])("of 12 MB gets the refusal of Sallyport itself: %s", async (_, line, headers, code, refusal) => {
    const { url } = people.stack.personas.alice;
    const { status, json } = await post(url, { ...JSON_TYPE, ...headers }, configMap("large", 12_000_000), { line });
    expect([status, json]).toEqual([code, expect.objectContaining(refusal)]);
  });

  it("of 12 MB is not sent for a refusal by a client that asks first", async () => {
    const { hostname, port } = new URL(people.stack.personas.alice.url);
    const lines = [`POST ${CONFIGMAPS} HTTP/1.1`, `Host: ${hostname}`, "Content-Length: 12000000", "Connection: close"];
    const ask = (...more: readonly string[]) =>
      new Promise<string>((resolve) => {
        const socket = connect(Number(port), hostname);
        socket.setEncoding("utf8").once("data", (first: string) => {
          socket.destroy();
          resolve(first);
        });
        socket.write(`${[...lines, "Expect: 100-continue", ...more].join("\r\n")}\r\n\r\n`);
      });
    expect(await ask("Origin: https://evil.example")).toMatch(/^HTTP\/1\.1 403 /);
    expect(await ask("Content-Type: application/json")).toMatch(/^HTTP\/1\.1 100 /);
  });

  it("may be a ConfigMap of a MiB and no larger, with annotations of 256 KiB", async () => {
    const { alice } = people;
    expect(await alice.runWithInput(configMap("full", MIB), "create", "-f", "-")).toMatchObject({ code: 0 });
    const over = await alice.runWithInput(configMap("over", MIB + 1), "create", "-f", "-");
    expect(over.stderr).toContain('ConfigMap "over" is invalid: []: Too long: must have at most 1048576 bytes');
    // kubectl apply keeps what it applied in an annotation.
    const applied = await alice.runWithInput(configMap("applied", 300_000), "apply", "-f", "-");
    expect(applied.stderr).toContain("metadata.annotations: Too long: must have at most 262144 bytes");
    expect((await alice.runWithInput(configMap("applied", 200_000), "apply", "-f", "-")).code).toBe(0);
  });
});

describe("a command", () => {
  it("of 60,000 characters runs, and the audit log has all of it", async () => {
    const argument = "y".repeat(60_000);
    const run = await people.alice.run("exec", "shell", "--", "sh", "-c", "printf %s $1 | wc -c", "sh", argument);
    expect(run.stderr).toBe("");
    expect([run.code, run.stdout.trim()]).toEqual([0, "60000"]);
    const row = await sessionWhere(people.stack.d1Path, "kind = 'exec' AND length(command) > 60000 AND ended_at > 0");
    expect(JSON.parse(String(row["command"])).at(-1)).toBe(argument);
  });
});

describe("a request as some clients send it", () => {
  /** Sends bytes to alice's address, and reads until the server ends the connection. */
  const exchange = (lines: readonly string[], body = "") =>
    new Promise<string>((resolve, reject) => {
      const { hostname, port } = new URL(people.stack.personas.alice.url);
      let text = "";
      const socket = connect(Number(port), hostname);
      socket.setEncoding("utf8").on("data", (chunk: string) => {
        text += chunk;
      });
      socket.once("error", reject).once("close", () => resolve(text));
      socket.write(`${[...lines, `Host: ${hostname}`].join("\r\n")}\r\n\r\n${body}`);
      // The last request on this connection: the server ends it after its answer.
      socket.end();
    });
  const list = `GET ${CONFIGMAPS} HTTP/1.1`;

  it.each<[string, string[], string]>([
    [
      "Java's HttpClient, which offers HTTP/2",
      ["Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c", "HTTP2-Settings: AAMAAABkAAQAAP__"],
      "",
    ],
    ["a WebSocket that Connection does not name", ["Upgrade: websocket"], ""],
    ["an empty body in chunks", ["Transfer-Encoding: chunked"], "0\r\n\r\n"],
  ])("is served: %s", async (_, headers, body) => {
    const answer = await exchange([list, ...headers], body);
    expect(answer).toMatch(/^HTTP\/1\.1 200 /);
    expect(answer).toContain('"ConfigMapList"');
  });

  it("is not served with a body in chunks that is not empty", async () => {
    const answer = await exchange([list, "Transfer-Encoding: chunked"], "3\r\nabc\r\n0\r\n\r\n");
    expect(answer).toMatch(/^HTTP\/1\.1 400 /);
  });
});
