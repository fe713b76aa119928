/** What sessions can put into a recording, played by the real players: none of it breaks them. */
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { withoutBrowser } from "../../dev/programs/chromium.ts";
import { AsciicastWriter } from "../../durable/recording/asciicast-writer.ts";
import type { CastMetadata } from "../../durable/recording/cast-lines.ts";
import { Random, seedOfRun } from "../support/random.ts";
import { playInTerminal, WebPlayer, withoutAsciinema } from "./support/players.ts";

const NOW = Date.UTC(2026, 10, 26, 10);
const METADATA: CastMetadata = {
  sessionId: "s1",
  user: "alice@example.com",
  cluster: "prod",
  kind: "exec",
  namespace: "demo",
  pod: "shell",
  container: null,
  command: ["sh"],
  tty: true,
};
const utf8 = new TextEncoder();

/** Writes the cast of a session. Each step takes a second. */
function record(
  steps: (writer: AsciicastWriter, tick: () => number) => void,
  metadata: Partial<CastMetadata> = {},
): string {
  const chunks: Uint8Array[] = [];
  const writer = new AsciicastWriter({ ...METADATA, ...metadata }, 1 << 30, (lines) => chunks.push(lines.slice()));
  let now = NOW;
  const tick = () => (now += 1_000);
  steps(writer, tick);
  writer.end("exit code 0", tick());
  return Buffer.concat(chunks).toString();
}

const output = (...texts: (string | Uint8Array)[]) =>
  record((writer, tick) => {
    for (const text of texts) writer.write("stdout", typeof text === "string" ? utf8.encode(text) : text, tick());
  });

function shown(cast: string): string {
  const [, ...events] = cast.trimEnd().split("\n");
  return events
    .map((line) => JSON.parse(line) as [number, string, string])
    .flatMap(([, code, data]) => (code === "o" ? [data] : []))
    .join("");
}

/** Ends every sequence that is open, leaves the alternate screen, and resets the terminal. */
const RESET = "\u0018\u001b\\\u001b[?1049l\u001bc";
const ACTING = [
  "\u001b]52;c;c3RvbGVu\u0007",
  "\u001b]0;a title\u0007",
  "\u001b]8;;javascript:alert(1)\u0007a link\u001b]8;;\u0007",
  "\u001b[c\u001b[>c\u001b[6n\u001b[21t\u001bZ\u0005",
  "\u001b]1337;File=name=eA==;inline=0:eA==\u0007",
  "\u001bP$qm\u001b\\\u001b_Gt=f;L2V0Yy9wYXNzd2Q=\u001b\\",
  "\u001b[8;9999;9999t\u001b[3;0;0t\u001b[5i\u001b[4i",
];
const MANY = 5_000;

const HOSTILE: readonly (readonly [what: string, cast: () => string])[] = [
  [
    "sizes that no display has",
    () =>
      record((writer, tick) => {
        writer.resize({ columns: 65_535, rows: 65_535 }, NOW);
        for (const [columns, rows] of [
          [65_535, 1],
          [1, 65_535],
          [9_999, 9_999],
          [1, 1],
          [65_535, 65_535],
        ] as const) {
          writer.write("stdout", utf8.encode("some text \u001b[999;999H\r\n"), tick());
          writer.resize({ columns, rows }, tick());
        }
      }),
  ],
  [
    "a window that never stands still",
    () =>
      record((writer, tick) => {
        for (let i = 0; i < MANY; i++) {
          writer.write("stdout", utf8.encode(`${i} `), tick());
          writer.resize({ columns: 1 + (i % 300), rows: 1 + (i % 90) }, tick());
        }
      }),
  ],
  ["control sequences that act on a terminal", () => output(...ACTING)],
  [
    "… cut into bytes",
    () => output(...ACTING.flatMap((text) => [...utf8.encode(text)].map((byte) => Uint8Array.of(byte)))),
  ],
  ["… by the thousand", () => output(...Array<string>(MANY).fill(ACTING.join("")))],
  [
    "sequences without end",
    () => output(`\u001b]0;${"x".repeat(100_000)}`, `\u001b[${"1;".repeat(50_000)}`, "\u001bP", "\u001b_"),
  ],
  [
    "numbers that no integer holds",
    () => output(`\u001b[${"9".repeat(1_000)}A\u001b[99999999999C\u001b[-1;-1H\u001b[4294967296X`),
  ],
  [
    "half characters, lone surrogates, overlong forms, NUL",
    () =>
      output(
        Uint8Array.of(0xe2, 0x98),
        Uint8Array.of(0x83, 0xed, 0xa0, 0x80, 0xed, 0xb0, 0x80, 0xc0, 0xaf, 0xf4, 0x90, 0x80, 0x80, 0xff, 0, 0, 0),
        "\u2028\u2029\u0085\ufeff\ufffe\u{10ffff}",
        Uint8Array.of(0xf0, 0x9f),
      ),
  ],
  ["a very long line, and very many", () => output("x".repeat(2_000_000), "\n".repeat(200_000), "\t".repeat(100_000))],
  [
    "letters below letters, wide and joined ones",
    () => output("e\u0301\u0302\u0303".repeat(20_000), "漢字".repeat(5_000), "👩‍👩‍👧‍👦🇩🇪".repeat(2_000)),
  ],
  [
    "HTML and JSON",
    () => output(`<script>alert(1)</script><img src=x onerror=alert(1)>"],[0,"o","`, `</pre>\\u0000\\"`),
  ],
  [
    "input of every byte",
    () =>
      record((writer, tick) =>
        writer.write(
          "stdin",
          Uint8Array.from({ length: 4_096 }, (_, i) => i),
          tick(),
        ),
      ),
  ],
  [
    "a name and a command of odd characters",
    () =>
      record((writer, tick) => writer.write("stdout", utf8.encode("shown"), tick()), {
        user: "\u001b]52;c;eA==\u0007\ud800</script>",
        command: ["sh", "-c", "\u0000\u001b[6n'\"\\".repeat(3_000)],
      }),
  ],
];

const seed = seedOfRun();
const random = new Random(seed);
const RANDOM = Array.from({ length: 5 }, (_, index) => {
  const bytes = random.bytes(60_000);
  return [`random bytes ${index + 1} (SALLYPORT_SEED=${seed})`, () => output(...random.cut(bytes, 3_000))] as const;
});
const ALL = [...HOSTILE, ...RANDOM];

describe.skipIf(withoutAsciinema !== undefined)("asciinema", () => {
  it.each(ALL)("plays %s, byte for byte", (_, cast) => {
    const text = cast();
    expect(playInTerminal(text) === shown(text)).toBe(true);
  });
});

describe.skipIf(withoutBrowser !== undefined)("asciinema-player in a browser", () => {
  let player: WebPlayer;
  beforeAll(async () => {
    player = await WebPlayer.start();
  });
  afterAll(() => player?.stop());

  it("shows a terminal as its user saw it, stderr in red", async () => {
    const cast = record(
      (writer, tick) => {
        writer.write("stdout", utf8.encode("café ☃\n"), tick());
        writer.write("stderr", utf8.encode("oh no"), tick());
      },
      { tty: false },
    );
    const { screen, colours } = await player.play(cast, "oh no");
    expect(screen.slice(0, 3)).toEqual(["café ☃", "oh no", ""]);
    expect(screen).toHaveLength(24);
    const [red = 0, green = 0, blue = 0] = colours["oh no"]?.match(/\d+/g)?.map(Number) ?? [];
    expect(red).toBeGreaterThan(2 * Math.max(green, blue));
  });

  it("shows a size that changed", async () => {
    const cast = record((writer, tick) => {
      writer.resize({ columns: 80, rows: 24 }, NOW);
      writer.write("stdout", utf8.encode("x"), tick());
      writer.resize({ columns: 100, rows: 30 }, tick());
      writer.write("stdout", utf8.encode("\u001b[30;1Hlast line"), tick());
    });
    const { screen } = await player.play(cast, "last line");
    expect(screen).toHaveLength(30);
    expect(screen[29]).toBe("last line");
  });

  it.each(ALL)("plays %s, and goes on to show what follows", async (_, cast) => {
    // What a later life of the object would add, so that it does not depend on the state that the output
    // left.
    const text = `${cast()}[999999,"o",${JSON.stringify(`${RESET}all is well`)}]\n`;
    const { screen, title, clipboard } = await player.play(text, "all is well");
    expect(screen[0]).toBe("all is well");
    expect([title, clipboard]).toEqual(["player", "before"]);
  });
});
