/** Help texts. Pure. */
import { columns, commandHelpLines } from "../command-line/help.ts";
import { EXIT_CODE_RULE } from "./failure.ts";
import type { Verb } from "./verb.ts";

export const PROGRAM = "kubectl sallyport";

/** Help of one verb. */
export function verbHelp(verb: Verb): string {
  return [...commandHelpLines(PROGRAM, verb), "", EXIT_CODE_RULE].join("\n");
}

/** Help of the program: its verbs. */
export function programHelp(verbs: readonly Verb[]): string {
  return [
    `Usage: ${PROGRAM} <verb> [options]`,
    "",
    "Signs in to clusters behind Sallyport, and shows and ends your sessions.",
    "",
    ...columns(verbs.map(({ name, summary }) => [name, summary])),
    "",
    `Options of a verb: ${PROGRAM} help <verb>. Version: ${PROGRAM} version.`,
    EXIT_CODE_RULE,
  ].join("\n");
}
