import { logEvent } from "../common/log.ts";
import { readBoundedText } from "../common/read-bounded-text.ts";
import { err, ok, type Result } from "../common/result.ts";
import { type DenialCode, denial } from "../contract/denial.ts";
import { type Refusal, refusalOf } from "./refusal.ts";

/** How long the cluster may take to answer the upgrade. The API server itself gives a kubelet 30 s. */
const CONNECT_TIMEOUT_MS = 40_000;
/** A Status has less than 2 KiB. More of a broken upstream's answer is not worth the memory. */
const MAX_REFUSAL_BYTES = 64 * 1024;

/** The cluster's end of a session. */
export interface Upstream {
  readonly socket: WebSocket;
  /** The subprotocol that the cluster chose, `""` for none. */
  readonly subprotocol: string;
}

export interface DialRequest {
  readonly sessionId: string;
  readonly url: string;
  /** What `buildUpstreamHeaders` made, with `Upgrade: websocket`. */
  readonly headers: Headers;
  /** Aborting it cuts the connection, also long after it was established. */
  readonly signal: AbortSignal;
}

/** Asks the cluster for the upgrade. Never throws: every failure is a refusal that a person can read. */
export async function dial(cluster: Fetcher, request: DialRequest): Promise<Result<Upstream, Refusal>> {
  const { sessionId, url, headers, signal } = request;
  try {
    return await withConnectTimeout(async (timeout) => {
      const response = await cluster.fetch(url, {
        headers,
        redirect: "manual",
        signal: AbortSignal.any([signal, timeout]),
      });
      const socket = response.webSocket;
      if (!socket) return err(await readRefusal(response));
      return ok({ socket, subprotocol: response.headers.get("Sec-WebSocket-Protocol") ?? "" });
    });
  } catch (error) {
    // An aborted dial (a kill, a limit, a client that left) is not the cluster's fault.
    if (!signal.aborted) logEvent("error", "upgrade_failed", { session: sessionId, error: errorName(error) });
    return isTimeout(error)
      ? refused("cluster_timeout", `the cluster did not answer within ${CONNECT_TIMEOUT_MS / 1000} s`)
      : refused("cluster_unreachable", "the cluster cannot be reached");
  }
}

/** The timeout covers the answer only: to abort later would cut the session. */
async function withConnectTimeout<T>(work: (timeout: AbortSignal) => Promise<T>): Promise<T> {
  const timeout = new AbortController();
  const timer = setTimeout(() => timeout.abort(new DOMException("connect", "TimeoutError")), CONNECT_TIMEOUT_MS);
  try {
    return await work(timeout.signal);
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

/** The cluster's own refusal, unchanged. A 2xx without an upgrade must not look like success. */
async function readRefusal(response: Response): Promise<Refusal> {
  const { text: body } = await readBoundedText(response.body, MAX_REFUSAL_BYTES);
  const { status } = response;
  if (status < 400) {
    return refusalOf(denial("cluster_protocol", `the cluster answered ${status} instead of opening a stream`));
  }
  const contentType = response.headers.get("Content-Type") ?? "text/plain";
  return { status, contentType, body, message: messageOf(body) };
}

function messageOf(body: string): string {
  try {
    const message = (JSON.parse(body) as { message?: unknown } | null)?.message;
    if (typeof message === "string") return message;
  } catch {
    // Not a Status: plain text is its own message.
  }
  return body;
}

function refused(code: DenialCode, what: string): Result<never, Refusal> {
  return err(refusalOf(denial(code, `${what}: try again; if this persists, contact your administrator`)));
}
