import type { Classified, SessionTarget, SessionTransport } from "../kubernetes/classify.ts";
import type { Impersonation } from "../kubernetes/upstream-headers.ts";
import type { Identity } from "./identify.ts";
import type { Refusal } from "./refusal.ts";

/**
 * What happens to a request. An upstream request is built from an allowing decision only, so one that cannot be
 * attributed cannot be built.
 */
export type Decision =
  | { readonly action: "refuse"; readonly refusal: Refusal }
  | {
      readonly action: "stream";
      readonly as: Impersonation;
      readonly upgrade: boolean;
      /** Answered by a workload, through the proxy subresource of a pod or service, not by the API server. */
      readonly proxied: boolean;
    }
  | {
      readonly action: "session";
      readonly as: Impersonation;
      readonly target: SessionTarget;
      readonly transport: SessionTransport;
    };

/** The extra under which the cluster's own audit log finds the session in ours. */
export const SESSION_EXTRA = "sallyport-session";

/** Decides by kind; what may be done within the cluster is the cluster's RBAC to say. */
export function decide(identity: Identity, classified: Classified): Decision {
  const as: Impersonation = { user: identity.user, groups: identity.groups, uid: identity.uid, extra: {} };
  switch (classified.kind) {
    case "refused":
      return { action: "refuse", refusal: { code: refusalCode(classified.status), message: classified.reason } };
    case "rest":
      return { action: "stream", as, upgrade: false, proxied: classified.info.subresource === "proxy" };
    case "stream":
      return { action: "stream", as, upgrade: true, proxied: false };
    case "session":
      return { action: "session", as, target: classified.session, transport: classified.transport };
  }
}

function refusalCode(status: 400 | 403 | 405): Refusal["code"] {
  switch (status) {
    case 400:
      return "bad_request";
    case 403:
      return "not_relayed";
    case 405:
      return "method_not_served";
  }
}
