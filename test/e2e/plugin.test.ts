/**
 * kubectl-sallyport as people run it: built, with real kubectl, against the fake of Access's Managed OAuth.
 */
import { createHash } from "node:crypto";
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import { type AddressInfo, connect, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { basename, delimiter, join } from "node:path";
import { unzipSync } from "fflate";
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from "vitest";
import { parse } from "yaml";
import { buildPlugin } from "../../cli/build.ts";
import { canBuildExecutable } from "../../cli/executable.ts";
import { archiveName } from "../../cli/krew.ts";
import { buildRelease } from "../../cli/release.ts";
import type { PersonaName } from "../../dev/access/personas.ts";
import { Kubectl } from "../../dev/programs/kubectl.ts";
import { SECOND } from "../../dev/stack/local-config.ts";
import { loadTlsIdentity } from "../../dev/stack/tls-identity.ts";
import { fetchOver } from "./support/https.ts";
import { startTestStack, type TestStack } from "./support/people.ts";
import { browserOf, otherNode, type Person, pathWith, runPlugin, startPlugin } from "./support/plugin.ts";
import { Terminal } from "./support/terminal.ts";

const older = otherNode();
if (!canBuildExecutable()) console.info(`SKIP the plugin as a single executable: this is Node.js ${process.version}`);
if ("missing" in older) console.info(`SKIP the plugin on another Node.js: ${older.missing}`);

let people: TestStack;
let builds: string;
let script: string;
let ca: string;
let url: string;

beforeAll(async () => {
  people = await startTestStack({}, { secondCluster: true, accessTokenSeconds: 600 });
  ({ ca, url } = people.stack.front);
  builds = mkdtempSync(join(tmpdir(), "sallyport-plugin-"));
  script = join(builds, "kubectl-sallyport");
  await buildPlugin({ outFile: script });
});
afterAll(async () => {
  await people?.stop();
  rmSync(builds, { recursive: true, force: true });
});

interface Home {
  readonly person: Person;
  readonly folder: string;
  readonly kubeconfig: string;
  readonly store: string;
  readonly kubectl: (context?: string) => Kubectl;
}

/**
 * A machine of its own for a person: nothing is stored on it, and its browser is signed in as the persona.
 */
function machineOf(
  persona: PersonaName,
  { node = process.execPath, command = [script], env = {} }: MachineOptions = {},
): Home {
  const folder = mkdtempSync(join(people.home, `${persona}-`));
  const kubeconfig = join(folder, "config");
  const store = join(folder, "store");
  const all = {
    PATH: pathWith(node),
    HOME: folder,
    KUBECONFIG: kubeconfig,
    SALLYPORT_HOME: store,
    SALLYPORT_BROWSER: browserOf(people, persona),
    ...env,
  };
  return {
    person: { command, env: all },
    folder,
    kubeconfig,
    store,
    kubectl: (context = "sallyport-embedded") => new Kubectl(kubeconfig, context, folder, all),
  };
}

interface MachineOptions {
  readonly node?: string;
  readonly command?: readonly [string, ...string[]];
  readonly env?: Readonly<Record<string, string>>;
}

/** The same machine without anybody in front of it. */
const unattended = ({ person }: Home): Person => ({ ...person, env: { ...person.env, SALLYPORT_BROWSER: "none" } });

async function signedIn(persona: PersonaName, options?: MachineOptions): Promise<Home> {
  const machine = machineOf(persona, options);
  const { code, stderr } = await runPlugin(machine.person, "kubeconfig", url, "--certificate-authority", ca);
  expect([code, stderr]).toEqual([0, expect.stringContaining("Sign in to")]);
  return machine;
}

/** The file of the sign-in at the clusters' application. */
function recordOf({ store }: Home) {
  const name = readdirSync(store).find((each) => each.endsWith(".json")) ?? "";
  const path = join(store, name);
  const read = () => JSON.parse(readFileSync(path, "utf8")) as { tokens: Record<string, unknown> };
  return {
    read,
    change: (tokens: Readonly<Record<string, unknown>>) => {
      const record = read();
      writeFileSync(path, JSON.stringify({ ...record, tokens: { ...record.tokens, ...tokens } }), { mode: 0o600 });
    },
  };
}

/** As if the access token's time had come. */
const expire = (machine: Home) => recordOf(machine).change({ obtainedAtMs: 0, expiresAtMs: 1 });

const execInfo = (server: string) =>
  JSON.stringify({
    apiVersion: "client.authentication.k8s.io/v1",
    kind: "ExecCredential",
    spec: {
      interactive: false,
      cluster: { server, "certificate-authority-data": readFileSync(ca).toString("base64") },
    },
  });

const withInfo = (person: Person, server = url): Person => ({
  ...person,
  env: { ...person.env, KUBERNETES_EXEC_INFO: execInfo(server) },
});

const tokenIn = (stdout: string) => (JSON.parse(stdout) as { status: { token: string } }).status.token;

async function statusOf(token: string): Promise<number> {
  const headers = { authorization: `Bearer ${token}` };
  return (await fetchOver(readFileSync(ca, "utf8"), `${url}/-/whoami`, { headers })).status;
}

const dashboard = (method: string, path: string) =>
  fetch(`${people.stack.access.issuer}/cdn-cgi/local/${path}`, { method });

/** Installs the archive of a release as krew does: by its manifest. @returns path of the executable */
async function unpack(folder: string): Promise<string> {
  const { spec } = parse(readFileSync(join(folder, "sallyport.yaml"), "utf8"));
  const [{ uri, sha256, bin, files }] = spec.platforms;
  const archive = readFileSync(join(folder, basename(uri)));
  expect(createHash("sha256").update(archive).digest("hex")).toBe(sha256);
  expect(readFileSync(join(folder, "SHA256SUMS"), "utf8")).toContain(`${sha256}  ${basename(uri)}\n`);
  const unpacked = unzipSync(archive);
  expect(Object.keys(unpacked)).toEqual(files.map(({ from }: { from: string }) => from));
  const installed = join(mkdtempSync(join(builds, "krew-")), bin);
  writeFileSync(installed, unpacked[bin] ?? "", { mode: 0o755 });
  return installed;
}

const NODES = [
  { name: `Node.js ${process.version}`, node: process.execPath },
  ...("path" in older ? [{ name: `Node.js ${older.version}`, node: older.path }] : []),
];

describe.each([...NODES, ...(canBuildExecutable() ? [{ name: "a single executable", node: process.execPath }] : [])])(
  "on $name",
  ({ name, node }) => {
    let command: readonly [string] = [script];
    beforeAll(async () => {
      command = [script];
      if (name !== "a single executable") return;
      const folder = join(builds, "release");
      const built = await buildRelease({ folder, hasExecutable: true, krewUrl: "https://downloads.example.com/1" });
      expect(built.ok && built.value.map((path) => basename(path))).toEqual([
        "kubectl-sallyport",
        archiveName(process.platform, process.arch),
        "sallyport.yaml",
        "SHA256SUMS",
      ]);
      command = [await unpack(folder)];
    });

    it("kubectl works after one sign-in, which writes its kubeconfig", async () => {
      const alice = await signedIn("alice", { node, command });
      const kubectl = alice.kubectl();
      expect(await kubectl.run("-n", "demo", "get", "pods", "-o", "name")).toMatchObject({
        code: 0,
        stdout: expect.stringContaining("pod/shell"),
        stderr: "",
      });
      const ran = await kubectl.runWithInput(
        "in\n",
        "-n",
        "demo",
        "exec",
        "-i",
        "shell",
        "--",
        "sh",
        "-c",
        "cat; exit 7",
      );
      expect([ran.code, ran.stdout]).toEqual([7, "in\n"]);
      const who = await runPlugin(alice.person, "whoami");
      expect([who.code, who.stdout, who.stderr]).toEqual([
        0,
        expect.stringContaining("alice@example.com (person)"),
        "",
      ]);
    });

    it("NODE_EXTRA_CA_CERTS counts beside a cluster's own authority", async () => {
      const { person, folder } = machineOf("alice", { node, command, env: { NODE_EXTRA_CA_CERTS: ca } });
      const own = join(folder, "own.pem");
      writeFileSync(own, (await loadTlsIdentity(join(folder, "own.json"), new Date())).ca.cert);
      const login = (env: Readonly<Record<string, string>>) =>
        runPlugin(
          { ...person, env: { ...person.env, ...env } },
          "login",
          "--server",
          url,
          "--certificate-authority",
          own,
        );
      expect((await login({})).code).toBe(0);
      const without = await login({ NODE_EXTRA_CA_CERTS: "" });
      expect([without.code, without.stderr]).toEqual([1, expect.stringContaining("is not trusted")]);
    });

    it("an expired token is renewed without a word", async () => {
      const alice = await signedIn("alice", { node, command });
      const before = recordOf(alice).read().tokens["accessToken"];
      expire(alice);
      const { code, stderr } = await alice.kubectl().run("-n", "demo", "get", "pods");
      expect([code, stderr]).toEqual([0, ""]);
      expect(recordOf(alice).read().tokens["accessToken"]).not.toBe(before);
    });
  },
);

describe("a sign-in", () => {
  it("counts for all clusters of its application", async () => {
    const alice = await signedIn("alice");
    const silent = unattended(alice);
    const second = people.stack.front.secondUrl ?? "";
    const { code, stdout, stderr } = await runPlugin(withInfo(silent, second), "credential", "--application", url);
    expect([code, stderr]).toEqual([0, ""]);
    // Also where the kubeconfig does not say whose sign-in it is.
    expect(tokenIn((await runPlugin(withInfo(silent, second), "credential")).stdout)).toBe(tokenIn(stdout));
    // Or says it of each cluster apart, as for clusters in several applications.
    const apart = await runPlugin(withInfo(silent, second), "credential", "--application", second);
    expect(tokenIn(apart.stdout)).toBe(tokenIn(stdout));
  });

  it("is given to no host that the deployment does not name", async () => {
    const alice = await signedIn("alice");
    const foreign = people.stack.personas.alice.tlsUrl;
    const refused = await runPlugin(withInfo(alice.person, foreign), "credential", "--application", url);
    expect(refused).toMatchObject({ code: 1, stdout: "", stderr: expect.stringContaining("is no cluster of") });
    const elsewhere = await runPlugin(withInfo(unattended(alice), foreign), "credential");
    expect(elsewhere).toMatchObject({ code: 3, stdout: "", stderr: expect.stringContaining("nobody has signed in") });
  });

  it("is asked for once by kubectls that start together, and renewed once", async () => {
    const alice = machineOf("alice");
    const together = () =>
      Promise.all(Array.from({ length: 8 }, () => runPlugin(withInfo(alice.person), "credential")));
    const first = await together();
    expect(first.map(({ code }) => code)).toEqual(Array(8).fill(0));
    expect(new Set(first.map(({ stdout }) => tokenIn(stdout))).size).toBe(1);
    expire(alice);
    // A refresh token that is used twice revokes its sign-in:
    // https://www.rfc-editor.org/rfc/rfc9700#section-4.14.2
    const renewed = await together();
    expect(new Set(renewed.map(({ stdout }) => tokenIn(stdout))).size).toBe(1);
    expire(alice);
    expect((await runPlugin(withInfo(unattended(alice)), "credential")).code).toBe(0);
    expect(readdirSync(alice.store).filter((name) => !name.endsWith(".json"))).toEqual([]);
  });

  it("that was revoked is told, with what to do, and made anew where somebody is there", async () => {
    const bob = await signedIn("bob");
    expect((await dashboard("DELETE", "sign-ins/bob")).status).toBe(204);
    expire(bob);
    const { code, stdout, stderr } = await runPlugin(withInfo(unattended(bob)), "credential");
    expect([code, stdout]).toEqual([3, ""]);
    expect(stderr).toContain("has expired or was revoked at 127.0.0.1");
    expect(stderr).toContain('"kubectl sallyport login"');
    const again = await runPlugin(withInfo(bob.person), "credential");
    expect([again.code, await statusOf(tokenIn(again.stdout))]).toEqual([0, 200]);
  });

  it("whose access token was revoked before its time is renewed by the verbs", async () => {
    const alice = await signedIn("alice");
    recordOf(alice).change({ accessToken: "oauth:revoked" });
    expect(await runPlugin(unattended(alice), "whoami")).toMatchObject({ code: 0, stderr: "" });
  });

  it("that no policy admits any more ends, with Access's own words", async () => {
    const bob = await signedIn("bob");
    expect((await dashboard("DELETE", "policies/host/bob")).status).toBe(204);
    onTestFinished(async () => void (await dashboard("PUT", "policies/host/bob")));
    expire(bob);
    const { code, stderr } = await runPlugin(withInfo(bob.person), "credential");
    expect([code, stderr]).toEqual([
      3,
      expect.stringContaining("access_denied (no policy of this application admits bob)"),
    ]);
  });

  it("ends at logout, everywhere", async () => {
    const alice = await signedIn("alice");
    const token = tokenIn((await runPlugin(withInfo(alice.person), "credential")).stdout);
    expect(await statusOf(token)).toBe(200);
    expect(await runPlugin(alice.person, "logout")).toMatchObject({ code: 0, stdout: `Signed out of ${url}.\n` });
    expect(await statusOf(token)).toBe(401);
    expect(readdirSync(alice.store)).toEqual([]);
    expect((await runPlugin(withInfo(unattended(alice)), "credential")).code).toBe(3);
    expect(await runPlugin(alice.person, "logout")).toMatchObject({
      code: 0,
      stdout: expect.stringContaining("Nobody"),
    });
  });

  it("works over SSH: the address of the last page is pasted", async () => {
    const alice = machineOf("alice", { env: { SALLYPORT_BROWSER: "none" } });
    const terminal = new Terminal(
      { file: script, args: ["login", "--server", url, "--certificate-authority", ca], env: alice.person.env },
      1_000,
    );
    await terminal.shows(/paste the address/);
    const [, address = ""] = /(https:\S+oauth\/authorization\?\S+)/.exec(terminal.shown) ?? [];
    const answer = await fetchOver(readFileSync(ca, "utf8"), `${address}&login_hint=alice`);
    terminal.type("yes\r");
    await terminal.shows("That is not an address that begins with");
    terminal.type(`${answer.headers.get("location")}\r`);
    await terminal.shows(`Signed in to ${url}`);
    expect(await terminal.exited).toBe(0);
  });

  it("is not waited for where nobody could make it", async () => {
    const nobody = machineOf("alice", { env: { SALLYPORT_BROWSER: "none" } });
    const { code, stdout, stderr } = await runPlugin(withInfo(nobody.person), "credential");
    expect([code, stdout, stderr]).toEqual([
      3,
      "",
      expect.stringContaining('run "kubectl sallyport login" in a terminal'),
    ]);
    const broken = machineOf("alice", { env: { SALLYPORT_BROWSER: "/nowhere/browser" } });
    expect(await runPlugin(withInfo(broken.person), "credential")).toMatchObject({
      code: 3,
      stderr: expect.stringContaining("/nowhere/browser cannot be started (ENOENT)"),
    });
  });

  it("says what is wrong with a server that has no Managed OAuth, or is not there", async () => {
    const alice = machineOf("alice");
    const warp = await runPlugin(withInfo(alice.person, people.stack.personas.alice.tlsUrl), "credential");
    expect(warp).toMatchObject({ code: 1, stderr: expect.stringContaining("answers without a sign-in") });
    const gone = await runPlugin(withInfo(alice.person, "https://127.0.0.1:1"), "credential");
    expect(gone).toMatchObject({ code: 1, stderr: expect.stringContaining("cannot be reached (ECONNREFUSED)") });
    const plain = await runPlugin(withInfo(alice.person, "http://127.0.0.1:1"), "credential");
    expect(plain).toMatchObject({ code: 1, stderr: expect.stringContaining("never sent without TLS") });
    const { KUBERNETES_EXEC_INFO: _, ...env } = alice.person.env;
    const untrusted = await runPlugin({ ...alice.person, env }, "whoami", "--server", url);
    expect(untrusted).toMatchObject({ code: 1, stderr: expect.stringContaining("is not trusted") });
    expect((await runPlugin({ ...alice.person, env }, "credential")).stderr).toContain("provideClusterInfo: true");
  });

  it("goes through a company's proxy, as kubectl does", async () => {
    const asked: string[] = [];
    const proxy = createServer().on("connect", ({ url: target = "" }, client: Socket) => {
      asked.push(target);
      const { hostname, port } = new URL(`http://${target}`);
      // To the second cluster's name it never answers, which must be no hang.
      if (hostname === SECOND.hostname) return;
      const upstream = connect(Number(port), hostname, () => {
        client.write("HTTP/1.1 200 Connection established\r\n\r\n");
        client.pipe(upstream).pipe(client);
      });
      for (const socket of [client, upstream]) socket.on("error", () => socket.destroy());
    });
    await new Promise<void>((listening) => proxy.listen(0, "127.0.0.1", listening));
    onTestFinished(() => void proxy.close());
    const address = `http://127.0.0.1:${(proxy.address() as AddressInfo).port}`;
    const alice = await signedIn("alice", { env: { HTTPS_PROXY: address } });
    expect(asked).toContain(new URL(url).host);
    expect((await runPlugin(alice.person, "whoami")).code).toBe(0);
    // Without one that is there nothing is sent past it.
    const gone = { ...alice.person.env, HTTPS_PROXY: "http://127.0.0.1:1" };
    expect((await runPlugin({ ...alice.person, env: gone }, "whoami")).stderr).toContain("cannot be reached");
  });

  it("is given to no server whose certificate nobody verified", async () => {
    const alice = machineOf("alice", { env: { NODE_TLS_REJECT_UNAUTHORIZED: "0" } });
    const { code, stderr } = await runPlugin(alice.person, "whoami", "--server", url);
    expect([code, stderr]).toEqual([1, expect.stringContaining("is not trusted")]);
    const info = JSON.parse(execInfo(url));
    info.spec.cluster = { server: url, "insecure-skip-tls-verify": true };
    const env = { ...alice.person.env, KUBERNETES_EXEC_INFO: JSON.stringify(info) };
    const refused = await runPlugin({ ...alice.person, env }, "credential");
    expect(refused).toMatchObject({ code: 1, stdout: "", stderr: expect.stringContaining("insecure-skip-tls-verify") });
  });

  it("never shows a token but to who asked for one", async () => {
    const alice = machineOf("alice");
    const shown = await Promise.all([
      runPlugin(alice.person, "kubeconfig", url, "--certificate-authority", ca),
      runPlugin(alice.person, "login", "--server", url, "--certificate-authority", ca),
    ]);
    shown.push(await runPlugin(alice.person, "whoami", "--json"), await runPlugin(alice.person, "sessions"));
    expect(shown.map(({ code }) => code)).toEqual([0, 0, 0, 0]);
    const { accessToken, refreshToken } = recordOf(alice).read().tokens;
    const all = shown.map(({ stdout, stderr }) => stdout + stderr).join("") + readFileSync(alice.kubeconfig, "utf8");
    for (const secret of [accessToken, refreshToken]) expect(all).not.toContain(String(secret));
    expect(all).not.toContain("oauth:");
  });
});

describe("kubectl's own command", () => {
  it("finds the plugin by its name, and uses the context that it is told", async () => {
    const alice = await signedIn("alice");
    const bob = await signedIn("bob");
    const env = { ...alice.person.env, PATH: [builds, alice.person.env["PATH"]].join(delimiter) };
    const kubectl = new Kubectl(alice.kubeconfig, "sallyport-embedded", alice.folder, env).command();
    const inKubectl = (...args: string[]) => runPlugin({ command: [kubectl.file], env }, "sallyport", ...args);
    expect((await inKubectl("whoami")).stdout).toContain("alice@example.com");
    // A kubeconfig of bob's, whose exec section names his store, is bob's sign-in.
    const other = JSON.parse((await bob.kubectl().run("config", "view", "--raw", "-o", "json")).stdout);
    for (const { user } of other.users) user.exec.env = [{ name: "SALLYPORT_HOME", value: bob.store }];
    const file = join(alice.folder, "bob.json");
    writeFileSync(file, JSON.stringify(other));
    const asBob = await inKubectl("whoami", "--kubeconfig", file, "--context", "sallyport-embedded");
    expect(asBob.stdout).toContain("bob@example.com");
    const merged = await runPlugin(
      { command: [kubectl.file], env: { ...env, KUBECONFIG: `/nowhere:${file}:${alice.kubeconfig}` } },
      "sallyport",
      "whoami",
    );
    expect(merged.stdout).toContain("bob@example.com");
  });
});

describe("completion", () => {
  it("is kubectl's own for kubectl sallyport, and bash's for the plugin", async () => {
    const alice = await signedIn("alice");
    const bin = join(alice.folder, "bin");
    mkdirSync(bin);
    const helper = await runPlugin(alice.person, "completion", "--kubectl");
    writeFileSync(join(bin, "kubectl_complete-sallyport"), helper.stdout, { mode: 0o755 });
    const env = { ...alice.person.env, PATH: [bin, builds, alice.person.env["PATH"]].join(delimiter) };
    const { file } = alice.kubectl().command();
    const completed = await runPlugin(
      { command: [file], env },
      "__complete",
      "sallyport",
      "sessions",
      "--context",
      "sal",
    );
    expect(completed.stdout).toBe("sallyport-embedded\nsallyport-second\n:4\n");
    const script = `
      source <(kubectl-sallyport completion bash)
      COMP_WORDS=(kubectl-sallyport log) COMP_CWORD=1
      _kubectl_sallyport
      echo "\${COMPREPLY[@]}"`;
    expect(await runPlugin({ command: ["bash"], env }, "-c", script)).toMatchObject({
      stdout: "login logout\n",
      stderr: "",
    });
  });
});

describe("sessions", () => {
  it("are shown to their user and ended by them, with a reason", async () => {
    const alice = await signedIn("alice");
    const said = await runPlugin(alice.person, "reason", "INC-17: checkout is down");
    expect([said.code, said.stdout]).toEqual([0, expect.stringContaining("INC-17: checkout is down")]);
    const shell = alice.kubectl().start(["-n", "demo", "exec", "-i", "shell", "--", "sleep", "3600"]);
    onTestFinished(() => void shell.child.kill("SIGKILL"));
    const list = async () => (await runPlugin(alice.person, "sessions")).stdout;
    await expect.poll(list).toMatch(/demo\/shell .* sleep 3600/);
    const [id = ""] = /^A\S+(?=.*sleep 3600)/m.exec(await list()) ?? [];
    expect((await runPlugin(alice.person, "end", id, "--reason", "wrong pod")).code).toBe(0);
    expect((await shell.finished).stderr).toContain("wrong pod");
    const gone = await runPlugin(alice.person, "end", id);
    expect([gone.code, gone.stderr]).toEqual([1, expect.stringContaining("it may have ended by itself")]);
  });

  it("of everybody need an administrator's own sign-in", async () => {
    const alice = await signedIn("alice");
    const admin = await signedIn("admin");
    const shell = alice.kubectl().start(["-n", "demo", "exec", "-i", "shell", "--", "sleep", "3601"]);
    onTestFinished(() => void shell.child.kill("SIGKILL"));
    const list = () => runPlugin(admin.person, "sessions", "--all", "--user", "alice@example.com");
    await expect.poll(async () => (await list()).stdout).toMatch(/alice@example.com .*sleep 3601/);
    const ended = await runPlugin(admin.person, "end", "--admin", "--user", "alice@example.com", "--reason", "drill");
    expect(ended.code).toBe(0);
    expect((await shell.finished).stderr).toContain("drill");
    expect(await runPlugin(alice.person, "sessions", "--all")).toMatchObject({
      code: 3,
      stderr: expect.stringContaining("access_denied"),
    });
  });
});

describe("the proxy", () => {
  /** Starts it for a person, and reads its kubeconfig. */
  async function startProxy(machine: Home, ...args: string[]) {
    const out = join(machine.folder, "proxy.kubeconfig");
    const started = startPlugin(machine.person, ["proxy", "--kubeconfig-out", out, ...args]);
    onTestFinished(() => void started.child.kill("SIGKILL"));
    await expect.poll(() => started.stdout() + started.stderr()).toMatch(/^http:\/\/127\.0\.0\.1:\d+\/\S+\n/);
    const kubectl = new Kubectl(out, "sallyport-proxy", machine.folder);
    return { ...started, address: started.stdout().trim(), out, kubectl };
  }

  it.each(NODES)("serves CI with a service token, on $name: requests, streams, sessions", async ({ node }) => {
    const { clientId, clientSecret } = people.stack.front.serviceToken;
    const env = { CF_ACCESS_CLIENT_ID: clientId, CF_ACCESS_CLIENT_SECRET: clientSecret, SALLYPORT_BROWSER: "none" };
    const proxy = await startProxy(machineOf("alice", { node, env }), "--server", url, "--certificate-authority", ca);
    const { kubectl } = proxy;
    expect(JSON.parse((await kubectl.run("get", "--raw", "/-/whoami")).stdout)).toMatchObject({
      kind: "service token",
    });
    const input = "x".repeat(300_000);
    const ran = await kubectl.runWithInput(input, "-n", "demo", "exec", "-i", "shell", "--", "sh", "-c", "cat; exit 3");
    expect([ran.code, ran.stdout === input]).toEqual([3, true]);
    const forward = kubectl.start(["-n", "demo", "port-forward", "pod/echo", ":8080"]);
    onTestFinished(() => void forward.child.kill("SIGKILL"));
    await expect.poll(() => forward.stdout()).toMatch(/-> 8080/);
    const port = /127\.0\.0\.1:(\d+) -> 8080/.exec(forward.stdout())?.[1];
    expect(await (await fetch(`http://127.0.0.1:${port}/`)).text()).toContain("hello from");
    const watch = kubectl.start(["-n", "demo", "get", "configmaps", "--watch-only", "-o", "name"]);
    onTestFinished(() => void watch.child.kill("SIGKILL"));
    const name = `proxied-${crypto.randomUUID()}`;
    const make = () => kubectl.run("-n", "demo", "create", "configmap", `${name}-${crypto.randomUUID().slice(0, 8)}`);
    // The watch may begin after the first one.
    await expect.poll(async () => (await make()).code === 0 && watch.stdout()).toContain(`configmap/${name}`);
    const yaml = JSON.stringify({
      apiVersion: "v1",
      kind: "ConfigMap",
      metadata: { name },
      data: { big: "y".repeat(500_000) },
    });
    expect((await kubectl.runWithInput(yaml, "-n", "demo", "create", "-f", "-")).code).toBe(0);
    // As Java's client asks for every request.
    const h2c = { Connection: "Upgrade, HTTP2-Settings", Upgrade: "h2c", "HTTP2-Settings": "AAMAAABkAAQAAP__" };
    expect((await fetchPlain(`${proxy.address}/version`, h2c)).status).toBe(200);
    expect(proxy.stdout() + proxy.stderr()).not.toContain(clientSecret);
    proxy.child.kill("SIGTERM");
    expect((await proxy.finished).code).toBe(0);
    expect(() => readFileSync(proxy.out)).toThrow("ENOENT");
  });

  it("serves a person's tools with their sign-in, also after a token was revoked", async () => {
    const alice = await signedIn("alice");
    const { kubectl, address } = await startProxy(alice);
    expect((await kubectl.run("-n", "demo", "get", "pods")).code).toBe(0);
    expect((await dashboard("DELETE", "sign-ins/alice")).status).toBe(204);
    const again = await kubectl.run("-n", "demo", "exec", "shell", "--", "echo", "again");
    expect([again.code, again.stdout]).toEqual([0, "again\n"]);
    expect((await fetch(`${address}/version`)).status).toBe(200);
  });

  it("serves neither web pages nor other users of the machine", async () => {
    const { address } = await startProxy(await signedIn("alice"));
    const { origin } = new URL(address);
    const status = async (target: string, headers = {}) => (await fetchPlain(target, headers)).status;
    expect(await status(`${address}/version`)).toBe(200);
    expect(await status(`${origin}/version`)).toBe(404);
    expect(await status(`${address}/version`, { Origin: "https://evil.example.com" })).toBe(403);
    expect(await status(`${address}/version`, { "Sec-Fetch-Site": "cross-site" })).toBe(403);
    expect(await status(`${address}/version`, { Host: "evil.example.com" })).toBe(403);
  });

  it("ends with the process that has started it", async () => {
    const alice = await signedIn("alice");
    const parent = startPlugin({ ...alice.person, command: ["sh"] }, ["-c", `"${script}" proxy & sleep 3600`]);
    onTestFinished(() => void parent.child.kill("SIGKILL"));
    await expect.poll(() => parent.stdout()).toMatch(/^http:/);
    const address = parent.stdout().trim();
    expect((await fetch(`${address}/version`)).status).toBe(200);
    parent.child.kill("SIGKILL");
    await expect
      .poll(() =>
        fetch(`${address}/version`).then(
          () => "open",
          () => "closed",
        ),
      )
      .toBe("closed");
  });
});

/** `fetch` sends no such headers. */
async function fetchPlain(address: string, headers: Readonly<Record<string, string>>): Promise<{ status: number }> {
  const { get } = await import("node:http");
  return new Promise((done, failed) => {
    get(address, { headers, agent: false }, (answer) => {
      answer.resume();
      done({ status: answer.statusCode ?? 0 });
    }).once("error", failed);
  });
}
