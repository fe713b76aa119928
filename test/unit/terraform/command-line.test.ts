import { execFile } from "node:child_process";
import { existsSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { parseAllDocuments } from "yaml";
import { connectorManifests } from "../../../terraform/manifests/connector.ts";
import { clusterInput, deploymentInput, deploymentOf } from "../../support/deployment.ts";

let home: string;
let config: string;
beforeAll(() => {
  home = mkdtempSync(join(tmpdir(), "sallyport-command-line-"));
  config = join(home, "deployment.jsonc");
  writeFileSync(config, JSON.stringify(deploymentInput()));
});
afterAll(() => rmSync(home, { recursive: true }));

interface Run {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

function run(command: string, ...args: string[]): Promise<Run> {
  return new Promise((done) => {
    const child = execFile(process.execPath, ["tools/cli/main.ts", command, ...args], (_error, stdout, stderr) =>
      done({ code: child.exitCode, stdout, stderr }),
    );
  });
}

describe("sallyport synth", () => {
  it("writes a folder for each stack, and says where", async () => {
    const out = join(home, "out");
    const { code, stdout } = await run("synth", "--config", config, "--out", out);
    expect(code).toBe(0);
    expect(
      stdout
        .trim()
        .split("\n")
        .map((line) => line.split("/").slice(-2).join("/")),
    ).toEqual(["stacks/cluster-prod", "stacks/edge", "stacks/secrets"]);
    for (const stack of ["edge", "cluster-prod"])
      expect(existsSync(join(out, "stacks", stack, "cdk.tf.json"))).toBe(true);
  });

  it("keeps what is needed to destroy a cluster that was removed from the deployment file, and says so", async () => {
    const out = join(home, "gone");
    await run("synth", "--config", config, "--out", out);
    const without = join(home, "without.jsonc");
    writeFileSync(without, JSON.stringify({ ...deploymentInput(), clusters: [clusterInput("dev")] }));
    const { stdout, stderr } = await run("synth", "--config", without, "--out", out);
    expect(stderr).toMatch(/cluster-prod belongs to no stack of the deployment any more.*destroy/);
    expect(stdout).not.toContain("cluster-prod");
    expect(readdirSync(join(out, "stacks")).toSorted((one, other) => one.localeCompare(other))).toEqual([
      "cluster-dev",
      "cluster-prod",
      "edge",
      "secrets",
    ]);
  });

  it("names the file and the place of a fault, and writes nothing", async () => {
    const faulty = join(home, "faulty.jsonc");
    writeFileSync(faulty, JSON.stringify({ ...deploymentInput(), colour: "red" }));
    const out = join(home, "nothing");
    const { code, stderr } = await run("synth", "--config", faulty, "--out", out);
    expect(code).toBe(1);
    expect(stderr).toContain(faulty);
    expect(stderr).toContain('"colour"');
    expect(stderr).not.toMatch(/^\s+at /m);
    expect(existsSync(out)).toBe(false);
  });

  it("refuses an unknown option", async () => {
    const { code, stderr } = await run("synth", "--colour");
    expect(code).toBe(2);
    expect(stderr).toMatch(/--colour[\s\S]*Usage: npx sallyport synth/);
  });

  it("has help", async () => {
    expect(await run("synth", "--help")).toMatchObject({
      code: 0,
      stdout: expect.stringMatching(/--out DIR/) as string,
    });
  });
});

describe("sallyport manifests", () => {
  it("prints what Terraform would apply as YAML, without the token, and says which Secret holds it", async () => {
    const { code, stdout, stderr } = await run("manifests", "--config", config, "--cluster", "prod");
    expect(code).toBe(0);
    const deployment = deploymentOf();
    const [cluster] = deployment.clusters;
    if (!cluster) throw new Error("there is no cluster");
    const documents = parseAllDocuments(stdout);
    const objects = "empty" in documents ? [] : documents.map((document) => document.toJS() as unknown);
    expect(objects).toEqual(connectorManifests(deployment, cluster));
    expect(stderr).toMatch(/Secret tunnel-token in the namespace sallyport, key token/);
  });

  it("prints a List as JSON", async () => {
    const { stdout } = await run("manifests", "--config", config, "--cluster", "prod", "--json");
    expect(JSON.parse(stdout)).toMatchObject({ apiVersion: "v1", kind: "List" });
  });

  it("names the clusters that exist", async () => {
    const { code, stderr } = await run("manifests", "--config", config, "--cluster", "qa");
    expect(code).toBe(1);
    expect(stderr).toMatch(/has no cluster qa; it has prod/);
  });

  it("requires a cluster", async () => {
    expect(await run("manifests", "--config", config)).toMatchObject({ code: 2 });
  });
});
