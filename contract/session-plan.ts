import type { SessionTarget } from "../kubernetes/classify.ts";
import type { AuditPolicy, SessionLimits } from "./limits.ts";
import type { RecordingPolicy } from "./recording.ts";

/** What the edge decided of one session attempt. The object carries it out and decides nothing of it again. */
export interface SessionPlan {
  readonly sessionId: string;
  readonly user: string;
  readonly kubernetesUser: string;
  readonly kubernetesGroups: readonly string[];
  readonly cluster: string;
  /** The binding that leads there. */
  readonly binding: string;
  /** Where this object was asked to live for that cluster's sake; null for near its user. */
  readonly locationHint: string | null;
  /** The rule that allowed it, where one did. */
  readonly rule: string | null;
  /** Opens only for somebody who has said why. */
  readonly requireReason: boolean;
  /** When the session ends whatever it does, ms since the epoch: with the token that opened it, where a rule says so. */
  readonly endsAt: number | null;
  readonly target: SessionTarget;
  readonly transport: "websocket" | "spdy";
  readonly limits: SessionLimits;
  readonly audit: AuditPolicy;
  readonly recording: RecordingPolicy;
  readonly client: {
    readonly address: string | null;
    readonly country: string | null;
    readonly userAgent: string | null;
    /** kubectl's `Kubectl-Session`, the same on both halves of a retried attempt. A hint: clients choose it. */
    readonly attempt: string | null;
  };
}

const PLAN_HEADER = "Sallyport-Plan";

/**
 * Packs a plan into the request that goes from the edge to the object.
 *
 * Percent-encoded JSON, since a command may hold any character and a header only Latin-1. The header set of that
 * request is built by the edge alone, so nothing a client sends can take this header's place.
 */
export function attachSessionPlan(headers: Headers, plan: SessionPlan): void {
  headers.set(PLAN_HEADER, encodeURIComponent(JSON.stringify(plan)));
}

/** Takes the plan out of the request, leaving exactly the headers that go upstream. */
export function detachSessionPlan(request: Request): { plan: SessionPlan; headers: Headers } {
  const headers = new Headers(request.headers);
  const packed = headers.get(PLAN_HEADER);
  if (packed === null) throw new Error("a session request without a plan reached the object");
  headers.delete(PLAN_HEADER);
  return { plan: JSON.parse(decodeURIComponent(packed)) as SessionPlan, headers };
}
