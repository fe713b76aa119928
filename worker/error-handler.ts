import { describeError, logEvent } from "../common/log.ts";
import { err, type Result } from "../common/result.ts";
import { denyApi } from "./api/responses.ts";
import { denyPage } from "./console/denial-page.ts";
import { isNavigation } from "./console/navigation.ts";
import { denyKubernetes } from "./denial-responses.ts";
import { denial } from "./denials.ts";
import type { Failure } from "./failure.ts";
import type { RequestTrace } from "./request-audit/request-trace.ts";
import { isApiPath, isConsolePath } from "./surfaces.ts";

/** nginx's status for a client that closed the request. Only logs show it. */
const CLIENT_CLOSED_REQUEST = 499;

/**
 * The error handler of both surfaces: makes an answer of every failure and exception.
 *
 * @returns a promise that never rejects
 */
export async function answerFailures(
  request: Request,
  trace: RequestTrace,
  handle: () => Promise<Result<Response, Failure>>,
): Promise<Response> {
  const result = await catchExceptions(request, handle);
  if (result.ok) return result.value;
  const failure = result.error;
  if ("wasSent" in failure) trace.failure = failure.message;
  else trace.denial = failure;
  return renderFailure(request, failure);
}

/** Makes an answer of a failure. */
export function renderFailure(request: Request, failure: Failure): Response {
  const { code, message } = failure;
  if (code === "client_gone") return new Response(null, { status: CLIENT_CLOSED_REQUEST });
  const denied = "wasSent" in failure ? denial(code, message) : failure;
  const url = URL.parse(request.url);
  if (url && isConsolePath(url.pathname) && isNavigation(request)) return denyPage(denied, url);
  return isApiPath(url?.pathname ?? "") ? denyApi(denied) : denyKubernetes(denied, request.headers);
}

async function catchExceptions(
  request: Request,
  handle: () => Promise<Result<Response, Failure>>,
): Promise<Result<Response, Failure>> {
  try {
    return await handle();
  } catch (error) {
    // The stack is for the log alone. The person gets the id under which the log has it.
    const ray = request.headers.get("CF-Ray") ?? "none";
    const stack = error instanceof Error ? error.stack : undefined;
    logEvent("error", "internal_error", { ray, error: describeError(error), stack });
    const message = `Sallyport failed on this request (ray ${ray}): try again; if this persists, report the ray id`;
    return err(denial("internal", message));
  }
}
