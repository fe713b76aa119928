/** A local stack that can be killed, in part or as a whole, and restarts at the same addresses. */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { endSession } from "../../../dev/cluster/pods/process-group.ts";
import type { ConfigOverrides } from "../../../dev/stack/index.ts";
import { findWorkerd, objectsMark } from "../../../dev/stack/processes.ts";
import type { StackFacts, StackRequest } from "./stack-program.ts";

const PROGRAM = resolve(import.meta.dirname, "stack-program.ts");
const READY_MS = 45_000;
const STOP_MS = 20_000;
/** Number of consecutive ports that a stack takes: personas, issuer, TLS. */
const PORTS = 9;

export class SoakStack {
  readonly #request: StackRequest;
  readonly home: string;
  #child: ChildProcess;
  #facts: StackFacts;

  private constructor(home: string, request: StackRequest, child: ChildProcess, facts: StackFacts) {
    this.home = home;
    this.#request = request;
    this.#child = child;
    this.#facts = facts;
  }

  static async start(
    config: ConfigOverrides,
    options: Pick<StackRequest, "wranglerConfig" | "inspector" | "transport" | "upstream" | "objectsApart"> = {},
  ): Promise<SoakStack> {
    const home = mkdtempSync(join(tmpdir(), "sallyport-soak-"));
    const request = { stateDir: join(home, "state"), port: await freePorts(), config, ...options };
    const { child, facts } = await spawnStack(request);
    const stack = new SoakStack(home, request, child, facts);
    for (const signal of ["SIGINT", "SIGTERM"] as const) {
      process.once(signal, () => void stack.stop(false).finally(() => process.exit(2)));
    }
    return stack;
  }

  /** The stack's addresses. The edge's own socket changes when the whole stack restarts. */
  get facts(): StackFacts {
    return this.#facts;
  }

  workerdPid(): number {
    const [pid] = findWorkerd(this.#facts.stateDir);
    if (pid === undefined) throw new Error("workerd is not running");
    return pid;
  }

  /**
   * Waits until workerd answers, through the fake and directly.
   *
   * @param part of two that run apart
   * @returns its pid
   */
  async ready(notPid?: number, part: "edge" | "objects" = "edge"): Promise<number> {
    const { stateDir } = this.#facts;
    const deadline = Date.now() + READY_MS;
    for (;;) {
      const [pid] = findWorkerd(part === "edge" ? stateDir : objectsMark(stateDir));
      if (pid !== undefined && pid !== notPid && (await this.#answers(part))) return pid;
      if (Date.now() > deadline) throw new Error(`workerd did not restart within ${READY_MS / 1000} s`);
      await delay(20);
    }
  }

  /** Waits until another workerd than `notPid` exists, whether or not it answers. */
  async respawned(notPid: number): Promise<number> {
    const deadline = Date.now() + READY_MS;
    for (;;) {
      const pid = findWorkerd(this.#facts.stateDir).find((each) => each !== notPid);
      if (pid !== undefined) return pid;
      if (Date.now() > deadline) throw new Error("workerd was not restarted");
      await delay(5);
    }
  }

  /** Sends SIGKILL to Node, to workerd and to what runs in the cluster's pods, without cleanup. */
  async killAll(): Promise<void> {
    const started = startedBy(this.#child);
    const exited = once(this.#child, "exit");
    killGroup(this.#child);
    await exited;
    for (const pid of findWorkerd(this.#facts.stateDir)) process.kill(pid, "SIGKILL");
    for (const pid of started) endSession(pid);
  }

  /** Starts again after `killAll`, with the same state directory and ports. */
  async startAgain(): Promise<void> {
    const { child, facts } = await spawnStack(this.#request);
    this.#child = child;
    this.#facts = facts;
  }

  async stop(keepState: boolean): Promise<void> {
    if (this.#child.exitCode === null && this.#child.signalCode === null) {
      const exited = once(this.#child, "exit");
      this.#child.kill("SIGTERM");
      const force = setTimeout(() => killGroup(this.#child), STOP_MS);
      await exited;
      clearTimeout(force);
    }
    if (!keepState) rmSync(this.home, { recursive: true, force: true });
  }

  /** Of all routes, the edge alone answers the first, and asks the person's object for the second. */
  async #answers(part: "edge" | "objects"): Promise<boolean> {
    const { personas, workerUrl } = this.#facts;
    const edge = [`${personas.alice.url}/-/healthz`, `${workerUrl}/-/healthz`];
    const answers = (part === "edge" ? edge : [`${personas.alice.url}/-/sessions`]).map(async (url) => {
      const response = await fetch(url, { signal: AbortSignal.timeout(2_000) });
      await response.arrayBuffer();
      return response.ok;
    });
    return (await Promise.all(answers).catch(() => [false])).every(Boolean);
  }
}

async function spawnStack(request: StackRequest): Promise<{ child: ChildProcess; facts: StackFacts }> {
  const child = spawn(process.execPath, [PROGRAM, JSON.stringify(request)], {
    stdio: ["ignore", "ignore", "pipe", "ipc"],
    detached: true,
  });
  let said = "";
  child.stderr?.setEncoding("utf8").on("data", (text: string) => {
    said = (said + text).slice(-4_096);
  });
  const facts = await new Promise<StackFacts>((ready, failed) => {
    child.once("message", (message) => ready(message as StackFacts));
    child.once("exit", (code, signal) => failed(new Error(`the stack ended with ${code ?? signal}: ${said}`)));
    child.once("error", failed);
  });
  return { child, facts };
}

/** The processes that it has started. With it they lose the only one who would end them. */
function startedBy({ pid }: ChildProcess): number[] {
  const threads = readdirSync(`/proc/${pid}/task`);
  const children = threads.map((thread) => readFileSync(`/proc/${pid}/task/${thread}/children`, "utf8"));
  return children.join(" ").split(/\s+/).filter(Boolean).map(Number);
}

function killGroup({ pid }: ChildProcess): void {
  if (pid === undefined) return;
  try {
    process.kill(-pid, "SIGKILL");
  } catch {
    // It has already ended.
  }
}

/** @returns the first of several consecutive free ports, below the ephemeral range */
async function freePorts(): Promise<number> {
  for (let tries = 0; tries < 100; tries++) {
    const base = 15_000 + Math.floor(Math.random() * 15_000);
    const free = await Promise.all(Array.from({ length: PORTS }, (_, index) => isFree(base + index)));
    if (free.every(Boolean)) return base;
  }
  throw new Error("no consecutive free ports");
}

function isFree(port: number): Promise<boolean> {
  return new Promise((done) => {
    const server = createServer();
    server.once("error", () => done(false));
    server.listen({ port, host: "127.0.0.1", exclusive: true }, () => server.close(() => done(true)));
  });
}
