/**
 * Requests for access as events of the audit log, in the chain of the person who asked. Each is alone under a
 * session_id of its own; `access_id` ties them together.
 */

/** A week: no access holds for longer. Who needs something for longer needs an identity rule. */
export const MAX_GRANT_MINUTES = 7 * 24 * 60;
export const MAX_GRANT_MS = MAX_GRANT_MINUTES * 60_000;

/** What a request for access is at a moment. */
export type AccessState = "pending" | "active" | "denied" | "expired" | "ended" | "revoked";

/** One person's decision about a request. */
export interface AccessDecision {
  readonly by: string;
  /** The `sub` of their token; null for a token without one. */
  readonly subject: string | null;
  readonly kubernetesUser: string;
  /** Milliseconds since the epoch. */
  readonly at: number;
  readonly reason: string | null;
}

/** What all events about a request have. */
interface AboutAccess {
  readonly access_id: string;
  /** The person who asked. */
  readonly user: string;
  /** The grant's name in the configuration document. */
  readonly grant: string;
}

export type AccessEventBody =
  /** Somebody asked for access. */
  | {
      readonly type: "access_request";
      readonly data: AboutAccess & {
        readonly kubernetes_user: string;
        readonly minutes: number;
        readonly reason: string | null;
        readonly purpose: string | null;
        /** Until when it may be decided, milliseconds since the epoch. */
        readonly expires_at: number;
      };
    }
  /** Somebody approved or denied. */
  | {
      readonly type: "access_decision";
      readonly data: AboutAccess & {
        readonly by: string;
        readonly decision: "approve" | "deny";
        readonly reason: string | null;
        /** How many approvals there are with this one, and how many it takes. */
        readonly approvals: number;
        readonly needed: number;
        /**
         * Until when the access holds, milliseconds since the epoch; null where it does not begin with this.
         */
        readonly until: number | null;
        /** The person approved their own request, as the grant allows with an alert. */
        readonly self_approved: boolean;
      };
    }
  /** A grant was taken back, or a request withdrawn. An end by time has no event: `until` says it. */
  | {
      readonly type: "access_end";
      readonly data: AboutAccess & { readonly by: string; readonly reason: string | null };
    };
