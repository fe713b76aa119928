/** The connector's pods: all there, kept through node drains, and configured as generated. */
import * as z from "zod";
import type { PlannedCluster } from "../../../deployment/plan.ts";
import { type Check, failure, passed, warning } from "../../check.ts";
import { type ClusterView, commandLineOf, containersOf } from "./cluster-view.ts";

const APPLY = "apply the cluster's stack";

/**
 * All replicas are ready, run the newest template, and use the service account that the permission checks
 * look at.
 */
export function connectorCheck({ name, connector }: PlannedCluster, view: ClusterView): Check {
  return {
    id: `connector:${name}`,
    run: async () => {
      const deployment = await view.connector();
      if (!deployment.ok) return deployment.error;
      const { metadata, spec, status } = deployment.value;
      const inNamespace = `kubectl -n ${connector.namespace}`;
      if (status.readyReplicas < connector.replicas) {
        return failure(
          `${status.readyReplicas} of ${connector.replicas} replicas are ready`,
          `${inNamespace} describe deployment ${connector.deployment}`,
        );
      }
      const account = spec.template.spec.serviceAccountName ?? "default";
      if (account !== connector.serviceAccount) {
        return failure(`it runs as the service account ${account}, not ${connector.serviceAccount}`, APPLY);
      }
      if (status.observedGeneration < metadata.generation || status.updatedReplicas < spec.replicas) {
        return warning("a rollout is in progress", `${inNamespace} rollout status deployment ${connector.deployment}`);
      }
      return passed(`${status.readyReplicas} replicas are ready`);
    },
  };
}

const budgets = z.object({
  items: z.array(
    z.object({
      spec: z.object({
        minAvailable: z.union([z.number(), z.string()]).optional(),
        maxUnavailable: z.union([z.number(), z.string()]).optional(),
        selector: z.object({ matchLabels: z.record(z.string(), z.string()).default({}) }).prefault({}),
      }),
    }),
  ),
});
type Budget = z.output<typeof budgets>["items"][number];

/** A PodDisruptionBudget keeps some connectors running while nodes are drained. */
export function disruptionBudgetCheck({ name, connector }: PlannedCluster, view: ClusterView): Check {
  return {
    id: `disruption-budget:${name}`,
    run: async () => {
      const deployment = await view.connector();
      if (!deployment.ok) return deployment.error;
      const list = await view.get(budgets, "poddisruptionbudget", "-n", connector.namespace);
      if (!list.ok) return list.error;
      const { labels } = deployment.value.spec.template.metadata;
      return list.value.items.some((budget) => coversPods(budget, labels))
        ? passed("a PodDisruptionBudget keeps connectors running while nodes are drained")
        : failure("no PodDisruptionBudget covers the connectors", `${APPLY}, which has one`);
    },
  };
}

function coversPods({ spec }: Budget, labels: Readonly<Record<string, string>>): boolean {
  const selected = Object.entries(spec.selector.matchLabels);
  const isLimiting = (spec.minAvailable ?? spec.maxUnavailable) !== undefined;
  return isLimiting && selected.length > 0 && selected.every(([key, value]) => labels[key] === value);
}

/** Every image is pinned, so that tomorrow's pods run what today's run. */
export function imagesCheck({ name }: PlannedCluster, view: ClusterView): Check {
  return {
    id: `images:${name}`,
    run: async () => {
      const deployment = await view.connector();
      if (!deployment.ok) return deployment.error;
      const images = containersOf(deployment.value).map(({ image }) => image);
      const loose = images.filter((image) => !isPinned(image));
      return loose.length === 0
        ? passed(`pinned: ${images.join(", ")}`)
        : failure(`not pinned to a version: ${loose.join(", ")}`, `${APPLY}, which names versions`);
    },
  };
}

function isPinned(image: string): boolean {
  if (image.includes("@sha256:")) return true;
  const tag = /:([^:/]+)$/.exec(image)?.[1];
  return tag !== undefined && tag !== "latest" && /\d/.test(tag);
}

/**
 * cloudflared uses QUIC and nothing else. WebSockets pass Workers VPC over QUIC only, and "auto" falls back
 * to HTTP/2 where UDP is blocked: requests work then, and sessions fail.
 */
export function quicCheck({ name }: PlannedCluster, view: ClusterView): Check {
  return {
    id: `quic:${name}`,
    run: async () => {
      const deployment = await view.connector();
      if (!deployment.ok) return deployment.error;
      const cloudflared = containersOf(deployment.value).find(({ image }) => /cloudflared/.test(image));
      if (!cloudflared) return failure("no container of the connector runs cloudflared", APPLY);
      const protocol =
        /--protocol[= ](\S+)/.exec(commandLineOf(cloudflared))?.[1] ??
        cloudflared.env.find((variable) => variable.name === "TUNNEL_TRANSPORT_PROTOCOL")?.value ??
        "auto";
      return protocol === "quic"
        ? passed("the connectors use QUIC only")
        : failure(`the connectors use the protocol ${protocol}`, `set --protocol quic: ${APPLY}`);
    },
  };
}

const LOOPBACK = /^(127\.\d+\.\d+\.\d+|localhost|::1)$/;
/** From this level on kubectl logs URLs, from 8 on bodies. */
const LOGGING_VERBOSITY = 6;

/**
 * The sidecar listens on loopback only (it would give anybody else the account's permissions) and logs no
 * requests.
 */
export function sidecarCheck({ name }: PlannedCluster, view: ClusterView): Check {
  return {
    id: `sidecar:${name}`,
    run: async () => {
      const deployment = await view.connector();
      if (!deployment.ok) return deployment.error;
      const lines = containersOf(deployment.value)
        .filter(({ command, args }) => [...command, ...args].includes("proxy"))
        .map(commandLineOf);
      if (lines.length === 0) return passed("no container runs kubectl proxy");
      // Every occurrence of a flag counts, whichever of them wins.
      const addresses = lines.flatMap((line) => valuesOf(line, /--address[= ](\S+)/g));
      const open = addresses.filter((address) => !LOOPBACK.test(address));
      if (open.length > 0) {
        return failure(`the sidecar listens on ${open.join(", ")}`, `bind it to 127.0.0.1: ${APPLY}`);
      }
      const levels = lines.flatMap((line) => valuesOf(line, /(?:^|\s)--?v[= ]?(\d+)/g)).map(Number);
      if (Math.max(0, ...levels) >= LOGGING_VERBOSITY) {
        return failure("the sidecar logs requests, bodies included", "remove its -v flag");
      }
      return passed("the sidecar listens on loopback only and logs no requests");
    },
  };
}

const valuesOf = (line: string, flag: RegExp) => [...line.matchAll(flag)].map(([, value = ""]) => value);
