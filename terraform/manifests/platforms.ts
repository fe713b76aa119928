/**
 * What is the same in every cluster of a platform, unless its owner chose otherwise: the address of the
 * Service `kubernetes`, and DNS servers outside of kube-system. Pure.
 */

export const PLATFORM_NAMES = ["eks", "gke", "aks", "kind"] as const;
export type PlatformName = (typeof PLATFORM_NAMES)[number];

interface Platform {
  /** Possible addresses of `default/kubernetes`: the first of the default Service ranges. */
  readonly serviceIps: readonly string[];
  /** Networks of DNS servers that pods use and no selector matches. */
  readonly dns: readonly string[];
}

export const PLATFORMS: Readonly<Record<PlatformName, Platform>> = {
  // https://docs.aws.amazon.com/eks/latest/userguide/network-reqs.html: 10.100.0.0/16 or 172.20.0.0/16.
  eks: { serviceIps: ["10.100.0.1", "172.20.0.1"], dns: [] },
  // https://cloud.google.com/kubernetes-engine/docs/concepts/alias-ips: 34.118.224.0/20. Cloud DNS answers at
  // the metadata server's address: https://cloud.google.com/kubernetes-engine/docs/how-to/cloud-dns
  gke: { serviceIps: ["34.118.224.1"], dns: ["169.254.169.254/32"] },
  // https://learn.microsoft.com/azure/aks/configure-azure-cni: 10.0.0.0/16. LocalDNS:
  // https://learn.microsoft.com/azure/aks/localdns-custom
  aks: { serviceIps: ["10.0.0.1"], dns: ["169.254.10.10/32", "169.254.10.11/32"] },
  // https://kind.sigs.k8s.io/docs/user/configuration/#service-subnet: 10.96.0.0/16.
  kind: { serviceIps: ["10.96.0.1"], dns: [] },
};

/** The addresses at which pods find the API server by its Service: as given, else the platform's. */
export function serviceIpsOf({
  platform,
  serviceIps,
}: {
  readonly platform?: PlatformName | undefined;
  readonly serviceIps?: readonly string[] | undefined;
}): readonly string[] {
  return serviceIps ?? (platform === undefined ? [] : PLATFORMS[platform].serviceIps);
}
