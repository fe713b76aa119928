import type { Counts, SessionStart, Traffic } from "./events.ts";
import type { requestRows, requests, sessions } from "./schema.ts";

/** A row of the view `sessions`. */
export type SessionRow = typeof sessions.$inferSelect;

/** A row of the view `requests`, without the number of its event. */
export type RequestRow = Omit<typeof requests.$inferSelect, "row_number">;

/** A row of the table `request_rows`, without the number that D1 gives it. */
export type StoredRequestRow = Omit<typeof requestRows.$inferSelect, "row_number">;

/** Makes the row of a live session, with its current counts and traffic, which D1 does not have yet. */
export function liveRow(
  id: string,
  startedAt: number,
  start: SessionStart,
  counts: Counts,
  traffic: Traffic,
): SessionRow {
  return {
    id,
    state: "live",
    user: start.user,
    kubernetes_user: start.kubernetes_user,
    kubernetes_groups: start.kubernetes_groups,
    cluster: start.cluster,
    kind: start.kind,
    namespace: start.namespace,
    pod: start.pod,
    container: start.container,
    command: start.command,
    tty: start.tty,
    ports: start.ports,
    recording_mode: start.recording_mode,
    client_address: start.client_address,
    country: start.country,
    sign_in: start.sign_in ?? null,
    device_id: start.device_id ?? null,
    grants: start.grants ?? null,
    rule: start.rule,
    access_reason: start.access_reason,
    user_agent: start.user_agent,
    started_at: startedAt,
    ended_at: null,
    outcome: null,
    exit_code: null,
    reason: null,
    ended_by: null,
    ...counts,
    forwards: traffic.forwards ?? null,
    unreadable: traffic.unreadable ?? null,
    recording: null,
    recording_bytes: null,
  };
}
