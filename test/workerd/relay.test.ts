import { env } from "cloudflare:workers";
import { describe, expect, it, vi } from "vitest";
import { ExecObserver } from "../../durable/protocols/exec.ts";
import { eventually } from "../support/eventually.ts";
import { ended, eventsOf } from "./audit-rows.ts";
import { Client, frame, SUCCESS } from "./client.ts";
import { admin, as, directlyAs, requestAs, someone, UPGRADE, upgrade } from "./people.ts";
import { Puppet } from "./puppet.ts";

const PODS = "/api/v1/namespaces/demo/pods";

/** A session of which the test plays both ends. */
async function session({ query, protocols }: { query?: string; protocols?: string } = {}) {
  const pod = await Puppet.make();
  const headers = protocols === undefined ? {} : { "Sec-WebSocket-Protocol": protocols };
  const client = await Client.open(upgrade(someone(), pod.path(query), headers));
  return { pod, client };
}

describe("messages are relayed", () => {
  it("from the client to the cluster and back", async () => {
    const client = await Client.open(upgrade(someone(), `${PODS}/echo/exec?command=cat&stdin=true&stdout=true`));
    client.send(frame(0, "hello"));
    client.send(frame(0, Uint8Array.of(0, 255, 0xc3)));
    // What arrives together may be joined.
    const output = () => client.bytes.filter(([channel]) => channel === 1).flatMap(([, ...payload]) => payload);
    await eventually(() => expect(output()).toEqual([...new TextEncoder().encode("hello"), 0, 255, 0xc3]));
    client.send(Uint8Array.of(255, 0));
    expect(await client.closed).toEqual({ code: 1000, reason: "" });
    expect(client.text(3)).toBe('{"metadata":{},"status":"Success"}');
  });

  it("in order and with their borders, from empty to a megabyte", async () => {
    const { pod, client } = await session();
    // Channels from 4 on, because consecutive frames of stdin, stdout and stderr may be merged
    // (frame-merger.ts).
    const messages = [0, 1, 2, 125, 126, 65_535, 65_536, 1_048_576, 3].map((length, i) =>
      new Uint8Array(length).fill(i + 4),
    );
    for (const message of messages) {
      pod.send(message);
      client.send(message);
    }
    await eventually(() => expect(client.received.length).toBe(messages.length));
    await eventually(() => expect(pod.received.length).toBe(messages.length));
    expect(client.received).toEqual(messages);
    expect(pod.received).toEqual(messages);
    client.close();
  });

  it("with large stdin frames merged, every byte in order, and the close of stdin after them", async () => {
    const { pod, client } = await session();
    const sent = Array.from({ length: 100 }, (_, i) => frame(0, new Uint8Array(8_000).fill(i)));
    for (const message of sent) client.send(message);
    client.send(Uint8Array.of(255, 0));
    await eventually(() => expect(pod.received.at(-1)).toEqual(Uint8Array.of(255, 0)));
    const stdin = pod.received.slice(0, -1) as Uint8Array[];
    expect(stdin.length).toBeLessThan(100);
    expect(stdin.every((message) => message[0] === 0)).toBe(true);
    const bytes = stdin.flatMap((message) => [...message.subarray(1)]);
    expect(bytes).toEqual(sent.flatMap((message) => [...message.subarray(1)]));
    client.close();
  });

  it("as text if they are text, as in the base64 protocols of browsers", async () => {
    const { pod, client } = await session({ protocols: "v4.base64.channel.k8s.io" });
    client.send(`0${btoa("ls\n")}`);
    pod.send(`1${btoa("file\n")}`);
    await eventually(() => expect(pod.received).toEqual([`0${btoa("ls\n")}`]));
    await eventually(() => expect(client.received).toEqual([`1${btoa("file\n")}`]));
    pod.send(`3${btoa('{"status":"Success"}')}`);
    pod.close(1000);
    expect(await ended(client.sessionId)).toMatchObject({ outcome: "exited", exit_code: 0 });
  });

  it("after the client half-closed its stdin", async () => {
    const { pod, client } = await session();
    client.send(frame(0, "last input"));
    client.send(Uint8Array.of(255, 0));
    await eventually(() => expect(pod.received).toEqual([frame(0, "last input"), Uint8Array.of(255, 0)]));
    pod.send(frame(1, "still here"));
    pod.send(SUCCESS);
    pod.close(1000);
    await client.closed;
    expect(client.text(1)).toBe("still here");
  });

  it("only within their session, also with two sessions of one person", async () => {
    const person = someone();
    const [one, two] = [await Puppet.make(), await Puppet.make()];
    const first = await Client.open(upgrade(person, one.path()));
    const second = await Client.open(upgrade(person, two.path()));
    one.send(frame(1, "for the first"));
    two.send(frame(1, "for the second"));
    first.send(frame(0, "to one"));
    second.send(frame(0, "to two"));
    await eventually(() => expect([first.text(1), second.text(1)]).toEqual(["for the first", "for the second"]));
    await eventually(() => expect([one.received, two.received]).toEqual([[frame(0, "to one")], [frame(0, "to two")]]));
    first.close();
    expect(await ended(first.sessionId)).toMatchObject({ outcome: "disconnected" });
    two.send(frame(1, "!"));
    await eventually(() => expect(second.text(1)).toBe("for the second!"));
    second.close();
  });
});

describe("the subprotocol", () => {
  it("in the answer is the one that the cluster chose, not the first that the client offered", async () => {
    const { client } = await session({ protocols: "base64.binary.k8s.io, v5.channel.k8s.io, v4.channel.k8s.io" });
    expect(client.protocol).toBe("v4.channel.k8s.io");
    const [, connect] = await eventually(async () => {
      const events = await eventsOf(client.sessionId);
      expect(events.length).toBe(2);
      return events;
    });
    expect(connect).toMatchObject({ seq: 1, type: "connect", data: { protocol: "v4.channel.k8s.io" } });
    client.close();
  });

  it("is absent from the answer if the cluster chose none", async () => {
    const pod = await Puppet.make();
    const client = await Client.open(
      as(someone(), pod.path(), { headers: { Connection: "Upgrade", Upgrade: "websocket" } }),
    );
    expect(client.protocol).toBeNull();
    client.close();
    await ended(client.sessionId);
    expect((await eventsOf(client.sessionId))[1]).toMatchObject({ type: "connect", data: { protocol: "" } });
  });

  it("of kubectl's port-forward is relayed although it is not a valid token", async () => {
    const pod = await Puppet.make();
    const headers = { "Sec-WebSocket-Protocol": "SPDY/3.1+portforward.k8s.io" };
    const client = await Client.open(upgrade(someone(), pod.path("", "portforward"), headers));
    expect(client.protocol).toBe("SPDY/3.1+portforward.k8s.io");
    client.close();
    expect(await ended(client.sessionId)).toMatchObject({ kind: "port-forward", outcome: "disconnected" });
  });
});

describe("a close is relayed with its code and reason", () => {
  const CLOSES: [string, number | undefined, string | undefined, { code: number; reason: string }][] = [
    ["normal", 1000, "done", { code: 1000, reason: "done" }],
    ["going away", 1001, "", { code: 1001, reason: "" }],
    ["without a code", undefined, undefined, { code: 1005, reason: "" }],
    ["internal error", 1011, "broken", { code: 1011, reason: "broken" }],
    ["a registered application code", 3000, "häßlich", { code: 3000, reason: "häßlich" }],
    ["a private code", 4999, "", { code: 4999, reason: "" }],
    ["with the longest possible reason", 1000, "x".repeat(123), { code: 1000, reason: "x".repeat(123) }],
  ];

  it.each(CLOSES)("from the cluster to the client: %s", async (_, code, reason, expected) => {
    const { pod, client } = await session();
    pod.send(frame(1, "so far\n"));
    pod.close(code, reason);
    expect(await client.closed).toEqual(expected);
    expect(client.text(1)).toBe("so far\n");
    await pod.closed();
  });

  it.each(CLOSES)("from the client to the cluster: %s", async (_, code, reason, expected) => {
    const { pod, client } = await session();
    client.send(frame(0, "bye"));
    client.close(code, reason);
    expect(await pod.closed()).toEqual(expected);
    expect(pod.received).toEqual([frame(0, "bye")]);
    await client.closed;
    expect(await ended(client.sessionId)).toMatchObject({ outcome: "disconnected", exit_code: null, reason: null });
  });
});

describe("a client that leaves while its input waits for the cluster", () => {
  const PIECE_BYTES = 1024 * 1024;
  /** More than memory and all connections hold. */
  const PIECES = 24;

  /**
   * A session whose pod reads nothing for a while, and whose client has sent more than can wait in memory.
   */
  async function waiting(stallMs: number) {
    const pod = await Puppet.make();
    const leaving = new AbortController();
    const person = someone();
    const request = await requestAs(person, pod.path(), { headers: UPGRADE });
    const client = await Client.open(env.EDGE.fetch(request, { signal: leaving.signal }));
    pod.stall(stallMs);
    for (let piece = 0; piece < PIECES; piece++) client.send(frame(0, new Uint8Array(PIECE_BYTES).fill(piece)));
    return { pod, client, leaving, person };
  }

  const stdinOf = (pod: Puppet) => pod.received.reduce((sum, message) => sum + message.length - 1, 0);

  it("with a close frame: all of it arrives, in order, and then the close", async () => {
    const { pod, client } = await waiting(1_500);
    client.close(1000, "done");
    expect(await pod.closed()).toEqual({ code: 1000, reason: "done" });
    expect(stdinOf(pod)).toBe(PIECES * PIECE_BYTES);
    const values = pod.received.map((message) => Number(message[1]));
    expect(values).toEqual(values.toSorted((one, other) => one - other));
    expect(await ended(client.sessionId)).toMatchObject({
      outcome: "disconnected",
      bytes_in: PIECES * (PIECE_BYTES + 1),
    });
  });

  it("with a close frame: it can still be killed meanwhile", async () => {
    const { client, person } = await waiting(5_000);
    client.close(1000);
    const live = await as(admin, `/-/admin/sessions/${client.sessionId}`);
    expect(await live.json()).toMatchObject({ state: "live" });
    const killed = await as(admin, `/-/admin/users/${person.email}/sessions?reason=because`, { method: "DELETE" });
    expect(await killed.json()).toEqual({ ended: [client.sessionId] });
    expect(await ended(client.sessionId)).toMatchObject({ outcome: "terminated" });
  });

  it("with a close frame: a cluster that takes nothing more ends it as stalled", async () => {
    const pod = await Puppet.make();
    const limits = {
      maxSessionsPerUser: 3,
      idleTimeoutSeconds: 600,
      maxDurationSeconds: 3600,
      stallTimeoutSeconds: 1,
      maxBufferedStdinBytes: 64 * PIECE_BYTES,
    };
    const client = await Client.open(directlyAs(someone(), pod.path(), { headers: UPGRADE }, { config: { limits } }));
    pod.stall(15_000);
    for (let piece = 0; piece < PIECES; piece++) client.send(frame(0, new Uint8Array(PIECE_BYTES)));
    client.close(1000);
    expect(await ended(client.sessionId)).toMatchObject({
      outcome: "stalled",
      reason: "session ended: the cluster stopped reading what it was sent",
    });
  });

  it("without one: its session ends at once", async () => {
    const { pod, client, leaving } = await waiting(5_000);
    leaving.abort();
    expect(await ended(client.sessionId)).toMatchObject({ outcome: "disconnected" });
    expect(stdinOf(pod)).toBeLessThan(PIECES * PIECE_BYTES);
  });
});

describe("the audit log says how a session ended", () => {
  it.each([
    [0, [SUCCESS]],
    [
      3,
      [
        frame(3, '{"metadata":{},"status":"Failure","message":"command terminated with exit code 3",'),
        frame(3, '"reason":"NonZeroExitCode","details":{"causes":[{"reason":"ExitCode","message":"3"}]}}'),
      ],
    ],
  ])("with the command's exit code %d", async (exitCode, messages) => {
    const { pod, client } = await session();
    for (const message of messages) pod.send(message);
    pod.close(1000);
    await client.closed;
    expect(client.received).toEqual(messages);
    const row = await ended(client.sessionId);
    expect(row).toMatchObject({ outcome: "exited", exit_code: exitCode, reason: null, ended_by: null });
  });

  it("with the exit code although the client closes first, as kubectl does", async () => {
    const { pod, client } = await session();
    pod.send(SUCCESS);
    await eventually(() => expect(client.received.length).toBe(1));
    client.close();
    expect(await ended(client.sessionId)).toMatchObject({ outcome: "exited", exit_code: 0 });
  });

  it.each(["channel.k8s.io", "v2.channel.k8s.io", "v3.channel.k8s.io", "base64.channel.k8s.io"])(
    "with the exit code in the text of %s, or with success where a normal close has none",
    async (protocols) => {
      const text = "command terminated with non-zero exit code: error executing command [sh -c exit 3], exit code 3";
      for (const [exitCode, error] of [
        [3, text],
        [0, undefined],
      ] as const) {
        const { pod, client } = await session({ protocols });
        if (error) pod.send(protocols.startsWith("base64") ? `3${btoa(error)}` : frame(3, error));
        pod.close(1000);
        await client.closed;
        expect(await ended(client.sessionId)).toMatchObject({ outcome: "exited", exit_code: exitCode, reason: null });
      }
    },
  );

  it("with the cluster's message when the command could not run", async () => {
    const client = await Client.open(upgrade(someone(), `${PODS}/no-command/exec?command=nosuch`));
    await client.closed;
    expect(await ended(client.sessionId)).toMatchObject({
      outcome: "failed",
      exit_code: null,
      reason: 'exec: "nosuch": executable file not found in $PATH',
    });
  });

  it.each([
    ["closed", 1000, null],
    ["upstream_lost", 1011, "the connection to the cluster was lost (WebSocket close 1011)"],
  ])("as %s when the cluster closes with %d and no status", async (outcome, code, reason) => {
    const { pod, client } = await session();
    pod.close(code);
    expect((await client.closed).code).toBe(code);
    expect(await ended(client.sessionId)).toMatchObject({ outcome, exit_code: null, reason });
  });

  it("as disconnected when the client's connection breaks, and the cluster's is closed", async () => {
    const pod = await Puppet.make();
    const leaving = new AbortController();
    const request = await requestAs(someone(), pod.path(), {
      headers: { Connection: "Upgrade", Upgrade: "websocket" },
    });
    const client = await Client.open(env.EDGE.fetch(request, { signal: leaving.signal }));
    client.send(frame(0, "x"));
    await eventually(() => expect(pod.received.length).toBe(1));
    leaving.abort();
    expect(await ended(client.sessionId)).toMatchObject({ outcome: "disconnected", bytes_in: 2, messages_in: 1 });
    // 1006 must not be sent, and becomes "going away".
    expect((await pod.closed()).code).toBe(1001);
  });

  it("with exact counts of messages and bytes", async () => {
    const { pod, client } = await session({ query: "command=sh&stdin=true" });
    for (const message of [frame(1, "12345"), frame(2, ""), new Uint8Array(0)]) pod.send(message);
    for (const message of [frame(0, "äö"), frame(4, "{}")]) client.send(message);
    await eventually(() => expect(pod.received.length).toBe(2));
    pod.send(SUCCESS);
    pod.close(1000);
    await client.closed;
    expect(await ended(client.sessionId)).toMatchObject({
      messages_out: 4,
      bytes_out: 6 + 1 + 0 + SUCCESS.length,
      messages_in: 2,
      bytes_in: 5 + 3,
    });
  });

  it("with its user, its target and its client", async () => {
    const person = someone();
    const headers = { "CF-Connecting-IP": "203.0.113.7", "User-Agent": "kubectl/v1.36.3", "Kubectl-Session": "s" };
    const before = Date.now();
    const client = await Client.open(
      upgrade(
        person,
        `${PODS}/exit-3/exec?command=sh&command=-c&command=caf%C3%A9+%F0%9F%9A%AA&container=main&tty=true`,
        headers,
      ),
    );
    await client.closed;
    const row = await ended(client.sessionId);
    expect(row).toMatchObject({
      id: client.sessionId,
      user: person.email,
      kubernetes_user: person.email,
      kubernetes_groups: ["developers", "oncall"],
      cluster: "test-cluster",
      kind: "exec",
      namespace: "demo",
      pod: "exit-3",
      container: "main",
      command: ["sh", "-c", "café 🚪"],
      tty: true,
      ports: [],
      client_address: "203.0.113.7",
      user_agent: "kubectl/v1.36.3",
      exit_code: 3,
    });
    expect(row.started_at).toBeGreaterThanOrEqual(before);
    expect(row.ended_at).toBeGreaterThanOrEqual(row.started_at);
    const events = await eventsOf(client.sessionId);
    expect(events.map(({ seq, type }) => [seq, type])).toEqual([
      [0, "start"],
      [1, "connect"],
      [2, "end"],
    ]);
  });
});

it("the log has the hash of a session's last event", async () => {
  const log = vi.spyOn(console, "log").mockImplementation(() => {});
  const { client } = await session();
  client.close();
  await ended(client.sessionId);
  const hash = await env.AUDIT_DB.prepare("SELECT hash FROM events WHERE session_id = ? AND type = 'end'")
    .bind(client.sessionId)
    .first<string>("hash");
  const line = { event: "session_ended", level: "log", session: client.sessionId, hash };
  expect(log.mock.calls.flat()).toContain(JSON.stringify(line));
  log.mockRestore();
});

describe("a lost connection to the cluster", () => {
  it("is reported on the error channel, so that kubectl prints it instead of exiting 0", async () => {
    const { pod, client } = await session();
    pod.send(frame(1, "so far\n"));
    await eventually(() => expect(client.received.length).toBe(1));
    pod.crash();
    expect(await client.closed).toEqual({ code: 1000, reason: "" });
    expect(JSON.parse(client.text(3))).toMatchObject({
      status: "Failure",
      message: "the connection to the cluster was lost",
    });
    expect(await ended(client.sessionId)).toMatchObject({
      outcome: "upstream_lost",
      reason: "the connection to the cluster was lost (WebSocket close 1006)",
    });
  });

  it("after the command's status changes nothing", async () => {
    const { pod, client } = await session();
    pod.send(SUCCESS);
    await eventually(() => expect(client.received.length).toBe(1));
    pod.crash();
    // With any other code kubectl prints the close, and exits 1.
    expect(await client.closed).toEqual({ code: 1000, reason: "" });
    expect(client.received).toEqual([SUCCESS]);
    expect(await ended(client.sessionId)).toMatchObject({ outcome: "exited", exit_code: 0 });
  });
});

describe("a fault of Sallyport's own", () => {
  it.each(["fromClient", "fromUpstream"] as const)("in %s is logged, and told as such", async (direction) => {
    const { pod, client } = await session();
    const fault = vi.spyOn(ExecObserver.prototype, direction).mockImplementation(() => {
      throw new RangeError("a bug");
    });
    const log = vi.spyOn(console, "error").mockImplementation(() => {});
    if (direction === "fromClient") client.send(frame(0, "in"));
    else pod.send(frame(1, "out"));
    expect(await client.closed).toEqual({ code: 1000, reason: "" });
    expect(JSON.parse(client.text(3))).toMatchObject({
      message: expect.stringMatching(/^Sallyport failed: try again/),
    });
    expect(await ended(client.sessionId)).toMatchObject({
      outcome: "failed",
      reason: "Sallyport failed, as its log says",
    });
    expect((await pod.closed()).code).toBe(1001);
    const lines = log.mock.calls.map(([line]) => JSON.parse(line as string));
    const failed = { event: "session_failed", level: "error", session: client.sessionId, error: "RangeError: a bug" };
    expect(lines).toEqual([expect.objectContaining(failed)]);
    for (const spy of [fault, log]) spy.mockRestore();
  });
});
