/**
 * The table of the edge stack's outputs in docs/DEPLOY.md, rendered from `terraform/config/outputs.ts`. Pure.
 */
import { OUTPUT, OUTPUT_MEANINGS } from "../../terraform/config/outputs.ts";
import { markdownTable } from "../markdown.ts";

/** Renders one row per output, in the order of `OUTPUT`. */
export function outputsTable(): string {
  const keys = Object.keys(OUTPUT) as (keyof typeof OUTPUT)[];
  return markdownTable(
    ["output", "is"],
    keys.map((key) => [`\`${OUTPUT[key]}\``, OUTPUT_MEANINGS[key]]),
  );
}
