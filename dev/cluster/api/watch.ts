import type { KubeObject } from "./objects.ts";
import { apiVersionOf, type ResourceInfo } from "./resources.ts";
import type { Selector } from "./selectors.ts";
import { StatusError } from "./status.ts";
import type { Store, StoreEvent } from "./storage.ts";
import { presentOne, type Representation } from "./table.ts";

const BOOKMARK_INTERVAL_MS = 60_000;
// A watcher that does not read is dropped instead of buffered for. Clients list and watch again.
const MAX_WATCH_BUFFER_BYTES = 4 * 1024 * 1024;

export interface WatchRequest {
  readonly info: ResourceInfo;
  readonly namespace: string;
  readonly selected: Selector;
  readonly representation: Representation;
  readonly query: URLSearchParams;
}

/** The target of the events: a response body, or a WebSocket. */
export interface WatchSink {
  write(line: string): void;
  bufferedBytes(): number;
  end(): void;
  onClose(listener: () => void): void;
}

/**
 * Sends the events of a watch until the client leaves, `timeoutSeconds` have passed, or the client stops
 * reading. The order is that of the API server's watch cache: without a resourceVersion (or with 0) first the
 * state as ADDED events, then changes. With `sendInitialEvents` a bookmark separates the two.
 */
export function watch(store: Store, request: WatchRequest, sink: WatchSink): void {
  const { info, query, selected } = request;
  const from = query.get("resourceVersion") ?? "";
  const sendsInitial = query.get("sendInitialEvents") === "true";
  const startsFresh = from === "" || from === "0" || sendsInitial;

  const send = (type: string, object: KubeObject): void => {
    sink.write(`${JSON.stringify({ type, object: presentOne(info, object, request.representation) })}\n`);
    if (sink.bufferedBytes() > MAX_WATCH_BUFFER_BYTES) sink.end();
  };
  const bookmark = (annotations: Record<string, string> | undefined): void => {
    const metadata = { resourceVersion: String(store.revision), ...(annotations ? { annotations } : {}) };
    sink.write(
      `${JSON.stringify({ type: "BOOKMARK", object: { kind: info.kind, apiVersion: apiVersionOf(info), metadata } })}\n`,
    );
  };
  const relay = (event: StoreEvent): void => {
    const change = seenThrough(event, request);
    if (change !== undefined) send(change, event.object);
  };

  let missed: StoreEvent[];
  try {
    missed = startsFresh ? [] : store.since(Number(from));
  } catch (error) {
    if (!(error instanceof StatusError)) throw error;
    sink.write(`${JSON.stringify({ type: "ERROR", object: error.status })}\n`);
    sink.end();
    return;
  }
  if (startsFresh) {
    for (const object of store.list(info, request.namespace)) if (selected(object)) send("ADDED", object);
  }
  if (sendsInitial) bookmark({ "k8s.io/initial-events-end": "true" });
  missed.forEach(relay);
  const unsubscribe = store.subscribe(relay);

  const timeoutSeconds = Number(query.get("timeoutSeconds") ?? 0);
  const timeout = timeoutSeconds > 0 ? setTimeout(() => sink.end(), timeoutSeconds * 1000) : undefined;
  const wantsBookmarks = query.get("allowWatchBookmarks") === "true" && request.representation.form === "objects";
  const bookmarks = wantsBookmarks ? setInterval(() => bookmark(undefined), BOOKMARK_INTERVAL_MS) : undefined;
  sink.onClose(() => {
    unsubscribe();
    clearTimeout(timeout);
    clearInterval(bookmarks);
  });
}

// A change that moves an object into or out of the selection adds or deletes it for this watcher.
function seenThrough(event: StoreEvent, { info, namespace, selected }: WatchRequest): StoreEvent["type"] | undefined {
  if (event.info !== info || (namespace !== "" && event.object.metadata.namespace !== namespace)) return undefined;
  const before = event.previous !== undefined && selected(event.previous);
  const after = event.type !== "DELETED" && selected(event.object);
  if (before) return after ? "MODIFIED" : "DELETED";
  return after ? "ADDED" : undefined;
}
