/** docs/DEPLOY.md: what can be run here is run, and the rest names only what there is. */
import { execFile } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { loadAll } from "js-yaml";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { parseDeployment } from "../../terraform/config/load.ts";
import { COMMANDS } from "../../tools/cli/commands.ts";
import { deploymentInput, deploymentOf, synthesize } from "../support/deployment.ts";
import { fencedBlocks } from "../support/markdown.ts";

const DOC = "docs/DEPLOY.md";

/** Of rbac.authorization.k8s.io/v1, as far as the example needs it. */
interface Binding {
  readonly apiVersion: string;
  readonly roleRef: unknown;
  readonly subjects: readonly { readonly kind: string; readonly name: string }[];
}
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

  it("goes from an empty account to the first kubectl get pods in ten commands, without an id", () => {
    const quick = blocks.filter(({ text }) => text.startsWith("git clone"));
    expect(quick).toHaveLength(1);
    const commands = (quick[0]?.text ?? "").trim().split(/\n| && /);
    expect(commands.length).toBeLessThanOrEqual(10);
    expect(commands.at(-1)).toMatch(/^kubectl .*get pods$/);
    // An id of Cloudflare's has 32 hexadecimal digits, or is a UUID.
    expect(quick[0]?.text).not.toMatch(/[0-9a-f]{8}-|[0-9a-f]{32}|--account|ACCOUNT|_ID/);
    const known = COMMANDS.map(({ name }) => name);
    for (const [, name = ""] of (quick[0]?.text ?? "").matchAll(/npx sallyport ([\w-]+)/g))
      expect(known).toContain(name);
  });

  it("puts no secret into an argument, where the list of processes shows it", () => {
    const documents = readdirSync("docs").filter((name) => name.endsWith(".md"));
    for (const name of [...documents.map((each) => `docs/${each}`), "README.md", "terraform/template/README.md"]) {
      for (const { text: commands } of fencedBlocks(readFileSync(name, "utf8"))) {
        expect(commands, name).not.toMatch(
          /(?:-H|--header[\w-]*|--token|--password)[ =]"?[^"\n]*\$\(?\{?\w*(?:TOKEN|SECRET|cloudflared)/,
        );
      }
    }
  });

  it("writes to no context that an administrator may have", () => {
    const written = [...text.matchAll(/kubectl config (?:set|delete|rename|use)-\w+ (\S+)/g)].map(
      ([, name = ""]) => name,
    );
    for (const name of written) expect(name).toMatch(/^sallyport-/);
    const others = [DOC, "README.md", "docs/GUIDE.md", "docs/UPGRADES.md", "docs/RUNBOOK.md"].map((file) =>
      readFileSync(file, "utf8"),
    );
    for (const document of others) expect(document).not.toMatch(/>\s*~\/\.kube\/config|kubectl config use-context/);
  });

  it("binds exactly the groups of the example's rules to roles", () => {
    const bindings = blocks.filter(({ info }) => info === "yaml").flatMap(({ text }) => loadAll(text) as Binding[]);
    const bound = bindings.flatMap(({ subjects }) => subjects.map(({ kind, name }) => `${kind} ${name}`));
    const example = parseDeployment(readFileSync("terraform/deployment.example.jsonc", "utf8"), "example");
    const given = example.sallyport.identities.flatMap(({ groups = [] }) => groups.map((name) => `Group ${name}`));
    expect(new Set(bound)).toEqual(new Set(given));
    for (const { apiVersion, roleRef } of bindings) {
      expect(apiVersion).toBe("rbac.authorization.k8s.io/v1");
      expect(roleRef).toMatchObject({ apiGroup: "rbac.authorization.k8s.io", kind: "ClusterRole" });
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
