/**
 * API requests as events of the audit log. A change (a request that may write) has two: `request` before the
 * cluster hears of it, and `response`. So has a read that reaches a workload, which may act on it. Every
 * other audited request has one, with its answer's status. What is too much for an event each is counted in a
 * `request_summary`.
 */
import type { PodFacts } from "./pod-facts.ts";
import type { Category, DECISIONS } from "./request-categories.ts";

/** Metadata only: never a body, a query or a credential. null means unknown or not applicable. */
export interface AuditedRequest {
  /** The Access identity; null for a request without a valid one. */
  readonly user: string | null;
  /** The location hint of the object whose chain has the event; null for the object near the user. */
  readonly location_hint: string | null;
  /** When it arrived, ms since the epoch. The event's own `at` is when the object wrote it. */
  readonly arrived_at: number;
  /** Whom the cluster saw. */
  readonly kubernetes_user: string | null;
  /**
   * Only where the person acted with kubectl's `--as`: the groups that the cluster saw, and the person's own
   * identity there. A long list of groups is cut, and says so at its end.
   */
  readonly kubernetes_groups?: readonly string[];
  readonly own_kubernetes_user?: string;
  readonly own_kubernetes_groups?: readonly string[];
  readonly cluster: string | null;
  readonly category: Category;
  readonly decision: (typeof DECISIONS)[number];
  readonly rule: string | null;
  readonly refusal: string | null;
  readonly reason: string | null;
  readonly method: string;
  readonly path: string | null;
  readonly verb: string | null;
  readonly api_group: string | null;
  readonly resource: string | null;
  readonly subresource: string | null;
  readonly namespace: string | null;
  readonly name: string | null;
  /** The answer's HTTP status. null where a `response` has it. */
  readonly status: number | null;
  readonly client_address: string | null;
  readonly country: string | null;
  readonly user_agent: string | null;
  /** How the person signed in, and the id of the enrolled device. Missing where Access did not tell. */
  readonly sign_in?: string;
  readonly device_id?: string;
  /** The grants that added to the person's groups or satisfied the rule. Missing where there was none. */
  readonly grants?: readonly string[];
  /** Cloudflare's id of the request. */
  readonly ray: string | null;
}

/** The data of a `request`. */
export interface RequestStart extends AuditedRequest {
  /** Whether a `response` follows. */
  readonly awaits_response: boolean;
}

/** The data of a `response`. */
export interface RequestEnd {
  /** The answer's HTTP status; null where none came. */
  readonly status: number | null;
  /** Why there is no status. */
  readonly reason: string | null;
  /** Of a change of pods or their templates. */
  readonly pod_facts?: PodFacts;
}

/** The data of a `request_summary`: what the counted requests have in common. null for what they have not. */
export interface RequestSummary
  extends Pick<
    AuditedRequest,
    | "user"
    | "location_hint"
    | "cluster"
    | "category"
    | "decision"
    | "refusal"
    | "reason"
    | "verb"
    | "api_group"
    | "resource"
    | "client_address"
  > {
  /** Of writes that repeat others: what was written. Missing otherwise. */
  readonly namespace?: string | null;
  readonly name?: string | null;
  readonly count: number;
  /** When the first and the last of them arrived, ms since the epoch. */
  readonly first_at: number;
  readonly last_at: number;
}

export type RequestEventBody =
  | { readonly type: "request"; readonly data: RequestStart }
  | { readonly type: "response"; readonly data: RequestEnd }
  | { readonly type: "request_summary"; readonly data: RequestSummary };
