import { errorMessage, OperatorError } from "./operator-error.ts";

interface Command<Flags extends { readonly help?: boolean | undefined }> {
  /** Stands before the words of an error. */
  readonly name: string;
  readonly usage: string;
  /** What it throws is a mistake on the command line. */
  readonly read: () => Flags;
  readonly run: (flags: Flags) => Promise<void>;
}

/** Runs an operator's command and sets the exit code: 0, 1 where it failed, 2 for a mistake on the command line. */
export async function runCommand<Flags extends { readonly help?: boolean | undefined }>({
  name,
  usage,
  read,
  run,
}: Command<Flags>): Promise<void> {
  let flags: Flags;
  try {
    flags = read();
  } catch (error) {
    console.error(`${errorMessage(error)}\n\n${usage}`);
    process.exitCode = 2;
    return;
  }
  if (flags.help) {
    console.log(usage);
    return;
  }
  try {
    await run(flags);
  } catch (error) {
    // What is not an operator's to mend is a fault of ours, and its stack is needed.
    console.error(error instanceof OperatorError ? `${name}: ${error.message}` : error);
    process.exitCode = 1;
  }
}
