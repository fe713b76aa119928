import { expect, it } from "vitest";
import { concatBytes, utf8Length } from "../../../common/bytes.ts";

it.each([
  [[], []],
  [[[]], []],
  [[[1, 2]], [1, 2]],
  [
    [[1], [], [2, 3]],
    [1, 2, 3],
  ],
])("joins %j in order", (parts, joined) => {
  expect(concatBytes(parts.map((part) => Uint8Array.from(part)))).toEqual(Uint8Array.from(joined));
});

it("copies, so that a part can be reused afterwards", () => {
  const part = Uint8Array.of(1, 2);
  const joined = concatBytes([part]);
  part.fill(9);
  expect(joined).toEqual(Uint8Array.of(1, 2));
});

it("reads a view by its own offset and length, not by its buffer's", () => {
  const buffer = Uint8Array.of(0, 1, 2, 3).buffer;
  expect(concatBytes([new Uint8Array(buffer, 1, 2), new Uint8Array(buffer, 3)])).toEqual(Uint8Array.of(1, 2, 3));
});

it.each(["", "a", "ü", "☃", "🚪", "\uD83D", "\uDE00\uD83D"])(
  "counts the bytes of %j in UTF-8, wherever it is in a long text",
  (text) => {
    for (const around of [0, 1, 21_845, 65_533, 65_534, 65_535, 65_536, 131_071, 200_000]) {
      for (const filler of ["x", "ü", "☃"]) {
        const long = `${filler.repeat(around)}${text}${filler.repeat(around)}${text}`;
        expect(utf8Length(long)).toBe(new TextEncoder().encode(long).length);
      }
    }
  },
);
