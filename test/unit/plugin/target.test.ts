/**
 * Which deployment a verb asks, and whose sign-in it uses there: never another cluster, never a token
 * elsewhere.
 */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { callApi } from "../../../cli/api.ts";
import { describeDuration } from "../../../cli/oauth/sign-in.ts";
import { personalToken } from "../../../cli/proxy/credentials.ts";
import { openStore } from "../../../cli/store/store.ts";
import { findTarget, type TargetValues } from "../../../cli/target.ts";
import { login, logout } from "../../../cli/verbs/login.ts";
import { proxy } from "../../../cli/verbs/proxy.ts";
import { surroundingsOf } from "./support.ts";

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "plugin-target-"));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

const NOW_MS = 1_800_000_000_000;
/** Nothing listens there: a failure names the host that was asked first. */
const APPLICATION = "https://127.0.0.1:1";
const CLUSTER = "https://127.0.0.1:2";

const surroundings = () => surroundingsOf({ env: { SALLYPORT_HOME: folder }, now: () => NOW_MS });

/** The target of a context whose cluster shares the sign-in of {@link APPLICATION}, or as the values say. */
function target(values: Partial<TargetValues> = {}, options = {}, server = CLUSTER) {
  const kubeconfig = join(folder, "config");
  const exec = { command: "kubectl-sallyport", args: ["credential", "--application", APPLICATION] };
  const content = {
    "current-context": "second",
    contexts: [{ name: "second", context: { cluster: "second", user: "person" } }],
    clusters: [{ name: "second", cluster: { server } }],
    users: [{ name: "person", user: { exec } }],
  };
  writeFileSync(kubeconfig, JSON.stringify(content));
  const none = { context: undefined, server: undefined, "certificate-authority": undefined };
  return findTarget({ ...none, kubeconfig, ...values }, surroundings(), options);
}

function signIn(origins: readonly string[]): Promise<void> {
  return openStore(surroundings()).write({
    application: APPLICATION,
    resource: APPLICATION,
    issuer: APPLICATION,
    tokenEndpoint: `${APPLICATION}/token`,
    client: { clientId: "client" },
    tokens: { accessToken: "oauth:token", obtainedAtMs: NOW_MS, expiresAtMs: NOW_MS + 600_000 },
    origins,
  });
}

describe("a context whose cluster shares another one's sign-in", () => {
  it("is about its own cluster, with the other one's sign-in", async () => {
    expect(await target()).toMatchObject({ origin: CLUSTER, application: { id: APPLICATION } });
  });

  it("has the admin API at the address of the application", async () => {
    const admin = await target({}, { isAdmin: true });
    expect(admin).toMatchObject({ origin: APPLICATION, application: { id: `${APPLICATION}/-/admin` } });
  });

  it("gets no token before the deployment has named it as its cluster", async () => {
    await signIn([]);
    const whoami = callApi(await target(), { method: "GET", path: "/-/whoami" });
    await expect(whoami).rejects.toThrow("127.0.0.1:1 cannot be reached");
    await expect(personalToken(await target()).headers()).rejects.toThrow("127.0.0.1:1 cannot be reached");
  });

  it("gets the token once the deployment has", async () => {
    await signIn([CLUSTER]);
    const whoami = callApi(await target(), { method: "GET", path: "/-/whoami" });
    await expect(whoami).rejects.toThrow("127.0.0.1:2 cannot be reached");
    expect(await personalToken(await target()).headers()).toEqual({ authorization: "Bearer oauth:token" });
  });
});

describe("options that say nothing together", () => {
  it("are refused: an authority for no address, and two deployments", async () => {
    const authority = { "certificate-authority": "/nowhere/ca.pem" };
    await expect(target(authority)).rejects.toMatchObject({ code: "usage", message: /goes with --server/ });
    const both = target({ context: "second", server: "https://k8s.example.com" });
    await expect(both).rejects.toMatchObject({ code: "usage", message: /give one of them/ });
  });

  it("are refused by the proxy: a service token for an address that gets none", async () => {
    const prepared = proxy.prepare(["--server", "http://127.0.0.1:1", "--service-token-file", "/nowhere/token.json"]);
    if (prepared === "help" || !prepared.ok) throw new Error("not prepared");
    await expect(prepared.value(surroundings())).rejects.toMatchObject({ code: "usage", message: /plain HTTP/ });
  });

  it("are not those of an address with its authority, or of a kubeconfig with its context", async () => {
    const ca = join(folder, "ca.pem");
    writeFileSync(ca, "PEM");
    const addressed = await target({ server: "https://k8s.example.com", "certificate-authority": ca });
    expect(addressed).toMatchObject({ origin: "https://k8s.example.com", certificateAuthority: "PEM" });
    expect(await target({ context: "second" })).toMatchObject({ origin: CLUSTER });
  });

  it.each([["--context", "x"], ["--server", "https://k8s.example.com"], ["--admin"], ["--kubeconfig", "x"]])(
    "are refused by logout: --all with %s",
    async (...args) => {
      const prepared = logout.prepare(["--all", ...args]);
      if (prepared === "help" || !prepared.ok) throw new Error("not prepared");
      await signIn([]);
      await expect(prepared.value(surroundings())).rejects.toMatchObject({ code: "usage" });
      expect(await openStore(surroundings()).list()).toHaveLength(1);
    },
  );
});

describe("the time limit of a sign-in", () => {
  it.each([
    [20_000, "20 s"],
    [60_000, "1 min"],
    [90_000, "90 s"],
    [7_200_000, "120 min"],
  ])("of %d ms is told as %s", (ms, text) => {
    expect(describeDuration(ms)).toBe(text);
  });

  it.each(["0s", "25h", "99999h", "5", "-5m"])("cannot be %s", (text) => {
    expect(login.prepare(["--timeout", text])).toMatchObject({ ok: false });
  });

  it.each(["1s", "20s", "24h"])("can be %s", (text) => {
    expect(login.prepare(["--timeout", text])).toMatchObject({ ok: true });
  });
});

describe("an address without TLS", () => {
  it("is one of this machine, and gets no credential", async () => {
    const server = "http://127.0.0.1:8001";
    await signIn([]);
    const local = await target({ server });
    expect(local).toMatchObject({ origin: server, application: undefined });
    expect(await personalToken(local).headers()).toEqual({});
  });

  it.each(["http://k8s.example.com", "http://127.0.0.1.example.com:8001"])("is refused: %s", async (server) => {
    await expect(target({ server })).rejects.toThrow("not an https address");
    await expect(target({}, {}, server)).rejects.toThrow("not an https address");
  });
});
