/**
 * The address where people sign in, over its socket: the fake of Access's Managed OAuth in front of the edge.
 */
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from "vitest";
import type { PersonaName } from "../../dev/access/personas.ts";
import { Kubectl } from "../../dev/programs/kubectl.ts";
import { fetchOver } from "./support/https.ts";
import { startTestStack, type TestStack } from "./support/people.ts";
import { signIn } from "./support/sign-in.ts";

let people: TestStack;
let ca: string;
beforeAll(async () => {
  people = await startTestStack({}, { secondCluster: true, accessTokenSeconds: 600 });
  ca = readFileSync(people.stack.front.ca, "utf8");
});
afterAll(() => people?.stop());

const ask = (path: string, headers: Record<string, string> = {}, { url } = people.stack.front) =>
  fetchOver(ca, url + path, { headers });
const bearer = (token: string) => ({ Authorization: `Bearer ${token}` });

/** kubectl with a token in its kubeconfig, where the plugin would give it one. */
function kubectlWith(stack: TestStack, token: string, server = stack.stack.front.url): Kubectl {
  const { home } = stack;
  const file = join(home, `kubeconfig-${crypto.randomUUID()}`);
  const document = {
    apiVersion: "v1",
    kind: "Config",
    clusters: [{ name: "front", cluster: { server, "certificate-authority": stack.stack.front.ca } }],
    users: [{ name: "somebody", user: { token } }],
    contexts: [{ name: "front", context: { cluster: "front", user: "somebody", namespace: "demo" } }],
  };
  writeFileSync(file, JSON.stringify(document));
  return new Kubectl(file, "front", home);
}

async function kubectlOf(persona: PersonaName): Promise<Kubectl> {
  return kubectlWith(people, (await signIn(people.stack, persona)).accessToken);
}

describe("who has not signed in", () => {
  it("gets nowhere, whatever they claim", async () => {
    for (const path of ["/api/v1/namespaces/demo/pods", "/-/whoami", "/-/healthz", "/-/admin/sessions"]) {
      const response = await ask(path, { "Cf-Access-Jwt-Assertion": "eyJ", "CF-Connecting-IP": "203.0.113.9" });
      expect(response.status, path).toBe(401);
      expect(response.headers.get("www-authenticate")).toContain(`resource_metadata="${people.stack.front.url}/`);
    }
    const { code, stderr } = await kubectlWith(people, "oauth:made-up").run("get", "pods");
    expect([code, stderr]).toEqual([1, expect.stringContaining("You must be logged in to the server")]);
  });

  it("is answered on this machine's own names only", async () => {
    for (const host of ["rebound.example", "127.0.0.1.rebound.example"]) {
      const response = await ask("/.well-known/oauth-authorization-server", { Host: host });
      expect([response.status, await response.text()]).toEqual([403, expect.stringContaining("fake of Access")]);
    }
  });

  it("is answered without TLS nowhere", async () => {
    await expect(fetch(people.stack.front.url.replace("https:", "http:"))).rejects.toThrow();
  });
});

describe("who has signed in", () => {
  it("is that person for the Worker, at an https address", async () => {
    const { accessToken } = await signIn(people.stack, "alice");
    expect(await (await ask("/-/whoami", bearer(accessToken))).json()).toMatchObject({
      identity: "alice@example.com",
      kubernetes: { groups: ["developers"] },
    });
    const kubeconfig = await (await ask("/-/kubeconfig?auth=plugin", bearer(accessToken))).json();
    expect(kubeconfig).toMatchObject({
      clusters: [{ cluster: { server: people.stack.front.url } }, { name: "second" }],
      users: [{ user: { exec: { command: "kubectl-sallyport", provideClusterInfo: true } } }],
    });
  });

  it("works with kubectl: lists, a session over WebSocket, uploads, port-forward", async () => {
    const alice = await kubectlOf("alice");
    expect(await alice.run("get", "pods", "-o", "name")).toMatchObject({
      code: 0,
      stdout: expect.stringContaining("pod/shell"),
    });
    const script = "cat; echo err >&2; exit 7";
    const input = "x".repeat(200_000);
    const ran = await alice.runWithInput(input, "exec", "-i", "shell", "--", "sh", "-c", script);
    expect([ran.code, ran.stdout === input, ran.stderr]).toEqual([7, true, expect.stringMatching(/^err\n/)]);
    const forward = alice.start(["port-forward", "pod/echo", ":8080"]);
    onTestFinished(() => void forward.child.kill("SIGKILL"));
    await expect.poll(() => forward.stdout()).toMatch(/-> 8080/);
    const port = /127\.0\.0\.1:(\d+) -> 8080/.exec(forward.stdout())?.[1];
    expect(await (await fetch(`http://127.0.0.1:${port}/`)).text()).toContain("hello from");
  });

  it("is refused by whom it concerns: bob by the cluster, mallory by the edge", async () => {
    const bob = await (await kubectlOf("bob")).run("exec", "shell", "--", "true");
    expect(bob).toMatchObject({
      code: 1,
      stderr: expect.stringContaining('User "bob@example.com" cannot get resource'),
    });
    const mallory = await (await kubectlOf("mallory")).run("get", "pods");
    expect(mallory).toMatchObject({ code: 1, stderr: expect.stringContaining("mallory@example.net") });
  });

  it("gets the edge's refusal of SPDY, as the WebSocket is not refused by the front", async () => {
    const { accessToken } = await signIn(people.stack, "alice");
    const response = await fetchOver(
      ca,
      `${people.stack.front.url}/api/v1/namespaces/demo/pods/shell/exec?command=true&stdout=true`,
      { method: "POST", headers: { ...bearer(accessToken), Connection: "Upgrade", Upgrade: "SPDY/3.1" } },
    );
    expect(response.status).toBe(400);
    expect(await response.json()).toMatchObject({ kind: "Status", message: expect.stringContaining("SPDY") });
  });

  it("reaches the second cluster with the same sign-in", async () => {
    const { accessToken } = await signIn(people.stack, "alice");
    const second = kubectlWith(people, accessToken, people.stack.front.secondUrl);
    expect(JSON.parse((await second.run("get", "--raw", "/-/whoami")).stdout)).toMatchObject({ cluster: "second" });
    expect((await second.run("get", "pods")).code).toBe(0);
  });
});

describe("the admin API", () => {
  it("is an application of its own, for administrators", async () => {
    const { accessToken } = await signIn(people.stack, "admin", "/-/admin");
    const listed = await ask("/-/admin/sessions?state=live", bearer(accessToken));
    expect([listed.status, await listed.json()]).toMatchObject([200, { items: expect.anything() }]);
    expect((await ask("/-/whoami", bearer(accessToken))).status).toBe(401);
    const host = await signIn(people.stack, "admin");
    expect((await ask("/-/admin/sessions", bearer(host.accessToken))).status).toBe(401);
    for (const persona of ["alice", "bob", "mallory"] as const) {
      await expect(signIn(people.stack, persona, "/-/admin")).rejects.toMatchObject({ error: "access_denied" });
    }
  });
});

describe("a service token", () => {
  it("is its program, for the clusters only", async () => {
    const { clientId, clientSecret } = people.stack.front.serviceToken;
    const headers = { "CF-Access-Client-Id": clientId, "CF-Access-Client-Secret": clientSecret };
    expect(await (await ask("/-/whoami", headers)).json()).toMatchObject({
      kind: "service token",
      kubernetes: { user: "ci" },
    });
    expect((await ask("/-/admin/sessions", headers)).status).toBe(401);
  });
});

describe("an administrator of Access", () => {
  const dashboard = (method: string, path: string) =>
    fetch(`${people.stack.access.issuer}/cdn-cgi/local/${path}`, { method });

  it("takes somebody out of a policy, which their next refresh notices", async () => {
    const bob = await signIn(people.stack, "bob");
    expect((await dashboard("DELETE", "policies/host/bob")).status).toBe(204);
    onTestFinished(async () => void (await dashboard("PUT", "policies/host/bob")));
    expect((await ask("/-/whoami", bearer(bob.accessToken))).status).toBe(200);
    await expect(bob.refresh()).rejects.toMatchObject({ error: "invalid_grant" });
    await expect(signIn(people.stack, "bob")).rejects.toMatchObject({ error: "access_denied" });
    expect((await dashboard("PUT", "policies/host/bob")).status).toBe(204);
    await signIn(people.stack, "bob");
  });

  it("ends somebody's sign-ins", async () => {
    const bob = await signIn(people.stack, "bob");
    expect((await dashboard("DELETE", "sign-ins/bob")).status).toBe(204);
    expect((await ask("/-/whoami", bearer(bob.accessToken))).status).toBe(401);
  });

  it.each([
    ["PUT", "sign-ins/bob"],
    ["POST", "policies/host/bob"],
    ["PUT", "policies/other/bob"],
    ["PUT", "policies/host/nobody"],
    ["DELETE", "policies/host"],
  ])("gets 404 for %s %s", async (method, path) => {
    expect((await dashboard(method, path)).status).toBe(404);
  });
});

describe("a token that expires", () => {
  it("leaves what is open alone, and opens nothing more", async () => {
    // Long enough for two kubectls to start on a busy machine.
    const short = await startTestStack({}, { accessTokenSeconds: 10 });
    onTestFinished(() => short.stop());
    const shortCa = readFileSync(short.stack.front.ca, "utf8");
    const { accessToken, refresh } = await signIn(short.stack, "alice");
    const alice = kubectlWith(short, accessToken);
    const shell = alice.start(["exec", "-i", "shell", "--", "cat"]);
    const watch = alice.start(["get", "configmaps", "--watch-only", "-o", "name"]);
    onTestFinished(() => void [shell, watch].map(({ child }) => child.kill("SIGKILL")));
    shell.child.stdin?.write("before\n");
    await expect.poll(() => shell.stdout()).toBe("before\n");
    const status = async (token: string) =>
      (await fetchOver(shortCa, `${short.stack.front.url}/-/whoami`, { headers: bearer(token) })).status;
    await expect.poll(() => status(accessToken)).toBe(401);
    shell.child.stdin?.write("after\n");
    await expect.poll(() => shell.stdout()).toBe("before\nafter\n");
    const made = await short.alice.run("create", "configmap", "made-after-expiry");
    expect(made.code).toBe(0);
    await expect.poll(() => watch.stdout()).toBe("configmap/made-after-expiry\n");
    expect((await alice.run("get", "pods")).stderr).toContain("You must be logged in");
    expect(await status(await refresh())).toBe(200);
    shell.child.stdin?.end();
    expect((await shell.finished).code).toBe(0);
  });
});
