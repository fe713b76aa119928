/** `npx sallyport apply` as a command, with a program in Terraform's place that says what it was asked. */
import { execFile } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, it } from "vitest";
import { inOrder } from "../../../tools/deployment/terraform-run.ts";
import { ACCOUNT, deploymentText, outputsText } from "../../support/planned.ts";

const home = mkdtempSync(join(tmpdir(), "sallyport-apply-"));
afterAll(() => rmSync(home, { recursive: true, force: true }));
const config = join(home, "deployment.jsonc");
const log = join(home, "log");
const program = join(home, "tofu");
/** What `show -json` of a stack prints. */
const keepState = (stack: string, ...resources: object[]) =>
  writeFileSync(
    join(home, `state-${stack}`),
    JSON.stringify({ format_version: "1.0", ...(resources.length > 0 && { values: { root_module: { resources } } }) }),
  );
writeFileSync(config, deploymentText());
keepState("edge");
writeFileSync(join(home, "outputs"), outputsText());
writeFileSync(
  program,
  `#!/bin/sh\nfolder=\${1#-chdir=}; shift; echo "$(basename "$folder") $*" >> "${log}"\n[ "$1" = output ] && cat "${join(home, "outputs")}"\n[ "$1" = show ] && cat "${home}/state-$(basename "$folder")"\n[ "$*" = "$IMPORTING" ] && [ -f "$folder/import-service-tokens.tf.json" ] && cp "$folder/import-service-tokens.tf.json" "${home}/imported"\n[ "$*" = "plan -input=false -json" ] && cat "${home}/why-$(basename "$folder")"\n[ "$CHANGING" = "$(basename "$folder") $1" ] && exit 2\ncase "$FAILING" in *"$(basename "$folder") $1"*) exit 1;; esac\n`,
  { mode: 0o755 },
);

async function apply(args: readonly string[], more: Record<string, string> = {}) {
  rmSync(log, { force: true });
  const env = { PATH: process.env["PATH"], HOME: home, TERRAFORM: program, ...more };
  const options = ["--config", config, "--out", join(home, "out"), ...args];
  const result = await new Promise<{ code: number; stderr: string }>((done) => {
    execFile(process.execPath, ["tools/sallyport.js", "apply", ...options], { env }, (error, _stdout, stderr) =>
      done({ code: typeof error?.code === "number" ? error.code : 0, stderr }),
    );
  });
  return { ...result, lines: existsSync(log) ? readFileSync(log, "utf8").trim().split("\n") : [] };
}

describe("npx sallyport apply", () => {
  it("applies each stack after those that it reads, and keeps the outputs, which have no secret", async () => {
    const { code, stderr, lines } = await apply([]);
    expect([code, stderr]).toEqual([0, ""]);
    expect(lines).toEqual([
      // Service tokens may still be in the edge stack's state, from an earlier version.
      ...["edge init -input=false", "edge show -json"],
      ...["secrets init -input=false", "secrets apply", "edge init -input=false", "edge apply", "edge output -json"],
      ...["cluster-prod init -input=false", "cluster-prod apply"],
    ]);
    const kept = readFileSync(join(home, "out/outputs.json"), "utf8");
    expect(JSON.parse(kept)).toHaveProperty("vpc_service_ids.value.prod");
    expect(kept).not.toContain("nobody-may-see");
  });

  const token = (name: string) => ({
    address: `cloudflare_zero_trust_access_service_token.service-token-${name}`,
    values: { id: `id-of-${name}`, client_secret: "a-secret-that-nobody-may-see" },
  });

  it.each([
    [["--auto-approve"], "apply -auto-approve -input=false"],
    [["--plan"], "plan -input=false -detailed-exitcode"],
  ])("has service tokens imported that the edge stack still has: %j", async (args, importing) => {
    keepState("edge", token("ci"), token("one-that-is-gone"), { address: "cloudflare_d1_database.audit", values: {} });
    const { code, stderr, lines } = await apply(args, { IMPORTING: importing });
    expect(code).toBe(0);
    expect(stderr).toContain("The edge stack had the service tokens ci: they are imported here");
    expect(JSON.parse(readFileSync(join(home, "imported"), "utf8"))).toEqual({
      import: [{ to: token("ci").address, id: `accounts/${ACCOUNT}/id-of-ci` }],
    });
    expect(lines.indexOf("edge show -json")).toBeLessThan(lines.indexOf(`secrets ${importing}`));
  });

  it("imports nothing any more once the edge stack has forgotten them, and nothing where it cannot look", async () => {
    keepState("edge", token("ci"));
    await apply([]);
    keepState("edge");
    const { code, stderr } = await apply([]);
    expect([code, stderr]).toEqual([0, ""]);
    expect(existsSync(join(home, "out/stacks/secrets/import-service-tokens.tf.json"))).toBe(false);
    writeFileSync(join(home, "state-edge"), "");
    const blind = await apply([]);
    expect([blind.code, blind.lines]).toEqual([1, ["edge init -input=false", "edge show -json"]]);
    expect(blind.stderr).toMatch(/stacks\/edge show -json" failed: run it to see why/);
    keepState("edge");
  });

  it("asks nobody where it is told to, and only plans where it is told to", async () => {
    expect((await apply(["--auto-approve", "--stack", "edge"])).lines).toContain(
      "edge apply -auto-approve -input=false",
    );
    expect((await apply(["--plan"])).lines.filter((line) => !/ (init|show) /.test(line))).toEqual([
      ...["secrets plan -input=false -detailed-exitcode", "edge plan -input=false -detailed-exitcode"],
      "cluster-prod plan -input=false -detailed-exitcode",
    ]);
    expect(await apply(["--plan", "--auto-approve"])).toMatchObject({ code: 2, lines: [] });
  });

  /** What `plan -json` of a stack prints. */
  function explain(stack: string, ...diagnostics: object[]): void {
    const lines = [
      { "@level": "info", "@message": "Terraform 1.14.0", type: "version" },
      ...diagnostics.map((diagnostic) => ({
        "@level": "error",
        type: "diagnostic",
        diagnostic: { severity: "error", ...diagnostic },
      })),
    ];
    writeFileSync(join(home, `why-${stack}`), lines.map((line) => `${JSON.stringify(line)}\n`).join(""));
  }
  const noState = (stack: string) => ({
    summary: "Unable to find remote state",
    address: `data.terraform_remote_state.${stack}`,
    snippet: { values: [] },
  });
  const noKey = (stack: string) => ({
    summary: "Invalid index",
    snippet: { values: [{ traversal: `data.terraform_remote_state.${stack}.outputs.service_token_ids` }] },
  });
  const onEmptyAccount = { CHANGING: "secrets plan", FAILING: "edge plan, cluster-prod plan" };

  it("plans a stack that reads what another has still to make after that is applied", async () => {
    // As on an empty account, and for a service token that is new.
    explain("edge", noKey("secrets"));
    explain("cluster-prod", noState("edge"));
    const { code, stderr, lines } = await apply(["--plan"], onEmptyAccount);
    expect(stderr).toContain("edge cannot be planned before secrets is applied");
    expect(stderr).toContain("cluster-prod cannot be planned before edge is applied");
    expect(code).toBe(0);
    expect(lines.at(-1)).toContain("cluster-prod plan");
  });

  it.each<[string, object[], RegExp]>([
    [
      "has a fault as well",
      [noKey("secrets"), { summary: "Unsupported argument", address: "cloudflare_d1_database.audit" }],
      /Unsupported argument \(cloudflare_d1_database\.audit\)\. It is not only that secrets must be applied before/,
    ],
    [
      "cannot read the state for another reason",
      [{ summary: "Error loading state error", address: "data.terraform_remote_state.secrets" }],
      /Error loading state error/,
    ],
    [
      "reads what a stack has not made that needs no apply",
      [noState("demo")],
      /Unable to find remote state \(data\.terraform_remote_state\.demo\)/,
    ],
    [
      "has a wrong index of its own",
      [{ summary: "Invalid index", snippet: { values: [{ traversal: "local.names" }] } }],
      /Invalid index/,
    ],
    [
      "has a wrong index beside the other stack's",
      [{ ...noKey("secrets"), snippet: { values: [...noKey("secrets").snippet.values, { traversal: "local.a" }] } }],
      /Invalid index/,
    ],
    ["says nothing that can be read", [], /stacks\/edge plan" failed\. It is not only that secrets must/],
  ])("fails where a stack before it is not applied, and the plan %s", async (_, diagnostics, message) => {
    explain("edge", ...diagnostics);
    const { code, stderr, lines } = await apply(["--plan"], onEmptyAccount);
    expect(stderr).toMatch(message);
    expect(code).toBe(1);
    expect(lines.at(-1)).toBe("edge plan -input=false -json");
  });

  it("fails where a plan fails although all that it reads is applied", async () => {
    explain("edge", noKey("secrets"));
    const { code, stderr, lines } = await apply(["--plan"], { FAILING: "edge plan" });
    expect(code).toBe(1);
    expect(stderr).toMatch(/stacks\/edge plan" failed: see above/);
    expect(lines.at(-1)).toContain("edge plan");
    const own = await apply(["--plan"], { CHANGING: "edge plan", FAILING: "secrets plan" });
    expect([own.code, own.lines.at(-1)]).toEqual([1, "secrets plan -input=false -detailed-exitcode"]);
  });

  it("stops at the first stack that fails", async () => {
    const { code, stderr, lines } = await apply([], { FAILING: "edge apply" });
    expect(code).toBe(1);
    expect(stderr).toMatch(/stacks\/edge apply" failed: see above\. The stacks before it are done/);
    expect(lines.at(-1)).toBe("edge apply");
  });

  it("knows no other stacks, and says which there are", async () => {
    const { code, stderr } = await apply(["--stack", "cluster-dev"]);
    expect(code).toBe(2);
    expect(stderr).toContain("there are secrets, edge, cluster-prod");
  });

  it("says what to install where there is no Terraform", async () => {
    const { code, stderr } = await apply([], { TERRAFORM: join(home, "nothing") });
    expect([code, stderr]).toEqual([
      1,
      expect.stringContaining("install Terraform 1.10 or later, or set TERRAFORM=tofu"),
    ]);
  });

  it("puts the demo before its cluster", () => {
    expect(inOrder(["cluster-b", "cluster-a", "demo", "edge", "secrets"])).toEqual([
      ...["secrets", "edge", "demo", "cluster-a", "cluster-b"],
    ]);
  });
});

describe("npx sallyport secret", () => {
  const secret = (name: string, more: Record<string, string> = {}) =>
    new Promise<{ code: number; stdout: string; stderr: string }>((done) => {
      const args = [
        "tools/sallyport.js",
        "secret",
        "--service-token",
        name,
        "--config",
        config,
        "--out",
        join(home, "out"),
      ];
      const env = { PATH: process.env["PATH"], HOME: home, TERRAFORM: program, ...more };
      execFile(process.execPath, args, { env }, (error, stdout, stderr) =>
        done({ code: typeof error?.code === "number" ? error.code : 0, stdout, stderr }),
      );
    });
  const address = "cloudflare_zero_trust_access_service_token.service-token-ci";

  it("prints the variables of a service token", async () => {
    keepState("secrets", { address, values: { client_id: "ci.access", client_secret: "its-secret" } });
    expect(await secret("ci")).toEqual({
      ...{ code: 0, stderr: "" },
      stdout: "CF_ACCESS_CLIENT_ID=ci.access\nCF_ACCESS_CLIENT_SECRET=its-secret\n",
    });
  });

  it("says to raise the version of one that was imported, whose secret Terraform does not know", async () => {
    keepState("secrets", { address, values: { client_id: "ci.access", client_secret: null } });
    const { code, stdout, stderr } = await secret("ci");
    expect([code, stdout]).toEqual([1, ""]);
    expect(stderr).toMatch(/does not know the secret of the service token ci, because it was imported/);
    expect(stderr).toContain("set its secretVersion in access.serviceTokens to 2");
    expect(stderr).not.toMatch(/: apply it$/m);
  });

  it("says to apply the stack where that has no such token, and what the file lacks", async () => {
    keepState("secrets");
    expect((await secret("ci")).stderr).toContain("the stack secrets has no service token ci: apply it");
    expect((await secret("doctor")).stderr).toContain("the deployment file has no service token doctor");
  });
});
