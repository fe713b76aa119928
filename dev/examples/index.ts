/**
 * Example sessions for whoever has just started the local stack. They are real: people's kubectl, through
 * Sallyport, in the embedded cluster. So that nobody takes them for anything else, all of them are in a
 * namespace of their own that says what it is, and each reason that somebody gives begins with
 * `EXAMPLE_MARK`.
 */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { messageOf } from "../../common/errors.ts";
import { withTimeout } from "../../common/with-timeout.ts";
import { PERSONA_NAMES } from "../access/personas.ts";
import { Kubectl } from "../programs/kubectl.ts";
import type { Stack } from "../stack/stack.ts";
import { EXAMPLE_NAMESPACE, EXAMPLE_OBJECTS } from "./namespace.ts";
import { EXAMPLE_MARK, ExampleError, endWithSignal, Person } from "./person.ts";
import { endReasons, type People, SCENARIO } from "./scenario.ts";

export { EXAMPLE_NAMESPACE } from "./namespace.ts";
export { EXAMPLE_MARK } from "./person.ts";

/** A step that takes longer hangs, ms. A terminal and a poll give up earlier, and their messages say more. */
const STEP_PATIENCE_MS = 120_000;

/**
 * Plays the examples. One shell stays open afterwards.
 *
 * @param stack with the embedded cluster and the local configuration
 * @param signal ends them, and what they have left running
 * @param print is told what happens, a line at a time
 * @throws ExampleError naming the step that went otherwise than it should; nothing is left running
 */
export async function makeExamples(
  stack: Stack,
  { signal, print = () => {} }: { readonly signal: AbortSignal; readonly print?: (line: string) => void },
): Promise<void> {
  const home = mkdtempSync(join(tmpdir(), "sallyport-examples-"));
  const controller = new AbortController();
  const stop = () => {
    controller.abort();
    // What was just killed may still write its cache.
    rmSync(home, { recursive: true, force: true, maxRetries: 5 });
  };
  signal.addEventListener("abort", stop, { once: true });
  try {
    signal.throwIfAborted();
    const entries = PERSONA_NAMES.map(
      (name) => [name, new Person(name, new Kubectl(stack.kubeconfig, name, home), controller.signal)] as const,
    );
    const people = Object.fromEntries(entries) as People;
    await inTime(`making the namespace ${EXAMPLE_NAMESPACE}`, prepareNamespace(stack, home, controller.signal));
    for (const [index, { title, play }] of SCENARIO.entries()) {
      print(`  ${String(index + 1).padStart(2)}. ${title}`);
      await inTime(title, play(people));
    }
    await inTime("ending their reasons", endReasons(people));
  } catch (error) {
    stop();
    throw error;
  }
}

/** What `npm start` prints before and after. */
export const EXAMPLES_BEGIN = "Making example sessions: real ones, of the people above ...";
export const EXAMPLES_DONE = `The examples are there. All of them are in the namespace ${EXAMPLE_NAMESPACE}, and what people state as their
reason begins with "${EXAMPLE_MARK.trim()}", so that nobody takes them for real. One shell stays open until Ctrl-C.`;

/** Waits for a step, but not for ever. Then the caller ends all that it has started. */
async function inTime(title: string, step: Promise<void>): Promise<void> {
  try {
    await withTimeout(step, STEP_PATIENCE_MS);
  } catch (cause) {
    throw new ExampleError(`${title}: ${messageOf(cause)}`, { cause });
  }
}

/** Makes the namespace as the cluster's own administrator, so not through Sallyport. */
async function prepareNamespace(stack: Stack, home: string, signal: AbortSignal): Promise<void> {
  const kubectl = new Kubectl("/dev/null", "", home);
  const asRoot = [`--server=${stack.upstreamUrl}`, "--as=examples", "--as-group=system:masters"];
  const list = { apiVersion: "v1", kind: "List", items: EXAMPLE_OBJECTS };
  const steps = [
    // The cluster serves no OpenAPI schema to validate by.
    [JSON.stringify(list), ["apply", "--validate=false", "-f", "-"]],
    ["", ["wait", "--for=condition=Ready", "pod", "--all", "-n", EXAMPLE_NAMESPACE, "--timeout=60s"]],
  ] as const;
  for (const [input, args] of steps) {
    signal.throwIfAborted();
    const { child, finished } = kubectl.start([...asRoot, ...args], input);
    endWithSignal(signal, () => child.kill(), finished);
    const { code, stderr } = await finished;
    if (code !== 0) throw new ExampleError(`kubectl ${args.join(" ")} ended with ${code}: ${stderr.trim()}`);
  }
}
