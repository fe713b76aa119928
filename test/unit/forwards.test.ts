import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import type { Forward } from "../../audit/events.ts";
import { MAX_WORK_PER_CHUNK } from "../../durable/protocols/port-forward-tunnel.ts";
import { encodeFrame } from "../../kubernetes/spdy/encoder.ts";
import type { SpdyFrame, SynStreamFrame } from "../../kubernetes/spdy/frames.ts";
import { HeaderBlockWriter, type SpdyHeaders } from "../../kubernetes/spdy/header-block.ts";
import { MessageObserver } from "../support/observe-messages.ts";

const TUNNEL = "SPDY/3.1+portforward.k8s.io";

function observe(protocol = TUNNEL, ports: readonly number[] = [], onUnreadable: "end" | "continue" = "end") {
  const used: number[] = [];
  const observer = new MessageObserver("port-forward", protocol, false, {
    ports,
    onUnreadable,
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
function tunnel(onUnreadable: "end" | "continue" = "end") {
  const { observer, used } = observe(TUNNEL, [], onUnreadable);
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

/** Streams 1 and 3 are of one request, 5 and 7 of the next, and so on. */
function open(
  streamId: number,
  streamtype: string,
  port: string | number,
  request = Math.ceil(streamId / 4),
): SynStreamFrame {
  return synStream(streamId, [
    ["streamtype", streamtype],
    ["port", String(port)],
    ["requestid", String(request)],
  ]);
}

const reset = (streamId: number): SpdyFrame => ({ type: "RST_STREAM", streamId, status: 5 });
const GOAWAY: SpdyFrame = { type: "GOAWAY", lastStreamId: 0, status: 0 };
const violation = (what: string) => ({ violation: expect.stringContaining(`(${what})`) });

function synStream(streamId: number, headers: SpdyHeaders): SynStreamFrame {
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

  test("does not count PING, SETTINGS, WINDOW_UPDATE or framing", () => {
    const t = tunnel();
    t.fromClient({ type: "PING", id: 1 }, { type: "SETTINGS", clearPersisted: false, settings: [] });
    expect(t.forwards()).toEqual([]);
    t.fromClient(open(1, "error", 80), open(3, "data", 80), data(1, 0, true), { type: "PING", id: 3 });
    t.fromClient({ type: "WINDOW_UPDATE", streamId: 3, delta: 9 });
    expect(t.forwards()).toEqual([forward(80, { connections: 1 })]);
  });

  test("has no port for an error stream alone, to which the kubelet opens none", () => {
    const t = tunnel();
    t.fromClient(open(1, "error", 80));
    t.fromUpstream(data(1, "timed out waiting for streams"));
    expect([t.forwards(), t.used]).toEqual([[], []]);
    t.fromClient(open(3, "data", 80));
    expect([t.forwards(), t.used]).toEqual([[forward(80, { connections: 1 })], [80]]);
  });

  test("joins an error stream and a data stream that come in the other order", () => {
    const t = tunnel();
    t.fromClient(open(1, "data", 9), open(3, "error", 9));
    t.fromUpstream(data(3, "refused"));
    expect(t.forwards()).toEqual([forward(9, { connections: 1, errors: 1, first_error: "refused" })]);
  });

  test("joins streams without a requestid by their ids, as the kubelet does for old clients", () => {
    const t = tunnel();
    const stream = (id: number, type: string) =>
      synStream(id, [
        ["streamtype", type],
        ["port", "9"],
      ]);
    t.fromClient(stream(1, "error"), stream(3, "data"), stream(5, "error"), stream(7, "data"));
    t.fromUpstream(data(1, "refused"), data(5, "refused"));
    expect(t.forwards()).toEqual([forward(9, { connections: 2, errors: 2, first_error: "refused" })]);
  });

  test("has the first error's text, joined from its pieces, and the number of connections with an error", () => {
    const t = tunnel();
    t.fromClient(open(1, "error", 9), open(3, "data", 9), open(5, "error", 9), open(7, "data", 9));
    t.fromUpstream(data(1, "connection "), data(5, "another error"), data(1, "refused", true), data(5, "!", true));
    expect(t.forwards()).toEqual([forward(9, { connections: 2, errors: 2, first_error: "connection refused" })]);
  });

  test("has only the beginning of an error, cut between characters, without control characters", () => {
    const t = tunnel();
    t.fromClient(open(1, "error", 9), open(3, "data", 9), open(5, "error", 10), open(7, "data", 10));
    t.fromUpstream(data(1, "a\u001b[2J\r\nb"), data(5, `x${"ü".repeat(40_000)}`));
    const [first, second] = t.forwards() ?? [];
    expect(first?.first_error).toBe("a [2J b");
    expect(second?.first_error).toBe(`x${"ü".repeat(255)}`);
  });

  test("leaves out what the kubelet drops: bytes of the client after the end of its stream", () => {
    const t = tunnel();
    t.fromClient(open(1, "data", 80), data(1, "GET", true), data(1, 66));
    t.fromUpstream(data(1, 100), data(1, 0, true));
    t.fromClient(data(1, 66), data(7, 66));
    expect(t.forwards()).toEqual([forward(80, { connections: 1, bytes_in: 3, bytes_out: 100 })]);
  });

  test("has what the port says after the client has reset the stream, which the kubelet still sends", () => {
    const t = tunnel();
    t.fromClient(open(1, "error", 80), open(3, "data", 80), data(3, "GET"), reset(3), data(3, "dropped"));
    t.fromUpstream(data(3, 100));
    t.fromClient(reset(1));
    t.fromUpstream(data(3, 11), data(3, 0, true), data(3, 5));
    expect(t.forwards()).toEqual([forward(80, { connections: 1, bytes_in: 3, bytes_out: 116 })]);
    expect(t.observer.lingerMs).toBe(0);
  });

  test("ends a connection that the cluster resets", () => {
    const t = tunnel();
    t.fromClient(open(1, "data", 80));
    t.fromUpstream(reset(1));
    t.fromClient(data(1, 100));
    expect(t.forwards()).toEqual([forward(80, { connections: 1 })]);
    expect(t.observer.lingerMs).toBe(0);
  });

  test("follows data that is under way after GOAWAY", () => {
    const t = tunnel();
    t.fromClient(open(1, "error", 80), open(3, "data", 80), GOAWAY, data(3, 5), reset(3));
    t.fromUpstream(data(3, 100));
    expect(t.forwards()).toEqual([forward(80, { connections: 1, bytes_in: 5, bytes_out: 100 })]);
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
      "a name that begins like it before",
      [
        ["port-", "80"],
        ["streamtype", "data"],
        ["port", "22"],
      ],
    ],
  ] satisfies [string, SpdyHeaders][])("reads the port as the cluster does: %s", (_, headers) => {
    const t = tunnel();
    t.fromClient(synStream(1, headers));
    expect(t.used).toEqual([22]);
  });

  test.each<[string, SpdyHeaders]>([
    ["a blank", [["port", " 22"]]],
    ["two ports", [["port", "22,80"]]],
    [
      "an empty first value",
      [
        ["port", ""],
        ["port", "22"],
      ],
    ],
    ["an underscore", [["port", "2_2"]]],
    ["a hexadecimal port", [["port", "0x16"]]],
  ])("ignores a port that strconv.ParseUint refuses: %s", (_, headers) => {
    const t = tunnel();
    t.fromClient(synStream(1, [["streamtype", "data"], ...headers]), data(1, 10));
    expect([t.forwards(), t.used]).toEqual([[], []]);
  });
});

describe("what cannot be read exactly as the kubelet reads it", () => {
  const syn = (streamId: number, more: Partial<SynStreamFrame>): SynStreamFrame => ({
    ...open(streamId, "data", 22),
    ...more,
  });
  test.each<[string, string, SpdyFrame[]]>([
    // The kubelet's RST_STREAM of it would look like the end of the first stream, which goes on.
    ["a stream id that is opened again", "stream 3 after 3", [open(3, "data", 22)]],
    ["a stream id that does not go up", "stream 2 after 3", [open(2, "data", 22)]],
    ["an id one above the last", "stream 4 after 3", [open(4, "data", 22)]],
    ["a unidirectional stream", "a unidirectional stream", [syn(5, { unidirectional: true })]],
    ["data on an error stream, which blocks others", "data on an error stream", [data(1, 1)]],
    [
      "HEADERS, which block their stream",
      "a HEADERS frame",
      [{ type: "HEADERS", streamId: 3, fin: true, headers: [] }],
    ],
    ["SYN_REPLY", "a SYN_REPLY frame", [{ type: "SYN_REPLY", streamId: 3, fin: true, headers: [] }]],
    ["a requestid that is in use", "a requestid that is in use", [open(5, "data", 80, 1)]],
    [
      "streams of one request for two ports",
      "streams for two ports with one requestid",
      [open(5, "error", 443), open(7, "data", 80)],
    ],
    [
      "a long requestid",
      "a long requestid",
      [
        synStream(5, [
          ["streamtype", "data"],
          ["port", "80"],
          ["requestid", "1".repeat(65)],
        ]),
      ],
    ],
    ["a stream after GOAWAY", "a new stream after GOAWAY", [GOAWAY, open(5, "data", 22)]],
  ])("ends the session before it is passed on: %s", (_, what, frames) => {
    const t = tunnel();
    expect(t.fromClient(open(1, "error", 80), open(3, "data", 80), data(3, 5))).toBe("use");
    expect(t.fromClient(...frames)).toEqual(violation(what));
    // Nothing after it is passed on either, and what was passed on has been read.
    expect(t.fromClient({ type: "PING", id: 1 })).toEqual(violation(what));
    expect(t.observer.traffic()).toEqual({ forwards: [forward(80, { connections: 1, bytes_in: 5 })] });
    expect(t.observer.goodbyeFrames("bye").length).toBeGreaterThanOrEqual(2);
  });

  test.each<[string, SpdyFrame[]]>([
    ["the next stream id", [open(5, "data", 22)]],
    ["an even stream id", [open(6, "data", 22, 2)]],
    ["a stream with a priority and a parent", [syn(5, { priority: 7, associatedStreamId: 3 })]],
    ["the end of an error stream", [data(1, 0, true)]],
    ["a requestid of a connection that is over", [reset(1), reset(3), open(5, "data", 22, 1)]],
    ["the reset of an unknown stream", [reset(99)]],
    ["data on a stream that the kubelet refused", [open(5, "data", 0), data(5, 10)]],
    ["a stream that ends with its first frame", [syn(5, { fin: true })]],
  ])("is not its legitimate neighbour: %s", (_, frames) => {
    const t = tunnel();
    t.fromClient(open(1, "error", 80), open(3, "data", 80));
    expect(t.fromClient(...frames)).toMatch(/^(use|idle)$/);
    expect(t.fromClient(data(3, 5))).toBe("use");
    expect(t.observer.traffic()).not.toHaveProperty("unreadable");
  });

  test("includes frames inside a PING: the kubelet takes 4 bytes of it, and the rest for frames", () => {
    const hidden = Buffer.from(bytesOf([open(1, "error", 22), open(3, "data", 22)], new HeaderBlockWriter()));
    const ping = [0x80, 3, 0, 6, 0, 0, (4 + hidden.length) >> 8, (4 + hidden.length) & 0xff, 0, 0, 0, 1];
    expect(observe().observer.fromClient(Uint8Array.of(...ping, ...hidden))).toEqual(
      violation(`a PING frame of ${4 + hidden.length} bytes`),
    );
  });

  test("includes streams that the cluster opens", () => {
    expect(tunnel().fromUpstream(open(2, "data", 80))).toEqual(violation("a SYN_STREAM frame"));
    expect(tunnel().fromUpstream({ type: "HEADERS", streamId: 3, fin: false, headers: [] })).toBe("idle");
  });

  test("includes text messages, which end the API server's tunnel", () => {
    expect(observe().observer.fromClient("text")).toEqual(violation("a text message"));
  });

  test("is relayed where the configuration says so, and then nothing more is read", () => {
    const t = tunnel("continue");
    t.fromClient(open(1, "error", 80), open(3, "data", 80));
    expect(t.fromClient(open(3, "data", 22))).toBe("use");
    expect(t.fromClient(data(3, 5), open(5, "data", 22))).toBe("use");
    expect(t.fromUpstream(data(3, 5))).toBe("use");
    expect(t.observer.traffic()).toEqual({ forwards: [forward(80, { connections: 1 })], unreadable: true });
    expect(t.observer.goodbyeFrames("bye")).toEqual([]);
  });
});

describe("a client that tries to fill the audit log or the memory", () => {
  test("with thousands of ports gets 64 accounts, and one for all others", () => {
    const t = tunnel();
    for (let port = 1; port <= 5_000; port++) {
      const streamId = 2 * port - 1;
      t.fromClient(open(streamId, "data", port, port), data(streamId, 10, true));
      t.fromUpstream(data(streamId, 1, true));
    }
    const forwards = t.forwards() ?? [];
    expect([t.used.length, forwards.length]).toEqual([64, 65]);
    expect(forwards[63]).toEqual(forward(64, { connections: 1, bytes_in: 10, bytes_out: 1 }));
    expect(forwards[64]).toEqual(forward(null, { connections: 4_936, bytes_in: 49_360, bytes_out: 4_936 }));
  });

  test("with thousands of streams that it does not close is ended", () => {
    const t = tunnel();
    for (let n = 0; n < 4_096; n++) t.fromClient(open(2 * n + 1, "data", 80, n), data(2 * n + 1, 10));
    expect(t.forwards()).toEqual([forward(80, { connections: 4_096, bytes_in: 40_960 })]);
    expect(t.observer.goodbyeFrames("bye").length).toBe(4_096);
    expect(t.fromClient(open(9_001, "data", 80, 9_001))).toEqual(violation("more than 4096 open streams"));
  });

  test("with thousands of connections one after the other is not, and late bytes of the first have no port", () => {
    const t = tunnel();
    for (let n = 0; n < 5_000; n++) {
      t.fromClient(open(4 * n + 1, "error", 80), open(4 * n + 3, "data", 80), data(4 * n + 3, 10), reset(4 * n + 3));
      t.fromUpstream(data(4 * n + 1, 0, true));
    }
    t.fromUpstream(data(3, 7), data(19_999, 9));
    expect(t.forwards()).toEqual([
      forward(80, { connections: 5_000, bytes_in: 50_000, bytes_out: 9 }),
      forward(null, { bytes_out: 7 }),
    ]);
  });

  test("with errors on every port gets a summary of bounded size", () => {
    const t = tunnel();
    for (let n = 0; n < 200; n++) {
      t.fromClient(open(4 * n + 1, "error", n + 1), open(4 * n + 3, "data", n + 1));
      t.fromUpstream(data(4 * n + 1, "\u0800".repeat(10_000)));
    }
    expect(t.forwards()?.[63]).toMatchObject({ port: 64, errors: 1 });
    expect(Buffer.byteLength(JSON.stringify(t.observer.traffic()))).toBeLessThan(48 * 1024);
  });

  test.each(["end", "continue"] as const)("with millions of frames in one message is read up to a limit (%s)", (on) => {
    const { observer } = observe(TUNNEL, [], on);
    const frame = encodeFrame(data(1, 0), new HeaderBlockWriter());
    const message = new Uint8Array(8 * 1024 * 1024);
    for (let at = 0; at < message.length; at += frame.length) message.set(frame, at);
    const most = MAX_WORK_PER_CHUNK.frames * frame.length;
    expect(observer.fromClient(message.subarray(0, most))).toBe("idle");
    expect(observer.fromClient(message.subarray(0, most))).toBe("idle");
    expect(observer.fromClient(message)).toEqual(
      on === "end" ? violation("a message with more than 65536 frames") : "use",
    );
  });

  test("with thousands of header blocks in one message is read up to a limit", () => {
    const blocks = (count: number) => {
      const writer = new HeaderBlockWriter();
      return bytesOf(
        Array.from({ length: count }, (_, n) => synStream(2 * n + 1, [])),
        writer,
      );
    };
    const most = MAX_WORK_PER_CHUNK.deflateBlocks / 2;
    expect(observe().observer.fromClient(blocks(most))).toBe("use");
    expect(observe().observer.fromClient(blocks(most + 1))).toEqual(
      violation("a message with more than 1024 blocks of DEFLATE"),
    );
  });

  test("says what it took to parse, header blocks included, and a usual request is less than half a message", () => {
    const parsed = (count: number, headers: SpdyHeaders = []) => {
      const { observer } = observe();
      const frames = Array.from({ length: count }, (_, n) => synStream(2 * n + 1, headers));
      observer.fromClient(bytesOf(frames, new HeaderBlockWriter()));
      return observer.observer.parsedFrames;
    };
    // Each has two blocks of DEFLATE, which take as long as 16 frames each.
    expect(parsed(1)).toBeGreaterThan(32);
    expect(parsed(100)).toBeGreaterThan(3_200);
    // As many as 128 frames take as long as a message.
    expect(
      parsed(1, [
        ["port", "8080"],
        ["requestid", "0"],
        ["streamtype", "data"],
      ]),
    ).toBeLessThan(64);
    expect(
      parsed(
        1,
        Array.from({ length: 60 }, (_, n) => [`h${n}`, "x".repeat(10)]),
      ),
    ).toBeGreaterThan(240);
    expect(observe().observer.observer.parsedFrames).toBe(0);
  });

  test("with a huge header ends the session", () => {
    const t = tunnel();
    t.fromClient(open(1, "data", 80));
    expect(t.fromClient(synStream(3, [["port", "8".repeat(4_000)]]))).toBe("use");
    expect(t.fromClient(synStream(5, [["port", "8".repeat(5_000)]]))).toEqual(
      violation("a SYN_STREAM frame of 5036 bytes, more than 4096"),
    );
  });
});

describe("traffic that does not fit its protocol", () => {
  test.each(["fromClient", "fromUpstream"] as const)("is marked as unreadable, from either side (%s)", (side) => {
    const t = tunnel("continue");
    t.fromClient(open(1, "data", 80));
    expect(t.observer.traffic()).not.toHaveProperty("unreadable");
    t.observer[side](Uint8Array.of(0x80, 9, 0, 6, 0, 0, 0, 4).buffer);
    expect(t.observer.traffic()).toEqual({ forwards: [forward(80, { connections: 1 })], unreadable: true });
  });

  test("includes an unknown protocol", () => {
    const unknown = "v9.portforward.k8s.io";
    expect(observe(unknown, [], "continue").observer.traffic()).toEqual({ forwards: [], unreadable: true });
    const { observer } = observe(unknown);
    expect(observer.fromUpstream(Uint8Array.of(1))).toEqual(violation("an unknown protocol"));
    expect(observer.traffic()).toEqual({ forwards: [] });
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
