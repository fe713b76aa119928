/**
 * Sends the hostile corpus as bytes to the running Worker, in front of a fake cluster that keeps every byte
 * it receives. What is refused never arrives. What arrives is attributed to the person, and carries nothing
 * else.
 */
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it, test } from "vitest";
import { type Stack, startStack } from "../../dev/stack/index.ts";
import {
  expand,
  HOSTILE,
  HOSTILE_POLICY,
  hostileRule,
  loadCorpus,
  type RequestEntry,
  SMUGGLED,
} from "../support/hostile.ts";
import { query, type Row } from "./support/audit-log.ts";
import { TokenForge } from "./support/forged-tokens.ts";
import { type Arrived, CapturingUpstream, exchange, quietOf } from "./support/raw-http.ts";
import { requestBytes } from "./support/raw-requests.ts";

const { requests, framing, tokens } = loadCorpus();
const CONFIGMAPS = "/api/v1/namespaces/demo/configmaps";
const SESSION_HEADER = "impersonate-extra-sallyport-session";
const PERSON_HEADER = "impersonate-extra-sallyport-user";

/** The headers that may arrive: allow-listed ones of the client, the runtime's own, and the impersonation. */
const MAY_ARRIVE = new Set([
  ...[
    "accept",
    "accept-encoding",
    "content-encoding",
    "content-type",
    "user-agent",
    "kubectl-command",
    "kubectl-session",
  ],
  ...["if-match", "if-none-match", "if-modified-since", "host", "content-length", "transfer-encoding"],
  ...["connection", "upgrade", "sec-websocket-key", "sec-websocket-version", "sec-websocket-protocol"],
  ...["impersonate-user", "impersonate-uid", "impersonate-group", SESSION_HEADER, PERSON_HEADER],
]);

const home = mkdtempSync(join(tmpdir(), "sallyport-hostile-"));
const upstream = new CapturingUpstream();
let stack: Stack;
let forge: TokenForge;
let token: string;
let url: string;
/** The corpus's sessions: the id that arrived, and what the audit log must say. */
const opened: { id: string; kind: string; command: readonly string[] | undefined }[] = [];
/** How many requests must have arrived in all. A late one makes the last test fail. */
let due = 0;

beforeAll(async () => {
  stack = await startStack({
    stateDir: join(home, "state"),
    port: 0,
    upstream: await upstream.open(),
    workerSocket: true,
    quiet: true,
    config: {
      identities: [hostileRule()],
      limits: { maxSessionsPerUser: 50 },
      ...HOSTILE_POLICY,
    },
  });
  url = stack.workerUrl ?? "";
  forge = new TokenForge(stack);
  token = forge.good();
});
afterAll(async () => {
  await stack?.stop();
  upstream.close();
  rmSync(home, { recursive: true, force: true });
});

/** Sends bytes. @returns the answer, and what arrived meanwhile */
async function send(bytes: string, quiet?: () => Promise<void>) {
  const before = upstream.arrived.length;
  const answer = await exchange(url, bytes, quiet);
  const arrived = upstream.arrived.slice(before);
  due += arrived.length;
  return { answer, arrived };
}

const linesOf = ({ lines }: Arrived, name: string) =>
  lines.filter(([each]) => each.toLowerCase() === name).map(([, value]) => value);

/** Whom the cluster must see. */
type Acting = Extract<RequestEntry["expect"], { verdict: "rest" }>["as"];

/**
 * Expects a request to be attributed to the person, with no other header than the allowed ones.
 *
 * @param acting where it is not the person with all their groups
 */
function expectAttributed(request: Arrived, isSession: boolean, acting?: Acting): void {
  const isOther = acting?.user !== undefined;
  expect(linesOf(request, "impersonate-user")).toEqual([acting?.user ?? HOSTILE.email]);
  expect(linesOf(request, "impersonate-uid")).toEqual(isOther ? [] : [HOSTILE.sub]);
  expect(linesOf(request, "impersonate-group")).toEqual(acting?.groups ?? HOSTILE.groups);
  expect(linesOf(request, PERSON_HEADER)).toEqual(isOther ? [HOSTILE.email] : []);
  expect(linesOf(request, "host")).toEqual(["localhost"]);
  const ids = linesOf(request, SESSION_HEADER);
  expect(ids.every((id) => /^[\w-]{64}$/.test(id))).toBe(true);
  expect(ids.length).toBe(isSession ? 1 : 0);
  expect(request.lines.map(([name]) => name.toLowerCase()).filter((name) => !MAY_ARRIVE.has(name))).toEqual([]);
  const head = request.lines.flat().join("\n");
  expect(head).not.toMatch(SMUGGLED);
  expectNoToken(head + request.requestLine + request.body);
  expect(request.surplus).toBe("");
}

/** Expects neither the token nor a meaningful part of it. */
function expectNoToken(text: string): void {
  for (const part of token.split(".").slice(1)) expect(text).not.toContain(part);
}

describe("each request of the corpus", () => {
  test.each(requests.map((entry) => [entry.id, entry] as const))("%s", async (_, entry) => {
    const { expect: expected } = entry;
    const { answer, arrived } = await send(requestBytes(entry, token));
    expectNoToken(answer.text);
    if (expected.verdict === "refused") {
      expect(arrived).toEqual([]);
      expect(answer.status, answer.text.slice(0, 500)).toBe(expected.status);
      // kubectl prints a Status's message. Refusals under `/-/` are one, too, with more members.
      if (expected.by !== "runtime" && entry.method !== "HEAD") {
        expect(JSON.parse(answer.text.slice(answer.text.indexOf("\r\n\r\n")))).toMatchObject({
          kind: "Status",
          status: "Failure",
          code: expected.status,
        });
      }
      return;
    }
    const isUpgrade = expected.verdict !== "rest";
    expect(answer.status, answer.text.slice(0, 500)).toBe(expected.status ?? (isUpgrade ? 101 : 404));
    const [request, ...others] = arrived;
    if (!request) throw new Error("nothing arrived");
    expect(others).toEqual([]);
    expect(request.requestLine).toBe(`${entry.method} ${expected.arrives ?? expand(entry.target, "")} HTTP/1.1`);
    expectAttributed(request, expected.verdict === "session", expected.as);
    expect(linesOf(request, "upgrade")).toEqual(isUpgrade ? ["websocket"] : []);
    if (expected.protocols !== undefined) {
      expect(linesOf(request, "sec-websocket-protocol")).toEqual(
        expected.protocols === null ? [] : [expected.protocols],
      );
    }
    if (expected.verdict === "session") {
      opened.push({ id: linesOf(request, SESSION_HEADER)[0] ?? "", kind: expected.kind, command: expected.command });
    }
  });
});

describe("each way to smuggle a request into another", () => {
  test.each(framing.map((entry) => [entry.id, entry] as const))("%s", async (_, { raw, expect: { arrives } }) => {
    const { answer, arrived } = await send(expand(raw, token), quietOf(url));
    expectNoToken(answer.text);
    for (const request of arrived) {
      expectAttributed(request, linesOf(request, "upgrade").length > 0);
      expect(request.requestLine).not.toMatch(SMUGGLED);
    }
    if (arrives === "any") return;
    expect(arrived.map(({ requestLine }) => requestLine.replace(/ HTTP\/1\.1$/, ""))).toEqual(arrives);
  });
});

describe("each token", () => {
  test.each(tokens.map((entry) => [entry.id, entry] as const))("%s", async (_, entry) => {
    const forged = await forge.make(entry.token);
    const head = `GET ${CONFIGMAPS} HTTP/1.1\r\nHost: localhost\r\nCf-Access-Jwt-Assertion: ${forged}\r\n\r\n`;
    const { answer, arrived } = await send(head);
    expect(answer.status, answer.text).toBe(entry.expect.verdict === "refused" ? entry.expect.status : 404);
    expect(arrived.length).toBe(entry.expect.verdict === "refused" ? 0 : 1);
    for (const request of arrived) {
      expectAttributed(request, false);
      expect(request.lines.flat().join("\n")).not.toContain(forged.split(".")[1]);
    }
    for (const part of forged.split(".").filter((each) => each.length > 8)) expect(answer.text).not.toContain(part);
  });
});

describe("after all of it", () => {
  it("every session that arrived is in the audit log, by the id that it arrived with", async () => {
    expect(opened.length).toBeGreaterThan(50);
    const rows = () => query(stack.d1Path, 'SELECT id, kind, command FROM sessions WHERE "user" = ?', HOSTILE.email);
    await expect.poll(() => opened.filter(({ id }) => !rows().some((row) => row["id"] === id))).toEqual([]);
    const byId = new Map(rows().map((row): [string, Row] => [String(row["id"]), row]));
    for (const { id, kind, command } of opened) {
      expect(byId.get(id)?.["kind"]).toBe(kind);
      if (command) expect(JSON.parse(String(byId.get(id)?.["command"]))).toEqual(command);
    }
  });

  it("nothing in the audit log acts on the terminal that shows it", () => {
    for (const table of ["events", "sessions", "requests"]) {
      const rows = query(stack.d1Path, `SELECT * FROM ${table}`);
      expect(rows.length).toBeGreaterThan(0);
      const texts = rows.flatMap((row) => Object.values(row).filter((value) => typeof value === "string"));
      expect(texts.filter((text) => /\p{C}/u.test(text))).toEqual([]);
    }
  });

  it("no request has arrived late", () => {
    expect(upstream.arrived.length).toBe(due);
  });

  it("the log has no token, no smuggled value, and nothing that looks like a token", () => {
    const log = readFileSync(stack.logPath, "utf8");
    expectNoToken(log);
    expect(log).not.toMatch(SMUGGLED);
    // The local stack replaces tokens by this. There must have been none to replace.
    expect(log).not.toContain("[token]");
    expect(log).not.toContain(HOSTILE.email);
  });
});
