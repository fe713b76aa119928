/** The local stack itself: with a test Worker in Sallyport's place, and as `npm start`. */
import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { request as httpRequest } from "node:http";
import { connect, createServer, type Server } from "node:net";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { connect as connectTls } from "node:tls";
import { createRemoteJWKSet, jwtVerify } from "jose";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { PERSONA_NAMES, PERSONAS } from "../../dev/access/personas.ts";
import { Kubectl } from "../../dev/programs/kubectl.ts";
import { type Stack, StackError, startStack } from "../../dev/stack/index.ts";
import { findWorkerd } from "../../dev/stack/processes.ts";
import { compatibilityDate } from "../../dev/workers/configuration.ts";
import { Terminal } from "./support/terminal.ts";

const REPOSITORY = resolve(import.meta.dirname, "../..");
const LINUX = process.platform === "linux";

/** Echoes its requests, and keeps a count in D1 and in a Durable Object. */
const ECHO_WORKER = `
import { DurableObject } from "cloudflare:workers";
export class UserSessions extends DurableObject {
  async count() {
    const count = 1 + ((await this.ctx.storage.get("count")) ?? 0);
    await this.ctx.storage.put("count", count);
    return count;
  }
}
export default {
  async fetch(request, env) {
    const { pathname } = new URL(request.url);
    if (pathname === "/count") {
      await env.AUDIT_DB.exec("CREATE TABLE IF NOT EXISTS counted (at INTEGER)");
      await env.AUDIT_DB.exec("INSERT INTO counted VALUES (1)");
      const inD1 = await env.AUDIT_DB.prepare("SELECT count(*) AS n FROM counted").first("n");
      return Response.json({ inD1, inObject: await env.USER_SESSIONS.getByName("alice").count() });
    }
    if (pathname === "/trouble") throw new Error("some trouble " + request.headers.get("cf-access-jwt-assertion"));
    if (pathname === "/redirect") return Response.redirect("https://elsewhere.example/", 302);
    const body = request.body ? await request.text() : "";
    return Response.json({ method: request.method, headers: [...request.headers], body, cf: request.cf ?? null });
  },
};
`;

const ECHO_CONFIG = {
  name: "echo",
  main: "echo.js",
  compatibility_date: compatibilityDate(),
  env: {
    local: {
      durable_objects: { bindings: [{ name: "USER_SESSIONS", class_name: "UserSessions" }] },
      migrations: [{ tag: "v1", new_sqlite_classes: ["UserSessions"] }],
      d1_databases: [
        { binding: "AUDIT_DB", database_name: "any", database_id: "00000000-0000-0000-0000-000000000000" },
      ],
    },
  },
};

interface Echo {
  readonly method: string;
  readonly headers: readonly (readonly [string, string])[];
  readonly body: string;
  readonly cf: unknown;
}

let home: string;
/** The stack requires an address. No request of these tests reaches it. */
let upstream: Server;

beforeAll(async () => {
  home = mkdtempSync(join(tmpdir(), "sallyport-stack-"));
  mkdirSync(join(home, "echo"));
  writeFileSync(join(home, "echo/echo.js"), ECHO_WORKER);
  writeFileSync(join(home, "echo/wrangler.jsonc"), JSON.stringify(ECHO_CONFIG));
  upstream = createServer((socket) => socket.destroy()).listen(0, "127.0.0.1");
  await once(upstream, "listening");
});
afterAll(() => {
  upstream.close();
  rmSync(home, { recursive: true, force: true });
});

function upstreamUrl(): string {
  const address = upstream.address();
  if (address === null || typeof address === "string") throw new Error("the upstream has no port");
  return `http://127.0.0.1:${address.port}`;
}

function startEcho(stateDir: string): Promise<Stack> {
  const wranglerConfig = join(home, "echo/wrangler.jsonc");
  return startStack({ stateDir, port: 0, upstream: upstreamUrl(), wranglerConfig, quiet: true });
}

async function echo(url: string, headers: Readonly<Record<string, string>> = {}): Promise<Record<string, string>> {
  const answer = (await (await fetch(url, { headers })).json()) as Echo;
  return Object.fromEntries(answer.headers);
}

/** `fetch` sets Host and refuses upgrades. */
function send(url: string, options: { method?: string; headers: Record<string, string> }): Promise<[number, string]> {
  return new Promise((answered, failed) => {
    const sent = httpRequest(url, options, (response) => {
      let body = "";
      response.setEncoding("utf8").on("data", (chunk: string) => {
        body += chunk;
      });
      response.once("end", () => answered([response.statusCode ?? 0, body]));
    });
    sent.once("error", failed).end();
  });
}

describe("a running stack", () => {
  let stack: Stack;
  let state: string;

  beforeAll(async () => {
    state = join(home, "running");
    stack = await startEcho(state);
  });
  afterAll(() => stack?.stop());

  it("writes its addresses to a file that only its owner can read", () => {
    for (const file of [
      "kubeconfig",
      "kubeconfig.tls",
      "kubeconfig.plugin",
      "endpoints.json",
      "ca.pem",
      "access-keys.json",
      "tls.json",
      "sallyport.log",
    ]) {
      expect(statSync(join(state, file)).mode & 0o777, file).toBe(0o600);
    }
    expect(statSync(state).mode & 0o777).toBe(0o700);
    const endpoints = JSON.parse(readFileSync(join(state, "endpoints.json"), "utf8"));
    for (const name of PERSONA_NAMES) {
      expect(endpoints.personas[name].email).toBe(PERSONAS[name].email);
      expect(endpoints.personas[name].url).toMatch(/^http:\/\/127\.0\.0\.1:\d+$/);
    }
    expect(endpoints.front).toMatchObject({ url: stack.front.url, ca: join(state, "ca.pem") });
    expect(readFileSync(endpoints.front.ca, "utf8")).toBe(stack.certificateAuthority);
    expect(endpoints.d1).toBe(stack.d1Path);
    expect(existsSync(endpoints.d1)).toBe(true);
    expect(readdirSync(state).filter((name) => name.endsWith(".tmp"))).toEqual([]);
  });

  it.each(["kubeconfig", "kubeconfig.tls", "kubeconfig.plugin"])("writes a %s that kubectl reads", async (file) => {
    const { code, stdout } = await new Kubectl(join(state, file), "bob", home).run("config", "view", "--output=json");
    expect(code).toBe(0);
    const config = JSON.parse(stdout);
    expect(config["current-context"]).toBe("alice");
    const names = config.contexts.map((context: { name: string }) => context.name);
    expect(new Set(names)).toEqual(new Set(PERSONA_NAMES));
    expect(config.contexts[0].context.namespace).toBe("demo");
  });

  it.each(PERSONA_NAMES)("adds a valid token of %s to a request", async (name) => {
    const headers = await echo(stack.personas[name].url);
    const keys = createRemoteJWKSet(new URL(`${stack.access.issuer}/cdn-cgi/access/certs`));
    const { payload } = await jwtVerify(headers["cf-access-jwt-assertion"] ?? "", keys, {
      algorithms: ["RS256"],
      issuer: stack.access.issuer,
      audience: stack.access.audience,
      requiredClaims: ["exp", "nbf", "iat", "identity_nonce"],
    });
    const { email, sub, groups } = PERSONAS[name];
    expect(payload).toMatchObject({ email, sub, type: "app", custom: { groups } });
  });

  it("serves its keys as Access does, and nothing else at that address", async () => {
    const certs = await (await fetch(`${stack.access.issuer}/cdn-cgi/access/certs`)).json();
    expect(certs).toMatchObject({
      keys: [{ kty: "RSA", alg: "RS256", use: "sig", kid: expect.any(String) }],
      public_cert: { kid: expect.any(String), cert: expect.stringContaining("BEGIN CERTIFICATE") },
    });
    expect(JSON.stringify(certs)).not.toContain('"d"');
    expect((await fetch(`${stack.access.issuer}/`)).status).toBe(404);
  });

  it("removes headers with which a client could pose as Access", async () => {
    const spoofed = {
      "Cf-Access-Jwt-Assertion": "spoofed",
      "CF-Connecting-IP": "203.0.113.9",
      "CF-Worker": "spoofed",
      "MF-CF-Blob": '{"country":"ZZ"}',
      "X-Mine": "kept",
    };
    const answer = (await (await fetch(stack.personas.bob.url, { headers: spoofed })).json()) as Echo;
    const headers = Object.fromEntries(answer.headers);
    expect(headers["cf-access-jwt-assertion"]).toMatch(/^eyJ/);
    expect(headers["cf-connecting-ip"]).toBe("127.0.0.1");
    expect(headers).not.toHaveProperty("cf-worker");
    expect(headers["x-mine"]).toBe("kept");
    expect(answer.cf).toEqual({});
  });

  it("refuses a host name that a web page could point at this machine", async () => {
    const [status, words] = await send(stack.personas.alice.url, { headers: { Host: "rebound.example" } });
    expect(status).toBe(403);
    expect(words).toMatch(/fake of Access/);
    expect((await send(stack.access.issuer, { headers: { Host: "rebound.example" } }))[0]).toBe(403);
  });

  it("forwards a browser's Origin to the Worker, which decides", async () => {
    const headers = await echo(stack.personas.alice.url, { Origin: "https://foreign.example" });
    expect(headers["origin"]).toBe("https://foreign.example");
  });

  it("forwards the SPDY attempt that kubectl makes after a refusal", async () => {
    const [, body] = await send(`${stack.personas.alice.url}/exec`, {
      method: "POST",
      headers: { Connection: "Upgrade", Upgrade: "SPDY/3.1", "Content-Length": "0" },
    });
    const sent = JSON.parse(body) as Echo;
    expect(sent.method).toBe("POST");
    expect(Object.fromEntries(sent.headers)["upgrade"]).toBe("SPDY/3.1");
  });

  it("returns an answer unchanged", async () => {
    const answer = await fetch(`${stack.personas.alice.url}/redirect`, { redirect: "manual" });
    expect([answer.status, answer.headers.get("location")]).toEqual([302, "https://elsewhere.example/"]);
  });

  it("logs the Worker's exceptions, and no token", async () => {
    expect((await fetch(`${stack.personas.alice.url}/trouble`)).status).toBe(500);
    await expect.poll(() => readFileSync(stack.logPath, "utf8")).toMatch(/ error .*some trouble \[token\]/);
    expect(readFileSync(stack.logPath, "utf8")).not.toMatch(/eyJ/);
  });

  it("serves TLS with HTTP/1.1 to clients that trust its authority", async () => {
    const { port } = new URL(stack.personas.alice.tlsUrl);
    const socket = connectTls({
      host: "127.0.0.1",
      port: Number(port),
      ca: stack.certificateAuthority,
      ALPNProtocols: ["h2", "http/1.1"],
    });
    await once(socket, "secureConnect");
    expect(socket.authorized).toBe(true);
    expect(socket.alpnProtocol).toBe("http/1.1");
    // The client's side is closed at once. The answer must arrive nevertheless.
    socket.end("GET /over-tls HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
    let answer = "";
    for await (const chunk of socket) answer += String(chunk);
    expect(answer).toMatch(/^HTTP\/1\.1 200 OK\r\n/);
    expect(answer).toMatch(/"cf-access-jwt-assertion"/);
  });

  it("is not trusted by clients that do not know its authority", async () => {
    await expect(fetch(stack.personas.alice.tlsUrl)).rejects.toThrow();
  });

  it("refuses a second stack on the same state, and keeps running", async () => {
    await expect(startEcho(state)).rejects.toThrow(StackError);
    await expect(startEcho(state)).rejects.toThrow(/another local stack .* is running/);
    expect((await fetch(stack.personas.alice.url)).status).toBe(200);
    expect(existsSync(join(state, "endpoints.json"))).toBe(true);
  });

  it.runIf(LINUX)("restarts at the same addresses, with its data, when workerd is killed", async () => {
    const count = async () => (await fetch(`${stack.personas.alice.url}/count`)).json();
    expect(await count()).toEqual({ inD1: 1, inObject: 1 });
    const killed = stack.workerdPid();
    if (killed === undefined) throw new Error("no workerd");
    process.kill(killed, "SIGKILL");
    await expect.poll(() => stack.workerdPid() ?? killed).not.toBe(killed);
    await expect.poll(() => count().catch(() => undefined), { interval: 200 }).toBeDefined();
    const after = (await count()) as { inD1: number; inObject: number };
    expect(after.inD1).toBeGreaterThan(2);
    expect(after.inObject).toBe(after.inD1);
  });
});

describe("a stack that was stopped", () => {
  it("leaves nothing running, and starts again with its data and keys", async () => {
    const state = join(home, "again");
    const first = await startEcho(state);
    await fetch(`${first.personas.alice.url}/count`);
    const certs = async (stack: Stack) => (await fetch(`${stack.access.issuer}/cdn-cgi/access/certs`)).json();
    const keys = await certs(first);
    // A client that connects and sends nothing must not delay the stop.
    const silent = connect(Number(new URL(first.personas.alice.tlsUrl).port), "127.0.0.1").on("error", () => {});
    await once(silent, "connect");
    const asked = performance.now();
    await Promise.all([first.stop(), first.stop()]);
    // Otherwise the stop lasts until Node.js gives up the TLS handshake, after two minutes.
    expect(performance.now() - asked).toBeLessThan(60_000);
    expect(findWorkerd(state)).toEqual([]);
    expect(existsSync(join(state, "lock.json"))).toBe(false);
    await expect(fetch(first.personas.alice.url)).rejects.toThrow();

    const second = await startEcho(state);
    try {
      expect(await (await fetch(`${second.personas.alice.url}/count`)).json()).toEqual({ inD1: 2, inObject: 2 });
      expect(await certs(second)).toEqual(keys);
      expect(second.certificateAuthority).toBe(first.certificateAuthority);
      expect(second.d1Path).toBe(first.d1Path);
    } finally {
      await second.stop();
    }
  });

  it("can be stopped before it is ready", async () => {
    const state = join(home, "hasty");
    const wranglerConfig = join(home, "echo/wrangler.jsonc");
    const starting = startStack({
      stateDir: state,
      port: 0,
      upstream: upstreamUrl(),
      wranglerConfig,
      quiet: true,
      signal: AbortSignal.timeout(300),
    });
    await expect(starting).rejects.toThrow("stopped before it was ready");
    expect(findWorkerd(state)).toEqual([]);
    expect(existsSync(join(state, "lock.json"))).toBe(false);
    expect(existsSync(join(state, "endpoints.json"))).toBe(false);
  });
});

describe("npm start", () => {
  const env = { ...process.env };

  it("serves the embedded cluster, and Ctrl-C ends every child process", async () => {
    const state = join(home, "ctrl-c");
    const terminal = new Terminal({ file: "npm", args: ["start", "--", "--port", "0", "--state", state], env }, 200);
    await terminal.shows(/Ctrl-C ends it/);
    await terminal.shows(/no sign-in/);
    await terminal.shows(/not isolated/);
    await terminal.shows(/--context alice exec -it shell -- sh/);
    const alice = new Kubectl(join(state, "kubeconfig"), "alice", home);
    expect((await alice.run("exec", "shell", "--", "echo", "inside")).stdout).toBe("inside\n");
    const overTls = new Kubectl(join(state, "kubeconfig.tls"), "alice", home);
    expect((await overTls.run("exec", "shell", "--", "echo", "inside")).stdout).toBe("inside\n");

    const { pid } = JSON.parse(readFileSync(join(state, "lock.json"), "utf8")) as { pid: number };
    const children = LINUX ? [pid, ...descendants(pid)] : [];
    if (LINUX) expect(children).toEqual(expect.arrayContaining(findWorkerd(state)));
    terminal.type("\u0003");
    await terminal.exited;
    await terminal.shows(/Stopping/);
    await expect.poll(() => children.filter(isRunning)).toEqual([]);
    expect(existsSync(join(state, "lock.json"))).toBe(false);
  });

  it.runIf(LINUX)("cleans up after a run that was killed, and stops when only npm is signalled", async () => {
    const state = join(home, "killed");
    const args = ["dev/start.ts", "--port", "0", "--state", state, "--upstream", upstreamUrl()];
    const killed = spawn(process.execPath, args, { cwd: REPOSITORY, stdio: "ignore" });
    await expect.poll(() => existsSync(join(state, "endpoints.json"))).toBe(true);
    const [leftover] = findWorkerd(state);
    killed.kill("SIGKILL");
    await once(killed, "exit");
    expect(findWorkerd(state)).toEqual([leftover]);

    const next = spawn("npm", ["start", "--", ...args.slice(1)], {
      cwd: REPOSITORY,
      env,
      stdio: ["ignore", "pipe", "pipe"],
    });
    let output = "";
    for (const stream of [next.stdout, next.stderr]) {
      stream.setEncoding("utf8").on("data", (text: string) => {
        output += text;
      });
    }
    await expect.poll(() => output).toMatch(/is ready/);
    expect(output).toContain(`workerd (pid ${leftover})`);
    expect(output).toContain("REAL cluster");
    // Only npm is signalled. The processes that it started must notice.
    next.kill("SIGTERM");
    await expect.poll(() => findWorkerd(state)).toEqual([]);
    await expect.poll(() => existsSync(join(state, "lock.json"))).toBe(false);
  });

  it("reports a wrong flag, and exits with 2", () => {
    const { status, stderr } = start("--prot", "1");
    expect(status).toBe(2);
    expect(stderr).toMatch(/--prot[\s\S]*Usage: npm start/);
  });

  it("reports a port that is in use, and exits with 1", () => {
    const { port } = new URL(upstreamUrl());
    const { status, stderr } = start("--port", port, "--state", join(home, "taken"));
    expect(status).toBe(1);
    expect(stderr).toContain(`port ${port} on 127.0.0.1 is taken`);
  });

  it("shows the Worker's message about an invalid configuration, and exits with 1", () => {
    const file = join(home, "config.json");
    writeFileSync(file, '{"limits": {"idleTimeoutSecond": 5}}');
    const { status, stderr } = start("--port", "0", "--state", join(home, "invalid"), "--config", file);
    expect(status).toBe(1);
    expect(stderr).toMatch(/SALLYPORT_CONFIG is not valid[\s\S]*idleTimeoutSecond/);
    expect(stderr).not.toMatch(/^\s+at .*\.ts:/m);
  });

  it("prints --help", () => {
    const { status, stdout } = start("--help");
    expect([status, stdout.startsWith("Usage: npm start")]).toEqual([0, true]);
  });
});

function start(...args: string[]) {
  return spawnSync(process.execPath, ["dev/start.ts", ...args], { cwd: REPOSITORY, encoding: "utf8" });
}

/** All processes that a process has started, directly or indirectly. */
function descendants(root: number): number[] {
  const children = Map.groupBy(
    readdirSync("/proc")
      .filter((name) => /^\d+$/.test(name))
      .map((name) => ({ pid: Number(name), parent: parentOf(name) })),
    ({ parent }) => parent,
  );
  const found: number[] = [];
  const visit = (pid: number) => {
    for (const child of children.get(pid) ?? []) {
      found.push(child.pid);
      visit(child.pid);
    }
  };
  visit(root);
  return found;
}

function parentOf(pid: string): number | undefined {
  try {
    return Number(readFileSync(`/proc/${pid}/stat`, "utf8").split(") ").at(-1)?.split(" ")[1]);
  } catch {
    return undefined;
  }
}

/** False for a zombie, too. */
function isRunning(pid: number): boolean {
  try {
    return readFileSync(`/proc/${pid}/stat`, "utf8").split(") ").at(-1)?.[0] !== "Z";
  } catch {
    return false;
  }
}
