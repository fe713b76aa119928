import { err, ok, type Result } from "../../common/result.ts";
import type { ActiveGrant } from "../../contract/access.ts";
import type { RecordingPolicy } from "../../contract/recording.ts";
import type { Classified, SessionKind, SessionTarget, SessionTransport } from "../../kubernetes/classify.ts";
import type { Impersonation } from "../../kubernetes/upstream-headers.ts";
import type { Cluster, Limits, Rule } from "../config/schema.ts";
import { type Denial, type DenialCode, denial } from "../denials.ts";
import { type ActingIdentity, impersonationOf } from "./acting.ts";
import { evaluateRules, type RuleApproval } from "./evaluate-rules.ts";
import { approvedRules, grantsThatCount, type HeldGrant, withGrants } from "./grants.ts";
import type { Identity } from "./identify.ts";

/**
 * What happens to an allowed request. Upstream requests are built from a decision only, so one that cannot be
 * attributed cannot be built.
 */
export type Decision = ForwardDecision | SessionDecision;

/** The request is sent to the cluster, whose answer streams back. */
export interface ForwardDecision {
  readonly action: "forward";
  /** Whom the cluster sees. */
  readonly as: Impersonation;
  /** The grants that made a difference. */
  readonly grants: readonly ActiveGrant[];
  readonly upgrade: boolean;
  /** A workload or a kubelet answers, through a proxy subresource, and not the API server. */
  readonly proxied: boolean;
  /** The rule that allowed it, if one did. */
  readonly rule: string | null;
}

/** The request opens a session, which the user's object holds. */
export interface SessionDecision {
  readonly action: "session";
  /** Whom the cluster sees. */
  readonly as: Impersonation;
  /** The grants that made a difference. */
  readonly grants: readonly ActiveGrant[];
  /** The client asked for that with `--as`. */
  readonly isActing: boolean;
  readonly target: SessionTarget;
  readonly transport: SessionTransport;
  /** The rule that allowed it, if one did. */
  readonly rule: string | null;
  readonly requireReason: boolean;
  /** The session's user is told who watches it. */
  readonly tell: boolean;
  /** For how long it waits for somebody who watches it; null where nobody must. */
  readonly watchWaitMinutes: number | null;
  /** Override the configuration's own. */
  readonly limits: Partial<Limits>;
  readonly recording: Partial<RecordingPolicy>;
}

/** A denial, and the rule that it comes from, if any. */
export interface PolicyDenial extends Denial {
  readonly rule?: string;
  /** What would lift it, where a grant would: see decide-with-grants.ts. */
  readonly approval?: RuleApproval;
}

/** A request, as far as rules see it. */
export interface Asked {
  /** Without what grants add. */
  readonly identity: Identity;
  /** The grants that the person has now. Default: none. */
  readonly held?: readonly HeldGrant[];
  /** As whom it runs in the cluster, where its client asked for it: of the identity with its grants. */
  readonly acting?: ActingIdentity | undefined;
  readonly cluster: Cluster;
  readonly classified: Classified;
  /** Whether the request may create its object: see `mayCreate`. */
  readonly creates: boolean;
}

/** Decides by the request's kind, then by the rules. The cluster's RBAC may still refuse what is allowed. */
export function decide(asked: Asked): Result<Decision, PolicyDenial> {
  const { held = [], acting, cluster, classified, creates } = asked;
  if (classified.kind === "refused") return err(denial(codeOfStatus(classified.status), classified.reason));
  const { info } = classified;
  const session = classified.kind === "session" ? classified.session : undefined;
  const { name, connectorNamespace, rules } = cluster;
  const identity = withGrants(asked.identity, held);
  const evaluated = evaluateRules(
    {
      ...{ identity, acting, cluster: name, connectorNamespace, info, session, approved: approvedRules(held) },
      creates: creates || (session !== undefined && CREATING_SESSIONS.has(session.sessionKind)),
    },
    rules,
  );
  if (!evaluated.ok) return evaluated;
  const rule = evaluated.value;
  if (classified.kind === "rest" && rule?.requireReason === true) return err(reasonNeedsSession(rule));
  if (classified.kind !== "session" && rule?.watch) return err(watchNeedsSession(rule));
  const grants = grantsThatCount(held, asked.identity.groups, rule?.approval && rule.name);
  const as = impersonationOf(identity, acting, [...new Set(grants.map(({ grant }) => grant))]);
  const common = { as, grants, rule: rule?.name ?? null };
  switch (classified.kind) {
    case "rest":
      return ok({ action: "forward", ...common, upgrade: false, proxied: info.subresource === "proxy" });
    case "stream":
      return ok({ action: "forward", ...common, upgrade: true, proxied: false });
    case "session":
      return ok({
        action: "session",
        ...common,
        isActing: acting !== undefined,
        target: classified.session,
        transport: classified.transport,
        requireReason: rule?.requireReason ?? false,
        tell: rule?.tell ?? false,
        watchWaitMinutes: rule?.watch?.waitMinutes ?? null,
        limits: { ...identity.limits, ...rule?.limits },
        recording: { ...identity.recording, ...rule?.recording },
      });
  }
}

/**
 * The API server authorizes these as `create`, over WebSocket too, where the method is GET
 * (AuthorizePodWebsocketUpgradeCreatePermission, since Kubernetes 1.35).
 */
const CREATING_SESSIONS: ReadonlySet<SessionKind> = new Set(["exec", "attach", "port-forward"]);

/** Reasons are kept with the user's sessions, so an API request cannot show one: see `plainSessionKind`. */
function reasonNeedsSession({ name }: Rule): PolicyDenial {
  const message = `the rule ${name} requires a reason, which only a session can have: open a session instead`;
  return { ...denial("rule", message), rule: name };
}

/** Only a session can be held, so what is none would pass unwatched. */
function watchNeedsSession({ name }: Rule): PolicyDenial {
  const message = `the rule ${name} requires that somebody watches, which is for sessions only: open a session instead`;
  return { ...denial("rule", message), rule: name };
}

function codeOfStatus(status: 400 | 403 | 405): DenialCode {
  switch (status) {
    case 400:
      return "bad_request";
    case 403:
      return "not_relayed";
    case 405:
      return "method_not_served";
  }
}
