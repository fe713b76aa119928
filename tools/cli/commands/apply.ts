import { writeFileSync } from "node:fs";
import { basename, dirname, join, relative, resolve } from "node:path";
import { flag, text, texts } from "../../../command-line/options.ts";
import { EDGE_STACK, SECRETS_STACK } from "../../../terraform/config/stack-names.ts";
import { adoptServiceTokens } from "../../deployment/adopt-service-tokens.ts";
import { OperatorError } from "../../deployment/operator-error.ts";
import { formatOutputs, readOutputs, terraformProgram } from "../../deployment/outputs.ts";
import { readDeployment } from "../../deployment/project.ts";
import { outFolder, projectFile } from "../../deployment/project-files.ts";
import { readStackState } from "../../deployment/stack-state.ts";
import {
  askWhyPlanFailed,
  inBackground,
  initStack,
  inOrder,
  inTerminal,
  readBy,
  runStack,
} from "../../deployment/terraform-run.ts";
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
    "--plan passes over a stack that cannot be planned yet, because it reads what a stack before it has still to make. " +
      "Any other error of a plan fails.",
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
      if (stack === SECRETS_STACK) {
        const edge = folders.get(EDGE_STACK) ?? "";
        await initStack(edge, program, inTerminal);
        const adopted = adoptServiceTokens(deployment, readStackState(edge), folder);
        if (adopted.length > 0)
          note(`The edge stack had the service tokens ${adopted.join(", ")}: they are imported here.`);
      }
      const result = await runStack(folder, { program, isPlan: plan, isApproved }, inTerminal);
      if (result === "changes" || result === "failed") {
        if (result === "failed") {
          const before = readBy(stack).filter((name) => unapplied.has(name));
          note(`${stack} cannot be planned before ${await findCause(folder, program, before)} is applied: see above`);
        }
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

/**
 * Finds the stacks that must be applied before a stack can be planned.
 *
 * @param before those that it reads and that are not applied
 * @throws OperatorError where its plan fails for any other reason as well
 */
async function findCause(folder: string, program: string, before: readonly string[]): Promise<string> {
  const failed = `"${program} -chdir=${folder} plan" failed`;
  if (before.length === 0) throw new OperatorError(`${failed}: see above`);
  const { waitsFor, faults } = await askWhyPlanFailed(folder, program, before, inBackground);
  if (waitsFor.length > 0 && faults.length === 0) return waitsFor.join(" and ");
  const what = faults.length > 0 ? `: ${faults.join("; ")}` : "";
  throw new OperatorError(
    `${failed}${what}. It is not only that ${before.join(" and ")} must be applied before: see above`,
  );
}
