import type { ContainerState, KubeObject, Pod, Service, Workload } from "./objects.ts";

/** The columns of `kubectl get`, from the API server's printers (pkg/printers/internalversion). */
export interface Column {
  readonly name: string;
  readonly type?: "string" | "integer" | "date";
  readonly format?: "name";
  /** 0: always shown; 1: with `-o wide`. */
  readonly priority?: 0 | 1;
  readonly description: string;
}

export interface Printer {
  readonly columns: readonly Column[];
  cells(object: KubeObject, now: number): (string | number)[];
}

const NONE = "<none>";
const col = (name: string, type: Column["type"] = "string"): Column => ({ name, type, description: name });
const wide = (name: string): Column => ({ name, type: "string", priority: 1, description: name });
const NAME: Column = {
  name: "Name",
  type: "string",
  format: "name",
  description: "Name must be unique within a namespace.",
};
const AGE = col("Age");

/** @returns the printer of a resource; the default one shows name and creation time */
export function printerOf(resource: string): Printer {
  return PRINTERS[resource] ?? { columns: [NAME, col("Created At", "date")], cells: createdAt };
}

const createdAt = (object: KubeObject): string[] => [object.metadata.name, object.metadata.creationTimestamp];

const PRINTERS: Readonly<Record<string, Printer>> = {
  pods: {
    columns: [
      ...[NAME, col("Ready"), col("Status"), col("Restarts"), AGE],
      ...[wide("IP"), wide("Node"), wide("Nominated Node"), wide("Readiness Gates")],
    ],
    cells: (object, now) => podCells(object as Pod, now),
  },
  services: {
    columns: [NAME, col("Type"), col("Cluster-IP"), col("External-IP"), col("Port(s)"), AGE, wide("Selector")],
    cells: (object, now) => {
      const { type, clusterIP, ports, selector } = (object as Service).spec;
      const shown = ports.map(({ port, nodePort, protocol }) => `${port}${nodePort ? `:${nodePort}` : ""}/${protocol}`);
      return [
        ...[object.metadata.name, type, clusterIP ?? NONE, NONE, shown.join(",") || NONE, age(object, now)],
        pairs(selector),
      ];
    },
  },
  deployments: {
    columns: [
      NAME,
      col("Ready"),
      col("Up-to-date"),
      col("Available"),
      AGE,
      wide("Containers"),
      wide("Images"),
      wide("Selector"),
    ],
    cells: (object, now) => {
      const { spec } = object as Workload;
      const [ready, updated, available] = ["readyReplicas", "updatedReplicas", "availableReplicas"].map(
        statusCount(object),
      );
      return [
        ...[object.metadata.name, `${ready ?? 0}/${spec.replicas}`, updated ?? 0, available ?? 0, age(object, now)],
        ...templateCells(object as Workload),
      ];
    },
  },
  replicasets: {
    columns: [
      NAME,
      col("Desired"),
      col("Current"),
      col("Ready"),
      AGE,
      wide("Containers"),
      wide("Images"),
      wide("Selector"),
    ],
    cells: (object, now) => {
      const [current, ready] = ["replicas", "readyReplicas"].map(statusCount(object));
      const { replicas } = (object as Workload).spec;
      return [
        object.metadata.name,
        replicas,
        current ?? 0,
        ready ?? 0,
        age(object, now),
        ...templateCells(object as Workload),
      ];
    },
  },
  namespaces: {
    columns: [NAME, col("Status"), AGE],
    cells: (object, now) => [object.metadata.name, text(object, "status", "phase"), age(object, now)],
  },
  nodes: {
    columns: [
      ...[NAME, col("Status"), col("Roles"), AGE, col("Version")],
      ...[wide("Internal-IP"), wide("OS-Image"), wide("Kernel-Version"), wide("Container-Runtime")],
    ],
    cells: (object, now) => {
      const info = (field: string): string => text(object, "status", "nodeInfo", field);
      return [
        ...[object.metadata.name, "Ready", "control-plane", age(object, now), info("kubeletVersion"), "127.0.0.1"],
        ...[info("osImage"), info("kernelVersion"), info("containerRuntimeVersion")],
      ];
    },
  },
  configmaps: {
    columns: [NAME, col("Data"), AGE],
    cells: (object, now) => [
      object.metadata.name,
      count(object["data"]) + count(object["binaryData"]),
      age(object, now),
    ],
  },
  secrets: {
    columns: [NAME, col("Type"), col("Data"), AGE],
    cells: (object, now) => [object.metadata.name, text(object, "type"), count(object["data"]), age(object, now)],
  },
  serviceaccounts: {
    columns: [NAME, col("Secrets"), AGE],
    cells: (object, now) => [object.metadata.name, count(object["secrets"]), age(object, now)],
  },
  events: {
    columns: [
      ...[
        col("Last Seen"),
        col("Type"),
        col("Reason"),
        col("Object"),
        wide("Subobject"),
        wide("Source"),
        col("Message"),
      ],
      ...[wide("First Seen"), wide("Count"), { ...NAME, priority: 1 } as const],
    ],
    cells: (object, now) => [
      ...[since(text(object, "lastTimestamp"), now), text(object, "type"), text(object, "reason")],
      `${text(object, "involvedObject", "kind").toLowerCase()}/${text(object, "involvedObject", "name")}`,
      ...[
        text(object, "involvedObject", "fieldPath"),
        text(object, "source", "component"),
        text(object, "message").trim(),
      ],
      ...[since(text(object, "firstTimestamp"), now), Number(text(object, "count") || 1), object.metadata.name],
    ],
  },
  rolebindings: bindingPrinter(),
  clusterrolebindings: bindingPrinter(),
};

function bindingPrinter(): Printer {
  return {
    columns: [NAME, col("Role"), AGE],
    cells: (object, now) => {
      const role = `${text(object, "roleRef", "kind")}/${text(object, "roleRef", "name")}`;
      return [object.metadata.name, role, age(object, now)];
    },
  };
}

function podCells({ metadata, spec, status }: Pod, now: number): (string | number)[] {
  const statuses = status.containerStatuses ?? [];
  const ready = statuses.filter((container) => container.ready).length;
  const restarts = statuses.reduce((sum, container) => sum + container.restartCount, 0);
  const lastRestart =
    statuses
      .map(({ lastState }) => lastState.terminated?.finishedAt ?? "")
      .sort()
      .at(-1) ?? "";
  let reason: string = status.phase;
  for (const { state } of statuses) reason = stateReason(state) ?? reason;
  if (reason === "Completed" && statuses.some(({ state }) => state.running !== undefined)) reason = "Running";
  const isOver = status.phase === "Succeeded" || status.phase === "Failed";
  if (metadata.deletionTimestamp !== undefined && !isOver) reason = "Terminating";
  return [
    ...[metadata.name, `${ready}/${spec.containers.length}`, reason],
    restarts > 0 && lastRestart !== "" ? `${restarts} (${since(lastRestart, now)} ago)` : String(restarts),
    ...[since(metadata.creationTimestamp, now), status.podIP ?? NONE, spec.nodeName ?? NONE, NONE, NONE],
  ];
}

function stateReason({ waiting, terminated }: ContainerState): string | undefined {
  if (waiting !== undefined) return waiting.reason;
  return terminated?.reason;
}

const statusCount =
  (object: KubeObject) =>
  (field: string): number =>
    Number(text(object, "status", field) || 0);

function templateCells({ spec }: Workload): string[] {
  const { containers } = spec.template.spec;
  const names = containers.map(({ name }) => name).join(",");
  return [names, containers.map(({ image }) => image).join(","), pairs(spec.selector.matchLabels)];
}

function text(object: KubeObject, ...path: string[]): string {
  let value: unknown = object;
  for (const step of path) value = typeof value === "object" && value !== null ? Reflect.get(value, step) : undefined;
  return typeof value === "string" || typeof value === "number" ? String(value) : "";
}

const count = (value: unknown): number => (typeof value === "object" && value !== null ? Object.keys(value).length : 0);
const pairs = (labels: Record<string, string> = {}): string =>
  Object.entries(labels)
    .map(([key, value]) => `${key}=${value}`)
    .join(",") || NONE;
const age = (object: KubeObject, now: number): string => since(object.metadata.creationTimestamp, now);

function since(time: string, now: number): string {
  const then = Date.parse(time);
  return Number.isNaN(then) ? "<unknown>" : humanDuration(Math.max(0, Math.floor((now - then) / 1000)));
}

/** `duration.HumanDuration` of apimachinery: 45s, 3m5s, 12m, 5h10m, 3d4h, 20d. */
export function humanDuration(seconds: number): string {
  const [minutes, hours, days] = [60, 3600, 86_400].map((unit) => Math.floor(seconds / unit)) as [
    number,
    number,
    number,
  ];
  const two = (whole: number, unit: string, rest: number, restUnit: string): string =>
    rest === 0 ? `${whole}${unit}` : `${whole}${unit}${rest}${restUnit}`;
  if (seconds < 120) return `${seconds}s`;
  if (minutes < 10) return two(minutes, "m", seconds % 60, "s");
  if (hours < 3) return `${minutes}m`;
  if (hours < 8) return two(hours, "h", minutes % 60, "m");
  if (hours < 48) return `${hours}h`;
  if (days < 8) return two(days, "d", hours % 24, "h");
  return `${days}d`;
}
