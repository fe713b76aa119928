/**
 * The commands in README and docs. Each shell block is marked: `sh` runs anywhere and a test runs it, `sh
 * stack` is run against a local stack in place of a deployment, `sh account` needs an account or a cluster
 * and is checked for syntax.
 */
import { spawnSync } from "node:child_process";
import { copyFileSync, existsSync, globSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { describe, expect, it, onTestFinished } from "vitest";
import { COMMANDS } from "../../tools/cli/commands.ts";
import { commandHelp } from "../../tools/cli/help.ts";
import { fencedBlocks } from "../support/markdown.ts";

const DOCUMENTS = [...readdirSync("."), ...readdirSync("docs").map((name) => `docs/${name}`)].filter((name) =>
  name.endsWith(".md"),
);
const { scripts } = JSON.parse(readFileSync("package.json", "utf8")) as { scripts: Record<string, string> };

/** The first line of each `sh` block → the test that runs it, or what it shows, and a text of it there. */
const RUN_BY: Readonly<Record<string, readonly [file: string, text: string]>> = {
  "npm install && npm start": [".ci/smoke", "npm start"],
  "kubectl --kubeconfig .sallyport/kubeconfig --context alice exec -it shell -- sh": [
    ...(["test/e2e/kubectl.test.ts", "exec"] as const),
  ],
  "kubectl proxy --port=8001 --reject-paths='^$'": [".ci/smoke", "--reject-paths='^$'"],
  "npm install && npm test": [".ci/run", "npm install && npm test"],
  "npm install": [".ci/run", "npm run check"],
  'sqlite3 -readonly -box "$(node -p': ["test/e2e/export.test.ts", "sqlite3"],
  "npx sallyport policy-explain": ["test/unit/docs-commands.test.ts", "policy-explain"],
  "npm run bench -- --help": ["test/unit/docs-commands.test.ts", "bench"],
};
/** Runs every `sh stack` block of the documents that it names. */
const STACK_RUNNER = "test/e2e/docs-commands.test.ts";
/** These run their own blocks. */
const RUN_ALL: Readonly<Record<string, string>> = {
  "docs/DEPLOY.md": "test/unit/docs-deploy.test.ts",
  "docs/UPGRADES.md": "test/e2e/deploy.test.ts",
};

describe.each(DOCUMENTS)("%s", (document) => {
  const text = readFileSync(document, "utf8");
  const shell = fencedBlocks(text).filter(({ info }) => /^sh\b/.test(info));
  const scriptRuns = runsIn(text, /npm run ([\w:-]+)(?: -- ([^`\n>|]*))?/g);
  const commandRuns = runsIn(text, /npx sallyport ([a-z-]+)([^`\n>|]*)/g);

  it("marks its shell blocks: run anywhere, on a local stack, or with an account", () => {
    for (const { info } of shell) expect(["sh", "sh stack", "sh account"]).toContain(info);
  });

  it("has shell blocks without syntax errors", () => {
    for (const { text: script } of shell) {
      expect(spawnSync("sh", ["-n"], { input: script, encoding: "utf8" })).toMatchObject({ status: 0, stderr: "" });
    }
  });

  it("changes no kubeconfig of its reader: a context there may be the administrator's own", () => {
    for (const { text: script } of shell) {
      expect(script).not.toMatch(/kubectl config (?:set|use|rename|delete|unset)/);
      expect(script).not.toMatch(/(?:>|-o|--output) *(?:"?\$KUBECONFIG|~\/\.kube)/);
    }
  });

  it("has no block that should be run by a test and is not", () => {
    const runner = RUN_ALL[document];
    if (runner !== undefined) {
      expect(readFileSync(runner, "utf8")).toContain(document);
      return;
    }
    for (const { text: script } of shell.filter(({ info }) => info === "sh")) {
      const found = Object.entries(RUN_BY).find(([start]) => script.startsWith(start));
      expect(found, script).toBeDefined();
      const [file, excerpt] = found?.[1] ?? ["", ""];
      expect(existsSync(file) && readFileSync(file, "utf8").includes(excerpt), `${file}: ${excerpt}`).toBe(true);
    }
    if (shell.some(({ info }) => info === "sh stack")) {
      expect(readFileSync(STACK_RUNNER, "utf8")).toContain(document);
    }
  });

  it("names npm scripts that exist, and options that they have", async () => {
    for (const { name, flags } of scriptRuns) {
      const script = scripts[name];
      expect(script, `npm run ${name}`).toBeDefined();
      if (flags.length === 0) continue;
      const [, program, command] = /^(?:exec )?node (\S+\.ts)(?: ([\w-]+))?$/.exec(script ?? "") ?? [];
      expect(program, `npm run ${name} is one program`).toBeDefined();
      const help = await helpOf(program ?? "", command);
      for (const flag of flags) expect(help, `npm run ${name} -- ${flag}`).toContain(flag);
    }
  });

  it("names commands that exist, and options that they have", async () => {
    for (const { name, flags } of commandRuns) {
      if (name === "help") continue;
      const entry = COMMANDS.find((each) => each.name === name);
      expect(entry, `npx sallyport ${name}`).toBeDefined();
      const known = Object.keys((await entry?.load())?.options ?? {}).map((option) => `--${option}`);
      for (const flag of flags) expect([...known, "--help"], `npx sallyport ${name} ${flag}`).toContain(flag);
    }
  });

  it("names checks of the doctor that exist", () => {
    const checks = globSync("tools/doctor/**/*.ts").map((file) => readFileSync(file, "utf8"));
    for (const [, check = ""] of text.matchAll(/\bdoctor (?:-- )?--only ([\w-]+)/g)) {
      expect(
        checks.some((source) => source.includes(`"${check}"`) || source.includes(`\`${check}:`)),
        check,
      ).toBe(true);
    }
  });

  it("links to files and headings that exist", () => {
    const prose = text.replaceAll(/`[^`\n]*`/g, "");
    for (const [, target = ""] of prose.matchAll(/\]\((?!https?:)([^)\s]+)\)/g)) {
      const [path = "", anchor] = target.split("#");
      const file = path === "" ? document : new URL(path, `file:///${document}`).pathname.slice(1);
      expect(existsSync(file), `${document} → ${target}`).toBe(true);
      if (anchor !== undefined) expect(anchorsOf(readFileSync(file, "utf8")), target).toContain(anchor);
    }
  });
});

it("policy-explain uses the example where nothing was deployed", () => {
  // Not in this checkout, which may have been deployed from.
  const project = mkdtempSync(join(tmpdir(), "sallyport-explain-"));
  onTestFinished(() => rmSync(project, { recursive: true }));
  mkdirSync(join(project, "terraform"));
  for (const file of ["package.json", "terraform/deployment.example.jsonc"]) copyFileSync(file, join(project, file));
  const request = "GET /api/v1/namespaces/prod-1/pods/web-0/exec?command=sh";
  const explained = spawnSync(
    process.execPath,
    [resolve("tools/cli/main.ts"), "policy-explain", "--as", "alice@example.com", request],
    { encoding: "utf8", cwd: project },
  );
  expect(explained).toMatchObject({ status: 0, stdout: expect.stringContaining("say why in production") });
});

interface Run {
  readonly name: string;
  readonly flags: readonly string[];
}

/** @param pattern matches the name, then the rest of the command line */
function runsIn(text: string, pattern: RegExp): Run[] {
  return [...text.matchAll(pattern)].map(([, name = "", rest = ""]) => ({
    name,
    flags: rest.match(/--[\w-]+/g) ?? [],
  }));
}

const helps = new Map<string, string>();

/**
 * Programs that run for minutes document their flags in their first comment; they are not started for their
 * help.
 */
async function helpOf(program: string, command: string | undefined): Promise<string> {
  if (program.startsWith("test/")) return readFileSync(program, "utf8");
  const entry = COMMANDS.find(({ name }) => name === command);
  if (entry) return commandHelp(entry, await entry.load());
  const known = helps.get(program);
  if (known !== undefined) return known;
  const { status, stdout } = spawnSync(process.execPath, [program, "--help"], { encoding: "utf8" });
  expect(status, program).toBe(0);
  helps.set(program, stdout);
  return stdout;
}

/** As GitHub makes them of headings, and those that are written out. */
function anchorsOf(markdown: string): string[] {
  const headings = [...markdown.matchAll(/^#+ (.*)$/gm)].map(([, heading = ""]) =>
    heading
      .toLowerCase()
      .replaceAll(/[^\p{L}\p{N} _-]/gu, "")
      .replaceAll(" ", "-"),
  );
  return [...headings, ...[...markdown.matchAll(/<a (?:id|name)="([^"]+)"/g)].map(([, id = ""]) => id)];
}
