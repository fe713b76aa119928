/** The command line of the benchmark. */
import { parseArgs } from "node:util";
import { SCENARIOS } from "./scenarios/index.ts";
import { WORKERS } from "./variants.ts";

const scenarioNames = SCENARIOS.map(({ name }) => name);
const variantNames = ["direct", "kubectl-proxy", ...WORKERS.map(({ name }) => name)];

export const USAGE = `Usage: npm run bench [-- options]

Compares real kubectl through the upstream itself, kubectl proxy, a Worker that returns the upstream's response
untouched, one that also has a row of each change on the disk of an object ("one-row"), one whose sessions go through an
object over TCP and nothing else ("relay-only"), and Sallyport: with everything recorded ("sallyport"), without
recordings ("unrecorded"), with the fewest API requests in the audit log ("unaudited"), and with sessions that reach the
cluster by the platform's WebSocket ("sallyport-websocket") instead of over TCP. Uses the embedded cluster, or any
other:

  --kubeconfig FILE  a cluster, behind a "kubectl proxy" that the benchmark starts with this file. Its account must be
                     allowed to impersonate alice@example.com of group developers, and she to exec into the pod
  --context NAME     of that kubeconfig. Default: its current one
  --namespace NAME   Default: demo
  --pod NAME         a pod with sh, dd and cat, in which commands run. Default: shell
  --rounds N         number of samples of each scenario, after a warm-up. Default: 5
  --scenario NAME    only this one; may be given several times: ${scenarioNames.join(", ")}
  --variant NAME     only this one; may be given several times: ${variantNames.join(", ")}
  --kubectl FILE     the kubectl to use. Default: the repository's own
  --json FILE        file for the results. Default: bench/results/<date>.json
  --help             this text
`;

export interface BenchCommand {
  readonly kind: "bench";
  readonly cluster: { readonly kubeconfig: string; readonly context: string | undefined } | undefined;
  readonly namespace: string;
  readonly pod: string;
  readonly rounds: number;
  readonly scenarios: readonly string[];
  readonly variants: readonly string[];
  readonly kubectl: string | undefined;
  readonly json: string | undefined;
}

export type Command = BenchCommand | { readonly kind: "help" } | { readonly kind: "misuse"; readonly message: string };

/** Parses the flags. An unknown one is an error. */
export function parseCommandLine(args: readonly string[]): Command {
  let values: ReturnType<typeof parseFlags>;
  try {
    values = parseFlags(args);
  } catch (error) {
    return misuse(error instanceof Error ? error.message : String(error));
  }
  if (values.help) return { kind: "help" };
  const rounds = Number(values.rounds);
  if (!Number.isInteger(rounds) || rounds < 1 || rounds > 1_000) return misuse("--rounds must be a number from 1 up");
  if (values.context !== undefined && values.kubeconfig === undefined) return misuse("--context needs --kubeconfig");
  const unknownScenario = values.scenario.find((name) => !scenarioNames.includes(name));
  if (unknownScenario !== undefined) return misuse(`--scenario must be one of ${scenarioNames.join(", ")}`);
  const unknownVariant = values.variant.find((name) => !variantNames.includes(name));
  if (unknownVariant !== undefined) return misuse(`--variant must be one of ${variantNames.join(", ")}`);
  return {
    kind: "bench",
    cluster: values.kubeconfig === undefined ? undefined : { kubeconfig: values.kubeconfig, context: values.context },
    namespace: values.namespace,
    pod: values.pod,
    rounds,
    scenarios: values.scenario.length > 0 ? values.scenario : scenarioNames,
    variants: values.variant.length > 0 ? values.variant : variantNames,
    kubectl: values.kubectl,
    json: values.json,
  };
}

function parseFlags(args: readonly string[]) {
  return parseArgs({
    args: [...args],
    strict: true,
    allowPositionals: false,
    options: {
      kubeconfig: { type: "string" },
      context: { type: "string" },
      namespace: { type: "string", default: "demo" },
      pod: { type: "string", default: "shell" },
      rounds: { type: "string", default: "5" },
      scenario: { type: "string", multiple: true, default: [] },
      variant: { type: "string", multiple: true, default: [] },
      kubectl: { type: "string" },
      json: { type: "string" },
      help: { type: "boolean", short: "h" },
    },
  }).values;
}

function misuse(message: string): Command {
  return { kind: "misuse", message };
}
