import { expect, it } from "vitest";
import { sallyportLine } from "../../../durable/watch/sallyport-line.ts";

it.each([
  ["an escape sequence, which could move the cursor over the mark", "eve\u001b[2K\r\u009b1Aroot", "eve [2K 1Aroot"],
  ["line breaks", "one\r\ntwo\u0085three", "one two three"],
  ["what is longer than some lines", "x".repeat(10_000), "x".repeat(500)],
  ["half of a character", `${"x".repeat(499)}\u{1f600}`, `${"x".repeat(499)}\ufffd`],
])("shows nobody %s", (_, text, shown) => {
  expect(sallyportLine(text)).toBe(`[Sallyport: ${shown}]`);
});

it("leaves the text of people alone", () => {
  expect(sallyportLine("bob@example.com: günther, 你好 🙂")).toBe("[Sallyport: bob@example.com: günther, 你好 🙂]");
});
