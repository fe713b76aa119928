import { describe, expect, test, vi } from "vitest";
import { closeQuietly, forwardClose, truncateReason } from "../../common/close-codes.ts";

/** A socket that is as strict about codes as those of workerd and browsers. */
function socket() {
  const close = vi.fn((code?: number, reason?: string) => {
    if (
      code !== undefined &&
      code !== 1000 &&
      (code < 1001 || code > 4999 || [1004, 1005, 1006, 1015].includes(code))
    ) {
      throw new RangeError(`code ${code}`);
    }
    if (new TextEncoder().encode(reason).length > 123) throw new RangeError("reason");
  });
  return { close, socket: { close } as unknown as WebSocket };
}

describe("a close is forwarded", () => {
  test.each([1000, 1001, 1002, 1003, 1007, 1009, 1011, 1014, 3000, 3999, 4000, 4999])("unchanged: %d", (code) => {
    const far = socket();
    forwardClose(far.socket, code, "why");
    expect(far.close.mock.calls).toEqual([[code, "why"]]);
    expect(far.close).toHaveReturned();
  });

  test("without a code if it had none", () => {
    const far = socket();
    forwardClose(far.socket, 1005, "");
    expect(far.close.mock.calls).toEqual([[undefined, undefined]]);
  });

  test.each([1004, 1006, 1015, 1016, 2999, 5000, 999, 0])("as 1001 where %d must not be sent", (code) => {
    const far = socket();
    forwardClose(far.socket, code, "why");
    expect(far.close.mock.calls).toEqual([[1001, undefined]]);
    expect(far.close).toHaveReturned();
  });

  test("with a reason that is cut to what fits", () => {
    const far = socket();
    forwardClose(far.socket, 1011, "x".repeat(200));
    expect(far.close.mock.calls).toEqual([[1011, "x".repeat(123)]]);
  });
});

describe("a reason", () => {
  test.each([
    ["of 123 bytes stays", "x".repeat(123), "x".repeat(123)],
    ["of 124 bytes loses one", "x".repeat(124), "x".repeat(123)],
    ["is cut before a character of 2 bytes", `${"x".repeat(122)}é`, "x".repeat(122)],
    ["keeps a character of 2 bytes that fits", `${"x".repeat(121)}éé`, `${"x".repeat(121)}é`],
    ["is cut before a character of 3 bytes", `${"x".repeat(121)}€€`, "x".repeat(121)],
    ["is cut before a character of 4 bytes", `${"x".repeat(120)}🚪🚪`, "x".repeat(120)],
    ["is empty", "", ""],
  ])("that %s", (_, reason, expected) => {
    expect(truncateReason(reason)).toBe(expected);
    expect(new TextEncoder().encode(truncateReason(reason)).length).toBeLessThanOrEqual(123);
  });
});

test("a closed or broken socket causes no error", () => {
  const broken = {
    close: () => {
      throw new Error("closed");
    },
  } as unknown as WebSocket;
  expect(() => closeQuietly(broken, 1000, "x")).not.toThrow();
});
