import { logEvent } from "../../common/log.ts";
import { err, ok, type Result } from "../../common/result.ts";
import type { RequestTarget } from "../../kubernetes/path.ts";
import { denial } from "../denials.ts";
import { type Failure, upstreamFailure } from "../failure.ts";
import { isReadMethod } from "../methods.ts";
import type { ForwardDecision } from "../policy/decide.ts";
import { AccessWatch, type CheckAccess, cutWithAccess, isLateAnswer } from "../sessions/access-watch.ts";
import { explainRefusal } from "./explain-refusal.ts";
import { upstreamHeadersFor } from "./headers.ts";
import { sandboxResponse } from "./sandbox-response.ts";
import type { Upload } from "./upload.ts";
import { buildUpstreamUrl } from "./url.ts";

/** Cuts what a person has open when their access to it ends: by a lock, or with a grant. */
export interface AccessEnd {
  readonly checkAccess: CheckAccess;
  /** The answer may go on for as long as the client likes. */
  readonly isOpenEnded: boolean;
}

export interface RequestBody {
  readonly upload: Upload | undefined;
  /** Takes the body, and returns what to send in its place. It is called once, and not for a GET or HEAD. */
  readonly observe: (body: ReadableStream<Uint8Array> | null) => ReadableStream<Uint8Array> | null;
}

/**
 * Sends an allowed request to the cluster and returns the answer. Both bodies stream, so neither is buffered
 * as a whole, and a client that goes away takes the upstream request with it.
 *
 * @param target the path and query that were decided on
 * @returns the cluster's answer, or why there is none
 */
export async function forwardToCluster(
  cluster: Fetcher,
  request: Request,
  target: RequestTarget,
  decision: ForwardDecision,
  { checkAccess, isOpenEnded }: AccessEnd,
  { upload, observe }: RequestBody,
): Promise<Result<Response, Failure>> {
  const headers = upstreamHeadersFor(request.headers, decision.as, decision.upgrade);
  if (!headers.ok) return headers;
  const { method } = request;
  const isBodiless = method === "GET" || method === "HEAD";
  // `fetch` takes no body with these. Without it, the request would be another one to some workloads.
  if (isBodiless && upload && !(await upload.isEmpty())) {
    return err(denial("bad_request", `a ${method} with a body is not forwarded`));
  }
  // A read is sent at once. What else has a body may take its time.
  const watch = isBodiless || !upload ? undefined : new AccessWatch(checkAccess);
  // The invocation of any other read ends with its client, and with it all that it has open.
  const mayOutliveClient = !isBodiless || decision.proxied;
  const signal = mayOutliveClient ? signalOf(request, watch) : undefined;
  const sentAt = Date.now();
  try {
    const answer = cluster.fetch(buildUpstreamUrl(target), {
      method,
      headers: headers.value,
      body: isBodiless ? null : observe(upload?.forward() ?? null),
      // The client follows redirects itself, as itself, through Sallyport again.
      redirect: "manual",
      ...(signal && { signal }),
    });
    // The signal alone ends nothing here: only the end of this invocation ends what it waits for.
    const response = await (signal ? Promise.race([answer, rejectWhenAborted(signal)]) : answer);
    const late = isReadMethod(method) && isLateAnswer(sentAt) ? await checkAccess() : ok(null);
    if (!late.ok) return err(upstreamFailure(late.error.code, late.error.message));
    // A workload's own answers are its own, also without a body, and the one to a HEAD has none.
    const needsNone = response.ok || decision.proxied || method === "HEAD";
    const answered = needsNone ? response : await explainRefusal(response);
    const shown = sandboxResponse(answered, target, decision.proxied, request.url);
    return ok(isOpenEnded ? cutWithAccess(shown, checkAccess) : shown);
  } catch (error) {
    if (watch?.denial) {
      const message = `${watch.denial.message}; the request was cut off while it was sent, and may have been carried out`;
      return err(upstreamFailure(watch.denial.code, message));
    }
    if (signal?.aborted) {
      const message = "the client went away before the cluster answered; the request may have been carried out";
      return err(upstreamFailure("client_gone", message));
    }
    // Only its name: the message may quote the URL, whose query holds commands and tokens.
    logEvent("error", "cluster_request_failed", { method, error: error instanceof Error ? error.name : "unknown" });
    const message = "the cluster cannot be reached: try again; if this persists, contact your administrator";
    return err(upstreamFailure("cluster_unreachable", message));
  } finally {
    watch?.stop();
  }
}

function signalOf({ signal }: Request, watch: AccessWatch | undefined): AbortSignal {
  return watch ? AbortSignal.any([signal, watch.signal]) : signal;
}

/** Rejects when the client goes away. The `fetch` of a request that its client gave up may never settle. */
function rejectWhenAborted(signal: AbortSignal): Promise<never> {
  return new Promise((_, reject) => {
    signal.addEventListener("abort", () => reject(new Error("the client went away")), { once: true });
  });
}
