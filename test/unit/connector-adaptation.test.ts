/** test/e2e/support/connector.ts for versions of Kubernetes that the end-to-end tests may not find. */
import { expect, it } from "vitest";
import { connectorManifests } from "../../terraform/manifests/connector.ts";
import type { Deployment } from "../../terraform/manifests/types.ts";
import { adaptToVersion, podOf, proxyContainer, runOnNode } from "../e2e/support/connector.ts";
import { clusterInput, deploymentOf } from "../support/deployment.ts";

const deployment = deploymentOf({ clusters: [clusterInput("real")] });
const [cluster] = deployment.clusters;
if (!cluster) throw new Error("there is no cluster");
const generated = connectorManifests(deployment, cluster);
const node = { apiServer: new URL("https://127.0.0.1:6443"), image: "busybox:1", kubectl: "/kubectl", port: 9999 };

function workloadFor(minor: number): Deployment {
  return adaptToVersion(minor, generated).find(({ kind }) => kind === "Deployment") as Deployment;
}

it("leaves the manifests as they are from Kubernetes 1.29 on", () => {
  expect(adaptToVersion(29, generated)).toEqual(generated);
  expect(adaptToVersion(36, generated)).toEqual(generated);
});

it("has an ordinary proxy container before 1.29, and another budget before 1.21", () => {
  const { initContainers, containers } = workloadFor(28).spec.template.spec;
  expect([initContainers.length, ...containers.map(({ name }) => name)]).toEqual([0, "proxy", "cloudflared"]);
  expect(proxyContainer(workloadFor(28))).not.toHaveProperty("restartPolicy");
  const versionOf = (minor: number) =>
    adaptToVersion(minor, generated).find(({ kind }) => kind === "PodDisruptionBudget")?.apiVersion;
  expect([versionOf(20), versionOf(21)]).toEqual(["policy/v1beta1", "policy/v1"]);
});

it.each([20, 28, 29, 36])("runs nothing but the node's own image and kubectl on 1.%d", (minor) => {
  const adapted = runOnNode(workloadFor(minor), node);
  const { initContainers, containers, hostNetwork } = adapted.spec.template.spec;
  expect(hostNetwork).toBe(true);
  expect(new Set([...initContainers, ...containers].map(({ image }) => image))).toEqual(new Set([node.image]));
  const proxy = proxyContainer(adapted);
  expect(proxy).toMatchObject({ command: ["/bin/kubectl"] });
  expect(proxy.args).toContain("--port=9999");
  expect(proxy["restartPolicy"]).toBe(minor < 29 ? undefined : "Always");
  // PodSecurity must see what the controller creates.
  expect(podOf(adapted)).toMatchObject({ kind: "Pod", spec: adapted.spec.template.spec });
});
