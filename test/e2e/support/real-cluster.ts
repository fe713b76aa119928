/**
 * A real cluster for tests, if there is one: reached through `kubectl proxy`, with access to its audit log.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { closeSync, openSync, readdirSync, readFileSync, readSync, statSync } from "node:fs";
import { dirname, join } from "node:path";
import { kubectlPath } from "../../../dev/programs/kubectl.ts";

/** What tests on a real cluster need. `.ci/smoke` exports the variables. */
export interface RealCluster {
  /** The kubeconfig of an account that may impersonate and do nothing else. */
  readonly impersonator: string;
  /** The path of the API server's audit log. */
  readonly auditLog: string;
}

/** Returns the cluster, or prints why the test is skipped and returns undefined. */
export function realCluster(test: string): RealCluster | undefined {
  const { KUBE_TEST_IMPERSONATOR: impersonator, KUBE_TEST_AUDIT: auditLog } = process.env;
  if (impersonator && auditLog) return { impersonator, auditLog };
  console.error(`SKIP ${test}: set KUBE_TEST_IMPERSONATOR and KUBE_TEST_AUDIT, as .ci/smoke does`);
  return undefined;
}

/** Reads the API server's address and the account's token. */
export function readKubeconfig(path: string): { host: string; port: number; ca: Buffer; token: string } {
  const text = readFileSync(path, "utf8");
  const field = (name: string) => {
    const value = new RegExp(`^\\s*${name}: (\\S+)$`, "m").exec(text)?.[1];
    if (value === undefined) throw new Error(`${path} has no ${name}`);
    return value;
  };
  const { hostname, port } = new URL(field("server"));
  const ca = Buffer.from(field("certificate-authority-data"), "base64");
  return { host: hostname, port: Number(port), ca, token: field("token") };
}

/** `kubectl proxy` with the account's token, as at the end of a tunnel. */
export class KubectlProxy {
  readonly url: string;
  readonly #child: ChildProcess;

  private constructor(child: ChildProcess, url: string) {
    this.#child = child;
    this.url = url;
  }

  static start({ impersonator }: RealCluster): Promise<KubectlProxy> {
    const flags = ["proxy", "--port=0", "--reject-paths=^$", "--accept-hosts=.*"];
    const child = spawn(kubectlPath(), [`--kubeconfig=${impersonator}`, ...flags], {
      stdio: ["ignore", "pipe", "pipe"],
    });
    // A run that ends in another way than by `stop` must not leave an open door to the cluster.
    process.once("exit", () => child.kill());
    return new Promise((ready, failed) => {
      let output = "";
      const onOutput = (chunk: Buffer) => {
        output += chunk.toString();
        const address = /^Starting to serve on (\S+)/m.exec(output)?.[1];
        if (address) ready(new KubectlProxy(child, `http://${address}`));
      };
      child.stdout.on("data", onOutput);
      child.stderr.on("data", onOutput);
      child.once("error", failed);
      child.once("exit", (code) => failed(new Error(`kubectl proxy exited with ${code}: ${output}`)));
    });
  }

  stop(): void {
    this.#child.kill();
  }
}

/** The fields of an `audit.k8s.io/v1` Event that these tests read. */
export interface AuditEvent {
  readonly auditID: string;
  readonly stage: string;
  readonly requestURI: string;
  readonly verb: string;
  readonly requestReceivedTimestamp?: string;
  readonly userAgent?: string;
  readonly user: { readonly username: string };
  readonly impersonatedUser?: {
    readonly username: string;
    readonly groups?: readonly string[];
    readonly extra?: Readonly<Record<string, readonly string[]>>;
  };
  readonly objectRef?: {
    readonly resource?: string;
    readonly namespace?: string;
    readonly name?: string;
    readonly apiGroup?: string;
    readonly subresource?: string;
  };
  readonly responseStatus?: { readonly code?: number };
}

/**
 * Reads the audit log's events since its creation. Others use the cluster too, so only lines with this test's
 * marker count.
 */
export class AuditTail {
  readonly #path: string;
  readonly #marker: string;
  readonly #events: AuditEvent[] = [];
  #file: number;
  #inode: number;
  #offset: number;
  #rest = Buffer.alloc(0);

  constructor(path: string, marker: string) {
    this.#path = path;
    this.#marker = marker;
    const { ino, size } = statSync(path);
    this.#file = openSync(path, "r");
    this.#inode = ino;
    this.#offset = size;
  }

  /** All of this test's events so far. */
  read(): readonly AuditEvent[] {
    this.#readNew();
    // The API server rotates a full log.
    for (const next of this.#newerFiles()) {
      closeSync(this.#file);
      this.#file = openSync(next.path, "r");
      this.#inode = next.ino;
      this.#offset = 0;
      this.#readNew();
    }
    return this.#events;
  }

  close(): void {
    closeSync(this.#file);
  }

  #readNew(): void {
    const buffer = Buffer.alloc(1024 * 1024);
    for (;;) {
      const length = readSync(this.#file, buffer, 0, buffer.length, this.#offset);
      if (length === 0) return;
      this.#offset += length;
      const bytes = Buffer.concat([this.#rest, buffer.subarray(0, length)]);
      const end = bytes.lastIndexOf("\n") + 1;
      this.#rest = bytes.subarray(end);
      for (const line of bytes.toString("utf8", 0, end).split("\n")) {
        if (line.includes(this.#marker)) this.#events.push(JSON.parse(line) as AuditEvent);
      }
    }
  }

  /** The log files that are newer than the one being read, oldest first. */
  #newerFiles(): { path: string; ino: number }[] {
    if (statSync(this.#path).ino === this.#inode) return [];
    const folder = dirname(this.#path);
    const files = readdirSync(folder)
      .filter((name) => /^audit.*\.log$/.test(name))
      .map((name) => join(folder, name))
      .map((path) => ({ path, ino: statSync(path).ino, at: statSync(path).mtimeMs }))
      .sort((one, other) => one.at - other.at);
    return files.slice(files.findIndex(({ ino }) => ino === this.#inode) + 1);
  }
}
