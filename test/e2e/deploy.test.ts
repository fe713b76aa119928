/**
 * `npm run deploy` as a command, with the real wrangler, and the commands of docs/UPGRADES.md that need no
 * account.
 */
import { execFile } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { setTimeout as wait } from "node:timers/promises";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { buildConsole } from "../../console/build.ts";
import { kubectlPath } from "../../dev/programs/kubectl.ts";
import { type Stack, startStack } from "../../dev/stack/index.ts";
import { readMigrations } from "../../dev/stack/migrations.ts";
import { bundleToText } from "../../dev/workers/bundle.ts";
import {
  EDGE_CONFIGURATION,
  LOCAL_ENVIRONMENT,
  OBJECTS_CONFIGURATION,
  readWorkerConfiguration,
} from "../../dev/workers/configuration.ts";
import { parseDeployment } from "../../terraform/config/load.ts";
import { interruptible } from "../../tools/cli/interruptible.ts";
import { type DeployOptions, deploy as runDeploy } from "../../tools/deploy/deploy.ts";
import { parseOutputs } from "../../tools/deployment/outputs.ts";
import { planOf } from "../../tools/deployment/project.ts";
import { cloudflareApi } from "../../tools/ports/cloudflare.ts";
import { nodeHttp } from "../../tools/ports/http.ts";
import { type Wrangler, wranglerDatabase, wranglerProcess } from "../../tools/ports/wrangler.ts";
import { fencedBlocks } from "../support/markdown.ts";
import { deploymentText, HOSTNAME, outputsText } from "../support/planned.ts";

const ROOT = resolve(import.meta.dirname, "../..");
const home = mkdtempSync(join(tmpdir(), "sallyport-deploy-"));
const config = join(home, "deployment.jsonc");
const outputs = join(home, "outputs.json");

beforeAll(() => {
  writeFileSync(config, deploymentText());
  writeFileSync(outputs, outputsText());
});
afterAll(() => rmSync(home, { recursive: true, force: true }));

function run(file: string, args: readonly string[], more: Record<string, string> = {}) {
  return new Promise<{ code: number; stdout: string; stderr: string }>((done) => {
    // Nobody's sign-in takes part.
    const env = { PATH: process.env["PATH"], HOME: home, KUBECTL: kubectlPath(), ...more };
    execFile(file, [...args], { cwd: ROOT, env }, (error, stdout, stderr) => {
      done({ code: typeof error?.code === "number" ? error.code : 0, stdout, stderr });
    });
  });
}
const deploy = (...args: string[]) => run(process.execPath, ["tools/sallyport.js", "deploy", ...args]);

describe("npm run deploy, without an account", () => {
  it("bundles both Workers as they would be deployed, and says what is left to do", async () => {
    const { code, stdout, stderr } = await deploy("--config", config, "--outputs", outputs, "--dry-run");
    expect(stderr).toBe("");
    expect(code).toBe(0);
    expect(stdout).toMatch(/ {2}sallyport: c\d+-[0-9a-f]{16}, Total Upload: [\d.]+ KiB/);
    expect(stdout).toMatch(/ {2}sallyport-objects: c\d+-[0-9a-f]{16}, Total Upload: [\d.]+ KiB/);
    expect(stdout).toMatch(/ {2}2\. apply those of these D1 migrations .*: 0000_audit_log\.sql, /);
    const generated = readFileSync(join(ROOT, "terraform/out/sallyport/wrangler.json"), "utf8");
    expect(generated).toContain(HOSTNAME);
    expect(generated + stdout).not.toContain("a-tunnel-token");
  });

  it("stops first if something is not filled in, or if the edge would refuse its document", async () => {
    const noId = join(home, "no-id.json");
    writeFileSync(noId, outputsText({ audit_database_id: "00000000-0000-0000-0000-000000000000" }));
    expect(await deploy("--config", config, "--outputs", noId)).toMatchObject({
      code: 1,
      stderr: expect.stringMatching(
        /^sallyport deploy: not everything is filled in:\n {2}audit_database_id is a placeholder/,
      ),
    });
    const bad = join(home, "bad.jsonc");
    writeFileSync(bad, deploymentText({ sallyport: { identities: [], idleTimeoutSeconds: 5 } }));
    expect(await deploy("--config", bad, "--outputs", outputs)).toMatchObject({
      code: 1,
      stderr: expect.stringMatching(/bad\.jsonc is not valid:(.|\n)*idleTimeoutSeconds/),
    });
    expect(await deploy("--drain-wait", "soon")).toMatchObject({
      code: 2,
      stderr: expect.stringContaining("--drain-wait soon must look like 90s, 30m or 2h"),
    });
    expect(await deploy("--config", config, "--outputs", outputs, "--drain-wait", "5m")).toMatchObject({
      code: 2,
      stderr: expect.stringContaining("--drain-wait goes with --drain"),
    });
    expect(await deploy("--config", config, "--outputs", outputs, "--drain")).toMatchObject({
      code: 1,
      stderr: expect.stringMatching(/--drain needs credentials\. .*CF_ACCESS_CLIENT_ID and CF_ACCESS_CLIENT_SECRET/),
    });
    expect(await deploy("--config", config, "--outputs", outputs, "--against", "deployed.json")).toMatchObject({
      code: 2,
      stderr: expect.stringContaining("--against goes with --dry-run: a deploy asks the account what it runs"),
    });
  });

  it("with an unknown account, fails with wrangler's message and deploys nothing", async () => {
    const { code, stdout, stderr } = await deploy("--config", config, "--outputs", outputs);
    expect(code).toBe(1);
    expect(stderr).toMatch(/^sallyport deploy: Cloudflare did not say which version runs: .* Nothing was changed\.\n/);
    expect(stderr).toContain("CLOUDFLARE_API_TOKEN");
    expect(stdout).not.toContain("Deploying");
  });
});

describe("the bundles of the local stack", () => {
  it.each([
    ["edge", EDGE_CONFIGURATION],
    ["objects", OBJECTS_CONFIGURATION],
  ])("are those that wrangler uploads, byte for byte: %s", async (name, file) => {
    const outDir = join(home, "bundles", name);
    const wrangler = wranglerProcess(file);
    await buildConsole();
    const [{ code, stderr }, ours] = await Promise.all([
      wrangler(["deploy", "--dry-run", "--env", LOCAL_ENVIRONMENT, "--outdir", outDir]),
      bundleToText(readWorkerConfiguration(file)),
    ]);
    expect(code, stderr).toBe(0);
    const theirs = readFileSync(join(outDir, "index.js"), "utf8");
    expect(theirs.replace(/\n\/\/# sourceMappingURL=index\.js\.map\n$/, "\n") === ours).toBe(true);
  });
});

/** What an account says in which older objects run. */
const ANSWERS: Readonly<Record<string, string>> = {
  deployments: JSON.stringify({ versions: [{ version_id: "v0", percentage: 100 }] }),
  versions: JSON.stringify({ id: "v0", annotations: { "workers/tag": "c1-0000000000000000" } }),
};

const migrationNames = () => readMigrations(join(ROOT, "migrations")).map(({ name }) => name);

/** Each statement is a process of wrangler, which takes seconds on a busy machine. */
const MANY_PROCESSES = { timeout: 1_200_000 };

describe("npm run deploy, with real D1", MANY_PROCESSES, () => {
  let data = join(home, "d1");
  const printed: string[] = [];
  const done: string[] = [];
  /**
   * The real wrangler and its local D1 in place of the deployed one. The Workers are neither bundled nor
   * uploaded.
   */
  const wrangler: Wrangler = (args) => {
    const real = wranglerProcess(join(ROOT, "terraform/out/sallyport/wrangler.json"));
    done.push(args.slice(0, 2).join(" "));
    if (args[0] === "d1")
      return real([...args.map((arg) => (arg === "--remote" ? "--local" : arg)), "--persist-to", data]);
    const stdout = ANSWERS[args[0] ?? ""] ?? "";
    return Promise.resolve({ code: 0, stdout, stderr: "", records: [{ type: "deploy", version_id: "v1" }] });
  };
  const again = (options: Partial<DeployOptions> = {}, migrations = migrationNames()) => {
    done.length = 0;
    printed.length = 0;
    const plan = planOf(parseDeployment(deploymentText(), config), parseOutputs(outputsText(), outputs));
    const configuration = { main: "index.ts", d1_databases: [], durable_objects: { bindings: [] } };
    return runDeploy(
      {
        plan,
        placeholders: [],
        edge: { name: "sallyport", configuration, wrangler },
        objects: { name: "sallyport-objects", configuration, wrangler },
        codeUpdateDelaySeconds: 60,
        databaseBinding: "AUDIT_DB",
        migrations: readMigrations(join(ROOT, "migrations")).filter(({ name }) => migrations.includes(name)),
        serviceToken: undefined,
      },
      {
        ...{ dryRun: false, against: undefined, skipSmoke: true, rollback: false },
        // There is no account to look in.
        ...{ takeOver: [HOSTNAME], byStatement: false },
        ...{ withObjects: false, endSessions: false, drainMs: undefined, objectsSecrets: undefined, ...options },
      },
      {
        save: () => {},
        http: nodeHttp(),
        cloudflare: (token) => cloudflareApi(nodeHttp(), { account: plan.account, token }),
        now: Date.now,
        wait: (ms) => wait(ms),
        print: (line) => void printed.push(line),
        drain: undefined,
        interruptible,
      },
    );
  };
  const ask = <Row>(sql: string) => wranglerDatabase(wrangler, "AUDIT_DB")<Row>(sql);

  it("creates a new database's schema without a prompt, and changes nothing the second time", async () => {
    await again();
    expect(done).toContain("d1 migrations");
    expect(printed.join("\n")).toContain(`D1: applying ${migrationNames().join(", ")} ...`);
    const triggers = await ask<{ n: number }>("SELECT count(*) AS n FROM sqlite_master WHERE type = 'trigger'");
    expect(triggers[0]?.n).toBeGreaterThan(3);
    await again();
    expect(done).not.toContain("d1 migrations");
    expect(printed).toContain("D1: all migrations are applied.");
  });

  it("makes the same schema where the last migrations come one statement at a time", async () => {
    const schema =
      "SELECT type, name, sql FROM sqlite_master WHERE name NOT LIKE '%d1_migrations%' ORDER BY type, name";
    const whole = await ask(schema);
    data = join(home, "d1-by-statement");
    try {
      // All of them are in test/unit/migrate-by-statement.test.ts. The last ones have a trigger too.
      await again({}, migrationNames().slice(0, -3));
      await again({ byStatement: true });
      expect(done).not.toContain("d1 migrations");
      expect(await ask(schema)).toEqual(whole);
      await again();
      expect(printed).toContain("D1: all migrations are applied.");
    } finally {
      data = join(home, "d1");
    }
  });

  it("counts the live sessions in the deployed view", async () => {
    await ask(
      "INSERT INTO events (session_id, seq, at, type, data, prev_hash, hash) " +
        `VALUES ('a', 0, ${Date.now()}, 'start', '{"user":"alice@acme.test"}', '', '')`,
    );
    await again();
    expect(printed.join("\n")).toMatch(/ {2}1 live: they go on .*, and are cut after 0 h 1 min/);
  });

  it("refuses a checkout older than the database, and leaves the schema as it is with --rollback", async () => {
    const older = migrationNames().slice(0, -1);
    await expect(again({}, older)).rejects.toThrow(/does not know: .*--rollback/s);
    expect(done).not.toContain("deploy --tag");
    await again({ rollback: true }, older);
    expect(done.slice(-2)).toEqual(["deploy --tag", "deploy --tag"]);
    expect(await ask("SELECT name FROM d1_migrations")).toHaveLength(migrationNames().length);
  });
});

describe("docs/UPGRADES.md", () => {
  const text = readFileSync(join(ROOT, "docs/UPGRADES.md"), "utf8");
  const blocks = fencedBlocks(text).filter(({ info }) => info.startsWith("sh"));
  const free = blocks.filter(({ info }) => info === "sh").map(({ text: commands }) => commands);
  let stack: Stack;

  beforeAll(async () => {
    stack = await startStack({ stateDir: join(home, "state"), port: 0, quiet: true });
  });
  afterAll(() => stack?.stop());

  it("has only blocks that run anywhere or are marked as needing an account", () => {
    expect(free.length).toBeGreaterThan(1);
    expect(blocks.every(({ info }) => info === "sh" || info === "sh account")).toBe(true);
    const { scripts } = JSON.parse(readFileSync(join(ROOT, "package.json"), "utf8")) as { scripts: object };
    for (const [, name = ""] of text.matchAll(/npm run ([\w:-]+)/g)) expect(Object.keys(scripts)).toContain(name);
  });

  it.each(free.map((commands) => [commands]))("runs: %s", async (commands) => {
    const { code, stderr } = await run("bash", ["-euc", commands], { STATE: stack.stateDir });
    expect(code, stderr).toBe(0);
  });
});
