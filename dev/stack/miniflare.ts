/**
 * Both Workers, the Access fake, D1, R2 and the Durable Objects in one workerd, with a socket for each
 * persona.
 */
import { readdirSync } from "node:fs";
import { dirname, join } from "node:path";
import {
  convertV4MiniflareOptions,
  Miniflare,
  MiniflareCoreError,
  type V4WorkerOptions,
  type WorkerdStructuredLog,
} from "miniflare";
import { unstable_getMiniflareWorkerOptions } from "wrangler";
import { messageOf } from "../../common/errors.ts";
import type { ConfigInput } from "../../worker/config/schema.ts";
import type { FrontSettings } from "../access/front.ts";
import { PERSONA_NAMES } from "../access/personas.ts";
import { LOCAL_ENVIRONMENT, type WorkerConfiguration } from "../workers/configuration.ts";
import { StackError } from "./errors.ts";
import { tcpBindingOf } from "./local-config.ts";
import { applyMigrations, readMigrations } from "./migrations.ts";
import { LOOPBACK, type PortPlan, PortsTakenError } from "./ports.ts";
import { findWorkerd, objectsMark, STATE_DIR_MARK } from "./processes.ts";
import { STOP_SIGNALS } from "./signals.ts";
import { RuntimeLog, type WorkerLog } from "./worker-log.ts";

/** Name of the local database. Fixed, so that its file does not depend on a deployment's id. */
const LOCAL_DATABASE = "sallyport";
const ACCESS = "access";
/** Name of the edge, also of a Worker in its place. */
const EDGE = "sallyport";
const WRANGLER_LOG = "WRANGLER_LOG";
const D1_DIR = "d1/miniflare-D1DatabaseObject";

/** A Worker as the local stack runs it. */
export interface BundledWorker {
  readonly configuration: WorkerConfiguration;
  /** Path of its bundle. */
  readonly module: string;
}

export interface RuntimeInput {
  readonly stateDir: string;
  readonly dataDir: string;
  readonly migrationsDir: string;
  readonly edge: BundledWorker;
  readonly objects: BundledWorker;
  readonly accessModule: string;
  readonly ports: PortPlan;
  readonly front: FrontSettings;
  readonly config: ConfigInput;
  /** `host:port` of each cluster, by binding. */
  readonly upstreams: Readonly<Record<string, string>>;
  /** `SALLYPORT_WEBHOOKS`, if anybody is to be told. */
  readonly webhooks: string | undefined;
  readonly log: WorkerLog;
  /** The caller stops everything in order when this process receives a signal. */
  readonly callerHandlesSignals: boolean;
  /** Runs the objects in a workerd of their own. */
  readonly objectsApart: boolean;
  /** Opens workerd's inspector, on any free port of loopback. */
  readonly inspector: boolean;
  /** Called after workerd had stopped unexpectedly and was restarted. */
  readonly onRestart: (pid: number | undefined) => void;
}

export interface Runtime {
  readonly d1Path: string;
  readonly inspectorUrl: string | undefined;
  workerdPid(): number | undefined;
  dispose(): Promise<void>;
}

/**
 * Starts workerd and applies the migrations.
 *
 * @throws PortsTakenError, or StackError with a message for the user
 */
export async function startRuntime(input: RuntimeInput): Promise<Runtime> {
  const workerdPid = () => findWorkerd(input.stateDir)[0];
  const before = STOP_SIGNALS.map((signal) => [signal, process.listeners(signal)] as const);
  const apart = input.objectsApart ? await startObjectsApart(input) : undefined;
  const miniflare = new Miniflare({
    ...convertV4MiniflareOptions({
      ...commonSettings(input),
      ...(input.inspector && { inspectorHost: LOOPBACK, inspectorPort: 0 }),
      unsafeRuntimeEnv: { [STATE_DIR_MARK]: input.stateDir },
      unsafeHandleRuntimeRestart: () => input.onRestart(workerdPid()),
      workers: [accessOptions(input), edgeOptions(input), ...(apart ? [] : [objectsOptions(input)])],
    }),
    // Of two processes, each has a database of its own. The edge only reads it.
    resourcePersistencePath: apart ? join(input.dataDir, "edge") : input.dataDir,
    unsafeLocalExplorer: false,
  });
  if (input.callerHandlesSignals) {
    // Miniflare's own handlers end this process immediately, and the cluster's children would outlive it.
    for (const [signal, known] of before) {
      const added = process.listeners(signal).filter((listener) => !known.includes(listener));
      for (const listener of added) process.off(signal, listener);
    }
  }
  let inspectorUrl: string | undefined;
  try {
    await miniflare.ready;
    if (input.inspector) inspectorUrl = (await miniflare.getInspectorURL()).href;
    const database = await miniflare.getD1Database("AUDIT_DB", EDGE);
    await applyMigrations(database, readMigrations(input.migrationsDir));
  } catch (error) {
    await Promise.allSettled([miniflare.dispose(), apart?.dispose()]);
    throw describeStartFailure(error);
  }
  const d1Path = findDatabaseFile(input.dataDir);
  return {
    d1Path,
    inspectorUrl,
    workerdPid,
    dispose: async () => void (await Promise.all([miniflare.dispose(), apart?.dispose()])),
  };
}

/**
 * Starts the objects in a workerd of their own. The edge finds it by the registry, and calls it as it calls
 * objects of its own process.
 */
async function startObjectsApart(input: RuntimeInput): Promise<Miniflare> {
  const mark = objectsMark(input.stateDir);
  const miniflare = new Miniflare({
    ...convertV4MiniflareOptions({
      ...commonSettings(input),
      unsafeRuntimeEnv: { [STATE_DIR_MARK]: mark },
      unsafeHandleRuntimeRestart: () => input.onRestart(findWorkerd(mark)[0]),
      workers: [objectsOptions(input)],
    }),
    resourcePersistencePath: input.dataDir,
    unsafeLocalExplorer: false,
  });
  try {
    await miniflare.ready;
    const database = await miniflare.getD1Database("AUDIT_DB", input.objects.configuration.name);
    await applyMigrations(database, readMigrations(input.migrationsDir));
    return miniflare;
  } catch (error) {
    await miniflare.dispose().catch(() => {});
    throw describeStartFailure(error);
  }
}

/** What both processes have, if there are two. */
function commonSettings({ log, stateDir, objectsApart }: RuntimeInput) {
  return {
    host: LOOPBACK,
    port: 0,
    // Otherwise Miniflare asks Cloudflare for this machine's location.
    cf: false,
    log: new RuntimeLog(log),
    handleStructuredLogs: ({ level, message, timestamp }: WorkerdStructuredLog) => log.write(level, message, timestamp),
    ...(objectsApart && { unsafeDevRegistryPath: join(stateDir, "registry") }),
  };
}

function accessOptions({ accessModule, edge, ports, front }: RuntimeInput): V4WorkerOptions {
  const { second } = ports;
  return {
    name: ACCESS,
    modules: true,
    scriptPath: accessModule,
    modulesRoot: dirname(accessModule),
    compatibilityDate: edge.configuration.compatibilityDate,
    // Here a client's offer of compression is answered in its place, so it has the edge's flags, too.
    compatibilityFlags: ["service_binding_extra_handlers", ...edge.configuration.compatibilityFlags],
    bindings: { FRONT: JSON.parse(JSON.stringify(front)), HAS_SECOND: second !== undefined },
    serviceBindings: { SALLYPORT: EDGE },
    unsafeDirectSockets: [
      { host: LOOPBACK, port: ports.issuer },
      { host: LOOPBACK, port: ports.front.plain, entrypoint: "front" },
      ...PERSONA_NAMES.map((name) => ({ host: LOOPBACK, port: ports.personas[name], entrypoint: name })),
      ...(second
        ? PERSONA_NAMES.map((name) => ({ host: LOOPBACK, port: second[name], entrypoint: `${name}_second` }))
        : []),
    ],
  };
}

function edgeOptions(input: RuntimeInput): V4WorkerOptions {
  const options = commonOptions(EDGE, input.edge, input.upstreams);
  return {
    ...options,
    bindings: { ...options.bindings, SALLYPORT_CONFIG: JSON.parse(JSON.stringify(input.config)) },
    unsafeDirectSockets: input.ports.worker === undefined ? [] : [{ host: LOOPBACK, port: input.ports.worker }],
  };
}

/**
 * Named as in its configuration, because the edge's `script_name` refers to it. Only the objects open TCP
 * connections to clusters: through a binding to the network, as a VPC network's, which the runtime serves
 * itself.
 */
function objectsOptions({ objects, upstreams, webhooks }: RuntimeInput): V4WorkerOptions {
  const options = commonOptions(objects.configuration.name, objects, upstreams);
  const tcp = Object.keys(upstreams).map((binding) => [
    tcpBindingOf(binding),
    { network: { allow: ["local", "private", "public"] } },
  ]);
  return {
    ...options,
    bindings: { ...options.bindings, ...(webhooks !== undefined && { SALLYPORT_WEBHOOKS: webhooks }) },
    serviceBindings: { ...options.serviceBindings, ...Object.fromEntries(tcp) },
  };
}

/** What both Workers have: their own configuration, the audit database and the clusters. */
function commonOptions(
  name: string,
  { configuration, module }: BundledWorker,
  upstreams: RuntimeInput["upstreams"],
): V4WorkerOptions & SharedWorkerOptions {
  const options = readWorkerOptions(configuration.file);
  const clusters = Object.entries(upstreams).map(([binding, address]) => [
    binding,
    { external: { address, http: {} } },
  ]);
  return {
    ...options,
    name,
    modules: true,
    scriptPath: module,
    modulesRoot: dirname(module),
    d1Databases: { AUDIT_DB: LOCAL_DATABASE },
    serviceBindings: { ...options.serviceBindings, ...Object.fromEntries(clusters) },
  };
}

type SharedWorkerOptions = Pick<V4WorkerOptions, "bindings" | "serviceBindings">;

/** A Worker's options as wrangler reads them from its configuration file. */
function readWorkerOptions(file: string): SharedWorkerOptions {
  const before = process.env[WRANGLER_LOG];
  // wrangler warns that the local environment lacks the deployment's bindings, which is intended.
  process.env[WRANGLER_LOG] = "error";
  try {
    // Module rules are for sources, and a bundle is one module. The declared type lacks the fields' names.
    const { modulesRules: _, ...options } = unstable_getMiniflareWorkerOptions(file, LOCAL_ENVIRONMENT).workerOptions;
    return options as SharedWorkerOptions;
  } finally {
    if (before === undefined) delete process.env[WRANGLER_LOG];
    else process.env[WRANGLER_LOG] = before;
  }
}

function describeStartFailure(error: unknown): Error {
  if (error instanceof MiniflareCoreError && error.code === "ERR_ADDRESS_IN_USE")
    return new PortsTakenError(error.message);
  if (error instanceof StackError) return error;
  return new StackError(`workerd did not start: ${plainMessage(messageOf(error))}`);
}

/** workerd reports a failed start as JSON log lines; their messages are enough. */
function plainMessage(message: string): string {
  const said = [...message.matchAll(/^\{.*"message":("(?:[^"\\]|\\.)*").*\}$/gm)].flatMap(([, text]) =>
    text === undefined ? [] : [String(JSON.parse(text))],
  );
  return said.length > 0 ? said.join("\n") : message;
}

function findDatabaseFile(dataDir: string): string {
  const dir = join(dataDir, D1_DIR);
  const files = readdirSync(dir).filter((name) => name.endsWith(".sqlite") && name !== "metadata.sqlite");
  const [file] = files;
  if (file === undefined || files.length > 1)
    throw new StackError(`expected one database in ${dir}, found ${files.length}`);
  return join(dir, file);
}
