/** The command line of `npm start`. */
import { parseArgs } from "node:util";
import { messageOf } from "../../common/errors.ts";
import { UPSTREAM_TRANSPORTS, type UpstreamTransport } from "../../contract/upstream.ts";
import { MAX_BASE_PORT } from "./ports.ts";
import { parseUpstream } from "./upstream.ts";

export const DEFAULT_STATE_DIR = ".sallyport";
/** What Cloudflare recommends for programs: 5 to 15 minutes. */
export const DEFAULT_ACCESS_TOKEN_SECONDS = 900;
const MAX_ACCESS_TOKEN_SECONDS = 86_400;

export const USAGE = `Usage: npm start [-- options]

  --port N         first of the personas' ports (N alice, N+1 bob, N+2 admin, N+3 mallory);
                   0 for any free ones. Default: 8710 and up, or free ones when those are taken
  --state DIR      folder of keys, databases and kubeconfigs. Default: ${DEFAULT_STATE_DIR}
  --upstream URL   a real cluster behind "kubectl proxy", e.g. http://127.0.0.1:8001,
                   instead of the embedded one
  --clusters 2     a second, embedded cluster with a host name of its own: the contexts alice-second,
                   bob-second, admin-second and mallory-second
  --transport WAY  how sessions reach the clusters: auto, tcp or websocket. Default: auto, which is TCP here
  --access-token-seconds N
                   how long an access token lives that somebody got by signing in, 1 to ${MAX_ACCESS_TOKEN_SECONDS}.
                   Default: ${DEFAULT_ACCESS_TOKEN_SECONDS}
  --config FILE    JSON with values that replace those of the local configuration, e.g.
                   {"limits": {"maxSessionsPerUser": 2, "idleTimeoutSeconds": 60}}
  --examples       make example sessions, marked as such: real ones, of kubectl in the embedded cluster. Takes
                   half a minute, after which the console has something of each kind to show
  --webhooks FILE  JSON with whom to tell of locks, drains and the like: see docs/NOTIFICATIONS.md
  --verbose        also print the Workers' log here
  --help           this text
`;

export interface StartCommand {
  readonly kind: "start";
  readonly stateDir: string;
  readonly port: number | undefined;
  readonly upstream: string | undefined;
  readonly secondCluster: boolean;
  readonly transport: UpstreamTransport | undefined;
  readonly accessTokenSeconds: number | undefined;
  readonly configFile: string | undefined;
  readonly webhooksFile: string | undefined;
  readonly examples: boolean;
  readonly verbose: boolean;
}

export type Command = StartCommand | { readonly kind: "help" } | { readonly kind: "misuse"; readonly message: string };

/** Parses the flags. An unknown one is an error. */
export function parseCommandLine(args: readonly string[]): Command {
  let values: ReturnType<typeof parseFlags>;
  try {
    values = parseFlags(args);
  } catch (error) {
    return misuse(messageOf(error));
  }
  if (values.help) return { kind: "help" };
  for (const name of ["state", "upstream", "config", "webhooks"] as const) {
    if (values[name]?.trim() === "") return misuse(`--${name} needs a value`);
  }
  let port: number | undefined;
  if (values.port !== undefined) {
    port = /^\d{1,5}$/.test(values.port) ? Number(values.port) : Number.NaN;
    if (!(port >= 0 && port <= MAX_BASE_PORT)) return misuse(`--port must be a number from 0 to ${MAX_BASE_PORT}`);
  }
  if (values.upstream !== undefined) {
    const upstream = parseUpstream(values.upstream);
    if ("fault" in upstream) return misuse(`--upstream ${upstream.fault}`);
    if (values.examples) return misuse("--examples changes things in the cluster: it is for the embedded one only");
  }
  const transport = UPSTREAM_TRANSPORTS.find((name) => name === values.transport);
  if (values.transport !== undefined && !transport) {
    return misuse(`--transport must be one of ${UPSTREAM_TRANSPORTS.join(", ")}`);
  }
  if (!["1", "2", undefined].includes(values.clusters)) return misuse("--clusters must be 1 or 2");
  let accessTokenSeconds: number | undefined;
  const seconds = values["access-token-seconds"];
  if (seconds !== undefined) {
    accessTokenSeconds = /^[1-9]\d{0,4}$/.test(seconds) ? Number(seconds) : Number.NaN;
    if (!(accessTokenSeconds <= MAX_ACCESS_TOKEN_SECONDS)) {
      return misuse(`--access-token-seconds must be a number from 1 to ${MAX_ACCESS_TOKEN_SECONDS}`);
    }
  }
  return {
    kind: "start",
    stateDir: values.state ?? DEFAULT_STATE_DIR,
    port,
    upstream: values.upstream,
    secondCluster: values.clusters === "2",
    transport,
    accessTokenSeconds,
    configFile: values.config,
    webhooksFile: values.webhooks,
    examples: values.examples ?? false,
    verbose: values.verbose ?? false,
  };
}

function parseFlags(args: readonly string[]) {
  return parseArgs({
    args: [...args],
    strict: true,
    allowPositionals: false,
    options: {
      port: { type: "string" },
      state: { type: "string" },
      upstream: { type: "string" },
      clusters: { type: "string" },
      transport: { type: "string" },
      "access-token-seconds": { type: "string" },
      config: { type: "string" },
      webhooks: { type: "string" },
      examples: { type: "boolean" },
      verbose: { type: "boolean" },
      help: { type: "boolean", short: "h" },
    },
  }).values;
}

function misuse(message: string): Command {
  return { kind: "misuse", message };
}
