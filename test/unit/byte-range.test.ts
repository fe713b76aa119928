import { expect, it } from "vitest";
import { readByteRange } from "../../worker/api/byte-range.ts";

// RFC 9110, section 14.1.2, of a whole of 10 bytes.
it.each<[string | null, [number, number] | undefined]>([
  ["bytes=0-", [0, 10]],
  ["bytes=0-0", [0, 1]],
  ["bytes=3-6", [3, 4]],
  ["bytes=3-99", [3, 7]],
  ["bytes=9-", [9, 1]],
  ["bytes=-4", [6, 4]],
  ["bytes=-40", [0, 10]],
  ["bytes=10-", undefined],
  ["bytes=5-4", undefined],
  ["bytes=-0", undefined],
  ["bytes=0-1,3-4", undefined],
  ["bytes=a-b", undefined],
  ["bytes=", undefined],
  ["bytes=-", undefined],
  ["items=0-1", undefined],
  [null, undefined],
])("%s", (header, expected) => {
  const range = readByteRange(header, 10);
  expect(range && [range.offset, range.length]).toEqual(expected);
});

it("is none of an empty whole", () => {
  expect(readByteRange("bytes=0-", 0)).toBeUndefined();
  expect(readByteRange("bytes=-1", 0)).toBeUndefined();
});
