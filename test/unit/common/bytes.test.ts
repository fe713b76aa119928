import { expect, it } from "vitest";
import { concatBytes } from "../../../common/bytes.ts";

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
