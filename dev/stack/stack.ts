import type { ServiceToken } from "../access/front.ts";
import type { PersonaName } from "../access/personas.ts";

export interface PersonaEndpoint {
  readonly email: string;
  readonly url: string;
  readonly tlsUrl: string;
}

/** The address where people sign in as with Access's Managed OAuth. */
export interface FrontEndpoint {
  readonly url: string;
  /** The same application's address of the second cluster; only with `secondCluster`. */
  readonly secondUrl: string | undefined;
  /** Path of the PEM file that has its certificate's authority. */
  readonly ca: string;
  /** The only service token that is admitted, to the clusters. */
  readonly serviceToken: ServiceToken;
}

export interface Stack {
  readonly personas: Readonly<Record<PersonaName, PersonaEndpoint>>;
  readonly stateDir: string;
  readonly kubeconfig: string;
  readonly kubeconfigTls: string;
  /** The contexts' people sign in through the kubectl plugin. */
  readonly kubeconfigPlugin: string;
  readonly endpoints: string;
  /** SQLite file of the local D1. */
  readonly d1Path: string;
  readonly logPath: string;
  readonly upstreamUrl: string;
  /** The personas' addresses for the second cluster; only with `secondCluster`. */
  readonly second: Readonly<Record<PersonaName, string>> | undefined;
  /** The edge, bypassing the Access fake; only with `workerSocket`. */
  readonly workerUrl: string | undefined;
  /** workerd's inspector; only with `inspector`. It changes when workerd is restarted. */
  readonly inspectorUrl: string | undefined;
  readonly embedded: boolean;
  /** Audit log of the embedded cluster. */
  readonly clusterAuditLog: string | undefined;
  readonly access: { readonly issuer: string; readonly audience: string; readonly adminAudience: string };
  readonly front: FrontEndpoint;
  /** A POST here does what the cron trigger does in a deployment. */
  readonly cronUrl: string;
  /** PEM of the local certificate authority. */
  readonly certificateAuthority: string;
  /** Undefined while workerd is down, and on systems without /proc. */
  workerdPid(): number | undefined;
  /** Ends every child and releases the ports and the state directory. May be called twice. */
  stop(): Promise<void>;
}
