/**
 * The protocol of exec credential plugins:
 * https://kubernetes.io/docs/reference/config-api/client-authentication.v1/. Pure.
 */
import { isJsonObject, parseJson } from "../common/json.ts";
import { err, ok, type Result } from "../common/result.ts";

const API_VERSIONS = ["client.authentication.k8s.io/v1", "client.authentication.k8s.io/v1beta1"] as const;

export type ExecApiVersion = (typeof API_VERSIONS)[number];

/** What a client says about the cluster that it needs a credential for. */
export interface ExecCluster {
  readonly server: string;
  /** PEM. */
  readonly certificateAuthority?: string;
  readonly isTlsVerificationOff: boolean;
}

export interface ExecInfo {
  readonly apiVersion: ExecApiVersion;
  /** Whether the plugin may read standard input. */
  readonly isInteractive: boolean;
  /** Undefined where the kubeconfig lacks `provideClusterInfo: true`. */
  readonly cluster?: ExecCluster;
}

/**
 * Reads the environment variable `KUBERNETES_EXEC_INFO`.
 *
 * @param text undefined for clients that do not set it, such as @kubernetes/client-node
 * @returns what the client says, or what is wrong with it
 */
export function parseExecInfo(text: string | undefined): Result<ExecInfo, string> {
  if (text === undefined || text === "") return ok({ apiVersion: API_VERSIONS[0], isInteractive: false });
  const info = parseJson(text);
  if (!isJsonObject(info)) return err("KUBERNETES_EXEC_INFO is not a JSON object");
  const apiVersion = API_VERSIONS.find((each) => each === info["apiVersion"]);
  if (info["kind"] !== "ExecCredential" || apiVersion === undefined) {
    return err(
      `KUBERNETES_EXEC_INFO is no ExecCredential of ${API_VERSIONS.join(" or ")}: set apiVersion in the kubeconfig`,
    );
  }
  const spec = isJsonObject(info["spec"]) ? info["spec"] : {};
  const cluster = isJsonObject(spec["cluster"]) ? parseCluster(spec["cluster"]) : undefined;
  if (cluster?.ok === false) return cluster;
  return ok({ apiVersion, isInteractive: spec["interactive"] === true, ...(cluster && { cluster: cluster.value }) });
}

function parseCluster(cluster: Readonly<Record<string, unknown>>): Result<ExecCluster, string> {
  const { server, "certificate-authority-data": data } = cluster;
  if (typeof server !== "string") return err("KUBERNETES_EXEC_INFO has a cluster without a server");
  if (data !== undefined && typeof data !== "string") {
    return err("KUBERNETES_EXEC_INFO has a certificate-authority-data that is not text");
  }
  return ok({
    server,
    ...(data && { certificateAuthority: Buffer.from(data, "base64").toString("utf8") }),
    isTlsVerificationOff: cluster["insecure-skip-tls-verify"] === true,
  });
}

/**
 * The plugin's answer.
 *
 * @param expiresAtMs when the client shall ask again
 */
export function renderExecCredential(apiVersion: ExecApiVersion, token: string, expiresAtMs: number): string {
  // RFC 3339 without fractions, as every client reads it.
  const expirationTimestamp = `${new Date(expiresAtMs).toISOString().slice(0, 19)}Z`;
  return JSON.stringify({ apiVersion, kind: "ExecCredential", status: { token, expirationTimestamp } });
}
