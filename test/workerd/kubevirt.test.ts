import { env } from "cloudflare:workers";
import { describe, expect, it } from "vitest";
import type { Limits } from "../../worker/config/schema.ts";
import { eventually } from "../support/eventually.ts";
import { ended, endedOf, eventsOf } from "./audit-rows.ts";
import { Client, type Closed } from "./client.ts";
import { admin, as, directlyAs, requestAs, someone, upgrade } from "./people.ts";
import { Puppet } from "./puppet.ts";

const PLAIN = "plain.kubevirt.io";
const HEADERS = { "Sec-WebSocket-Protocol": PLAIN };

/** Every kind: the end of its path, its name in the audit log, and the ports that the path or query names. */
const KINDS = [
  ["console", "console", []],
  ["vnc", "vnc", []],
  ["usbredir", "usbredir", []],
  ["vsock?port=1024&tls=true", "vsock", [1024]],
  ["portforward/22", "vm-port-forward", [22]],
  ["portforward/53/udp", "vm-port-forward", [53]],
] as const;

const GROUP = "/apis/subresources.kubevirt.io/v1/namespaces/demo";
const path = (vm: Puppet, rest: string) => `${GROUP}/virtualmachineinstances/${vm.name}/${rest}`;

/** A session of which the test plays both ends. */
async function session(rest: string) {
  const vm = await Puppet.make();
  const client = await Client.open(upgrade(someone(), path(vm, rest), HEADERS));
  return { vm, client };
}

async function limited(rest: string, limits: Omit<Limits, "maxSessionsPerUser" | "endWithToken">) {
  const vm = await Puppet.make();
  const init = { headers: { Connection: "Upgrade", Upgrade: "websocket", ...HEADERS } };
  const config = { limits: { maxSessionsPerUser: 3, ...limits } };
  const client = await Client.open(directlyAs(someone(), path(vm, rest), init, { config }));
  return { vm, client };
}

const text = (messages: readonly (Uint8Array | string)[]) =>
  messages.map((message) => (typeof message === "string" ? message : new TextDecoder().decode(message)));

describe.each(KINDS)("a virtual machine's %s", (rest, kind, ports) => {
  it("is relayed unchanged, bytes and text, with its borders, and is in the audit log", async () => {
    const { vm, client } = await session(rest);
    expect(client.protocol).toBe(PLAIN);
    // Bytes that channel protocols would read as channels, statuses and ends.
    const messages = [
      Uint8Array.of(0, 1, 2, 255),
      Uint8Array.of(255, 0),
      new Uint8Array(0),
      '3{"status":"Success"}',
      new TextEncoder().encode('\u0003{"status":"Failure"}'),
      new Uint8Array(200_000).fill(7),
      "",
      "äöü",
    ];
    for (const message of messages) {
      client.send(message);
      vm.send(message);
    }
    await eventually(() => expect([vm.received.length, client.received.length]).toEqual([8, 8]));
    expect([vm.received, client.received]).toEqual([messages, messages]);
    vm.close(1000);
    expect((await client.closed).code).toBe(1000);
    const row = await ended(client.sessionId);
    expect(row).toMatchObject({
      ...{ kind, namespace: "demo", pod: vm.name, container: null, command: [], ports },
      ...{ tty: kind === "console", outcome: "closed", exit_code: null, reason: null },
      ...{ messages_in: 8, messages_out: 8, forwards: null, unreadable: null },
    });
    expect([row.bytes_in, row.bytes_out]).toEqual([200_054, 200_054]);
    const events = await eventsOf(client.sessionId);
    expect(events.map(({ type }) => type)).toEqual(["start", "connect", "end"]);
    expect(events[1]?.data).toEqual({ protocol: PLAIN });
  });

  it("ends for an administrator with the message in the close frame, and on a console's screen", async () => {
    const { vm, client } = await session(rest);
    const message = "session terminated by admin@example.com: laptop stolen";
    const response = await as(admin, `/-/admin/sessions/${client.sessionId}`, {
      method: "DELETE",
      body: '{"reason":"laptop stolen"}',
    });
    expect(response.status).toBe(200);
    // 1001, because some console clients reconnect at once on any other code.
    expect(await client.closed).toEqual({ code: 1001, reason: message });
    expect(await vm.closed()).toEqual({ code: 1001, reason: message });
    expect(text(client.received)).toEqual(kind === "console" ? [`\r\n${message}\r\n`] : []);
    expect(await ended(client.sessionId)).toMatchObject({
      ...{ kind, outcome: "terminated", ended_by: "admin@example.com", reason: "laptop stolen", exit_code: null },
    });
  });

  it("ends normally when its client closes or disconnects", async () => {
    const { vm, client } = await session(rest);
    client.close(1000, "bye");
    expect(await vm.closed()).toEqual({ code: 1000, reason: "bye" });
    expect(await ended(client.sessionId)).toMatchObject({ outcome: "disconnected", reason: null });

    const second = await Puppet.make();
    const leaving = new AbortController();
    const request = await requestAs(someone(), path(second, rest), {
      headers: { Connection: "Upgrade", Upgrade: "websocket", ...HEADERS },
    });
    const broken = await Client.open(env.EDGE.fetch(request, { signal: leaving.signal }));
    leaving.abort();
    expect(await ended(broken.sessionId)).toMatchObject({ outcome: "disconnected", reason: null });
  });
});

it("a message that is too long for a close frame is cut between characters, but not in the audit log", async () => {
  const { client } = await session("vnc");
  const reason = "ü".repeat(200);
  await as(admin, `/-/admin/sessions/${client.sessionId}`, { method: "DELETE", body: JSON.stringify({ reason }) });
  const closed = await client.closed;
  expect(closed.reason).toBe(`session terminated by admin@example.com: ${"ü".repeat(41)}`);
  expect(new TextEncoder().encode(closed.reason).length).toBe(123);
  expect((await ended(client.sessionId)).reason).toBe(reason);
});

it("a lost connection to a virtual machine is reported in the same way", async () => {
  const { vm, client } = await session("console");
  vm.crash();
  const message = "the connection to the cluster was lost";
  expect(await client.closed).toEqual({ code: 1001, reason: message });
  expect(text(client.received)).toEqual([`\r\n${message}\r\n`]);
  expect(await ended(client.sessionId)).toMatchObject({ outcome: "upstream_lost" });
});

it("a refusal is the cluster's own, and in the audit log", async () => {
  const vm = await Puppet.make({ hold: true });
  const person = someone();
  const answer = upgrade(person, path(vm, "console"), HEADERS);
  await vm.request();
  vm.refuse(409, '{"kind":"Status","message":"VMI is not running"}', { "Content-Type": "application/json" });
  const response = await answer;
  expect([response.status, await response.json()]).toEqual([409, { kind: "Status", message: "VMI is not running" }]);
  const [row] = await endedOf(person.email, 1);
  expect(row).toMatchObject({ kind: "console", tty: true, outcome: "refused", reason: "VMI is not running" });
});

it("counts against the person's limit like any session", async () => {
  const person = someone();
  const vms = await Promise.all([1, 2, 3, 4].map(() => Puppet.make()));
  const answers = [];
  for (const vm of vms) answers.push(await upgrade(person, path(vm, "vnc"), HEADERS));
  expect(answers.map(({ status }) => status)).toEqual([101, 101, 101, 429]);
  for (const answer of answers.slice(0, 3)) (await Client.open(answer)).close();
});

// Concurrently, because each lasts as long as its limit.
describe.concurrent("a virtual machine's session", () => {
  const IDLE = "session ended: idle for 1s, the longest allowed";
  const LONGEST = "session ended: it reached the longest duration allowed (5s)";

  it("that is idle ends with the message", async () => {
    const { client } = await limited("vnc", {
      idleTimeoutSeconds: 1,
      maxDurationSeconds: 60,
      stallTimeoutSeconds: 30,
      maxBufferedStdinBytes: 0,
    });
    expect(await client.closed).toEqual({ code: 1001, reason: IDLE });
    expect(await ended(client.sessionId)).toMatchObject({ outcome: "idle_limit", reason: IDLE });
  });

  it("is not kept open by empty messages", async () => {
    const { vm, client } = await limited("vnc", {
      idleTimeoutSeconds: 1,
      maxDurationSeconds: 60,
      stallTimeoutSeconds: 30,
      maxBufferedStdinBytes: 0,
    });
    const send = () => {
      vm.send(new Uint8Array(0));
      client.send("");
    };
    expect((await whileOpen(client.closed, send)).reason).toBe(IDLE);
  });

  it.each(["from the client", "from the virtual machine"])("is kept open by any byte %s", async (side) => {
    const { vm, client } = await limited("console", {
      idleTimeoutSeconds: 3,
      maxDurationSeconds: 5,
      stallTimeoutSeconds: 30,
      maxBufferedStdinBytes: 0,
    });
    const sender = side === "from the client" ? client : vm;
    const closed = await whileOpen(client.closed, () => sender.send(Uint8Array.of(0)));
    expect(closed).toEqual({ code: 1001, reason: LONGEST });
    expect(await ended(client.sessionId)).toMatchObject({ outcome: "duration_limit", reason: LONGEST });
  });
});

/** Repeats `act` until the session ends. */
async function whileOpen(closed: Promise<Closed>, act: () => void): Promise<Closed> {
  const timer = setInterval(act, 200);
  const close = await closed;
  clearInterval(timer);
  return close;
}

it("a machine that sends empty messages without end is cut off, for nothing bounds what they hold", async () => {
  const { vm, client } = await session("vnc");
  for (let index = 0; index < 70_000; index++) vm.send(new Uint8Array(0));
  expect(await ended(client.sessionId)).toMatchObject({
    outcome: "protocol_error",
    reason: "session ended: the cluster sent too many empty messages in a row",
  });
});
