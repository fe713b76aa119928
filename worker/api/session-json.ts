import type * as z from "zod";
import { type ChainedEvent, hashedText } from "../../audit/chain.ts";
import type { Forward } from "../../audit/events.ts";
import type { ShownSession } from "./merge-live.ts";
import type { sessionChain } from "./schemas/chain.ts";
import type { session, sessionDetail } from "./schemas/session.ts";

type SessionJson = z.output<typeof session>;
type ChainedEventJson = z.output<typeof sessionChain>["events"][number];
type EventJson = NonNullable<z.output<typeof sessionDetail>["events"]>[number];

/** A row of the view `sessions`, or a live session, as the API shows it. */
export function sessionJson(row: ShownSession): SessionJson {
  return {
    id: row.id,
    state: row.state,
    user: row.user,
    kubernetesUser: row.kubernetes_user,
    kubernetesGroups: row.kubernetes_groups,
    cluster: row.cluster,
    kind: row.kind,
    namespace: row.namespace,
    pod: row.pod,
    container: row.container,
    command: row.command,
    tty: row.tty,
    ports: row.ports,
    clientAddress: row.client_address,
    country: row.country,
    signIn: row.sign_in,
    deviceId: row.device_id,
    rule: row.rule,
    grants: row.grants,
    accessReason: row.access_reason,
    userAgent: row.user_agent,
    startedAt: time(row.started_at),
    waitsFor: row.waits_for ?? null,
    lastUsedAt: row.active_at === undefined ? null : time(row.active_at),
    endedAt: row.ended_at === null ? null : time(row.ended_at),
    outcome: row.outcome,
    exitCode: row.exit_code,
    reason: row.reason,
    endedBy: row.ended_by,
    bytesIn: row.bytes_in,
    bytesOut: row.bytes_out,
    messagesIn: row.messages_in,
    messagesOut: row.messages_out,
    forwards: row.forwards?.map(forwardJson) ?? null,
    unreadable: row.unreadable ?? false,
    recordingMode: row.recording_mode,
    recording: row.recording,
    recordingBytes: row.recording_bytes,
  };
}

export function eventJson(event: ChainedEvent): EventJson {
  const { seq, at, type, data, prev_hash, hash } = event;
  return { seq, at: time(at), type, data: JSON.parse(data), prevHash: prev_hash, hash, raw: hashedText(event) };
}

/** An event as it was hashed, for those who check the chain. */
export function chainedEventJson(event: ChainedEvent): ChainedEventJson {
  const { session_id, seq, at, type, prev_hash, hash } = event;
  return { sessionId: session_id, seq, at: time(at), type, prevHash: prev_hash, hash, raw: hashedText(event) };
}

function forwardJson(forward: Forward): NonNullable<SessionJson["forwards"]>[number] {
  return {
    port: forward.port,
    connections: forward.connections,
    bytesIn: forward.bytes_in,
    bytesOut: forward.bytes_out,
    errors: forward.errors,
    firstError: forward.first_error,
  };
}

function time(ms: number): string {
  return new Date(ms).toISOString();
}
