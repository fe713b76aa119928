import { describe, expect, test } from "vitest";
import type { Refusal } from "../../durable/refusal.ts";
import { attemptKey, RefusedAttempts } from "../../durable/refused-attempts.ts";

const refusal = (body: string): Refusal => ({ status: 403, contentType: "application/json", body, message: body });

describe("a refusal is given again to the second half", () => {
  test.each([
    ["at once", 0, true],
    ["after 30 seconds", 30_000, true],
    ["but no later", 30_001, false],
  ])("%s", (_, ms, isKept) => {
    const attempts = new RefusedAttempts();
    attempts.remember("a", refusal("no"), 1_000);
    expect(attempts.take("a", 1_000 + ms)?.body).toBe(isKept ? "no" : undefined);
  });

  test("once", () => {
    const attempts = new RefusedAttempts();
    attempts.remember("a", refusal("no"), 0);
    expect(attempts.take("a", 1)).toMatchObject(refusal("no"));
    expect(attempts.take("a", 1)).toBeUndefined();
  });

  test("but not to another attempt", () => {
    const attempts = new RefusedAttempts();
    attempts.remember("a", refusal("no"), 0);
    expect(attempts.take("b", 1)).toBeUndefined();
    expect(attempts.take("a", 1)).toBeDefined();
  });

  test("and the last one counts if the first half was repeated", () => {
    const attempts = new RefusedAttempts();
    attempts.remember("a", refusal("first"), 0);
    attempts.remember("a", refusal("second"), 29_000);
    expect(attempts.take("a", 58_000)?.body).toBe("second");
  });

  test("for at most 64 attempts: a client that invents more pushes out the oldest", () => {
    const attempts = new RefusedAttempts();
    for (let i = 0; i < 64; i++) attempts.remember(String(i), refusal(String(i)), i);
    attempts.remember("0", refusal("again"), 64);
    attempts.remember("one more", refusal("one more"), 65);
    expect(attempts.take("1", 66)).toBeUndefined();
    expect(attempts.take("2", 66)?.body).toBe("2");
    expect(attempts.take("0", 66)?.body).toBe("again");
    expect(attempts.take("one more", 66)?.body).toBe("one more");
  });
});

describe("an attempt is one request of one run of kubectl", () => {
  test("the same for both halves", () => {
    expect(attemptKey("http://c/exec?command=sh", "s")).toBe(attemptKey("http://c/exec?command=sh", "s"));
  });

  test("different for another URL, another session or none, and unambiguous", () => {
    const keys = [
      attemptKey("http://c/exec?command=sh", "s"),
      attemptKey("http://c/exec?command=id", "s"),
      attemptKey("http://c/exec?command=sh", "t"),
      attemptKey("http://c/exec?command=sh", null),
      attemptKey("http://c/exec?command=sh", "null"),
      attemptKey("http://c/exec?command=sh", ""),
      attemptKey('http://c/exec?command=sh","s', ""),
    ];
    expect(new Set(keys).size).toBe(keys.length);
  });
});
