/** Recordings of real kubectl sessions, read by an administrator and played by the real players. */
import { afterAll, beforeAll, expect, it } from "vitest";
import { withoutBrowser } from "../../dev/programs/chromium.ts";
import { type Row, sessionWhere } from "./support/audit-log.ts";
import { startTestStack, type TestStack } from "./support/people.ts";
import { playInTerminal, WebPlayer, withoutAsciinema } from "./support/players.ts";
import { Terminal } from "./support/terminal.ts";

let people: TestStack;

beforeAll(async () => {
  people = await startTestStack();
});
afterAll(() => people?.stop());

type CastEvent = readonly [seconds: number, code: string, data: string];

interface Cast {
  /** Its session in the audit log. */
  readonly row: Row;
  readonly text: string;
  readonly header: {
    readonly version: number;
    readonly width: number;
    readonly height: number;
    readonly title: string;
  };
  readonly events: readonly CastEvent[];
}

/** Reads the recording of the one ended session that matches. */
async function castWhere(condition: string): Promise<Cast> {
  const row = await sessionWhere(people.stack.d1Path, `state = 'ended' AND ${condition}`);
  const response = await people.admin("GET", `sessions/${row["id"]}/recording`);
  expect(response.status).toBe(200);
  const text = await response.text();
  const [header, ...events] = text
    .trimEnd()
    .split("\n")
    .map((line) => JSON.parse(line));
  return { row, text, header, events };
}

const shown = ({ events }: Cast) => events.flatMap(([, code, data]) => (code === "o" ? [data] : [])).join("");

/** Plays it with every player that this machine has. @param lastText what is on the screen at its end */
async function play(cast: Cast, lastText: string): Promise<void> {
  if (withoutAsciinema === undefined) expect(playInTerminal(cast.text)).toBe(shown(cast));
  if (withoutBrowser !== undefined) return;
  const player = await WebPlayer.start();
  try {
    await player.play(cast.text, lastText);
  } finally {
    await player.stop();
  }
}

it("a terminal: size, resize, every character on the screen, and how it ended", async () => {
  const terminal = new Terminal(people.alice.command("exec", "-it", "shell", "--", "sh"), 101, 33);
  await terminal.typeUntil("stty size", "33 101");
  terminal.resize(90, 30);
  await terminal.typeUntil("stty size", "30 90");
  terminal.type("printf 'caf\\303\\251 \\342\\230\\203\\n'; exit 3\n");
  expect(await terminal.exited).toBe(3);

  const cast = await castWhere("tty = 1 AND exit_code = 3");
  expect(cast.header).toMatchObject({ version: 2, title: "alice@example.com: exec embedded/demo/shell/shell" });
  // kubectl sends the size beside stdin. Until it arrives the shell has the default size.
  const sizes = [
    `${cast.header.width}x${cast.header.height}`,
    ...cast.events.filter(([, code]) => code === "r").map(([, , size]) => size),
  ];
  expect(sizes.filter((size) => size !== "80x24")).toEqual(["101x33", "90x30"]);
  expect(shown(cast)).toContain("café ☃");
  // Before it comes the local terminal's echo of early input, after it kubectl's message about the exit code.
  expect(terminal.shown).toContain(shown(cast));
  expect(cast.events.some(([, code]) => code === "i")).toBe(false);
  expect(cast.events.at(-1)?.slice(1)).toEqual(["m", "exit code 3"]);
  expect(cast.row).toMatchObject({
    recording_mode: "output",
    recording: "complete",
    recording_bytes: Buffer.byteLength(cast.text),
  });
  await play(cast, "café ☃");
});

it("without a terminal: stderr is marked and red, in chronological order", async () => {
  await people.alice.run("exec", "shell", "--", "sh", "-c", "echo one; sleep 0.2; echo two >&2; sleep 0.2; echo three");
  const cast = await castWhere("tty = 0 AND kind = 'exec' AND command ->> '$[2]' LIKE '%echo two%'");
  expect(cast.events.map(([, code, data]) => [code, data])).toEqual([
    ["o", "one\r\n"],
    ["e", "stderr"],
    ["o", "\u001b[31mtwo\r\n\u001b[39m"],
    ["o", "three\r\n"],
    ["m", "exit code 0"],
  ]);
  const [first, , second, third] = cast.events.map(([seconds]) => seconds) as [number, number, number, number];
  expect(first).toBe(0);
  expect(second).toBeGreaterThanOrEqual(0.15);
  expect(third).toBeGreaterThanOrEqual(second + 0.15);
  await play(cast, "three");
});

it("an attach, and a session that an administrator ended, whose reason comes last", async () => {
  const attached = people.alice.start(["attach", "logger"]);
  await expect.poll(() => attached.stdout().split("\n").length).toBeGreaterThan(2);
  const { id } = await sessionWhere(people.stack.d1Path, "state = 'live' AND kind = 'attach'");
  await people.admin("DELETE", `sessions/${id}?reason=drill`);
  await attached.finished;
  const cast = await castWhere("kind = 'attach'");
  expect(attached.stdout().replaceAll("\n", "\r\n")).toBe(shown(cast));
  expect(cast.events.at(-1)?.slice(1)).toEqual(["m", "ended: terminated: drill"]);
});
