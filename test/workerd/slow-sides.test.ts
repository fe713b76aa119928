/**
 * A side that reads nothing for a while, as over either way to the cluster: what waits counts as use, however
 * short the idle limit is, and what waits for a command is in SQLite and not in memory. Real clients, and
 * pauses as long as real ones: test/e2e/waiting-sessions.test.ts.
 */
import { runInDurableObject } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { describe, expect, it, vi } from "vitest";
import { Relay } from "../../durable/relay/relay.ts";
import { UpstreamWriter } from "../../durable/relay/upstream-writer.ts";
import type { Limits } from "../../worker/config/schema.ts";
import { eventually } from "../support/eventually.ts";
import { ended } from "./audit-rows.ts";
import { Client, frame, SUCCESS } from "./client.ts";
import { directlyAs, someone, UPGRADE } from "./people.ts";
import { Puppet } from "./puppet.ts";

const MIB = 1024 * 1024;
/** What the pod has not read, but the network holds, counts as taken: a busy machine takes seconds for it. */
const IDLE_SECONDS = 8;
/** Longer than the idle limit and its clock's second. */
const PAUSE_MS = 12_000;
const LIMITS: Limits = {
  ...{ maxSessionsPerUser: 3, idleTimeoutSeconds: IDLE_SECONDS, maxDurationSeconds: 600, stallTimeoutSeconds: 60 },
  ...{ maxBufferedStdinBytes: 256 * MIB, endWithToken: false },
};
/** As kubectl sends its stdin. */
const PIECE_BYTES = 32 * 1024;

async function session(limits: Partial<Limits> = {}) {
  const pod = await Puppet.make();
  const person = someone();
  const config = { limits: { ...LIMITS, ...limits } };
  const open = () => Client.open(directlyAs(person, pod.path(), { headers: UPGRADE }, { config }));
  return { pod, person, open };
}

/** Runs a client in an object of its own, which can be kept from reading. */
async function clientThatCanPause(open: () => Promise<Client>) {
  const home = env.USER_SESSIONS.getByName(`client-${crypto.randomUUID()}`);
  const client = await runInDurableObject(home, open);
  const paused = Promise.withResolvers<void>();
  let isPaused = false;
  /** @param untilThen called again and again until the client is paused */
  const pause = async (untilThen: () => void) => {
    void runInDurableObject(home, (_, state) => {
      void state.blockConcurrencyWhile(() => paused.promise);
      isPaused = true;
    });
    await eventually(() => {
      untilThen();
      expect(isPaused).toBe(true);
    });
  };
  return { client, pause, readOn: () => paused.resolve() };
}

const stdinOf = (pod: Puppet) => pod.received.reduce((sum, message) => sum + message.length - 1, 0);

describe.concurrent("beyond the idle limit", () => {
  it("a session lives whose output its client has not read, and ends once it has and nothing more comes", async () => {
    const { pod, open } = await session();
    const { client, pause, readOn } = await clientThatCanPause(open);
    let [sent, messages] = [0, 0];
    const output = (bytes: number) => {
      pod.send(frame(1, new Uint8Array(bytes)));
      sent += bytes;
      messages++;
    };
    // A busy machine may need longer for this than the idle limit.
    await pause(() => output(1));
    const pausedAt = Date.now();
    // More than connections within the runtime hold, and less than may wait by WebSocket.
    while (sent < 6 * MIB) output(PIECE_BYTES);
    await vi.waitFor(() => expect(Date.now() - pausedAt).toBeGreaterThan(PAUSE_MS), { timeout: 2 * PAUSE_MS });
    expect(client.hungUp).toBeUndefined();
    readOn();
    const row = await ended(client.sessionId);
    expect(row).toMatchObject({ outcome: "idle_limit", bytes_out: sent + messages });
    expect((row.ended_at ?? 0) - row.started_at).toBeGreaterThan(PAUSE_MS + IDLE_SECONDS * 1000);
    await eventually(() => expect(client.text(1).length).toBe(sent));
  });

  it("a session lives whose command has not read its input, and gets all of it", async () => {
    const { pod, open } = await session();
    const client = await open();
    pod.stall(PAUSE_MS);
    for (let sent = 0; sent < 16 * MIB; sent += PIECE_BYTES) client.send(frame(0, new Uint8Array(PIECE_BYTES)));
    await eventually(() => expect(stdinOf(pod)).toBe(16 * MIB));
    pod.send(SUCCESS);
    pod.close(1000);
    const row = await ended(client.sessionId);
    expect(row).toMatchObject({ outcome: "exited", exit_code: 0 });
    expect((row.ended_at ?? 0) - row.started_at).toBeGreaterThan(PAUSE_MS - 1000);
  });

  it("a session in which nothing waits has ended", async () => {
    const { open } = await session();
    const client = await open();
    const row = await ended(client.sessionId);
    expect(row).toMatchObject({ outcome: "idle_limit" });
  });
});

it("60 MB of input that a command does not read wait in SQLite: memory holds 8 MiB of it at most", async () => {
  const STDIN_BYTES = 60_000_000;
  const { pod, person, open } = await session({ idleTimeoutSeconds: 600 });
  const started = vi.spyOn(Relay.prototype, "start");
  const client = await open();
  const relay = started.mock.contexts[0] as Relay;
  started.mockRestore();
  let mostInMemory = 0;
  const { send } = UpstreamWriter.prototype;
  const sending = vi.spyOn(UpstreamWriter.prototype, "send").mockImplementation(function (
    this: UpstreamWriter,
    message,
  ) {
    send.call(this, message);
    mostInMemory = Math.max(mostInMemory, relay.waitingBytes);
  });
  const inStorage = () =>
    runInDurableObject(env.USER_SESSIONS.getByName(person.email), (_, { storage }) => {
      return storage.sql.exec<{ bytes: number }>("SELECT ifnull(sum(length(bytes)), 0) bytes FROM buffered_stdin").one()
        .bytes;
    });
  pod.stall(20_000);
  for (let sent = 0; sent < STDIN_BYTES; sent += PIECE_BYTES) {
    const bytes = Math.min(PIECE_BYTES, STDIN_BYTES - sent);
    client.send(frame(0, new Uint8Array(bytes).fill((sent / PIECE_BYTES) % 251)));
  }
  // What is neither in memory nor in the connections of a command that reads nothing.
  await eventually(async () => expect(await inStorage()).toBeGreaterThan(STDIN_BYTES / 2));
  expect(mostInMemory).toBeGreaterThan(1 * MIB);
  await eventually(() => expect(stdinOf(pod)).toBe(STDIN_BYTES));
  expect(mostInMemory).toBeLessThanOrEqual(8 * MIB);
  expect(await inStorage()).toBe(0);
  const order = pod.received.flatMap((message) => {
    const values: number[] = [];
    for (let at = 1; at < message.length; at += PIECE_BYTES) values.push(Number(message[at]));
    return values;
  });
  const expected = Array.from({ length: Math.ceil(STDIN_BYTES / PIECE_BYTES) }, (_, piece) => piece % 251);
  expect(order).toEqual(expected);
  sending.mockRestore();
  client.close(1000);
});

it("at the bound of what may be stored the session ends, and its client reads why", async () => {
  const { pod, open } = await session({ maxBufferedStdinBytes: 1 * MIB });
  const client = await open();
  pod.stall(5_000);
  // More than connections, memory and the bound take together.
  for (let sent = 0; sent < 48 * MIB && !client.hungUp; sent += MIB / 4) {
    client.send(frame(0, new Uint8Array(MIB / 4)));
  }
  expect(await client.closed).toEqual({ code: 1000, reason: "" });
  const message = "session ended: its command does not read its input, and 1 MiB of it wait, the most allowed";
  expect(JSON.parse(client.text(3))).toMatchObject({ kind: "Status", status: "Failure", message });
  expect(await ended(client.sessionId)).toMatchObject({ outcome: "stalled", reason: message });
});
