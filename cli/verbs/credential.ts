/** `credential`: the exec credential plugin. */
import { type Application, applicationAt } from "../application.ts";
import { type ExecCluster, parseExecInfo, renderExecCredential } from "../exec-info.ts";
import { EXIT_CODES, PluginFailure } from "../failure.ts";
import { readPem } from "../kubeconfig/files.ts";
import { obtain } from "../obtain.ts";
import { applicationFor, requireServes } from "../shared-sign-in.ts";
import { openStore } from "../store/store.ts";
import type { Surroundings } from "../surroundings.ts";
import { execOptions } from "../target.ts";
import { askAgainAtMs, type Tokens } from "../tokens.ts";
import { defineVerb } from "../verb.ts";

export const credential = defineVerb({
  name: "credential",
  summary: "Prints a credential for a Kubernetes client, as its kubeconfig asks for it",
  options: execOptions,
  notes: [
    "Reads KUBERNETES_EXEC_INFO. A kubeconfig names this command as users[].user.exec, with provideClusterInfo: true.",
  ],
  run: async (values, surroundings) => {
    const info = parseExecInfo(surroundings.env["KUBERNETES_EXEC_INFO"]);
    if (!info.ok) throw new PluginFailure("bad_exec_info", info.error);
    const { apiVersion, isInteractive, cluster } = info.value;
    const file = values["certificate-authority"];
    const certificateAuthority = cluster?.certificateAuthority ?? (file === undefined ? undefined : readPem(file));
    const options = { store: openStore(surroundings), surroundings, certificateAuthority, mayReadStdin: isInteractive };
    const application = await chooseApplication(values.application, cluster, options);
    const { tokens } = await obtain({ ...options, application });
    surroundings.print(renderExecCredential(apiVersion, tokens.accessToken, expiryFor(tokens, surroundings.now())));
    return EXIT_CODES.done;
  },
});

/** When the client shall ask again. A token that could not be renewed just now is used to its end. */
function expiryFor(tokens: Tokens, nowMs: number): number {
  const renewal = askAgainAtMs(tokens);
  return nowMs < renewal ? renewal : tokens.expiresAtMs;
}

/**
 * The application of `--application`, or of the cluster. A named one must serve the cluster, where that is
 * known.
 */
async function chooseApplication(
  named: string | undefined,
  cluster: ExecCluster | undefined,
  options: {
    readonly store: ReturnType<typeof openStore>;
    readonly surroundings: Surroundings;
    readonly certificateAuthority: string | undefined;
    readonly mayReadStdin: boolean;
  },
): Promise<Application> {
  if (cluster?.isTlsVerificationOff) {
    throw new PluginFailure(
      "insecure_server",
      "the cluster has insecure-skip-tls-verify: a credential is given to a verified server only; " +
        "set certificate-authority instead",
    );
  }
  const application = named === undefined ? undefined : applicationOf(named);
  const wanted = cluster ? applicationOf(cluster.server) : application;
  if (wanted === undefined) {
    throw new PluginFailure(
      "no_cluster",
      "the client does not say which cluster it asks: set provideClusterInfo: true in the kubeconfig's exec section, " +
        "or add --application URL to its args",
    );
  }
  const question = { ...options, origin: wanted.origin };
  // The cluster's own address names no other application, and another one's sign-in may count there.
  if (application === undefined || application.origin === wanted.origin) return applicationFor(question);
  await obtain({ ...options, application });
  await requireServes(application, question);
  return application;
}

function applicationOf(address: string): Application {
  const application = applicationAt(address);
  if (!application.ok) throw new PluginFailure("insecure_server", application.error);
  return application.value;
}
