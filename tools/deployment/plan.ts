import type { ConfigInput } from "../../worker/config/schema.ts";

/**
 * What deploying and checking need to know of one deployment: the deployment file and the edge stack's outputs put together.
 * See project.ts for how it is made.
 */
export interface Plan {
  /** The deployment's name, the prefix of everything that belongs to it. */
  readonly name: string;
  /** Names of the two Workers. */
  readonly workers: { readonly edge: string; readonly objects: string };
  /** Cloudflare's account id. */
  readonly account: string;
  readonly access: {
    readonly teamDomain: string;
    /** Of the applications in front of the host names: one takes five. */
    readonly audiences: readonly string[];
    /** Of those in front of `/-/admin`. */
    readonly adminAudiences: readonly string[];
  };
  readonly database: { readonly id: string; readonly name: string };
  readonly recordings: { readonly bucket: string; readonly retentionDays: number };
  /** For the SIEM; undefined where nothing is exported. */
  readonly exportBucket: string | undefined;
  readonly clusters: readonly PlannedCluster[];
  /** SALLYPORT_CONFIG, judged by the Worker's own loader. */
  readonly document: ConfigInput;
}

export interface PlannedCluster {
  readonly name: string;
  readonly hostnames: readonly string[];
  /** The Worker's VPC binding. */
  readonly binding: string;
  readonly vpcServiceId: string;
  readonly tunnelId: string;
  /** Where kubectl finds the cluster, past Cloudflare; undefined where the deployment file does not say. */
  readonly kubeconfig: { readonly path: string; readonly context: string | undefined } | undefined;
  readonly connector: Connector;
  /** The role of the connector's account, as generated. */
  readonly role: { readonly name: string; readonly rules: readonly PolicyRule[] };
  /** The Kubernetes groups that identity rules give on this cluster. */
  readonly groups: readonly string[];
  /** `"any"` where the account may be any user name. */
  readonly users: readonly string[] | "any";
}

/** The tunnel's end in the cluster. */
export interface Connector {
  readonly namespace: string;
  readonly deployment: string;
  readonly serviceAccount: string;
  readonly replicas: number;
  /** Where the sidecar listens, which is what the VPC service points to. */
  readonly port: number;
}

/** A rule of rbac.authorization.k8s.io/v1, as far as ours have fields. */
export interface PolicyRule {
  readonly apiGroups: readonly string[];
  readonly resources: readonly string[];
  readonly verbs: readonly string[];
  readonly resourceNames?: readonly string[];
}

/** All host names of the deployment, in order. */
export function hostnamesOf({ clusters }: Pick<Plan, "clusters">): string[] {
  return clusters.flatMap(({ hostnames }) => [...hostnames]);
}
