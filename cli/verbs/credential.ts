/** `credential`: the exec credential plugin. */
import { readFileSync } from "node:fs";
import { text } from "../../tools/cli/options.ts";
import { type Application, applicationAt } from "../application.ts";
import { type ExecCluster, parseExecInfo, renderExecCredential } from "../exec-info.ts";
import { EXIT_CODES, errorCode, PluginFailure } from "../failure.ts";
import { obtain } from "../obtain.ts";
import { openStore } from "../store/store.ts";
import { askAgainAtMs } from "../tokens.ts";
import { defineVerb } from "../verb.ts";

export const credential = defineVerb({
  name: "credential",
  summary: "Prints a credential for a Kubernetes client, as its kubeconfig asks for it",
  options: {
    application: text(
      "URL",
      "address of the Access application, where it is not the cluster's own: one sign-in then serves several clusters",
    ),
    "certificate-authority": text("FILE", "PEM of the authority, for clients that do not tell about the cluster"),
  },
  notes: [
    "Reads KUBERNETES_EXEC_INFO. A kubeconfig names this command as users[].user.exec, with provideClusterInfo: true.",
  ],
  run: async (values, surroundings) => {
    const info = parseExecInfo(surroundings.env["KUBERNETES_EXEC_INFO"]);
    if (!info.ok) throw new PluginFailure("bad_exec_info", info.error);
    const { apiVersion, isInteractive, cluster } = info.value;
    const application = applicationOf(values.application, cluster);
    const file = values["certificate-authority"];
    const record = await obtain({
      application,
      store: openStore(surroundings),
      surroundings,
      certificateAuthority: cluster?.certificateAuthority ?? (file === undefined ? undefined : readPem(file)),
      mayReadStdin: isInteractive,
    });
    surroundings.print(renderExecCredential(apiVersion, record.tokens.accessToken, askAgainAtMs(record.tokens)));
    return EXIT_CODES.done;
  },
});

function applicationOf(named: string | undefined, cluster: ExecCluster | undefined): Application {
  const address = named ?? cluster?.server;
  if (address === undefined) {
    throw new PluginFailure(
      "no_cluster",
      "the client does not say which cluster it asks: set provideClusterInfo: true in the kubeconfig's exec section, " +
        "or add --application URL to its args",
    );
  }
  if (cluster?.isTlsVerificationOff) {
    throw new PluginFailure(
      "insecure_server",
      "the cluster has insecure-skip-tls-verify: a credential is given to a verified server only; " +
        "set certificate-authority instead",
    );
  }
  const application = applicationAt(address);
  if (!application.ok) throw new PluginFailure("insecure_server", application.error);
  return application.value;
}

function readPem(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch (error) {
    throw new PluginFailure("store", `cannot read the certificate authority ${path} (${errorCode(error)})`);
  }
}
