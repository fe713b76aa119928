import { readFileSync } from "node:fs";
import { describe, expect, test, vi } from "vitest";
import type { Forward } from "../../audit/events.ts";
import { encodeFrame } from "../../kubernetes/spdy/encoder.ts";
import type { SpdyFrame } from "../../kubernetes/spdy/frames.ts";
import { HeaderBlockWriter, type SpdyHeaders } from "../../kubernetes/spdy/header-block.ts";
import { SpdyFrameParser } from "../../kubernetes/spdy/parser.ts";
import { MessageObserver } from "../support/observe-messages.ts";

const TUNNEL = "SPDY/3.1+portforward.k8s.io";

function observe(protocol = TUNNEL, ports: readonly number[] = []) {
  const used: number[] = [];
  const observer = new MessageObserver("port-forward", protocol, false, {
    ports,
    onNewPort: (port) => used.push(port),
  });
  return { observer, used };
}

const forward = (port: number | null, rest: Partial<Forward> = {}): Forward => ({
  port,
  connections: 0,
  bytes_in: 0,
  bytes_out: 0,
  errors: 0,
  first_error: null,
  ...rest,
});

/** Both directions of one tunnel, in frames. */
function tunnel() {
  const { observer, used } = observe();
  const [client, upstream] = [new HeaderBlockWriter(), new HeaderBlockWriter()];
  return {
    observer,
    used,
    forwards: () => observer.traffic()?.forwards,
    fromClient: (...frames: SpdyFrame[]) => observer.fromClient(bytesOf(frames, client)),
    fromUpstream: (...frames: SpdyFrame[]) => observer.fromUpstream(bytesOf(frames, upstream)),
  };
}

function bytesOf(frames: readonly SpdyFrame[], headers: HeaderBlockWriter): ArrayBuffer {
  return Uint8Array.from(Buffer.concat(frames.map((frame) => encodeFrame(frame, headers)))).buffer;
}

function open(streamId: number, streamtype: string, port: string | number): SpdyFrame {
  return synStream(streamId, [
    ["streamtype", streamtype],
    ["port", String(port)],
    ["requestid", "0"],
  ]);
}

function synStream(streamId: number, headers: SpdyHeaders): SpdyFrame {
  const rest = { associatedStreamId: 0, priority: 0, fin: false, unidirectional: false };
  return { type: "SYN_STREAM", streamId, ...rest, headers };
}

function data(streamId: number, content: string | number, fin = false): SpdyFrame {
  const bytes = typeof content === "string" ? new TextEncoder().encode(content) : new Uint8Array(content);
  return { type: "DATA", streamId, fin, data: bytes };
}

describe("the tunnel's account of each port", () => {
  test("has its connections and the bytes each way", () => {
    const t = tunnel();
    t.fromClient(open(1, "error", 80), open(3, "data", 80), data(3, 5), open(5, "error", 443), open(7, "data", 443));
    t.fromUpstream(data(3, 1000), data(7, 20, true));
    t.fromClient(data(7, 3), open(9, "error", 80), open(11, "data", 80), data(11, 7));
    expect(t.forwards()).toEqual([
      forward(80, { connections: 2, bytes_in: 12, bytes_out: 1000 }),
      forward(443, { connections: 1, bytes_in: 3, bytes_out: 20 }),
    ]);
    expect(t.used).toEqual([80, 443]);
  });

  test("does not count PING, SETTINGS, framing, or what the client sends on an error stream", () => {
    const t = tunnel();
    t.fromClient({ type: "PING", id: 1 }, { type: "SETTINGS", clearPersisted: false, settings: [] });
    expect(t.forwards()).toEqual([]);
    t.fromClient(open(1, "error", 80), open(3, "data", 80), data(1, 99), { type: "PING", id: 3 });
    expect(t.forwards()).toEqual([forward(80, { connections: 1 })]);
  });

  test("has the first error's text, joined from its pieces, and the number of connections with an error", () => {
    const t = tunnel();
    t.fromClient(open(1, "error", 9), open(3, "data", 9), open(5, "error", 9), open(7, "data", 9));
    t.fromUpstream(data(1, "connection "), data(5, "another error"), data(1, "refused", true), data(5, "!", true));
    expect(t.forwards()).toEqual([forward(9, { connections: 2, errors: 2, first_error: "connection refused" })]);
  });

  test("has only the beginning of an error, cut between characters, without control characters", () => {
    const t = tunnel();
    t.fromClient(open(1, "error", 9), open(3, "error", 10));
    t.fromUpstream(data(1, "a\u001b[2J\r\nb"), data(3, `x${"ü".repeat(40_000)}`));
    const [first, second] = t.forwards() ?? [];
    expect(first?.first_error).toBe("a [2J b");
    expect(second?.first_error).toBe(`x${"ü".repeat(255)}`);
  });

  test("is the same when the client half-closes first, and ignores late bytes of a closed connection", () => {
    const t = tunnel();
    t.fromClient(open(1, "data", 80), data(1, "GET", true));
    t.fromUpstream(data(1, 100), data(1, 0, true), data(1, 55));
    t.fromClient(data(1, 66));
    expect(t.forwards()).toEqual([forward(80, { connections: 1, bytes_in: 3, bytes_out: 100 })]);
  });

  test.each(["fromClient", "fromUpstream"] as const)("ends a connection that is reset (%s)", (side) => {
    const t = tunnel();
    t.fromClient(open(1, "data", 80));
    t[side]({ type: "RST_STREAM", streamId: 1, status: 5 });
    t.fromUpstream(data(1, 100));
    expect(t.forwards()).toEqual([forward(80, { connections: 1 })]);
    expect(t.observer.lingerMs).toBe(0);
  });

  test.each([
    ["no port", [["streamtype", "data"]]],
    [
      "port 0",
      [
        ["streamtype", "data"],
        ["port", "0"],
      ],
    ],
    [
      "port 65536",
      [
        ["streamtype", "data"],
        ["port", "65536"],
      ],
    ],
    [
      "a signed port",
      [
        ["streamtype", "data"],
        ["port", "+80"],
      ],
    ],
    [
      "a port in other digits",
      [
        ["streamtype", "data"],
        ["port", "８０"],
      ],
    ],
    [
      "a service's name",
      [
        ["streamtype", "data"],
        ["port", "http"],
      ],
    ],
    ["no type", [["port", "80"]]],
    [
      "an unknown type",
      [
        ["streamtype", "stdin"],
        ["port", "80"],
      ],
    ],
  ] satisfies [string, SpdyHeaders][])("ignores a stream that the cluster refuses: %s", (_, headers) => {
    const t = tunnel();
    t.fromClient(synStream(1, headers), data(1, 10));
    expect([t.forwards(), t.used]).toEqual([[], []]);
  });

  test.each([
    [
      "leading zeros",
      [
        ["streamtype", "data"],
        ["port", "0022"],
      ],
    ],
    [
      "the first of two values",
      [
        ["streamtype", "data"],
        ["port", "22"],
        ["port", "80"],
      ],
    ],
    [
      "a name that only looks like it before",
      [
        ["\uFEFFport", "80"],
        ["streamtype", "data"],
        ["port", "22"],
      ],
    ],
  ] satisfies [string, SpdyHeaders][])("reads the port as the cluster does: %s", (_, headers) => {
    const t = tunnel();
    t.fromClient(synStream(1, headers));
    expect(t.used).toEqual([22]);
  });

  test("does not move to another port when a stream id is opened again", () => {
    const t = tunnel();
    t.fromClient(open(5, "data", 22), open(5, "data", 80), open(3, "data", 80), open(6, "data", 80), data(5, 9));
    expect(t.forwards()).toEqual([forward(22, { connections: 1, bytes_in: 9 })]);
  });
});

describe("a client that tries to fill the audit log or the memory", () => {
  test("with thousands of ports gets 64 accounts, and one for all others", () => {
    const t = tunnel();
    for (let port = 1; port <= 5_000; port++) {
      const streamId = 2 * port - 1;
      t.fromClient(open(streamId, "data", port), data(streamId, 10, true));
      t.fromUpstream(data(streamId, 1, true));
    }
    const forwards = t.forwards() ?? [];
    expect([t.used.length, forwards.length]).toEqual([64, 65]);
    expect(forwards[63]).toEqual(forward(64, { connections: 1, bytes_in: 10, bytes_out: 1 }));
    expect(forwards[64]).toEqual(forward(null, { connections: 4_936, bytes_in: 49_360, bytes_out: 4_936 }));
  });

  test("with thousands of open streams has complete sums", () => {
    const t = tunnel();
    for (let n = 0; n < 3_000; n++) t.fromClient(open(2 * n + 1, "data", 80), data(2 * n + 1, 10));
    expect(t.forwards()).toEqual([
      forward(80, { connections: 3_000, bytes_in: 20_480 }),
      forward(null, { bytes_in: 9_520 }),
    ]);
    expect(t.observer.goodbyeFrames("bye").length).toBe(2_048);
  });

  test("with errors on every port gets a summary of bounded size", () => {
    const t = tunnel();
    for (let n = 0; n < 200; n++) {
      t.fromClient(open(2 * n + 1, "error", n + 1));
      t.fromUpstream(data(2 * n + 1, "\u0800".repeat(10_000)));
    }
    expect(Buffer.byteLength(JSON.stringify(t.observer.traffic()))).toBeLessThan(48 * 1024);
  });

  test("with millions of frames in one message is read in pieces", () => {
    const { observer } = observe();
    const empty = encodeFrame(data(1, 0), new HeaderBlockWriter());
    const message = new Uint8Array(1024 * 1024);
    for (let at = 0; at < message.length; at += empty.length) message.set(empty, at);
    const push = vi.spyOn(SpdyFrameParser.prototype, "push");
    expect(observer.fromClient(message.buffer)).toBe("idle");
    const frames = push.mock.results.map(({ value }) => value.length as number);
    expect([frames.length, Math.max(...frames)]).toEqual([16, 8_192]);
    push.mockRestore();
  });

  test("with a huge header makes the tunnel unreadable, and the summary says so", () => {
    const t = tunnel();
    t.fromClient(open(1, "data", 80));
    t.fromClient(synStream(3, [["port", "8".repeat(17_000)]]));
    t.fromClient(open(5, "data", 443));
    expect(t.observer.traffic()).toEqual({ forwards: [forward(80, { connections: 1 })], unreadable: true });
  });
});

describe("traffic that does not fit its protocol", () => {
  test.each(["fromClient", "fromUpstream"] as const)("is marked as unreadable, from either side (%s)", (side) => {
    const t = tunnel();
    t.fromClient(open(1, "data", 80));
    expect(t.observer.traffic()).not.toHaveProperty("unreadable");
    t.observer[side](Uint8Array.of(0x80, 9, 0, 6, 0, 0, 0, 4).buffer);
    expect(t.observer.traffic()).toEqual({ forwards: [forward(80, { connections: 1 })], unreadable: true });
  });

  test("includes an unknown protocol", () => {
    expect(observe("v9.portforward.k8s.io").observer.traffic()).toEqual({ forwards: [], unreadable: true });
    expect(new MessageObserver("exec", "v9.channel.k8s.io", false).traffic()).toEqual({ unreadable: true });
  });

  test("excludes the raw bytes of virtual machines", () => {
    expect(new MessageObserver("vnc", "plain.kubevirt.io", false).traffic()).toEqual({});
  });
});

describe("the accounts of the older port-forward protocol", () => {
  const message = (channel: number, ...payload: number[]) => Uint8Array.of(channel, ...payload).buffer;

  test("are of the ports that the request named, in order", () => {
    const { observer, used } = observe("v4.channel.k8s.io", [8080, 9]);
    for (const channel of [0, 1, 2, 3]) observer.fromUpstream(message(channel, 0x90, 0x1f));
    observer.fromClient(message(0, 1, 2, 3));
    observer.fromUpstream(message(0, 1, 2));
    observer.fromClient(message(1, 7, 7));
    observer.fromUpstream(message(3, ...new TextEncoder().encode("nobody ")));
    observer.fromUpstream(message(3, ...new TextEncoder().encode("listens")));
    expect(observer.traffic()).toEqual({
      forwards: [
        forward(8080, { connections: 1, bytes_in: 3, bytes_out: 2 }),
        forward(9, { connections: 1, errors: 1, first_error: "nobody listens" }),
      ],
    });
    expect(used).toEqual([8080, 9]);
  });

  test("count two connections for a port that was named twice", () => {
    const { observer, used } = observe("v4.channel.k8s.io", [80, 80]);
    for (const channel of [0, 1, 2, 3]) observer.fromUpstream(message(channel, 80, 0));
    observer.fromClient(message(2, 1));
    expect(observer.traffic()).toEqual({ forwards: [forward(80, { connections: 2, bytes_in: 1 })] });
    expect(used).toEqual([80]);
  });

  test("ignore channels without a port, and stay within their bounds", () => {
    const ports = Array.from({ length: 100 }, (_, n) => n + 1);
    const { observer, used } = observe("v4.channel.k8s.io", ports);
    for (let channel = 0; channel < 256; channel++) {
      observer.fromClient(message(channel, 1));
      observer.fromUpstream(message(channel, 1, 1, 1));
    }
    const { forwards = [] } = observer.traffic() ?? {};
    expect([used.length, forwards.length]).toEqual([64, 65]);
    expect(forwards[64]).toMatchObject({ port: null, bytes_in: 36, bytes_out: 108, errors: 36 });
  });
});

describe("in captures of real sessions", () => {
  test.each([
    ["kubectl-1.32.4-port-forward", [], [forward(8080, { connections: 2, bytes_in: 79 + 164, bytes_out: 1611 })]],
    ["kubectl-1.36.3-port-forward", [], [forward(8080, { connections: 2, bytes_in: 79 + 164, bytes_out: 1611 })]],
    [
      "kubectl-1.36.3-port-forward-closed-port",
      [],
      [
        forward(9, {
          connections: 1,
          bytes_in: 79,
          errors: 1,
          first_error: expect.stringMatching(/^error forwarding port 9 to pod .*connection refused/),
        }),
      ],
    ],
    ["client-node-port-forward", [8080], [forward(8080, { connections: 1, bytes_in: 18, bytes_out: 209 + 31 })]],
  ])("the accounts are what was sent: %s", (name, ports, forwards) => {
    const [{ handshake }, ...frames] = lines(name);
    const { observer } = observe(handshake.chosen, ports);
    for (const frame of frames) replay(observer, frame);
    expect(observer.traffic()).toEqual({ forwards });
  });
});

function replay(observer: MessageObserver, { dir, type, base64 }: Record<string, string>): void {
  if (type !== "binary") return;
  const bytes = Uint8Array.from(Buffer.from(base64 ?? "", "base64")).buffer;
  if (dir === "to-server") observer.fromClient(bytes);
  else observer.fromUpstream(bytes);
}

function lines(name: string) {
  const file = new URL(`../vectors/captures/${name}.jsonl`, import.meta.url);
  return readFileSync(file, "utf8")
    .trim()
    .split("\n")
    .map((line) => JSON.parse(line));
}
