/** `kubectl debug`: containers added to a running pod, and their sessions. */
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { resourceNamed } from "../../dev/cluster/api/resources.ts";
import { Store } from "../../dev/cluster/api/storage.ts";
import { Authorizer } from "../../dev/cluster/auth/authorizer.ts";
import { installRbac } from "../../dev/cluster/auth/rbac.ts";
import { requestInfo } from "../../dev/cluster/auth/request-info.ts";
import { query, sessionWhere } from "./support/audit-log.ts";
import { startTestStack, type TestStack } from "./support/people.ts";
import { Terminal } from "./support/terminal.ts";

let people: TestStack;
let d1: string;

beforeAll(async () => {
  people = await startTestStack();
  d1 = people.stack.d1Path;
});
afterAll(() => people?.stop());

interface PodJson {
  metadata: { labels: Record<string, string> };
  spec: { containers: object[]; ephemeralContainers?: object[] };
  status: {
    phase: string;
    conditions: { type: string; status: string }[];
    ephemeralContainerStatuses?: { name: string; state: { running?: object; terminated?: object } }[];
  };
}

const debug = (pod: string, name: string, ...rest: string[]): string[] => [
  ...["debug", `pod/${pod}`, "--image=busybox", `--container=${name}`],
  ...rest,
];

async function podJson(name: string): Promise<PodJson> {
  return JSON.parse((await people.alice.run("get", "pod", name, "--output=json")).stdout) as PodJson;
}

const statusOf = (pod: PodJson, name: string) =>
  pod.status.ephemeralContainerStatuses?.find((status) => status.name === name);

/** Waits until the debug container runs. */
async function running(pod: string, container: string): Promise<void> {
  const state = async () => statusOf(await podJson(pod), container)?.state.running;
  await expect.poll(state, { message: `${container} never ran` }).toBeDefined();
}

/** Waits until the debug container has terminated. @returns its pod */
async function podAfter(pod: string, container: string): Promise<PodJson> {
  const ended = async () => statusOf(await podJson(pod), container)?.state.terminated !== undefined;
  await expect.poll(ended, { message: `${container} never ended` }).toBe(true);
  return podJson(pod);
}

/** Returns the output in an ended session's recording. */
async function recordedOutput(id: unknown): Promise<string> {
  const response = await people.admin("GET", `sessions/${String(id)}/recording`);
  expect(response.status).toBe(200);
  const [header, ...events] = (await response.text())
    .trim()
    .split("\n")
    .map((line) => JSON.parse(line) as unknown);
  expect(header).toMatchObject({ version: 2 });
  return (events as [number, string, string][])
    .filter(([, kind]) => kind === "o")
    .map(([, , text]) => text)
    .join("");
}

describe("kubectl debug", () => {
  it("-i: runs the command once beside the pod's own containers, in one recorded session", async () => {
    const script = "read word; echo got-$word; exit 3";
    const args = debug("shell", "piped", "--stdin", "--target=shell", "--", "sh", "-c", script);
    const { code, stdout } = await people.alice.runWithInput("ping\n", ...args);
    expect(stdout).toMatch(/^got-ping\n$/m);
    expect(code).toBe(0);

    const pod = await podAfter("shell", "piped");
    expect(statusOf(pod, "piped")).toMatchObject({
      ...{ ready: false, restartCount: 0, image: "busybox" },
      state: { terminated: { exitCode: 3, reason: "Error" } },
    });
    expect(pod.spec.ephemeralContainers).toMatchObject([{ name: "piped", targetContainerName: "shell", stdin: true }]);
    expect(pod.status.phase).toBe("Running");
    expect(pod.status.conditions).toContainEqual(expect.objectContaining({ type: "Ready", status: "True" }));

    const row = await sessionWhere(d1, "state = 'ended' AND container = 'piped'");
    expect(row).toMatchObject({ user: "alice@example.com", kind: "attach", namespace: "demo", pod: "shell", tty: 0 });
    expect(await recordedOutput(row["id"])).toContain("got-ping");
    // The patch that came before the session, as kubectl sends it.
    const facts = () =>
      query(d1, "SELECT pod_facts FROM requests WHERE subresource = 'ephemeralcontainers' AND status = 200").map(
        ({ pod_facts }) => JSON.parse(String(pod_facts)) as unknown,
      );
    await expect.poll(facts).toMatchObject([{ images: expect.arrayContaining(["busybox"]), privileged: false }]);
  });

  it("-it: is a terminal, and its recording shows the same", async () => {
    const command = debug("shell", "typed", "--stdin", "--tty", "--target=shell", "--", "sh");
    const terminal = new Terminal(people.alice.command(...command), 101, 33);
    await terminal.typeUntil("stty size", "33 101");
    terminal.type("echo seen-$((40+2))\n");
    await terminal.shows("seen-42");
    terminal.type("exit\n");
    expect(await terminal.exited).toBe(0);

    const row = await sessionWhere(d1, "state = 'ended' AND container = 'typed'");
    expect(row).toMatchObject({ user: "alice@example.com", kind: "attach", namespace: "demo", pod: "shell", tty: 1 });
    const recorded = await recordedOutput(row["id"]);
    expect(recorded).toContain("33 101");
    expect(recorded).toContain("seen-42");
  });

  it("describe, logs, exec and attach find the container by its name only", async () => {
    const started = debug(
      "echo",
      "known",
      "--stdin",
      "--attach=false",
      "--",
      "sh",
      "-c",
      "echo hello; read x; echo $x",
    );
    expect((await people.alice.run(...started)).code).toBe(0);
    await running("echo", "known");
    const { stdout: described } = await people.alice.run("describe", "pod", "echo");
    expect(described).toMatch(/^Ephemeral Containers:\n {2}known:/m);
    const exec = ["exec", "echo", "--container=known", "--", "echo", "inside"];
    expect((await people.alice.run(...exec)).stdout).toBe("inside\n");
    // A client that names no container still gets the pod's own one.
    const unnamed = await fetch(`${people.stack.personas.alice.url}/api/v1/namespaces/demo/pods/echo/log`);
    expect([unnamed.status, await unnamed.text()]).toEqual([200, ""]);
    const attach = ["attach", "echo", "--container=known", "--stdin"];
    expect((await people.alice.runWithInput("bye\n", ...attach)).stdout).toContain("bye\n");
    await podAfter("echo", "known");
    expect((await people.alice.run("logs", "echo", "--container=known")).stdout).toBe("hello\nbye\n");
  });

  it("terminates with the pod's own containers, and does not keep the pod from completing", async () => {
    const overrides = JSON.stringify({ spec: { terminationGracePeriodSeconds: 1 } });
    const run = ["run", "brief", "--image=any", "--restart=Never", `--overrides=${overrides}`];
    await people.alice.run(...run, "--command", "--", "sh", "-c", "until [ -e go ]; do sleep 0.1; done");
    await people.alice.run("wait", "--for=condition=Ready", "pod/brief", "--timeout=240s");
    await people.alice.run(...debug("brief", "lasting", "--attach=false", "--", "sleep", "600"));
    await running("brief", "lasting");
    expect((await people.alice.run("exec", "brief", "--container=lasting", "--", "touch", "go")).code).toBe(0);
    const { status } = await podAfter("brief", "lasting");
    expect(status.phase).toBe("Succeeded");
    await people.alice.run("delete", "pod", "brief", "--wait=false");
  });

  it("--copy-to: debugs a copy of the pod, in a session on the copy", async () => {
    const script = "read word; echo copied-$word; sleep 600";
    const args = debug("shell", "beside", "--stdin", "--copy-to=shell-copy", "--", "sh", "-c", script);
    const copied = people.alice.start(args, "ping\n");
    await expect.poll(() => copied.stdout()).toContain("copied-ping\n");
    expect((await podJson("shell-copy")).spec.containers).toMatchObject([{ name: "shell" }, { name: "beside" }]);
    expect(await sessionWhere(d1, "container = 'beside'")).toMatchObject({ kind: "attach", pod: "shell-copy" });
    await people.alice.run("delete", "pod", "shell-copy", "--wait=false");
    await copied.finished;
  });

  it("shows a viewer the cluster's refusal, and opens no session", async () => {
    const { code, stderr } = await people.bob.run(...debug("shell", "refused", "--stdin", "--", "true"));
    expect(code).toBe(1);
    expect(stderr).toContain(
      'pods "shell" is forbidden: User "bob@example.com" cannot patch resource "pods/ephemeralcontainers" ' +
        'in API group "" in the namespace "demo"',
    );
    expect(query(d1, "SELECT * FROM sessions WHERE user = 'bob@example.com'")).toEqual([]);
    expect(statusOf(await podJson("shell"), "refused")).toBeUndefined();
  });

  it("is not granted by the role `edit`, as in Kubernetes: the demo has its own role for it", () => {
    const store = new Store();
    installRbac(store, "demo");
    const own = { kind: "ClusterRole", name: "edit" };
    const subjects = [{ kind: "Group", name: "editors" }];
    const binding = { apiVersion: "rbac.authorization.k8s.io/v1", kind: "RoleBinding", roleRef: own, subjects };
    store.create(resourceNamed("rolebindings"), { ...binding, metadata: { name: "editors", namespace: "demo" } });
    const may = (group: string, path: string) => {
      const user = { username: "somebody", uid: "", groups: [group], extra: {} };
      const info = requestInfo("PATCH", `/api/v1/namespaces/demo/pods/${path}`, new URLSearchParams());
      return new Authorizer(store).decide(user, info).allowed;
    };
    expect([may("editors", "shell"), may("editors", "shell/ephemeralcontainers")]).toEqual([true, false]);
    expect([may("developers", "shell"), may("developers", "shell/ephemeralcontainers")]).toEqual([true, true]);
  });
});

describe("pods/ephemeralcontainers", () => {
  const PODS = "/api/v1/namespaces/demo/pods";
  const path = `${PODS}/logger/ephemeralcontainers`;

  async function send(method: string, to: string, body?: object, type = "application/json") {
    const response = await fetch(`${people.stack.personas.alice.url}${to}`, {
      method,
      ...(body === undefined ? {} : { headers: { "content-type": type }, body: JSON.stringify(body) }),
    });
    return { code: response.status, json: (await response.json()) as PodJson & { message?: string } };
  }

  const patch = (...ephemeralContainers: object[]) =>
    send("PATCH", path, { spec: { ephemeralContainers } }, "application/strategic-merge-patch+json");

  const one = { name: "one", image: "busybox", command: ["sleep", "600"] };

  beforeAll(async () => {
    expect((await patch(one)).code).toBe(200);
  });

  it.each([
    [
      "changed",
      [{ ...one, image: "other" }],
      'spec.ephemeralContainers: Forbidden: existing ephemeral containers "one" may not be changed',
    ],
    [
      "removed",
      [{ name: "one", $patch: "delete" }],
      'spec.ephemeralContainers: Forbidden: existing ephemeral containers "one" may not be removed',
    ],
    [
      "given another container's name",
      [{ name: "logger", image: "busybox" }],
      'spec.ephemeralContainers[1].name: Duplicate value: "logger"',
    ],
    [
      "aimed at a container that does not exist",
      [{ name: "two", image: "busybox", targetContainerName: "none" }],
      'spec.ephemeralContainers[1].targetContainerName: Not found: "none"',
    ],
    [
      "given ports",
      [{ name: "two", image: "busybox", ports: [{ containerPort: 80 }] }],
      "spec.ephemeralContainers[1].ports: Forbidden: cannot be set for an Ephemeral Container",
    ],
    ["without an image", [{ name: "two" }], "spec.ephemeralContainers[1].image: Required value"],
  ])("a container cannot be %s", async (_what, containers, problem) => {
    const { code, json } = await patch(...containers);
    expect(json).toMatchObject({ kind: "Status", reason: "Invalid", message: `Pod "logger" is invalid: ${problem}` });
    expect(code).toBe(422);
  });

  it("GET returns the pod, PUT adds containers and changes nothing else", async () => {
    const { json: pod } = await send("GET", path);
    const two = { name: "two", image: "busybox", command: ["true"] };
    const body = {
      ...pod,
      metadata: { ...pod.metadata, labels: { app: "other" } },
      spec: { ...pod.spec, containers: [], ephemeralContainers: [one, two] },
    };
    const { code, json: updated } = await send("PUT", path, body);
    expect(code).toBe(200);
    expect(updated.spec).toEqual({ ...pod.spec, ephemeralContainers: [one, two] });
    expect(updated.metadata.labels).toEqual(pod.metadata.labels);
    expect((await send("PUT", path, body)).code).toBe(409);
    expect((await send("POST", path, body)).code).toBe(403);
  });

  it("is the only way to add one: not at creation, in a template, or through the pod itself", async () => {
    const spec = { containers: [{ name: "main", image: "any" }], ephemeralContainers: [one] };
    const labels = { app: "sneaky" };
    const created = await send("POST", PODS, { metadata: { name: "sneaky" }, spec });
    expect(created.json.message).toBe(
      'Pod "sneaky" is invalid: spec.ephemeralContainers: Forbidden: cannot be set on create',
    );
    const deployment = { selector: { matchLabels: labels }, template: { metadata: { labels }, spec } };
    const templated = await send("POST", "/apis/apps/v1/namespaces/demo/deployments", {
      metadata: { name: "sneaky" },
      spec: deployment,
    });
    expect(templated.json.message).toContain(
      "spec.template.spec.ephemeralContainers: Forbidden: ephemeral containers not allowed in pod template",
    );
    const added = { spec: { ephemeralContainers: [{ ...one, name: "three" }] } };
    const updated = await send("PATCH", `${PODS}/logger`, added, "application/strategic-merge-patch+json");
    expect(updated.json.message).toContain("Forbidden: pod updates may not change fields other than");
  });
});
