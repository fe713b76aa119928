import { type CommandDefinition, type PreparedCommand, prepareCommand } from "../../command-line/command.ts";
import type { Options } from "../../command-line/options.ts";
import type { ExitCode } from "./exit-codes.ts";

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

/** One operators' command. Its name and summary are in the table in commands.ts. */
export type Command = PreparedCommand<CommandContext, ExitCode>;

/** A row of the table of commands. */
export interface CommandEntry {
  readonly name: string;
  /** What it does, in one line without a full stop. */
  readonly summary: string;
  /** Loads the command's module. Only the one that runs is loaded: some take a second to. */
  readonly load: () => Promise<Command>;
}

/**
 * Declares a command. The types of the values that `run` gets follow from the options.
 *
 * `run` throws UsageError for options that do not go together, and OperatorError for a failure that the
 * operator can fix.
 */
export function defineCommand<O extends Options, P extends Options = Record<never, never>>(
  definition: CommandDefinition<O, P, CommandContext, ExitCode>,
): Command {
  return prepareCommand(definition);
}

/** Options that do not go together, or one that is missing beside others. The message says which. */
export class UsageError extends Error {
  override readonly name = "UsageError";
}
