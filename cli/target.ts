/** Which deployment a verb is for: kubectl's context, or an address. */
import { text } from "../command-line/options.ts";
import { parseArguments } from "../command-line/parse.ts";
import { type Application, applicationAt } from "./application.ts";
import { PluginFailure } from "./failure.ts";
import { readKubeconfigs, readPem } from "./kubeconfig/files.ts";
import { type ContextTarget, resolveContext } from "./kubeconfig/read.ts";
import { isThisMachine } from "./net/https.ts";
import type { Surroundings } from "./surroundings.ts";

/** Options of every verb that asks a deployment. */
export const targetOptions = {
  context: text("NAME", "the context to use instead of the current one"),
  kubeconfig: text("FILE", "the kubeconfig to use instead of KUBECONFIG and ~/.kube/config"),
  server: text("URL", "address of the deployment, instead of a context's"),
  "certificate-authority": text("FILE", "PEM of the server's authority, with --server"),
};

/** Options of the plugin's exec section: see verbs/credential.ts. */
export const execOptions = {
  application: text(
    "URL",
    "address of the Access application, for clients that do not tell about the cluster, or where it is another one",
  ),
  "certificate-authority": text("FILE", "PEM of the authority, for clients that do not tell about the cluster"),
};

export interface TargetValues {
  readonly context: string | undefined;
  readonly kubeconfig: string | undefined;
  readonly server: string | undefined;
  readonly "certificate-authority": string | undefined;
}

export interface Target {
  /**
   * `https://host` of the context's cluster, or of the local stack's other addresses `http://127.0.0.1:port`.
   */
  readonly origin: string;
  /**
   * Whose sign-in is used. It may be at another host: `requireServes` before its token goes to `origin`.
   * Undefined for plain HTTP, which needs no sign-in and gets no credential.
   */
  readonly application: Application | undefined;
  readonly certificateAuthority: string | undefined;
  /** With the variables of the context's exec section, so that a verb sees the sign-in that kubectl has. */
  readonly surroundings: Surroundings;
}

/** @throws PluginFailure */
export async function findTarget(
  values: TargetValues,
  surroundings: Surroundings,
  { isAdmin = false } = {},
): Promise<Target> {
  const file = values["certificate-authority"];
  if (values.server !== undefined) {
    if (values.context !== undefined) {
      throw new PluginFailure("usage", "--context and an address each name a deployment: give one of them");
    }
    return {
      ...addressed(values.server, values.server, isAdmin),
      certificateAuthority: file === undefined ? undefined : readPem(file),
      surroundings,
    };
  }
  if (file !== undefined) {
    throw new PluginFailure(
      "usage",
      "--certificate-authority goes with --server: a context's authority is in its kubeconfig",
    );
  }
  const files = await readKubeconfigs(surroundings, values.kubeconfig);
  const context = resolveContext(files, values.context);
  if (!context.ok) throw new PluginFailure("bad_kubeconfig", `${context.error}, or name the deployment with --server`);
  return fromContext(context.value, surroundings, isAdmin);
}

function fromContext(context: ContextTarget, surroundings: Surroundings, isAdmin: boolean): Target {
  if (context.isTlsVerificationOff) {
    throw new PluginFailure(
      "insecure_server",
      `the cluster of ${context.context} has insecure-skip-tls-verify: set certificate-authority instead`,
    );
  }
  const read =
    context.exec && parseArguments(argsAfterVerb(context.exec.args), { options: execOptions, positionals: {} });
  const exec = read !== undefined && read !== "help" && read.ok ? read.value : undefined;
  const file = exec?.["certificate-authority"];
  return {
    ...addressed(exec?.application ?? context.server, context.server, isAdmin),
    certificateAuthority: authorityOf(context) ?? (file === undefined ? undefined : readPem(file)),
    surroundings: context.exec ? { ...surroundings, env: { ...surroundings.env, ...context.exec.env } } : surroundings,
  };
}

function argsAfterVerb(args: readonly string[]): readonly string[] {
  return args.slice(args.indexOf("credential") + 1);
}

function authorityOf({ certificateAuthorityData: data, certificateAuthorityFile: file }: ContextTarget) {
  if (data !== undefined) return Buffer.from(data, "base64").toString("utf8");
  return file && readPem(file.file, file.kubeconfig);
}

function addressed(
  applicationAddress: string,
  server: string,
  isAdmin: boolean,
): Pick<Target, "origin" | "application"> {
  // A server's path does not matter: everything that is asked is under the host's own /-/.
  if (URL.canParse(server) && new URL(server).protocol === "http:") {
    const { origin, hostname } = new URL(server);
    if (isThisMachine(hostname)) return { origin, application: undefined };
    throw new PluginFailure("insecure_server", `${origin} is not an https address: correct it in the kubeconfig`);
  }
  const application = applicationAt(applicationAddress, { isAdmin });
  if (!application.ok) throw new PluginFailure("insecure_server", application.error);
  const own = applicationAt(server);
  if (!own.ok) throw new PluginFailure("insecure_server", own.error);
  // Clusters that share a sign-in are different clusters. The admin API is at the application's address.
  return { origin: isAdmin ? application.value.origin : own.value.origin, application: application.value };
}
