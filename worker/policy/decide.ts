import type { RecordingPolicy } from "../../contract/recording.ts";
import type { Classified, SessionTarget, SessionTransport } from "../../kubernetes/classify.ts";
import type { Impersonation } from "../../kubernetes/upstream-headers.ts";
import type { Cluster, Limits } from "../config/schema.ts";
import type { Refusal } from "../refusal.ts";
import { evaluateRules } from "./evaluate-rules.ts";
import type { Identity } from "./identify.ts";

/**
 * What happens to a request. An upstream request is built from an allowing decision only, so one that cannot be
 * attributed cannot be built.
 */
export type Decision =
  | { readonly action: "refuse"; readonly refusal: Refusal; readonly rule?: string }
  | {
      readonly action: "stream";
      readonly as: Impersonation;
      readonly upgrade: boolean;
      /** Answered by a workload or a kubelet, through a proxy subresource, not by the API server. */
      readonly proxied: boolean;
      /** The rule that allowed it. */
      readonly rule: string | null;
    }
  | {
      readonly action: "session";
      readonly as: Impersonation;
      readonly target: SessionTarget;
      readonly transport: SessionTransport;
      /** The rule that allowed it, and what it says in place of the usual. */
      readonly rule: string | null;
      readonly requireReason: boolean;
      readonly limits: Partial<Limits>;
      readonly recording: Partial<RecordingPolicy>;
    };

/** The extra under which the cluster's own audit log finds the session in ours. */
export const SESSION_EXTRA = "sallyport-session";

/** Decides by kind, then by rule; what may be done within the cluster beyond that is the cluster's RBAC to say. */
export function decide(identity: Identity, cluster: Cluster, classified: Classified): Decision {
  if (classified.kind === "refused") {
    return { action: "refuse", refusal: { code: refusalCode(classified.status), message: classified.reason } };
  }
  const { info } = classified;
  const session = classified.kind === "session" ? classified.session : undefined;
  const verdict = evaluateRules({ identity, cluster: cluster.name, info, session }, cluster.rules);
  if (verdict.action === "refuse") {
    return { action: "refuse", refusal: { code: "rule", message: verdict.message }, rule: verdict.rule };
  }
  const { user, groups, uid, extra } = identity;
  const as: Impersonation = { user, groups, extra, ...(uid !== undefined && { uid }) };
  const rule = verdict.rule?.name ?? null;
  switch (classified.kind) {
    case "rest":
      return { action: "stream", as, upgrade: false, proxied: info.subresource === "proxy", rule };
    case "stream":
      return { action: "stream", as, upgrade: true, proxied: false, rule };
    case "session": {
      const { session: target, transport } = classified;
      return {
        ...{ action: "session", as, target, transport, rule },
        requireReason: verdict.rule?.requireReason ?? false,
        limits: { ...identity.limits, ...verdict.rule?.limits },
        recording: { ...identity.recording, ...verdict.rule?.recording },
      };
    }
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
