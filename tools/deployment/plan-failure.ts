/**
 * Why Terraform could not plan a stack: because one before it is not applied yet, or because of a fault.
 * Pure.
 */
import * as z from "zod";
import { parseJson } from "../../common/json.ts";
import { DEMO_STACK } from "../../terraform/config/stack-names.ts";

const diagnosticSchema = z.object({
  severity: z.string(),
  summary: z.string(),
  /** The resource or data source that has it. */
  address: z.string().optional(),
  snippet: z
    .object({
      /** The values in the expression that cannot be evaluated. */
      values: z
        .array(z.object({ traversal: z.string() }))
        .nullish()
        .transform((values) => values ?? []),
    })
    .nullish(),
});
type Diagnostic = z.output<typeof diagnosticSchema>;

const lineSchema = z.object({ type: z.literal("diagnostic"), diagnostic: diagnosticSchema });

/**
 * The errors in what `terraform plan -json` prints.
 * https://developer.hashicorp.com/terraform/internals/machine-readable-ui
 */
function readErrors(output: string): Diagnostic[] {
  return output.split("\n").flatMap((line) => {
    const read = lineSchema.safeParse(parseJson(line));
    return read.success && read.data.diagnostic.severity === "error" ? [read.data.diagnostic] : [];
  });
}

export interface PlanFailure {
  /** Stacks that are not applied, and have what this one reads. */
  readonly waitsFor: readonly string[];
  /** Summaries of all other errors. */
  readonly faults: readonly string[];
}

/**
 * Tells apart why a plan failed.
 *
 * @param output of `plan -json`
 * @param unapplied stacks whose next apply changes something
 * @returns neither where the output has no error
 */
export function explainPlanFailure(output: string, unapplied: readonly string[]): PlanFailure {
  const errors = readErrors(output).map((error) => ({
    error,
    stack: unapplied.find((each) => isMissingFrom(each, error)),
  }));
  return {
    waitsFor: [...new Set(errors.flatMap(({ stack }) => stack ?? []))],
    faults: errors.filter(({ stack }) => stack === undefined).map(({ error }) => describeError(error)),
  };
}

function describeError({ summary, address }: Diagnostic): string {
  return address === undefined ? summary : `${summary} (${address})`;
}

/**
 * Whether an error is that a stack has not made something yet. Any other trouble with its state is a fault.
 */
function isMissingFrom(stack: string, { summary, address, snippet }: Diagnostic): boolean {
  const state = `data.terraform_remote_state.${stack}`;
  if (summary === "Unable to find remote state") return address === state;
  if (summary === "Unsupported attribute" || summary === "Invalid index") {
    const values = snippet?.values ?? [];
    return values.length > 0 && values.every(({ traversal }) => `${traversal}.`.startsWith(`${state}.outputs.`));
  }
  // The demo cluster is found by its name, not by the state of its stack.
  const isDemoCluster = address === "data.digitalocean_kubernetes_cluster.demo";
  return stack === DEMO_STACK && isDemoCluster && summary.startsWith("Unable to find cluster with name");
}
