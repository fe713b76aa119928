/** Shell completion: what it offers, for which deployment, and that it keeps nobody waiting. */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer, type RequestListener } from "node:http";
import { type AddressInfo, createServer as createTcpServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it, onTestFinished, vi } from "vitest";
import { complete, completionScript, type Given, renderCompletion, SHELLS } from "../../../cli/completion.ts";
import { runProgram } from "../../../cli/program.ts";
import { ownPlace } from "../../../cli/store/lock.ts";
import { recordName } from "../../../cli/store/paths.ts";
import { openStore } from "../../../cli/store/store.ts";
import { VERBS } from "../../../cli/verbs.ts";
import { surroundingsOf } from "./support.ts";

describe("completion", () => {
  const candidates = {
    contexts: async () => ["alice", "bob", "a\nb", "a\tb"],
    sessions: async () => ["AZx1", "AZx2", "B"],
    grants: async () => ["prod-admin", "prod-shell", "staging"],
    pending: async () => ["P1", "P2"],
    access: async () => ["O1"],
  };
  const words = async (...args: string[]) => (await complete(args, VERBS, candidates)).words;

  it.each([
    [["se"], ["sessions"]],
    [
      ["help", "log"],
      ["login", "logout"],
    ],
    [
      ["end", "AZ"],
      ["AZx1", "AZx2"],
    ],
    [
      ["sessions", "--context", ""],
      ["alice", "bob"],
    ],
    [["login", "--po"], ["--port"]],
    [
      ["request", "prod-"],
      ["prod-admin", "prod-shell"],
    ],
    [
      ["approve", "P"],
      ["P1", "P2"],
    ],
    [["deny", "P2"], ["P2"]],
    [["revoke", ""], ["O1"]],
    [["completion", ""], [...SHELLS]],
    [["nope", ""], []],
  ])("of %j is %j", async (args, expected) => {
    expect(await words(...args)).toEqual(expected);
  });

  it("leaves files to the shell, and nothing else", async () => {
    expect(renderCompletion(await complete(["sessions", "--kubeconfig", ""], VERBS, candidates))).toBe(":0");
    expect(renderCompletion(await complete(["sessions", "--server", ""], VERBS, candidates))).toBe(":4");
  });

  it.each([
    [
      ["end", "--context", "a", "--kubeconfig=f", "--context", "b", "--admin", ""],
      { context: "b", kubeconfig: "f", admin: "" },
    ],
    [["end", "--nope", "--context", "--admin", "--server", "u", ""], { server: "u" }],
    [["sessions", "--kubeconfig", "f", "--context", ""], { kubeconfig: "f" }],
    [["end", ""], {}],
  ])("of %j goes by the options before", async (args, expected) => {
    const seen: Given[] = [];
    const see = async (given: Given) => {
      seen.push(given);
      return [];
    };
    await complete(args, VERBS, { contexts: see, sessions: see, grants: see, pending: see, access: see });
    expect(seen.map((given) => Object.fromEntries(given))).toEqual([expected]);
  });

  it.each(SHELLS)("has a script for %s", (shell) => {
    expect(completionScript(shell)).toContain("kubectl-sallyport __complete");
  });
});

describe("the completion of sessions", () => {
  const NOW_MS = 1_800_000_000_000;
  let folder: string;
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), "plugin-completion-"));
  });
  afterEach(() => rmSync(folder, { recursive: true, force: true }));

  const idOf = (text: string) => text.padEnd(64, "x");
  const session = (id: string) => ({
    ...{ id, state: "live", user: "alice", cluster: "c", kind: "exec", namespace: "n", pod: "p" },
    ...{ command: [], startedAt: "2026-11-26T12:00:00Z" },
  });

  async function serve(listener: RequestListener): Promise<string> {
    const server = createServer(listener);
    await new Promise<void>((listening) => server.listen(0, "127.0.0.1", listening));
    onTestFinished(() => {
      server.closeAllConnections();
      server.close();
    });
    return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  }

  /** A deployment on this machine, which asks for no sign-in. */
  const deploymentOf = (...ids: string[]) =>
    serve((request, response) => {
      const isAdmin = request.url?.startsWith("/-/admin/") === true;
      response.end(JSON.stringify({ items: ids.map((id) => session(isAdmin ? idOf("all") : id)) }));
    });

  /** A kubeconfig whose first context is the current one. */
  function kubeconfig(name: string, servers: Readonly<Record<string, string>>): string {
    const file = join(folder, name);
    const content = {
      "current-context": Object.keys(servers)[0],
      contexts: Object.keys(servers).map((each) => ({ name: each, context: { cluster: each, user: each } })),
      clusters: Object.entries(servers).map(([each, server]) => ({ name: each, cluster: { server } })),
    };
    writeFileSync(file, JSON.stringify(content));
    return file;
  }

  async function completed(file: string, ...args: string[]): Promise<string[]> {
    const env = { KUBECONFIG: file, SALLYPORT_HOME: folder };
    const surroundings = surroundingsOf({ env, now: () => NOW_MS });
    const code = await runProgram(["__complete", ...args], { version: "1", verbs: VERBS }, surroundings);
    expect([code, surroundings.noted]).toEqual([0, []]);
    return surroundings.printed.join("\n").split("\n");
  }

  function signIn(expiresAtMs: number, application: string): Promise<void> {
    return openStore(surroundingsOf({ env: { SALLYPORT_HOME: folder } })).write({
      application,
      resource: application,
      issuer: application,
      tokenEndpoint: `${application}/token`,
      client: { clientId: "client" },
      tokens: { accessToken: "oauth:token", refreshToken: "refresh", obtainedAtMs: NOW_MS - 900_000, expiresAtMs },
      origins: [],
    });
  }

  it("asks the deployment that the options before it name", async () => {
    const first = await deploymentOf(idOf("first"));
    const second = await deploymentOf(idOf("second"));
    const file = kubeconfig("config", { first, second });
    const other = kubeconfig("other", { only: second });
    expect(await completed(file, "end", "")).toEqual([idOf("first"), ":4"]);
    expect(await completed(file, "end", "--context", "second", "")).toEqual([idOf("second"), ":4"]);
    expect(await completed(file, "end", "--kubeconfig", other, "")).toEqual([idOf("second"), ":4"]);
    expect(await completed(file, "end", "--server", second, "")).toEqual([idOf("second"), ":4"]);
    expect(await completed(file, "end", "--admin", "")).toEqual([idOf("all"), ":4"]);
    expect(await completed(file, "end", "--context", "nope", "")).toEqual([":4"]);
    expect(await completed(file, "whoami", "--kubeconfig", other, "--context", "")).toEqual(["only", ":4"]);
  });

  it("offers nothing that a shell could take for a command", async () => {
    const server = await deploymentOf("$(touch /tmp/x)", `;${"x".repeat(63)}`, idOf("good"));
    expect(await completed(kubeconfig("config", { server }), "end", "")).toEqual([idOf("good"), ":4"]);
  });

  /** A deployment that takes connections and says nothing. @returns its address */
  async function silentDeployment(onConnection: () => void): Promise<string> {
    const silent = createTcpServer((socket) => {
      onTestFinished(() => void socket.destroy());
      onConnection();
    });
    await new Promise<void>((listening) => silent.listen(0, "127.0.0.1", listening));
    onTestFinished(() => void silent.close());
    return `https://127.0.0.1:${(silent.address() as AddressInfo).port}`;
  }

  it("neither renews a token, nor sends an old one, nor waits for whoever renews it", async () => {
    let connections = 0;
    const server = await silentDeployment(() => connections++);
    await signIn(NOW_MS - 1, server);
    const lock = join(folder, `${recordName(server)}.lock`);
    writeFileSync(lock, JSON.stringify({ pid: process.pid, host: ownPlace(), nonce: "n" }));
    vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] });
    onTestFinished(() => void vi.useRealTimers());
    // The fake clock stands still, so it is no time limit that ends this.
    expect(await completed(kubeconfig("config", { server }), "end", "")).toEqual([":4"]);
    expect(connections).toBe(0);
  });

  it("gives up soon where a deployment does not answer", async () => {
    const asked = Promise.withResolvers<void>();
    const server = await silentDeployment(asked.resolve);
    await signIn(NOW_MS + 60_000, server);
    vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] });
    onTestFinished(() => void vi.useRealTimers());
    const waiting = completed(kubeconfig("config", { server }), "end", "");
    await asked.promise;
    vi.advanceTimersByTime(3_000);
    expect(await waiting).toEqual([":4"]);
  });
});
