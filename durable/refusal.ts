import { DENIALS, type Denial } from "../contract/denial.ts";
import { failureStatus } from "../kubernetes/status.ts";

/** A refused session attempt: what goes over the wire, and what the audit log says. */
export interface Refusal {
  readonly status: number;
  readonly contentType: string;
  readonly body: string;
  /** For the audit log. */
  readonly message: string;
}

/** Renders a denial as a `metav1.Status`, whose message kubectl prints. */
export function refusalOf({ code, message }: Denial): Refusal {
  const status = failureStatus({ reason: DENIALS[code], message });
  return { status: status.code ?? 500, contentType: "application/json", body: JSON.stringify(status), message };
}

export function toResponse({ status, contentType, body }: Refusal): Response {
  return new Response(body, {
    status,
    headers: {
      "Content-Type": contentType,
      // As the API server marks its own refusals: they must not outlive their cause in a cache.
      "Cache-Control": "no-cache, private",
      // The text may come from a workload: it must not become a page of this origin.
      "X-Content-Type-Options": "nosniff",
      "Content-Security-Policy": "sandbox",
    },
  });
}
