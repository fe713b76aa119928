/**
 * What people read when the API under `/-/` refuses a request: `kubectl --raw` prints our message at once.
 */

import { randomUUID } from "node:crypto";
import { readFileSync, writeFileSync } from "node:fs";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { Kubectl, kubectlPath } from "../../dev/programs/kubectl.ts";
import { STATUS_CODES, type StatusReason } from "../../kubernetes/status.ts";
import { refusalResponse } from "../../worker/api/responses.ts";
import { otherKubectl } from "./support/kubectl.ts";
import { startTestStack, type TestStack } from "./support/people.ts";
import { Terminal } from "./support/terminal.ts";

const other = otherKubectl();

/** Every kubectl that there is here: its release, and its path. */
const PROGRAMS: readonly (readonly [name: string, path: string])[] = [
  ["kubectl 1.36", kubectlPath()],
  ...("missing" in other ? [] : [[`kubectl ${other.version}`, other.path] as const]),
];

const MESSAGE = "what happened: what to do about it";

/** How kubectl sends each method with `--raw`. */
const COMMANDS = {
  get: (path: string) => ["get", "--raw", path],
  create: (path: string) => ["create", "--raw", path, "-f", "-"],
  replace: (path: string) => ["replace", "--raw", path, "-f", "-"],
  delete: (path: string) => ["delete", "--raw", path],
};

let people: TestStack;

beforeAll(async () => {
  people = await startTestStack();
});
afterAll(() => people?.stop());

const kubectlOf = (context: string, program: string) =>
  new Kubectl(people.stack.kubeconfig, context, people.home, {}, program);

if ("missing" in other) console.info(`SKIP another kubectl: ${other.missing}`);

describe.each(PROGRAMS)("%s shows the message of a refusal", (_, program) => {
  const reasons = ["BadRequest", "Forbidden", "NotFound", "Conflict", "TooManyRequests", "ServiceUnavailable"] as const;
  let server: Server;
  let requests: string[];

  beforeAll(async () => {
    // The edge's own rendering, behind an address at which every status can be had.
    server = createServer(async ({ method = "", url = "" }, answer) => {
      requests.push(`${method} ${url}`);
      const reason = url.slice(1) as StatusReason;
      if (!(reason in STATUS_CODES)) return answer.writeHead(404).end();
      const refused = refusalResponse(reason, "bad_request", MESSAGE);
      return answer.writeHead(refused.status, Object.fromEntries(refused.headers)).end(await refused.text());
    }).listen(0, "127.0.0.1");
    await new Promise((listening) => server.once("listening", listening));
  });
  afterAll(() => void server.close());

  it.each(
    reasons.flatMap((reason) => Object.keys(COMMANDS).map((verb) => [reason, verb as keyof typeof COMMANDS] as const)),
  )("%s by kubectl %s --raw", async (reason, verb) => {
    requests = [];
    const address = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    const kubectl = kubectlOf("alice", program);
    const shown = await kubectl.runWithInput("{}", ...COMMANDS[verb](`/${reason}`), `--server=${address}`);
    expect(shown).toEqual({ code: 1, stdout: "", stderr: `Error from server (${reason}): ${MESSAGE}\n` });
    // With a Retry-After it would repeat a 429 or 503 ten times, and show nothing meanwhile.
    expect(requests.filter((request) => request.endsWith(`/${reason}`)).length).toBe(1);
  });
});

describe.each(PROGRAMS)("%s with the kubeconfig of somebody whom WARP signs in", (_, program) => {
  it("asks nobody for a user name, at a terminal and without one", async () => {
    const answer = await fetch(`${people.stack.personas.alice.url}/-/kubeconfig?auth=warp`);
    const { users } = (await answer.json()) as { users: readonly [{ user: object }] };
    // Over HTTPS: without it kubectl never asks.
    const tls = readFileSync(people.stack.kubeconfigTls, "utf8");
    const [, server, authority] = /server: (https:\S+)\n\s+certificate-authority-data: (\S+)/.exec(tls) ?? [];
    const cluster = { server, "certificate-authority-data": authority };
    const withUser = (user: object) => {
      const file = join(people.home, `${randomUUID()}.kubeconfig`);
      const named = { clusters: [{ name: "c", cluster }], users: [{ name: "u", user }] };
      const contexts = [{ name: "alice", context: { cluster: "c", user: "u", namespace: "demo" } }];
      writeFileSync(file, JSON.stringify({ apiVersion: "v1", kind: "Config", ...named, contexts }));
      return new Kubectl(file, "alice", people.home, {}, program);
    };
    const kubectl = withUser(users[0].user);
    const terminal = new Terminal(kubectl.command("get", "pod", "shell"));
    expect(await terminal.exited).toBe(0);
    expect(terminal.shown).toMatch(/^NAME .*shell .*Running/s);
    expect((await kubectl.run("get", "pod", "shell", "-o", "name")).stdout).toBe("pod/shell\n");
    // What this is about: with a user of nothing it would.
    expect((await withUser({}).run("get", "pod", "shell")).stdout).toContain("Please enter Username");
  });
});

describe.each(PROGRAMS)("%s asks the API itself", (_, program) => {
  const alice = () => kubectlOf("alice", program);
  const admin = () => kubectlOf("admin", program);
  const missing = "A".repeat(64);

  it("and is answered, with --request-timeout as without", async () => {
    const plain = await alice().run("get", "--raw", "/-/whoami");
    expect(JSON.parse(plain.stdout)).toMatchObject({ identity: "alice@example.com" });
    const limited = await alice().run("get", "--raw", "/-/whoami", "--request-timeout=20s");
    expect(limited).toMatchObject({ code: 0, stdout: expect.stringContaining("alice@example.com") });
  });

  it("and reads why it was refused: 400, 403, 404, 405", async () => {
    expect((await admin().run("get", "--raw", "/-/admin/sessions?state=open")).stderr).toBe(
      'Error from server (BadRequest): query parameter state: expected one of "live"|"ended"|"all"\n',
    );
    expect((await alice().run("get", "--raw", "/-/admin/sessions")).stderr).toBe(
      "Error from server (Forbidden): this requires the role admin or auditor, " +
        "which alice@example.com does not have: contact your administrator\n",
    );
    expect((await admin().run("delete", "--raw", `/-/admin/sessions/${missing}?reason=lunch`)).stderr).toBe(
      "Error from server (NotFound): no live session has this id: it may have ended by itself\n",
    );
    // Without a body: the answer may come before one is sent, and kubectl then reports the broken connection.
    expect((await alice().run("delete", "--raw", "/-/whoami")).stderr).toBe(
      "Error from server (MethodNotAllowed): use GET\n",
    );
  });

  it("and locks and unlocks by it", async () => {
    const path = "/-/admin/locks/carol@example.com";
    const locked = await admin().runWithInput('{"reason":"stolen laptop"}', "replace", "--raw", path, "-f", "-");
    expect(JSON.parse(locked.stdout)).toMatchObject({
      user: "carol@example.com",
      locked: true,
      reason: "stolen laptop",
    });
    expect((await admin().run("delete", "--raw", `${path}?reason=found`)).code).toBe(0);
    expect((await admin().run("get", "--raw", path)).stderr).toBe(
      "Error from server (NotFound): carol@example.com is not locked\n",
    );
  });
});

// The last: D1 does not come back.
describe("while D1 does not answer", () => {
  beforeAll(() => {
    const database = new DatabaseSync(people.stack.d1Path, { timeout: 5_000 });
    database.exec("DROP VIEW sessions");
    database.close();
  });

  it.each(PROGRAMS)("%s reads what still works", async (_, program) => {
    expect((await kubectlOf("admin", program).run("get", "--raw", "/-/admin/sessions")).stderr).toBe(
      "Error from server (ServiceUnavailable): D1 does not answer; " +
        "?state=live lists what is live without it, and DELETE works without it, too\n",
    );
    const live = (query: string) =>
      kubectlOf("admin", program).run("get", "--raw", `/-/admin/sessions?state=live${query}`);
    const ofAlice = await live("&user=alice@example.com");
    expect(JSON.parse(ofAlice.stdout)).toEqual({ items: [], next: null, complete: true });
    expect(JSON.parse((await live("")).stdout)).toMatchObject({ items: [], next: null });
  });
});
