import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { flag } from "../../../command-line/options.ts";
import { PROJECT } from "../../deployment/project-files.ts";
import { generatedFiles } from "../../docs-generate/files.ts";
import { defineCommand } from "../command.ts";
import { EXIT_CODES } from "../exit-codes.ts";

export const docsGenerate = defineCommand({
  options: {
    check: flag("write nothing; fail if a file is not current"),
  },
  run: async ({ check }, { commands, print }) => {
    let stale = 0;
    for (const { path, render } of generatedFiles(commands)) {
      const file = join(PROJECT, path);
      const current = existsSync(file) ? readFileSync(file, "utf8") : "";
      const text = await render(current);
      if (text === current) continue;
      stale++;
      if (!check) writeFileSync(file, text);
      print(`${path}: ${check ? "not current" : "written"}`);
    }
    if (stale === 0) print("All generated documentation is current.");
    return check && stale > 0 ? EXIT_CODES.failed : EXIT_CODES.done;
  },
});
