import { execFileSync } from "node:child_process";
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, onTestFinished, test } from "vitest";
import { parse } from "yaml";

/** A GitHub workflow, as far as these tests read it. */
type Workflow = {
  readonly on: Readonly<Record<string, unknown>>;
  readonly permissions?: Readonly<Record<string, string>>;
  readonly concurrency?: unknown;
  readonly jobs: Readonly<Record<string, Job>>;
};
type Job = {
  readonly permissions?: Readonly<Record<string, string>>;
  readonly "timeout-minutes"?: number;
  readonly strategy?: { readonly matrix?: Readonly<Record<string, readonly (string | number)[]>> };
  readonly steps: readonly Step[];
};
type Step = { readonly uses?: string; readonly run?: string; readonly with?: Readonly<Record<string, unknown>> };

const FOLDER = ".github/workflows";
const { scripts, version } = JSON.parse(readFileSync("package.json", "utf8")) as {
  scripts: Readonly<Record<string, string>>;
  version: string;
};
/** npm's own commands, which are not scripts. */
const NPM_COMMANDS = ["ci", "install"];

describe.each(readdirSync(FOLDER))("%s", (file) => {
  const text = readFileSync(join(FOLDER, file), "utf8");
  const workflow = parse(text) as Workflow;
  const jobs = Object.entries(workflow.jobs);
  const steps = jobs.flatMap(([, { steps: all }]) => all);

  test("pins every action by commit, with its version beside it", () => {
    const uses = text.split("\n").filter((line) => /\buses:/.test(line));
    expect(uses.length).toBeGreaterThan(0);
    for (const line of uses) {
      expect(line).toMatch(/uses: [\w.-]+\/[\w.-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+$/);
    }
  });

  test("runs only npm scripts that exist", () => {
    const called = jobs.flatMap(([, job]) => job.steps.flatMap(({ run = "" }) => npmScripts(run, job)));
    expect(called.filter((name) => !NPM_COMMANDS.includes(name) && scripts[name] === undefined)).toEqual([]);
  });

  test("gives the token no permission that a job does not name, and writing to the release alone", () => {
    expect(workflow.permissions).toEqual({});
    for (const [name, { permissions }] of jobs) {
      const access = file === "release.yml" && name === "publish" ? "write" : "read";
      expect(permissions, name).toEqual({ contents: access });
    }
  });

  test("leaves no token in the checkout", () => {
    const checkouts = steps.filter(({ uses }) => uses?.startsWith("actions/checkout@"));
    expect(checkouts.length).toBe(jobs.length);
    for (const checkout of checkouts) {
      expect(checkout.with?.["persist-credentials"]).toBe(false);
    }
  });

  test("lets nobody put text into a script", () => {
    for (const { run = "" } of steps) {
      expect(run).not.toContain("${{");
    }
    expect(Object.keys(workflow.on)).not.toContain("pull_request_target");
    expect(Object.keys(workflow.on)).not.toContain("workflow_run");
  });

  test("ends on its own, and does not run beside itself", () => {
    expect(workflow.concurrency).toBeDefined();
    for (const [name, job] of jobs) {
      expect(job["timeout-minutes"], name).toBeGreaterThan(0);
    }
  });
});

/** The scripts that a command line calls, with each value of the matrix in place of its variable. */
function npmScripts(run: string, { strategy }: Job): string[] {
  return [...run.matchAll(/\bnpm (?:run )?("?)(\$?[\w:-]+)\1/g)].flatMap(([, , name = ""]) =>
    name.startsWith("$") ? (strategy?.matrix?.[name.slice(1).toLowerCase()] ?? [name]).map(String) : [name],
  );
}

describe(".ci/release-notes", () => {
  function releaseNotes(changelog: string): string {
    const folder = mkdtempSync(join(tmpdir(), "sallyport-release-"));
    onTestFinished(() => rmSync(folder, { recursive: true }));
    writeFileSync(join(folder, "package.json"), readFileSync("package.json"));
    writeFileSync(join(folder, "CHANGELOG.md"), changelog);
    return execFileSync(".ci/release-notes", [folder], { encoding: "utf8", stdio: ["ignore", "pipe", "pipe"] });
  }

  test("prints the section of the version in package.json", () => {
    const text = `# Changelog\n\n## [Unreleased]\n\n- later\n\n## [${version}] - 2026-12-01\n\n- now\n\n## [0.0.1] - 2026-01-01\n\n- before\n`;
    expect(releaseNotes(text).trim()).toBe("- now");
  });

  test.each([
    ["there is no section", "# Changelog\n\n## [Unreleased]\n\n- later\n"],
    ["the section has no date", `# Changelog\n\n## [${version}]\n\n- now\n`],
    ["the section is empty", `# Changelog\n\n## [${version}] - 2026-12-01\n\n## [0.0.1] - 2026-01-01\n\n- before\n`],
  ])("fails if %s", (_case, text) => {
    expect(() => releaseNotes(text)).toThrow(/has no section/);
  });
});

test("the docs name tags of the form that a release makes", () => {
  expect(readFileSync(join(FOLDER, "release.yml"), "utf8")).toContain('gh release create "v$version"');
  const pages = readdirSync("docs").filter((name) => name.endsWith(".md"));
  const tags = pages.flatMap((page) => [
    ...readFileSync(join("docs", page), "utf8").matchAll(/git (?:checkout|switch(?: --detach)?) (?!-- )(\S+)/g),
  ]);
  expect(tags.length).toBeGreaterThan(0);
  for (const [, tag = ""] of tags) {
    // Who mends what is deployed goes to its commit, whatever its tag.
    if (tag !== "DEPLOYED-COMMIT") expect(tag).toMatch(/^v\d+\.\d+\.\d+$/);
  }
});
