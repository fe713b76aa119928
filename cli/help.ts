/** Help texts. Pure. */
import { columns, describeOption, optionLabel, usageLine, wrap } from "../tools/cli/help.ts";
import { flag, type Options } from "../tools/cli/options.ts";
import { EXIT_CODE_RULE } from "./failure.ts";
import type { Verb } from "./verb.ts";

export const PROGRAM = "kubectl sallyport";
const MAX_LINE = 110;

/** Help of one verb. */
export function verbHelp({ name, summary, options, positionals, notes }: Verb): string {
  const all: Options = { ...options, help: flag("show this help") };
  return [
    `Usage: ${usageLine(name, { options, positionals }, PROGRAM)}`,
    "",
    `${summary}.`,
    "",
    ...columns(Object.entries(all).map(([each, option]) => [optionLabel(each, option), describeOption(option)])),
    ...notes.flatMap((paragraph) => ["", ...wrap(paragraph, MAX_LINE)]),
    "",
    EXIT_CODE_RULE,
  ].join("\n");
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
