import { describe, expect, it } from "vitest";
import { ChunkedBody } from "../../../durable/websocket/chunked-body.ts";
import { countWork } from "../../support/count-work.ts";

const MEBIBYTE = 1024 * 1024;

/** Decodes a body that arrives in pieces of so many bytes. */
function decode(text: string, pieceBytes = text.length) {
  const body = new ChunkedBody();
  const bytes = Buffer.from(text, "latin1");
  const data: Uint8Array[] = [];
  for (let at = 0; at < bytes.length; at += pieceBytes) data.push(...body.push(bytes.subarray(at, at + pieceBytes)));
  return { text: Buffer.concat(data).toString("latin1"), isComplete: body.isComplete };
}

describe("a chunked body", () => {
  it.each([
    ["5\r\nhello\r\n0\r\n\r\n", "hello", true],
    ["5;a=b\r\nhello\r\n6\r\n world\r\n0\r\nTrailer: x\r\n\r\n", "hello world", true],
    ["5\r\nhel", "hel", false],
    ["5\r\nhello\r\n", "hello", false],
    ["", "", false],
    ["5", "", false],
    ["a\nhello\nhell\r\n000\r\n", "hello\nhell", true],
    ["zz\r\nhello", "", true],
    ["5\r\nhello\r\nzz\r\nhello", "hello", true],
    ["ffffffffffff\r\nhello", "", true],
    [`5;${"x".repeat(1_000)}\r\nhello`, "", true],
    ["\r\nhello", "", true],
  ])("%j has the data %j, wherever it is cut", (text, data, isComplete) => {
    for (let pieceBytes = 1; pieceBytes <= text.length; pieceBytes++) {
      expect(decode(text, pieceBytes)).toEqual({ text: data, isComplete });
    }
  });

  it("is read once, also where it comes a byte at a time in chunks of one", () => {
    const chunk = Buffer.from("1\r\nx\r\n");
    const body = new ChunkedBody();
    let dataBytes = 0;
    const work = countWork(() => {
      for (let count = 0; count < 10_000; count++) {
        for (const byte of chunk) dataBytes += body.push(Uint8Array.of(byte)).length;
      }
    });
    expect(dataBytes).toBe(10_000);
    // The digit of each size, and the CR after it.
    expect(work.copiedBytes).toBeLessThanOrEqual(5 * 10_000);
    expect(work.textBytes).toBe(2 * 10_000);
  });

  it("keeps nothing of a size that never ends", () => {
    const body = new ChunkedBody();
    const { copiedBytes } = countWork(() => body.push(new Uint8Array(MEBIBYTE).fill(0x30)));
    expect([copiedBytes, body.isComplete]).toEqual([0, true]);
  });
});
