import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { request as httpRequest } from "node:http";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import { WebSocket } from "ws";
import { type EmbeddedCluster, startEmbeddedCluster } from "../../dev/cluster/index.ts";
import { encodeFrame } from "../../kubernetes/spdy/encoder.ts";
import type { SpdyFrame } from "../../kubernetes/spdy/frames.ts";
import { HeaderBlockWriter } from "../../kubernetes/spdy/header-block.ts";
import { SpdyFrameParser } from "../../kubernetes/spdy/parser.ts";
import { Random, seedOfRun } from "../support/random.ts";
import { hasAnswer, type Outcome, playAll, TARGET } from "./support/play-sequences.ts";
import { TunnelClient } from "./support/tunnel-client.ts";

type Headers = Record<string, string | string[]>;

const DEVELOPER: Headers = { "Impersonate-User": "alice@example.com", "Impersonate-Group": ["developers", "staff"] };
const VIEWER: Headers = { "Impersonate-User": "bob@example.com", "Impersonate-Group": "viewers" };
const PODS = "/api/v1/namespaces/demo/pods";
const TABLE = "application/json;as=Table;v=v1;g=meta.k8s.io,application/json";
const TUNNEL = "SPDY/3.1+portforward.k8s.io";

let stateDir: string;
let cluster: EmbeddedCluster;

beforeAll(async () => {
  stateDir = mkdtempSync(join(tmpdir(), "embedded-cluster-"));
  cluster = await startEmbeddedCluster({ stateDir });
  await until(async () => {
    const { items } = (await get(PODS)).json as { items: { status: { phase: string } }[] };
    return items.length >= 5 && items.every(({ status }) => status.phase === "Running");
  });
});

afterAll(async () => {
  await cluster.close();
  rmSync(stateDir, { recursive: true, force: true });
});

interface Answer {
  code: number;
  text: string;
  json: unknown;
}

// fetch() cannot send Host, Upgrade or a header on several lines.
function call(method: string, path: string, headers: Headers, body?: object): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const request = httpRequest(`${cluster.url}${path}`, { method, headers }, (response) => {
      let text = "";
      response.setEncoding("utf8").on("data", (chunk: string) => {
        text += chunk;
      });
      response.on("end", () => {
        const isJson = response.headers["content-type"]?.includes("json") === true;
        resolve({ code: response.statusCode ?? 0, text, json: isJson ? JSON.parse(text) : undefined });
      });
    });
    request.once("error", reject).end(body === undefined ? undefined : JSON.stringify(body));
  });
}

const get = (path: string, headers: Headers = DEVELOPER): Promise<Answer> => call("GET", path, headers);

/** Not `expect.poll`, which works inside a test only: hooks wait too. */
const until = (condition: () => Promise<boolean> | boolean) =>
  vi.waitFor(async () => expect(await condition()).toBe(true), { timeout: 60_000 });

interface Session {
  socket: WebSocket;
  messages: Buffer[];
  closed: Promise<number>;
}

function open(path: string, protocol: string | undefined, headers: Headers = DEVELOPER): Promise<Session> {
  return new Promise((resolve, reject) => {
    const socket = new WebSocket(`${cluster.url.replace("http", "ws")}${path}`, protocol, { headers });
    const messages: Buffer[] = [];
    socket.once("upgrade", (response) => {
      if (response.headers["sec-websocket-protocol"] === TUNNEL) delete response.headers["sec-websocket-protocol"];
    });
    socket.on("message", (data) => messages.push(data as Buffer));
    const closed = new Promise<number>((ended) => socket.once("close", ended));
    socket.once("open", () => resolve({ socket, messages, closed }));
    socket.once("error", reject);
  });
}

const execPath = (pod: string, command: string[], options = "stdout=true&stderr=true"): string =>
  `${PODS}/${pod}/exec?${options}&${command.map((word) => `command=${encodeURIComponent(word)}`).join("&")}`;

const onChannel = (messages: Buffer[], channel: number): Buffer =>
  Buffer.concat(messages.filter((message) => message[0] === channel).map((message) => message.subarray(1)));

interface Captured {
  dir?: string;
  type?: string;
  base64?: string;
}

/** Returns the binary messages that a real API server sent in a captured session. */
function capturedMessages(name: string): Buffer[] {
  return readFileSync(join(import.meta.dirname, "../vectors/captures", `${name}.jsonl`), "utf8")
    .trim()
    .split("\n")
    .map((line): Captured => JSON.parse(line))
    .filter(({ dir, type }) => dir === "to-client" && type === "binary")
    .map(({ base64 }) => Buffer.from(base64 ?? "", "base64"));
}

describe("admission", () => {
  it("answers requests without impersonation only for version and health", async () => {
    expect((await get("/version", {})).text).toContain("+sallyport-embedded");
    expect((await get("/healthz", {})).text).toBe("ok");
    const refused = await get(PODS, {});
    expect(refused.code).toBe(403);
    expect(refused.json).toMatchObject({
      kind: "Status",
      reason: "Forbidden",
      message:
        'pods is forbidden: User "system:anonymous" cannot list resource "pods" in API group "" in the namespace "demo"',
    });
  });

  it("refuses web pages: every Origin, and every Host but this machine's", async () => {
    expect((await get(PODS, { ...DEVELOPER, Origin: cluster.url })).code).toBe(403);
    expect((await get(PODS, { ...DEVELOPER, Host: "evil.example:80" })).code).toBe(403);
    expect((await get(PODS, { ...DEVELOPER, Host: "localhost:1234" })).code).toBe(200);
  });

  it("refuses a viewer's exec with Kubernetes' message, by WebSocket and by POST", async () => {
    const upgrade = {
      Connection: "Upgrade",
      Upgrade: "websocket",
      "Sec-WebSocket-Version": "13",
      "Sec-WebSocket-Key": "AAAAAAAAAAAAAAAAAAAAAA==",
    };
    const message = (verb: string): string =>
      `pods "shell" is forbidden: User "bob@example.com" cannot ${verb} resource "pods/exec" in API group "" in the namespace "demo"`;
    const path = execPath("shell", ["true"]);
    expect((await get(path, { ...VIEWER, ...upgrade })).json).toMatchObject({ code: 403, message: message("get") });
    expect((await call("POST", path, VIEWER)).json).toMatchObject({ code: 403, message: message("create") });
    expect((await get("/api/v1/namespaces/demo/secrets", VIEWER)).code).toBe(403);
    expect((await get(PODS, VIEWER)).code).toBe(200);
  });

  it("tells users who they are, with every group line, uid and extra", async () => {
    const headers = { ...DEVELOPER, "Impersonate-Uid": "u-1", "Impersonate-Extra-Session%2fid": "s-1" };
    const answer = await call("POST", "/apis/authentication.k8s.io/v1/selfsubjectreviews", headers, {});
    expect(answer.json).toMatchObject({
      status: {
        userInfo: {
          username: "alice@example.com",
          uid: "u-1",
          groups: ["developers", "staff", "system:authenticated"],
          extra: { "session/id": ["s-1"] },
        },
      },
    });
  });
});

describe("objects", () => {
  it("are returned as a Table when kubectl asks for one", async () => {
    const { json } = await get(PODS, { ...DEVELOPER, Accept: TABLE });
    expect(json).toMatchObject({ kind: "Table", apiVersion: "meta.k8s.io/v1" });
    const { columnDefinitions, rows } = json as { columnDefinitions: { name: string }[]; rows: { cells: string[] }[] };
    expect(columnDefinitions.slice(0, 5).map(({ name }) => name)).toEqual([
      "Name",
      "Ready",
      "Status",
      "Restarts",
      "Age",
    ]);
    expect(rows.map(({ cells }) => cells.slice(0, 3))).toContainEqual(["shell", "1/1", "Running"]);
  });

  it("can be watched from creation to completion, and have a log", async () => {
    const list = (await get(PODS)).json as { metadata: { resourceVersion: string } };
    const seen: string[] = [];
    const query = `watch=true&fieldSelector=metadata.name%3Dbrief&resourceVersion=${list.metadata.resourceVersion}`;
    const watching = httpRequest(`${cluster.url}${PODS}?${query}`, { headers: DEVELOPER }, (response) => {
      response.setEncoding("utf8").on("data", (text: string) => {
        for (const line of text.trim().split("\n")) {
          const { type, object } = JSON.parse(line) as { type: string; object: { status: { phase: string } } };
          seen.push(`${type} ${object.status.phase}`);
        }
      });
    });
    watching.on("error", () => undefined).end();
    const container = {
      name: "main",
      image: "any",
      command: ["sh", "-c", "echo $WORD; sleep 0.2"],
      env: [{ name: "WORD", value: "done" }],
    };
    const pod = { metadata: { name: "brief" }, spec: { restartPolicy: "Never", containers: [container] } };
    expect((await call("POST", PODS, { ...DEVELOPER, "Content-Type": "application/json" }, pod)).code).toBe(201);
    await until(() => seen.at(-1) === "MODIFIED Succeeded");
    expect((await get(`${PODS}/brief/log`)).text).toBe("done\n");
    expect((await call("DELETE", `${PODS}/brief?gracePeriodSeconds=0`, DEVELOPER)).code).toBe(200);
    await until(() => seen.at(-1) === "DELETED Succeeded");
    watching.destroy();
    expect([...new Set(seen)]).toEqual([
      "ADDED Pending",
      "MODIFIED Running",
      "MODIFIED Succeeded",
      "DELETED Succeeded",
    ]);
  });
});

describe("a watch by WebSocket", () => {
  it("sends each event as a text message, and is not a session", async () => {
    const { socket, messages, closed } = await open(
      `${PODS}?watch=true&fieldSelector=metadata.name%3Dshell`,
      undefined,
    );
    await until(() => messages.length > 0);
    expect(JSON.parse(String(messages[0]))).toMatchObject({ type: "ADDED", object: { metadata: { name: "shell" } } });
    socket.close();
    await closed;
  });
});

describe("exec", () => {
  const EXIT_3 = ["sh", "-c", "echo out; echo err >&2; exit 3"];

  it.each([
    ["v5.channel.k8s.io", "kubectl-1.36.3-exec-exit-3"],
    ["v4.channel.k8s.io", "python-exec"],
  ])("says on %s what a real API server says", async (protocol, capture) => {
    const { messages, closed } = await open(execPath("shell", EXIT_3), protocol);
    expect(await closed).toBe(1000);
    const expected = capturedMessages(capture);
    expect(messages[0]).toEqual(expected[0]);
    expect(messages.at(-1)).toEqual(expected.at(-1));
    expect(onChannel(messages, 1).toString()).toBe("out\n");
    expect(onChannel(messages, 2).toString()).toBe("err\n");
  });

  it("supports base64 and the empty subprotocol", async () => {
    const base64 = await open(execPath("shell", ["echo", "hi"]), "v4.base64.channel.k8s.io");
    await base64.closed;
    expect(base64.messages.map(String)).toEqual([
      "1",
      `1${btoa("hi\n")}`,
      `3${btoa('{"metadata":{},"status":"Success"}')}`,
    ]);
    const nameless = await open(execPath("shell", ["echo", "hi"]), undefined);
    await nameless.closed;
    expect(nameless.messages.map(String)).toEqual(["\x01", "\x01hi\n"]);
  });

  it("closes stdin by the close channel of v5", async () => {
    const { socket, messages, closed } = await open(
      execPath("shell", ["wc", "-c"], "stdin=true&stdout=true"),
      "v5.channel.k8s.io",
    );
    socket.send(Buffer.from("\0piped\n"));
    socket.send(Buffer.of(255, 0));
    expect(await closed).toBe(1000);
    expect(onChannel(messages, 1).toString().trim()).toBe("6");
  });

  it("provides a real terminal: size, resize, interrupt, exit code", async () => {
    const path = execPath("shell", ["sh"], "stdin=true&stdout=true&tty=true");
    const { socket, messages, closed } = await open(path, "v5.channel.k8s.io");
    const shown = (text: string) => until(() => onChannel(messages, 1).toString().includes(text));
    socket.send(Buffer.from('\x04{"Width":101,"Height":33}\n'));
    await shown("shell # ");
    socket.send(Buffer.from("\0stty size\n"));
    await shown("33 101");
    socket.send(Buffer.from("\0echo before-$((2+3)); sleep 600\n"));
    await shown("before-5");
    socket.send(Buffer.from("\0\x03"));
    socket.send(Buffer.from("\0echo after-$((4+5))\n"));
    await shown("after-9");
    socket.send(Buffer.from("\0exit 4\n"));
    expect(await closed).toBe(1000);
    expect(onChannel(messages, 3).toString()).toContain('"message":"4"');
  });

  it("passes nothing of its own environment to its processes", async () => {
    const { messages, closed } = await open(execPath("shell", ["env"]), "v5.channel.k8s.io");
    await closed;
    const names = onChannel(messages, 1)
      .toString()
      .trim()
      .split("\n")
      .map((line) => line.split("=")[0]);
    expect(names.sort()).toEqual(["HOME", "HOSTNAME", "PATH", "PS1", "TMPDIR"]);
  });

  it("loses nothing when a client does not read for a while", async () => {
    const bytes = 30_000_000;
    const session = await open(execPath("shell", ["head", "-c", String(bytes), "/dev/zero"]), "v5.channel.k8s.io");
    session.socket.pause();
    await sleep(300);
    session.socket.resume();
    await session.closed;
    expect(onChannel(session.messages, 1)).toHaveLength(bytes);
  });

  it("ends the command when its client disconnects", async () => {
    const { socket, messages } = await open(
      execPath("shell", ["sh", "-c", "echo $$; exec sleep 600"]),
      "v5.channel.k8s.io",
    );
    await until(() => onChannel(messages, 1).includes("\n"));
    const pid = Number(onChannel(messages, 1).toString());
    socket.terminate();
    await until(() => {
      try {
        return !process.kill(pid, 0);
      } catch {
        return true;
      }
    });
  });

  it.each([
    [`${PODS}/shell/exec?command=true&container=nope&stdout=true`, 400, "container nope is not valid for pod shell"],
    [`${PODS}/none/exec?command=true&stdout=true`, 404, 'pods "none" not found'],
    [`${PODS}/shell/exec?stdout=true`, 400, "you must specify at least 1 command for the container"],
  ])("refuses %s", async (path, code, message) => {
    expect((await call("POST", path, DEVELOPER)).json).toMatchObject({ kind: "Status", code, message });
  });
});

describe("attach", () => {
  it("streams what the container writes from now on", async () => {
    const { socket, messages, closed } = await open(`${PODS}/logger/attach?stdout=true`, "v5.channel.k8s.io");
    await until(() => /line \d+ .*\n.*line \d+ /.test(onChannel(messages, 1).toString()));
    socket.terminate();
    await closed;
  });
});

describe("port-forward", () => {
  // The subprotocol is not an HTTP token, so `ws` neither offers nor accepts it. The test adds and removes
  // it.
  const tunnel = (pod: string): Promise<Session> =>
    open(`${PODS}/${pod}/portforward`, undefined, { ...DEVELOPER, "Sec-WebSocket-Protocol": TUNNEL });

  const synStream = (streamId: number, kind: string, port: number): SpdyFrame => ({
    type: "SYN_STREAM",
    ...{ streamId, associatedStreamId: 0, priority: 0, fin: false, unidirectional: false },
    headers: [
      ["streamtype", kind],
      ["port", String(port)],
      ["requestid", "0"],
    ],
  });

  async function forward(port: number, input: string): Promise<{ data: string; error: string }> {
    const { socket, messages } = await tunnel("echo");
    const headers = new HeaderBlockWriter();
    const data = Buffer.from(input);
    const frames: SpdyFrame[] = [
      synStream(1, "error", port),
      { type: "DATA", streamId: 1, fin: true, data: new Uint8Array(0) },
      synStream(3, "data", port),
      { type: "DATA", streamId: 3, fin: true, data },
    ];
    for (const frame of frames) {
      // kubectl's messages are cut anywhere. One byte per message is the worst case.
      for (const byte of encodeFrame(frame, headers)) socket.send(Buffer.of(byte));
    }
    const received = (): SpdyFrame[] => {
      const parser = new SpdyFrameParser();
      return messages.flatMap((message) => parser.push(message));
    };
    const ended = (streamId: number) =>
      received().some((frame) => frame.type === "DATA" && frame.fin && frame.streamId === streamId);
    await until(() => ended(1) && ended(3));
    socket.terminate();
    const text = (streamId: number): string =>
      received()
        .map((frame) =>
          frame.type === "DATA" && frame.streamId === streamId ? Buffer.from(frame.data).toString() : "",
        )
        .join("");
    return { data: text(3), error: text(1) };
  }

  it("carries a connection through SPDY in the tunnel", async () => {
    const { data, error } = await forward(8080, "GET /index.html HTTP/1.0\r\n\r\n");
    expect(data).toContain("hello from ");
    expect(error).toBe("");
    expect((await forward(7, "ping")).data).toBe("ping");
  });

  it("reports on the error stream that nothing listens", async () => {
    const { data, error } = await forward(9, "x");
    expect(data).toBe("");
    expect(error).toMatch(
      /^error forwarding port 9 to pod \w+, uid : failed to execute portforward .*connection refused/,
    );
  });

  it("does with valid and odd frames what a real kubelet does, so that the observer reads it exactly", async () => {
    const { hostname, port } = new URL(cluster.url);
    const seed = seedOfRun();
    const headers = [
      ["Impersonate-User", "alice@example.com"],
      ["Impersonate-Group", "developers"],
    ] as const;
    const outcomes = await playAll(150, new Random(seed), (onData) =>
      TunnelClient.open(connect(Number(port), hostname), TARGET, headers, onData),
    );
    const wrong = outcomes.filter(
      ({ sequence, problems, endedAt, hasLastEcho }) =>
        problems.length > 0 || (sequence.isValid && (endedAt !== undefined || !hasLastEcho)),
    );
    const stepsOf = ({ sequence, problems }: Outcome) => [sequence.steps.map(({ name }) => name), problems];
    expect(wrong.map(stepsOf), `SALLYPORT_SEED=${seed}`).toEqual([]);
    expect(outcomes.filter(hasAnswer).length).toBeGreaterThan(50);
  });

  it("supports the older channels, each of which begins with its port", async () => {
    const { socket, messages, closed } = await open(`${PODS}/echo/portforward?ports=8080`, "v4.channel.k8s.io");
    socket.send(Buffer.from("\0GET / HTTP/1.0\r\n\r\n"));
    expect(await closed).toBe(1000);
    expect(messages.slice(0, 2)).toEqual(capturedMessages("client-node-port-forward").slice(0, 2));
    expect(onChannel(messages, 0).toString("latin1")).toContain("hello from ");
  });
});

describe("impersonation", () => {
  const refused = (what: string) => ({
    code: 403,
    text: expect.stringContaining(`cannot impersonate resource \\"${what}\\"`),
  });
  const ROLE = "/apis/rbac.authorization.k8s.io/v1/clusterroles/impersonator";
  const admin = { "Impersonate-User": "root", "Impersonate-Group": "system:masters" };
  const impersonate = (apiGroup: string, resource: string, ...resourceNames: string[]) => ({
    ...{ apiGroups: [apiGroup], resources: [resource], verbs: ["impersonate"] },
    ...(resourceNames.length > 0 && { resourceNames }),
  });
  const EXTRAS = "authentication.k8s.io";
  const setRules = (rules: object[]) =>
    call("PATCH", ROLE, { ...admin, "Content-Type": "application/merge-patch+json" }, { rules });
  const ALL = [
    ...["users", "groups", "serviceaccounts"].map((resource) => impersonate("", resource)),
    impersonate(EXTRAS, "*"),
  ];

  afterAll(() => setRules(ALL));

  it("is limited by the RBAC of the account that makes every request", async () => {
    const rules = [
      impersonate("", "users", "alice@example.com", "root"),
      impersonate("", "groups", "developers", "system:masters"),
      impersonate(EXTRAS, "userextras/team", "core"),
    ];
    expect((await setRules(rules)).code).toBe(200);
    const alice = { "Impersonate-User": "alice@example.com" };
    const developer = { ...alice, "Impersonate-Group": "developers" };
    expect((await get(PODS, { ...developer, "Impersonate-Extra-Team": "core" })).code).toBe(200);
    expect(await get(PODS, { "Impersonate-User": "bob@example.com" })).toMatchObject(refused("users"));
    expect(await get(PODS, { ...alice, "Impersonate-Group": ["developers", "viewers"] })).toMatchObject(
      refused("groups"),
    );
    expect(await get(PODS, { "Impersonate-User": "system:serviceaccount:demo:bot" })).toMatchObject(
      refused("serviceaccounts"),
    );
    expect(await get(PODS, { ...developer, "Impersonate-Extra-Team": "sre" })).toMatchObject(
      refused("userextras/team"),
    );
    expect(await get(PODS, { ...developer, "Impersonate-Uid": "1" })).toMatchObject(refused("uids"));
  });
});

describe("the audit log", () => {
  it("has a line for a session's start and one for its end, with its user", async () => {
    const marked = { ...DEVELOPER, "Impersonate-Extra-Session": "audited-1" };
    const { closed } = await open(execPath("shell", ["true"]), "v5.channel.k8s.io", marked);
    await closed;
    interface AuditEvent {
      stage: string;
      verb: string;
      objectRef?: object;
      responseStatus: { code: number };
      impersonatedUser?: { extra?: { session?: string[] } };
    }
    const events = (): AuditEvent[] =>
      readFileSync(cluster.auditLog, "utf8")
        .trim()
        .split("\n")
        .map((line): AuditEvent => JSON.parse(line))
        .filter(({ impersonatedUser }) => impersonatedUser?.extra?.session?.[0] === "audited-1");
    await until(() => events().length === 2);
    expect(events().map(({ stage, verb, responseStatus }) => [stage, verb, responseStatus.code])).toEqual([
      ["ResponseStarted", "get", 101],
      ["ResponseComplete", "get", 101],
    ]);
    expect(events()[0]?.objectRef).toEqual({
      resource: "pods",
      namespace: "demo",
      name: "shell",
      apiVersion: "v1",
      subresource: "exec",
    });
  });
});
