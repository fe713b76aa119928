import { expect, it } from "vitest";
import { stripControlCharacters } from "../../../common/text.ts";

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
