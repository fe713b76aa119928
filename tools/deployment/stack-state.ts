/** The resources in a stack's state, as `terraform show -json` prints them. They may have secrets. */
import * as z from "zod";
import { parseJson } from "../../common/json.ts";
import { OperatorError } from "./operator-error.ts";
import { terraformJson, terraformProgram } from "./outputs.ts";

const stateSchema = z.object({
  values: z
    .object({
      root_module: z.object({
        resources: z.array(z.object({ address: z.string(), values: z.looseObject({}) })).default([]),
      }),
    })
    .optional(),
});

/** Attributes by the addresses of resources. Empty where nothing was applied. */
export type StackState = ReadonlyMap<string, Readonly<Record<string, unknown>>>;

/**
 * @param folder of the stack, which is initialized
 * @throws OperatorError where Terraform cannot read the state
 */
export function readStackState(folder: string): StackState {
  const shown = terraformJson(folder, "show");
  const state = stateSchema.safeParse(parseJson(shown ?? ""));
  if (!state.success) {
    throw new OperatorError(`"${terraformProgram()} -chdir=${folder} show -json" failed: run it to see why`);
  }
  return new Map((state.data.values?.root_module.resources ?? []).map(({ address, values }) => [address, values]));
}
