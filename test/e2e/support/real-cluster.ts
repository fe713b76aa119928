/** A real cluster for tests, where one is at hand: reached through `kubectl proxy`, its audit log read afterwards. */
import { type ChildProcess, spawn } from "node:child_process";
import { closeSync, openSync, readdirSync, readFileSync, readSync, statSync } from "node:fs";
import { dirname, join } from "node:path";
import { kubectlPath } from "./kubectl.ts";

/** What tests of a real cluster need, from the variables that `.ci/smoke` exports. */
export interface RealCluster {
  /** kubeconfig of an account that may impersonate, and nothing else. */
  readonly impersonator: string;
  /** Path of the API server's audit log. */
  readonly auditLog: string;
}

/** The cluster, or undefined where there is none: then it prints why a test cannot run. */
export function realCluster(test: string): RealCluster | undefined {
  const { KUBE_TEST_IMPERSONATOR: impersonator, KUBE_TEST_AUDIT: auditLog } = process.env;
  if (impersonator && auditLog) return { impersonator, auditLog };
  console.error(`SKIP ${test}: no real cluster (KUBE_TEST_IMPERSONATOR and KUBE_TEST_AUDIT name one, see .ci/smoke)`);
  return undefined;
}

/** Where the API server is, and the account's token for it. */
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

/** `kubectl proxy` with the account's token, as it stands at a tunnel's end. */
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
    return new Promise((ready, failed) => {
      let said = "";
      const hear = (chunk: Buffer) => {
        said += chunk.toString();
        const address = /^Starting to serve on (\S+)/m.exec(said)?.[1];
        if (address) ready(new KubectlProxy(child, `http://${address}`));
      };
      child.stdout.on("data", hear);
      child.stderr.on("data", hear);
      child.once("error", failed);
      child.once("exit", (code) => failed(new Error(`kubectl proxy ended with ${code}: ${said}`)));
    });
  }

  stop(): void {
    this.#child.kill();
  }
}

/** An `audit.k8s.io/v1` Event, as far as these tests look. */
export interface AuditEvent {
  readonly auditID: string;
  readonly stage: string;
  readonly requestURI: string;
  readonly verb: string;
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

/** What the audit log has gained since this was made. Others use the cluster too: only lines with a word of ours count. */
export class AuditTail {
  readonly #path: string;
  readonly #word: string;
  readonly #events: AuditEvent[] = [];
  #file: number;
  #inode: number;
  #at: number;
  #rest = Buffer.alloc(0);

  constructor(path: string, word: string) {
    this.#path = path;
    this.#word = word;
    const { ino, size } = statSync(path);
    this.#file = openSync(path, "r");
    this.#inode = ino;
    this.#at = size;
  }

  /** All of ours up to now. */
  read(): readonly AuditEvent[] {
    this.#readOn();
    // The API server puts a full log aside and begins another.
    for (const next of this.#newer()) {
      closeSync(this.#file);
      this.#file = openSync(next.path, "r");
      this.#inode = next.ino;
      this.#at = 0;
      this.#readOn();
    }
    return this.#events;
  }

  close(): void {
    closeSync(this.#file);
  }

  #readOn(): void {
    const buffer = Buffer.alloc(1024 * 1024);
    for (;;) {
      const length = readSync(this.#file, buffer, 0, buffer.length, this.#at);
      if (length === 0) return;
      this.#at += length;
      const bytes = Buffer.concat([this.#rest, buffer.subarray(0, length)]);
      const end = bytes.lastIndexOf("\n") + 1;
      this.#rest = bytes.subarray(end);
      for (const line of bytes.toString("utf8", 0, end).split("\n")) {
        if (line.includes(this.#word)) this.#events.push(JSON.parse(line) as AuditEvent);
      }
    }
  }

  /** The log's files that are younger than the one being read, oldest first. */
  #newer(): { path: string; ino: number }[] {
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
