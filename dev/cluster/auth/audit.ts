import { randomUUID } from "node:crypto";
import { createWriteStream, type WriteStream } from "node:fs";
import type { IncomingMessage } from "node:http";
import type { Decision } from "./authorizer.ts";
import { PROXY_ACCOUNT, type UserInfo } from "./identity.ts";
import type { RequestInfo } from "./request-info.ts";

type Stage = "ResponseStarted" | "ResponseComplete";

/**
 * The cluster's own audit log: `audit.k8s.io/v1` Events of level Metadata, one JSON line each, like
 * kube-apiserver's.
 */
export class AuditLog {
  readonly #file: WriteStream;

  constructor(path: string) {
    this.#file = createWriteStream(path, { flags: "a", mode: 0o600 });
  }

  /** Starts the audit of a request. Nothing is written before a stage is reported. */
  begin(request: IncomingMessage, requestInfo: RequestInfo, user: UserInfo): AuditedRequest {
    return new AuditedRequest(request, requestInfo, user, (event) => {
      // A session on a frozen connection can outlive the cluster.
      if (this.#file.writable) this.#file.write(`${JSON.stringify(event)}\n`);
    });
  }

  /** Resolves when all lines are on disk. */
  close(): Promise<void> {
    return new Promise((resolve) => this.#file.end(resolve));
  }
}

/** The audit of one request. Streams report their start and their end, other requests only their end. */
export class AuditedRequest {
  readonly auditId = randomUUID();
  readonly #event: object;
  readonly #write: (event: object) => void;
  #annotations: Record<string, string> = {};
  #complete = false;

  constructor(request: IncomingMessage, info: RequestInfo, user: UserInfo, write: (event: object) => void) {
    const isImpersonated = request.headers["impersonate-user"] !== undefined;
    this.#write = write;
    this.#event = {
      kind: "Event",
      apiVersion: "audit.k8s.io/v1",
      level: "Metadata",
      auditID: this.auditId,
      requestURI: request.url ?? "",
      verb: info.verb,
      user: isImpersonated ? PROXY_ACCOUNT : user,
      ...(isImpersonated ? { impersonatedUser: user } : {}),
      sourceIPs: [request.socket.remoteAddress ?? ""],
      userAgent: request.headers["user-agent"] ?? "",
      ...(info.isResource ? { objectRef: objectRef(info) } : {}),
      requestReceivedTimestamp: now(),
    };
  }

  decided({ allowed, reason }: Decision): void {
    this.#annotations = {
      "authorization.k8s.io/decision": allowed ? "allow" : "forbid",
      "authorization.k8s.io/reason": reason,
    };
  }

  /** Reports that a stream has started, with the status code that its client saw. */
  started(code: number): void {
    this.#report("ResponseStarted", code);
  }

  /** Reports the end of the request. Only the first call counts. */
  completed(code: number): void {
    if (this.#complete) return;
    this.#complete = true;
    this.#report("ResponseComplete", code);
  }

  #report(stage: Stage, code: number): void {
    const responseStatus = { metadata: {}, code };
    this.#write({ ...this.#event, stage, responseStatus, stageTimestamp: now(), annotations: this.#annotations });
  }
}

function objectRef(info: Extract<RequestInfo, { isResource: true }>): object {
  const { resource, namespace, name, group, version, subresource } = info;
  const fields = { resource, namespace, name, apiGroup: group, apiVersion: version, subresource };
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== ""));
}

// metav1.MicroTime has six decimals; this clock has three.
const now = (): string => new Date().toISOString().replace("Z", "000Z");
