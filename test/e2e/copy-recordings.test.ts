/**
 * The template's copy of recordings to another account, with the real rclone: it runs with credentials that
 * may only put objects, and copies what is there.
 */
import { execFile, spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { createServer, type IncomingMessage, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { parse } from "yaml";

const WORKFLOW = "terraform/template/.github/workflows/copy-recordings.yml";
const OBJECTS: Readonly<Record<string, string>> = {
  "recordings/2026/11/26/a.cast": "{}\n",
  "seals/0000000001.json": "{}\n",
  "recordings/2026/11/26/large.cast": "x".repeat(6 * 1024 * 1024),
};
/** From before the first run. */
const OLD: Readonly<Record<string, string>> = { "recordings/2024/01/01/a.cast": "{}\n" };
const ALL = { ...OBJECTS, ...OLD };
const modifiedAt = (key: string) => (key in OLD ? new Date("2024-01-01T00:00:00Z") : new Date());

/** A bucket that lists and returns all objects, as R2 does. */
const source = createServer((request, response) => {
  const url = new URL(request.url ?? "", "http://source");
  const key = decodeURIComponent(url.pathname.slice("/recordings-bucket/".length));
  if (url.searchParams.has("list-type") || url.pathname.replace(/\/$/, "") === "/recordings-bucket") {
    const contents = Object.entries(ALL).map(
      ([name, text]) =>
        `<Contents><Key>${name}</Key><Size>${text.length}</Size><ETag>"e"</ETag><LastModified>${modifiedAt(name).toISOString()}</LastModified></Contents>`,
    );
    response.setHeader("content-type", "application/xml");
    response.end(`<ListBucketResult><IsTruncated>false</IsTruncated>${contents.join("")}</ListBucketResult>`);
    return;
  }
  const text = ALL[key];
  response.statusCode = text === undefined ? 404 : 200;
  response.setHeader("last-modified", modifiedAt(key).toUTCString());
  response.setHeader("content-length", text?.length ?? 0);
  response.end(request.method === "HEAD" ? undefined : text);
});

const stored = new Map<string, string>();
const refused: string[] = [];

async function bodyOf(request: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of request as AsyncIterable<Buffer>) chunks.push(chunk);
  return Buffer.concat(chunks).toString();
}

/** A bucket whose credentials have s3:PutObject and nothing else: no listing, no reading, no deleting. */
const target = createServer((request, response) => {
  void bodyOf(request).then((body) => {
    const { host, pathname, search } = new URL(request.url ?? "", "http://target");
    if (request.method === "PUT" && host === "copy-bucket.s3.invalid" && ["", "?x-id=PutObject"].includes(search)) {
      stored.set(decodeURIComponent(pathname.slice(1)), body);
      response.setHeader("etag", '"e"');
    } else {
      refused.push(`${request.method} ${request.url}`);
      response.statusCode = 403;
    }
    response.end();
  });
});

const urlOf = (server: Server) => `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
const isMissing = spawnSync("rclone", ["version"]).error !== undefined;
if (isMissing) console.error("SKIP copying recordings: there is no rclone on the path");

describe.skipIf(isMissing)("the template's copy of recordings", () => {
  beforeAll(async () => {
    for (const server of [source, target]) await new Promise<void>((done) => void server.listen(0, "127.0.0.1", done));
  });
  afterAll(() => {
    for (const server of [source, target]) server.close();
  });

  it.each([
    ["what is new", "50h", OBJECTS],
    ["everything, as by hand", "off", ALL],
  ])("of %s needs no more than to put objects, and has no secret in an argument", async (_what, maxAge, expected) => {
    stored.clear();
    const workflow = parse(readFileSync(WORKFLOW, "utf8")) as {
      jobs: { copy: { steps: { run?: string; env?: Record<string, string> }[] } };
    };
    const copying = workflow.jobs.copy.steps.find(({ run }) => run?.includes("rclone copy"));
    const { run: script = "", env: declared = {} } = copying ?? {};
    expect(script).not.toMatch(/SECRET|KEY/);
    expect(declared["MAX_AGE"]).toContain("'50h'");
    const env = {
      ...Object.fromEntries(Object.entries(declared).filter(([, value]) => !value.includes("${{"))),
      PATH: process.env["PATH"],
      HOME: "/nonexistent",
      ...{ RCLONE_CONFIG_FROM_ENDPOINT: urlOf(source) },
      ...{ RCLONE_CONFIG_FROM_ACCESS_KEY_ID: "reader", RCLONE_CONFIG_FROM_SECRET_ACCESS_KEY: "s" },
      ...{ RCLONE_CONFIG_TO_ACCESS_KEY_ID: "writer", RCLONE_CONFIG_TO_SECRET_ACCESS_KEY: "s" },
      MAX_AGE: maxAge,
      ...{ FROM_BUCKET: "recordings-bucket", TO_BUCKET: "copy-bucket", RCLONE_CONFIG_TO_REGION: "eu-west-1" },
      // A bucket is a host name at AWS, which a proxy stands for. Loopback itself goes past it.
      ...{ RCLONE_CONFIG_TO_ENDPOINT: "http://s3.invalid", HTTP_PROXY: urlOf(target) },
    };
    const { code, output } = await new Promise<{ code: number | null; output: string }>((done) => {
      const child = execFile("sh", ["-euc", script], { env, timeout: 60_000 }, (_error, stdout, stderr) =>
        done({ code: child.exitCode, output: stdout + stderr }),
      );
    });
    expect(code, output).toBe(0);
    expect(refused).toEqual([]);
    expect(Object.fromEntries(stored)).toEqual(expected);
  });
});
