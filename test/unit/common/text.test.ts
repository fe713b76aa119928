import { describe, expect, it, test } from "vitest";
import { maskControlCharacters, maskOutput, printableJson, stripControlCharacters } from "../../../common/text.ts";

it.each([
  ["plain text, ümlauts and 漢字", "plain text, ümlauts and 漢字"],
  ["", ""],
  ["\n\t ", ""],
  ["one\r\n\ttwo", "one two"],
  ["\u001b[31mred\u001b[0m", "[31mred [0m"],
  // C1 controls, which some terminals obey as they obey ESC [.
  ["a\u009b31mb", "a 31mb"],
  // Format characters reorder text (CVE-2021-42574).
  ["invoice\u202efdp.exe", "invoice fdp.exe"],
  ["a\u200bb", "a b"],
  ["a\ufeffb", "a b"],
  // A lone surrogate and an unassigned code point.
  ["a\ud800b", "a b"],
  ["a\u0378b", "a b"],
  ["  inner  spaces  stay  ", "inner  spaces  stay"],
])("makes %j safe to print: %j", (text, expected) => {
  expect(stripControlCharacters(text)).toBe(expected);
});

it.each([
  ["ab\u0000\u0000cd", 4, "ab c"],
  ["ab😀", 3, "ab\uFFFD"],
  ["ab😀", 4, "ab😀"],
])("cuts %j to %i units of what is safe to print, and leaves no half of a character: %j", (text, most, expected) => {
  expect(stripControlCharacters(text, most)).toBe(expected);
});

describe("names", () => {
  it.each([
    ["shell", "shell"],
    ["größe-漢字-😀", "größe-漢字-😀"],
    ["shell\u001b[2J", "shell\uFFFD[2J"],
    ["a\u0000b", "a\uFFFDb"],
    ["a\u007fb\u009b", "a\uFFFDb\uFFFD"],
    ["pod\u202e", "pod\uFFFD"],
    ["a\udc00\ud800b", "a\uFFFD\uFFFDb"],
  ])("%j is kept as %j: a hostile one never becomes another that exists", (text, expected) => {
    expect(maskControlCharacters(text)).toBe(expected);
  });

  it("are cut to whole characters", () => {
    expect(maskControlCharacters("ab😀", 3)).toBe("ab\uFFFD");
    expect(maskControlCharacters("ab😀", 4)).toBe("ab😀");
  });
});

test("the output of a program keeps its lines and columns, and nothing else that acts on a terminal", () => {
  expect(maskOutput("id\tname\n1\tshell\u001b[2J\r\u009b\u202e größe\n")).toBe(
    "id\tname\n1\tshell\uFFFD[2J\uFFFD\uFFFD\uFFFD größe\n",
  );
});

describe("JSON for a terminal", () => {
  it.each([
    [["echo", "\u009b31m", "\u202e\u{e000}\u{10ffff}", "\u007f\u0000\ud800"]],
    [{ text: "größe 漢字 😀\n\t\\u009b" }],
    ["plain"],
    [null],
  ])("has no character that acts on one, and the same value: %j", (value) => {
    const json = printableJson(value);
    expect(json).not.toMatch(/\p{C}/u);
    expect(JSON.parse(json)).toEqual(value);
  });

  it("leaves everything else as it was", () => {
    const value = { text: "größe 漢字 😀\n" };
    expect(printableJson(value)).toBe(JSON.stringify(value));
  });
});
