import { failureStatus, statusResponse } from "../kubernetes/status.ts";
import { DENIALS, type Denial } from "./denials.ts";

/** The media type parameter of aggregated API discovery, which nothing else asks for (KEP-3352). */
const DISCOVERY_MEDIA_TYPE = "g=apidiscovery.k8s.io";

/**
 * Renders a denial as Kubernetes clients read it: a `metav1.Status`, whose message kubectl prints.
 *
 * API discovery is the exception. client-go shows a person the message only of a plain text answer there, and
 * `unknown` for a Status (`newUnstructuredResponseError` in rest/request.go). Discovery is the first thing
 * that kubectl asks for, so it is where people meet most denials.
 *
 * @param client the request's headers
 */
export function denyKubernetes({ code, message, retryAfterSeconds }: Denial, client: Headers): Response {
  const details = retryAfterSeconds === undefined ? {} : { details: { retryAfterSeconds } };
  const status = failureStatus({ reason: DENIALS[code], message, ...details });
  if (!client.get("Accept")?.includes(DISCOVERY_MEDIA_TYPE)) return statusResponse(status);
  return new Response(message, { status: status.code ?? 500, headers: { "Cache-Control": "no-cache, private" } });
}
