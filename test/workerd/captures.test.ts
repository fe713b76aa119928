import { env } from "cloudflare:workers";
import { describe, expect, it } from "vitest";
import { concatBytes } from "../../common/bytes.ts";
import { PORT_FORWARD_TUNNEL } from "../../durable/protocols/port-forward-tunnel.ts";
import { eventually } from "../support/eventually.ts";
import { ended, endedOf } from "./audit-rows.ts";
import { Client } from "./client.ts";
import { as, requestAs, someone, UPGRADE } from "./people.ts";
import { Puppet } from "./puppet.ts";

/**
 * Replays captures of real clients and a real API server with the object between them. See
 * ../vectors/captures; the directions and types are those of its README.
 */
interface Handshake {
  readonly method: string;
  readonly url: string;
  readonly offered: string | null;
  readonly status: number;
  readonly chosen: string | null;
  readonly body?: string;
}

interface Frame {
  readonly dir: "to-server" | "to-client";
  readonly type: "binary" | "text" | "close" | "ping" | "pong" | "continuation" | "tcp-end";
  readonly fin?: boolean;
  readonly base64?: string;
}

interface Capture {
  readonly handshake: Handshake;
  readonly frames: readonly Frame[];
}

const texts = import.meta.glob<string>("../vectors/captures/*.jsonl", {
  query: "?raw",
  import: "default",
  eager: true,
});
const captures = new Map(
  Object.entries(texts).map(([path, text]) => [path.replace(/^.*\/|\.jsonl$/g, ""), parse(text)]),
);

function parse(text: string): Capture {
  const [first, ...frames] = text
    .trim()
    .split("\n")
    .map((line) => JSON.parse(line));
  return { handshake: first.handshake, frames };
}

const EXITED = (exit_code: number) => ({ outcome: "exited", exit_code, reason: null });
const DISCONNECTED = { outcome: "disconnected", exit_code: null, reason: null };

/** What the audit log must say about each. Written by hand, so as not to share our parser's bugs. */
const EXPECTED: Readonly<Record<string, object>> = {
  "client-node-exec": EXITED(3),
  "client-node-exec-stdin": EXITED(0),
  // Its client sent nothing more, and the server closed normally.
  "client-node-port-forward": { outcome: "closed", exit_code: null, reason: null },
  "python-exec": EXITED(3),
  "python-exec-stdin": EXITED(2),
  ...Object.fromEntries(
    ["kubectl-1.32.4", "kubectl-1.36.3"].flatMap((kubectl) => [
      [`${kubectl}-attach-logger`, DISCONNECTED],
      [`${kubectl}-cp-in`, EXITED(1)],
      [`${kubectl}-cp-in-2`, EXITED(0)],
      [`${kubectl}-cp-out`, EXITED(0)],
      [`${kubectl}-exec-200k`, EXITED(0)],
      [`${kubectl}-exec-exit-3`, EXITED(3)],
      [
        `${kubectl}-exec-no-command`,
        {
          outcome: "failed",
          exit_code: null,
          reason: expect.stringMatching(/exec: "nosuch": executable file not found/),
        },
      ],
      [`${kubectl}-exec-ok`, EXITED(0)],
      [`${kubectl}-exec-stdin`, EXITED(0)],
      [`${kubectl}-exec-stdin-empty`, EXITED(0)],
      [`${kubectl}-exec-tty`, EXITED(3)],
      [`${kubectl}-exec-utf8-split`, EXITED(0)],
      [`${kubectl}-port-forward`, DISCONNECTED],
      [`${kubectl}-port-forward-closed-port`, DISCONNECTED],
    ]),
  ),
  // This kubectl left when it had the whole archive, before the cluster had sent the Status.
  "kubectl-1.32.4-cp-out": DISCONNECTED,
};

const NO_CONTAINER = ["kubectl-1.32.4-exec-no-container", "kubectl-1.32.4-exec-no-container-2"];

it("every capture is replayed", () => {
  expect(new Set(captures.keys())).toEqual(new Set([...Object.keys(EXPECTED), ...NO_CONTAINER]));
});

describe("a real session is relayed byte for byte, and is in the audit log", () => {
  it.each(Object.entries(EXPECTED))("%s", async (name, expected) => {
    const { handshake, frames } = captureOf(name);
    const pod = await Puppet.make({ protocol: handshake.chosen ?? "" });
    const leaving = new AbortController();
    const path = handshake.url.replace(/\/pods\/[^/]+\//, `/pods/${pod.name}/`);
    const headers = { Connection: "Upgrade", Upgrade: "websocket", "Sec-WebSocket-Protocol": handshake.offered ?? "" };
    const request = await requestAs(someone(), path, { headers });
    const client = await Client.open(env.EDGE.fetch(request, { signal: leaving.signal }));
    expect(client.protocol).toBe(handshake.chosen);

    const [data, hangUp] = cutAtClose(frames);
    const [toServer, toClient] = [messages(data, "to-server"), messages(data, "to-client")];
    const join = handshake.chosen === PORT_FORWARD_TUNNEL ? joined : merged;
    await replay(data, pod, client, join);
    if (hangUp.dir === "to-client") pod.close(1000);
    else if (hangUp.type === "close") client.close(1000);
    else leaving.abort();
    const row = await ended(client.sessionId);
    expect(join(pod.received)).toEqual(join(toServer));
    expect(join(client.received)).toEqual(join(toClient));
    expect(row).toMatchObject({
      ...expected,
      messages_in: toServer.length,
      messages_out: toClient.length,
      bytes_in: size(toServer),
      bytes_out: size(toClient),
    });
  });
});

it("a real refusal reaches both of kubectl's halves unchanged, and is in the audit log once", async () => {
  const [first, second] = NO_CONTAINER.map(captureOf);
  if (!first || !second) throw new Error("no such captures");
  expect([first.handshake.method, second.handshake.method]).toEqual(["GET", "POST"]);
  const person = someone();
  const pod = await Puppet.make({ hold: true });
  const path = first.handshake.url.replace("/pods/shell/", `/pods/${pod.name}/`);
  const answer = as(person, path, { headers: { ...UPGRADE, "Kubectl-Session": "s" } });
  await pod.request();
  pod.refuse(first.handshake.status, first.handshake.body ?? "", { "Content-Type": "application/json" });
  const get = await answer;
  const post = await as(person, path, {
    method: "POST",
    headers: { Connection: "Upgrade", Upgrade: "SPDY/3.1", "Kubectl-Session": "s" },
  });
  expect([get.status, await get.text()]).toEqual([400, first.handshake.body]);
  expect([post.status, await post.text()]).toEqual([400, second.handshake.body]);
  const [row] = await endedOf(person.email, 1);
  expect(row).toMatchObject({
    outcome: "refused",
    reason: "container nope is not valid for pod shell",
    container: "nope",
  });
});

function captureOf(name: string): Capture {
  const capture = captures.get(name);
  if (!capture) throw new Error(`there is no capture ${name}`);
  return capture;
}

type Message = Uint8Array | string;

/** The messages of one direction. A frame that is not final belongs to the same message as the next one. */
function messages(frames: readonly Frame[], dir: Frame["dir"]): Message[] {
  const data = frames.filter((frame) => frame.dir === dir && ["binary", "text", "continuation"].includes(frame.type));
  // No capture has a message in several frames. One would have to be joined here.
  expect(data.every(({ fin = true }) => fin)).toBe(true);
  return data.map(message);
}

function message({ type, base64 = "" }: Frame): Message {
  const bytes = Uint8Array.from(atob(base64), (char) => char.charCodeAt(0));
  return type === "text" ? new TextDecoder().decode(bytes) : bytes;
}

function size(list: readonly Message[]): number {
  return list.reduce((sum, { length }) => sum + length, 0);
}

/** Cuts at the first close, which decides the outcome. Nobody received what the other side sent then. */
function cutAtClose(frames: readonly Frame[]): [readonly Frame[], Frame] {
  const at = frames.findIndex(({ type }) => type === "close" || type === "tcp-end");
  const hangUp = frames[at];
  if (!hangUp) throw new Error("a capture without an end");
  return [frames.slice(0, at), hangUp];
}

/**
 * Merges consecutive frames of stdin, stdout or stderr: borders within a channel carry no meaning, and the
 * relay merges them when many arrive. Everything else must keep its borders.
 */
function merged(list: readonly Message[]): Message[] {
  const joins: Message[] = [];
  for (const message of list) {
    const last = joins.at(-1);
    if (isStream(message) && last !== undefined && isStream(last) && last[0] === message[0]) {
      const both = new Uint8Array(last.length + message.length - 1);
      both.set(last);
      both.set(message.subarray(1), last.length);
      joins[joins.length - 1] = both;
    } else joins.push(message);
  }
  return joins;
}

function isStream(message: Message): message is Uint8Array {
  return typeof message !== "string" && message.length > 1 && (message[0] ?? 3) <= 2;
}

/** In a tunnel, no border between messages has a meaning. */
function joined(list: readonly Message[]): Message[] {
  return [concatBytes(list.filter((message) => typeof message !== "string"))];
}

/** Sends every frame from its side. Before the direction changes, the other side has received everything. */
async function replay(frames: readonly Frame[], pod: Puppet, client: Client, join: typeof joined): Promise<void> {
  const sent: Record<Frame["dir"], Message[]> = { "to-server": [], "to-client": [] };
  const bytes = (list: readonly Message[]) => size(join(list));
  const allArrived = () =>
    eventually(() =>
      expect([bytes(pod.received), bytes(client.received)]).toEqual([
        bytes(sent["to-server"]),
        bytes(sent["to-client"]),
      ]),
    );
  let last: Frame["dir"] | undefined;
  for (const frame of frames) {
    if (frame.dir !== last) await allArrived();
    last = frame.dir;
    const content = message(frame);
    if (frame.dir === "to-server") client.send(content);
    else pod.send(content);
    sent[frame.dir].push(content);
  }
  await allArrived();
}
