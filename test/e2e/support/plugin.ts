/**
 * The kubectl plugin as people run it: built, started by a Node.js of theirs, with a browser that clicks by
 * itself.
 */
import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { existsSync, realpathSync, writeFileSync } from "node:fs";
import { delimiter, dirname, join } from "node:path";
import type { PersonaName } from "../../../dev/access/personas.ts";
import type { Finished } from "../../../dev/programs/kubectl.ts";
import type { TestStack } from "./people.ts";

/**
 * Signs in as a persona without a click: gets the page, and follows redirects as a browser does.
 *
 * Usage: node browser.mjs CA PERSONA ADDRESS
 */
const BROWSER = `
import { readFileSync } from "node:fs";
import { get as getPlain } from "node:http";
import { get } from "node:https";
const [ca, persona, address] = process.argv.slice(2);
let next = address + "&login_hint=" + persona;
while (next) {
  const url = new URL(next);
  const answer = await new Promise((done, failed) => {
    const options = { ca: readFileSync(ca), agent: false };
    (url.protocol === "https:" ? get : getPlain)(url, options, done).once("error", failed);
  });
  answer.resume();
  next = answer.headers.location;
}
`;

/** A person with the plugin: where it is, whose sign-ins it has, and who the browser is. */
export interface Person {
  /** The plugin's command line without its arguments. */
  readonly command: readonly [string, ...string[]];
  readonly env: Readonly<Record<string, string>>;
}

/** @returns the value of SALLYPORT_BROWSER for a browser in which somebody signs in as a persona */
export function browserOf({ home, stack }: TestStack, persona: PersonaName): string {
  const script = join(home, "browser.mjs");
  if (!existsSync(script)) writeFileSync(script, BROWSER);
  return [process.execPath, script, stack.front.ca, persona].map((word) => `"${word}"`).join(" ");
}

export interface StartedPlugin {
  readonly child: ChildProcess;
  stdout(): string;
  stderr(): string;
  readonly finished: Promise<Finished>;
}

/** Starts the plugin. Nobody is at a terminal. */
export function startPlugin({ command: [file, ...first], env }: Person, args: readonly string[]): StartedPlugin {
  const child = spawn(file, [...first, ...args], { env, stdio: ["ignore", "pipe", "pipe"] });
  let stdout = "";
  let stderr = "";
  child.stdout.setEncoding("utf8").on("data", (text: string) => {
    stdout += text;
  });
  child.stderr.setEncoding("utf8").on("data", (text: string) => {
    stderr += text;
  });
  const finished = new Promise<Finished>((done, failed) => {
    child.once("error", failed);
    child.once("close", (code) => done({ code, stdout, stderr }));
  });
  return { child, stdout: () => stdout, stderr: () => stderr, finished };
}

/** Runs the plugin until it exits. */
export function runPlugin(person: Person, ...args: string[]): Promise<Finished> {
  return startPlugin(person, args).finished;
}

/** Another Node.js on PATH, of the oldest version that the plugin supports or later. */
export function otherNode(): { readonly path: string; readonly version: string } | { readonly missing: string } {
  const own = realpathSync(process.execPath);
  for (const folder of (process.env["PATH"] ?? "").split(delimiter)) {
    const path = join(folder, "node");
    if (!existsSync(path) || realpathSync(path) === own) continue;
    const { stdout } = spawnSync(path, ["--version"], { encoding: "utf8" });
    const version = stdout?.trim() ?? "";
    const major = Number(/^v(\d+)\./.exec(version)?.[1]);
    if (major >= 20 && version !== process.version) return { path, version };
  }
  return { missing: "no other Node.js from version 20 on PATH" };
}

/** PATH with one Node.js first: the plugin's first line is `#!/usr/bin/env node`. */
export function pathWith(node: string): string {
  return `${dirname(node)}${delimiter}${process.env["PATH"]}`;
}
