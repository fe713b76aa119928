/** Finds the verb, parses its arguments, runs it, and reports a failure: the same way for all of them. */
import { withTimeout } from "../common/with-timeout.ts";
import { type Completion, complete, DIRECTIVE_NO_FILES, renderCompletion } from "./completion.ts";
import { EXIT_CODES, type ExitCode, PluginFailure } from "./failure.ts";
import { programHelp, verbHelp } from "./help.ts";
import type { Surroundings } from "./surroundings.ts";
import type { Verb } from "./verb.ts";
import { candidatesFrom } from "./verbs/completion.ts";

const NOTHING_TO_COMPLETE: Completion = { words: [], directive: DIRECTIVE_NO_FILES };
/** With the start of Node.js and its end, somebody who presses Tab waits for three seconds at most. */
const COMPLETION_TIMEOUT_MS = 2_000;

export interface Program {
  readonly version: string;
  readonly verbs: readonly Verb[];
}

/**
 * Runs the program.
 *
 * @param args what follows the program's name
 * @returns the exit code; everything else has been written through the surroundings
 */
export async function runProgram(
  args: readonly string[],
  program: Program,
  surroundings: Surroundings,
): Promise<ExitCode> {
  const { version, verbs } = program;
  const { print, note } = surroundings;
  const [first, ...rest] = args;
  const wrongUsage = (message: string, help: string): ExitCode => {
    note(`kubectl sallyport: ${message}\n\n${help}`);
    return EXIT_CODES.usage;
  };
  if (first === undefined) return wrongUsage("no verb given", programHelp(verbs));
  if (first === "__complete") {
    // Whatever goes wrong, a tab must not print an error into somebody's command line.
    const completed = withTimeout(complete(rest, verbs, candidatesFrom(surroundings)), COMPLETION_TIMEOUT_MS);
    print(renderCompletion(await completed.catch(() => NOTHING_TO_COMPLETE)));
    return EXIT_CODES.done;
  }
  if (first === "version" || first === "--version") {
    print(version);
    return EXIT_CODES.done;
  }
  if (first === "help" || first === "--help" || first === "-h") {
    const [name] = rest;
    const verb = verbs.find((each) => each.name === name);
    if (name !== undefined && !verb) return wrongUsage(`unknown verb ${JSON.stringify(name)}`, programHelp(verbs));
    print(verb ? verbHelp(verb) : programHelp(verbs));
    return EXIT_CODES.done;
  }
  const verb = verbs.find(({ name }) => name === first);
  if (!verb) {
    // kubectl takes no options before a plugin's name, so none can come before the verb here.
    const isOption = first.startsWith("-");
    const hint = isOption ? `options follow the verb: ${first}` : `unknown verb ${JSON.stringify(first)}`;
    return wrongUsage(hint, programHelp(verbs));
  }
  const prepared = verb.prepare(rest);
  if (prepared === "help") {
    print(verbHelp(verb));
    return EXIT_CODES.done;
  }
  if (!prepared.ok) return wrongUsage(`${verb.name}: ${prepared.error}`, verbHelp(verb));
  try {
    return await prepared.value(surroundings);
  } catch (error) {
    return report(error, verb, note);
  }
}

/**
 * A person gets a message. Of anything else, a bug, the stack is needed. Its other fields may hold tokens.
 */
function report(error: unknown, verb: Verb, note: Surroundings["note"]): ExitCode {
  if (error instanceof PluginFailure) {
    note(`kubectl sallyport ${verb.name}: ${error.message}`);
    return error.exitCode;
  }
  const stack = error instanceof Error ? (error.stack ?? error.message) : String(error);
  note(`kubectl sallyport ${verb.name}: unexpected error, please report it:\n${stack}`);
  return EXIT_CODES.failed;
}
