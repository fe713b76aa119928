import { describe, expect, it } from "vitest";
import type { Limits } from "../../worker/config/schema.ts";
import { ended } from "./audit-rows.ts";
import { Client, type Closed, frame } from "./client.ts";
import { directlyAs, IS_TCP, someone, UPGRADE } from "./people.ts";
import { Puppet } from "./puppet.ts";

const IDLE = "session ended: idle for 3s, the longest allowed";
const PORT_FORWARD = "SPDY/3.1+portforward.k8s.io";
/** SPDY/3 control frames: type 6 (PING) of either side, and type 4 (SETTINGS) without entries. */
const CLIENT_PING = Uint8Array.of(0x80, 3, 0, 6, 0, 0, 0, 4, 0, 0, 0, 1);
const SERVER_PING = Uint8Array.of(0x80, 3, 0, 6, 0, 0, 0, 4, 0, 0, 0, 2);
const SETTINGS = Uint8Array.of(0x80, 3, 0, 4, 0, 0, 0, 4, 0, 0, 0, 0);
/** A data frame of stream 1 with one byte. */
const DATA = Uint8Array.of(0, 0, 0, 1, 0, 0, 0, 1, 0x78);

interface Setting {
  readonly limits: Omit<Limits, "maxSessionsPerUser" | "endWithToken">;
  readonly query?: string;
  readonly subresource?: string;
  readonly protocol?: string;
}

async function session({ limits, query, subresource, protocol = "v5.channel.k8s.io" }: Setting) {
  const pod = await Puppet.make();
  const answer = directlyAs(
    someone(),
    pod.path(query, subresource),
    { headers: { ...UPGRADE, "Sec-WebSocket-Protocol": protocol } },
    { config: { limits: { maxSessionsPerUser: 3, ...limits } } },
  );
  return { pod, client: await Client.open(answer) };
}

/** Repeats `act` until the session ends. */
async function whileOpen(closed: Promise<Closed>, act: () => void): Promise<Closed> {
  const timer = setInterval(act, 200);
  const close = await closed;
  clearInterval(timer);
  return close;
}

// Concurrently, because each lasts as long as its limit.
describe.concurrent("a session", () => {
  it("that is idle too long ends with a message that kubectl prints and the audit log has", async () => {
    const { pod, client } = await session({
      limits: { idleTimeoutSeconds: 3, maxDurationSeconds: 60, stallTimeoutSeconds: 30, maxBufferedStdinBytes: 0 },
    });
    pod.send(frame(1, "$ "));
    expect(await client.closed).toEqual({ code: 1000, reason: "" });
    expect(client.text(1)).toBe("$ ");
    expect(JSON.parse(client.text(3))).toMatchObject({ kind: "Status", status: "Failure", message: IDLE });
    const close = await pod.closed();
    expect(close).toEqual({ code: 1001, reason: IDLE });
    const row = await ended(client.sessionId);
    expect(row).toMatchObject({
      outcome: "idle_limit",
      reason: IDLE,
      ended_by: null,
      exit_code: null,
      messages_out: 1,
    });
    expect((row.ended_at ?? 0) - row.started_at).toBeGreaterThanOrEqual(3_000);
  });

  it("begins a new line on a terminal, where the client then shows the error, once", async () => {
    const query = "command=sh&stdin=true&stdout=true&tty=true";
    const { client } = await session({
      limits: { idleTimeoutSeconds: 3, maxDurationSeconds: 60, stallTimeoutSeconds: 30, maxBufferedStdinBytes: 0 },
      query,
    });
    expect((await client.closed).code).toBe(1000);
    expect(client.text(1)).toBe("\r\n");
    expect(JSON.parse(client.text(3)).message).toBe(IDLE);
    expect(client.received.map((message) => message[0])).toEqual([1, 3]);
  });

  it("gets the message in a browser's base64 protocol", async () => {
    const protocol = "v4.base64.channel.k8s.io";
    const { client } = await session({
      limits: { idleTimeoutSeconds: 3, maxDurationSeconds: 60, stallTimeoutSeconds: 30, maxBufferedStdinBytes: 0 },
      protocol,
    });
    expect((await client.closed).code).toBe(1000);
    const [message = ""] = client.received as string[];
    expect(message.charAt(0)).toBe("3");
    expect(JSON.parse(atob(message.slice(1)))).toMatchObject({ status: "Failure", message: IDLE });
  });

  it.each([
    ["typing", (client: Client) => client.send(frame(0, "x"))],
    ["output", (_: Client, pod: Puppet) => pod.send(frame(1, "x"))],
  ])("that is used (%s) is not idle, but ends at the longest duration", async (_, use) => {
    const { pod, client } = await session({
      limits: { idleTimeoutSeconds: 5, maxDurationSeconds: 8, stallTimeoutSeconds: 30, maxBufferedStdinBytes: 0 },
    });
    const close = await whileOpen(client.closed, () => use(client, pod));
    const message = "session ended: it reached the longest duration allowed (8s)";
    expect(close.code).toBe(1000);
    expect(JSON.parse(client.text(3))).toMatchObject({ message: message });
    const row = await ended(client.sessionId);
    expect(row).toMatchObject({ outcome: "duration_limit", reason: message });
    expect((row.ended_at ?? 0) - row.started_at).toBeGreaterThanOrEqual(8_000);
  });

  it("is idle although empty frames are relayed", async () => {
    const { pod, client } = await session({
      limits: { idleTimeoutSeconds: 3, maxDurationSeconds: 30, stallTimeoutSeconds: 30, maxBufferedStdinBytes: 0 },
    });
    await whileOpen(client.closed, () => {
      pod.send(frame(1, ""));
      client.send(frame(0, ""));
    });
    expect(await ended(client.sessionId)).toMatchObject({ outcome: "idle_limit" });
  });

  it("whose cluster never answers ends too", async () => {
    const pod = await Puppet.make({ hold: true });
    const limits = {
      maxSessionsPerUser: 3,
      idleTimeoutSeconds: 3,
      maxDurationSeconds: 60,
      stallTimeoutSeconds: 30,
      maxBufferedStdinBytes: 0,
    };
    const person = someone();
    const response = await directlyAs(person, pod.path(), { headers: UPGRADE }, { config: { limits } });
    expect(response.status).toBe(403);
    expect(await response.json()).toMatchObject({ kind: "Status", message: IDLE });
    // workerd's HTTP server does not look for a client's FIN while it works on an answer; Go's does.
    if (!IS_TCP) await pod.cancelled();
  });
});

describe.concurrent("a port-forward", () => {
  const limits = { idleTimeoutSeconds: 3, maxDurationSeconds: 6, stallTimeoutSeconds: 30, maxBufferedStdinBytes: 0 };
  const tunnel = { limits, query: "", subresource: "portforward", protocol: PORT_FORWARD };

  it.each([
    ["PINGs", [CLIENT_PING, SERVER_PING]],
    ["SETTINGS", [SETTINGS, SETTINGS]],
    ["PINGs in single bytes", [CLIENT_PING, SERVER_PING].map((ping) => [...ping].map((byte) => Uint8Array.of(byte)))],
  ])("is idle although %s are relayed, which kubectl sends as long as it runs", async (_, [up, down]) => {
    const { pod, client } = await session(tunnel);
    const close = await whileOpen(client.closed, () => {
      for (const message of [up].flat()) if (message) client.send(message);
      for (const message of [down].flat()) if (message) pod.send(message);
    });
    expect(close.code).toBe(1000);
    expect(await ended(client.sessionId)).toMatchObject({ outcome: "idle_limit" });
  });

  it.each([
    ["from the client", (client: Client) => client.send(DATA)],
    ["from the pod", (_: Client, pod: Puppet) => pod.send(DATA)],
  ])("is in use while data is relayed %s", async (_, use) => {
    const { pod, client } = await session(tunnel);
    await whileOpen(client.closed, () => use(client, pod));
    expect(await ended(client.sessionId)).toMatchObject({ outcome: "duration_limit" });
  });
});
