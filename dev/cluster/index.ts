import { existsSync, mkdirSync } from "node:fs";
import type { AddressInfo, Socket } from "node:net";
import { dirname, join, resolve } from "node:path";
import { Store } from "./api/storage.ts";
import { AuditLog } from "./auth/audit.ts";
import { Authorizer } from "./auth/authorizer.ts";
import { installRbac } from "./auth/rbac.ts";
import { DEMO_NAMESPACE, installDemo } from "./demo.ts";
import { eventRecorder } from "./pods/events.ts";
import { Kubelet } from "./pods/kubelet.ts";
import { ProcessRunner } from "./pods/runner.ts";
import { createApiServer } from "./server.ts";
import { startWorkloadControllers } from "./workloads.ts";

/** How long clients of sessions have at the end to answer the close. */
const GOODBYE_MS = 2_000;

export interface EmbeddedCluster {
  /** The API's address. It needs no credentials, like that of a `kubectl proxy`. */
  readonly url: string;
  /** Path of the cluster's own audit log. */
  readonly auditLog: string;
  /** Ends all connections and all processes of pods and sessions. */
  close(): Promise<void>;
}

export interface EmbeddedClusterOptions {
  /** Default 0: any free port. Always on 127.0.0.1. */
  readonly port?: number;
  /** Folder of the audit log and of the pods' folders. One running cluster per folder. */
  readonly stateDir: string;
  /** The name of its node. */
  readonly name?: string;
}

/**
 * Starts a small Kubernetes API server in this process, with demo pods that are processes of this machine. It
 * takes every client for the proxy's account, whose role may impersonate anybody, so it listens on the
 * loopback address only.
 */
export async function startEmbeddedCluster(options: EmbeddedClusterOptions): Promise<EmbeddedCluster> {
  const { port = 0, name: nodeName = "embedded" } = options;
  // An absolute path, because programs in a pod start in another folder.
  const stateDir = resolve(options.stateDir);
  makeFolder(stateDir);
  const auditLog = join(stateDir, "audit.log");

  const store = new Store();
  const runner = new ProcessRunner(stateDir);
  await runner.open();
  const kubelet = new Kubelet({ store, runner, stateDir, nodeName, record: eventRecorder(store) });
  const audit = new AuditLog(auditLog);
  const server = createApiServer({ store, kubelet, runner, audit, authorizer: new Authorizer(store) });
  const sockets = new Set<Socket>();
  server.on("connection", (socket) => {
    sockets.add(socket);
    socket.once("close", () => sockets.delete(socket));
  });
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject).listen(port, "127.0.0.1", resolve);
  });

  kubelet.start();
  const stopControllers = startWorkloadControllers(store);
  installRbac(store, DEMO_NAMESPACE);
  installDemo(store, nodeName);

  const { port: actualPort } = server.address() as AddressInfo;
  return {
    url: `http://127.0.0.1:${actualPort}`,
    auditLog,
    close: async () => {
      stopControllers();
      const closed = new Promise((resolve) => server.close(resolve));
      server.closeAllConnections();
      await Promise.all([kubelet.close(), runner.close()]);
      // Clients of sessions have been told, and may not answer.
      const cut = setTimeout(() => {
        for (const socket of sockets) socket.destroy();
      }, GOODBYE_MS);
      await closed;
      clearTimeout(cut);
      await audit.close();
    },
  };
}

// Not `recursive: true`: Node loops for ever where a folder cannot be created although its parent exists
// (/proc).
function makeFolder(path: string): void {
  if (existsSync(path)) return;
  makeFolder(dirname(path));
  mkdirSync(path, { mode: 0o700 });
}
