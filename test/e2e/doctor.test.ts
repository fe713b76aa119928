/**
 * The doctor before a deployment that really runs: workerd with D1, Access and the account's API in front of
 * it on loopback. And before a local stack, as a command.
 */
import { execFile } from "node:child_process";
import { randomBytes } from "node:crypto";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { setTimeout as wait } from "node:timers/promises";
import { afterAll, afterEach, beforeAll, expect, it } from "vitest";
import { kubectlPath } from "../../dev/programs/kubectl.ts";
import { type ConfigOverrides, type Stack, startStack } from "../../dev/stack/index.ts";
import { readMigrations } from "../../dev/stack/migrations.ts";
import type { Plan } from "../../tools/deployment/plan.ts";
import { runChecks } from "../../tools/doctor/check.ts";
import { deployedChecks } from "../../tools/doctor/deployed-checks.ts";
import { cloudflareApi } from "../../tools/ports/cloudflare.ts";
import { nodeHttp } from "../../tools/ports/http.ts";
import { kubectlProcess } from "../../tools/ports/kubectl.ts";
import {
  type AccessState,
  type AccountState,
  API_TOKEN,
  goodAccount,
  goodMetadata,
} from "../support/cloudflare-fake.ts";
import { type ClusterState, fakeKubectl, goodCluster } from "../support/kubectl-fake.ts";
import { ADMIN_AUDIENCE, AUDIENCE, HOSTNAME, testPlan } from "../support/planned.ts";
import { TokenForge } from "./support/forged-tokens.ts";
import { Front } from "./support/front.ts";

const ROOT = resolve(import.meta.dirname, "../..");
const TOKEN = { id: "ci.access", secret: "a-secret-that-nobody-may-see" };
const home = mkdtempSync(join(tmpdir(), "sallyport-doctor-"));
let stack: Stack;
let front: Front;
let forge: TokenForge;
let plan: Plan;
let account: AccountState;
let cluster: ClusterState;
let access: AccessState;
/** Undoes, after each test, what it changed. */
let repairs: (() => void)[] = [];

beforeAll(async () => {
  const document = {
    cluster: undefined,
    access: { audiences: [AUDIENCE, ADMIN_AUDIENCE], adminAudiences: [ADMIN_AUDIENCE] },
    clusters: [{ name: "prod", hostnames: [HOSTNAME], binding: "KUBE_API" }],
    identities: [
      { match: { serviceToken: TOKEN.id }, user: "ci-deployer", groups: ["developers"] },
      { match: { serviceToken: "root.access" }, user: "root", groups: ["developers"], roles: ["admin"] },
    ],
  };
  stack = await startStack({
    ...{ stateDir: join(home, "state"), port: 0, workerSocket: true, quiet: true },
    config: document as ConfigOverrides,
  });
  forge = new TokenForge(stack);
  const good = testPlan();
  plan = { ...good, access: { ...good.access, teamDomain: stack.access.issuer } };
});
afterAll(async () => {
  await stack?.stop();
  rmSync(home, { recursive: true, force: true });
});

async function build(): Promise<void> {
  const query = (sql: string) => withDatabase((database) => database.prepare(sql).all());
  account = goodAccount(plan, query);
  cluster = goodCluster(plan);
  access = {
    applications: [
      { path: "/", audience: AUDIENCE, tokens: [TOKEN], hasOAuth: true },
      { path: "/-/admin", audience: ADMIN_AUDIENCE, tokens: [], hasOAuth: true },
    ],
    metadata: goodMetadata(HOSTNAME),
    bypassed: [],
    sharesCookies: false,
  };
  const sign = (audience: string, clientId: string) =>
    forge.good({ aud: [audience], email: null, sub: "", common_name: clientId });
  front = new Front({ plan, account, access, workerUrl: stack.workerUrl ?? "", sign });
  await front.open();
}
afterEach(() => {
  for (const repair of repairs.reverse()) repair();
  repairs = [];
  front?.close();
});

function withDatabase<T>(use: (database: DatabaseSync) => T): T {
  const database = new DatabaseSync(stack.d1Path);
  try {
    return use(database);
  } finally {
    database.close();
  }
}

async function examine(serviceToken = TOKEN) {
  const http = nodeHttp({ [HOSTNAME]: front.url });
  const standIn = fakeKubectl(plan, cluster, Date.now);
  const real = kubectlProcess(kubectlPath());
  const results = await runChecks(
    deployedChecks(
      {
        plan,
        migrations: readMigrations(join(ROOT, "migrations")),
        cloudflare: cloudflareApi(http, { account: plan.account, token: API_TOKEN, api: front.api }),
        env: {},
      },
      {
        http,
        kubectl: (target, args, input) => (target ? standIn(target, args, input) : real(target, args, input)),
        now: Date.now,
        wait: (ms) => wait(ms),
        nonce: () => randomBytes(6).toString("hex"),
        serviceToken,
      },
    ),
  );
  return results
    .filter(({ status }) => status !== "ok")
    .map(({ id, status, message }) => `${status} ${id}: ${message}`);
}

it("finds a good deployment well", async () => {
  await build();
  expect(await examine()).toEqual([]);
});

/** A trigger that is dropped, and put back. */
function dropTrigger(name: string): void {
  const sql = withDatabase(
    (database) => database.prepare("SELECT sql FROM sqlite_master WHERE name = ?").get(name) as { sql: string },
  ).sql;
  withDatabase((database) => database.exec(`DROP TRIGGER ${name}`));
  repairs.push(() => withDatabase((database) => database.exec(sql)));
}

it.each<[string, () => void, RegExp]>([
  [
    "health open past Access",
    () => access.bypassed.push("/-/healthz"),
    /^fail access:prod\S+: Access does not answer .*HTTP 200/,
  ],
  [
    "the API open past Access",
    () => access.bypassed.push("/api"),
    /^fail access:prod\S+: Access does not answer .*HTTP 401/,
  ],
  ["the admin API behind the plain application", () => access.applications.pop(), /^fail access-admin:/],
  ["the admin API past Access", () => access.bypassed.push("/-/admin"), /^fail access-admin:prod\S+: .*HTTP 401/],
  [
    "workers.dev",
    () => (account.edge.subdomain.enabled = true),
    /^fail workers-dev: open past Access: workers\.dev of sallyport$/,
  ],
  ["a lost connector", () => account.connectors.pop(), /^fail tunnel:prod: the tunnel has only 2 of 3/],
  [
    "system:masters",
    () => cluster.otherRules.push({ apiGroups: [""], resources: ["groups"], verbs: ["impersonate"] }),
    /^fail impersonation:prod: its account may impersonate the group system:masters/,
  ],
  [
    "a dropped trigger",
    () => dropTrigger("requests_are_never_deleted"),
    /^fail d1-append-only: .*requests_are_never_deleted/,
  ],
])("finds one fault and no other: %s", async (_fault, inject, message) => {
  await build();
  inject();
  const found = (await examine()).filter((finding) => !finding.startsWith("skipped"));
  expect(found).toHaveLength(1);
  expect(found[0]).toMatch(message);
});

it("finds a service token without an identity rule, by the Worker's own message", async () => {
  await build();
  const stranger = { id: "stranger.access", secret: "x" };
  access.applications[0] = { path: "/", audience: AUDIENCE, tokens: [stranger], hasOAuth: true };
  const found = await examine(stranger);
  expect(found[0]).toMatch(/^fail whoami:prod\S+: the Worker answers 403: no rule here gives service:stranger\.access/);
  expect(found[1]).toMatch(/^fail through:/);
});

it("finds that the Worker requires the admin application's audience, whatever Access admits", async () => {
  await build();
  // The other application's token reaches /-/admin, as it would with one application for all paths. The
  // Worker refuses it.
  access.applications.pop();
  access.sharesCookies = true;
  const found = await examine({ id: TOKEN.id, secret: TOKEN.secret });
  expect(found).toEqual([expect.stringMatching(/^fail access-admin:prod\S+: the admin API has no Access application/)]);
});

function run(...args: string[]): Promise<{ code: number; stdout: string; stderr: string }> {
  return new Promise((done) => {
    const env = { PATH: process.env["PATH"], HOME: home, KUBECTL: kubectlPath() };
    execFile(
      process.execPath,
      ["tools/sallyport.js", "doctor", ...args],
      { cwd: ROOT, env },
      (error, stdout, stderr) => {
        done({ code: typeof error?.code === "number" ? error.code : 0, stdout, stderr });
      },
    );
  });
}

it("as a command looks at a local stack", async () => {
  const other = await startStack({ stateDir: join(home, "local"), port: 0, quiet: true });
  try {
    const { code, stdout, stderr } = await run("--local", "--state", other.stateDir);
    expect(stderr).toBe("");
    expect(stdout).toContain("\n14 ok, 0 warnings, 0 failed, 0 skipped\n");
    expect(code).toBe(0);
    const database = new DatabaseSync(other.d1Path);
    database.exec("DROP TRIGGER events_are_never_updated");
    database.prepare("UPDATE events SET at = ?").run(Date.now() - 39 * 86_400_000);
    database.close();
    const spoiled = await run("--local", "--state", other.stateDir, "--json");
    const { results } = JSON.parse(spoiled.stdout) as { results: { id: string; status: string }[] };
    const failed = results.filter(({ status }) => status !== "ok").map(({ id }) => id);
    expect(failed).toEqual(["d1-append-only", "seals"]);
    expect(spoiled.code).toBe(1);
  } finally {
    await other.stop();
  }
});

it("as a command says what to do when it cannot start", async () => {
  expect(await run("--local", "--state", join(home, "nowhere"))).toMatchObject({
    code: 1,
    stderr: expect.stringContaining("run npm start"),
  });
  expect(await run("--config", join(home, "none.jsonc"))).toMatchObject({
    code: 1,
    stderr: expect.stringContaining("copy terraform/deployment.example.jsonc"),
  });
  expect(await run("--no-such-flag")).toMatchObject({ code: 2 });
});
