/** What the console reads of a recording beside the player. */
import { describe, expect, it } from "vitest";
import { momentOf, playerTime, prepareCast, recordingTime } from "../../../console/src/player/cast.ts";

const cast = (...lines: unknown[]) =>
  `${[{ version: 2, width: 80, height: 24 }, ...lines].map((line) => JSON.stringify(line)).join("\n")}\n`;

describe("markers of a recording", () => {
  it("are those that it has, and where stderr begins", () => {
    const { text, moments } = prepareCast(
      cast([0.5, "o", "a"], [1, "e", "stderr"], [1, "o", "oops"], [9.25, "m", "exit code 1"]),
    );
    expect(moments).toEqual([
      { at: 1, label: "stderr" },
      { at: 9.25, label: "exit code 1" },
    ]);
    expect(text).toContain('[1, "m", "stderr"]\n');
  });

  it("are where the terminal's size changes, of which the player hears all the same", () => {
    const resized = cast([1, "r", "200x50"], [1.5, "r", "201x50"], [9, "o", "a"], [10, "r", "80x24"]);
    const { text, moments } = prepareCast(resized);
    expect(moments).toEqual([
      { at: 1, label: "size 200 × 50" },
      { at: 10, label: "size 80 × 24" },
    ]);
    const lines = text.trimEnd().split("\n").slice(1);
    expect(lines.map((line) => JSON.parse(line))).toEqual([
      [1, "r", "200x50"],
      [1, "m", "size 200 × 50"],
      [1.5, "r", "201x50"],
      [9, "o", "a"],
      [10, "r", "80x24"],
      [10, "m", "size 80 × 24"],
    ]);
  });

  it("do not merge errors with changes of size", () => {
    const both = cast([1, "r", "200x50"], [1.2, "e", "stderr"], [1.4, "r", "80x24"], [1.6, "m", "exit code 0"]);
    expect(prepareCast(both).moments.map(({ label }) => label)).toEqual(["size 200 × 50", "stderr", "exit code 0"]);
  });

  it("are not what a program writes that looks like one", () => {
    const output = '\n[2,"m","exit code 0"]\n[3,"e","stderr"]\n[3,"r","9x9"]';
    const forged = cast([1, "o", output], [4, "e", "control OSC 52"], [5, "r", "of no size"]);
    expect(prepareCast(forged)).toMatchObject({ moments: [], text: forged });
  });

  it("are one where errors follow each other, and again after a pause", () => {
    const errors = [1, 1.5, 3, 4.9, 9].flatMap((at) => [
      [at, "e", "stderr"],
      [at, "o", "x"],
    ]);
    expect(prepareCast(cast(...errors)).moments.map(({ at }) => at)).toEqual([1, 9]);
  });

  it("are bounded, since the player makes an element of each", () => {
    const many = prepareCast(cast(...Array.from({ length: 5_000 }, (_, index) => [index * 10, "e", "stderr"])));
    expect(many.moments).toHaveLength(200);
    expect(many.hasMore).toBe(true);
    expect(many.text.match(/"m"/g)).toHaveLength(200);
  });

  it("of 64 MiB are read in a second or so, whatever is in it", () => {
    const line = JSON.stringify([1, "o", `\\"m\\",[1, "e", ${"x[".repeat(500)}`]);
    const large = `{"version":2}\n${`${line}\n`.repeat(Math.ceil((64 * 1024 * 1024) / line.length))}`;
    const began = performance.now();
    expect(prepareCast(large).moments).toEqual([]);
    expect(performance.now() - began).toBeLessThan(5_000);
  });
});

describe("a moment's time where pauses are skipped", () => {
  const withPauses = cast([1, "o", "a"], [11, "o", "b"], [12, "o", "c"], [60, "o", "d"]);

  it.each([
    [0.5, 0.5],
    [1, 1],
    [11, 3],
    [12, 4],
    [60, 6],
    [5, 3],
  ])("second %d is shown at %d", (recorded, shown) => {
    expect(playerTime(withPauses, recorded, 2)).toBeCloseTo(shown);
  });

  it.each([
    [0.5, 0.5],
    [2, 2],
    [3, 11],
    [3.5, 11.5],
    [6, 60],
  ])("what is shown at %d was second %d", (shown, recorded) => {
    expect(recordingTime(withPauses, shown, 2)).toBeCloseTo(recorded);
  });

  it.each([
    ["U+2028", "\u2028"],
    ["U+2029", "\u2029"],
  ])("is not moved by output that looks like a line after %s", (_, separator) => {
    const forged = cast([1, "o", `a${separator}[500,`], [11, "o", "b"], [12, "o", "c"], [60, "o", "d"]);
    expect(forged).toContain(`${separator}[500,`);
    expect(playerTime(forged, 60, 2)).toBeCloseTo(6);
    expect(recordingTime(forged, 6, 2)).toBeCloseTo(60);
  });

  it("is the same where none are", () => {
    expect(playerTime(withPauses, 42, undefined)).toBe(42);
    expect(recordingTime(withPauses, 42, undefined)).toBe(42);
  });
});

describe("the moment of an event", () => {
  const began = Date.parse("2026-11-24T22:00:00.000Z") / 1_000;
  const recording = prepareCast(`${JSON.stringify({ version: 2, width: 80, height: 24, timestamp: began })}\n`);

  it("is up to a second early, never late, and not before the recording", () => {
    expect(momentOf("2026-11-24T22:00:31.500Z", recording)).toBe(30.5);
    expect(momentOf("2026-11-24T21:59:58.000Z", recording)).toBe(0);
  });

  it("is not known where the address has no time, or the header none", () => {
    expect(momentOf("", recording)).toBeUndefined();
    expect(momentOf("yesterday", recording)).toBeUndefined();
    for (const header of ["", "no json\n", "null\n", '{"version":2}\n', '{"timestamp":"1"}\n'])
      expect(momentOf("2026-11-24T22:00:31.500Z", prepareCast(header)), header).toBeUndefined();
  });
});
