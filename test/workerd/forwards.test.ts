import { abortAllDurableObjects, runDurableObjectAlarm } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { describe, expect, it } from "vitest";
import type { SessionRow } from "../../audit/rows.ts";
import { encodeFrame } from "../../kubernetes/spdy/encoder.ts";
import type { SpdyFrame } from "../../kubernetes/spdy/frames.ts";
import { HeaderBlockWriter } from "../../kubernetes/spdy/header-block.ts";
import { eventually } from "../support/eventually.ts";
import { askUserObject } from "./ask-user-object.ts";
import { ended, eventsOf } from "./audit-rows.ts";
import { Client, frame } from "./client.ts";
import { admin, as, directlyAs, someone, UPGRADE, upgrade } from "./people.ts";
import { Puppet } from "./puppet.ts";

const TUNNEL = { "Sec-WebSocket-Protocol": "SPDY/3.1+portforward.k8s.io" };
const PORT_80 = { port: 80, connections: 1, bytes_in: 5, bytes_out: 100, errors: 0, first_error: null };

/** A port-forward as kubectl opens it, of which the test plays both ends. */
async function portForward(onUnreadable: "end" | "continue" = "end") {
  const person = someone();
  const pod = await Puppet.make();
  const init = { headers: { ...UPGRADE, ...TUNNEL } };
  const config = { portForward: { onUnreadable } };
  const client = await Client.open(directlyAs(person, pod.path("", "portforward"), init, { config }));
  const headers = new HeaderBlockWriter();
  const say = (...frames: SpdyFrame[]) => {
    for (const frame of frames) client.send(encodeFrame(frame, headers));
  };
  const answer = (...frames: SpdyFrame[]) => {
    for (const frame of frames) pod.send(encodeFrame(frame, new HeaderBlockWriter()));
  };
  return { person, pod, client, say, answer };
}

/** Streams 1 and 3 are of one request, 5 and 7 of the next, and so on. */
function open(streamId: number, streamtype: string, port: number, request = Math.ceil(streamId / 4)): SpdyFrame {
  const headers: [string, string][] = [
    ["streamtype", streamtype],
    ["port", String(port)],
    ["requestid", String(request)],
  ];
  const rest = { associatedStreamId: 0, priority: 0, fin: false, unidirectional: false };
  return { type: "SYN_STREAM", streamId, ...rest, headers };
}

function data(streamId: number, bytes: string | number): SpdyFrame {
  const content = typeof bytes === "string" ? new TextEncoder().encode(bytes) : new Uint8Array(bytes);
  return { type: "DATA", streamId, fin: false, data: content };
}

/** The `forward` events, once there are `count` of them. */
function forwardEvents(sessionId: string, count: number) {
  return eventually(async () => {
    const events = (await eventsOf(sessionId)).filter(({ type }) => type === "forward");
    expect(events.length).toBe(count);
    return events;
  });
}

describe("the audit log of a port-forward", () => {
  it("has each port when it is first used, and at the end what it carried", async () => {
    const { pod, client, say, answer } = await portForward();
    say(open(1, "error", 80), open(3, "data", 80), data(3, 5), open(5, "error", 9), open(7, "data", 9));
    expect((await forwardEvents(client.sessionId, 2)).map((event) => event.data)).toEqual([{ port: 80 }, { port: 9 }]);
    say(open(9, "error", 80), open(11, "data", 80), { type: "PING", id: 1 });
    answer(data(3, 100), data(5, "nobody listens"));
    await eventually(() => expect(pod.received.length).toBe(8));
    // The relay may join messages of a tunnel.
    await eventually(() =>
      expect(client.received.reduce((bytes, { length }) => bytes + length, 0)).toBe(8 + 100 + 8 + 14),
    );
    client.close();
    expect(await ended(client.sessionId)).toMatchObject({
      kind: "port-forward",
      outcome: "disconnected",
      forwards: [
        { ...PORT_80, connections: 2 },
        { port: 9, connections: 1, bytes_in: 0, bytes_out: 0, errors: 1, first_error: "nobody listens" },
      ],
      unreadable: null,
    });
    expect((await eventsOf(client.sessionId)).map(({ type }) => type)).toEqual([
      "start",
      "connect",
      "forward",
      "forward",
      "end",
    ]);
  });

  it("is available while the session is live, from the object and for administrators", async () => {
    const { person, client, say, answer } = await portForward();
    say(open(1, "error", 80), open(3, "data", 80), data(3, 5));
    answer(data(3, 100));
    const object = env.USER_SESSIONS.getByName(person.email);
    await eventually(async () =>
      expect((await askUserObject(object, "list", {}))[0]).toMatchObject({ forwards: [PORT_80] }),
    );
    expect(await askUserObject(object, "describe", { sessionId: client.sessionId })).toMatchObject({
      state: "live",
      forwards: [PORT_80],
    });
    const shown = await as(admin, `/-/admin/sessions/${client.sessionId}`);
    expect(await shown.json()).toMatchObject({
      state: "live",
      forwards: [{ port: 80, connections: 1, bytesIn: 5, bytesOut: 100, errors: 0, firstError: null }],
      unreadable: false,
    });
    client.close();
  });

  it("says why a session ended whose tunnel cannot be read, and nothing unread was passed on", async () => {
    const { pod, client, say } = await portForward();
    say(open(1, "error", 80), open(3, "data", 80));
    const hidden = encodeFrame(open(5, "data", 22), new HeaderBlockWriter());
    client.send(Uint8Array.of(0x80, 3, 0, 6, 0, 0, 0, 4 + hidden.length, 0, 0, 0, 1, ...hidden));
    say(data(3, 50));
    const message =
      `session ended: port-forward traffic cannot be read (a PING frame of ${4 + hidden.length} bytes); ` +
      "use kubectl, or contact your administrator";
    expect((await client.closed).code).toBe(1000);
    expect(new TextDecoder().decode(client.received[0] as Uint8Array)).toContain(message);
    expect(pod.received.length).toBe(2);
    expect(await ended(client.sessionId)).toMatchObject({
      outcome: "protocol_error",
      reason: message,
      forwards: [{ ...PORT_80, bytes_in: 0, bytes_out: 0 }],
      unreadable: null,
    });
  });

  it("says when the tunnel became unreadable, where its bytes are then relayed", async () => {
    const { pod, client, say } = await portForward("continue");
    say(open(1, "error", 80), open(3, "data", 80));
    const garbage = Uint8Array.of(0x80, 9, 0, 6, 0, 0, 0, 4, 1, 2, 3, 4);
    client.send(garbage);
    say(data(3, 50));
    await eventually(() => expect(pod.received.length).toBe(4));
    expect(pod.received[2]).toEqual(garbage);
    client.close();
    expect(await ended(client.sessionId)).toMatchObject({
      forwards: [{ ...PORT_80, bytes_in: 0, bytes_out: 0 }],
      unreadable: true,
    });
    const shown: { unreadable: boolean } = await (await as(admin, `/-/admin/sessions/${client.sessionId}`)).json();
    expect(shown.unreadable).toBe(true);
  });

  it("has at most 64 ports, whatever the client tries", async () => {
    const { pod, client, say } = await portForward();
    for (let port = 1; port <= 200; port++) say(open(2 * port - 1, "data", port, port));
    await eventually(() => expect(pod.received.length).toBe(200));
    client.close();
    const { forwards } = await ended(client.sessionId);
    expect(forwards?.length).toBe(65);
    expect(forwards?.[64]).toMatchObject({ port: null, connections: 136 });
    expect((await forwardEvents(client.sessionId, 64)).at(-1)?.data).toEqual({ port: 64 });
  });

  it("has the ports that the request named in the older protocol", async () => {
    const pod = await Puppet.make();
    const headers = { "Sec-WebSocket-Protocol": "v4.channel.k8s.io" };
    const client = await Client.open(upgrade(someone(), pod.path("ports=80&ports=443,9", "portforward"), headers));
    for (const channel of [0, 1, 2, 3]) pod.send(Uint8Array.of(channel, 80, 0));
    client.send(frame(0, "12345"));
    pod.send(frame(0, new Uint8Array(100)));
    await eventually(() => expect([pod.received.length, client.received.length]).toEqual([1, 5]));
    pod.close(1000);
    const empty = { ...PORT_80, bytes_in: 0, bytes_out: 0 };
    expect(await ended(client.sessionId)).toMatchObject({
      ports: [80, 443, 9],
      outcome: "closed",
      forwards: [PORT_80, { ...empty, port: 443 }],
    });
  });

  it("has the used ports after a crash, but not their byte counts", async () => {
    const { person, client, say } = await portForward();
    say(open(1, "error", 80), open(3, "data", 80));
    await forwardEvents(client.sessionId, 1);
    await abortAllDurableObjects();
    await runDurableObjectAlarm(env.USER_SESSIONS.getByName(person.email));
    const row: SessionRow = await ended(client.sessionId);
    expect(row).toMatchObject({ outcome: "interrupted", forwards: null, unreadable: null });
    expect(await forwardEvents(client.sessionId, 1)).toMatchObject([{ seq: 2, data: { port: 80 } }]);
  });

  it("answers in SQL which ports were used", async () => {
    const { client, say } = await portForward();
    say(open(1, "error", 5432), open(3, "data", 5432), data(3, 7));
    await forwardEvents(client.sessionId, 1);
    client.close();
    await ended(client.sessionId);
    const { results } = await env.AUDIT_DB.prepare(
      "SELECT f.value ->> '$.port' AS port, f.value ->> '$.bytes_in' AS bytes_in FROM sessions, json_each(sessions.forwards) AS f WHERE sessions.id = ?",
    )
      .bind(client.sessionId)
      .all();
    expect(results).toEqual([{ port: 5432, bytes_in: 7 }]);
  });
});

it("a session that forwards no ports has none in the audit log", async () => {
  const pod = await Puppet.make();
  const client = await Client.open(upgrade(someone(), pod.path()));
  client.close();
  expect(await ended(client.sessionId)).toMatchObject({ forwards: null, unreadable: null });
});
