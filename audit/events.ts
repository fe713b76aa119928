/**
 * The event model of the audit log: a session is a short list of typed events, in order, never changed.
 *
 * `start` is durable before anything reaches the cluster, and `end` is the last event. Keys are snake_case
 * because security teams use them in SQL.
 */

import type { AccessEventBody } from "./access-events.ts";
import type { RequestEventBody } from "./request-events.ts";

/**
 * `start` to `end` are a session's, `lock` to `thaw` a user's, `drain` and `drain_end` the deployment's,
 * `request` and what follows an API request's, the last two a seal's.
 */
export const EVENT_TYPES = [
  "start",
  "approval",
  "connect",
  "forward",
  "end",
  "lock",
  "unlock",
  "access_request",
  "access_decision",
  "access_end",
  "watch",
  "watch_end",
  "message",
  "freeze",
  "thaw",
  "drain",
  "drain_end",
  "request",
  "response",
  "request_summary",
  "seal",
  "removal",
] as const;
export type EventType = (typeof EVENT_TYPES)[number];

export const OUTCOMES = [
  /** The command ended by itself; see exit_code. `reason` is set when something else ended the session. */
  "exited",
  /** The client disconnected: the usual end of attach, port-forward and Ctrl-C. */
  "disconnected",
  /**
   * The cluster closed the connection without an exit status, as when the pod of a port-forward is deleted.
   */
  "closed",
  /** The cluster reported an error after the session was opened: no such command, container gone. */
  "failed",
  /** Never opened: a limit, a rule, the cluster's RBAC or an unsupported client. */
  "refused",
  "idle_limit",
  "duration_limit",
  /** The Access token that opened the session expired, and a rule ends sessions with it. */
  "token_expired",
  /** The access that the session was opened with is over: its time, or somebody took it back. */
  "access_ended",
  /** It waited for an approval, and was denied, given up, or nobody decided in time; see reason. */
  "not_approved",
  /** It must be watched, and nobody watched it for too long, or its person left meanwhile; see reason. */
  "not_watched",
  /** Recording failed, and the rule ends sessions that cannot be recorded. */
  "recording_failed",
  /** The recording reached its maximum size, and the rule ends sessions then. */
  "recording_limit",
  /** One side stopped reading; see reason. */
  "stalled",
  /** The traffic did not fit its protocol, so that it could not be followed; see reason. */
  "protocol_error",
  /**
   * An administrator ended it, or its own user through `/-/sessions`; see ended_by. exit_code is set when the
   * command had just ended.
   */
  "terminated",
  /** The connection to the cluster was lost without a close. */
  "upstream_lost",
  /** The object stopped (crash, eviction, deploy). Counts are the last known ones. */
  "interrupted",
] as const;
export type Outcome = (typeof OUTCOMES)[number];

export interface SessionStart {
  readonly user: string;
  readonly kubernetes_user: string;
  readonly kubernetes_groups: readonly string[];
  /**
   * The user's own identity in the cluster, where they acted as another or with fewer groups (kubectl's
   * `--as`). Missing where the cluster saw their own.
   */
  readonly own_kubernetes_user?: string;
  readonly own_kubernetes_groups?: readonly string[];
  readonly cluster: string;
  /** The location hint of the object that held the session, or null for the object near the user. */
  readonly location_hint: string | null;
  readonly kind: string;
  readonly namespace: string;
  readonly pod: string;
  readonly container: string | null;
  readonly command: readonly string[];
  readonly tty: boolean;
  readonly stdin: boolean;
  readonly ports: readonly number[];
  /** What the rule asks to record: nothing, output only, or input too. */
  readonly recording_mode: "off" | "output" | "full";
  readonly client_address: string | null;
  readonly country: string | null;
  /**
   * How the user signed in: `service_token`, `warp`, or the type of the identity provider as Access names it.
   * Missing where Access does not tell.
   */
  readonly sign_in?: string;
  /** The id of the enrolled device that the user signed in from. Missing where Access does not tell. */
  readonly device_id?: string;
  /** The rule that allowed the session, or null when none was needed. */
  readonly rule: string | null;
  /** What the user gave as the reason for access, or null. */
  readonly access_reason: string | null;
  /** The grants that added to the user's groups or satisfied the rule. Missing where there was none. */
  readonly grants?: readonly string[];
  /** The session goes on only while somebody watches it. Missing where it need not be watched. */
  readonly watch_required?: true;
  readonly user_agent: string | null;
}

export interface SessionApproved {
  /** Of the request for access: `access_request` and what follows it have the same. */
  readonly access_id: string;
  readonly grant: string;
  /** Who approved. */
  readonly by: readonly string[];
  /** How long the session waited, milliseconds. */
  readonly waited_ms: number;
}

export interface Counts {
  /** WebSocket payload bytes from the client to the cluster. */
  readonly bytes_in: number;
  /** WebSocket payload bytes from the cluster to the client. */
  readonly bytes_out: number;
  readonly messages_in: number;
  readonly messages_out: number;
}

/** The traffic of one remote port of a port-forward. */
export interface Forward {
  /**
   * null for traffic that cannot be told apart: ports after the 64th, and connections after the 1,024th that
   * were open at once.
   */
  readonly port: number | null;
  /** Connections that the client opened to the port. */
  readonly connections: number;
  /** Payload bytes of these connections from the client, without the framing of the tunnel. */
  readonly bytes_in: number;
  /** Payload bytes of these connections from the cluster, without the framing of the tunnel. */
  readonly bytes_out: number;
  /** Connections for which the cluster reported an error, for example that nothing listens on the port. */
  readonly errors: number;
  /** The first of these errors, cut to 512 bytes. */
  readonly first_error: string | null;
}

/** What the protocol observers read from a session's traffic. Both fields are missing after `interrupted`. */
export interface Traffic {
  /** Port-forwards to pods only, in the order of first use. Too low when `unreadable`. */
  readonly forwards?: readonly Forward[];
  /**
   * The traffic stopped fitting its protocol. It was still relayed, but from there on only its size is known.
   */
  readonly unreadable?: true;
}

/** `complete`, or why a part of the session is missing from its recording. */
export const RECORDING_STATES = ["complete", "capped", "failed", "interrupted"] as const;

/** How much of the session its recording has. */
export interface RecordingSummary {
  readonly state: (typeof RECORDING_STATES)[number];
  /** Size of the cast. */
  readonly bytes: number;
  /** For a person. null when the recording is complete. */
  readonly reason: string | null;
}

export interface SessionEnd extends Counts, Traffic {
  readonly outcome: Outcome;
  readonly exit_code: number | null;
  /** For a person: what ended or refused the session. */
  readonly reason: string | null;
  /** Who ended it, for `terminated`: an administrator, or its own user. */
  readonly ended_by: string | null;
  /** Missing when the session has no recording. */
  readonly recording?: RecordingSummary;
}

export type SessionEventBody =
  | { readonly type: "start"; readonly data: SessionStart }
  /** The session waited for an approval, and somebody approved. The cluster hears of it after this. */
  | { readonly type: "approval"; readonly data: SessionApproved }
  /** The cluster accepted the session. `protocol` is the subprotocol that it chose. */
  | { readonly type: "connect"; readonly data: { readonly protocol: string } }
  /**
   * The first connection of a port-forward to this port. Only the first 64 ports of a session have an event.
   */
  | { readonly type: "forward"; readonly data: { readonly port: number } }
  | { readonly type: "end"; readonly data: SessionEnd };

/** An event about a user rather than a session. It has a session_id of its own and is alone under it. */
export type UserEventBody =
  /** An administrator ended the user's sessions and blocks new ones. */
  | { readonly type: "lock"; readonly data: UserLock }
  | { readonly type: "unlock"; readonly data: { readonly user: string; readonly by: string; readonly reason: string } }
  /** Somebody began to watch one of the user's live sessions. */
  | { readonly type: "watch"; readonly data: Watch & WatchOrigin }
  | { readonly type: "watch_end"; readonly data: WatchEnd }
  /** An administrator sent a line to the terminal of one of the user's live sessions. */
  | { readonly type: "message"; readonly data: Watch & { readonly text: string } }
  /** One of the user's sessions must be watched, and nobody does: nothing passes until somebody watches it. */
  | { readonly type: "freeze"; readonly data: Freeze }
  /** Somebody watches it: it begins, or goes on. */
  | { readonly type: "thaw"; readonly data: Thaw }
  | AccessEventBody;

export interface UserLock {
  readonly user: string;
  readonly by: string;
  readonly reason: string;
  /** Milliseconds since the epoch, or null for a lock without an end. */
  readonly until: number | null;
}

/** Who watches which session, lets it go on, or speaks into it. */
export interface Watch {
  /** The user whose session it is. */
  readonly user: string;
  /** The session's id. */
  readonly session: string;
  /** The auditor or administrator. */
  readonly by: string;
}

/** Where the watcher's request came from, by Cloudflare's statement. */
export interface WatchOrigin {
  readonly client_address: string | null;
  readonly country: string | null;
}

/** How a watch ends. */
type WatchEndReason =
  /** The watcher closed, or went away. */
  | "left"
  /** The session ended. */
  | "session_ended"
  /** The watcher stopped reading, and was dropped. */
  | "too_slow"
  /** A fault of Sallyport's own. */
  | "failed"
  /** The watcher was locked, or for too long nobody could tell whether they are. */
  | "locked"
  /** The object that held the session stopped (crash, eviction, deploy). */
  | "interrupted";

/** The end of a watch. */
export interface WatchEnd extends Watch {
  /** The id of the `watch` event. */
  readonly watch: string;
  /** When it began, in milliseconds since the epoch. */
  readonly since: number;
  readonly reason: WatchEndReason;
}

/** A session begins to wait for somebody who watches it. */
export interface Freeze extends Pick<Watch, "user" | "session"> {
  readonly cluster: string;
  readonly kind: string;
  readonly namespace: string;
  readonly pod: string;
  /** Who left as the last one. null where nobody has watched it yet, and the cluster has not heard of it. */
  readonly left: string | null;
  /** When it ends unless somebody watches it, in milliseconds since the epoch. */
  readonly until: number;
}

/** The wait is over. */
export interface Thaw extends Watch {
  /** How long nothing passed, milliseconds. */
  readonly waited_ms: number;
}

/**
 * An event about the whole deployment, in the chain of its directory. Like a user's, it is alone under a
 * session_id of its own.
 */
export type DeploymentEventBody =
  /** An administrator had new sessions refused everywhere, or changed until when they are. */
  | { readonly type: "drain"; readonly data: DrainCommand }
  /** An administrator opened the deployment again before that time. */
  | { readonly type: "drain_end"; readonly data: { readonly by: string; readonly reason: string } };

export interface DrainCommand {
  readonly by: string;
  readonly reason: string;
  /** When sessions open again by themselves, in milliseconds since the epoch. */
  readonly until: number;
}

/** Any event of the audit log. */
export type SessionEvent = (SessionEventBody | UserEventBody | DeploymentEventBody | RequestEventBody) & {
  readonly session_id: string;
  /** 0, 1, 2 … within the session. */
  readonly seq: number;
  /** Milliseconds since the epoch. */
  readonly at: number;
};

export const NO_COUNTS: Counts = { bytes_in: 0, bytes_out: 0, messages_in: 0, messages_out: 0 };
