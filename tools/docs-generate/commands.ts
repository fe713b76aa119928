/** The generated parts of docs/COMMANDS.md. */
import type { CommandEntry } from "../cli/command.ts";
import { EXIT_CODES } from "../cli/exit-codes.ts";
import { describeOption, optionLabel, usageLine } from "../cli/help.ts";
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
  const { options, positionals, notes } = await load();
  const rows = Object.entries(options).map(([each, option]) => [
    `\`${optionLabel(each, option)}\``,
    describeOption(option),
  ]);
  return [
    `## ${name}`,
    `${summary}.`,
    `\`${usageLine(name, { options, positionals })}\``,
    ...(rows.length === 0 ? [] : [markdownTable(["option", "meaning"], rows)]),
    ...notes,
  ].join("\n\n");
}
