/** The edge stack's outputs: how Terraform hands over the ids of what it made. */
import { execFileSync } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import * as z from "zod";
import { OUTPUT } from "../../terraform/config/outputs.ts";
import { OperatorError } from "./operator-error.ts";

/** Of `terraform output -json`; other outputs are none of ours, `tunnel_tokens` least of all. */
const outputsSchema = z.object({
  [OUTPUT.account]: z.string(),
  [OUTPUT.auditDatabaseId]: z.string(),
  [OUTPUT.auditDatabaseName]: z.string(),
  [OUTPUT.recordingsBucket]: z.string(),
  [OUTPUT.exportBucket]: z.string().nullish(),
  [OUTPUT.audience]: z.string(),
  [OUTPUT.adminAudience]: z.string(),
  /** All of them, where there are several applications of a kind. */
  [OUTPUT.audiences]: z.array(z.string()).optional(),
  [OUTPUT.adminAudiences]: z.array(z.string()).optional(),
  [OUTPUT.teamDomain]: z.string(),
  [OUTPUT.vpcServiceIds]: z.record(z.string(), z.string()),
  [OUTPUT.tunnelIds]: z.record(z.string(), z.string()),
  /** Client ids of the service tokens that were made here, by name. */
  [OUTPUT.serviceTokenClientIds]: z.record(z.string(), z.string()).optional(),
});

export type Outputs = z.output<typeof outputsSchema>;

/** Names of all that is read. */
export const OUTPUT_NAMES = Object.keys(outputsSchema.shape);

const wrapped = z.record(z.string(), z.object({ value: z.unknown() }));

/**
 * Reads the answer of `terraform output -json`.
 *
 * @param where for the words of an error
 * @throws OperatorError that names what is missing; no value is in it
 */
export function parseOutputs(text: string, where: string): Outputs {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    throw new OperatorError(`${where} is not the JSON that "terraform output -json" prints`);
  }
  const parsed = wrapped.safeParse(value);
  if (!parsed.success) throw new OperatorError(`${where} is not the JSON that "terraform output -json" prints`);
  if (Object.keys(parsed.data).length === 0) {
    throw new OperatorError(`${where} has no outputs yet: run "terraform apply" in the edge stack first`);
  }
  const outputs = outputsSchema.safeParse(
    Object.fromEntries(Object.entries(parsed.data).map(([name, output]) => [name, output.value])),
  );
  if (outputs.success) return outputs.data;
  const places = [...new Set(outputs.error.issues.map(({ path }) => path.join(".")))];
  throw new OperatorError(`${where} lacks ${places.join(", ")}: apply the edge stack as it is synthesised now`);
}

/** @param file what a flag named, in place of asking Terraform */
export function readOutputs(file: string | undefined, edgeStack: string): Outputs {
  if (file !== undefined) {
    if (!existsSync(file))
      throw new OperatorError(`there is no ${file}: --outputs names a file of "terraform output -json"`);
    return parseOutputs(readFileSync(file, "utf8"), file);
  }
  if (!existsSync(edgeStack)) {
    throw new OperatorError(
      `there is no ${edgeStack}: run "npm run synth" and apply the edge stack, or name --outputs FILE`,
    );
  }
  let text: string;
  try {
    // What it prints has the tunnels' tokens in it: it stays in this process.
    text = execFileSync("terraform", [`-chdir=${edgeStack}`, "output", "-json"], {
      encoding: "utf8",
      stdio: ["ignore", "pipe", "ignore"],
    });
  } catch {
    throw new OperatorError(
      `"terraform -chdir=${edgeStack} output -json" did not work: run it yourself to see why, or name --outputs FILE`,
    );
  }
  return parseOutputs(text, "terraform output -json");
}
