/** What every plain request pays: a small object, read again and again over one connection. */
import { Agent, get } from "node:http";
import { percentile } from "../statistics.ts";
import type { Variant } from "../variants.ts";
import type { Scenario } from "./scenario.ts";

const FIRST_REQUESTS = 20;
const REQUESTS = 300;

export const rest: Scenario = {
  name: "rest",
  metrics: [{ key: "p50", title: "GET of a pod, p50", unit: "ms" }],
  warmUp: true,
  appliesTo: () => true,
  async measure(variant, { namespace, pod, signal }) {
    const agent = new Agent({ keepAlive: true, maxSockets: 1 });
    const path = `/api/v1/namespaces/${namespace}/pods/${pod}`;
    const samples: number[] = [];
    try {
      for (let count = 0; count < FIRST_REQUESTS + REQUESTS; count++) {
        const start = performance.now();
        await request(variant, path, agent, signal);
        if (count >= FIRST_REQUESTS) samples.push(performance.now() - start);
      }
    } finally {
      agent.destroy();
    }
    return { p50: percentile(samples, 0.5) };
  },
};

function request({ name, url, headers }: Variant, path: string, agent: Agent, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    get(`${url}${path}`, { agent, headers, signal }, (response) => {
      if (response.statusCode !== 200) reject(new Error(`${name}: GET ${path} answered ${response.statusCode}`));
      response.resume().once("end", resolve).once("error", reject);
    }).once("error", reject);
  });
}
