import { readdirSync, readFileSync } from "node:fs";
import { describe, expect, test, vi } from "vitest";
import type { Message } from "../../durable/protocols/framing.ts";
import { type ChannelProtocol, channelProtocol, decodeFrame, encodeFrame } from "../../kubernetes/channels.ts";
import { exitCodeOf } from "../../kubernetes/status.ts";
import { MessageObserver } from "../support/observe-messages.ts";

const BINARY = protocolOf("v5.channel.k8s.io");
const BASE64 = protocolOf("v4.base64.channel.k8s.io");

function protocolOf(name: string): ChannelProtocol {
  const protocol = channelProtocol(name);
  if (!protocol) throw new Error(`${name} is no channel protocol`);
  return protocol;
}

interface Line {
  readonly dir: "to-server" | "to-client";
  readonly type: string;
  readonly base64: string;
}

const directory = new URL("../vectors/captures/", import.meta.url);
const captures = readdirSync(directory).flatMap((file) => {
  const [{ handshake }, ...lines] = readFileSync(new URL(file, directory), "utf8")
    .trim()
    .split("\n")
    .map((line) => JSON.parse(line));
  const chosen = handshake.chosen as string | null;
  if (chosen === null || !channelProtocol(chosen)) return [];
  const messages = (lines as Line[]).filter(({ type }) => type === "binary" || type === "text");
  return [
    {
      name: file.replace(".jsonl", ""),
      chosen,
      messages: messages.map(({ dir, ...line }) => ({ dir, message: messageOf(line) })),
    },
  ];
});

function messageOf({ type, base64 }: Pick<Line, "type" | "base64">): Message {
  const bytes = Buffer.from(base64, "base64");
  return type === "text" ? bytes.toString() : Uint8Array.from(bytes).buffer;
}

/** Everything that one side sent on a channel. */
function streamOf(name: string, dir: Line["dir"], channel: number): Buffer {
  const capture = captureOf(name);
  const protocol = protocolOf(capture.chosen);
  const frames = capture.messages
    .filter((line) => line.dir === dir)
    .map(({ message }) => decodeFrame(protocol, message));
  return Buffer.concat(
    frames.filter((frame) => frame?.channel === channel).map((frame) => frame?.payload ?? new Uint8Array(0)),
  );
}

function captureOf(name: string) {
  const capture = captures.find((candidate) => candidate.name === name);
  if (!capture) throw new Error(`no capture ${name} of a channel protocol`);
  return capture;
}

const bytesOf = (message: Uint8Array | Message) =>
  typeof message === "string" ? Buffer.from(message) : Buffer.from(new Uint8Array(message));

describe("captures of real sessions", () => {
  test.each(captures)("$name: every message decodes, and encodes to itself", ({ chosen, messages }) => {
    const protocol = protocolOf(chosen);
    expect(messages.length).toBeGreaterThan(1);
    for (const { message } of messages) {
      const frame = decodeFrame(protocol, message);
      if (!frame) throw new Error("a message that is no frame");
      expect(bytesOf(encodeFrame(protocol, frame.channel, frame.payload))).toEqual(bytesOf(message));
    }
  });

  test.each(["kubectl-1.32.4", "kubectl-1.36.3"])("%s's streams are on their channels", (kubectl) => {
    expect(streamOf(`${kubectl}-exec-200k`, "to-client", 1).length).toBe(200_000);
    expect(streamOf(`${kubectl}-exec-stdin-empty`, "to-server", 0).length).toBe(0);
    expect(
      new TextDecoder("utf-8", { fatal: true }).decode(streamOf(`${kubectl}-exec-utf8-split`, "to-client", 1)),
    ).not.toBe("");
    expect(
      JSON.parse(
        streamOf(`${kubectl}-exec-tty`, "to-server", 4)
          .toString()
          .match(/^\{[^}]*\}/)?.[0] ?? "",
      ),
    ).toEqual({
      Width: expect.any(Number),
      Height: expect.any(Number),
    });
  });

  test.each([
    ["kubectl-1.36.3-exec-ok", 0],
    ["kubectl-1.36.3-exec-exit-3", 3],
    ["kubectl-1.32.4-exec-tty", 3],
    ["kubectl-1.36.3-cp-in", 1],
    ["client-node-exec", 3],
    ["python-exec", 3],
  ])("%s: the exit code is %d, wherever its Status is cut in two", (name, exitCode) => {
    const { chosen } = captureOf(name);
    const status = streamOf(name, "to-client", 3);
    for (let cut = 0; cut <= status.length; cut++) {
      const observer = new MessageObserver("exec", chosen, false);
      for (const piece of [status.subarray(0, cut), status.subarray(cut)]) {
        observer.fromUpstream(Uint8Array.of(3, ...piece).buffer);
      }
      const final = observer.finalStatus();
      expect(final && exitCodeOf(final)).toBe(exitCode);
    }
  });

  test.each(["kubectl-1.36.3-exec-exit-3", "python-exec"])(
    "%s: the exit code is found when each byte is a message",
    (name) => {
      const observer = new MessageObserver("exec", captureOf(name).chosen, false);
      for (const byte of streamOf(name, "to-client", 3)) observer.fromUpstream(Uint8Array.of(3, byte).buffer);
      const final = observer.finalStatus();
      expect(final && exitCodeOf(final)).toBe(3);
    },
  );

  test("a channel has the same stream, wherever it is cut into frames", () => {
    const stream = streamOf("kubectl-1.36.3-exec-utf8-split", "to-client", 1);
    for (const protocol of [BINARY, BASE64]) {
      for (let cut = 0; cut <= stream.length; cut++) {
        const pieces = [stream.subarray(0, cut), stream.subarray(cut)].map((piece) => {
          const message = encodeFrame(protocol, 1, piece);
          return decodeFrame(protocol, typeof message === "string" ? message : message.buffer)?.payload ?? [];
        });
        expect(Buffer.concat(pieces.map((piece) => Buffer.from(piece)))).toEqual(stream);
      }
    }
  });
});

describe("a subprotocol", () => {
  test.each([
    ["v5.channel.k8s.io", "binary", "status"],
    ["v4.channel.k8s.io", "binary", "status"],
    ["v4.base64.channel.k8s.io", "base64", "status"],
    ["v3.channel.k8s.io", "binary", "text"],
    ["v2.channel.k8s.io", "binary", "text"],
    ["channel.k8s.io", "binary", "text"],
    ["base64.channel.k8s.io", "base64", "text"],
    ["", "binary", "text"],
  ])("%s has %s frames and %s errors", (name, encoding, errorFormat) => {
    expect(channelProtocol(name)).toEqual({ encoding, errorFormat });
  });

  test.each([
    "SPDY/3.1+portforward.k8s.io",
    "plain.kubevirt.io",
    "V5.CHANNEL.K8S.IO",
    "v6.channel.k8s.io",
    "constructor",
    "__proto__",
  ])("%s is no channel protocol", (name) => {
    expect(channelProtocol(name)).toBeUndefined();
  });
});

describe("base64 frames, which browsers send", () => {
  test.each([
    ["1aGVsbG8=", 1, "hello"],
    ["1", 1, ""],
    ["0w7w=", 0, "ü"],
    ["9AA==", 9, "\0"],
  ])("%s is channel %d", (text, channel, payload) => {
    const frame = decodeFrame(BASE64, text);
    expect(frame && [frame.channel, new TextDecoder().decode(frame.payload)]).toEqual([channel, payload]);
    expect(encodeFrame(BASE64, channel, new TextEncoder().encode(payload))).toBe(text);
  });

  test.each([10, 57, 79, 80, 207, 208, 255])("have channel %d, as the API server computes it with bytes", (channel) => {
    const message = String(encodeFrame(BASE64, channel, Uint8Array.of(7)));
    expect(message).toBe(`${String.fromCharCode((0x30 + channel) % 256)}Bw==`);
    expect(decodeFrame(BASE64, message)).toMatchObject({ channel, payload: Uint8Array.of(7) });
  });

  test("may have line ends, which Go skips", () => {
    expect(decodeFrame(BASE64, "1aGVs\r\nbG8=\n")?.payload).toEqual(new TextEncoder().encode("hello"));
  });

  test.each([0, 1, 2, 3, 4, 24_575, 24_576, 24_577, 1_000_000])("say their size without decoding: %d", (size) => {
    const frame = decodeFrame(BASE64, String(encodeFrame(BASE64, 0, new Uint8Array(size).fill(0x5a))));
    const decode = vi.spyOn(globalThis, "atob");
    expect(frame?.size).toBe(size);
    expect(decode).not.toHaveBeenCalled();
    expect(frame?.payload).toEqual(new Uint8Array(size).fill(0x5a));
    expect(frame?.size).toBe(size);
    decode.mockRestore();
  });

  test("may come in binary messages, as from some servers", () => {
    const frame = decodeFrame(BASE64, new TextEncoder().encode("1aGk=").buffer);
    expect(frame && [frame.channel, new TextDecoder().decode(frame.payload)]).toEqual([1, "hi"]);
  });

  test("are padded for every length", () => {
    for (let length = 0; length < 10; length++) {
      const bytes = Uint8Array.from({ length }, (_, n) => 255 - n);
      const message = encodeFrame(BASE64, 1, bytes);
      expect(message.length % 4).toBe(1);
      expect(decodeFrame(BASE64, String(message))?.payload).toEqual(bytes);
    }
  });

  test("have payloads of any size", () => {
    const bytes = new Uint8Array(3_000_001).fill(0xfe);
    const frame = decodeFrame(BASE64, String(encodeFrame(BASE64, 1, bytes)));
    expect(Buffer.compare(frame?.payload ?? Buffer.alloc(0), bytes)).toBe(0);
  });
});

describe("an invalid frame", () => {
  test.each<[string, ChannelProtocol, Message]>([
    ["an empty message", BINARY, new ArrayBuffer(0)],
    ["empty text", BINARY, ""],
    ["an empty message in base64", BASE64, new ArrayBuffer(0)],
    ["empty text in base64", BASE64, ""],
    ["a digit of another script", BASE64, "１AA=="],
  ])("%s is not decoded", (_, protocol, message) => {
    expect(decodeFrame(protocol, message)).toBeUndefined();
  });

  test.each<[string, Message]>([
    ["no base64", "1%%%"],
    ["half a base64", "1A"],
    ["no padding, which a browser's decoder takes and Go's does not", "1YQ"],
    ["white space, likewise", "1YW Jj"],
    ["padding in the middle", "1YQ==YQ=="],
    ["padding alone", "1===="],
    ["too much padding", "1A==="],
    ["half a character", "1\uD83D"],
    ["bytes that are no text", Uint8Array.of(0x31, 0xff, 0xfe).buffer],
  ])("with %s has a channel and no payload, for the API server drops it", (_, message) => {
    const frame = decodeFrame(BASE64, message);
    expect(frame && [frame.channel, frame.payload.length, frame.size]).toEqual([1, 0, 0]);
  });

  test("with half a Status gives no status", () => {
    const observer = new MessageObserver("exec", "v5.channel.k8s.io", true);
    observer.fromUpstream("\u0003{");
    expect(observer.finalStatus()).toBeUndefined();
  });

  test.each(["v5.channel.k8s.io", "v4.base64.channel.k8s.io", "channel.k8s.io", ""])(
    "gives no status and throws nothing (%s)",
    (protocol) => {
      const observer = new MessageObserver("exec", protocol, true);
      const hostile: Message[] = [
        "",
        "3",
        "3%",
        "\uD800",
        new ArrayBuffer(0),
        Uint8Array.of(3).buffer,
        Uint8Array.of(0x33).buffer,
      ];
      for (const message of hostile) {
        observer.fromClient(message);
        observer.fromUpstream(message);
      }
      expect(observer.finalStatus()).toBeUndefined();
    },
  );
});

describe("binary frames", () => {
  test("may come in text messages, as the stdin of the Python client", () => {
    expect(streamOf("python-exec-stdin", "to-server", 0).toString()).toBe("echo hello\nexit 2\n");
    const frame = decodeFrame(BINARY, "\0ü");
    expect(frame && [frame.channel, frame.size, frame.payload]).toEqual([0, 2, new TextEncoder().encode("ü")]);
  });

  test.each(["\u0001", "\u0004{}", "ü", "🚪x", "\uD83D", "\u0001\uD83D", "\u0001🚪".repeat(40_000)])(
    "in text are the text's UTF-8, whatever it begins with (%.3j)",
    (text) => {
      const bytes = new TextEncoder().encode(text);
      const frame = decodeFrame(BINARY, text);
      expect(frame && [frame.channel, frame.size]).toEqual([bytes[0], bytes.length - 1]);
      expect(frame?.payload).toEqual(bytes.subarray(1));
    },
  );

  test("without a text have no channel", () => {
    expect(decodeFrame(BINARY, "")).toBeUndefined();
  });

  test("have 256 channels, and may have an empty payload", () => {
    for (let channel = 0; channel < 256; channel++) {
      expect(decodeFrame(BINARY, Uint8Array.of(channel).buffer)).toEqual({
        channel,
        size: 0,
        payload: new Uint8Array(0),
      });
      expect(encodeFrame(BINARY, channel, Uint8Array.of(9))).toEqual(Uint8Array.of(channel, 9));
    }
  });

  test("are decoded without a copy", () => {
    const message = Uint8Array.of(1, 2, 3).buffer;
    expect(decodeFrame(BINARY, message)?.payload.buffer).toBe(message);
  });
});
