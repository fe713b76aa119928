/** How a command of a program is declared: what it takes, and what it does with that. */
import { ok, type Result } from "../common/result.ts";
import type { Options, ValuesOf } from "./options.ts";
import { parseArguments } from "./parse.ts";

/**
 * @typeParam Context what the program gives to each of its commands
 * @typeParam Code the program's exit codes
 */
export interface CommandDefinition<O extends Options, P extends Options, Context, Code> {
  readonly options: O;
  /** Arguments without a name, in the order in which they are given. */
  readonly positionals?: P;
  /** Paragraphs at the end of help: what the command reads from the environment, or an example. */
  readonly notes?: readonly string[];
  readonly run: (values: ValuesOf<O & P>, context: Context) => Promise<Code>;
}

/** A command whose values have no types any more, so that a program can have a list of them. */
export interface PreparedCommand<Context, Code> {
  readonly options: Options;
  readonly positionals: Options;
  readonly notes: readonly string[];
  /** @returns what runs the command with these arguments, or what is wrong with them */
  readonly prepare: (args: readonly string[]) => "help" | Result<(context: Context) => Promise<Code>, string>;
}

/** Prepares a command. The types of the values that `run` gets follow from the options. */
export function prepareCommand<O extends Options, P extends Options, Context, Code>({
  options,
  positionals = {} as P,
  notes = [],
  run,
}: CommandDefinition<O, P, Context, Code>): PreparedCommand<Context, Code> {
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
