/** Options that several commands have, with the same name and meaning. */

import { flag, type Option, text } from "../../command-line/options.ts";
import { ok } from "../../common/result.ts";
import { DEFAULT_DEPLOYMENT_FILE } from "../../terraform/config/load.ts";
import { projectFile } from "../deployment/project-files.ts";

/** A file or folder. @param defaultPath from the project's top, wherever the command is started */
export function projectPath(placeholder: string, description: string, defaultPath: string): Option<string> {
  return {
    placeholder,
    description,
    defaultText: defaultPath,
    read: (given) => ok(given.at(-1) ?? projectFile(defaultPath)),
  };
}

export const deploymentFile = projectPath("FILE", "deployment file", DEFAULT_DEPLOYMENT_FILE);

export const outputsFile = text(
  "FILE",
  'output of "terraform output -json" for the edge stack; without it Terraform is asked',
);

export const stateFolder = projectPath("DIR", "state folder of the local stack", ".sallyport");

/** Which audit log is read: see ../seals/source.ts. */
export const logOptions = {
  state: stateFolder,
  remote: flag("read the deployed D1 database and bucket, through wrangler, instead of the local stack's"),
  config: text(
    "FILE",
    "wrangler configuration of the deployment (default: terraform/out/NAME/wrangler.json of the only one)",
  ),
  seals: text("DIR", "a downloaded copy of the bucket's seals/, to read instead of the bucket"),
};
