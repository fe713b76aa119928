/** The generated parts of docs/COMMANDS.md. */

import { PROGRAM as PLUGIN } from "../../cli/help.ts";
import type { Verb } from "../../cli/verb.ts";
import { type DescribedCommand, describeOption, optionLabel, usageLine } from "../../command-line/help.ts";
import type { CommandEntry } from "../cli/command.ts";
import { EXIT_CODES } from "../cli/exit-codes.ts";
import { PROGRAM } from "../cli/help.ts";
import { markdownTable } from "../markdown.ts";

const EXIT_MEANINGS: Readonly<Record<keyof typeof EXIT_CODES, string>> = {
  done: "done, and nothing wrong found",
  failed: "failed, or something wrong found: a failed check, a broken link of the audit log, a refused request",
  usage: "wrong usage; nothing was done",
};

/** @returns texts by the names of the parts */
export async function commandParts(commands: readonly CommandEntry[]): Promise<Readonly<Record<string, string>>> {
  const sections = await Promise.all(commands.map(commandSection));
  return { "exit-codes": exitCodeTable(), commands: sections.join("\n\n") };
}

function exitCodeTable(): string {
  const rows = Object.entries(EXIT_CODES).map(([name, code]) => [
    String(code),
    EXIT_MEANINGS[name as keyof typeof EXIT_CODES],
  ]);
  return markdownTable(["exit code", "meaning"], rows);
}

async function commandSection({ name, summary, load }: CommandEntry): Promise<string> {
  return section(PROGRAM, { name, summary, ...(await load()) });
}

/** The generated part of docs/PLUGIN.md: the verbs of `kubectl sallyport`. */
export function verbParts(verbs: readonly Verb[]): Readonly<Record<string, string>> {
  return { verbs: verbs.map((verb) => section(PLUGIN, verb).replace(/^##/, "###")).join("\n\n") };
}

function section(program: string, command: DescribedCommand): string {
  const { name, summary, options, notes } = command;
  const rows = Object.entries(options).map(([each, option]) => [
    `\`${optionLabel(each, option)}\``,
    describeOption(option),
  ]);
  return [
    `## ${name}`,
    `${summary}.`,
    `\`${usageLine(program, command)}\``,
    ...(rows.length === 0 ? [] : [markdownTable(["option", "meaning"], rows)]),
    ...notes,
  ].join("\n\n");
}
