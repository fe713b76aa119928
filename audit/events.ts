/**
 * What the record says of a session: a short list of typed events, in order, never changed.
 *
 * `start` is durable before anything reaches the cluster; `end` is the last one. The keys are
 * snake_case because security teams meet them in SQL.
 */

export const OUTCOMES = [
  /** The command ended by itself; see exit_code. With a reason where the session did not end with it. */
  "exited",
  /** The client went away or hung up: kubectl's ordinary end for attach, port-forward and Ctrl-C. */
  "disconnected",
  /** The cluster hung up in order, without an exit status: what a port-forward gets when its pod goes. */
  "closed",
  /** The cluster reported an error after the session was opened (no such command, container gone). */
  "failed",
  /** Never opened: a limit, a rule, the cluster's RBAC or an unsupported client. */
  "refused",
  "idle_limit",
  "duration_limit",
  /** With the Access token that opened it, where a rule says so. */
  "token_expired",
  /** It could no longer be recorded, and the rule says that then it must end. */
  "recording_failed",
  /** Its recording reached the largest size, and the rule says that then it must end. */
  "recording_limit",
  /** One side stopped reading what it was sent; see `reason`. */
  "stalled",
  /** Ended by an administrator; see ended_by. With an exit_code where the command had ended just before. */
  "terminated",
  /** The cluster's side went away without saying why. */
  "upstream_lost",
  /** The object that held the session stopped (crash, eviction, deploy); counts are the last known. */
  "interrupted",
] as const;
export type Outcome = (typeof OUTCOMES)[number];

export interface SessionStart {
  readonly user: string;
  readonly kubernetes_user: string;
  readonly kubernetes_groups: readonly string[];
  readonly cluster: string;
  /** Which of the user's objects held it: null for the one near the user, or a location hint. Each has a chain of its own. */
  readonly location_hint: string | null;
  readonly kind: string;
  readonly namespace: string;
  readonly pod: string;
  readonly container: string | null;
  readonly command: readonly string[];
  readonly tty: boolean;
  readonly stdin: boolean;
  readonly ports: readonly number[];
  /** What was to be recorded of it: nothing, what it shows, or also what is typed. */
  readonly recording_mode: "off" | "output" | "full";
  readonly client_address: string | null;
  readonly country: string | null;
  /** The rule that allowed it, where one did. */
  readonly rule: string | null;
  /** What its user said it is for, where a rule asked or the user said it anyway. */
  readonly access_reason: string | null;
  readonly user_agent: string | null;
}

export interface Counts {
  /** WebSocket payload bytes from the client towards the cluster. */
  readonly bytes_in: number;
  /** WebSocket payload bytes from the cluster towards the client. */
  readonly bytes_out: number;
  readonly messages_in: number;
  readonly messages_out: number;
}

/** What one remote port of a port-forward has carried. */
export interface Forward {
  /** null: what could not be kept apart (ports after the 64th, connections after the 1,024th that were open at once). */
  readonly port: number | null;
  /** Connections that the client opened to it. */
  readonly connections: number;
  /** Payload of these connections from the client, without the tunnel's own framing. */
  readonly bytes_in: number;
  /** Payload of these connections from the cluster, without the tunnel's own framing. */
  readonly bytes_out: number;
  /** Connections of which the cluster reported an error: nobody listens there, for one. */
  readonly errors: number;
  /** What it said of the first of them, cut to 512 bytes. */
  readonly first_error: string | null;
}

/** What was read in a session's traffic, beyond its counts. Both are missing after a crash (`interrupted`). */
export interface Traffic {
  /** Of port-forwards to pods: in the order of first use. Too low where `unreadable`. */
  readonly forwards?: readonly Forward[];
  /** The traffic did not fit its protocol, was relayed as it was, and from there on nothing is known of it but its size. */
  readonly unreadable?: true;
}

/** `complete`, or why a part of the session is not in its recording. */
export const RECORDING_STATES = ["complete", "capped", "failed", "interrupted"] as const;

/** What of the session its recording has. */
export interface RecordingSummary {
  readonly state: (typeof RECORDING_STATES)[number];
  /** Size of the cast. */
  readonly bytes: number;
  /** For a person, where it is not complete. */
  readonly reason: string | null;
}

export interface SessionEnd extends Counts, Traffic {
  readonly outcome: Outcome;
  readonly exit_code: number | null;
  /** For a person: what ended or refused it. */
  readonly reason: string | null;
  /** The administrator, for `terminated`. */
  readonly ended_by: string | null;
  /** Missing where there is none. */
  readonly recording?: RecordingSummary;
}

export type SessionEventBody =
  | { readonly type: "start"; readonly data: SessionStart }
  /** The cluster accepted; `protocol` is the subprotocol that it chose. */
  | { readonly type: "connect"; readonly data: { readonly protocol: string } }
  /** A port-forward opens its first connection to this port of the pod; the first 64 ports of a session are told. */
  | { readonly type: "forward"; readonly data: { readonly port: number } }
  | { readonly type: "end"; readonly data: SessionEnd };

/** What is done to a user rather than in a session. Such an event is alone under its id. */
export type UserEventBody =
  /** An administrator ended the user's sessions and lets none open; `until` in ms since the epoch, null for ever. */
  | { readonly type: "lock"; readonly data: UserLock }
  | { readonly type: "unlock"; readonly data: { readonly user: string; readonly by: string; readonly reason: string } };

export interface UserLock {
  readonly user: string;
  readonly by: string;
  readonly reason: string;
  readonly until: number | null;
}

export type SessionEvent = (SessionEventBody | UserEventBody) & {
  readonly session_id: string;
  /** 0, 1, 2 … within the session. */
  readonly seq: number;
  /** Milliseconds since the epoch. */
  readonly at: number;
};

export const NO_COUNTS: Counts = { bytes_in: 0, bytes_out: 0, messages_in: 0, messages_out: 0 };
