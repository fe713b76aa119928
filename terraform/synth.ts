/**
 * `npm run synth`: writes Terraform's JSON. Asks nobody and needs no network.
 *
 * Exit code 0 when it is written, 1 when the deployment file is not valid, 2 for a mistake on the command line.
 */
import { readdirSync, readFileSync } from "node:fs";
import { dirname, join, relative, resolve } from "node:path";
import { parseArgs } from "node:util";
import { DEFAULT_OUT_DIR, runTool } from "./command-line.ts";
import { DEFAULT_DEPLOYMENT_FILE, loadDeployment } from "./config/load.ts";

const USAGE = `Usage: npm run synth [-- options]

  --config FILE  the deployment file. Default: ${DEFAULT_DEPLOYMENT_FILE}
  --out DIR      where the JSON goes, each stack in DIR/stacks/NAME. Default: ${DEFAULT_OUT_DIR}
  --help         this text
`;

await runTool(USAGE, async () => {
  const { values } = parseArgs({
    allowPositionals: false,
    options: {
      config: { type: "string", default: DEFAULT_DEPLOYMENT_FILE },
      out: { type: "string", default: DEFAULT_OUT_DIR },
    },
  });
  const outDir = resolve(values.out);
  return async () => {
    const deployment = loadDeployment(values.config, (words) => process.stderr.write(`note: ${words}\n`));
    // Loaded here, not above: it takes half a second, and a mistyped flag or file need not wait for it.
    const { buildApp } = await import("./app.ts");
    buildApp(deployment, { outDir, configDir: dirname(resolve(values.config)) }).synth();
    const stacks = stacksIn(outDir);
    for (const stack of stacks) process.stdout.write(`${folderOf(outDir, stack)}\n`);
    for (const gone of readdirSync(join(outDir, "stacks")).filter((stack) => !stacks.includes(stack))) {
      // Left as it is: destroying what was applied needs it.
      const folder = folderOf(outDir, gone);
      process.stderr.write(
        `note: ${gone} is not in the deployment any more; if it was applied, run "terraform -chdir=${folder} destroy", then delete ${folder}\n`,
      );
    }
  };
});

function stacksIn(outDir: string): string[] {
  const manifest = JSON.parse(readFileSync(join(outDir, "manifest.json"), "utf8")) as { stacks: object };
  return Object.keys(manifest.stacks);
}

function folderOf(outDir: string, stack: string): string {
  return relative(process.cwd(), join(outDir, "stacks", stack));
}
