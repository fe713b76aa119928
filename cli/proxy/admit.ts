/**
 * Whom the proxy serves. It adds a credential to whatever it passes on, so nobody but the programs of its
 * user may reach it: no web page, and no other user of this machine. Pure.
 */
import { timingSafeEqual } from "node:crypto";
import { err, ok, type Result } from "../../common/result.ts";

export interface IncomingHead {
  /** The request target as it was sent. */
  readonly target: string;
  /** Headers as Node.js gives them, in lower case. */
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
}

export interface ProxyAddress {
  readonly port: number;
  /**
   * `/` and a random text, which only those know who may read the address: kubectl sends no token over HTTP.
   */
  readonly secretPath: string;
}

export interface Refusal {
  readonly status: 400 | 403 | 404;
  readonly message: string;
}

/** @returns the target to ask the deployment for, or a refusal */
export function admitRequest(
  { target, headers }: IncomingHead,
  { port, secretPath }: ProxyAddress,
): Result<string, Refusal> {
  const own = ["127.0.0.1", "localhost"].flatMap((name) => hostsOf(name, port));
  const { host, origin, "sec-fetch-site": site } = headers;
  // A page whose own name resolves to 127.0.0.1 (DNS rebinding) sends that name.
  if (typeof host !== "string" || !own.includes(host)) {
    return refuse(403, `this proxy answers to ${own[0]} only`);
  }
  const isForeignOrigin = origin !== undefined && !own.some((each) => origin === `http://${each}`);
  const isForeignSite = site !== undefined && site !== "same-origin" && site !== "none";
  if (isForeignOrigin || isForeignSite) return refuse(403, "requests of web pages are refused");
  // An absolute target could name another host than the Host header.
  if (!target.startsWith("/")) return refuse(400, "the request target must be a path");
  const rest = afterPrefix(target, secretPath);
  return rest === undefined
    ? refuse(404, "this is not the address that the proxy has printed: it ends with a secret path")
    : ok(rest);
}

/**
 * How a client may name a host: without the port where it is the scheme's (RFC 9110, sections 4.2.3 and 7.2).
 */
function hostsOf(name: string, port: number): string[] {
  return port === 80 ? [`${name}:${port}`, name] : [`${name}:${port}`];
}

/** Compares in constant time: the path is a secret. */
function afterPrefix(target: string, secretPath: string): string | undefined {
  const prefix = Buffer.from(target.slice(0, secretPath.length));
  const expected = Buffer.from(secretPath);
  if (prefix.length !== expected.length || !timingSafeEqual(prefix, expected)) return undefined;
  const rest = target.slice(secretPath.length);
  if (rest === "") return "/";
  if (rest.startsWith("?")) return `/${rest}`;
  return rest.startsWith("/") ? rest : undefined;
}

function refuse(status: Refusal["status"], message: string): Result<never, Refusal> {
  return err({ status, message });
}

/** A refusal as a Kubernetes Status, whose message kubectl shows. */
export function refusalStatus({ status, message }: { readonly status: number; readonly message: string }): string {
  const reason = { 400: "BadRequest", 403: "Forbidden", 404: "NotFound" }[status] ?? "ServiceUnavailable";
  return `${JSON.stringify({
    kind: "Status",
    apiVersion: "v1",
    metadata: {},
    status: "Failure",
    message: `kubectl sallyport proxy: ${message}`,
    reason,
    code: status,
  })}\n`;
}
