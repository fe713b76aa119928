import type { ApplicationPolicies } from "../../terraform/config/access-policies.ts";
import type { ConfigInput } from "../../worker/config/schema.ts";

/**
 * A deployment as the tools need it: the deployment file and the edge stack's outputs combined. See
 * project.ts.
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
    /**
     * Audience tags of the applications in front of the host names. There is one for every five host names.
     */
    readonly audiences: readonly string[];
    /** Audience tags of the applications in front of `/-/admin`. */
    readonly adminAudiences: readonly string[];
    /** Audience tags of the applications that only service tokens use. Empty where they use the people's. */
    readonly serviceTokenAudiences: readonly string[];
    /** What each kind of application has, and no other policies. */
    readonly policies: ApplicationPolicies;
    readonly signIn: SignIn;
  };
  readonly database: { readonly id: string; readonly name: string };
  readonly recordings: {
    readonly bucket: string;
    readonly retentionDays: number;
    readonly sealRetentionDays: number;
  };
  /** Undefined where the audit log is not exported. */
  readonly exportBucket: string | undefined;
  readonly clusters: readonly PlannedCluster[];
  /** SALLYPORT_CONFIG, validated by the Worker's own loader. */
  readonly document: ConfigInput;
}

/** How people sign in, and for how long. Durations are in seconds. */
export interface SignIn {
  /** WARP sessions count. */
  readonly warp: boolean;
  readonly session: number;
  readonly adminSession: number;
  /** Undefined where Managed OAuth is off. */
  readonly oauth: { readonly accessToken: number; readonly session: number; readonly adminSession: number } | undefined;
}

export interface PlannedCluster {
  readonly name: string;
  /** People's. */
  readonly hostnames: readonly string[];
  /** Service tokens' own. Undefined where they use the people's. */
  readonly serviceTokenHostname: string | undefined;
  /** The name of the Workers' VPC binding. */
  readonly binding: string;
  readonly vpcServiceId: string;
  /** How sessions reach the cluster over TCP. */
  readonly tcp: PlannedTcp;
  readonly tunnelId: string;
  /** How kubectl reaches the cluster without Cloudflare. Undefined where the deployment file does not say. */
  readonly kubeconfig: { readonly path: string; readonly context: string | undefined } | undefined;
  readonly connector: Connector;
  /**
   * What the network policy lets the connector reach of the API server. Undefined where there is no policy.
   */
  readonly apiServer:
    | { readonly cidrs: readonly string[]; readonly port: number; readonly serviceIps: readonly string[] }
    | undefined;
  /** The generated ClusterRole of the connector's account. */
  readonly role: { readonly name: string; readonly rules: readonly PolicyRule[] };
  /** The groups that identity rules give in this cluster. */
  readonly groups: readonly string[];
  /** The users that the account may impersonate. */
  readonly users: readonly string[] | "any";
}

export type PlannedTcp =
  | { readonly isWanted: false }
  | {
      readonly isWanted: true;
      /**
       * The VPC service of type `tcp`, and the objects' binding. Undefined where the edge stack has not made
       * it yet.
       */
      readonly service: { readonly binding: string; readonly vpcServiceId: string } | undefined;
    };

/** The tunnel's end in the cluster. */
export interface Connector {
  readonly namespace: string;
  readonly deployment: string;
  readonly serviceAccount: string;
  readonly replicas: number;
  /** The sidecar's port, to which the VPC service leads. */
  readonly port: number;
}

/** A rule of rbac.authorization.k8s.io/v1. */
export interface PolicyRule {
  readonly apiGroups: readonly string[];
  readonly resources: readonly string[];
  readonly verbs: readonly string[];
  readonly resourceNames?: readonly string[];
}

/** The VPC services of type `tcp`, with their bindings. */
export function tcpServicesOf({ clusters }: Pick<Plan, "clusters">) {
  return clusters.flatMap(({ name, tcp }) => (tcp.isWanted && tcp.service ? [{ cluster: name, ...tcp.service }] : []));
}

/** A host name of the deployment, and the Access application in front of it. */
export interface PlannedHost {
  readonly hostname: string;
  /** Audience tags, one of which is that of its application. */
  readonly audiences: readonly string[];
  /** People sign in there. */
  readonly isForPeople: boolean;
  /** Service tokens of `access.allow` are admitted there. */
  readonly isForServiceTokens: boolean;
}

/** The host names of all clusters, in order: of each the people's, then the service tokens'. */
export function hostsOf({ clusters, access }: Pick<Plan, "clusters" | "access">): PlannedHost[] {
  return clusters.flatMap(({ hostnames, serviceTokenHostname: own }) => [
    ...hostnames.map((hostname) => ({
      ...{ hostname, audiences: access.audiences, isForPeople: true, isForServiceTokens: own === undefined },
    })),
    ...(own === undefined
      ? []
      : [{ hostname: own, audiences: access.serviceTokenAudiences, isForPeople: false, isForServiceTokens: true }]),
  ]);
}

/** The names of `hostsOf`. */
export function hostnamesOf({ clusters }: Pick<Plan, "clusters">): string[] {
  return clusters.flatMap(({ hostnames, serviceTokenHostname: own }) => [
    ...hostnames,
    ...(own === undefined ? [] : [own]),
  ]);
}
