import { logEvent } from "../../common/log.ts";
import { readBoundedText } from "../../common/read-bounded-text.ts";
import { err, ok, type Result } from "../../common/result.ts";
import type { TcpBinding } from "../../contract/bindings.ts";
import { type DenialCode, denial } from "../../contract/denial.ts";
import { readRefusal } from "../../kubernetes/refusal-message.ts";
import type { HeaderLine } from "../../kubernetes/upstream-headers.ts";
import { type Refusal, refusalOf } from "../refusal.ts";
import { headerLines } from "./header-lines.ts";
import type { UpstreamLeg } from "./leg.ts";
import { openTcpLeg } from "./open-tcp-leg.ts";
import { WebSocketLeg } from "./websocket-leg.ts";

/** How long the cluster may take to answer the upgrade. The API server itself gives a kubelet 30 s. */
export const CONNECT_TIMEOUT_MS = 40_000;
/** A Status has less than 2 KiB. More of a broken upstream's answer is not worth the memory. */
const MAX_REFUSAL_BYTES = 64 * 1024;

/** The way to a cluster. */
export type Route =
  | { readonly transport: "websocket"; readonly fetcher: Fetcher }
  /** @property address `host:port` for `connect()` */
  | { readonly transport: "tcp"; readonly connector: TcpBinding; readonly address: string };

export interface DialRequest {
  readonly sessionId: string;
  readonly url: string;
  /** What `buildUpstreamHeaders` made, with `Upgrade: websocket`. */
  readonly headers: Headers;
  /** The Impersonate-* ones among them, a line for each value. */
  readonly impersonation: readonly HeaderLine[];
  /** Aborting it cuts the connection, also long after it was established. */
  readonly signal: AbortSignal;
}

/** Asks the cluster for the upgrade. Never throws: every failure is a refusal that a person can read. */
export async function dial(route: Route, request: DialRequest): Promise<Result<UpstreamLeg, Refusal>> {
  const { sessionId, signal } = request;
  try {
    return await withConnectTimeout(signal, (untilAnswered) =>
      route.transport === "tcp" ? dialTcp(route, request, untilAnswered) : dialWebSocket(route, request, untilAnswered),
    );
  } catch (error) {
    // An aborted dial (a kill, a limit, a client that left) is not the cluster's fault.
    if (!signal.aborted) logEvent("error", "upgrade_failed", { session: sessionId, error: errorName(error) });
    return isTimeout(error)
      ? refused("cluster_timeout", `the cluster did not answer within ${CONNECT_TIMEOUT_MS / 1000} s`)
      : refused("cluster_unreachable", "the cluster cannot be reached");
  }
}

async function dialWebSocket(
  { fetcher }: Extract<Route, { transport: "websocket" }>,
  { url, headers }: DialRequest,
  signal: AbortSignal,
): Promise<Result<UpstreamLeg, Refusal>> {
  const response = await fetcher.fetch(url, { headers, redirect: "manual", signal });
  const socket = response.webSocket;
  if (socket) return ok(new WebSocketLeg(socket, response.headers.get("Sec-WebSocket-Protocol") ?? ""));
  const { text } = await readBoundedText(response.body, MAX_REFUSAL_BYTES);
  return err(refusalOfAnswer(response.status, text));
}

async function dialTcp(
  { connector, address }: Extract<Route, { transport: "tcp" }>,
  { sessionId, url, headers, impersonation, signal }: DialRequest,
  untilAnswered: AbortSignal,
): Promise<Result<UpstreamLeg, Refusal>> {
  const { host, pathname, search } = new URL(url);
  // Half-open: the cluster may end its side before it has read ours. A remote binding may answer with a
  // promise.
  const stream = await connector.connect(address, { allowHalfOpen: true });
  const upgrade = { target: `${pathname}${search}`, host, headers: headerLines(headers, impersonation) };
  const opened = await openTcpLeg(stream, upgrade, MAX_REFUSAL_BYTES, untilAnswered);
  if (opened.ok) {
    signal.addEventListener("abort", () => opened.value.abort());
    return opened;
  }
  const failure = opened.error;
  if (failure.kind === "refused") {
    return err(refusalOfAnswer(failure.status, new TextDecoder().decode(failure.body)));
  }
  const detail = failure.kind === "invalid" ? failure.detail : "the connection ended without an answer";
  logEvent("error", "upgrade_failed", { session: sessionId, error: detail });
  return failure.kind === "unreachable"
    ? refused("cluster_unreachable", "the cluster cannot be reached")
    : refused("cluster_protocol", "the cluster's answer is not the WebSocket that was asked for");
}

/**
 * The timeout covers the answer only: to abort later would cut the session.
 *
 * @param signal aborts the work too
 */
async function withConnectTimeout<T>(signal: AbortSignal, work: (signal: AbortSignal) => Promise<T>): Promise<T> {
  const timeout = new AbortController();
  const timer = setTimeout(() => timeout.abort(new DOMException("connect", "TimeoutError")), CONNECT_TIMEOUT_MS);
  try {
    return await work(AbortSignal.any([signal, timeout.signal]));
  } finally {
    clearTimeout(timer);
  }
}

/** Never the message: it may quote the URL, which has the command. */
function errorName(error: unknown): string {
  return error instanceof Error ? error.name : "unknown error";
}

function isTimeout(error: unknown): boolean {
  return error instanceof DOMException && error.name === "TimeoutError";
}

/**
 * The cluster's own refusal: its status and what it says. Its headers stay behind. The text may come from a
 * workload, so it is neither a page, which a browser would take for one of this origin, nor does it act on a
 * terminal.
 */
function refusalOfAnswer(status: number, body: string): Refusal {
  // A 2xx without an upgrade must not look like success.
  if (status < 400) {
    return refusalOf(denial("cluster_protocol", `the cluster answered ${status} instead of opening a stream`));
  }
  return { status, ...readRefusal(status, body) };
}

function refused(code: DenialCode, what: string): Result<never, Refusal> {
  return err(refusalOf(denial(code, `${what}: try again; if this persists, contact your administrator`)));
}
