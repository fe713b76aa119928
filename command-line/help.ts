/** Help texts, the same for every program. Pure. */
import { flag, type Option, type Options } from "./options.ts";

const MAX_LINE = 110;

const HELP = flag("show this help");

/** What help says of a command. */
export interface DescribedCommand {
  readonly name: string;
  /** What it does, in one line without a full stop. */
  readonly summary: string;
  readonly options: Options;
  readonly positionals: Options;
  /** Paragraphs at the end. */
  readonly notes: readonly string[];
}

/** The lines of one command's help. */
export function commandHelpLines(program: string, command: DescribedCommand): string[] {
  const { summary, options, notes } = command;
  const all: Options = { ...options, help: HELP };
  return [
    `Usage: ${usageLine(program, command)}`,
    "",
    `${summary}.`,
    "",
    ...columns(Object.entries(all).map(([each, option]) => [optionLabel(each, option), describeOption(option)])),
    ...notes.flatMap((paragraph) => ["", ...wrap(paragraph, MAX_LINE)]),
  ];
}

/** A command's usage in one line: required options, the other options, positional arguments. */
export function usageLine(
  program: string,
  { name, options, positionals }: Pick<DescribedCommand, "name" | "options" | "positionals">,
): string {
  const required = Object.entries(options).filter(([, { isRequired }]) => isRequired);
  return [
    program,
    name,
    ...required.map(([each, option]) => optionLabel(each, option)),
    "[options]",
    ...Object.values(positionals).map(({ placeholder }) => placeholder),
  ].join(" ");
}

/** An option as it is typed, with the placeholder of its value. */
export function optionLabel(name: string, { placeholder }: Option<unknown>): string {
  if (name === "help") return "-h, --help";
  return placeholder === undefined ? `--${name}` : `--${name} ${placeholder}`;
}

/** An option's description, with its default. */
export function describeOption({ description, defaultText, isRepeatable }: Option<unknown>): string {
  const more = [
    ...(isRepeatable ? ["may be given several times"] : []),
    ...(defaultText === undefined ? [] : [`default: ${defaultText}`]),
  ];
  return more.length === 0 ? description : `${description} (${more.join("; ")})`;
}

/** Two columns; what does not fit on a line of the second one goes on below. */
export function columns(rows: readonly (readonly [label: string, text: string])[]): string[] {
  const width = Math.max(...rows.map(([label]) => label.length));
  const indent = " ".repeat(width + 4);
  return rows.flatMap(([label, text]) =>
    wrap(text, MAX_LINE - indent.length).map((line, index) =>
      index === 0 ? `  ${label.padEnd(width)}  ${line}` : `${indent}${line}`,
    ),
  );
}

/** A paragraph in lines of at most `width` characters; a longer word has one of its own. */
function wrap(text: string, width: number): string[] {
  const lines: string[] = [];
  for (const word of text.split(" ")) {
    const last = lines.at(-1);
    if (last === undefined || last.length + word.length >= width) lines.push(word);
    else lines[lines.length - 1] = `${last} ${word}`;
  }
  return lines;
}
