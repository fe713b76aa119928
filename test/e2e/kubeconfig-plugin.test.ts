/**
 * `kubeconfig.plugin` of the local stack: people sign in through the kubectl plugin, with whatever client
 * they use.
 */
import { readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { PassThrough, Writable } from "node:stream";
import { CoreV1Api, Exec, KubeConfig, type V1Status } from "@kubernetes/client-node";
import { chromium } from "playwright-core";
import { afterAll, beforeAll, describe, expect, it, onTestFinished, vi } from "vitest";
import { parse } from "yaml";
import type { PersonaName } from "../../dev/access/personas.ts";
import { CHROMIUM, withoutBrowser } from "../../dev/programs/chromium.ts";
import { Kubectl } from "../../dev/programs/kubectl.ts";
import { fetchOver } from "./support/https.ts";
import { startTestStack, type TestStack } from "./support/people.ts";
import { clickingBrowser, notingBrowser, type PluginBrowser } from "./support/plugin-browser.ts";
import { findPython, Helm, runProgram } from "./support/programs.ts";
import { signIn } from "./support/sign-in.ts";
import { Terminal } from "./support/terminal.ts";

if (withoutBrowser !== undefined) console.info(`SKIP signing in with a browser: ${withoutBrowser}`);
const python = findPython();
if ("missing" in python) console.info(`SKIP python3-kubernetes with the plugin: ${python.missing}`);

/** Nobody's programs, Node.js included. */
const EMPTY_PATH = "/nonexistent";

function kubectlThrough(people: TestStack, context: string, browser: PluginBrowser): Kubectl {
  const env = { PATH: EMPTY_PATH, SALLYPORT_BROWSER: browser.path };
  return new Kubectl(people.stack.kubeconfigPlugin, context, people.home, env);
}

function somebodyAt(people: TestStack, persona: PersonaName, context: string = persona) {
  const browser = clickingBrowser(people.home, persona, people.stack.front.ca);
  return { browser, kubectl: kubectlThrough(people, context, browser) };
}

/** Ends somebody's sign-ins, as an administrator does in the dashboard. */
async function endSignIns({ stack }: TestStack, persona: PersonaName): Promise<void> {
  const url = `${stack.access.issuer}/cdn-cgi/local/sign-ins/${persona}`;
  expect((await fetch(url, { method: "DELETE" })).status).toBe(204);
}

describe("kubeconfig.plugin", () => {
  let people: TestStack;
  beforeAll(async () => {
    people = await startTestStack({}, { secondCluster: true });
  });
  afterAll(() => people?.stop());

  it("has a context per person, with a plugin by its absolute path, and no secret", () => {
    const text = readFileSync(people.stack.kubeconfigPlugin, "utf8");
    const config = parse(text);
    expect(config["current-context"]).toBe("alice");
    const names = config.contexts.map(({ name }: { name: string }) => name);
    expect(names.slice(0, 4)).toEqual(["alice", "bob", "admin", "mallory"]);
    const profiles = new Set<string>();
    for (const { user } of config.users) {
      expect(user.exec).toMatchObject({
        apiVersion: "client.authentication.k8s.io/v1",
        command: join(people.stack.stateDir, "kubectl-sallyport"),
        provideClusterInfo: true,
        interactiveMode: "IfAvailable",
      });
      profiles.add(user.exec.env.find(({ name }: { name: string }) => name === "SALLYPORT_PROFILE").value);
    }
    expect(profiles.size).toBe(4);
    expect(text).not.toMatch(/oauth:|token:|PRIVATE/);
  });

  it("lets somebody work after one sign-in, with nothing on PATH: lists, and a shell on a terminal", async () => {
    const { browser, kubectl } = somebodyAt(people, "alice");
    const listed = await kubectl.run("get", "pods", "-o", "name");
    expect(listed).toMatchObject({ code: 0, stdout: expect.stringContaining("pod/shell") });
    const terminal = new Terminal(kubectl.command("exec", "-it", "shell", "--", "sh"));
    await terminal.typeUntil("echo it is $((40 + 2))", "it is 42");
    terminal.type("exit 3\n");
    expect(await terminal.exited).toBe(3);
    expect(browser.opened()).toHaveLength(1);
    expect(browser.opened()[0]).toMatch(
      new RegExp(`^${people.stack.front.url}/cdn-cgi/access/oauth/authorization\\?.*resource=`),
    );
  });

  it("counts one sign-in for both clusters", async () => {
    const { browser, kubectl } = somebodyAt(people, "alice");
    await kubectl.run("get", "pods");
    const before = browser.opened().length;
    const second = kubectlThrough(people, "alice-second", browser);
    const { code, stdout } = await second.run("get", "--raw", "/-/whoami");
    expect([code, JSON.parse(stdout)]).toMatchObject([0, { identity: "alice@example.com", cluster: "second" }]);
    expect(browser.opened()).toHaveLength(before);
  });

  it("keeps each context's tokens apart, in files of their owner", async () => {
    for (const persona of ["bob", "mallory"] as const) {
      const { kubectl } = somebodyAt(people, persona);
      const { stdout, stderr } = await kubectl.run("get", "--raw", "/-/whoami");
      // No rule here knows mallory, who has signed in nevertheless.
      expect(stdout + stderr).toContain(persona === "bob" ? '"bob@example.com"' : "mallory@example.net");
      const home = join(people.stack.stateDir, "plugin", persona);
      for (const name of readdirSync(home, { recursive: true, encoding: "utf8" })) {
        const { mode } = statSync(join(home, name));
        expect(mode & 0o077, name).toBe(0);
      }
    }
  });

  it("keeps the sign-ins where SALLYPORT_HOME says, still apart", async () => {
    const home = join(people.home, "moved");
    for (const persona of ["alice", "bob"] as const) {
      const browser = clickingBrowser(people.home, persona, people.stack.front.ca);
      const env = { PATH: EMPTY_PATH, SALLYPORT_BROWSER: browser.path, SALLYPORT_HOME: home };
      const kubectl = new Kubectl(people.stack.kubeconfigPlugin, persona, people.home, env);
      for (const _ of ["first", "second"]) {
        const { stdout } = await kubectl.run("get", "--raw", "/-/whoami");
        expect(JSON.parse(stdout)).toMatchObject({ identity: `${persona}@example.com` });
      }
      expect(browser.opened()).toHaveLength(1);
      // The plugin's own verbs see the same sign-in.
      const { kubeconfigPlugin, stateDir } = people.stack;
      const verb = ["whoami", "--kubeconfig", kubeconfigPlugin, "--context", persona];
      const shown = await runProgram(join(stateDir, "kubectl-sallyport"), verb, { ...env, SALLYPORT_BROWSER: "none" });
      expect(shown).toMatchObject({ code: 0, stdout: expect.stringContaining(`${persona}@example.com`) });
    }
    expect(readdirSync(home).sort()).toEqual(["alice", "bob"]);
  });

  it("says what to do where nobody can see the page", async () => {
    const env = { PATH: EMPTY_PATH, SALLYPORT_HOME: join(people.home, "unattended") };
    const kubectl = new Kubectl(people.stack.kubeconfigPlugin, "alice", people.home, env);
    const { code, stdout, stderr } = await kubectl.run("get", "pods");
    expect([code, stdout]).toEqual([1, ""]);
    expect(stderr).toContain('run "kubectl sallyport login" in a terminal');
  });

  it.skipIf(withoutBrowser !== undefined)("lets somebody choose on the page, in a real browser", async () => {
    const browser = notingBrowser(people.home);
    // As on a machine where nobody has signed in.
    const env = { PATH: EMPTY_PATH, SALLYPORT_BROWSER: browser.path, SALLYPORT_HOME: join(people.home, "chromium") };
    const file = people.stack.kubeconfigPlugin;
    const kubectl = new Kubectl(file, "alice", people.home, env).start(["get", "--raw", "/-/whoami"], "");
    await expect.poll(() => browser.opened()).toHaveLength(1);

    const window = await chromium.launch({ executablePath: CHROMIUM ?? "" });
    onTestFinished(() => window.close());
    // A person accepts the local authority's certificate, or has installed it.
    const page = await (await window.newContext({ ignoreHTTPSErrors: true })).newPage();
    const errors: string[] = [];
    page.on("pageerror", (error) => errors.push(String(error)));
    await page.goto(browser.opened()[0] ?? "");
    expect(await page.title()).toContain("Sign in");
    expect(await page.textContent("main")).toContain("kubectl-sallyport on this machine is signing in to the clusters");
    await page.click("text=bob@example.com");
    await page.waitForURL(/^http:\/\/127\.0\.0\.1:\d+\//);
    expect(await page.textContent("body")).toContain("Signed in");
    expect(errors).toEqual([]);
    const { code, stdout } = await kubectl.finished;
    // The context's name says alice; who somebody is, the sign-in decides.
    expect([code, JSON.parse(stdout)]).toMatchObject([0, { identity: "bob@example.com" }]);
  });

  describe("serves other clients", () => {
    // These run in this process or with its environment.
    const environment = () => ({
      SALLYPORT_BROWSER: clickingBrowser(people.home, "alice", people.stack.front.ca).path,
    });

    it("helm", async () => {
      const { kubectl } = somebodyAt(people, "alice");
      await kubectl.run("get", "pods");
      const helm = new Helm(people.stack.kubeconfigPlugin, "alice", people.home);
      const chart = join(import.meta.dirname, "charts/greeter");
      expect(await helm.run("install", "through-plugin", chart, "--wait", "--timeout=240s")).toMatchObject({ code: 0 });
      expect(await helm.run("uninstall", "through-plugin", "--wait")).toMatchObject({ code: 0 });
    });

    it("@kubernetes/client-node", async () => {
      for (const [name, value] of Object.entries(environment())) vi.stubEnv(name, value);
      onTestFinished(() => void vi.unstubAllEnvs());
      const config = new KubeConfig();
      config.loadFromFile(people.stack.kubeconfigPlugin);
      const { items } = await config.makeApiClient(CoreV1Api).listNamespacedPod({ namespace: "demo" });
      expect(items.map(({ metadata }) => metadata?.name)).toContain("shell");
      let text = "";
      const output = new Writable({
        write(chunk: Buffer, _encoding, done) {
          text += String(chunk);
          done();
        },
      });
      const status = await new Promise<V1Status>((ended, failed) => {
        const command = ["sh", "-c", "cat; exit 5"];
        const input = new PassThrough();
        new Exec(config).exec("demo", "shell", "shell", command, output, output, input, false, ended).catch(failed);
        input.end("typed");
      });
      expect([text, status.status]).toEqual(["typed", "Failure"]);
    });

    it.skipIf("missing" in python)("python3-kubernetes", async () => {
      const script = join(import.meta.dirname, "support/client.py");
      const path = "path" in python ? python.path : "";
      const ran = await runProgram(path, [script, people.stack.kubeconfigPlugin, "alice"], environment());
      expect([ran.code, ran.stderr]).toEqual([0, ""]);
      const [list, exec, watch, forward] = ran.stdout
        .trim()
        .split("\n")
        .map((line) => JSON.parse(line));
      expect(list).toMatchObject({ what: "list", pods: expect.arrayContaining(["shell"]) });
      expect(exec).toEqual({ what: "exec", stdout: "python-out\ngot typed\n", stderr: "python-err\n", code: 5 });
      expect(watch.seen).toContain("DELETED seen-by-python");
      expect(forward).toMatchObject({ page: expect.stringContaining("hello from"), error: null });
    });
  });

  it("works as GET /-/kubeconfig hands it out, with the plugin on PATH", async () => {
    const { stack, home } = people;
    const { accessToken } = await signIn(stack, "alice");
    const response = await fetchOver(
      readFileSync(stack.front.ca, "utf8"),
      `${stack.front.url}/-/kubeconfig?auth=plugin`,
      {
        headers: { Authorization: `Bearer ${accessToken}` },
      },
    );
    const file = join(home, "handed-out");
    writeFileSync(file, await response.text());
    const browser = clickingBrowser(home, "alice", stack.front.ca);
    const env = {
      PATH: stack.stateDir,
      SALLYPORT_HOME: join(home, "handed-out-store"),
      SALLYPORT_BROWSER: browser.path,
      // The local authority is in no machine's list: here Go and Node.js are told of it.
      SSL_CERT_FILE: stack.front.ca,
      NODE_EXTRA_CA_CERTS: stack.front.ca,
    };
    const kubectl = new Kubectl(file, "embedded", home, env);
    expect(await kubectl.run("get", "pods", "-n", "demo")).toMatchObject({ code: 0 });
    expect(browser.opened()).toHaveLength(1);
    const without = await new Kubectl(file, "embedded", home, { ...env, PATH: EMPTY_PATH }).run("get", "pods");
    expect(without).toMatchObject({ code: 1, stderr: expect.stringContaining("kubectl-sallyport signs you in") });
  });
});

describe("an access token that expires", () => {
  let people: TestStack;
  beforeAll(async () => {
    const strict = {
      name: "strict",
      match: { names: ["tty"] },
      action: "allow" as const,
      limits: { endWithToken: true },
    };
    // Long enough for a kubectl to start on a busy machine.
    people = await startTestStack({ rules: [strict] }, { accessTokenSeconds: 9 });
  });
  afterAll(() => people?.stop());

  it("is renewed without a word, and leaves a shell and a watch alone", async () => {
    const { browser, kubectl } = somebodyAt(people, "alice");
    const shell = kubectl.start(["exec", "-i", "shell", "--", "cat"]);
    const watch = kubectl.start(["get", "configmaps", "--watch-only", "-o", "name"]);
    onTestFinished(() => void [shell, watch].map(({ child }) => child.kill("SIGKILL")));
    shell.child.stdin?.write("before\n");
    await expect.poll(() => shell.stdout()).toBe("before\n");
    const tokens = () => {
      const home = join(people.stack.stateDir, "plugin/alice");
      const files = readdirSync(home, { recursive: true, encoding: "utf8" }).filter((name) => name.endsWith(".json"));
      return files.map((name) => readFileSync(join(home, name), "utf8")).join("");
    };
    // Both kubectls have asked at once, and somebody has signed in once.
    expect(browser.opened()).toHaveLength(1);
    const first = tokens();
    // Until the plugin has renewed it, which it does only for one that is about to expire.
    await expect
      .poll(async () => (await kubectl.run("get", "pods")).code === 0 && tokens() !== first, { interval: 1_000 })
      .toBe(true);
    shell.child.stdin?.write("after\n");
    await expect.poll(() => shell.stdout()).toBe("before\nafter\n");
    expect(await kubectl.run("create", "configmap", "made-after-renewal")).toMatchObject({ code: 0, stderr: "" });
    await expect.poll(() => watch.stdout()).toBe("configmap/made-after-renewal\n");
    shell.child.stdin?.end();
    expect(await shell.finished).toMatchObject({ code: 0 });
    expect(browser.opened()).toHaveLength(1);
  });

  it("ends a session by a rule with endWithToken", async () => {
    const { kubectl } = somebodyAt(people, "alice");
    const shell = kubectl.start(["exec", "-i", "tty", "--", "cat"]);
    onTestFinished(() => void shell.child.kill("SIGKILL"));
    shell.child.stdin?.write("before\n");
    const { code, stdout, stderr } = await shell.finished;
    expect([code, stdout]).toEqual([1, "before\n"]);
    expect(stderr).toContain("session ended: the sign-in that opened it has expired; sign in again");
  });

  it("leads to the sign-in page again where the sign-in was ended meanwhile", async () => {
    const { browser, kubectl } = somebodyAt(people, "bob");
    await kubectl.run("get", "pods");
    expect(browser.opened()).toHaveLength(1);
    await endSignIns(people, "bob");
    // The plugin keeps the token until it is about to expire: no client tells it that one was refused.
    await expect
      .poll(async () => (await kubectl.run("get", "pods")).code, { interval: 1_000, message: "never signed in again" })
      .toBe(0);
    expect(browser.opened()).toHaveLength(2);
  });
});
