/**
 * The latency of API requests, one after the other over one connection: read a small object, and change one.
 */
import { Agent, request } from "node:http";
import { percentile } from "../../tools/statistics.ts";
import type { Variant } from "../variants.ts";
import type { Scenario } from "./scenario.ts";

const FIRST_REQUESTS = 20;
const REQUESTS = 300;

/** Reads are not in the audit log. */
export const rest: Scenario = {
  name: "rest",
  metrics: [{ key: "p50", title: "GET of a pod, p50", unit: "ms" }],
  warmUp: true,
  appliesTo: () => true,
  async measure(variant, { namespace, pod, signal }) {
    const path = `/api/v1/namespaces/${namespace}/pods/${pod}`;
    return { p50: await medianOf((agent) => send(variant, { method: "GET", path, expected: [200] }, agent, signal)) };
  },
};

/** A change has its event on the disk of its user's object before its answer, and a second one after it. */
export const restChange: Scenario = {
  name: "rest-change",
  metrics: [{ key: "p50", title: "PATCH of a ConfigMap, p50", unit: "ms" }],
  warmUp: true,
  appliesTo: () => true,
  async measure(variant, { namespace, signal }) {
    const name = `bench-${variant.name}`;
    const all = `/api/v1/namespaces/${namespace}/configmaps`;
    const path = `${all}/${name}`;
    let count = 0;
    const p50 = await medianOf(async (agent) => {
      if (count === 0) {
        const body = { apiVersion: "v1", kind: "ConfigMap", metadata: { name } };
        await send(variant, { method: "POST", path: all, body, expected: [201, 409] }, agent, signal);
      }
      const body = { metadata: { labels: { count: String(count++) } } };
      await send(variant, { method: "PATCH", path, body, expected: [200] }, agent, signal);
    });
    const agent = new Agent();
    await send(variant, { method: "DELETE", path, expected: [200] }, agent, signal).finally(() => agent.destroy());
    return { p50 };
  },
};

async function medianOf(work: (agent: Agent) => Promise<void>): Promise<number> {
  const agent = new Agent({ keepAlive: true, maxSockets: 1 });
  const samples: number[] = [];
  try {
    for (let count = 0; count < FIRST_REQUESTS + REQUESTS; count++) {
      const start = performance.now();
      await work(agent);
      if (count >= FIRST_REQUESTS) samples.push(performance.now() - start);
    }
  } finally {
    agent.destroy();
  }
  return percentile(samples, 0.5);
}

interface Sent {
  readonly method: string;
  readonly path: string;
  readonly body?: object;
  readonly expected: readonly number[];
}

function send(
  { name, url, headers }: Variant,
  { method, path, body, expected }: Sent,
  agent: Agent,
  signal: AbortSignal,
): Promise<void> {
  const type = method === "PATCH" ? "application/merge-patch+json" : "application/json";
  return new Promise((resolve, reject) => {
    const options = { method, agent, signal, headers: { ...headers, ...(body && { "Content-Type": type }) } };
    request(`${url}${path}`, options, (response) => {
      const { statusCode = 0 } = response;
      if (!expected.includes(statusCode)) reject(new Error(`${name}: ${method} ${path} answered ${statusCode}`));
      response.resume().once("end", resolve).once("error", reject);
    })
      .once("error", reject)
      .end(body && JSON.stringify(body));
  });
}
