import { NO_COUNTS, type SessionEnd, type SessionEvent, type SessionStart } from "../../audit/events.ts";

export interface MadeSession {
  readonly id?: string;
  /** Milliseconds since the epoch. */
  readonly at?: number;
  /** null for a live session. */
  readonly seconds?: number | null;
  readonly start?: Partial<SessionStart>;
  readonly end?: Partial<SessionEnd>;
  /** Ports with a forward event. */
  readonly forwarded?: readonly number[];
}

const START: SessionStart = {
  ...{ user: "alice@example.com", kubernetes_user: "alice@example.com", kubernetes_groups: ["developers"] },
  ...{
    cluster: "prod",
    location_hint: null,
    kind: "exec",
    namespace: "shop",
    pod: "web-0",
    container: null,
    command: ["sh"],
  },
  ...{ tty: true, stdin: true, ports: [], recording_mode: "output", client_address: "192.0.2.1", country: "DE" },
  ...{ rule: null, access_reason: null, user_agent: "kubectl/v1.36.3" },
};

const END: SessionEnd = { outcome: "exited", exit_code: 0, reason: null, ended_by: null, ...NO_COUNTS };

/** Makes the events of a session as a user's object does: a refused session has no connect. */
export function sessionEvents(session: MadeSession): [SessionEvent, ...SessionEvent[]] {
  const { id = crypto.randomUUID(), at = Date.now(), seconds = 60, start, end, forwarded = [] } = session;
  const first: SessionEvent = { session_id: id, seq: 0, at, type: "start", data: { ...START, ...start } };
  const rest: SessionEvent[] = [];
  const add = (after: number, body: Pick<SessionEvent, "type" | "data">) =>
    rest.push({ session_id: id, seq: rest.length + 1, at: at + after, ...body } as SessionEvent);
  if (end?.outcome !== "refused") add(5, { type: "connect", data: { protocol: "v5.channel.k8s.io" } });
  for (const port of forwarded) add(10, { type: "forward", data: { port } });
  if (seconds !== null) add(seconds * 1_000, { type: "end", data: { ...END, ...end } });
  return [first, ...rest];
}
