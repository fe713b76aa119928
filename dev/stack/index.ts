/**
 * The local stack: a fake of Cloudflare Access, both Workers with their D1 and R2 in workerd, and a cluster
 * behind them. `npm start` runs it; tests and benchmarks call `startStack` themselves.
 */
import { join } from "node:path";
import type { UpstreamTransport } from "../../contract/upstream.ts";
import { PERSONA_NAMES, PERSONAS, type PersonaName } from "../access/personas.ts";
import { bundleFake, bundleWorker } from "../workers/bundle.ts";
import {
  EDGE_CONFIGURATION,
  OBJECTS_CONFIGURATION,
  REPOSITORY,
  readWorkerConfiguration,
} from "../workers/configuration.ts";
import { loadAccessKeys } from "./access-keys.ts";
import { removeAddresses, writeAddresses } from "./addresses.ts";
import { Cleanups } from "./cleanups.ts";
import { startEmbedded, useUpstream } from "./cluster.ts";
import { StackError } from "./errors.ts";
import { openStateDir, type StatePaths } from "./files.ts";
import { buildLocalConfig, type ConfigOverrides, ONLY_BINDING, SECOND } from "./local-config.ts";
import { takeLock } from "./lock.ts";
import { DEFAULT_ACCESS_TOKEN_SECONDS, DEFAULT_STATE_DIR } from "./options.ts";
import { preparePlugin } from "./plugin.ts";
import { LOOPBACK, type PortPlan, planPorts, withPortPlan } from "./ports.ts";
import { endLeftoverWorkerd, objectsMark } from "./processes.ts";
import type { FrontEndpoint, PersonaEndpoint, Stack } from "./stack.ts";
import { startTlsFront } from "./tls.ts";
import { loadTlsIdentity, type TlsIdentity } from "./tls-identity.ts";
import { withAddress } from "./webhooks-file.ts";
import { WorkerLog } from "./worker-log.ts";

export { StackError } from "./errors.ts";
export type { ConfigOverrides } from "./local-config.ts";
export type { Stack } from "./stack.ts";

export interface StackOptions {
  /** Default `.sallyport` in the current directory. */
  readonly stateDir?: string | undefined;
  /** First of the personas' ports, or 0 for any free ones. Default: the usual ones if they are free. */
  readonly port?: number | undefined;
  /** A `kubectl proxy` in front of a real cluster. By default the embedded cluster. */
  readonly upstream?: string | undefined;
  /** Adds a second embedded cluster. */
  readonly secondCluster?: boolean | undefined;
  /** How sessions reach the clusters. Default `auto`, which is TCP here. */
  readonly transport?: UpstreamTransport | undefined;
  /** How long an access token of the sign-in lives. Default 900, as Cloudflare recommends. */
  readonly accessTokenSeconds?: number | undefined;
  /** Values that replace those of the local configuration document. */
  readonly config?: ConfigOverrides | undefined;
  /** Whom to tell of events: `SALLYPORT_WEBHOOKS` of the objects' Worker. Default: nobody. */
  readonly webhooks?: string | undefined;
  /** Prints nothing. */
  readonly quiet?: boolean | undefined;
  /** Prints the Workers' whole log. */
  readonly verbose?: boolean | undefined;
  /** Aborts a start in progress. A running stack is ended with `stop()`. */
  readonly signal?: AbortSignal | undefined;
  /**
   * The caller calls `stop()` on SIGINT, SIGTERM and SIGHUP. Otherwise such a signal ends this process
   * immediately. workerd ends with it, and the next start cleans up.
   */
  readonly callerHandlesSignals?: boolean | undefined;
  /**
   * The wrangler configuration of another Worker in the edge's place (a benchmark's yardstick), with the same
   * bindings.
   */
  readonly wranglerConfig?: string | undefined;
  /**
   * For tests only, never set by `npm start`: opens a socket of the edge itself, which bypasses the Access
   * fake. Requests there carry tokens that a test signs, for more users than the personas.
   */
  readonly workerSocket?: boolean | undefined;
  /**
   * For tests only: runs the objects in a workerd of their own, as they run apart from the edge in a
   * deployment. So the edge can be killed alone.
   */
  readonly objectsApart?: boolean | undefined;
  /** For tests only: opens workerd's inspector on a free loopback port, to measure the Workers' memory. */
  readonly inspector?: boolean | undefined;
}

/**
 * Starts everything, and resolves when every persona answers.
 *
 * @throws StackError with a message for the user; nothing is left running
 */
export async function startStack(options: StackOptions = {}): Promise<Stack> {
  const cleanups = new Cleanups();
  try {
    return await start(options, cleanups);
  } catch (error) {
    await cleanups.run().catch(() => {});
    if (options.signal?.aborted) throw new StackError("stopped before it was ready");
    throw error;
  }
}

async function start(options: StackOptions, cleanups: Cleanups): Promise<Stack> {
  const print = options.quiet ? () => {} : (line: string) => console.error(line);
  const paths = openStateDir(options.stateDir ?? DEFAULT_STATE_DIR);
  cleanups.add(takeLock(paths.lock, paths.dir));
  removeAddresses(paths);
  const leftover = await endLeftovers(paths.dir);
  if (leftover.length > 0) print(`Ended workerd (pid ${leftover.join(", ")}), which a killed run had left behind.`);
  // The most common mistakes are detected before bundling, which takes time.
  const hasSecond = options.secondCluster ?? false;
  const morePorts = { workerSocket: options.workerSocket ?? false, second: hasSecond };
  await planPorts(options.port, morePorts);
  const facts = { hasSecond, transport: options.transport };
  const accessTokenSeconds = options.accessTokenSeconds ?? DEFAULT_ACCESS_TOKEN_SECONDS;
  const placeholder = { audience: "checked-later", cluster: "checked-later", upstreams: {} };
  buildLocalConfig({ issuer: `http://${LOOPBACK}`, ...facts, ...placeholder }, options.config);

  const log = new WorkerLog({ path: paths.log, verbose: options.verbose ?? false, print });
  cleanups.add(() => log.close());
  // A workerd that Miniflare has lost track of, for example one that was restarted during the stop.
  cleanups.add(async () => void (await endLeftovers(paths.dir)));

  const [bundles, plugin, access, tls, cluster, second, { startRuntime }] = await settleAll([
    bundleWorkers(paths, options),
    preparePlugin(paths),
    loadAccessKeys(paths.accessKeys),
    loadTlsIdentity(paths.tls, new Date()),
    options.upstream === undefined
      ? startEmbedded(paths.cluster, cleanups)
      : Promise.resolve(useUpstream(options.upstream, print)),
    hasSecond ? startEmbedded(`${paths.cluster}-second`, cleanups, SECOND.name) : Promise.resolve(undefined),
    // Imported here, so that it loads while the bundles are made.
    import("./miniflare.ts"),
  ]);
  options.signal?.throwIfAborted();

  const { audiences, signingKey, certs, serviceToken } = access;
  const upstreams = { [ONLY_BINDING]: cluster.address, ...(second && { [SECOND.binding]: second.address }) };
  let stopping = false;
  const { runtime, ports, issuer } = await withPortPlan(options.port, morePorts, async (ports) => {
    const issuer = `http://${LOOPBACK}:${ports.issuer}`;
    const runtime = await startRuntime({
      stateDir: paths.dir,
      dataDir: paths.data,
      migrationsDir: join(REPOSITORY, "migrations"),
      ...bundles,
      ports,
      front: { access: { audiences, signingKey, certs, issuer }, accessTokenSeconds, serviceToken },
      config: buildLocalConfig(
        {
          issuer,
          audience: audiences.host,
          adminAudience: audiences.admin,
          serviceToken: serviceToken.clientId,
          cluster: cluster.name,
          upstreams,
          ...facts,
        },
        options.config,
      ),
      upstreams,
      webhooks: options.webhooks && withAddress(options.webhooks, `http://${LOOPBACK}:${ports.personas.admin}`),
      callerHandlesSignals: options.callerHandlesSignals ?? false,
      inspector: options.inspector ?? false,
      objectsApart: options.objectsApart ?? false,
      log,
      onRestart: (pid) => {
        if (!stopping)
          print(`workerd had stopped unexpectedly and was restarted${pid === undefined ? "" : ` (pid ${pid})`}.`);
      },
    });
    return { runtime, ports, issuer };
  });
  cleanups.add(() => runtime.dispose());
  options.signal?.throwIfAborted();

  const stack: Stack = {
    personas: await openPersonas(ports, tls, cleanups),
    stateDir: paths.dir,
    kubeconfig: paths.kubeconfig,
    kubeconfigTls: paths.kubeconfigTls,
    kubeconfigPlugin: paths.kubeconfigPlugin,
    endpoints: paths.endpoints,
    d1Path: runtime.d1Path,
    logPath: paths.log,
    upstreamUrl: cluster.url,
    second: ports.second && addresses(ports.second),
    workerUrl: ports.worker === undefined ? undefined : `http://${LOOPBACK}:${ports.worker}`,
    inspectorUrl: runtime.inspectorUrl,
    embedded: cluster.embedded,
    clusterAuditLog: cluster.auditLog,
    access: { issuer, audience: audiences.host, adminAudience: audiences.admin },
    front: {
      ...(await openFront(ports, tls, cleanups)),
      ca: paths.certificateAuthority,
      serviceToken,
    },
    cronUrl: `${issuer}/cdn-cgi/local/scheduled`,
    certificateAuthority: tls.ca.cert,
    workerdPid: () => runtime.workerdPid(),
    stop: () => {
      stopping = true;
      return cleanups.run();
    },
  };
  writeAddresses(stack, plugin, paths);
  return stack;
}

async function endLeftovers(stateDir: string): Promise<number[]> {
  return (await Promise.all([stateDir, objectsMark(stateDir)].map(endLeftoverWorkerd))).flat();
}

function addresses(ports: Readonly<Record<PersonaName, number>>): Record<PersonaName, string> {
  const entries = PERSONA_NAMES.map((name) => [name, `http://${LOOPBACK}:${ports[name]}`]);
  return Object.fromEntries(entries) as Record<PersonaName, string>;
}

/** Waits for all of them, even if one fails. Otherwise a late start would escape the cleanup. */
async function settleAll<T extends readonly unknown[]>(work: { [K in keyof T]: Promise<T[K]> }): Promise<T> {
  await Promise.allSettled(work);
  return (await Promise.all(work)) as unknown as T;
}

async function bundleWorkers(paths: StatePaths, { wranglerConfig }: StackOptions) {
  const edge = readWorkerConfiguration(wranglerConfig ?? EDGE_CONFIGURATION);
  const objects = readWorkerConfiguration(OBJECTS_CONFIGURATION);
  const [edgeModule, objectsModule, accessModule] = await settleAll([
    bundleWorker(edge, join(paths.bundles, "edge")),
    bundleWorker(objects, join(paths.bundles, "objects")),
    bundleFake("access", join(paths.bundles, "access")),
  ]);
  return {
    edge: { configuration: edge, module: edgeModule },
    objects: { configuration: objects, module: objectsModule },
    accessModule,
  };
}

async function openPersonas(ports: PortPlan, tls: TlsIdentity, cleanups: Cleanups): Promise<Stack["personas"]> {
  const entries: [PersonaName, PersonaEndpoint][] = [];
  for (const name of PERSONA_NAMES) {
    const front = await startTlsFront(ports.tls[name], ports.personas[name], tls);
    cleanups.add(() => front.close());
    const url = `http://${LOOPBACK}:${ports.personas[name]}`;
    entries.push([name, { email: PERSONAS[name].email, url, tlsUrl: `https://${LOOPBACK}:${front.port}` }]);
  }
  return Object.fromEntries(entries) as Stack["personas"];
}

/** The address where people sign in. `localhost` is the second cluster's host name there, if there is one. */
async function openFront(
  ports: PortPlan,
  tls: TlsIdentity,
  cleanups: Cleanups,
): Promise<Pick<FrontEndpoint, "url" | "secondUrl">> {
  const front = await startTlsFront(ports.front.tls, ports.front.plain, tls);
  cleanups.add(() => front.close());
  const secondUrl = ports.second && `https://localhost:${front.port}`;
  return { url: `https://${LOOPBACK}:${front.port}`, secondUrl };
}
