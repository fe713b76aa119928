/** `npx sallyport` as people start it: through npm's npx, the launcher, and the npm scripts. */
import { execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { copyFileSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { delimiter, join, resolve } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";

const ROOT = resolve(import.meta.dirname, "../..");
const { version } = JSON.parse(readFileSync(join(ROOT, "package.json"), "utf8")) as {
  readonly version: string;
};

/** An empty home, so that no npm cache or configuration is used. */
let home: string;
beforeAll(() => {
  home = mkdtempSync(join(tmpdir(), "sallyport cli "));
});
afterAll(() => rmSync(home, { recursive: true, force: true }));

/** Without the folders that npm adds, so that `node` is the machine's. */
const MACHINE_PATH = (process.env["PATH"] ?? "")
  .split(delimiter)
  .filter((folder) => !folder.includes("node_modules"))
  .join(delimiter);

interface Finished {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

function run(cwd: string, file: string, ...args: readonly string[]): Promise<Finished> {
  return new Promise((done) => {
    const env = { PATH: MACHINE_PATH, HOME: home, npm_config_offline: "true", npm_config_update_notifier: "false" };
    const child = execFile(file, [...args], { cwd, env }, (_error, stdout, stderr) =>
      done({ code: child.exitCode, stdout, stderr }),
    );
  });
}

/** Makes a checkout in which the launcher runs this program in place of the commands. */
function checkout(name: string, main: string | undefined): string {
  const folder = join(home, name);
  mkdirSync(join(folder, "tools/cli"), { recursive: true });
  for (const file of ["package.json", "tools/sallyport.js"]) copyFileSync(join(ROOT, file), join(folder, file));
  if (main === undefined) return folder;
  symlinkSync(join(ROOT, "node_modules"), join(folder, "node_modules"));
  writeFileSync(join(folder, "tools/cli/main.ts"), main);
  return folder;
}

const ECHO = `
console.log(JSON.stringify({ args: process.argv.slice(2), cwd: process.cwd(), node: process.version }));
process.exitCode = 3 as number;
`;

describe("npx sallyport", () => {
  it.each([".", "docs", "test/e2e"])("runs this checkout's command, without a network, from %s", async (folder) => {
    expect(await run(join(ROOT, folder), "npx", "sallyport", "--version")).toEqual({
      code: 0,
      stdout: `${version}\n`,
      stderr: "",
    });
  });

  it("prints nothing that acts on a terminal, whatever it quotes", async () => {
    const { code, stderr } = await run(ROOT, "npx", "sallyport", "a\u009b2J\u202e");
    expect(code).toBe(2);
    expect(stderr).toContain('unknown command "a\uFFFD2J\uFFFD"');
  });

  it("runs where the path has spaces, passes arguments as they are, and returns the exit code", async () => {
    const folder = checkout("a folder", ECHO);
    mkdirSync(join(folder, "sub folder"));
    for (const cwd of [folder, join(folder, "sub folder")]) {
      const { code, stdout } = await run(cwd, "npx", "sallyport", "explain", "--as", "a b", "GET /x?y=$HOME&z='*'");
      expect(code).toBe(3);
      expect(JSON.parse(stdout)).toEqual({
        args: ["explain", "--as", "a b", "GET /x?y=$HOME&z='*'"],
        cwd,
        // The tests run on the pinned Node.js, too.
        node: process.version,
      });
    }
  });

  it("says what to do if npm install has not been run", async () => {
    const folder = checkout("fresh", undefined);
    const { code, stdout, stderr } = await run(folder, "npx", "sallyport", "deploy");
    expect({ code, stdout }).toEqual({ code: 1, stdout: "" });
    expect(stderr).toContain(`sallyport: dependencies are not installed; run "npm install" in ${folder}`);
  });

  it.each([
    ["sizing", ["--users", "20", "--json"]],
    ["audit-verify", ["--state", "nowhere"]],
    ["sizing", ["--users", "none"]],
    ["break-glass", ["--colour"]],
  ])("does the same as the npm script: %s %j", async (command, args) => {
    const script = command === "audit-verify" ? "audit:verify" : command;
    const [byNpx, byScript] = [
      await run(ROOT, "npx", "sallyport", command, ...args),
      await run(ROOT, "npm", "run", "--silent", script, "--", ...args),
    ];
    expect(byNpx).toEqual(byScript);
    expect(byNpx.stdout + byNpx.stderr).not.toBe("");
  });
});

describe("the launcher", () => {
  const launch = (folder: string) =>
    spawn(process.execPath, [join(folder, "tools/sallyport.js")], { stdio: ["ignore", "pipe", "inherit"] });

  it.each(["SIGINT", "SIGTERM", "SIGHUP"] as const)("forwards %s, and returns the exit code", async (signal) => {
    const folder = checkout(
      `waits for ${signal}`,
      `process.on("${signal}", () => process.exit(7)); setInterval(() => {}, 1_000); console.log("ready");`,
    );
    const child = launch(folder);
    await once(child.stdout, "data");
    child.kill(signal);
    expect(await once(child, "exit")).toEqual([7, null]);
  });

  it("exits by the signal that ended the command", async () => {
    const child = launch(
      checkout("ends itself", `process.kill(process.pid, "SIGTERM"); setInterval(() => {}, 1_000);`),
    );
    expect(await once(child, "exit")).toEqual([null, "SIGTERM"]);
  });
});
