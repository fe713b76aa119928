import xterm from "@xterm/headless";
import { describe, expect, it } from "vitest";
import { ControlScanner } from "../../durable/recording/control-scanner.ts";
import { Random, seedOfRun } from "../support/random.ts";

const { Terminal } = xterm;
const bytesOf = (text: string) => new TextEncoder().encode(text);
const scan = (text: string) => [...new ControlScanner().scan(bytesOf(text))];

/** The same bytes in pieces. */
function scanPieces(pieces: Iterable<Uint8Array>): string[] {
  const scanner = new ControlScanner();
  return [...pieces].flatMap((piece) => [...scanner.scan(piece)]);
}

const singly = (bytes: Uint8Array) => [...bytes].map((byte) => Uint8Array.of(byte));

describe("what acts on a terminal", () => {
  const ACTING: readonly (readonly [what: string, output: string, name: string])[] = [
    ["the clipboard is written", "\u001b]52;c;cm0gLXJmIH4K\u0007", "OSC 52"],
    ["the clipboard is read", "\u001b]52;c;?\u001b\\", "OSC 52"],
    ["… before its end has come", "\u001b]52;", "OSC 52"],
    ["… with zeros before the number", "\u001b]0052;c;eA==\u0007", "OSC 52"],
    ["… with a C1 control", "\u009d52;c;eA==\u009c", "OSC 52"],
    ["… within a title that has no end", "\u001b]0;title\u001b]52;c;eA==\u0007", "OSC 52"],
    ["… behind a control that terminals ignore", "\u001b\u0000]5\u00002;c;eA==\u0007", "OSC 52"],
    ["a file of iTerm2", "\u001b]1337;File=name=eA==:eA==\u0007", "OSC 1337"],
    ["a number that nobody knows", "\u001b]98765;x\u0007", "OSC other"],
    ["a number beyond all integers", `\u001b]${"9".repeat(400)};x\u0007`, "OSC other"],
    ["the background's colour is asked for", "\u001b]11;?\u0007", "OSC 11 ?"],
    ["one of several colours is asked for", "\u001b]4;1;red;2;?\u0007", "OSC 4 ?"],
    ["the cursor's position", "\u001b[6n", "CSI n"],
    ["… with a C1 control", "\u009b6n", "CSI n"],
    ["… as DEC's", "\u001b[?6n", "CSI ?n"],
    ["… with a line feed within", "\u001b[6\nn", "CSI n"],
    ["… with a byte within that is no text", "\u001b[\u00e96n", "CSI n"],
    ["what the terminal is", "\u001b[c", "CSI c"],
    ["… its version", "\u001b[>c", "CSI >c"],
    ["… its unit", "\u001b[=c", "CSI =c"],
    ["… in the old way", "\u001bZ", "ESC Z"],
    ["… by its answerback", "\u0005", "ENQ"],
    ["its name and version", "\u001b[>0q", "CSI >q"],
    ["a mode", "\u001b[?2026$p", "CSI ?$p"],
    ["kitty's keyboard", "\u001b[?u", "CSI ?u"],
    ["the title is typed", "\u001b[21t", "CSI t"],
    ["the window is resized", "\u001b[8;9999;9999t", "CSI t"],
    ["a checksum of the screen", "\u001b[1;1;1;1;2;2*y", "CSI *y"],
    ["the screen is printed", "\u001b[5i", "CSI i"],
    ["a setting", "\u001bP$qm\u001b\\", "DCS $q"],
    ["a capability", "\u001bP+q544e\u001b\\", "DCS +q"],
    ["what F1 types", "\u001bP0;1|17/726d0d\u001b\\", "DCS |"],
    ["to the terminal around tmux", "\u001bPtmux;\u001b\u001b]52;c;eA==\u0007\u001b\\", "DCS t"],
    ["kitty's pictures of files", "\u001b_Gt=f;L2V0Yy9wYXNzd2Q=\u001b\\", "APC G"],
  ];

  it.each(ACTING)("%s: %j", (_, output, name) => {
    expect(scan(`before${output}after`)).toContain(name);
  });

  it.each(ACTING)("%s, cut anywhere: %j", (_, output, name) => {
    const bytes = bytesOf(output);
    for (let cut = 0; cut <= bytes.length; cut++) {
      expect(scanPieces([bytes.subarray(0, cut), bytes.subarray(cut)])).toContain(name);
    }
    expect(scanPieces(singly(bytes))).toContain(name);
  });

  it("several in one piece are found, each once", () => {
    expect(scan("\u001b[6n\u001b[c\u001b[6n")).toEqual(["CSI n", "CSI c"]);
  });
});

describe("what only draws", () => {
  it.each([
    ["text", "plain text, and some that is not: é ☃ \u{1f600} £ \u00a0"],
    ["colours", "\u001b[1;38;5;123mhello\u001b[0m \u001b[38:2::1:2:3mx\u001b[m"],
    ["the cursor", "\u001b[2J\u001b[H\u001b[10;20f\u001b[s\u001b[u\u001b7\u001b8\u001b[2 q\u001b[?25l"],
    ["the Linux console's cursor", "\u001b[?6c"],
    ["modes: mouse, paste, alternate screen", "\u001b[?1003h\u001b[?2004h\u001b[?1049h\u001b[?1049l\u001b[4h"],
    ["a title, saved and restored", "\u001b[22;0t\u001b]0;vim n 52;c\u0007\u001b[23;0t"],
    [
      "colours that are set and reset",
      "\u001b]4;1;rgb:00/00/00\u0007\u001b]11;#000000\u001b\\\u001b]104\u0007\u001b]110\u0007",
    ],
    ["the working directory and a shell's marks", "\u001b]7;file://h/d?x=;?\u0007\u001b]133;A\u0007"],
    ["links", "\u001b]8;;https://example.com/?a;?\u0007text\u001b]8;;\u0007"],
    ["a sixel picture and a synchronous update", "\u001bPq#0;2;0;0;0~\u001b\\\u001bP=1s\u001b\\"],
    ["character sets", "\u001b(B\u001b)0\u001b#8\u001b%G"],
    ["a sequence that was cancelled", "\u001b[6\u0018n\u001b]52\u001a;c;eA=="],
    ["a sequence that another one ended", "\u001b[6\u001b[0mn"],
    ["the number without its data", "\u001b]52\u0007;c"],
    ["vim's key modifiers", "\u001b[>4;2m\u001b[>4;m\u001b[>n"],
  ])("%s", (_, output) => {
    expect(scan(output)).toEqual([]);
    expect(scanPieces(singly(bytesOf(output)))).toEqual([]);
  });
});

/** Builds output of whole, broken and odd sequences. */
function oddOutput(random: Random): string {
  const junk = () => (random.chance(0.2) ? random.pick([..."\n\u0000\u0007\u0005\u009c\u0018\u001bé;x\u007f"]) : "");
  const parts = Array.from({ length: 1 + random.below(8) }, () => {
    switch (random.below(4)) {
      case 0: {
        const numbers = random.pick(["", "0", "1", "5", "6", "14", "18", "21", "2026", "1;2"]);
        const head = random.pick(["\u001b[", "\u009b"]) + junk() + random.pick(["", "", "?", ">", "="]) + junk();
        return head + numbers + junk() + random.pick(["", "", ..."$*'# !"]) + random.pick([..."cimnpqtuwxySRZ"]);
      }
      case 1: {
        const number = random.pick(["52", "052", "4", "10", "11", "12", "104", "8", "0"]);
        const data = random.pick(["c;eA==", "?", "1;?", "1;red;2;?", "#fff;?", "c;?"]);
        return (
          random.pick(["\u001b]", "\u009d"]) +
          junk() +
          number +
          junk() +
          ";" +
          data +
          junk() +
          random.pick([..."\u0007\u009c\u0018x"])
        );
      }
      case 2:
        return (
          random.pick(["\u001bP", "\u0090"]) +
          junk() +
          random.pick(["$q", "+q", "q", "|"]) +
          random.pick(["m", "r", '"q']) +
          random.pick(["\u001b\\", "\u009c", ""])
        );
      default:
        return random.pick([
          "text",
          "é",
          "☃",
          "\u001b",
          "\u001bZ",
          "\u001b7",
          "\u001b^",
          "\u001bX",
          "\u001b\\",
          "\u001b(B",
        ]);
    }
  });
  return parts.join("");
}

it("whatever makes a terminal answer or write its clipboard has a name", async () => {
  const seed = seedOfRun();
  const random = new Random(seed);
  const counts = { answers: 0, clipboards: 0 };
  const terminal = new Terminal({
    allowProposedApi: true,
    logLevel: "off",
    windowOptions: { getWinSizePixels: true, getCellSizePixels: true, getWinSizeChars: true, getWinTitle: true },
  });
  let [answers, clipboards] = [0, 0];
  terminal.onData(() => void answers++);
  terminal.parser.registerOscHandler(52, (data) => {
    if (data !== "") clipboards++;
    return true;
  });
  for (let round = 0; round < 1_000; round++) {
    const text = oddOutput(random);
    [answers, clipboards] = [0, 0];
    // The start ends what the last round has left open.
    await new Promise<void>((done) => terminal.write(`\u0018\u001bc${text}`, done));
    const names = scan(text);
    const context = `SALLYPORT_SEED=${seed}: ${JSON.stringify(text)}`;
    if (answers > 0) expect(names, context).not.toEqual([]);
    if (clipboards > 0) expect(names, context).toContain("OSC 52");
    counts.answers += Math.min(answers, 1);
    counts.clipboards += Math.min(clipboards, 1);
  }
  expect(counts.answers).toBeGreaterThan(50);
  expect(counts.clipboards).toBeGreaterThan(50);
});

it("finds the same however random bytes are cut, and only names of a fixed set", () => {
  const seed = seedOfRun();
  const random = new Random(seed);
  const alphabet = bytesOf("\u001b\u001b\u001b[]P_?>=;;0125679ctnqpuiyZG$+'*#|\u0005\u0007\u0018\\é\u009b\u009d");
  const names = new Set<string>();
  for (let round = 0; round < 2_000; round++) {
    const bytes = Uint8Array.from({ length: 200 }, () => random.pick([...alphabet]));
    const whole = new ControlScanner().scan(bytes);
    expect(new Set(scanPieces(random.cut(bytes, 9))), `SALLYPORT_SEED=${seed}`).toEqual(whole);
    for (const name of whole) names.add(name);
  }
  expect(names.size).toBeGreaterThan(15);
  for (const name of names)
    expect(name).toMatch(/^(ENQ|ESC Z|APC G|OSC (\d{1,4}( \?)?|other)|DCS (.{1,2}|other)|CSI .{1,3})$/);
});
