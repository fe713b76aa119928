import { vi } from "vitest";

/** What a piece of code made the runtime do: numbers that are the same on a fast and on a busy machine. */
export interface Work {
  readonly jsonParses: number;
  readonly jsonChars: number;
  readonly textDecodes: number;
  readonly textBytes: number;
  readonly base64Chars: number;
  /** Characters that became bytes all at once. Those that were only counted are not among them. */
  readonly encodedChars: number;
  readonly copiedBytes: number;
}

const typedArray = Object.getPrototypeOf(Uint8Array.prototype) as Uint8Array;

/** Counts the calls that cost in proportion to what they are given. Loops over bytes are not seen. */
export function countWork(work: () => void): Work {
  const json = vi.spyOn(JSON, "parse");
  const text = vi.spyOn(TextDecoder.prototype, "decode");
  const base64 = vi.spyOn(globalThis, "atob");
  const encode = vi.spyOn(TextEncoder.prototype, "encode");
  const copies = [vi.spyOn(typedArray, "set"), vi.spyOn(typedArray, "slice")] as const;
  try {
    work();
    const sum = (numbers: readonly number[]) => numbers.reduce((total, number) => total + number, 0);
    return {
      jsonParses: json.mock.calls.length,
      jsonChars: sum(json.mock.calls.map(([source]) => source.length)),
      textDecodes: text.mock.calls.length,
      textBytes: sum(text.mock.calls.map(([bytes]) => bytes?.byteLength ?? 0)),
      base64Chars: sum(base64.mock.calls.map(([encoded]) => encoded.length)),
      encodedChars: sum(encode.mock.calls.map(([decoded]) => decoded?.length ?? 0)),
      copiedBytes:
        sum(copies[0].mock.calls.map(([source]) => source.length)) +
        sum(copies[1].mock.results.map(({ value }) => (value as Uint8Array).length)),
    };
  } finally {
    for (const spy of [json, text, base64, encode, ...copies]) spy.mockRestore();
  }
}
