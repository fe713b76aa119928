/** How a verb of the plugin is declared. Options and their parsing are those of the operators' command. */
import type { Result } from "../common/result.ts";
import type { Options, ValuesOf } from "../tools/cli/options.ts";
import { parseArguments } from "../tools/cli/parse.ts";
import type { ExitCode } from "./failure.ts";
import type { Surroundings } from "./surroundings.ts";

export interface VerbDefinition<O extends Options, P extends Options> {
  readonly name: string;
  /** What it does, in one line without a full stop. */
  readonly summary: string;
  readonly options: O;
  readonly positionals?: P;
  /** Paragraphs at the end of help. */
  readonly notes?: readonly string[];
  /** @throws PluginFailure */
  readonly run: (values: ValuesOf<O & P>, surroundings: Surroundings) => Promise<ExitCode>;
}

export interface Verb {
  readonly name: string;
  readonly summary: string;
  readonly options: Options;
  readonly positionals: Options;
  readonly notes: readonly string[];
  /** @returns what runs the verb with these arguments, or what is wrong with them */
  readonly prepare: (
    args: readonly string[],
  ) => "help" | Result<(surroundings: Surroundings) => Promise<ExitCode>, string>;
}

/** Declares a verb. The types of the values that `run` gets follow from the options. */
export function defineVerb<O extends Options, P extends Options = Record<never, never>>({
  positionals = {} as P,
  notes = [],
  run,
  ...rest
}: VerbDefinition<O, P>): Verb {
  return {
    ...rest,
    positionals,
    notes,
    prepare: (args) => {
      const values = parseArguments(args, { options: rest.options, positionals });
      if (values === "help" || !values.ok) return values;
      return { ok: true, value: (surroundings) => run(values.value, surroundings) };
    },
  };
}
