/** `npm start`: the local stack in the foreground, until Ctrl-C. */
import { messageOf } from "../common/errors.ts";
import { StackError } from "./stack/errors.ts";
import { readConfigOverrides } from "./stack/local-config.ts";
import { parseCommandLine, type StartCommand, USAGE } from "./stack/options.ts";
import { onStopRequest } from "./stack/signals.ts";
import type { Stack } from "./stack/stack.ts";
import { readWebhooksFile } from "./stack/webhooks-file.ts";

/** A stop that takes longer hangs. Then the process exits anyway, and its children with it. */
const STOP_PATIENCE_MS = 15_000;

const command = parseCommandLine(process.argv.slice(2));
switch (command.kind) {
  case "help":
    process.stdout.write(USAGE);
    break;
  case "misuse":
    process.stderr.write(`${command.message}\n\n${USAGE}`);
    process.exitCode = 2;
    break;
  case "start":
    process.exit(await runUntilStopped(command));
}

/** @returns the exit code */
async function runUntilStopped(options: StartCommand): Promise<number> {
  // After the terminal is closed, writing fails, but the children must still be ended.
  for (const stream of [process.stdout, process.stderr]) stream.on("error", () => {});
  const stopRequest = new AbortController();
  onStopRequest({ stop: () => stopRequest.abort(), force: () => process.exit(1) });
  const stopRequested = new Promise<void>((resolve) => {
    stopRequest.signal.addEventListener("abort", () => resolve());
  });
  try {
    const config = options.configFile === undefined ? undefined : readConfigOverrides(options.configFile);
    const webhooks = options.webhooksFile === undefined ? undefined : readWebhooks(options.webhooksFile);
    process.stderr.write("Starting Sallyport's local stack ...\n");
    // Imported here because it takes a second to load. --help and a mistyped flag do not wait for it.
    const { startStack } = await import("./stack/index.ts");
    const { readyMessage } = await import("./stack/messages.ts");
    const stack = await startStack({
      ...options,
      config,
      webhooks,
      signal: stopRequest.signal,
      callerHandlesSignals: true,
    });
    process.stdout.write(readyMessage(stack, process.cwd()));
    if (options.examples) await showExamples(stack, stopRequest.signal);
    await stopRequested;
    process.stderr.write("\nStopping ...\n");
    setTimeout(() => process.exit(1), STOP_PATIENCE_MS).unref();
    await stack.stop();
    return 0;
  } catch (error) {
    if (stopRequest.signal.aborted && error instanceof StackError) return 0;
    process.stderr.write(`${error instanceof StackError ? error.message : describeUnexpected(error)}\n`);
    return 1;
  }
}

/** Makes the examples, and tells what there is to find. The stack goes on without them if they fail. */
async function showExamples(stack: Stack, signal: AbortSignal): Promise<void> {
  const { EXAMPLES_BEGIN, EXAMPLES_DONE, makeExamples } = await import("./examples/index.ts");
  const print = (line: string) => void process.stdout.write(`${line}\n`);
  print(`${EXAMPLES_BEGIN}\n`);
  try {
    await makeExamples(stack, { signal, print });
    print(`\n${EXAMPLES_DONE}`);
  } catch (error) {
    if (!signal.aborted) process.stderr.write(`No more examples, but all else goes on: ${messageOf(error)}\n`);
  }
}

function readWebhooks(file: string): string {
  const read = readWebhooksFile(file);
  if (!read.ok) throw new StackError(read.error);
  return read.value;
}

function describeUnexpected(error: unknown): string {
  return error instanceof Error ? (error.stack ?? error.message) : String(error);
}
