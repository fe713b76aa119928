import { resolve } from "node:path";
import { flag, text } from "../../../command-line/options.ts";
import { OperatorError } from "../../deployment/operator-error.ts";
import { defineCommand } from "../command.ts";
import { EXIT_CODES } from "../exit-codes.ts";
import { projectPath } from "../shared-options.ts";

export const plugin = defineCommand({
  options: {
    out: projectPath("DIR", "folder to write to", "dist/plugin"),
    executable: flag("build the executable of this system, with Node.js in it, as an archive, too"),
    "krew-url": text("URL", "write krew's manifest, for archives that will be in this folder of a web server"),
  },
  notes: [
    "The file kubectl-sallyport runs on Node.js 20 and later. An executable is built on the system that it is for: " +
      "run the command on each with the same DIR, and with --krew-url the last time.",
  ],
  run: async ({ out, executable, "krew-url": krewUrl }, { print }) => {
    // It loads esbuild, which only this command needs.
    const { buildRelease } = await import("../../../cli/release.ts");
    const built = await buildRelease({ folder: resolve(out), hasExecutable: executable, krewUrl });
    if (!built.ok) throw new OperatorError(built.error);
    for (const path of built.value) print(path);
    return EXIT_CODES.done;
  },
});
