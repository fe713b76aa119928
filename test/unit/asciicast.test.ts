import { spawnSync } from "node:child_process";
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, it } from "vitest";
import { decodeMessage, type Message } from "../../durable/protocols/framing.ts";
import { KINDS_OF_SESSIONS } from "../../durable/protocols/kinds.ts";
import { AsciicastWriter } from "../../durable/recording/asciicast-writer.ts";
import { type CastMetadata, endLabel } from "../../durable/recording/cast-lines.ts";
import { CHUNK_BYTES, MERGE_BYTES, MERGE_MS } from "../../durable/recording/policy.ts";
import { encodeFrame } from "../../kubernetes/channels.ts";

const NOW = Date.UTC(2026, 10, 22, 10, 0, 0);
const METADATA: CastMetadata = {
  sessionId: "s1",
  user: "alice@example.com",
  cluster: "prod",
  kind: "exec",
  namespace: "demo",
  pod: "shell",
  container: null,
  command: ["sh", "-c", "echo it's"],
  tty: true,
};
const utf8 = new TextEncoder();
const bytesOf = (text: string) => utf8.encode(text);

type CastEvent = [number, string, string];
interface Cast {
  readonly header: Record<string, unknown>;
  readonly events: CastEvent[];
}

/** A writer, the chunks that its sink got, and the cast that they make. */
function recorder({
  metadata = {},
  maxBytes = 1 << 30,
  subprotocol = "v5.channel.k8s.io",
  full = false,
}: {
  metadata?: Partial<CastMetadata>;
  maxBytes?: number;
  subprotocol?: string;
  full?: boolean;
} = {}) {
  const chunks: Uint8Array[] = [];
  const all = { ...METADATA, ...metadata };
  const writer = new AsciicastWriter(all, maxBytes, (lines) => chunks.push(lines.slice()));
  const description = KINDS_OF_SESSIONS[all.kind];
  const framing = description.framing(subprotocol);
  const tap = description.recorder?.(framing)(writer, full);
  if (!tap) throw new Error(`${all.kind} is not recorded`);
  const text = () => Buffer.concat(chunks).toString("utf8");
  return {
    writer,
    fromClient: (message: Message, now: number) => tap.fromClient(decodeMessage(framing, message), now),
    fromUpstream: (message: Message, now: number) => tap.fromUpstream(decodeMessage(framing, message), now),
    chunks,
    text,
    cast: () => parse(text()),
  };
}

function parse(text: string): Cast {
  expect(text.endsWith("\n")).toBe(true);
  const [header, ...events] = text
    .trimEnd()
    .split("\n")
    .map((line) => JSON.parse(line));
  return { header, events };
}

const texts = ({ events }: Cast, code: string) => events.filter((event) => event[1] === code).map(([, , data]) => data);
const shown = (cast: Cast) => texts(cast, "o").join("");

/** Reads from the cast of a session without a terminal what a program wrote to each stream. */
function streams({ events }: Cast): { stdout: string; stderr: string } {
  const out = { stdout: "", stderr: "" };
  events.forEach(([, code, data], index) => {
    if (code !== "o") return;
    const [, mark, stream] = events[index - 1] ?? [];
    const isStderr = mark === "e" && stream === "stderr";
    const text = isStderr ? data.slice("\u001b[31m".length, -"\u001b[39m".length) : data;
    out[isStderr ? "stderr" : "stdout"] += text.replaceAll("\r\n", "\n");
  });
  return out;
}

const buffer = (bytes: Uint8Array): ArrayBuffer => new Uint8Array(bytes).buffer;
const frame = (channel: number, text: string) => buffer(Uint8Array.of(channel, ...bytesOf(text)));

describe("captures of real sessions", () => {
  const directory = new URL("../vectors/captures/", import.meta.url);
  const names = readdirSync(directory).filter((name) => !/port-forward|no-container/.test(name));

  function load(name: string) {
    const [first, ...frames] = readFileSync(new URL(name, directory), "utf8")
      .trim()
      .split("\n")
      .map((line) => JSON.parse(line));
    const query = new URL(first.handshake.url, "http://cluster").searchParams;
    return { chosen: first.handshake.chosen as string, query, frames };
  }

  function record(name: string, full = false) {
    const { chosen, query, frames } = load(name);
    const metadata = { command: query.getAll("command"), tty: /^(1|true)$/i.test(query.get("tty") ?? "") };
    const made = recorder({ metadata, subprotocol: chosen, full });
    const raw: Record<string, Buffer[]> = {};
    for (const { ms, dir, type, base64 } of frames) {
      if (type !== "binary") continue;
      const message = Buffer.from(base64, "base64");
      const bytes = buffer(message);
      const now = NOW + ms;
      if (dir === "to-server") made.fromClient(bytes, now);
      else made.fromUpstream(bytes, now);
      const key = `${message[0]}`;
      raw[key] ??= [];
      raw[key].push(message.subarray(1));
    }
    made.writer.end("exit code 0", NOW + 10_000);
    const output = (channel: number) => Buffer.concat(raw[channel] ?? []).toString("utf8");
    return { ...made, cast: made.cast(), output, metadata };
  }

  it("there are some", () => expect(names.length).toBeGreaterThan(20));

  it.each(names)("%s: the cast has the output of each stream and no input", (name) => {
    const { cast, output, metadata } = record(name);
    if (metadata.tty) expect(shown(cast)).toBe(output(1));
    else expect(streams(cast)).toEqual({ stdout: output(1), stderr: output(2) });
    expect(texts(cast, "i")).toEqual([]);
    expect(cast.events.at(-1)?.slice(1)).toEqual(["m", "exit code 0"]);
    const times = cast.events.map(([seconds]) => seconds);
    expect(times).toEqual([...times].sort((a, b) => a - b));
  });

  it.each(names)("%s: mode full has the input too", (name) => {
    const { cast, output } = record(name, true);
    expect(texts(cast, "i").join("")).toBe(output(0));
  });

  it.each(["kubectl-1.32.4", "kubectl-1.36.3"])(
    "%s: a terminal's size, its resize and its times are recorded",
    (kubectl) => {
      const { cast } = record(`${kubectl}-exec-tty.jsonl`);
      expect(cast.header).toMatchObject({ version: 2, width: 80, height: 24 });
      expect(texts(cast, "r")).toEqual(["132x50"]);
      const resized = cast.events.find(([, code]) => code === "r")?.[0] ?? 0;
      expect(resized).toBeGreaterThan(1.4);
      expect(resized).toBeLessThan(1.7);
      expect(shown(cast)).toContain("héllo ☃");
    },
  );

  it.each(["kubectl-1.32.4", "kubectl-1.36.3"])(
    "%s: a character that is split between two frames stays one",
    (kubectl) => {
      expect(streams(record(`${kubectl}-exec-utf8-split.jsonl`).cast).stdout).toBe("é\n");
    },
  );

  describe("the real player", () => {
    const hasPlayer = spawnSync("asciinema", ["--version"]).status === 0;
    const where = mkdtempSync(join(tmpdir(), "casts-"));
    afterAll(() => rmSync(where, { recursive: true }));
    if (!hasPlayer) console.info("asciinema is not installed: no cast is played here");

    it.skipIf(!hasPlayer).each(names)("plays %s as kubectl showed it", (name) => {
      const { text, cast } = record(name, true);
      const file = join(where, `${name}.cast`);
      writeFileSync(file, text());
      const env = { ...process.env, LC_ALL: "C.UTF-8", HOME: where };
      const { status, stdout, stderr } = spawnSync("asciinema", ["play", "-s", "100000", file], {
        env,
        encoding: "utf8",
      });
      expect([status, stderr]).toEqual([0, ""]);
      expect(stdout).toBe(shown(cast));
    });
  });
});

describe("text", () => {
  const TEXT = "a\u00e9\u2603\u{1f600}\ufeffz";

  it("any character may be split anywhere, with output of the other stream in between", () => {
    const whole = bytesOf(TEXT);
    for (let cut = 0; cut <= whole.length; cut++) {
      const { writer, cast } = recorder({ metadata: { tty: false } });
      writer.write("stdout", whole.subarray(0, cut), NOW);
      writer.write("stderr", whole.subarray(0, whole.length - cut), NOW);
      writer.flush(NOW);
      writer.write("stdout", whole.subarray(cut), NOW + 100);
      writer.write("stderr", whole.subarray(whole.length - cut), NOW + 100);
      writer.end("over", NOW + 200);
      expect(streams(cast())).toEqual({ stdout: TEXT, stderr: TEXT });
      expect(texts(cast(), "o")).not.toContain("");
    }
  });

  it("a byte order mark at the beginning is kept", () => {
    const { writer, cast } = recorder();
    writer.write("stdout", bytesOf("\ufeffx"), NOW);
    writer.end("over", NOW);
    expect(shown(cast())).toBe("\ufeffx");
  });

  it("invalid UTF-8 is decoded as by TextDecoder, wherever it is split", () => {
    let state = 20_261_122;
    const random = (below: number) => {
      state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
      return Math.floor((state / 2 ** 32) * below);
    };
    // Every kind of lead and continuation byte, and the bytes beside their ranges.
    const alphabet = [
      0x00, 0x0a, 0x22, 0x41, 0x5c, 0x7f, 0x80, 0x8f, 0x90, 0x9f, 0xa0, 0xa8, 0xbf, 0xc0, 0xc1, 0xc2, 0xdf, 0xe0, 0xe2,
      0xed, 0xef, 0xf0, 0xf4, 0xf5, 0xff,
    ];
    for (let round = 0; round < 3_000; round++) {
      const bytes = Uint8Array.from({ length: random(40) }, () => alphabet[random(alphabet.length)] ?? 0);
      const { writer, cast } = recorder();
      for (let from = 0; from < bytes.length; ) {
        const length = 1 + random(6);
        writer.write("stdout", bytes.subarray(from, from + length), NOW);
        from += length;
      }
      writer.end("over", NOW);
      expect(shown(cast())).toBe(new TextDecoder("utf-8", { ignoreBOM: true }).decode(bytes));
    }
  });

  it("no output ends a line of the cast, by any reader's definition of a line", () => {
    const every = String.fromCharCode(...Array(0x100).keys());
    const { writer, text, cast } = recorder();
    writer.write("stdout", bytesOf(`${every}\u2028\u2029`), NOW);
    writer.end("over", NOW);
    expect(shown(cast())).toBe(`${every}\u2028\u2029`);
    // Python's definition, which asciinema 2's player uses when it reads from a URL.
    const ends = [..."\n\v\f\r\u001c\u001d\u001e\u0085\u2028\u2029"];
    const lines = 1 + cast().events.length;
    expect([...text()].filter((character) => ends.includes(character))).toEqual(Array(lines).fill("\n"));
  });

  it("without a terminal every line feed becomes CR LF, which can be undone", () => {
    const output = "one\ntwo\r\nthree\n";
    const { writer, cast } = recorder({ metadata: { tty: false } });
    writer.write("stdout", bytesOf(output), NOW);
    writer.end("over", NOW);
    expect(shown(cast())).toBe("one\r\ntwo\r\r\nthree\r\n");
    expect(streams(cast()).stdout).toBe(output);
  });

  it("with a terminal a line feed stays one", () => {
    const { writer, cast } = recorder();
    writer.write("stdout", bytesOf("a\nb\r\n"), NOW);
    writer.end("over", NOW);
    expect(shown(cast())).toBe("a\nb\r\n");
  });

  it("stderr is red, and preceded by an event that no program can write", () => {
    const { writer, cast } = recorder({ metadata: { tty: false } });
    writer.write("stdout", bytesOf("\u001b[31mforged\u001b[39m"), NOW);
    writer.write("stderr", bytesOf("oh"), NOW);
    writer.end("over", NOW);
    expect(cast().events).toEqual([
      [0, "o", "\u001b[31mforged\u001b[39m"],
      [0, "e", "stderr"],
      [0, "o", "\u001b[31moh\u001b[39m"],
      [0, "m", "over"],
    ]);
  });
});

describe("header", () => {
  it("names the session, its user and its target", () => {
    const { writer, cast } = recorder({ metadata: { container: "app" } });
    writer.write("stdout", bytesOf("x"), NOW + 1_500);
    writer.end("over", NOW + 2_000);
    expect(cast().header).toEqual({
      version: 2,
      width: 80,
      height: 24,
      timestamp: NOW / 1000 + 1,
      title: "alice@example.com: exec prod/demo/shell/app",
      command: "sh -c 'echo it'\\''s'",
      env: {
        SALLYPORT_SESSION: "s1",
        SALLYPORT_USER: "alice@example.com",
        SALLYPORT_CLUSTER: "prod",
        SALLYPORT_NAMESPACE: "demo",
        SALLYPORT_POD: "shell",
        SALLYPORT_CONTAINER: "app",
        SALLYPORT_KIND: "exec",
        SALLYPORT_TTY: "true",
      },
    });
  });

  it("a session without output has a cast too", () => {
    const { writer, cast } = recorder();
    writer.end(endLabel("disconnected", null, null), NOW);
    expect(cast()).toMatchObject({ header: { timestamp: NOW / 1000 }, events: [[0, "m", "ended: disconnected"]] });
  });
});

describe("size", () => {
  const resize = (width: number, height: number) => frame(4, `${JSON.stringify({ Width: width, Height: height })}\n`);

  it("width comes before height", () => {
    const { writer, fromClient, fromUpstream, cast } = recorder();
    fromClient(resize(200, 50), NOW);
    fromUpstream(frame(1, "x"), NOW + 10);
    fromClient(resize(201, 51), NOW + 1_010);
    writer.end("over", NOW + 2_010);
    expect(cast().header).toMatchObject({ width: 200, height: 50 });
    expect(cast().events).toEqual([
      [0, "o", "x"],
      [1, "r", "201x51"],
      [2, "m", "over"],
    ]);
  });

  it("the last size before the first byte is in the header, or the first size shortly after it", () => {
    const early = recorder();
    early.fromClient(resize(81, 25), NOW);
    early.fromClient(resize(80, 30), NOW + 1);
    early.fromUpstream(frame(1, "x"), NOW + 2);
    early.writer.end("over", NOW + 3);
    expect(early.cast()).toMatchObject({
      header: { width: 80, height: 30 },
      events: [
        [0, "o", "x"],
        [0.001, "m", "over"],
      ],
    });
    const late = recorder();
    late.fromUpstream(frame(1, "x"), NOW);
    late.fromClient(resize(100, 40), NOW + 5);
    late.writer.end("over", NOW + 6);
    expect(late.cast()).toMatchObject({
      header: { width: 100, height: 40 },
      events: [
        [0, "o", "x"],
        [0.006, "m", "over"],
      ],
    });
  });

  it("is read from a stream of JSON, without nonsense and repetitions, and the last of a message counts", () => {
    const { writer, fromClient, fromUpstream, cast } = recorder();
    fromUpstream(frame(1, "x"), NOW);
    writer.flush(NOW);
    for (const part of [
      '{"Wid',
      'th":90,"Hei',
      'ght":31}{"width":91,"height":32}',
      "no}",
      '{"Width":0,"Height":5}',
      '{"Width":91,"Height":32}',
      "5}",
    ]) {
      fromClient(frame(4, part), NOW);
    }
    writer.end("over", NOW);
    expect(texts(cast(), "r")).toEqual(["91x32"]);
  });

  it.each([
    [65_535, 65_535, "800x250"],
    [9_999, 30, "800x30"],
    [1, 65_535, "1x250"],
    [800, 250, "800x250"],
    [600, 180, "600x180"],
  ])("of %i × %i is recorded so that players survive it: %s", (columns, rows, recorded) => {
    const { writer, fromClient, cast } = recorder();
    fromClient(resize(columns, rows), NOW);
    writer.write("stdout", bytesOf("x"), NOW);
    fromClient(resize(80, 24), NOW + 1_000);
    fromClient(resize(columns, rows), NOW + 2_000);
    writer.end("over", NOW + 3_000);
    const { header } = cast();
    expect(`${header["width"]}x${header["height"]}`).toBe(recorded);
    expect(texts(cast(), "r")).toEqual(["80x24", recorded]);
  });

  it("of a window that is dragged: one for each moment, and the last one whatever comes", () => {
    const { writer, fromClient, cast } = recorder();
    fromClient(resize(80, 24), NOW);
    writer.write("stdout", bytesOf("x"), NOW);
    for (let ms = 0; ms < 10 * MERGE_MS; ms++) fromClient(resize(100 + ms, 30), NOW + ms);
    writer.end("over", NOW + 10 * MERGE_MS);
    expect(texts(cast(), "r")).toEqual(
      Array.from({ length: 10 }, (_, index) => `${100 + (index + 1) * MERGE_MS - 1}x30`),
    );
  });

  it("is in the cast before the output that follows it, and before a reader or a crash", () => {
    const { writer, fromClient, chunks, cast } = recorder();
    fromClient(resize(80, 24), NOW);
    writer.write("stdout", bytesOf("x"), NOW);
    fromClient(resize(100, 30), NOW + 1);
    writer.write("stdout", bytesOf("drawn for 100 x 30"), NOW + 2);
    fromClient(resize(101, 31), NOW + 3);
    expect(writer.hasUnflushed).toBe(true);
    writer.flush(NOW + 400);
    expect(chunks).toHaveLength(2);
    expect(writer.hasUnflushed).toBe(false);
    expect(cast().events).toEqual([
      [0, "o", "x"],
      [0.001, "r", "100x30"],
      [0.002, "o", "drawn for 100 x 30"],
      [0.003, "r", "101x31"],
    ]);
  });

  it("that came back within the moment is no change", () => {
    const { writer, fromClient, cast } = recorder();
    fromClient(resize(80, 24), NOW);
    writer.write("stdout", bytesOf("x"), NOW);
    fromClient(resize(100, 30), NOW + 1);
    fromClient(resize(80, 24), NOW + 2);
    writer.end("over", NOW + 3);
    expect(texts(cast(), "r")).toEqual([]);
  });
});

describe("protocols", () => {
  it.each([
    ["v4.base64.channel.k8s.io", { encoding: "base64", errorFormat: "status" }],
    ["base64.channel.k8s.io", { encoding: "base64", errorFormat: "text" }],
    ["channel.k8s.io", { encoding: "binary", errorFormat: "text" }],
    ["", { encoding: "binary", errorFormat: "text" }],
  ] as const)("%s", (subprotocol, protocol) => {
    const { writer, fromClient, fromUpstream, cast } = recorder({ subprotocol, full: true });
    const message = (channel: number, bytes: Uint8Array) => {
      const encoded = encodeFrame(protocol, channel, bytes);
      return typeof encoded === "string" ? encoded : buffer(encoded);
    };
    const snowman = bytesOf("☃");
    fromUpstream(message(1, new Uint8Array(0)), NOW);
    fromUpstream(message(1, snowman.subarray(0, 1)), NOW);
    fromUpstream(message(1, snowman.subarray(1)), NOW);
    fromClient(message(0, bytesOf("ls\r")), NOW + 500);
    fromClient(message(4, bytesOf('{"Width":90,"Height":30}')), NOW + 500);
    fromUpstream(message(3, bytesOf("an error is not output")), NOW + 600);
    writer.end("over", NOW + 1_000);
    expect(cast().header).toMatchObject({ width: 90, height: 30 });
    expect(cast().events).toEqual([
      [0, "o", "☃"],
      [0.5, "i", "ls\r"],
      [1, "m", "over"],
    ]);
  });

  it("every byte of a KubeVirt console's message is output, the first one included", () => {
    const { writer, fromClient, fromUpstream, cast } = recorder({
      metadata: { kind: "console", tty: true, command: [] },
      subprotocol: "plain.kubevirt.io",
    });
    fromUpstream(buffer(bytesOf("login: \n")), NOW);
    fromClient(buffer(bytesOf("root\n")), NOW + 10);
    fromUpstream("text", NOW + 100);
    writer.end("over", NOW + 100);
    expect(cast().events).toEqual([
      [0, "o", "login: \n"],
      [0.1, "o", "text"],
      [0.1, "m", "over"],
    ]);
    expect(cast().header).not.toHaveProperty("command");
  });

  it("an exec with an unknown subprotocol is recorded as it comes", () => {
    const { writer, fromUpstream, cast } = recorder({ subprotocol: "v9.channel.k8s.io" });
    fromUpstream(buffer(bytesOf("x")), NOW);
    writer.end("over", NOW);
    expect(shown(cast())).toBe("x");
  });
});

describe("time and merging", () => {
  it("time starts at the first byte and never runs backwards", () => {
    const { writer, cast } = recorder();
    writer.write("stdout", bytesOf("a"), NOW + 5_000);
    writer.write("stdout", bytesOf("b"), NOW + 6_000);
    writer.flush(NOW + 6_000);
    writer.write("stdout", bytesOf("c"), NOW);
    writer.end("over", NOW + 7_250);
    expect(cast().events.map(([seconds]) => seconds)).toEqual([0, 1, 1, 2.25]);
  });

  it("output of one stream within the window is one event, and another stream begins a new one", () => {
    const { writer, cast } = recorder({ metadata: { tty: false } });
    for (let ms = 0; ms < MERGE_MS; ms += 5) writer.write("stdout", bytesOf("."), NOW + ms);
    writer.write("stdout", bytesOf("|"), NOW + MERGE_MS);
    writer.write("stderr", bytesOf("!"), NOW + MERGE_MS);
    writer.write("stdout", bytesOf("|"), NOW + MERGE_MS);
    writer.end("over", NOW + MERGE_MS);
    expect(texts(cast(), "o")).toEqual([".".repeat(MERGE_MS / 5), "|", "\u001b[31m!\u001b[39m", "|"]);
  });

  it("one very large message becomes events and chunks of bounded size", () => {
    const { writer, chunks, cast } = recorder({ metadata: { tty: false } });
    const large = new Uint8Array(4 << 20).map((_, index) => index);
    writer.write("stdout", large, NOW);
    writer.end("over", NOW);
    expect(Math.max(...chunks.map(({ length }) => length))).toBeLessThanOrEqual(CHUNK_BYTES);
    expect(Math.max(...texts(cast(), "o").map(({ length }) => length))).toBeLessThanOrEqual(MERGE_BYTES + 8 * 1024);
    expect(streams(cast()).stdout).toBe(new TextDecoder().decode(large));
  });
});

describe("largest size", () => {
  it("the cast marks where it stops and how the session ended, and input after that is not read", () => {
    const maxBytes = 100_000;
    const { writer, fromClient, fromUpstream, text, cast } = recorder({ maxBytes });
    const kilobyte = frame(1, "x".repeat(1_000));
    for (let i = 0; i < 200; i++) fromUpstream(kilobyte, NOW + i * 40);
    const { bytes } = writer;
    expect(writer.stopped).toBe("recording stopped here: it reached the largest size allowed, 98 KiB");
    fromUpstream(kilobyte, NOW + 9_000);
    fromClient(frame(4, '{"Width":90,"Height":30}'), NOW + 9_000);
    expect(writer.bytes).toBe(bytes);
    writer.end("exit code 3", NOW + 10_000);
    expect(text().length).toBeGreaterThan(maxBytes * 0.8);
    expect(text().length).toBeLessThanOrEqual(maxBytes);
    expect(
      cast()
        .events.slice(-3)
        .map(([, code, data]) => [code, data]),
    ).toEqual([
      ["m", writer.stopped],
      ["o", `\r\n\u001b[0;7m[${writer.stopped}]\u001b[0m\r\n`],
      ["m", "exit code 3"],
    ]);
  });

  it("a character that is incomplete at the session's end becomes U+FFFD", () => {
    const { writer, cast } = recorder({ metadata: { tty: false } });
    writer.write("stdout", bytesOf("☃").subarray(0, 2), NOW);
    writer.write("stderr", Uint8Array.of(0xf0), NOW);
    writer.end("over", NOW);
    expect(streams(cast())).toEqual({ stdout: "\ufffd", stderr: "\ufffd" });
  });

  it.each(["output", "resizes", "control sequences", "both streams in turn"])(
    "no cast exceeds it, whichever lines it consists of: %s",
    (what) => {
      for (const maxBytes of [65_536, 70_001, 131_072]) {
        const { writer, text, cast } = recorder({ maxBytes, metadata: { tty: false } });
        writer.write("stdout", bytesOf("x"), NOW - 50);
        writer.flush(NOW - 50);
        const size = (i: number) => ({ columns: 1 + (i % 800), rows: 1 + (i % 250) });
        for (let i = 0; i < 20_000; i++) {
          const now = NOW + i * 50;
          if (what === "output")
            writer.write(
              "stdout",
              Uint8Array.from({ length: 99 }, () => i),
              now,
            );
          else if (what === "resizes") writer.resize(size(i), now);
          else if (what === "control sequences")
            writer.write("stdout", bytesOf("\u001b[6n\u001b]52;;\u0005\u001b[c"), now);
          else writer.write(i % 2 ? "stdout" : "stderr", Uint8Array.of(0xe2, 0x98), now);
        }
        expect(writer.stopped).toContain("largest size");
        writer.end(`ended: terminated: ${"\u0001".repeat(10_000)}`, NOW + 9_999_999);
        expect(text().length).toBeLessThanOrEqual(maxBytes);
        expect(text().length).toBeGreaterThan(maxBytes / 2);
        expect(cast().events.at(-1)?.[2]).toContain("ended: terminated");
      }
    },
  );

  it("a header is bounded, whatever the client's command is", () => {
    const command = ["sh", "-c", "\u0001'\ud800".repeat(100_000)];
    const { writer, text, cast } = recorder({ maxBytes: 65_536, metadata: { command, pod: "x".repeat(10_000) } });
    writer.write("stdout", bytesOf("shown"), NOW);
    writer.end("over", NOW);
    expect(text().length).toBeLessThanOrEqual(65_536);
    expect(cast().header["command"]).toMatch(/^sh -c '.{4000,}\u2026$/);
    expect(shown(cast())).toBe("shown");
  });
});

describe("control sequences that act on the terminal of whoever plays them", () => {
  const CLIPBOARD = "\u001b]52;c;cm0gLXJmIH4K\u0007";

  it("are marked before the event in which they end, and stay as they are", () => {
    const { writer, text, cast } = recorder();
    writer.write("stdout", bytesOf("one"), NOW);
    writer.write("stdout", bytesOf(`two${CLIPBOARD}\u001b[6nthree`), NOW + 100);
    writer.write("stdout", bytesOf("four\u001b]5"), NOW + 200);
    writer.write("stdout", bytesOf("2;c;eA==\u0007"), NOW + 300);
    writer.end("over", NOW + 300);
    expect(cast().events).toEqual([
      [0, "o", "one"],
      [0.1, "e", "control OSC 52"],
      [0.1, "e", "control CSI n"],
      [0.1, "o", `two${CLIPBOARD}\u001b[6nthree`],
      [0.2, "o", "four\u001b]5"],
      [0.3, "e", "control OSC 52"],
      [0.3, "o", "2;c;eA==\u0007"],
      [0.3, "m", "over"],
    ]);
    expect(text()).toContain("two\\u001b]52;c;cm0gLXJmIH4K\\u0007\\u001b[6nthree");
  });

  it("stderr's are marked too, before the mark of the stream", () => {
    const { writer, cast } = recorder({ metadata: { tty: false } });
    writer.write("stderr", bytesOf(CLIPBOARD), NOW);
    writer.write("stdout", bytesOf("\u001b]5"), NOW);
    writer.write("stderr", bytesOf("2;c;eA=="), NOW);
    writer.end("over", NOW);
    expect(cast().events.map(([, code, data]) => (code === "e" ? data : code))).toEqual([
      ...["control OSC 52", "stderr", "o"],
      ...["o", "stderr", "o", "m"],
    ]);
  });

  it("input has none: no player shows it", () => {
    const { writer, cast } = recorder({ full: true });
    writer.write("stdin", bytesOf("\u001b[6n\u001b[1;1R"), NOW);
    writer.end("over", NOW);
    expect(texts(cast(), "e")).toEqual([]);
  });

  it("are marked once for an event, however many it has", () => {
    const { writer, cast } = recorder();
    for (let i = 0; i < 20; i++) writer.write("stdout", bytesOf("\u001b[6n".repeat(1_500)), NOW);
    writer.end("over", NOW);
    const outputs = texts(cast(), "o").length;
    expect(outputs).toBeGreaterThan(1);
    expect(texts(cast(), "e")).toEqual(Array(outputs).fill("control CSI n"));
  });

  it("are marked so often in a cast that those of another kind are still marked after a flood of one", () => {
    const { writer, cast } = recorder();
    for (let i = 0; i < 5_000; i++) writer.write("stdout", bytesOf("\u001b[6n"), NOW + i * MERGE_MS);
    writer.write("stdout", bytesOf(CLIPBOARD), NOW + 1_000_000);
    writer.end("over", NOW + 1_000_000);
    const marks = texts(cast(), "e");
    expect(marks.length).toBeLessThan(100);
    expect(marks.at(-2)).toBe("control CSI n, the last one that is marked");
    expect(marks.at(-1)).toBe("control OSC 52");
    expect(shown(cast())).toBe("\u001b[6n".repeat(5_000) + CLIPBOARD);
  });
});

describe("one message costs the writer a bounded amount of work and memory", () => {
  const MIB = 1 << 20;
  it.each([
    ["text", bytesOf("a line of text\n".repeat(1_000))],
    ["zeros", new Uint8Array(15_000)],
    ["invalid UTF-8", new Uint8Array(15_000).fill(0xf0)],
    ["the beginnings of control sequences", bytesOf("\u001b[1;".repeat(4_000))],
    ["a control sequence without end", bytesOf(`\u001b[${"1;".repeat(8_000)}`)],
    ["queries", bytesOf("\u001b[6n\u0005\u001b]52;;".repeat(1_500))],
  ])("%s", (_, pattern) => {
    const message = new Uint8Array(3 * MIB).map((_, index) => pattern[index % pattern.length] ?? 0);
    const { writer, chunks, cast } = recorder({ metadata: { tty: false } });
    writer.write("stdout", message, NOW);
    writer.end("over", NOW);
    const bytes = chunks.reduce((sum, { length }) => sum + length, 0);
    // Six times the input is what JSON's escapes take, in lines of MERGE_BYTES.
    expect(bytes).toBeLessThan(message.length * 6.1);
    expect(chunks.length).toBeLessThanOrEqual(3 + bytes / (CHUNK_BYTES - 32 * 1024));
    expect(Math.max(...chunks.map(({ length }) => length))).toBeLessThanOrEqual(CHUNK_BYTES);
    expect(cast().events.length).toBeLessThan(500 + bytes / MERGE_BYTES);
  });

  it("a recording that has stopped reads nothing of it", () => {
    const { writer, fromUpstream, chunks } = recorder({ maxBytes: 65_536 });
    fromUpstream(frame(1, "x".repeat(100_000)), NOW);
    writer.flush(NOW);
    const [{ length }, { bytes }] = [chunks, writer];
    const unread = new Proxy(new Uint8Array(1), { get: (_, name) => expect.unreachable(`reads ${String(name)}`) });
    writer.write("stdout", unread, NOW);
    writer.resize({ columns: 90, rows: 30 }, NOW);
    expect([chunks.length, writer.bytes, writer.hasUnflushed]).toEqual([length, bytes, false]);
  });
});
