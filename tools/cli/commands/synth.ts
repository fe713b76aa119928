import { dirname, relative, resolve } from "node:path";
import { text } from "../../../command-line/options.ts";
import { terraformProgram } from "../../deployment/outputs.ts";
import { readDeployment } from "../../deployment/project.ts";
import { outFolder, projectFile } from "../../deployment/project-files.ts";
import { defineCommand } from "../command.ts";
import { EXIT_CODES } from "../exit-codes.ts";
import { deploymentFile } from "../shared-options.ts";

export const synth = defineCommand({
  options: {
    config: deploymentFile,
    out: text("DIR", "folder to write to, each stack to DIR/stacks/STACK (default: terraform/out/NAME)"),
  },
  run: async ({ config, out }, { env, print, note }) => {
    const deployment = readDeployment(config, note);
    // Loading the CDK takes half a second: a mistake in the deployment file is reported before.
    const { writeStacks } = await import("../../../terraform/write-stacks.ts");
    const { written, left } = writeStacks(deployment, {
      outDir: resolve(out ?? projectFile(outFolder(deployment.name))),
      configDir: dirname(resolve(config)),
    });
    for (const folder of written) print(relative(process.cwd(), folder));
    for (const absolute of left) {
      const folder = relative(process.cwd(), absolute);
      note(
        `${folder} belongs to no stack of the deployment any more. If it was applied, run ` +
          `"${terraformProgram(env)} -chdir=${folder} destroy", then delete it.`,
      );
    }
    return EXIT_CODES.done;
  },
});
