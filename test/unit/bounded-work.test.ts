/**
 * What a message costs, whatever is in it: the worst messages that a client or a cluster could think of, with
 * the work counted and not timed.
 */
import { beforeEach, describe, expect, test } from "vitest";
import { decodeMessage, type Framing, PartDecoder, sizeOf } from "../../durable/protocols/framing.ts";
import { KINDS_OF_SESSIONS } from "../../durable/protocols/kinds.ts";
import { AsciicastWriter } from "../../durable/recording/asciicast-writer.ts";
import type { SessionKind } from "../../kubernetes/session-target.ts";
import { MAX_STATUS_BYTES } from "../../kubernetes/status.ts";
import { countWork } from "../support/count-work.ts";
import { MessageObserver } from "../support/observe-messages.ts";

const MEBIBYTE = 1024 * 1024;
const BINARY = "v5.channel.k8s.io";
const BASE64 = "v4.base64.channel.k8s.io";
const NOTHING = {
  jsonParses: 0,
  jsonChars: 0,
  textDecodes: 0,
  textBytes: 0,
  base64Chars: 0,
  encodedChars: 0,
  copiedBytes: 0,
};

/** A message of a channel whose payload repeats a text. */
function message(protocol: string, channel: number, text: string, bytes: number): ArrayBuffer | string {
  const payload = text.repeat(Math.ceil(bytes / text.length)).slice(0, bytes);
  if (protocol === BASE64) return `${channel}${btoa(payload)}`;
  return Uint8Array.from(Buffer.from(`${String.fromCharCode(channel)}${payload}`, "latin1")).buffer;
}

const HOSTILE_JSON = ["}", "{", "[", "{}", '"', '{"a":', '{"Width":80,"Height":24}', '{"status":"Success"}', '{"\\'];

describe("a resize", () => {
  let recorded: { fromClient(message: ArrayBuffer | string): void; sizes(): string[] };

  function record(subprotocol: string, kind: SessionKind = "exec") {
    const framing = KINDS_OF_SESSIONS[kind].framing(subprotocol);
    const lines: string[] = [];
    const metadata = { sessionId: "s", user: "u", cluster: "c", kind, namespace: "n", pod: "p", container: null };
    const writer = new AsciicastWriter({ ...metadata, command: [], tty: true }, 1 << 30, (bytes) =>
      lines.push(...new TextDecoder().decode(bytes).trimEnd().split("\n")),
    );
    const tap = KINDS_OF_SESSIONS[kind].recorder?.(framing)(writer, true);
    tap?.fromUpstream({ channel: 1, size: 1, payload: Uint8Array.of(0x78), isText: false }, 0);
    writer.flush(0);
    let now = 0;
    return {
      fromClient(bytes: ArrayBuffer | string) {
        now += 1_000;
        tap?.fromClient(decodeMessage(framing, bytes), now);
      },
      /** The terminal's sizes in the cast. */
      sizes() {
        writer.flush(now);
        return lines.filter((line) => line.includes('"r"')).map((line) => JSON.parse(line)[2] as string);
      },
    };
  }

  beforeEach(() => {
    recorded = record(BINARY);
  });

  test.each(HOSTILE_JSON)("of %s for a mebibyte is not read at all", (text) => {
    for (const protocol of [BINARY, BASE64]) {
      const { fromClient } = record(protocol);
      const hostile = message(protocol, 4, text, MEBIBYTE);
      expect(countWork(() => fromClient(hostile))).toEqual(NOTHING);
    }
  });

  test.each(HOSTILE_JSON)("of %s for the most that is read is parsed once, however often it comes", (text) => {
    const hostile = message(BINARY, 4, text, 4_096);
    for (let n = 0; n < 10; n++) {
      const { jsonParses, jsonChars, textBytes } = countWork(() => recorded.fromClient(hostile));
      expect(jsonParses).toBeLessThanOrEqual(1);
      expect(jsonChars).toBeLessThanOrEqual(8_192);
      expect(textBytes).toBeLessThanOrEqual(4_096);
    }
  });

  test("a byte at a time costs no more than what is kept of it", () => {
    const byte = message(BINARY, 4, "{", 1);
    const { jsonParses } = countWork(() => {
      for (let n = 0; n < 20_000; n++) recorded.fromClient(byte);
    });
    expect(jsonParses).toBe(0);
    recorded.fromClient(message(BINARY, 4, `}${" ".repeat(4_090)}`, 4_091));
    recorded.fromClient(message(BINARY, 4, '{"Width":90,"Height":30}', 24));
    expect(recorded.sizes()).toEqual(["90x30"]);
  });

  test("that never ends is given up, and the next one is read", () => {
    const { jsonChars } = countWork(() => {
      recorded.fromClient(message(BINARY, 4, '{"Width":"', 10));
      for (let n = 0; n < 20_000; n++) recorded.fromClient(message(BINARY, 4, "9", 1));
      recorded.fromClient(message(BINARY, 4, '"}', 2));
    });
    expect(jsonChars).toBeLessThanOrEqual(8_192);
    recorded.fromClient(message(BINARY, 4, '{"Width":90,"Height":30}', 24));
    expect(recorded.sizes()).toEqual(["90x30"]);
  });

  test("in pieces that a message begins or ends with is read", () => {
    for (const piece of ['{"Width":90,"Height":30}{"Wid', 'th":91,"Height":31}{', '"Width":92,"Height":32}']) {
      recorded.fromClient(message(BINARY, 4, piece, piece.length));
    }
    expect(recorded.sizes()).toEqual(["90x30", "91x31", "92x32"]);
  });

  test("burst in one message becomes one event, the last", () => {
    const burst = Array.from({ length: 120 }, (_, n) => `{"Width":${100 + n},"Height":30}`).join("\n");
    recorded.fromClient(message(BINARY, 4, burst, burst.length));
    expect(recorded.sizes()).toEqual(["219x30"]);
  });

  test.each([
    '{"Width":1e999,"Height":30}',
    '{"Width":99999999999999999999,"Height":30}',
    '{"Width":NaN,"Height":30}',
    '{"Width":-1,"Height":30}',
    '{"Width":80.5,"Height":30}',
    '{"Width":"80","Height":30}',
    '{"Width":[80],"Height":30}',
    '{"Width":65536,"Height":30}',
    '{"__proto__":{"Width":80,"Height":30}}',
    "{}",
  ])("that Go would not take is no event: %s", (json) => {
    recorded.fromClient(message(BINARY, 4, json, json.length));
    expect(recorded.sizes()).toEqual([]);
  });
});

describe("a Status", () => {
  const json = JSON.stringify({ status: "Failure", message: `}{"\\${"x".repeat(60_000)}`, reason: "Odd" });

  test.each([BINARY, BASE64])(
    "that comes a byte at a time is parsed once, and not copied again and again (%s)",
    (name) => {
      const observer = new MessageObserver("exec", name);
      const work = countWork(() => {
        for (const character of json) {
          expect(observer.finalStatus()).toBeUndefined();
          observer.fromUpstream(message(name, 3, character, 1));
        }
      });
      expect(observer.finalStatus()?.reason).toBe("Odd");
      expect(work).toMatchObject({ jsonParses: 1, textDecodes: 1 });
      expect(work.copiedBytes).toBeLessThan(4 * json.length);
    },
  );

  test.each(HOSTILE_JSON)("of %s is parsed once at most, and nothing above its largest size is kept", (text) => {
    for (const size of [1, 3, 1_000, 32 * 1024]) {
      const observer = new MessageObserver("exec", BINARY);
      const hostile = message(BINARY, 3, text, size);
      const work = countWork(() => {
        for (let sent = 0; sent < 4 * MAX_STATUS_BYTES; sent += size * 16) {
          for (let n = 0; n < 16; n++) observer.fromUpstream(hostile);
          observer.finalStatus();
        }
      });
      expect(work.jsonParses).toBeLessThanOrEqual(1);
      expect(work.jsonChars).toBeLessThanOrEqual(MAX_STATUS_BYTES);
      expect(work.copiedBytes).toBeLessThanOrEqual(4 * MAX_STATUS_BYTES);
    }
  });

  test("is complete with its last brace, and nothing after that makes it another", () => {
    const observer = new MessageObserver("exec", BINARY);
    observer.fromUpstream(message(BINARY, 3, '{"status":"Success"}\n{"status":"Failure"}', 41));
    observer.fromUpstream(message(BINARY, 3, '{"status":"Failure"}', 20));
    expect(observer.finalStatus()?.status).toBe("Success");
  });

  test("as text, before v4, costs what is shown of it, however much there is and however often it is asked for", () => {
    const observer = new MessageObserver("exec", "channel.k8s.io");
    const work = countWork(() => {
      for (let n = 0; n < 20_000; n++) {
        observer.fromUpstream(message("channel.k8s.io", 3, "x", 1));
        observer.finalStatus();
      }
    });
    expect(work.textBytes / 20_000).toBeLessThan(1_100);
    expect(work.copiedBytes / 20_000).toBeLessThan(2_000);
    expect(observer.finalStatus()?.message).toBe(`${"x".repeat(1_024)} … ${"x".repeat(64)}`);
  });
});

describe("a large message whose bytes nobody asks for", () => {
  test.each<[SessionKind, string, number]>([
    ["exec", BASE64, 0],
    ["exec", BASE64, 7],
    ["port-forward", BASE64, 0],
    ["port-forward", BASE64, 1],
  ])("is not decoded: %s over %s, channel %d", (kind, protocol, channel) => {
    const observer = new MessageObserver(kind, protocol, false, { ports: [8080] });
    const large = message(protocol, channel, "x", 8 * MEBIBYTE);
    expect(countWork(() => observer.fromClient(large))).toEqual(NOTHING);
    if (channel === 0) expect(countWork(() => observer.fromUpstream(large))).toEqual(NOTHING);
  });

  test.each<[SessionKind, string]>([
    ["exec", BINARY],
    ["exec", "v9.channel.k8s.io"],
    ["proxy", ""],
    ["vnc", "plain.kubevirt.io"],
  ])("is not encoded where it is text: %s over %s", (kind, protocol) => {
    const observer = new MessageObserver(kind, protocol);
    const large = `\0${"ü".repeat(4 * MEBIBYTE)}`;
    const { encodedChars } = countWork(() => {
      expect(observer.fromClient(large)).toBe("use");
      expect(sizeOf(large)).toBe(8 * MEBIBYTE + 1);
    });
    expect(encodedChars).toBeLessThan(10);
  });

  test("is counted all the same", () => {
    const observer = new MessageObserver("port-forward", BASE64, false, { ports: [8080] });
    observer.fromUpstream(message(BASE64, 0, "ab", 2));
    observer.fromUpstream(message(BASE64, 0, "x", MEBIBYTE + 1));
    observer.fromClient(message(BASE64, 0, "x", MEBIBYTE));
    expect(observer.traffic()?.forwards).toMatchObject([{ bytes_in: MEBIBYTE, bytes_out: MEBIBYTE + 1 }]);
  });
});

describe("the older port-forward", () => {
  test("keeps the beginning of an error, and decodes no more once it has it", () => {
    const observer = new MessageObserver("port-forward", BASE64, false, { ports: [8080] });
    const error = message(BASE64, 1, "e", 30 * 1024);
    observer.fromUpstream(error);
    observer.fromUpstream(error);
    expect(countWork(() => observer.fromUpstream(error))).toEqual(NOTHING);
  });

  test("keeps a bounded summary, whatever arrives on all of its channels", () => {
    const ports = Array.from({ length: 300 }, (_, n) => n + 1);
    const observer = new MessageObserver("port-forward", "v4.channel.k8s.io", false, { ports });
    for (let round = 0; round < 5; round++) {
      for (let channel = 0; channel < 256; channel++) {
        observer.fromUpstream(message("v4.channel.k8s.io", channel, "\u00e9", 5_000));
        observer.fromClient(message("v4.channel.k8s.io", channel, "x", 5_000));
      }
    }
    expect(JSON.stringify(observer.traffic()).length).toBeLessThan(64 * 1024);
    expect(observer.goodbyeFrames("bye").length).toBeLessThanOrEqual(128);
  });
});

describe("a message in parts", () => {
  const framings: [string, Framing][] = [
    ["messages", { kind: "messages" }],
    ["base64", KINDS_OF_SESSIONS.exec.framing(BASE64)],
    ["a channel that is no stream", KINDS_OF_SESSIONS.exec.framing(BINARY)],
  ];

  test.each(framings)("of one byte is copied a few times, not once for each part (%s)", (_, framing) => {
    let delivered = 0;
    const decoder = new PartDecoder(framing, MEBIBYTE, {
      onStream: () => {},
      onMessage: (bytes) => {
        delivered += bytes.length;
      },
      onViolation: () => {},
    });
    const byte = Uint8Array.of(0x33);
    const { copiedBytes } = countWork(() => {
      for (let n = 0; n < 100_000; n++) {
        decoder.push({ bytes: byte, isText: false, isFirst: n === 0, isLast: n === 99_999 });
      }
    });
    expect(delivered).toBe(100_000);
    expect(copiedBytes).toBeLessThan(400_000);
  });
});
