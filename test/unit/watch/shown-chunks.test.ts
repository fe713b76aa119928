import { expect, it } from "vitest";
import { ShownChunks } from "../../../durable/watch/shown-chunks.ts";

function shown() {
  const seen: string[] = [];
  const chunks = new ShownChunks({
    show: ({ channel, payload }) => seen.push(`${channel}:${new TextDecoder().decode(payload)}`),
    notice: (text) => seen.push(text),
  });
  const push = (text: string, channel = 1) => {
    const payload = new TextEncoder().encode(text);
    chunks.push({ channel, isText: false, size: payload.length, payload }, 0);
    // The memory is used again.
    payload.fill(0x3f);
  };
  return { seen, push, renew: () => chunks.renew(0) };
}

it("shows everything of what is no burst", () => {
  const { seen, push, renew } = shown();
  for (const text of ["a", "b"]) {
    push(text);
    renew();
  }
  expect(seen).toEqual(["1:a", "1:b"]);
});

it("shows the beginning and the end of a burst, and says how much is left out", () => {
  const { seen, push, renew } = shown();
  for (let count = 0; count < 64; count++) push("x".repeat(32 * 1024));
  push("y", 2);
  push("prompt $ ");
  expect(seen).toHaveLength(4);
  renew();
  expect(seen.slice(4).map((text) => text.slice(0, 24))).toEqual([
    "2 MiB are left out here:",
    `1:${"x".repeat(22)}`,
    "2:y",
    "1:prompt $ ",
  ]);
  expect(seen[5]).toHaveLength(16 * 1024 + 2);
  push("next");
  expect(seen.at(-1)).toBe("1:next");
});

it("keeps the order of what comes while something is kept", () => {
  const { seen, push, renew } = shown();
  push("x".repeat(128 * 1024));
  push("one ");
  push("two");
  renew();
  push(" three");
  expect(seen.slice(1)).toEqual(["1:one ", "1:two", "1: three"]);
});
