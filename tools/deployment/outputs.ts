/** The edge stack's outputs, from which the other tools get the ids of Cloudflare's resources. */
import { execFileSync } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import * as z from "zod";
import { OUTPUT } from "../../terraform/config/outputs.ts";
import { OperatorError } from "./operator-error.ts";

/** The outputs that are used. Others are ignored. */
const outputsSchema = z.object({
  [OUTPUT.deployment]: z.string(),
  [OUTPUT.account]: z.string(),
  [OUTPUT.auditDatabaseId]: z.string(),
  [OUTPUT.auditDatabaseName]: z.string(),
  [OUTPUT.recordingsBucket]: z.string(),
  [OUTPUT.exportBucket]: z.string().nullish(),
  [OUTPUT.audience]: z.string(),
  [OUTPUT.adminAudience]: z.string(),
  /** Those of all applications, where there are several. */
  [OUTPUT.audiences]: z.array(z.string()).optional(),
  [OUTPUT.adminAudiences]: z.array(z.string()).optional(),
  [OUTPUT.teamDomain]: z.string(),
  [OUTPUT.vpcServiceIds]: z.record(z.string(), z.string()),
  [OUTPUT.vpcTcpServiceIds]: z.record(z.string(), z.string()).optional(),
  [OUTPUT.tunnelIds]: z.record(z.string(), z.string()),
  /** Client ids by the names of service tokens. */
  [OUTPUT.serviceTokenClientIds]: z.record(z.string(), z.string()).optional(),
  [OUTPUT.serviceTokenAudiences]: z.array(z.string()).optional(),
});

export type Outputs = z.output<typeof outputsSchema>;

/** The names of the outputs that are used. */
export const OUTPUT_NAMES = Object.keys(outputsSchema.shape);

/** Terraform, or what does its work: TERRAFORM=tofu. */
export function terraformProgram(env: Readonly<Record<string, string | undefined>> = process.env): string {
  return env["TERRAFORM"] || "terraform";
}

/**
 * Asks Terraform for the JSON of a stack.
 *
 * @param folder of the stack
 * @returns what it printed; undefined where it failed
 */
export function terraformJson(folder: string, command: "output" | "show"): string | undefined {
  try {
    return execFileSync(terraformProgram(), [`-chdir=${folder}`, command, "-json"], {
      encoding: "utf8",
      stdio: ["ignore", "pipe", "ignore"],
    });
  } catch {
    return undefined;
  }
}

const wrapped = z.record(z.string(), z.object({ value: z.unknown() }));

/**
 * Parses the output of `terraform output -json`.
 *
 * @param where the source, for messages
 * @throws OperatorError that names what is missing, and never a value
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
    throw new OperatorError(`${where} has no outputs yet: apply the edge stack first`);
  }
  const outputs = outputsSchema.safeParse(
    Object.fromEntries(Object.entries(parsed.data).map(([name, output]) => [name, output.value])),
  );
  if (outputs.success) return outputs.data;
  const fields = [...new Set(outputs.error.issues.map(({ path }) => path.join(".")))];
  throw new OperatorError(`${where} lacks ${fields.join(", ")}: run "npx sallyport synth" and apply the edge stack`);
}

/**
 * Outputs in the form of `terraform output -json`, for `--outputs`. Only those that are used, and none is a
 * secret.
 */
export function formatOutputs(outputs: Outputs): string {
  const wrapped = Object.entries(outputs).map(([name, value]) => [name, { value }]);
  return `${JSON.stringify(Object.fromEntries(wrapped), null, 2)}\n`;
}

/**
 * Reads the edge stack's outputs.
 *
 * @param file a saved output; undefined asks Terraform
 * @param edgeStack the stack's folder
 * @throws OperatorError
 */
export function readOutputs(file: string | undefined, edgeStack: string): Outputs {
  if (file !== undefined) {
    if (!existsSync(file))
      throw new OperatorError(`there is no ${file}: --outputs must name a saved output of "terraform output -json"`);
    return parseOutputs(readFileSync(file, "utf8"), file);
  }
  if (!existsSync(edgeStack)) {
    throw new OperatorError(
      `there is no ${edgeStack}: run "npx sallyport synth" and apply the edge stack, or give --outputs FILE`,
    );
  }
  const text = terraformJson(edgeStack, "output");
  if (text === undefined) {
    throw new OperatorError(
      `"${terraformProgram()} -chdir=${edgeStack} output -json" failed: run it to see why, or give --outputs FILE`,
    );
  }
  return parseOutputs(text, "terraform output -json");
}
