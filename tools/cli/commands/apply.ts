import { writeFileSync } from "node:fs";
import { basename, dirname, join, relative, resolve } from "node:path";
import { flag, text, texts } from "../../../command-line/options.ts";
import { EDGE_STACK } from "../../../terraform/config/stack-names.ts";
import { OperatorError } from "../../deployment/operator-error.ts";
import { formatOutputs, readOutputs, terraformProgram } from "../../deployment/outputs.ts";
import { readDeployment } from "../../deployment/project.ts";
import { outFolder, projectFile } from "../../deployment/project-files.ts";
import { inOrder, inTerminal, readBy, runStack } from "../../deployment/terraform-run.ts";
import { defineCommand, UsageError } from "../command.ts";
import { EXIT_CODES } from "../exit-codes.ts";
import { deploymentFile } from "../shared-options.ts";

export const apply = defineCommand({
  options: {
    config: deploymentFile,
    out: text("DIR", "folder of the generated JSON (default: terraform/out/NAME)"),
    stack: texts("NAME", "only this stack: secrets, edge, demo or cluster-CLUSTER"),
    plan: flag("show what would change, and change nothing"),
    "auto-approve": flag("ask nobody, for automation"),
  },
  notes: [
    "Environment: CLOUDFLARE_API_TOKEN for the provider, the credentials of the state, and TERRAFORM (the program to run " +
      "instead of terraform, such as tofu). After the edge stack its outputs, none of which is secret, are in " +
      "DIR/outputs.json, for --outputs.",
    "--plan passes over a stack that cannot be planned yet, because it reads what a stack before it would change.",
  ],
  run: async ({ config, out, stack: only, plan, "auto-approve": isApproved }, { env, print, note }) => {
    if (plan && isApproved) throw new UsageError("--plan changes nothing, so --auto-approve does not go with it");
    const deployment = readDeployment(config, note);
    const outDir = resolve(out ?? projectFile(outFolder(deployment.name)));
    const { writeStacks } = await import("../../../terraform/write-stacks.ts");
    const { written } = writeStacks(deployment, { outDir, configDir: dirname(resolve(config)) });
    const folders = new Map(written.map((folder) => [basename(folder), relative(process.cwd(), folder)]));
    const unknown = only.filter((name) => !folders.has(name));
    if (unknown.length > 0) {
      throw new UsageError(
        `--stack ${unknown.join(", ")}: no such stack; there are ${inOrder([...folders.keys()]).join(", ")}`,
      );
    }
    const program = terraformProgram(env);
    /** Stacks whose next apply changes something, as far as plans say. */
    const unapplied = new Set<string>();
    for (const stack of inOrder(only.length > 0 ? only : [...folders.keys()])) {
      const folder = folders.get(stack) ?? "";
      print(`== ${stack}`);
      const result = await runStack(folder, { program, isPlan: plan, isApproved }, inTerminal);
      if (result === "changes" || result === "failed") {
        const before = readBy(stack).filter((name) => unapplied.has(name));
        if (result === "failed" && before.length === 0) {
          throw new OperatorError(`"${program} -chdir=${folder} plan" failed: see above`);
        }
        if (result === "failed")
          note(`${stack} cannot be planned before ${before.join(" and ")} is applied: see above`);
        unapplied.add(stack);
      }
      if (stack === EDGE_STACK && !plan) {
        const file = join(outDir, "outputs.json");
        writeFileSync(file, formatOutputs(readOutputs(undefined, folder)));
        print(`Wrote ${relative(process.cwd(), file)}.`);
      }
    }
    return EXIT_CODES.done;
  },
});
