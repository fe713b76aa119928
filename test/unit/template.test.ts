/**
 * The template for a deployment's own repository: it does what its README says, with the commands that there
 * are.
 */
import { execFileSync, spawnSync } from "node:child_process";
import { cpSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { parse } from "yaml";
import { parseDeployment } from "../../terraform/config/load.ts";
import { COMMANDS } from "../../tools/cli/commands.ts";

const TEMPLATE = "terraform/template";
const WORKFLOWS = join(TEMPLATE, ".github/workflows");

interface Job {
  readonly environment?: string;
  readonly permissions?: Readonly<Record<string, string>>;
  readonly if?: string;
  readonly needs?: string | readonly string[];
  readonly "timeout-minutes"?: number;
  readonly env?: Readonly<Record<string, string>>;
  readonly steps: readonly {
    readonly uses?: string;
    readonly run?: string;
    readonly env?: Readonly<Record<string, string>>;
    readonly with?: Readonly<Record<string, unknown>>;
  }[];
}
interface Workflow {
  readonly on: Readonly<Record<string, unknown>>;
  readonly permissions: unknown;
  readonly concurrency: unknown;
  readonly jobs: Readonly<Record<string, Job>>;
}

const read = (file: string) => parse(readFileSync(join(WORKFLOWS, file), "utf8")) as Workflow;

describe.each(readdirSync(WORKFLOWS))("the template's %s", (file) => {
  const text = readFileSync(join(WORKFLOWS, file), "utf8");
  const { on, permissions, concurrency, jobs } = read(file);
  const steps = Object.values(jobs).flatMap((job) => job.steps);

  it("pins actions by commit, gives the token only what it reads, and ends on its own", () => {
    for (const line of text.split("\n").filter((each) => /\buses:/.test(each))) {
      expect(line).toMatch(/uses: [\w.-]+\/[\w.-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+$/);
    }
    expect(permissions).toEqual({});
    expect(concurrency).toBeDefined();
    expect(Object.keys(on)).not.toContain("pull_request_target");
    for (const job of Object.values(jobs)) {
      expect([{}, { contents: "read" }]).toContainEqual(job.permissions);
      expect(job["timeout-minutes"]).toBeGreaterThan(0);
    }
    for (const { uses, with: options } of steps.filter((step) => step.uses?.startsWith("actions/checkout@"))) {
      expect([uses, options?.["persist-credentials"]]).toEqual([uses, false]);
    }
  });

  it("puts no expression into a script", () => {
    for (const { run = "" } of steps) expect(run).not.toContain("${{");
  });

  it("gives secrets only to jobs with an environment, and there to no action and no package's install script", () => {
    for (const [name, { environment, env = {}, steps: ofJob }] of Object.entries(jobs)) {
      expect(JSON.stringify(env), name).not.toContain("secrets.");
      const trusted = ofJob.filter((step) => JSON.stringify(step).includes("secrets."));
      if (trusted.length > 0) expect(environment, name).toBeDefined();
      for (const { run } of trusted) expect(run, name).toMatch(/sallyport\.js (apply|deploy|doctor)|^rclone copy/);
    }
  });

  it("runs commands and options that there are", async () => {
    for (const { run = "" } of steps) {
      for (const [, name = "", rest = ""] of run.matchAll(/sallyport\.js ([\w-]+)(.*)/g)) {
        const entry = COMMANDS.find((command) => command.name === name);
        const options = Object.keys((await entry?.load())?.options ?? {});
        for (const [, option = ""] of rest.matchAll(/--([\w-]+)/g))
          expect(options, `${name} --${option}`).toContain(option);
      }
    }
  });
});

describe("the template's environments", () => {
  it("are those of the README, and a pull request reaches only the one that reads", () => {
    const readme = readFileSync(join(TEMPLATE, "README.md"), "utf8");
    const all = readdirSync(WORKFLOWS).flatMap((file) =>
      Object.values(read(file).jobs).flatMap(({ environment }) => environment ?? []),
    );
    const documented = [...readme.matchAll(/^\| `(\w+)` \| (?:none|required)/gm)].map(([, name = ""]) => name);
    expect(new Set(documented)).toEqual(new Set(all));
    const { plan, generated } = read("plan.yml").jobs;
    expect(generated?.environment).toBeUndefined();
    expect(plan?.environment).toBe("plan");
    expect(plan?.if).toContain("head.repo.full_name == github.repository");
  });

  it("deploy only what was applied, and check it afterwards", () => {
    const { jobs } = read("deploy.yml");
    expect(jobs["deploy"]?.needs).toBe("apply");
    expect(jobs["doctor"]?.needs).toEqual(["apply", "deploy"]);
    // Only the job that applies reaches the state.
    const withState = Object.entries(jobs).filter(([, job]) => JSON.stringify(job.steps).includes("STATE_"));
    expect(withState.map(([name]) => name)).toEqual(["apply"]);
  });
});

describe("what has secrets that change something runs on the protected branch alone", () => {
  const MAIN = { REF: "refs/heads/main", IS_PROTECTED: "true", IS_FORK: "false" };
  const github = (name: string) => `\${{ github.${name} }}`;
  const guardOf = (file: string, job: string) => {
    const [step] = read(file).jobs[job]?.steps ?? [];
    return { run: step?.run ?? "", env: step?.env };
  };
  const guard = (file: string, job: string, env: Record<string, string>) =>
    spawnSync("bash", ["-e", "-c", guardOf(file, job).run], {
      encoding: "utf8",
      env: { PATH: process.env["PATH"], ...env },
    });
  const guards = [
    ["deploy.yml", "branch"],
    ["copy-recordings.yml", "copy"],
  ] as const;

  it.each(guards)("%s: goes on there", (file, job) => {
    expect(guard(file, job, MAIN)).toMatchObject({ status: 0, stdout: "" });
    expect(guardOf(file, job).env).toMatchObject({
      REF: github("ref"),
      IS_PROTECTED: github("ref_protected"),
    });
  });

  it.each(
    guards.flatMap(([file, job]) =>
      [
        ["another branch", { REF: "refs/heads/feature" }, /refs\/heads\/feature is not main: merge it first/],
        ["a pull request", { REF: "refs/pull/7/merge", IS_PROTECTED: "false" }, /is not main/],
        ["a tag called main", { REF: "refs/tags/main" }, /is not main/],
        ["a branch that only ends so", { REF: "refs/heads/x/main" }, /is not main/],
        ["a main that anybody may push to", { IS_PROTECTED: "false" }, /main is not protected: require reviews/],
        ["a main of which nothing is known", { IS_PROTECTED: "" }, /main is not protected/],
      ].map(([what, change, message]) => ({ file, job, what, change, message })),
    ),
  )("$file: refuses $what", ({ file, job, change, message }) => {
    const { status, stdout } = guard(file, job, { ...MAIN, ...(change as Record<string, string>) });
    expect([status, stdout]).toEqual([1, expect.stringMatching(message as RegExp)]);
  });

  it("deploys nothing from a fork", () => {
    expect(guardOf("deploy.yml", "branch").env?.["IS_FORK"]).toBe(github("event.repository.fork"));
    for (const IS_FORK of ["true", ""]) {
      const { status, stdout } = guard("deploy.yml", "branch", { ...MAIN, IS_FORK });
      expect([status, stdout]).toEqual([1, expect.stringContaining("a fork deploys nothing")]);
    }
  });

  it("is looked at before any job that has a secret", () => {
    const { jobs } = read("deploy.yml");
    const needs = (job: string): string[] => [jobs[job]?.needs ?? []].flat().flatMap((each) => [each, ...needs(each)]);
    for (const [name, job] of Object.entries(jobs)) {
      if (name === "branch") expect(job.environment).toBeUndefined();
      else expect(needs(name), name).toContain("branch");
      // `always()` and the like would run a job after one that failed.
      expect(job.if, name).toBeUndefined();
    }
    // A scheduled run is one of the default branch; it needs no more than the first step.
    expect(Object.keys(read("copy-recordings.yml").jobs)).toEqual(["copy"]);
    for (const file of readdirSync(WORKFLOWS)) {
      const hasEnvironments = Object.values(read(file).jobs).some(({ environment }) => environment !== undefined);
      if (file !== "plan.yml" && hasEnvironments) expect(guards.map(([each]) => each)).toContain(file);
    }
  });
});

describe("what the template generates", () => {
  const home = mkdtempSync(join(tmpdir(), "sallyport-template-"));
  beforeAll(() => cpSync(TEMPLATE, home, { recursive: true }));
  afterAll(() => rmSync(home, { recursive: true, force: true }));
  const generate = () =>
    execFileSync(join(home, "generate"), { env: { ...process.env, SALLYPORT: resolve(".") }, stdio: "pipe" });
  const files = () =>
    readdirSync(join(home, "generated"), { recursive: true, encoding: "utf8" })
      .filter((name) => statSync(join(home, "generated", name)).isFile())
      .toSorted();
  const contents = () => files().map((name) => readFileSync(join(home, "generated", name), "utf8"));

  it("is a deployment file that is valid", () => {
    expect(() => parseDeployment(readFileSync(join(TEMPLATE, "deployment.jsonc"), "utf8"), "template")).not.toThrow();
  });

  it("is the stacks' JSON and the connectors' manifests, the same each time and on each machine", () => {
    generate();
    expect(files()).toEqual(["manifests/prod.yaml", "stacks/edge/cdk.tf.json", "stacks/secrets/cdk.tf.json"]);
    const before = contents();
    generate();
    expect(contents()).toEqual(before);
    expect(before.join("")).not.toContain(home);
    expect(before.join("")).toContain('"key": "sallyport/sallyport/edge.tfstate"');
  });

  it("is fetched by a commit and nothing else", () => {
    const { status, stderr } = spawnSync(join(home, "fetch-sallyport"), {
      encoding: "utf8",
      env: { PATH: process.env["PATH"] },
    });
    expect(status).not.toBe(0);
    expect(stderr).toContain("SALLYPORT_REPOSITORY: set it to the address that git clones");
  });
});
