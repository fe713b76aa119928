import { failureStatus, type StatusReason } from "../kubernetes/status.ts";
import type { RefusalResponse } from "./refused-attempts.ts";

/** How long the cluster may take to answer the upgrade. The API server itself gives a kubelet 30 s. */
const CONNECT_TIMEOUT_MS = 40_000;
/** A Status is under 2 KiB; what a broken upstream sends beyond this is not worth the memory. */
const MAX_REFUSAL_BYTES = 64 * 1024;

export type DialResult =
  | { readonly accepted: true; readonly socket: WebSocket; readonly protocol: string }
  | { readonly accepted: false; readonly refusal: RefusalResponse; readonly words: string };

/**
 * Asks the cluster for the upgrade. Never throws: whatever goes wrong is a refusal that a person can read.
 *
 * @param headers what `buildUpstreamHeaders` made, with `Upgrade: websocket`
 * @param signal cuts the connection, also when it is long established
 */
export async function dial(cluster: Fetcher, url: string, headers: Headers, signal: AbortSignal): Promise<DialResult> {
  try {
    return await withTimeout(async (timeout) => {
      const response = await cluster.fetch(url, {
        headers,
        redirect: "manual",
        signal: AbortSignal.any([signal, timeout]),
      });
      const socket = response.webSocket;
      if (!socket) return passOn(response);
      return { accepted: true, socket, protocol: response.headers.get("Sec-WebSocket-Protocol") ?? "" };
    });
  } catch (error) {
    // What we gave up ourselves (a kill, a limit, a client that went away) is no fault of the cluster.
    if (!signal.aborted)
      console.error(`upstream: the upgrade failed: ${error instanceof Error ? error.name : "unknown error"}`);
    return isTimeout(error)
      ? refused("Timeout", `the cluster did not answer within ${CONNECT_TIMEOUT_MS / 1000} s; try again`)
      : refused(
          "ServiceUnavailable",
          "the cluster cannot be reached; try again, and tell your administrator if it stays",
        );
  }
}

/** The timeout ends with the answer: aborting later would cut the session. */
async function withTimeout<T>(work: (timeout: AbortSignal) => Promise<T>): Promise<T> {
  const timeout = new AbortController();
  const timer = setTimeout(() => timeout.abort(new DOMException("connect", "TimeoutError")), CONNECT_TIMEOUT_MS);
  try {
    return await work(timeout.signal);
  } finally {
    clearTimeout(timer);
  }
}

function isTimeout(error: unknown): boolean {
  return error instanceof DOMException && error.name === "TimeoutError";
}

/** The cluster's own refusal, in its own words. A 2xx without an upgrade is one too, but not fit to be shown as success. */
async function passOn(response: Response): Promise<DialResult> {
  const body = await readBounded(response);
  if (response.status < 400) {
    return refused("InternalError", `the cluster answered ${response.status} instead of opening a stream`);
  }
  const contentType = response.headers.get("Content-Type") ?? "text/plain";
  return { accepted: false, refusal: { status: response.status, contentType, body }, words: messageOf(body) };
}

async function readBounded(response: Response): Promise<string> {
  if (!response.body) return "";
  const decoder = new TextDecoder();
  let text = "";
  let bytes = 0;
  for await (const chunk of response.body) {
    bytes += chunk.byteLength;
    if (bytes > MAX_REFUSAL_BYTES) break;
    text += decoder.decode(chunk, { stream: true });
  }
  return text;
}

function messageOf(body: string): string {
  try {
    const message = (JSON.parse(body) as { message?: unknown } | null)?.message;
    if (typeof message === "string") return message;
  } catch {
    // Not a Status: a plain text answer is its own message.
  }
  return body;
}

function refused(reason: StatusReason, words: string): DialResult {
  return { accepted: false, refusal: statusRefusal(reason, words), words };
}

/** A refusal of ours, as a `metav1.Status`. */
export function statusRefusal(reason: StatusReason, message: string): RefusalResponse {
  const status = failureStatus({ reason, message });
  return { status: status.code ?? 500, contentType: "application/json", body: JSON.stringify(status) };
}
