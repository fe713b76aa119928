import type { LiveSessionRow } from "../../contract/session-row.ts";

/** A live session's row. */
export function liveRowOf(id: string, more: Partial<LiveSessionRow> = {}): LiveSessionRow {
  return {
    ...{ id, state: "live", user: "alice@example.com", kubernetes_user: "alice", kubernetes_groups: ["developers"] },
    ...{ cluster: "test", kind: "exec", namespace: "demo", pod: "web", container: null, command: ["sh"], tty: false },
    ...{ ports: [], recording_mode: "off", client_address: null, country: null, sign_in: null, device_id: null },
    grants: null,
    ...{ rule: null, access_reason: null },
    ...{ user_agent: null, started_at: 1, ended_at: null, outcome: null, exit_code: null, reason: null },
    ...{ ended_by: null, bytes_in: 0, bytes_out: 0, messages_in: 0, messages_out: 0, unreadable: null },
    ...{ forwards: null, recording: null, recording_bytes: null, active_at: 1, waits_for: null },
    ...more,
  };
}
