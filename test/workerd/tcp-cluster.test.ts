/**
 * A cluster over TCP in the real runtime: the binding, the leg on it, and how each end hears of the other's.
 */
import { env } from "cloudflare:workers";
import { describe, expect, it } from "vitest";
import { findTcpBinding, type TcpBinding } from "../../contract/bindings.ts";
import type { LegClose, UpstreamLeg } from "../../durable/upstream/leg.ts";
import { openTcpLeg } from "../../durable/upstream/open-tcp-leg.ts";
import { eventually } from "../support/eventually.ts";
import { ended } from "./audit-rows.ts";
import { Client, frame } from "./client.ts";
import { directlyAs, someone, UPGRADE } from "./people.ts";
import { Puppet } from "./puppet.ts";
import { expectStatus } from "./statuses.ts";

const PROTOCOL = "v5.channel.k8s.io";
const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes);
const bytes = (text: string) => new TextEncoder().encode(text);

function connect() {
  const binding = findTcpBinding(env, "KUBE_API_TCP");
  if (!binding) throw new Error("no binding");
  return binding.connect("any.invalid:1", { allowHalfOpen: true, secureTransport: "off" });
}

async function openLeg(pod: Puppet): Promise<UpstreamLeg> {
  const headers = new Headers({ ...UPGRADE, "Sec-WebSocket-Protocol": PROTOCOL });
  const opened = await openTcpLeg(connect(), { target: pod.path(), host: "localhost", headers }, 1_000);
  if (!opened.ok) throw new Error(opened.error.kind);
  return opened.value;
}

/** Takes all that a leg delivers. */
function collect(leg: UpstreamLeg) {
  const received: string[] = [];
  const closes: LegClose[] = [];
  leg.start({
    onPart: (part) => received.push(text(part.bytes)),
    onPause: () => {},
    onPong: () => {},
    onClose: (close) => closes.push(close),
    onFailure: (error) => {
      throw error;
    },
    whenRoom: () => undefined,
  });
  return { received, closes };
}

describe("a binding for TCP", () => {
  it("leads to the cluster's HTTP server, whatever address is asked for", async () => {
    const socket = connect();
    const writer = socket.writable.getWriter();
    await writer.write(bytes("GET /version?a=b HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"));
    const answer = await new Response(socket.readable).text();
    expect(answer).toMatch(/^HTTP\/1\.1 200 OK\r\n/);
    expect(answer).toContain('"url":"http://localhost/version?a=b"');
  });

  it.each([
    ["is not bound", {}],
    ["cannot connect", { KUBE_API_TCP: { fetch: () => {} } }],
    ["is a variable", { KUBE_API_TCP: "connect" }],
    ["is null", { KUBE_API_TCP: null }],
  ])("is found to be none where it %s", (_, bound) => {
    expect(findTcpBinding(bound, "KUBE_API_TCP")).toBeUndefined();
  });

  it("is found where it has connect()", () => {
    const binding = { connect: () => {} } as unknown as TcpBinding;
    expect(findTcpBinding({ KUBE_API_TCP: binding }, "KUBE_API_TCP")).toBe(binding);
  });
});

describe("a WebSocket over it", () => {
  it("passes messages both ways, and closes both ways", async () => {
    const pod = await Puppet.make();
    const leg = await openLeg(pod);
    expect(leg.subprotocol).toBe(PROTOCOL);
    const { received, closes } = collect(leg);
    leg.send(bytes("in"));
    await eventually(() => expect(pod.received.map((one) => text(one as Uint8Array))).toEqual(["in"]));
    pod.send(bytes("out"));
    await eventually(() => expect(received).toEqual(["out"]));
    pod.close(1000, "done");
    await eventually(() => expect(closes).toEqual([{ code: 1000, reason: "done" }]));
    await pod.closed();
  });

  it("that is aborted reaches the cluster as a broken connection", async () => {
    const pod = await Puppet.make();
    const leg = await openLeg(pod);
    const { closes } = collect(leg);
    leg.send(bytes("in"));
    await eventually(() => expect(pod.received).toHaveLength(1));
    leg.abort();
    expect(closes).toEqual([{ code: 1006, reason: "" }]);
    expect(await pod.closed()).toMatchObject({ code: 1006 });
  });

  it("that the cluster breaks is reported as broken", async () => {
    const pod = await Puppet.make();
    const { closes } = collect(await openLeg(pod));
    pod.crash();
    await eventually(() => expect(closes).toEqual([{ code: 1006, reason: "" }]));
  });
});

describe("the way to a cluster", () => {
  /** Which way a session takes: a handshake on the wire has a key, one inside the runtime has none. */
  async function wayOf(pod: Puppet): Promise<"tcp" | "websocket"> {
    const { headers } = await pod.request();
    return "sec-websocket-key" in headers ? "tcp" : "websocket";
  }

  it.each([
    ["auto", "KUBE_API_TCP", "tcp"],
    ["auto", undefined, "websocket"],
    ["auto", "KUBE_NOT_BOUND", "websocket"],
    ["tcp", "KUBE_API_TCP", "tcp"],
    ["websocket", "KUBE_API_TCP", "websocket"],
  ] as const)("with transport %s and the binding %s is %s", async (transport, tcpBinding, way) => {
    const pod = await Puppet.make();
    const person = someone();
    const response = await directlyAs(person, pod.path(), { headers: UPGRADE }, { config: { transport, tcpBinding } });
    const client = await Client.open(response);
    expect(await wayOf(pod)).toBe(way);
    client.send(frame(0, "in"));
    await eventually(() => expect(pod.received).toEqual([new Uint8Array([0, ...bytes("in")])]));
    client.close();
    expect(await ended(client.sessionId)).toMatchObject({ user: person.email, bytes_in: 3 });
  });

  it("with transport tcp is refused where the binding is missing, and nothing else is tried", async () => {
    const pod = await Puppet.make();
    const config = { transport: "tcp", tcpBinding: "KUBE_NOT_BOUND" } as const;
    const response = await directlyAs(someone(), pod.path(), { headers: UPGRADE }, { config });
    await expectStatus(response, "ServiceUnavailable", /this cluster was added/);
    expect(pod.isAsked).toBe(false);
  });

  it("with transport tcp is refused where the cluster's own binding cannot connect", async () => {
    const pod = await Puppet.make();
    const config = { transport: "tcp", tcpBinding: undefined } as const;
    const response = await directlyAs(someone(), pod.path(), { headers: UPGRADE }, { config });
    await expectStatus(response, "ServiceUnavailable", /the cluster cannot be reached/);
    expect(pod.isAsked).toBe(false);
  });
});
