/** Names that begin with `system:` carry power that no identity rule should assign by accident. Pure. */
/** A reserved name that an identity rule assigns. */
export interface ReservedName {
  /** The rule's place, e.g. `identities[0]`. */
  readonly rule: string;
  readonly cluster: string;
  readonly name: string;
}

/** Whether Kubernetes reserves a name (its RBAC documentation, "Default roles and role bindings"). */
export function isReservedName(name: string): boolean {
  return name.startsWith("system:");
}

/** What of a configuration says which names identity rules assign. The whole of it imports this file. */
interface NamesOfClusters {
  readonly clusters: readonly {
    readonly name: string;
    readonly identities: readonly { readonly user?: string | undefined; readonly groups: readonly string[] }[];
  }[];
}

/** Finds the reserved names that identity rules assign. */
export function reservedNames({ clusters }: NamesOfClusters): ReservedName[] {
  return clusters.flatMap(({ name: cluster, identities }) =>
    identities.flatMap(({ user = "", groups }, index) =>
      [...new Set([user, ...groups])]
        .filter(isReservedName)
        .map((name) => ({ rule: `identities[${index}]`, cluster, name })),
    ),
  );
}

/** The warning for operators. */
export function describeReservedName({ rule, cluster, name }: ReservedName): string {
  return `${rule} of cluster ${cluster} assigns ${name}, a name that Kubernetes reserves: check that this is intended`;
}
