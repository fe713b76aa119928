/** How a verb of the plugin is declared. */
import { type CommandDefinition, type PreparedCommand, prepareCommand } from "../command-line/command.ts";
import type { Options } from "../command-line/options.ts";
import type { ExitCode } from "./failure.ts";
import type { Surroundings } from "./surroundings.ts";

interface Named {
  readonly name: string;
  /** What it does, in one line without a full stop. */
  readonly summary: string;
}

/** `run` throws PluginFailure. */
export type VerbDefinition<O extends Options, P extends Options> = Named &
  CommandDefinition<O, P, Surroundings, ExitCode>;

export type Verb = Named & PreparedCommand<Surroundings, ExitCode>;

/** Declares a verb. The types of the values that `run` gets follow from the options. */
export function defineVerb<O extends Options, P extends Options = Record<never, never>>({
  name,
  summary,
  ...definition
}: VerbDefinition<O, P>): Verb {
  return { name, summary, ...prepareCommand(definition) };
}
