import { ok, type Result } from "../../common/result.ts";
import type { ExitCode } from "./exit-codes.ts";
import type { Options, ValuesOf } from "./options.ts";
import { parseArguments } from "./parse.ts";

/** What a command gets from its surroundings. Tests pass their own. */
export interface CommandContext {
  /** Every command of the program, for the one that documents them. */
  readonly commands: readonly CommandEntry[];
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Writes a line of the result, to standard output. */
  readonly print: (line: string) => void;
  /** Writes a remark that is not part of the result, to standard error. */
  readonly note: (line: string) => void;
}

/**
 * Does what a command does.
 *
 * @throws UsageError for options that do not go together
 * @throws OperatorError for a failure that the operator can fix
 */
type Run<Values> = (values: Values, context: CommandContext) => Promise<ExitCode>;

export interface CommandDefinition<O extends Options, P extends Options> {
  readonly options: O;
  /** Arguments without a name, in the order in which they are given. */
  readonly positionals?: P;
  /** Paragraphs at the end of help: what the command reads from the environment, or an example. */
  readonly notes?: readonly string[];
  readonly run: Run<ValuesOf<O & P>>;
}

/** One operators' command. Its name and summary are in the table in commands.ts. */
export interface Command {
  readonly options: Options;
  readonly positionals: Options;
  readonly notes: readonly string[];
  /** @returns what runs the command with these arguments, or what is wrong with them */
  readonly prepare: (
    args: readonly string[],
  ) => "help" | Result<(context: CommandContext) => Promise<ExitCode>, string>;
}

/** A row of the table of commands. */
export interface CommandEntry {
  readonly name: string;
  /** What it does, in one line without a full stop. */
  readonly summary: string;
  /** Loads the command's module. Only the one that runs is loaded: some take a second to. */
  readonly load: () => Promise<Command>;
}

/** Declares a command. The types of the values that `run` gets follow from the options. */
export function defineCommand<O extends Options, P extends Options = Record<never, never>>({
  options,
  positionals = {} as P,
  notes = [],
  run,
}: CommandDefinition<O, P>): Command {
  return {
    options,
    positionals,
    notes,
    prepare: (args) => {
      const values = parseArguments(args, { options, positionals });
      if (values === "help" || !values.ok) return values;
      return ok((context) => run(values.value, context));
    },
  };
}

/** Options that do not go together, or one that is missing beside others. The message says which. */
export class UsageError extends Error {
  override readonly name = "UsageError";
}
