import { describe, expect, test } from "vitest";
import { makeSessionId, objectIdOf } from "../../contract/session-id.ts";

const OBJECT = "0123456789abcdef".repeat(4);
const RANDOM = Uint8Array.from({ length: 10 }, (_, i) => 250 + i);

describe("a session id", () => {
  test("is 64 characters that need no escaping in a URL or a header", () => {
    for (const now of [0, Date.parse("2026-11-22T00:00:00Z"), 2 ** 48 - 1]) {
      expect(makeSessionId(OBJECT, now, RANDOM)).toMatch(/^[A-Za-z0-9_-]{64}$/);
    }
  });

  test("names its object", () => {
    for (const object of [OBJECT, "f".repeat(64), "0".repeat(64)]) {
      expect(objectIdOf(makeSessionId(object, 1_764_000_000_000, RANDOM))).toBe(object);
    }
  });

  test("differs by time and by its random part", () => {
    const ids = new Set([
      makeSessionId(OBJECT, 1, RANDOM),
      makeSessionId(OBJECT, 2, RANDOM),
      makeSessionId(OBJECT, 1, new Uint8Array(10)),
    ]);
    expect(ids.size).toBe(3);
  });

  test("has the time in its first 6 bytes, in milliseconds", () => {
    const now = 0x0192_3456_789a;
    const bytes = Buffer.from(makeSessionId(OBJECT, now, RANDOM), "base64url");
    expect(bytes.readUIntBE(0, 6)).toBe(now);
    expect([...bytes.subarray(6, 16)]).toEqual([...RANDOM]);
  });

  test.each([
    ["an object id in capitals", OBJECT.toUpperCase(), RANDOM],
    ["an object id that is too short", OBJECT.slice(1), RANDOM],
    ["too little randomness", OBJECT, RANDOM.subarray(1)],
  ])("cannot be made with %s", (_, object, random) => {
    expect(() => makeSessionId(object, 1, random)).toThrow(RangeError);
  });
});

test.each(["", "x", "A".repeat(63), "A".repeat(65), `${"A".repeat(63)}+`, `${"A".repeat(63)}=`, `${"A".repeat(64)}\n`])(
  "%j is not a session id",
  (text) => {
    expect(objectIdOf(text)).toBeUndefined();
  },
);
