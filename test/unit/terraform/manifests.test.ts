import { BlockList } from "node:net";
import { describe, expect, it } from "vitest";
import { connectorManifests } from "../../../terraform/manifests/connector.ts";
import { IMAGES } from "../../../terraform/manifests/names.ts";
import type { Container, Deployment, KubernetesObject } from "../../../terraform/manifests/types.ts";
import { UPSTREAM_HOST } from "../../../worker/upstream/url.ts";
import { type ClusterInput, clusterInput, deploymentOf } from "../../support/deployment.ts";
import { unknownFields } from "../../support/kubernetes-schema.ts";

function manifestsOf(change: Partial<ClusterInput> = {}): KubernetesObject[] {
  const deployment = deploymentOf({ clusters: [clusterInput("prod", change)] });
  const [cluster] = deployment.clusters;
  if (!cluster) throw new Error("there is no cluster");
  return connectorManifests(deployment, cluster);
}

function ofKind(kind: string, change?: Partial<ClusterInput>): KubernetesObject | undefined {
  return manifestsOf(change).find((object) => object.kind === kind);
}

function pod(change?: Partial<ClusterInput>) {
  return (ofKind("Deployment", change) as Deployment).spec.template.spec;
}

const only = (containers: readonly Container[]): Container => {
  const [one, ...more] = containers;
  if (!one || more.length > 0) throw new Error("there is not one container");
  return one;
};
const proxy = () => only(pod().initContainers);
const cloudflared = () => only(pod().containers);

describe("the connector's manifests", () => {
  it("are these objects, in this order", () => {
    expect(manifestsOf().map(({ kind }) => kind)).toEqual([
      "Namespace",
      "ServiceAccount",
      "ClusterRole",
      "ClusterRoleBinding",
      "NetworkPolicy",
      "PodDisruptionBudget",
      "Deployment",
    ]);
  });

  it("have only fields that Kubernetes knows", () => {
    for (const object of manifestsOf({ connector: { metricsFrom: "monitoring" } })) {
      expect(unknownFields(object, `V1${object.kind}`), object.kind).toEqual([]);
    }
    // The schema finds an unknown field at any depth.
    const { spec, ...rest } = ofKind("Deployment") as Deployment;
    const pod = { ...spec.template.spec, containers: [{ ...cloudflared(), readyProbe: {} }] };
    const misspelt = { ...rest, spec: { ...spec, template: { ...spec.template, spec: pod } } };
    expect(unknownFields(misspelt, "V1Deployment")).toEqual([".spec.template.spec.containers[0].readyProbe"]);
  });

  it("contain no secret", () => {
    expect(manifestsOf().some(({ kind }) => kind === "Secret")).toBe(false);
  });

  it("allow only restricted pods in the namespace", () => {
    expect(ofKind("Namespace")?.metadata.labels).toMatchObject({
      "pod-security.kubernetes.io/enforce": "restricted",
      "pod-security.kubernetes.io/audit": "restricted",
      "pod-security.kubernetes.io/warn": "restricted",
    });
  });

  it("keep at least three replicas on different nodes, and drain one at a time", () => {
    expect(ofKind("Deployment")).toMatchObject({
      spec: { replicas: 3, strategy: { rollingUpdate: { maxUnavailable: 0, maxSurge: 1 } } },
    });
    expect(ofKind("PodDisruptionBudget")).toMatchObject({ apiVersion: "policy/v1", spec: { maxUnavailable: 1 } });
    expect(pod()).toMatchObject({
      topologySpreadConstraints: [
        { topologyKey: "topology.kubernetes.io/zone", maxSkew: 1 },
        { topologyKey: "kubernetes.io/hostname", maxSkew: 1 },
      ],
      affinity: { podAntiAffinity: { preferredDuringSchedulingIgnoredDuringExecution: [{ weight: 100 }] } },
    });
    const labels = (ofKind("Deployment") as Deployment).spec.template.metadata.labels;
    expect(labels).toMatchObject(
      (ofKind("PodDisruptionBudget") as unknown as { spec: { selector: { matchLabels: object } } }).spec.selector
        .matchLabels,
    );
  });

  it("pin images by version and digest", () => {
    for (const image of Object.values(IMAGES)) expect(image).toMatch(/:v?\d+\.\d+\.\d+@sha256:[0-9a-f]{64}$/);
    expect([proxy().image, cloudflared().image]).toEqual([IMAGES.kubectl, IMAGES.cloudflared]);
    const kubectl = "registry.example.com/kubectl:v1.36.4";
    expect(only(pod({ connector: { images: { kubectl } } }).initContainers).image).toBe(kubectl);
  });

  it("meet the restricted profile in every container", () => {
    expect(pod()).toMatchObject({
      securityContext: { runAsNonRoot: true, runAsUser: 65_532, seccompProfile: { type: "RuntimeDefault" } },
    });
    for (const container of [proxy(), cloudflared()]) {
      expect(container["securityContext"]).toEqual({
        allowPrivilegeEscalation: false,
        readOnlyRootFilesystem: true,
        runAsNonRoot: true,
        capabilities: { drop: ["ALL"] },
      });
      expect(container["resources"]).toMatchObject({
        requests: { cpu: expect.any(String) as string },
        limits: { memory: expect.any(String) as string },
      });
    }
    expect(JSON.stringify(pod())).not.toMatch(/hostNetwork|hostPath|hostPort|privileged/);
  });
});

describe("the sidecar", () => {
  it("is the only container with the account's token", () => {
    expect(pod()).toMatchObject({ automountServiceAccountToken: false });
    expect(ofKind("ServiceAccount")).toMatchObject({ automountServiceAccountToken: false });
    expect(proxy()["volumeMounts"]).toEqual([
      { name: "account", mountPath: "/var/run/secrets/kubernetes.io/serviceaccount", readOnly: true },
    ]);
    expect(JSON.stringify(cloudflared()["volumeMounts"])).not.toContain("account");
  });

  it("verifies the API server by the cluster's own CA, which is beside the token", () => {
    const { volumes } = pod() as unknown as { volumes: { name: string; projected?: { sources: object[] } }[] };
    expect(volumes.find(({ name }) => name === "account")?.projected?.sources).toEqual([
      { serviceAccountToken: { path: "token", expirationSeconds: 3_600 } },
      { configMap: { name: "kube-root-ca.crt", items: [{ key: "ca.crt", path: "ca.crt" }] } },
      { downwardAPI: { items: [{ path: "namespace", fieldRef: { fieldPath: "metadata.namespace" } }] } },
    ]);
    expect(proxy().args.join(" ")).not.toMatch(/insecure|skip/);
  });

  it("listens on loopback, for the Host header that the Worker sends, and logs no requests", () => {
    expect(proxy().args).toEqual([
      "proxy",
      "--address=127.0.0.1",
      "--port=8001",
      "--accept-hosts=^localhost$",
      "--reject-paths=^$",
      "--reject-methods=^$",
      "--v=0",
    ]);
    const accepted = /--accept-hosts=(\S+)/.exec(proxy().args.join(" "))?.[1] ?? "";
    expect(UPSTREAM_HOST).toMatch(new RegExp(accepted));
    expect("localhost.evil.example").not.toMatch(new RegExp(accepted));
    expect(proxy().args).not.toContain("--disable-filter");
    expect(proxy()).not.toHaveProperty("ports");
  });

  it("starts before cloudflared, stops after it, and is not restarted while the API server is away", () => {
    expect(proxy()).toMatchObject({ restartPolicy: "Always" });
    expect(proxy()).toHaveProperty("startupProbe");
    expect(proxy()).not.toHaveProperty("livenessProbe");
  });
});

describe("cloudflared", () => {
  it("uses QUIC, never updates itself, and has its token in a file", () => {
    expect(cloudflared().args).toEqual([
      "tunnel",
      "--no-autoupdate",
      "--protocol=quic",
      "--metrics=[$(POD_IP)]:20241",
      "--grace-period=180s",
      "run",
      "--token-file=/etc/cloudflared/token",
    ]);
    expect(JSON.stringify(cloudflared())).not.toMatch(/secretKeyRef|TUNNEL_TOKEN/);
  });

  it("keeps sessions for its grace period, which the pod's exceeds", () => {
    const grace = Number(/--grace-period=(\d+)s/.exec(cloudflared().args.join(" "))?.[1]);
    expect(grace).toBeLessThanOrEqual(180);
    expect(pod()["terminationGracePeriodSeconds"]).toBeGreaterThan(grace);
  });

  it("has probes that ask whether it is connected", () => {
    for (const probe of ["readinessProbe", "livenessProbe"]) {
      expect(cloudflared()[probe]).toMatchObject({ httpGet: { path: "/ready", port: 20_241 } });
    }
  });
});

/**
 * What ipBlocks of these rules allow, as
 * https://kubernetes.io/docs/concepts/services-networking/network-policies/ says.
 */
function reach(egress: readonly { to: readonly unknown[]; ports: readonly { port: number; protocol: string }[] }[]) {
  return (address: string, protocol: string, port: number): boolean =>
    egress.some(
      ({ to, ports }) =>
        ports.some((one) => one.port === port && one.protocol === protocol) &&
        to.some((peer) => {
          const cidr = (peer as { ipBlock?: { cidr: string } }).ipBlock?.cidr;
          if (cidr === undefined) return false;
          const [network = "", bits = ""] = cidr.split("/");
          const family = (ip: string) => (ip.includes(":") ? "ipv6" : "ipv4");
          const list = new BlockList();
          list.addSubnet(network, Number(bits), family(network));
          return list.check(address, family(address));
        }),
    );
}

describe("the network policy", () => {
  const policy = (change?: Partial<ClusterInput>) =>
    ofKind("NetworkPolicy", change) as unknown as {
      spec: {
        policyTypes: string[];
        ingress?: unknown[];
        egress: { to: unknown[]; ports: { port: number; protocol: string }[] }[];
      };
    };

  it("admits no ingress", () => {
    expect(policy().spec.policyTypes).toEqual(["Ingress", "Egress"]);
    expect(policy().spec).not.toHaveProperty("ingress");
  });

  it("admits one namespace to metrics, where the deployment file names one, and nothing else", () => {
    expect(policy({ connector: { metricsFrom: "monitoring" } }).spec.ingress).toEqual([
      {
        from: [{ namespaceSelector: { matchLabels: { "kubernetes.io/metadata.name": "monitoring" } } }],
        ports: [{ protocol: "TCP", port: 20_241 }],
      },
    ]);
  });

  it("allows egress to DNS, the API server and Cloudflare, each by address and port", () => {
    const { egress } = policy({ apiServer: { cidrs: ["10.0.0.1/32", "fd00::1/128"], port: 6_443 } }).spec;
    expect(egress.map(({ ports }) => ports.map(({ port }) => port))).toEqual([[53, 53], [6_443], [7_844, 7_844]]);
    expect(egress[1]?.to).toEqual([{ ipBlock: { cidr: "10.0.0.1/32" } }, { ipBlock: { cidr: "fd00::1/128" } }]);
    // An empty or missing `to` would allow every destination.
    for (const { to, ports } of egress) expect([to.length > 0, ports.length > 0]).toEqual([true, true]);
    expect(JSON.stringify(egress)).not.toMatch(/0\.0\.0\.0\/0|::\/0/);
  });

  /**
   * A cluster as pods see it: where the Service is, where it leads, and who answers DNS outside of
   * kube-system.
   */
  const SHAPES = [
    ["eks", { endpoint: "192.168.119.7", port: 443, service: "10.100.0.1", dns: "169.254.20.10" }],
    ["eks", { endpoint: "192.168.171.240", port: 443, service: "172.20.0.1", dns: "169.254.20.10" }],
    ["gke", { endpoint: "172.16.0.2", port: 443, service: "34.118.224.1", dns: "169.254.169.254" }],
    ["aks", { endpoint: "20.61.7.9", port: 443, service: "10.0.0.1", dns: "169.254.10.11" }],
    ["kind", { endpoint: "172.18.0.2", port: 6_443, service: "10.96.0.1", dns: "169.254.20.10" }],
  ] as const;

  it.each(SHAPES)(
    "on %s lets the sidecar reach the API server, before and after translation, and DNS",
    (platform, at) => {
      const allows = reach(
        policy({ apiServer: { cidrs: [`${at.endpoint}/32`], port: at.port, platform } }).spec.egress,
      );
      expect(allows(at.endpoint, "TCP", at.port)).toBe(true);
      expect(allows(at.service, "TCP", 443)).toBe(true);
      expect(allows(at.dns, "UDP", 53)).toBe(true);
      // Not the Service's neighbours, the metadata server, or another port.
      expect(allows(at.service.replace(/\d+$/, "2"), "TCP", 443)).toBe(false);
      expect(allows("169.254.169.254", "TCP", 80)).toBe(false);
      expect(allows(at.endpoint, "TCP", 10_250)).toBe(false);
      expect(allows(at.service, "TCP", 10_250)).toBe(false);
    },
  );

  it("takes the Service's addresses as they are given, of both families, and no others", () => {
    const serviceIps = ["10.43.0.1", "fd00::1"];
    const allows = reach(policy({ apiServer: { cidrs: ["10.0.0.1/32"], platform: "eks", serviceIps } }).spec.egress);
    expect(allows("10.43.0.1", "TCP", 443)).toBe(true);
    expect(allows("fd00::1", "TCP", 443)).toBe(true);
    expect(allows("10.100.0.1", "TCP", 443)).toBe(false);
  });

  it("can be turned off", () => {
    expect(ofKind("NetworkPolicy", { connector: { networkPolicy: false } })).toBeUndefined();
  });
});
