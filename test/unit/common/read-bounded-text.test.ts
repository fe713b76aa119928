import { describe, expect, it } from "vitest";
import { readBoundedText } from "../../../common/read-bounded-text.ts";

const encode = (text: string) => new TextEncoder().encode(text);

/** A body of these chunks that counts what is read of it and remembers whether it was cancelled. */
function bodyOf(...chunks: readonly Uint8Array[]) {
  const waiting = [...chunks];
  const seen = { chunksRead: 0, isCancelled: false };
  const body = new ReadableStream<Uint8Array>(
    {
      pull(controller) {
        const chunk = waiting.shift();
        if (!chunk) return controller.close();
        seen.chunksRead++;
        controller.enqueue(chunk);
      },
      cancel() {
        seen.isCancelled = true;
      },
    },
    { highWaterMark: 0 },
  );
  return { body, seen };
}

describe("a body", () => {
  it("that is missing is an empty text", async () => {
    expect(await readBoundedText(null, 10)).toEqual({ text: "", isTruncated: false });
  });

  it("that is empty is an empty text", async () => {
    expect(await readBoundedText(bodyOf().body, 0)).toEqual({ text: "", isTruncated: false });
  });

  it.each([
    ["in one chunk", [encode("0123456789")]],
    ["in several", [encode("0123"), encode("456789")]],
    ["with an empty chunk at the end", [encode("0123456789"), encode("")]],
  ])("of exactly the bound is read whole, %s", async (_, chunks) => {
    const { body, seen } = bodyOf(...chunks);
    expect(await readBoundedText(body, 10)).toEqual({ text: "0123456789", isTruncated: false });
    expect(seen).toEqual({ chunksRead: chunks.length, isCancelled: false });
  });

  it.each([
    ["in one chunk", [encode("0123456789x")]],
    ["in several", [encode("0123"), encode("456789x")]],
    ["in a chunk of its own", [encode("0123456789"), encode("x")]],
  ])("of one byte more is cut at the bound and cancelled, %s", async (_, chunks) => {
    const { body, seen } = bodyOf(...chunks, encode("never read"));
    expect(await readBoundedText(body, 10)).toEqual({ text: "0123456789", isTruncated: true });
    expect(seen).toEqual({ chunksRead: chunks.length, isCancelled: true });
  });

  it("with a character across two chunks keeps that character", async () => {
    const [euro] = [encode("€")];
    const { body } = bodyOf(euro?.subarray(0, 1) ?? encode(""), euro?.subarray(1) ?? encode(""));
    expect(await readBoundedText(body, 3)).toEqual({ text: "€", isTruncated: false });
  });

  it("that is cut within a character loses that character", async () => {
    expect(await readBoundedText(bodyOf(encode("a€b")).body, 3)).toEqual({ text: "a", isTruncated: true });
  });

  it("that is not UTF-8 has replacement characters", async () => {
    expect(await readBoundedText(bodyOf(Uint8Array.of(0x61, 0xff)).body, 10)).toEqual({
      text: "a\ufffd",
      isTruncated: false,
    });
  });

  it("that fails rejects with its own error", async () => {
    const body = new ReadableStream<Uint8Array>({ pull: (controller) => controller.error(new Error("reset")) });
    await expect(readBoundedText(body, 10)).rejects.toThrow("reset");
  });
});
