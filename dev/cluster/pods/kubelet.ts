import { rmSync } from "node:fs";
import { join } from "node:path";
import type { Pod } from "../api/objects.ts";
import { timestamp } from "../api/objects.ts";
import { resourceNamed } from "../api/resources.ts";
import type { Store, StoreEvent } from "../api/storage.ts";
import { PodWorker, type WorkerContext } from "./pod-worker.ts";

/** Runs every pod in the store, and ends those that are deleted from it. */
export class Kubelet {
  readonly #context: WorkerContext;
  readonly #workers = new Map<string, PodWorker>();
  #unsubscribe: (() => void) | undefined;

  constructor(context: WorkerContext) {
    this.#context = context;
  }

  start(): void {
    // No pod outlives the process, so these belong to an earlier one.
    rmSync(join(this.#context.stateDir, "pods"), { recursive: true, force: true });
    this.#unsubscribe = this.#context.store.subscribe((event) => this.#follow(event));
  }

  /** @returns the worker of a pod; undefined before it runs and after it has ended */
  worker(pod: Pod): PodWorker | undefined {
    return this.#workers.get(pod.metadata.uid);
  }

  /** Forgets the pods. The runner ends their processes. */
  async close(): Promise<void> {
    this.#unsubscribe?.();
    await Promise.all([...this.#workers.values()].map((worker) => worker.stop(1_000)));
  }

  #follow({ type, info, object, previous }: StoreEvent): void {
    if (info.resource !== "pods") return;
    const pod = object as Pod;
    const { uid, deletionTimestamp, deletionGracePeriodSeconds = 0 } = pod.metadata;
    if (type === "ADDED") {
      const worker = new PodWorker(this.#context, pod);
      this.#workers.set(uid, worker);
      worker.start();
    } else if (type === "DELETED") {
      void this.#end(pod, 0);
    } else if (deletionTimestamp !== undefined && previous?.metadata.deletionTimestamp === undefined) {
      void this.#end(pod, deletionGracePeriodSeconds * 1000);
    } else {
      this.#workers.get(uid)?.startEphemeral(pod);
    }
  }

  async #end(pod: Pod, graceMs: number): Promise<void> {
    await this.#workers.get(pod.metadata.uid)?.stop(graceMs);
    this.#workers.delete(pod.metadata.uid);
    const { namespace = "", name, uid } = pod.metadata;
    const { store } = this.#context;
    const current = store.find(resourceNamed("pods"), namespace, name);
    if (current?.metadata.uid === uid) store.remove(resourceNamed("pods"), namespace, name);
  }
}

/** Marks a pod for deletion, so that the kubelet ends it. Without a grace period it is removed at once. */
export function deletePod(store: Store, pod: Pod, graceSeconds: number): Pod {
  const pods = resourceNamed("pods");
  const { namespace = "", name } = pod.metadata;
  if (graceSeconds === 0) {
    store.remove(pods, namespace, name);
    return pod;
  }
  if (pod.metadata.deletionTimestamp !== undefined) return pod;
  const metadata = {
    ...pod.metadata,
    deletionTimestamp: timestamp(new Date(Date.now() + graceSeconds * 1000)),
    deletionGracePeriodSeconds: graceSeconds,
  };
  return store.update(pods, { ...pod, metadata }) as Pod;
}
