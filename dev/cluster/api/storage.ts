import { randomUUID } from "node:crypto";
import { type KubeObject, timestamp } from "./objects.ts";
import type { ResourceInfo } from "./resources.ts";
import { sameJson } from "./same-json.ts";
import { alreadyExists, conflict, expired, notFound } from "./status.ts";

export interface StoreEvent {
  readonly type: "ADDED" | "MODIFIED" | "DELETED";
  readonly info: ResourceInfo;
  readonly revision: number;
  /** After the event; for a deletion, the last state. */
  readonly object: KubeObject;
  readonly previous: KubeObject | undefined;
}

// How many events back a watch may begin. Older resource versions get 410 Expired, as from an etcd after
// compaction.
const MAX_HISTORY_EVENTS = 2_000;

/** What a new object must have. The store fills in the rest of its metadata. */
export type NewObject = Omit<KubeObject, "metadata"> & {
  apiVersion: string;
  kind: string;
  metadata: { name: string; namespace?: string; [field: string]: unknown };
};

/**
 * All objects, in memory. One counter of revisions for everything, as in etcd. Objects are replaced and never
 * changed, so a reference to one is a snapshot.
 */
export class Store {
  readonly #objects = new Map<string, Map<string, KubeObject>>();
  readonly #listeners = new Set<(event: StoreEvent) => void>();
  #history: StoreEvent[] = [];
  #revision = 1;
  #forgottenRevision = 1;

  get revision(): number {
    return this.#revision;
  }

  get(info: ResourceInfo, namespace: string, name: string): KubeObject {
    const object = this.find(info, namespace, name);
    if (object === undefined) throw notFound(info, name);
    return object;
  }

  find(info: ResourceInfo, namespace: string, name: string): KubeObject | undefined {
    return this.#of(info).get(keyOf(namespace, name));
  }

  /** @returns all objects of the resource, in one namespace unless it is "", sorted by namespace and name */
  list(info: ResourceInfo, namespace = ""): KubeObject[] {
    return [...this.#of(info)]
      .filter(([, object]) => namespace === "" || object.metadata.namespace === namespace)
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([, object]) => object);
  }

  create(info: ResourceInfo, input: NewObject): KubeObject {
    const { name, namespace = "" } = input.metadata;
    const objects = this.#of(info);
    if (objects.has(keyOf(namespace, name))) throw alreadyExists(info, name);
    const revision = ++this.#revision;
    const own = { uid: randomUUID(), resourceVersion: String(revision), creationTimestamp: timestamp() };
    const generation = hasGenerations(info) ? { generation: 1 } : {};
    const object: KubeObject = { ...input, metadata: { ...input.metadata, ...own, ...generation } };
    objects.set(keyOf(namespace, name), object);
    this.#emit({ type: "ADDED", info, revision, object, previous: undefined });
    return object;
  }

  /**
   * Replaces an object, except name, uid and creation time. If a resourceVersion is set, it must be the
   * current one.
   */
  update(info: ResourceInfo, next: KubeObject): KubeObject {
    const { name, namespace = "", resourceVersion } = next.metadata;
    const previous = this.get(info, namespace, name);
    if (resourceVersion !== "" && resourceVersion !== previous.metadata.resourceVersion) {
      const why = "the object has been modified; please apply your changes to the latest version and try again";
      throw conflict(info, name, why);
    }
    const revision = ++this.#revision;
    const { uid, creationTimestamp } = previous.metadata;
    const own = { uid, creationTimestamp, resourceVersion: String(revision) };
    const object = { ...next, metadata: { ...next.metadata, ...own, ...nextGeneration(info, previous, next) } };
    this.#of(info).set(keyOf(namespace, name), object);
    this.#emit({ type: "MODIFIED", info, revision, object, previous });
    return object;
  }

  /** Removes an object, if it exists. */
  remove(info: ResourceInfo, namespace: string, name: string): void {
    const previous = this.find(info, namespace, name);
    if (previous === undefined) return;
    this.#of(info).delete(keyOf(namespace, name));
    const revision = ++this.#revision;
    const object = { ...previous, metadata: { ...previous.metadata, resourceVersion: String(revision) } };
    this.#emit({ type: "DELETED", info, revision, object, previous });
  }

  /** Calls the listener after every change until the returned function is called. */
  subscribe(listener: (event: StoreEvent) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** @returns the events after a revision; throws 410 if they are no longer known */
  since(revision: number): StoreEvent[] {
    if (revision < this.#forgottenRevision) {
      throw expired(`too old resource version: ${revision} (${this.#forgottenRevision})`);
    }
    return this.#history.filter((event) => event.revision > revision);
  }

  #of(info: ResourceInfo): Map<string, KubeObject> {
    const key = `${info.group}/${info.resource}`;
    const found = this.#objects.get(key);
    if (found !== undefined) return found;
    const created = new Map<string, KubeObject>();
    this.#objects.set(key, created);
    return created;
  }

  #emit(event: StoreEvent): void {
    this.#history.push(event);
    if (this.#history.length > 2 * MAX_HISTORY_EVENTS) {
      this.#forgottenRevision = this.#history.at(-MAX_HISTORY_EVENTS - 1)?.revision ?? this.#forgottenRevision;
      this.#history = this.#history.slice(-MAX_HISTORY_EVENTS);
    }
    // A listener may change the store, and the others must still see the events in order.
    for (const listener of [...this.#listeners]) queueMicrotask(() => this.#listeners.has(listener) && listener(event));
  }
}

const keyOf = (namespace: string, name: string): string => `${namespace}/${name}`;

// Counts the versions of the desired state, so that a controller's status can say which one it refers to.
const hasGenerations = ({ resource }: ResourceInfo): boolean =>
  resource === "deployments" || resource === "replicasets";

function nextGeneration(info: ResourceInfo, previous: KubeObject, next: KubeObject): { generation?: number } {
  if (!hasGenerations(info)) return {};
  const generation = Number(previous.metadata["generation"] ?? 1);
  return { generation: sameJson(previous["spec"], next["spec"]) ? generation : generation + 1 };
}
