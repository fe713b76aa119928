/**
 * What others notice while one user's client sends the worst messages that it can: another user who reads a
 * pod, an administrator who lists sessions and who ends that one.
 */
import { once } from "node:events";
import { Agent, type IncomingMessage, request } from "node:http";
import { text } from "node:stream/consumers";
import { Worker } from "node:worker_threads";
import type { Stack } from "../../dev/stack/stack.ts";
import { percentile } from "../../tools/statistics.ts";
import { startWorker, type Variant } from "../variants.ts";
import { ATTACKS, type AttackName } from "./attacks.ts";
import type { Metric, Scenario, Setting } from "./scenario.ts";

const CLIENT = new URL("hostile-client.ts", import.meta.url);
const FLOOD_MS = 3_000;

const METRICS: readonly Metric[] = [
  { key: "alone", title: "another user's GET without hostile messages, p50", unit: "ms" },
  ...ATTACKS.flatMap(({ name, title }): Metric[] => [
    { key: `${name}.other`, title: `another user's GET beside ${title}, p50`, unit: "ms" },
    { key: `${name}.own`, title: `another user's list of their own sessions beside ${title}, p50`, unit: "ms" },
    { key: `${name}.list`, title: `a list of sessions beside ${title}, the slowest`, unit: "ms" },
    { key: `${name}.kill`, title: `ending the session of ${title}`, unit: "ms" },
  ]),
];

/** Each sample has a Worker of its own, for the sessions that it ends. */
export const hostileMessages: Scenario = {
  name: "hostile-messages",
  metrics: METRICS,
  warmUp: false,
  appliesTo: ({ worker }) => worker !== undefined,
  async measure({ name, worker }, setting) {
    if (!worker) throw new Error(`${name} is no Worker`);
    const { stack, variant } = await startWorker(worker, setting.upstream, setting.home, setting.signal);
    const agent = new Agent({ keepAlive: true });
    try {
      const path = `/api/v1/namespaces/${setting.namespace}/pods/${setting.pod}`;
      const getPod = () => send(agent, `${stack.personas.bob.url}${path}`);
      await getPod();
      const samples: Record<string, number> = { alone: percentile(await repeat(getPod, FLOOD_MS), 0.5) };
      for (const attack of ATTACKS) {
        const client = await HostileClient.start(attack.name, variant, setting);
        // The untouched Worker knows no sessions.
        const admin = worker.wranglerConfig === undefined ? new Admin(stack, agent) : undefined;
        // Asks no cluster, which may be busier with the messages than the Worker is.
        const getOwn = () => send(agent, `${stack.personas.bob.url}/-/sessions`);
        const noticed = await observe(client, admin, getPod, getOwn).finally(() => client.stop());
        for (const [key, value] of Object.entries(noticed)) samples[`${attack.name}.${key}`] = value;
      }
      return samples;
    } finally {
      agent.destroy();
      await stack.stop();
    }
  },
};

/** Watches what others notice of a flood, and then has its session ended. Times in ms. */
async function observe(
  client: HostileClient,
  admin: Admin | undefined,
  getPod: () => Promise<Answered>,
  getOwn: () => Promise<Answered>,
): Promise<{ other: number; own?: number; list?: number; kill?: number }> {
  const [others, owns, lists] = await Promise.all([
    repeat(getPod, FLOOD_MS),
    admin ? repeat(getOwn, FLOOD_MS) : [],
    admin ? repeat(() => admin.list(), FLOOD_MS) : [],
  ]);
  const other = percentile(others, 0.5);
  if (!admin) return { other };
  const own = percentile(owns, 0.5);
  const list = Math.max(...lists);
  const [session] = (JSON.parse((await admin.list()).body) as { items: readonly { id: string }[] }).items;
  // None: the messages are of a kind that ends the session, and the client is just coming back.
  if (!session) return { other, own, list };
  const start = performance.now();
  const ended = client.whenEnded();
  await admin.end(session.id);
  await ended;
  return { other, own, list, kill: performance.now() - start };
}

/** An administrator who looks after the hostile client's user. */
class Admin {
  readonly #agent: Agent;
  readonly #sessions: string;
  readonly #user: string;

  constructor({ personas }: Stack, agent: Agent) {
    this.#agent = agent;
    this.#sessions = `${personas.admin.url}/-/admin/sessions`;
    this.#user = encodeURIComponent(personas.alice.email);
  }

  list(): Promise<Answered> {
    return send(this.#agent, `${this.#sessions}?state=live&user=${this.#user}`);
  }

  end(sessionId: string): Promise<Answered> {
    return send(this.#agent, `${this.#sessions}/${sessionId}?reason=bench`, "DELETE", [200, 404]);
  }
}

/** A client in a thread of its own, so that its work does not delay what is measured here. */
class HostileClient {
  readonly #thread: Worker;

  private constructor(thread: Worker) {
    this.#thread = thread;
  }

  /** Resolves once its first session is open. It comes back whenever its session ends. */
  static async start(attack: AttackName, { url }: Variant, { namespace, pod }: Setting): Promise<HostileClient> {
    const thread = new Worker(CLIENT, { workerData: { attack, url, namespace, pod } });
    await once(thread, "message");
    return new HostileClient(thread);
  }

  /** Resolves when its session ends. */
  async whenEnded(): Promise<void> {
    await once(this.#thread, "message");
  }

  async stop(): Promise<void> {
    await this.#thread.terminate();
  }
}

/** @returns how long each took, ms */
async function repeat(work: () => Promise<Answered>, forMs: number): Promise<number[]> {
  const samples: number[] = [];
  for (const end = performance.now() + forMs; performance.now() < end; ) samples.push((await work()).ms);
  return samples;
}

interface Answered {
  readonly ms: number;
  readonly body: string;
}

async function send(
  agent: Agent,
  url: string,
  method: "GET" | "DELETE" = "GET",
  expected: readonly number[] = [200],
): Promise<Answered> {
  const start = performance.now();
  const sent = request(url, { agent, method });
  sent.end();
  const [response] = (await once(sent, "response")) as [IncomingMessage];
  const body = await text(response);
  const { statusCode = 0 } = response;
  if (!expected.includes(statusCode)) throw new Error(`${method} ${url} was answered ${statusCode}: ${body}`);
  return { ms: performance.now() - start, body };
}
