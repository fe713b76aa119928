/** docs/DEPLOY.md: what can be run here is run, and the rest names only what there is. */
import { execFile } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { parseDeployment } from "../../terraform/config/load.ts";
import { deploymentInput, deploymentOf, synthesize } from "../support/deployment.ts";
import { fencedBlocks } from "../support/markdown.ts";

const DOC = "docs/DEPLOY.md";
const text = readFileSync(DOC, "utf8");
const blocks = fencedBlocks(text);
const shell = blocks.filter(({ info }) => info.startsWith("sh"));

describe("docs/DEPLOY.md", () => {
  it("names stacks, outputs and resources that there are", () => {
    const demo = { digitalocean: { region: "fra1", version: "1.36" } };
    const stacks = synthesize(deploymentOf({ demo }));
    for (const [, stack = ""] of text.matchAll(/out\/sallyport\/stacks\/([\w-]+)/g))
      expect(Object.keys(stacks)).toContain(stack);
    for (const [, output = ""] of text.matchAll(/output -json (\w+)/g))
      expect(stacks["edge"]?.output).toHaveProperty(output);
    for (const [, type = "", name = ""] of text.matchAll(/(cloudflare_\w+)\.([\w-]+)/g)) {
      expect(stacks["edge"]?.resource[type]).toHaveProperty(name);
    }
  });

  it("shows a state and a demo that the file takes", () => {
    const written: readonly [key: string, value: RegExp][] = [
      ["state", /"state": (\{[^}]*\})/g],
      ["demo", /"demo": (\{ "digitalocean": \{[^}]*\} \})/g],
    ];
    for (const [key, form] of written) {
      const values = [...text.matchAll(form)].map(([, value = ""]) => JSON.parse(value) as unknown);
      expect(values.length).toBeGreaterThan(0);
      for (const value of values)
        expect(() => parseDeployment(JSON.stringify({ ...deploymentInput(), [key]: value }), key)).not.toThrow();
    }
  });

  it("names files that there are", () => {
    for (const [, path = ""] of text.matchAll(/`((?:docs|terraform)\/[\w./-]+\.\w+)`/g))
      expect(existsSync(path), path).toBe(true);
  });
});

/** What the commands run. Node finds what these import from where they really are. */
const PROGRAMS = ["tools/cli/main.ts"];

describe("its commands that need no account", () => {
  let project: string;
  beforeAll(() => {
    // A project's top with nothing in it but what commands read: nobody's own deployment.jsonc is touched.
    project = mkdtempSync(join(tmpdir(), "sallyport-deploy-"));
    for (const folder of ["terraform", "tools/cli"]) mkdirSync(join(project, folder), { recursive: true });
    for (const shared of ["package.json", "node_modules", ...PROGRAMS, "terraform/deployment.example.jsonc"]) {
      symlinkSync(resolve(shared), join(project, shared));
    }
  });
  afterAll(() => rmSync(project, { recursive: true }));

  it("run one after the other, and leave what the text says", async () => {
    // Not again what brought this test here.
    const script = shell
      .filter(({ info }) => info === "sh")
      .map(({ text }) => text.replace("npm install\n", ""))
      .join("");
    const { code, stderr } = await new Promise<{ code: number | null; stderr: string }>((done) => {
      const child = execFile("sh", ["-e", "-c", script], { cwd: project }, (_error, _stdout, stderr) =>
        done({ code: child.exitCode, stderr }),
      );
    });
    expect(code, stderr).toBe(0);
    expect(readdirSync(join(project, "terraform/out/sallyport/stacks")).length).toBe(3);
    expect(readFileSync(join(project, "connector.yaml"), "utf8")).toMatch(/^kind: Deployment$/m);
  });
});
