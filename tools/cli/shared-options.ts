/** Options that several commands have, with the same name and meaning. */
import { DEFAULT_DEPLOYMENT_FILE } from "../../terraform/config/load.ts";
import { projectPath, text } from "./options.ts";

export const deploymentFile = projectPath("FILE", "deployment file", DEFAULT_DEPLOYMENT_FILE);

export const outputsFile = text(
  "FILE",
  'output of "terraform output -json" for the edge stack; without it Terraform is asked',
);

export const stateFolder = projectPath("DIR", "state folder of the local stack", ".sallyport");
