/** `kubectl-sallyport`: joins the program with its process. Runs on Node.js 20 and later. */
import { homedir } from "node:os";
import { createInterface } from "node:readline";
import { setTimeout as sleep } from "node:timers/promises";
import { maskOutput } from "../common/text.ts";
import { runProgram } from "./program.ts";
import type { Surroundings } from "./surroundings.ts";
import { VERBS } from "./verbs.ts";

/** Set by the build. */
declare const SALLYPORT_VERSION: string;

const surroundings: Surroundings = {
  env: process.env,
  platform: process.platform,
  homeFolder: homedir(),
  now: Date.now,
  sleep: (ms) => sleep(ms),
  isStdinTerminal: process.stdin.isTTY === true,
  isStdoutTerminal: process.stdout.isTTY === true,
  isStderrTerminal: process.stderr.isTTY === true,
  // Names and messages of servers end up here.
  print: (line) => process.stdout.write(`${maskOutput(line)}\n`),
  write: (text) => process.stdout.write(text),
  note: (line) => process.stderr.write(`${maskOutput(line)}\n`),
  readLines: (onLine) => {
    const lines = createInterface({ input: process.stdin });
    lines.on("line", onLine);
    return () => {
      lines.close();
      process.stdin.unref();
    };
  },
};

/** A connection that nobody needs any more, as to a proxy that does not answer, must not keep the process. */
const LINGER_MS = 500;

void runProgram(process.argv.slice(2), { version: SALLYPORT_VERSION, verbs: VERBS }, surroundings).then((code) => {
  process.exitCode = code;
  const leave = () => process.stdout.write("", () => process.exit(code));
  setTimeout(leave, LINGER_MS).unref();
});
