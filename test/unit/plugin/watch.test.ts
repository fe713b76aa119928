/** `kubectl sallyport watch`: what reaches the watcher's terminal. */
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { expect, it } from "vitest";
import { runProgram } from "../../../cli/program.ts";
import { VERBS } from "../../../cli/verbs.ts";
import { CastReader, readEvent } from "../../../cli/watch/cast-reader.ts";
import { HarmlessOutput } from "../../../cli/watch/harmless-output.ts";
import { surroundingsOf } from "./support.ts";

const ESC = "\u001b";

it.each([
  ["text, lines and tabs", "café ☃ 😀\r\n\tx\b\u0007", "café ☃ 😀\r\n\tx\b\u0007"],
  ["colours and the cursor", `${ESC}[1;31mred${ESC}[0m${ESC}[2J${ESC}[H`, `${ESC}[1;31mred${ESC}[0m${ESC}[2J${ESC}[H`],
  ["the alternate screen", `${ESC}[?1049h${ESC}7${ESC}8${ESC}(B`, `${ESC}[?1049h${ESC}7${ESC}8${ESC}(B`],
  ["a write to the clipboard", `a${ESC}]52;c;ZXZpbA==\u0007b`, "ab"],
  ["a title, ended by ST", `a${ESC}]0;title${ESC}\\b`, "ab"],
  ["a string that a sequence interrupts", `a${ESC}]0;title${ESC}[31mb`, `a${ESC}[31mb`],
  ["an unfinished string", `a${ESC}]52;c;ZXZpbA==`, "a"],
  ["DCS, APC, PM and SOS", `${ESC}Pqx${ESC}\\${ESC}_a${ESC}\\${ESC}^b${ESC}\\${ESC}Xc${ESC}\\d`, "d"],
  ["C1 controls", "a\u009d52;c;x\u009cb\u009b5nc\u0090q\u009cd\u0085", "abcd"],
  ["questions that a terminal answers", `${ESC}[c${ESC}[>c${ESC}[6n${ESC}[18t${ESC}[?1$p${ESC}[>q${ESC}Z\u0005x`, "x"],
  ["a soft reset and a cursor's shape", `${ESC}[!p${ESC}[2 q`, `${ESC}[!p${ESC}[2 q`],
])("passes of %s what is for the screen alone", (_, output, shown) => {
  expect(new HarmlessOutput().push(output)).toBe(shown);
  // However it is cut.
  const filter = new HarmlessOutput();
  expect(Array.from(output, (character) => filter.push(character)).join("")).toBe(shown);
});

it("reads lines from any pieces, and events from lines", () => {
  const lines: string[] = [];
  const reader = new CastReader((line) => lines.push(line));
  for (const byte of new TextEncoder().encode('{"version":2}\n[0.1,"o","☃"]\nrest')) reader.push(Uint8Array.of(byte));
  expect(lines).toEqual(['{"version":2}', '[0.1,"o","☃"]']);
  expect(lines.map(readEvent)).toEqual([undefined, { code: "o", data: "☃" }]);
  for (const line of ["", "x", "null", "[1]", '[1,"o"]', '[1,"o",2]']) expect(readEvent(line)).toBeUndefined();
});

const CAST = [
  '{"version":2,"width":80,"height":24}',
  '[0,"o","one\\u001b[31m"]',
  '[1,"e","alive"]',
  '[2,"i","secret"]',
];

it.each([
  ["a terminal", true, "one\u001b[31m"],
  ["a pipe", false, CAST.join("")],
])("on %s it shows what comes, as it comes", async (_, isStdoutTerminal, shown) => {
  const id = "s".repeat(64);
  const asked: (string | undefined)[] = [];
  const continued = Promise.withResolvers<void>();
  const server = createServer(async (request, response) => {
    asked.push(request.url);
    response.writeHead(200, { "Content-Type": "application/x-asciicast" });
    response.write(`${CAST[0]}\n${CAST[1]}\n${CAST[2]?.slice(0, 5)}`);
    await continued.promise;
    response.end(`${CAST[2]?.slice(5)}\n${CAST[3]}\n`);
  });
  await new Promise<void>((listening) => server.listen(0, "127.0.0.1", listening));
  try {
    const written: string[] = [];
    const take = (text: string) => {
      written.push(text);
      if (written.join("").includes("one")) continued.resolve();
    };
    const surroundings = surroundingsOf({ isStdoutTerminal, write: take, print: take });
    const { port } = server.address() as AddressInfo;
    const args = ["watch", id, "--server", `http://127.0.0.1:${port}`];
    expect(await runProgram(args, { version: "1.2.3", verbs: VERBS }, surroundings)).toBe(0);
    expect(asked).toEqual([`/-/admin/sessions/${id}/watch`]);
    expect(written.join("").startsWith(shown)).toBe(true);
    if (isStdoutTerminal) expect(written.join("")).not.toMatch(/secret|alive/);
  } finally {
    server.close();
  }
});
