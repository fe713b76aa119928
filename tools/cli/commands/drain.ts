import { setTimeout as wait } from "node:timers/promises";
import { duration, flag, parsed, text } from "../../../command-line/options.ts";
import { beginDrain, describeDrain, endDrain, SETTLE_MS, waitForSessions } from "../../deploy/drain.ts";
import { ADMIN_CREDENTIALS_NOTE, type AdminApi, adminApiOf, adminCredentialsOf } from "../../deployment/admin-api.ts";
import { drainSwitch } from "../../deployment/drain-switch.ts";
import { readEndpoints } from "../../deployment/local-stack.ts";
import { OperatorError } from "../../deployment/operator-error.ts";
import { type PlanOptions, readPlan } from "../../deployment/project.ts";
import { nodeHttp } from "../../ports/http.ts";
import { type CommandContext, defineCommand, UsageError } from "../command.ts";
import { EXIT_CODES } from "../exit-codes.ts";
import { deploymentFile, outputsFile, stateFolder } from "../shared-options.ts";

const DEFAULT_DRAIN_MS = 60 * 60_000;

export const drain = defineCommand({
  options: {
    config: deploymentFile,
    outputs: outputsFile,
    local: flag("drain a local stack that runs (npm start) instead of a deployment"),
    state: stateFolder,
    reason: text("TEXT", "refuse new sessions, and say this to whoever asks for one"),
    for: parsed("TIME", "with --reason: for how long, at most 24h; without it 1h", duration),
    wait: parsed("TIME", "with --reason: wait so long for live sessions to end; exit 1 if some are left", duration),
    end: flag("let new sessions open again"),
  },
  notes: [
    "Live sessions and API requests go on. Without --reason and --end it shows whether new sessions are refused, and " +
      "lists what is live.",
    ADMIN_CREDENTIALS_NOTE,
  ],
  run: async ({ reason, end, for: forMs, wait: patienceMs, local, state, ...files }, context) => {
    if (end && reason !== undefined) throw new UsageError("--end and --reason exclude each other");
    if (reason === undefined && (forMs !== undefined || patienceMs !== undefined)) {
      throw new UsageError("--for and --wait go with --reason");
    }
    const api = local ? localApi(state) : deployedApi(files, context);
    const drained = drainSwitch(nodeHttp(), api);
    const looks = { drain: drained, wait: (ms: number) => wait(ms) };
    const { print } = context;
    if (end) {
      const wasDraining = await endDrain("ended by npx sallyport drain", looks);
      print(wasDraining ? "New sessions open again." : "New sessions were not refused.");
      return EXIT_CODES.done;
    }
    const drainState =
      reason === undefined
        ? await drained.read()
        : await beginDrain(reason, Date.now() + (forMs ?? DEFAULT_DRAIN_MS), looks);
    print(describeDrain(drainState));
    if (patienceMs !== undefined) await wait(SETTLE_MS);
    const left = await waitForSessions(patienceMs ?? 0, { live: () => drained.live(), now: Date.now, ...looks, print });
    if (left.length === 0) print("No session is live.");
    return patienceMs !== undefined && left.length > 0 ? EXIT_CODES.failed : EXIT_CODES.done;
  },
});

/** @throws OperatorError where the environment has no credentials */
function deployedApi(files: PlanOptions, { env, note }: CommandContext): AdminApi {
  const credentials = adminCredentialsOf(env);
  if (!credentials) throw new OperatorError(ADMIN_CREDENTIALS_NOTE);
  return adminApiOf(readPlan(files, note), credentials);
}

function localApi(state: string): AdminApi {
  const { personas, access } = readEndpoints(state);
  return { origin: personas.admin.url, teamDomain: access.issuer, credentials: undefined };
}
