/** Finds the command, parses its arguments, runs it, and reports a failure: the same way for all of them. */
import { OperatorError } from "../deployment/operator-error.ts";
import { type CommandContext, type CommandEntry, UsageError } from "./command.ts";
import { EXIT_CODES, type ExitCode } from "./exit-codes.ts";
import { commandHelp, overviewHelp } from "./help.ts";

/**
 * Runs the program.
 *
 * @param args what follows the program's name
 * @returns the exit code; everything else has been written through the context
 */
export async function dispatch(args: readonly string[], version: string, context: CommandContext): Promise<ExitCode> {
  const [first, ...rest] = args;
  if (first === "--version") {
    context.print(version);
    return EXIT_CODES.done;
  }
  if (first === "help" || first === "--help" || first === "-h") return help(rest, context);
  if (first === undefined) return wrongUsage("no command given", context);
  if (first.startsWith("-")) return wrongUsage(`unknown option ${first}`, context);
  const entry = context.commands.find(({ name }) => name === first);
  if (!entry) return wrongUsage(`unknown command ${JSON.stringify(first)}`, context);
  return runCommand(entry, rest, context);
}

async function help(args: readonly string[], context: CommandContext): Promise<ExitCode> {
  const [name, ...surplus] = args;
  if (surplus.length > 0) return wrongUsage("help takes one command", context);
  if (name === undefined) {
    context.print(overviewHelp(context.commands));
    return EXIT_CODES.done;
  }
  const entry = context.commands.find((each) => each.name === name);
  if (!entry) return wrongUsage(`unknown command ${JSON.stringify(name)}`, context);
  context.print(commandHelp(entry, await entry.load()));
  return EXIT_CODES.done;
}

function wrongUsage(message: string, { commands, note }: CommandContext): ExitCode {
  note(`sallyport: ${message}\n\n${overviewHelp(commands)}`);
  return EXIT_CODES.usage;
}

async function runCommand(entry: CommandEntry, args: readonly string[], context: CommandContext): Promise<ExitCode> {
  const command = await entry.load();
  const wrongUsageOfCommand = (message: string): ExitCode => {
    context.note(`sallyport ${entry.name}: ${message}\n\n${commandHelp(entry, command)}`);
    return EXIT_CODES.usage;
  };
  const prepared = command.prepare(args);
  if (prepared === "help") {
    context.print(commandHelp(entry, command));
    return EXIT_CODES.done;
  }
  if (!prepared.ok) return wrongUsageOfCommand(prepared.error);
  try {
    return await prepared.value(context);
  } catch (error) {
    if (error instanceof UsageError) return wrongUsageOfCommand(error.message);
    context.note(`sallyport ${entry.name}: ${describeFailure(error)}`);
    return EXIT_CODES.failed;
  }
}

/**
 * An operator gets a message. Anything else is a bug, whose stack is needed; an error's other fields may hold
 * secrets.
 */
function describeFailure(error: unknown): string {
  if (error instanceof OperatorError) return error.message;
  const stack = error instanceof Error ? (error.stack ?? error.message) : String(error);
  return `unexpected error, please report it:\n${stack}`;
}
