/**
 * The Workers of the tests in workerd, for vitest.config.ts.
 *
 * A test file runs inside the main Worker of its project, and the helpers for Durable Objects take stubs of
 * that Worker's own objects only. So there are two projects: `workerd`, whose main Worker is the objects',
 * with the edge bundled beside it, and `workerd-edge`, the other way round. In both, `env.EDGE` is the whole
 * edge. `workerd-websocket` is `workerd` once more, with sessions that reach the fake cluster by the
 * platform's WebSocket instead of TCP.
 */
import { randomInt } from "node:crypto";
import { createServer } from "node:net";
import { readD1Migrations } from "@cloudflare/vitest-plugin";
import { exportJWK, generateKeyPair } from "jose";
import { kCurrentWorker, type V4WorkerOptions } from "miniflare";
import { buildConsole } from "../../console/build.ts";
import type { UpstreamTransport } from "../../contract/upstream.ts";
import type { VpcServiceProps } from "../../dev/vpc/props.ts";
import { bundleFakeToText, bundleToText } from "../../dev/workers/bundle.ts";
import {
  compatibilityDate,
  EDGE_CONFIGURATION,
  LOCAL_ENVIRONMENT,
  OBJECTS_CONFIGURATION,
  readWorkerConfiguration,
} from "../../dev/workers/configuration.ts";

/** How Sallyport's own Workers run, while the fakes keep their date. See test/compatibility-dates.ts. */
function compatibility() {
  const { TEST_COMPATIBILITY_DATE: date, TEST_COMPATIBILITY_FLAGS: flags } = process.env;
  // Both Workers have the same.
  const { compatibilityFlags } = readWorkerConfiguration(EDGE_CONFIGURATION);
  return {
    compatibilityDate: date ?? compatibilityDate(),
    // A new list for each Worker: the plugin adds its own flags to the main one's.
    compatibilityFlags: [...compatibilityFlags, ...(flags?.split(",") ?? [])],
  };
}

/** Name of the bundled edge. */
const EDGE = "sallyport";
/** Name of the fake of a VPC service. */
const VPC = "vpc";
const LOOPBACK = "127.0.0.1";
/** What the plugin calls the main Worker of a project, which other Workers must name to bind its objects. */
const runnerOf = (project: string) => `vitest-plugin-runner-${project}`;

const SALLYPORT_CONFIG = {
  access: { teamDomain: "https://team.cloudflareaccess.com", audiences: ["test-audience", "second-audience"] },
  cluster: "test-cluster",
  tcpBinding: "KUBE_API_TCP",
  identities: [
    { match: { email: "admin@example.com" }, groups: ["developers"], roles: ["admin"] },
    { match: { claim: "custom.groups", value: "developers" }, groups: ["developers", "oncall"] },
    { match: { emailDomain: "viewers.example.com" }, groups: ["viewers"] },
  ],
  limits: { maxSessionsPerUser: 3, idleTimeoutSeconds: 600, maxDurationSeconds: 3600 },
};

/**
 * Options of a project whose main Worker is the objects'.
 *
 * @param project its name
 * @param transport how sessions reach the fake cluster
 */
export async function objectsProject(project: string, transport: UpstreamTransport) {
  const { bindings, fakes, tcp } = await testBindings(transport);
  const edge: V4WorkerOptions = {
    ...(await auxiliaryWorker(EDGE_CONFIGURATION)),
    name: EDGE,
    bindings: { SALLYPORT_CONFIG: bindings.SALLYPORT_CONFIG },
    durableObjects: {
      USER_SESSIONS: { className: "UserSessions", scriptName: runnerOf(project) },
      DIRECTORY: { className: "Directory", scriptName: runnerOf(project) },
    },
    serviceBindings: { KUBE_API: "cluster" },
    outboundService: "access",
  };
  return {
    wrangler: { configPath: OBJECTS_CONFIGURATION, environment: LOCAL_ENVIRONMENT },
    miniflare: {
      ...compatibility(),
      bindings,
      serviceBindings: { KUBE_API: "cluster", KUBE_API_TCP: tcp, EDGE },
      outboundService: "access",
      workers: [edge, ...fakes],
    },
  };
}

/** Options of the project whose main Worker is the edge. */
export async function edgeProject() {
  // Vitest bundles this project's main Worker, so nothing else builds what it imports.
  await buildConsole();
  const { bindings, fakes, tcp } = await testBindings("auto");
  const objects: V4WorkerOptions = {
    ...(await auxiliaryWorker(OBJECTS_CONFIGURATION)),
    name: readWorkerConfiguration(OBJECTS_CONFIGURATION).name,
    serviceBindings: { KUBE_API: "cluster", KUBE_API_TCP: tcp },
  };
  return {
    wrangler: { configPath: EDGE_CONFIGURATION, environment: LOCAL_ENVIRONMENT },
    miniflare: {
      ...compatibility(),
      bindings,
      serviceBindings: { KUBE_API: "cluster", EDGE: kCurrentWorker },
      outboundService: "access",
      workers: [objects, ...fakes],
    },
  };
}

/**
 * A Worker beside the main one: bundled from its sources as they are now, with the bindings of its local
 * environment.
 */
async function auxiliaryWorker(file: string) {
  // Here, because it takes a second to load and the unit tests do not need it.
  const { unstable_getMiniflareWorkerOptions } = await import("wrangler");
  const { d1Databases, r2Buckets, durableObjects } = unstable_getMiniflareWorkerOptions(file, LOCAL_ENVIRONMENT)
    .workerOptions as V4WorkerOptions;
  const contents = await bundleToText(readWorkerConfiguration(file));
  return {
    ...compatibility(),
    modules: [{ type: "ESModule" as const, path: "index.js", contents }],
    ...(d1Databases && { d1Databases }),
    ...(r2Buckets && { r2Buckets }),
    ...(durableObjects && { durableObjects }),
  };
}

/**
 * What the tests themselves need, and the fakes of the world outside: a cluster, and Access with a key set of
 * this run.
 */
async function testBindings(transport: UpstreamTransport) {
  const { publicKey, privateKey } = await generateKeyPair("RS256", { extractable: true });
  const publicJwk = { ...(await exportJWK(publicKey)), kid: "test-key", alg: "RS256", use: "sig" };
  const privateJwk = { ...(await exportJWK(privateKey)), kid: "test-key", alg: "RS256" };
  const clusterPort = await findFreePort();
  const fakes: V4WorkerOptions[] = [
    {
      name: "cluster",
      modules: ["cluster", "puppet", "scripts"].map((name) => ({
        type: "ESModule" as const,
        path: `test/workerd/fakes/${name}.js`,
      })),
      compatibilityDate: compatibilityDate(),
      durableObjects: { PUPPETS: "Puppet" },
      // The same cluster for who comes by TCP: a real server of HTTP/1.1 and WebSockets.
      unsafeDirectSockets: [{ host: LOOPBACK, port: clusterPort }],
    },
    {
      name: VPC,
      modules: [{ type: "ESModule" as const, path: "index.js", contents: await bundleFakeToText("vpc") }],
      compatibilityDate: compatibilityDate(),
    },
    {
      name: "access",
      modules: true,
      scriptPath: "test/workerd/fakes/access.js",
      compatibilityDate: compatibilityDate(),
      bindings: { KEY_SET: { keys: [publicJwk] } },
    },
  ];
  const bindings = {
    SALLYPORT_CONFIG: { ...SALLYPORT_CONFIG, transport },
    TEST_MIGRATIONS: await readD1Migrations("migrations"),
    TEST_SIGNING_KEY: privateJwk,
    TEST_YEAR_PEOPLE: Number(process.env["SALLYPORT_YEAR_PEOPLE"] ?? 1),
  };
  const tcp = { name: VPC, props: { address: `${LOOPBACK}:${clusterPort}` } satisfies VpcServiceProps };
  return { bindings, fakes, tcp };
}

/**
 * A free port below those that the system gives to outgoing connections, which could take it before workerd
 * does. Each run of a project's options is another workerd.
 */
async function findFreePort(): Promise<number> {
  for (;;) {
    const port = randomInt(10_000, 32_768);
    const server = createServer();
    const isFree = await new Promise<boolean>((resolve) => {
      server.once("error", () => resolve(false)).listen(port, LOOPBACK, () => resolve(true));
    });
    if (!isFree) continue;
    await new Promise((resolve) => server.close(resolve));
    return port;
  }
}
