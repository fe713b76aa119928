import type { PersonaName } from "../access/personas.ts";

export interface PersonaEndpoint {
  readonly email: string;
  readonly url: string;
  readonly tlsUrl: string;
}

export interface Stack {
  readonly personas: Readonly<Record<PersonaName, PersonaEndpoint>>;
  readonly stateDir: string;
  readonly kubeconfig: string;
  readonly kubeconfigTls: string;
  readonly endpoints: string;
  /** SQLite file of the local D1. */
  readonly d1Path: string;
  readonly logPath: string;
  readonly upstreamUrl: string;
  /** The personas' addresses before the second cluster; only with `secondCluster`. */
  readonly second: Readonly<Record<PersonaName, string>> | undefined;
  /** The Worker past the stand-in; only with `workerSocket`. */
  readonly workerUrl: string | undefined;
  /** workerd's inspector; only with `inspector`, and another one once workerd was started again. */
  readonly inspectorUrl: string | undefined;
  readonly embedded: boolean;
  /** Audit log of the embedded cluster. */
  readonly clusterAuditLog: string | undefined;
  readonly access: { readonly issuer: string; readonly audience: string };
  /** A POST here is what the cron trigger is in a deployment. */
  readonly cronUrl: string;
  /** PEM of the local certificate authority. */
  readonly certificateAuthority: string;
  /** Undefined while it is down, and on systems without /proc. */
  workerdPid(): number | undefined;
  /** Ends every child and gives the ports and the state directory back. May be called twice. */
  stop(): Promise<void>;
}
