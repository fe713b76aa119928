import { SESSION_EXTRA } from "../../worker/config/reserved-extras.ts";
import type { Grant } from "./grant.ts";

export interface ClusterAddress {
  readonly server: string;
  /** PEM in base64. */
  readonly certificateAuthority: string | undefined;
}

export type Credential =
  /** Both PEM. */
  | { readonly certificate: string; readonly key: string }
  /**
   * Of the connector's service account, which may impersonate the people of the identity rules and nobody
   * else.
   */
  | { readonly token: string };

/** A kubeconfig with a grant's credential. JSON, which kubectl reads as YAML. */
export function kubeconfigOf(
  { identity, id, cluster }: Grant,
  { server, certificateAuthority }: ClusterAddress,
  credential: Credential,
): string {
  const base64 = (pem: string) => Buffer.from(pem).toString("base64");
  const user =
    "token" in credential
      ? {
          token: credential.token,
          as: identity.user,
          "as-groups": identity.groups,
          // The cluster's audit log shows the grant's id where it shows the session's for Sallyport.
          "as-user-extra": { ...identity.extra, [SESSION_EXTRA]: [id] },
        }
      : { "client-certificate-data": base64(credential.certificate), "client-key-data": base64(credential.key) };
  const name = `break-glass-${cluster}`;
  const document = {
    apiVersion: "v1",
    kind: "Config",
    "current-context": name,
    clusters: [
      {
        name,
        cluster: { server, ...(certificateAuthority && { "certificate-authority-data": certificateAuthority }) },
      },
    ],
    users: [{ name: identity.user, user }],
    contexts: [{ name, context: { cluster: name, user: identity.user } }],
  };
  return `${JSON.stringify(document, null, 2)}\n`;
}
