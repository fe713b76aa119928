/** Help texts. Pure. */
import { columns, commandHelpLines } from "../../command-line/help.ts";
import type { Command, CommandEntry } from "./command.ts";
import { EXIT_CODE_RULE } from "./exit-codes.ts";

export const PROGRAM = "npx sallyport";

/** Help of one command. */
export function commandHelp({ name, summary }: CommandEntry, command: Command): string {
  return [...commandHelpLines(PROGRAM, { ...command, name, summary }), "", EXIT_CODE_RULE].join("\n");
}

/** Help of the program: its commands. */
export function overviewHelp(entries: readonly CommandEntry[]): string {
  return [
    `Usage: ${PROGRAM} <command> [options]`,
    "",
    "Deploys, checks and explains a Sallyport deployment.",
    "",
    ...columns(entries.map(({ name, summary }) => [name, summary])),
    "",
    `Options of a command: ${PROGRAM} help <command>, or ${PROGRAM} <command> --help. Version: ${PROGRAM} --version.`,
    EXIT_CODE_RULE,
  ].join("\n");
}
