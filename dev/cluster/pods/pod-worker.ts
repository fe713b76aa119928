import { setTimeout as sleep } from "node:timers/promises";
import { type Container, type ContainerState, type Pod, timestamp } from "../api/objects.ts";
import { resourceNamed } from "../api/resources.ts";
import type { Store } from "../api/storage.ts";
import { ContainerRun } from "./container-run.ts";
import { type DemoServers, SERVER_ANNOTATION, startDemoServers } from "./demo-servers.ts";
import { PodFolder } from "./environment.ts";
import type { EventRecorder } from "./events.ts";
import { type ContainerRecord, newRecord, podStatus } from "./pod-status.ts";
import { CommandError, type ProcessRunner } from "./runner.ts";

// The kubelet's back-off: 10 s, doubled at each restart, at most 5 min, reset after 10 min of running.
const BACKOFF_START_MS = 10_000;
const BACKOFF_MAX_MS = 300_000;
const BACKOFF_FORGET_MS = 600_000;
const START_ERROR_CODE = 128;

export interface WorkerContext {
  readonly store: Store;
  readonly runner: ProcessRunner;
  readonly record: EventRecorder;
  readonly stateDir: string;
  readonly nodeName: string;
}

interface Runs {
  current: ContainerRun | undefined;
  previous: ContainerRun | undefined;
}

/**
 * Runs one pod: starts its containers, restarts them according to its policy, reports its status, and ends
 * it.
 */
export class PodWorker {
  readonly folder: PodFolder;
  readonly #context: WorkerContext;
  readonly #pod: Pod;
  readonly #records: ContainerRecord[];
  readonly #ephemeral: ContainerRecord[] = [];
  readonly #runs = new Map<string, Runs>();
  readonly #stopping = new AbortController();
  readonly #started = new Date();
  #servers: DemoServers | undefined;

  constructor(context: WorkerContext, pod: Pod) {
    this.#context = context;
    this.#pod = pod;
    this.folder = new PodFolder(context.stateDir, pod);
    this.#records = pod.spec.containers.map(newRecord);
  }

  /** Starts the pod. Its status shows what happens from then on. */
  start(): void {
    const { metadata } = this.#pod;
    this.folder.create(this.#pod);
    this.#record(
      "Normal",
      "Scheduled",
      `Successfully assigned ${metadata.namespace}/${metadata.name} to ${this.#context.nodeName}`,
    );
    for (const container of this.#pod.spec.containers) {
      this.#supervise(container).catch((error: unknown) =>
        this.#record("Warning", "Failed", `Error: ${String(error)}`),
      );
    }
  }

  /** Starts the ephemeral containers that were added: each once, whatever the restart policy is. */
  startEphemeral(pod: Pod): void {
    for (const container of pod.spec.ephemeralContainers ?? []) {
      if (this.#isOver || this.#ephemeral.some(({ name }) => name === container.name)) continue;
      const record = newRecord(container);
      this.#ephemeral.push(record);
      this.#runEphemeral(container, record).catch((error: unknown) =>
        this.#record("Warning", "Failed", `Error: ${String(error)}`),
      );
    }
  }

  /** @returns the latest run of a container, which may have ended */
  run(container: string): ContainerRun | undefined {
    return this.#runs.get(container)?.current;
  }

  /** @returns the run before the latest */
  previousRun(container: string): ContainerRun | undefined {
    return this.#runs.get(container)?.previous;
  }

  /**
   * @returns this machine's port for a port of the pod. Only declared ports are reachable: a pod's processes
   *   share the machine's loopback, and forwarding must not open every other port on it
   */
  hostPort(port: number): number | undefined {
    const inProcess = this.#servers?.hostPorts.get(port);
    if (inProcess !== undefined || this.#servers !== undefined) return inProcess;
    const declared = this.#pod.spec.containers.flatMap(({ ports = [] }) =>
      ports.map(({ containerPort }) => containerPort),
    );
    return declared.includes(port) ? port : undefined;
  }

  /** Ends all containers within the grace period and removes the pod's folder. */
  async stop(graceMs: number): Promise<void> {
    this.#stopping.abort();
    this.#servers?.close();
    await Promise.all([...this.#runs.keys()].map((name) => this.#stopRun(name, graceMs)));
    this.folder.remove();
  }

  async #stopRun(container: string, graceMs: number): Promise<void> {
    const run = this.run(container);
    if (run === undefined || run.log.finished) return;
    this.#record("Normal", "Killing", `Stopping container ${container}`);
    await run.stop(graceMs);
  }

  async #supervise(container: Container): Promise<void> {
    const record = this.#records.find(({ name }) => name === container.name);
    if (record === undefined) return;
    for (let failures = 0; !this.#stopping.signal.aborted; ) {
      const startedAt = new Date();
      record.state = { terminated: await this.#runOnce(container, record) };
      const code = record.state.terminated?.exitCode ?? 0;
      record.pending = !this.#stopping.signal.aborted && this.#restarts(code);
      if (!record.pending) break;
      failures = Date.now() - startedAt.getTime() > BACKOFF_FORGET_MS ? 0 : failures + 1;
      record.lastState = record.state;
      await this.#backOff(container, record, failures);
      record.restartCount++;
    }
    this.#publish();
    if (this.#isComplete && !this.#stopping.signal.aborted) await this.#stopEphemeral();
  }

  async #runEphemeral(container: Container, record: ContainerRecord): Promise<void> {
    record.state = { terminated: await this.#runOnce(container, record) };
    record.pending = false;
    this.#publish();
  }

  // Ephemeral containers keep no pod alive.
  async #stopEphemeral(): Promise<void> {
    const graceMs = this.#pod.spec.terminationGracePeriodSeconds * 1000;
    await Promise.all(this.#ephemeral.map(({ name }) => this.#stopRun(name, graceMs)));
  }

  /** Whether all of the pod's own containers have ended for good. */
  get #isComplete(): boolean {
    return this.#records.every(({ pending }) => !pending);
  }

  /** Whether nothing will run any more. */
  get #isOver(): boolean {
    return this.#stopping.signal.aborted || this.#isComplete;
  }

  #restarts(code: number): boolean {
    const { restartPolicy } = this.#pod.spec;
    return restartPolicy === "Always" || (restartPolicy === "OnFailure" && code !== 0);
  }

  // The first restart has no delay.
  async #backOff(container: Container, record: ContainerRecord, failures: number): Promise<void> {
    if (failures <= 1) return;
    const delayMs = Math.min(BACKOFF_MAX_MS, BACKOFF_START_MS * 2 ** (failures - 2));
    const message = `back-off ${delayMs / 1000}s restarting failed container=${container.name} pod=${this.#pod.metadata.name}`;
    record.state = { waiting: { reason: "CrashLoopBackOff", message } };
    this.#publish();
    this.#record("Warning", "BackOff", `Back-off restarting failed container ${container.name}`);
    await sleep(delayMs, undefined, { signal: this.#stopping.signal }).catch(() => undefined);
  }

  async #runOnce(container: Container, record: ContainerRecord): Promise<ContainerState["terminated"] & object> {
    const startedAt = timestamp();
    const over = (exitCode: number, reason: string, message?: string) => ({
      ...{ exitCode, reason, startedAt, finishedAt: timestamp() },
      ...(message === undefined ? {} : { message }),
    });
    try {
      const run = await ContainerRun.start(this.#pod, container, this.folder, this.#context.runner);
      this.#runs.set(container.name, { current: run, previous: this.#runs.get(container.name)?.current });
      await this.#startServers(run);
      record.state = { running: { startedAt } };
      this.#publish();
      this.#record(
        "Normal",
        "Started",
        `Started container ${container.name} as a process of this machine, without isolation`,
      );
      if (this.#isOver) await run.stop(0);
      const code = await run.exited;
      return over(code, code === 0 ? "Completed" : "Error");
    } catch (error) {
      if (!(error instanceof CommandError)) throw error;
      const message = `failed to create containerd task: failed to create shim task: OCI runtime create failed: ${error.message}`;
      this.#record("Warning", "Failed", `Error: ${message}`);
      return over(START_ERROR_CODE, "StartError", message);
    }
  }

  async #startServers(run: ContainerRun): Promise<void> {
    const kind = this.#pod.metadata.annotations?.[SERVER_ANNOTATION];
    if (kind === undefined || this.#servers !== undefined) return;
    this.#servers = await startDemoServers(kind, run.container.image, (line) => run.note(line));
    if (this.#stopping.signal.aborted) this.#servers.close();
  }

  #record(type: "Normal" | "Warning", reason: string, message: string): void {
    this.#context.record(this.#pod, type, reason, message, reason === "Scheduled" ? "default-scheduler" : "kubelet");
  }

  #publish(): void {
    const { store, nodeName } = this.#context;
    const { namespace = "", name, uid } = this.#pod.metadata;
    const current = store.find(resourceNamed("pods"), namespace, name) as Pod | undefined;
    if (current === undefined || current.metadata.uid !== uid) return;
    const status = podStatus(current, this.#records, this.#ephemeral, this.#started);
    store.update(resourceNamed("pods"), { ...current, spec: { ...current.spec, nodeName }, status } as Pod);
  }
}
