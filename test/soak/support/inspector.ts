/** A look into the V8 heaps of both Workers, over workerd's inspector. */
import { WebSocket } from "ws";

interface Target {
  readonly id: string;
  readonly webSocketDebuggerUrl: string;
}

interface Reply {
  readonly id?: number;
  readonly method?: string;
  readonly params?: { readonly chunk?: string };
  readonly result?: Record<string, unknown>;
  readonly error?: { readonly message: string };
}

interface HeapSnapshot {
  readonly snapshot: {
    readonly meta: { readonly node_fields: readonly string[]; readonly node_types: readonly [readonly string[]] };
  };
  readonly nodes: readonly number[];
  readonly strings: readonly string[];
}

/** What the heap still holds: V8 collects before it takes a snapshot. */
export interface HeapContent {
  readonly bytes: number;
  /** Objects by class. */
  readonly instances: ReadonlyMap<string, number>;
}

/** Sockets and buffers are freed by the collection after the one that frees their owners. */
const COLLECTIONS = 2;

/** The edge and the objects' Worker, as workerd calls them; it has others, which play D1 and R2. */
const WORKERS = ["core:user:sallyport", "core:user:sallyport-objects"];

/** The heaps of both Workers, taken together. */
export class WorkerHeaps {
  readonly #inspectors: readonly Inspector[];

  private constructor(inspectors: readonly Inspector[]) {
    this.#inspectors = inspectors;
  }

  static async connect(inspectorUrl: string): Promise<WorkerHeaps> {
    return new WorkerHeaps(await Promise.all(WORKERS.map((worker) => Inspector.connect(inspectorUrl, worker))));
  }

  async content(): Promise<HeapContent> {
    const instances = new Map<string, number>();
    let bytes = 0;
    // One after the other, to keep the peak of this process low: a snapshot is a large text.
    for (const inspector of this.#inspectors) {
      const heap = await inspector.heap();
      bytes += heap.bytes;
      for (const [name, count] of heap.instances) instances.set(name, (instances.get(name) ?? 0) + count);
    }
    return { bytes, instances };
  }

  close(): void {
    for (const inspector of this.#inspectors) inspector.close();
  }
}

class Inspector {
  readonly #socket: WebSocket;
  readonly #waiting = new Map<number, { done(result: Record<string, unknown>): void; failed(error: Error): void }>();
  #chunks: string[] = [];
  #lastId = 0;

  private constructor(socket: WebSocket) {
    this.#socket = socket;
    socket.on("message", (data) => this.#receive(JSON.parse(String(data)) as Reply));
    socket.on("close", () => {
      for (const { failed } of this.#waiting.values()) failed(new Error("the inspector closed the connection"));
    });
  }

  static async connect(inspectorUrl: string, worker: string): Promise<Inspector> {
    const response = await fetch(new URL("/json", inspectorUrl.replace(/^ws/, "http")));
    const target = ((await response.json()) as Target[]).find(({ id }) => id === worker);
    if (!target) throw new Error(`workerd's inspector has no Worker ${worker}`);
    const socket = new WebSocket(target.webSocketDebuggerUrl, { perMessageDeflate: false });
    await new Promise((resolve, reject) => socket.once("open", resolve).once("error", reject));
    return new Inspector(socket);
  }

  close(): void {
    this.#socket.close();
  }

  /** Collects by taking snapshots, because workerd never answers `HeapProfiler.collectGarbage`. */
  async heap(): Promise<HeapContent> {
    for (let times = 0; times < COLLECTIONS; times++) {
      this.#chunks = [];
      await this.#call("HeapProfiler.takeHeapSnapshot", { reportProgress: false });
    }
    const { snapshot, nodes, strings } = JSON.parse(this.#chunks.join("")) as HeapSnapshot;
    this.#chunks = [];
    const { node_fields: fields, node_types: types } = snapshot.meta;
    const [typeAt, nameAt, sizeAt] = [fields.indexOf("type"), fields.indexOf("name"), fields.indexOf("self_size")];
    const instances = new Map<string, number>();
    let bytes = 0;
    for (let at = 0; at < nodes.length; at += fields.length) {
      bytes += nodes[at + sizeAt] ?? 0;
      const type = types[0][nodes[at + typeAt] ?? -1];
      if (type !== "object" && type !== "native") continue;
      const name = strings[nodes[at + nameAt] ?? -1] ?? "";
      instances.set(name, (instances.get(name) ?? 0) + 1);
    }
    return { bytes, instances };
  }

  #call(method: string, params: Record<string, unknown> = {}): Promise<Record<string, unknown>> {
    const id = ++this.#lastId;
    return new Promise((done, failed) => {
      this.#waiting.set(id, { done, failed });
      this.#socket.send(JSON.stringify({ id, method, params }));
    });
  }

  #receive({ id, method, params, result, error }: Reply): void {
    if (method === "HeapProfiler.addHeapSnapshotChunk") this.#chunks.push(params?.chunk ?? "");
    const waiting = id === undefined ? undefined : this.#waiting.get(id);
    if (id === undefined || !waiting) return;
    this.#waiting.delete(id);
    if (error) waiting.failed(new Error(error.message));
    else waiting.done(result ?? {});
  }
}
