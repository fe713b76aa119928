/** `reason`. */
import { requiredText } from "../../command-line/options.ts";
import { parseStatedReason } from "../answers.ts";
import { callJson } from "../api.ts";
import { EXIT_CODES } from "../failure.ts";
import { findTarget, targetOptions } from "../target.ts";
import { defineVerb } from "../verb.ts";

export const reason = defineVerb({
  name: "reason",
  summary: "States what your next sessions are for, where a rule asks for it",
  options: targetOptions,
  positionals: { reason: requiredText("TEXT", "what they are for, such as a ticket") },
  run: async (values, surroundings) => {
    const target = await findTarget(values, surroundings);
    const call = { method: "POST", path: "/-/reason", body: { reason: values.reason } } as const;
    const { until, notReached } = await callJson(target, call, parseStatedReason);
    surroundings.print(`Your sessions until ${until} are for: ${values.reason}`);
    if (notReached?.length) surroundings.note(`Not yet at the clusters of ${notReached.join(", ")}: it follows.`);
    return EXIT_CODES.done;
  },
});
