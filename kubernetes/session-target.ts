/**
 * Detects paths that open an interactive session, and reads the target of the session.
 *
 * Sources: pkg/registry/core/pod/rest/subresources.go and the generated PodExecOptions conversions of
 * Kubernetes; pkg/virt-api/api.go of KubeVirt.
 */
import { err, ok, type Result } from "../common/result.ts";
import { getBooleanParameter, getParameter, type Query } from "./query.ts";
import type { RequestInfo } from "./request-info.ts";

export const SESSION_KINDS = [
  "exec",
  "attach",
  "port-forward",
  /** A WebSocket to a workload, through the proxy subresource of its pod or service. */
  "proxy",
  "console",
  "vnc",
  "usbredir",
  "vsock",
  "vm-port-forward",
] as const;
export type SessionKind = (typeof SESSION_KINDS)[number];

/** The target and parameters of a session, as the API server reads them. */
export interface SessionTarget {
  readonly sessionKind: SessionKind;
  readonly namespace: string;
  /** The pod, the virtual machine of KubeVirt, or `services/{name}` for a proxied service. */
  readonly pod: string;
  /** Undefined for the pod's default container, and for sessions without one. */
  readonly container: string | undefined;
  /** Empty except for exec. */
  readonly command: readonly string[];
  readonly tty: boolean;
  readonly stdin: boolean;
  readonly stdout: boolean;
  readonly stderr: boolean;
  /** The ports in the request. kubectl sends the ports of a port-forward only inside the stream. */
  readonly ports: readonly number[];
}

/**
 * Tells whether a request goes through a pod or service to the workload. A node's proxy leads to its kubelet.
 */
export function isWorkloadProxy(info: RequestInfo): boolean {
  const { isResourceRequest, apiGroup, apiVersion, namespace, resource, name, subresource } = info;
  if (!isResourceRequest || apiGroup !== "" || apiVersion !== "v1" || namespace === "" || name === "") return false;
  return (resource === "pods" || resource === "services") && subresource === "proxy";
}

/** Returns the target of a WebSocket to a workload. Its bytes have no known protocol. */
export function workloadProxyTarget({ resource, namespace, name }: RequestInfo): SessionTarget {
  const streams = { container: undefined, command: [], tty: false, stdin: false, stdout: false, stderr: false };
  return {
    sessionKind: "proxy",
    namespace,
    pod: resource === "pods" ? name : `${resource}/${name}`,
    ...streams,
    ports: [],
  };
}

/** A path of a session, before its shape and query are checked. */
export interface SessionEndpoint {
  readonly sessionKind: SessionKind;
  readonly api: "pod" | "kubevirt";
}

const POD_SESSIONS: ReadonlyMap<string, SessionKind> = new Map([
  ["exec", "exec"],
  ["attach", "attach"],
  ["portforward", "port-forward"],
]);

/** The API group of everything that KubeVirt serves below a virtual machine. */
export const KUBEVIRT_SUBRESOURCES = "subresources.kubevirt.io";

const VM_SESSIONS: ReadonlyMap<string, SessionKind> = new Map([
  ["console", "console"],
  ["vnc", "vnc"],
  ["usbredir", "usbredir"],
  ["vsock", "vsock"],
  ["portforward", "vm-port-forward"],
]);

/**
 * Finds out whether a request's path is about a session, even when the rest of the request is invalid.
 *
 * Wider than the routes of the API server on purpose. It has no route for `pods/x/exec/y`, but it authorizes
 * that as pods/exec, so Sallyport must not treat it as an API request.
 */
export function findSessionEndpoint(info: RequestInfo): SessionEndpoint | undefined {
  if (!info.isResourceRequest) return undefined;
  if (info.apiGroup === "" && info.resource === "pods") {
    const sessionKind = POD_SESSIONS.get(info.subresource);
    return sessionKind && { sessionKind, api: "pod" };
  }
  if (info.apiGroup !== KUBEVIRT_SUBRESOURCES || isVncScreenshot(info)) return undefined;
  const sessionKind = VM_SESSIONS.get(info.subresource);
  // A port-forward may also name the VirtualMachine: KubeVirt finds the running instance.
  const isKnown =
    info.resource === "virtualmachineinstances" ||
    (info.resource === "virtualmachines" && sessionKind === "vm-port-forward");
  return isKnown && sessionKind ? { sessionKind, api: "kubevirt" } : undefined;
}

/**
 * The kind of session whose rules a request without an upgrade falls under, if any: `vnc/screenshot` shows
 * what a VNC session shows. Every path at or below the subresource of a kind counts, served by KubeVirt or
 * not.
 */
export function plainSessionKind({ isResourceRequest, apiGroup, subresource }: RequestInfo): SessionKind | undefined {
  return isResourceRequest && apiGroup === KUBEVIRT_SUBRESOURCES ? VM_SESSIONS.get(subresource) : undefined;
}

/**
 * Reads the target of a session from its path and query.
 *
 * @returns the error, for a person, when Kubernetes does not serve the path, or when the API server and an
 *   auditor could read the query differently
 */
export function readSessionTarget(
  endpoint: SessionEndpoint,
  info: RequestInfo,
  query: Query,
): Result<SessionTarget, string> {
  const { namespace, name, subresource } = info;
  const isServed = info.verb !== "watch" && namespace !== "" && name !== "" && isServedShape(endpoint, info);
  if (!isServed) return err(`Kubernetes does not serve ${subresource} at this path`);
  // The API server drops such parts without an error, so the audit log
  // could show another command than it runs.
  if (query.isMalformed) return err("the query has a raw semicolon or invalid percent-encoding");

  const ports = readPorts(endpoint, info, query);
  if (ports === undefined) return err("the request has a port that Kubernetes does not accept");
  const { sessionKind } = endpoint;
  return ok({ sessionKind, namespace, pod: name, ...readStreams(sessionKind, query), ports });
}

/**
 * `vnc/screenshot` returns one picture over HTTP. It is the only path below
 * a session endpoint that is no session. Rules about `vnc` apply to it: see `plainSessionKind`.
 */
function isVncScreenshot(info: RequestInfo): boolean {
  return info.subresource === "vnc" && info.parts[3] === "screenshot" && info.parts.length === 4;
}

function isServedShape(endpoint: SessionEndpoint, info: RequestInfo): boolean {
  const { apiVersion, parts } = info;
  if (endpoint.api === "pod") return apiVersion === "v1" && parts.length === 3;
  if (!/^v1(?:(?:alpha|beta)\d+)?$/.test(apiVersion)) return false;
  if (endpoint.sessionKind !== "vm-port-forward") return parts.length === 3;
  const [, , , port, protocol, ...rest] = parts;
  return port !== undefined && rest.length === 0 && (protocol === undefined || /^(?:tcp|udp)$/.test(protocol));
}

type Streams = Pick<SessionTarget, "container" | "command" | "tty" | "stdin" | "stdout" | "stderr">;

function readStreams(kind: SessionKind, query: Query): Streams {
  switch (kind) {
    case "exec":
    case "attach":
      return {
        // An empty name means the default container.
        container: getParameter(query, "container") || undefined,
        command: kind === "exec" ? (query.values.get("command") ?? []) : [],
        tty: getBooleanParameter(query, "tty"),
        stdin: getBooleanParameter(query, "stdin"),
        stdout: getBooleanParameter(query, "stdout"),
        stderr: getBooleanParameter(query, "stderr"),
      };
    case "console":
      // A serial console: always a terminal, without parameters.
      return { container: undefined, command: [], tty: true, stdin: true, stdout: true, stderr: false };
    case "port-forward":
    case "proxy":
    case "vnc":
    case "usbredir":
    case "vsock":
    case "vm-port-forward":
      return { container: undefined, command: [], tty: false, stdin: false, stdout: false, stderr: false };
  }
}

/** @returns undefined when a port is invalid: the API server refuses such a request too */
function readPorts(endpoint: SessionEndpoint, info: RequestInfo, query: Query): readonly number[] | undefined {
  switch (endpoint.sessionKind) {
    case "port-forward":
      // Convert_Slice_string_To_Slice_int32: repeated or separated by commas, each with 16 unsigned bits.
      return parsePorts(
        (query.values.get("ports") ?? []).flatMap((value) => value.split(",")),
        0xffff,
      );
    case "vm-port-forward":
      return parsePorts(info.parts.slice(3, 4), 0xffff);
    case "vsock":
      return parsePorts((query.values.get("port") ?? []).slice(0, 1), 0xffff_ffff);
    case "exec":
    case "attach":
    case "proxy":
    case "console":
    case "vnc":
    case "usbredir":
      return [];
  }
}

function parsePorts(texts: readonly string[], max: number): readonly number[] | undefined {
  const ports = texts.map((text) => (/^\d{1,10}$/.test(text) ? Number(text) : Number.NaN));
  return ports.every((port) => port <= max) ? ports : undefined;
}
