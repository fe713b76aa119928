/** Kubernetes objects as plain data, with the fields that the connector's objects have. */

export interface Metadata {
  readonly name: string;
  readonly namespace?: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly annotations?: Readonly<Record<string, string>>;
}

/** An object of any kind. */
export interface KubernetesObject {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: Metadata;
  readonly [field: string]: unknown;
}

/**
 * A rule of rbac.authorization.k8s.io/v1. Without `resourceNames`, and with an EMPTY list, it applies to all
 * names.
 */
export interface PolicyRule {
  readonly apiGroups: readonly string[];
  readonly resources: readonly string[];
  readonly verbs: readonly string[];
  readonly resourceNames?: readonly string[];
}

export interface ClusterRole extends KubernetesObject {
  readonly kind: "ClusterRole";
  readonly rules: readonly PolicyRule[];
}

export interface Container {
  readonly name: string;
  readonly image: string;
  readonly imagePullPolicy: "IfNotPresent";
  readonly args: readonly string[];
  readonly [field: string]: unknown;
}

export interface Deployment extends KubernetesObject {
  readonly kind: "Deployment";
  readonly spec: {
    readonly replicas: number;
    readonly template: {
      readonly metadata: { readonly labels: Readonly<Record<string, string>> };
      readonly spec: {
        readonly initContainers: readonly Container[];
        readonly containers: readonly Container[];
        readonly [field: string]: unknown;
      };
    };
    readonly [field: string]: unknown;
  };
}
