/**
 * Which paths open an interactive session, and into what.
 *
 * Sources: pkg/registry/core/pod/rest/subresources.go and the generated PodExecOptions conversions of Kubernetes;
 * pkg/virt-api/api.go of KubeVirt.
 */
import { boolValue, firstValue, type Query } from "./query.ts";
import type { RequestInfo } from "./request-info.ts";

/** The kinds of session there are. */
export const SESSION_KINDS = [
  "exec",
  "attach",
  "port-forward",
  /** A WebSocket of a workload's own, through the proxy subresource of its pod or service. */
  "proxy",
  "console",
  "vnc",
  "usbredir",
  "vsock",
  "vm-port-forward",
] as const;
export type SessionKind = (typeof SESSION_KINDS)[number];

/** What a session reaches and how it was asked for, as the API server understands it. */
export interface SessionTarget {
  readonly sessionKind: SessionKind;
  readonly namespace: string;
  /** The pod, or the virtual machine of a KubeVirt session. */
  readonly pod: string;
  /** Undefined where the API server picks the pod's default, and where there is none. */
  readonly container: string | undefined;
  /** Only for exec: attach joins what already runs and takes no command. */
  readonly command: readonly string[];
  readonly tty: boolean;
  readonly stdin: boolean;
  readonly stdout: boolean;
  readonly stderr: boolean;
  /** The ports named in the request. kubectl names a port-forward's ports only inside the stream. */
  readonly ports: readonly number[];
}

/** Whether the path leads through a pod or a service to what it serves itself. A node's own leads to its kubelet. */
export function isWorkloadProxy(info: RequestInfo): boolean {
  const { isResourceRequest, apiGroup, apiVersion, namespace, resource, name, subresource } = info;
  if (!isResourceRequest || apiGroup !== "" || apiVersion !== "v1" || namespace === "" || name === "") return false;
  return (resource === "pods" || resource === "services") && subresource === "proxy";
}

/** The target of a WebSocket through it: its bytes are the workload's own affair. `pod` may name a service. */
export function proxyTarget({ resource, namespace, name }: RequestInfo): SessionTarget {
  const streams = { container: undefined, command: [], tty: false, stdin: false, stdout: false, stderr: false };
  return {
    sessionKind: "proxy",
    namespace,
    pod: resource === "pods" ? name : `${resource}/${name}`,
    ...streams,
    ports: [],
  };
}

/** A path that belongs to a session, before its shape and query are checked. */
export interface SessionEndpoint {
  readonly sessionKind: SessionKind;
  readonly api: "pod" | "kubevirt";
}

const POD_SESSIONS: ReadonlyMap<string, SessionKind> = new Map([
  ["exec", "exec"],
  ["attach", "attach"],
  ["portforward", "port-forward"],
]);

const VM_SESSIONS: ReadonlyMap<string, SessionKind> = new Map([
  ["console", "console"],
  ["vnc", "vnc"],
  ["usbredir", "usbredir"],
  ["vsock", "vsock"],
  ["portforward", "vm-port-forward"],
]);

/**
 * Tells whether a request's path is about a session, however badly formed the rest is.
 *
 * Deliberately wider than the routes that exist: `pods/x/exec/y` has no route, but the API server still authorises it as
 * pods/exec, so it must never be taken for something plainer than that.
 */
export function findSessionEndpoint(info: RequestInfo): SessionEndpoint | undefined {
  if (!info.isResourceRequest) return undefined;
  if (info.apiGroup === "" && info.resource === "pods") {
    const sessionKind = POD_SESSIONS.get(info.subresource);
    return sessionKind && { sessionKind, api: "pod" };
  }
  if (info.apiGroup !== "subresources.kubevirt.io" || isVncScreenshot(info)) return undefined;
  const sessionKind = VM_SESSIONS.get(info.subresource);
  // A VirtualMachine can be port-forwarded to under its own name too; KubeVirt finds the running instance.
  const known =
    info.resource === "virtualmachineinstances" ||
    (info.resource === "virtualmachines" && sessionKind === "vm-port-forward");
  return known && sessionKind ? { sessionKind, api: "kubevirt" } : undefined;
}

/**
 * Reads a session's target from its path and query.
 *
 * @returns the target, or a reason for a person: the path is not one that is served, or the API server would read the
 *   query differently than an auditor, or not at all.
 */
export function readSessionTarget(
  surface: SessionEndpoint,
  info: RequestInfo,
  query: Query,
): SessionTarget | { readonly reason: string } {
  const { namespace, name, subresource } = info;
  const served = info.verb !== "watch" && namespace !== "" && name !== "" && isServedShape(surface, info);
  if (!served) return { reason: `this is not a path at which Kubernetes serves ${subresource}` };
  // The API server drops such parts silently; a session whose record depends on that is not worth having.
  if (query.malformed) return { reason: "the query has a raw semicolon or a broken percent-escape" };

  const ports = readPorts(surface, info, query);
  if (ports === undefined) return { reason: "the request names a port that is not a number Kubernetes takes" };
  return { sessionKind: surface.sessionKind, namespace, pod: name, ...readStreams(surface.sessionKind, query), ports };
}

/** `vnc/screenshot` answers one picture over plain HTTP. It is the only path below a session's that is not a session. */
function isVncScreenshot(info: RequestInfo): boolean {
  return info.subresource === "vnc" && info.parts[3] === "screenshot" && info.parts.length === 4;
}

function isServedShape(surface: SessionEndpoint, info: RequestInfo): boolean {
  const { apiVersion, parts } = info;
  if (surface.api === "pod") return apiVersion === "v1" && parts.length === 3;
  if (!/^v1(?:(?:alpha|beta)\d+)?$/.test(apiVersion)) return false;
  if (surface.sessionKind !== "vm-port-forward") return parts.length === 3;
  const [, , , port, protocol, ...rest] = parts;
  return port !== undefined && rest.length === 0 && (protocol === undefined || /^(?:tcp|udp)$/.test(protocol));
}

type Streams = Pick<SessionTarget, "container" | "command" | "tty" | "stdin" | "stdout" | "stderr">;

function readStreams(kind: SessionKind, query: Query): Streams {
  switch (kind) {
    case "exec":
    case "attach":
      return {
        // The first counts, and an empty one means the default container.
        container: firstValue(query, "container") || undefined,
        command: kind === "exec" ? (query.values.get("command") ?? []) : [],
        tty: boolValue(query, "tty"),
        stdin: boolValue(query, "stdin"),
        stdout: boolValue(query, "stdout"),
        stderr: boolValue(query, "stderr"),
      };
    case "console":
      // A serial line: a terminal by nature, both ways, without parameters.
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

/** Undefined when a port does not parse: the API server refuses the request then, and so do we. */
function readPorts(surface: SessionEndpoint, info: RequestInfo, query: Query): readonly number[] | undefined {
  switch (surface.sessionKind) {
    case "port-forward":
      // Convert_Slice_string_To_Slice_int32: repeated or separated by commas, each an unsigned 16-bit number.
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

function parsePorts(texts: readonly string[], highest: number): readonly number[] | undefined {
  const ports = texts.map((text) => (/^\d{1,10}$/.test(text) ? Number(text) : Number.NaN));
  return ports.every((port) => port <= highest) ? ports : undefined;
}
