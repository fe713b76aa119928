import { randomBytes } from "node:crypto";
import { type KubeObject, timestamp } from "../api/objects.ts";
import { resourceNamed } from "../api/resources.ts";
import type { Store } from "../api/storage.ts";

// The API server's --event-ttl.
const EVENT_TTL_MS = 60 * 60 * 1000;

export type EventRecorder = (
  object: KubeObject,
  type: "Normal" | "Warning",
  reason: string,
  message: string,
  component: string,
) => void;

/** @returns a function that stores a core/v1 Event about an object and removes old ones */
export function eventRecorder(store: Store): EventRecorder {
  const events = resourceNamed("events");
  return (object, type, reason, message, component) => {
    const horizon = Date.now() - EVENT_TTL_MS;
    for (const { metadata } of store.list(events)) {
      if (Date.parse(metadata.creationTimestamp) < horizon)
        store.remove(events, metadata.namespace ?? "", metadata.name);
    }
    const { name, namespace = "default", uid, resourceVersion } = object.metadata;
    const time = timestamp();
    store.create(events, {
      apiVersion: "v1",
      kind: "Event",
      metadata: { name: `${name}.${randomBytes(8).toString("hex")}`, namespace },
      involvedObject: { kind: object.kind, apiVersion: object.apiVersion, name, namespace, uid, resourceVersion },
      ...{ type, reason, message, count: 1, firstTimestamp: time, lastTimestamp: time, eventTime: null },
      ...{ source: { component }, reportingComponent: component, reportingInstance: "" },
    });
  };
}
