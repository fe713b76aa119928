import { configurationParts } from "../../config-reference/documents.ts";
import { defineCommand } from "../command.ts";
import { EXIT_CODES } from "../exit-codes.ts";

export const configReference = defineCommand({
  options: {},
  notes: [
    "docs/CONFIGURATION.md contains the same text, and the JSON Schemas lie beside it: npx sallyport docs-generate.",
  ],
  run: async (_values, { print }) => {
    print(Object.values(configurationParts()).join("\n\n"));
    return EXIT_CODES.done;
  },
});
