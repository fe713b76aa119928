import { type Counts, NO_COUNTS, type SessionStart, type Traffic } from "../audit/events.ts";
import { liveRow, type SessionRow } from "../audit/rows.ts";
import { type Denial, type DenialCode, denial } from "../contract/denial.ts";
import type { SessionPlan } from "../contract/session-plan.ts";
import type { Status } from "../kubernetes/status.ts";
import { KINDS_OF_SESSIONS } from "./protocols/kinds.ts";
import type { Relay } from "./relay.ts";

/** A session of this object, from its admission to its end. */
export class LiveSession {
  readonly plan: SessionPlan;
  readonly startedAt: number;
  /** What its user stated that it is for. */
  readonly accessReason: string | undefined;
  /** Aborting it cuts the connection to the cluster, while it is being opened and after. */
  readonly upstream = new AbortController();
  /** Set once both sockets are joined. */
  relay: Relay | undefined;
  /** Why the session ended before the cluster had answered. */
  denial: Denial | undefined;
  /** When the counts were last saved. */
  checkpointAt: number;
  #movedBytes = 0;

  constructor(plan: SessionPlan, startedAt: number, accessReason: string | undefined) {
    this.plan = plan;
    this.startedAt = startedAt;
    this.accessReason = accessReason;
    this.checkpointAt = startedAt;
  }

  get id(): string {
    return this.plan.sessionId;
  }

  get endsAt(): number | null {
    return this.plan.endsAt;
  }

  get activeAt(): number {
    return this.relay?.activeAt ?? this.startedAt;
  }

  get counts(): Counts {
    return this.relay?.counts ?? NO_COUNTS;
  }

  /** Bytes that were relayed, both ways, since the last call. */
  takeMovedBytes(): number {
    const { bytes_in, bytes_out } = this.counts;
    const moved = bytes_in + bytes_out - this.#movedBytes;
    this.#movedBytes += moved;
    return moved;
  }

  /** Bytes that were sent to its readers and that they have not taken. */
  get waitingBytes(): number {
    return this.relay?.waitingBytes ?? 0;
  }

  get traffic(): Traffic {
    return this.relay?.observer.traffic?.() ?? {};
  }

  /** What the cluster has said about the command's end, once it has. */
  get finalStatus(): Status | undefined {
    return this.relay?.observer.finalStatus();
  }

  /** The session as the view `sessions` of D1 shows it, with the counts of this moment. */
  get row(): SessionRow {
    return liveRow(this.id, this.startedAt, startEvent(this.plan, this.accessReason), this.counts, this.traffic);
  }

  /**
   * Shows the client `message` and closes both sides, at whatever stage the session is.
   *
   * @param code of the refusal if the session has not opened yet
   */
  end(message: string, code: DenialCode = "session_ended"): void {
    if (this.relay) {
      this.relay.end(message);
    } else {
      this.denial = denial(code, message);
      this.upstream.abort();
    }
  }
}

/** What the audit log says about a session at its start. */
export function startEvent(plan: SessionPlan, accessReason: string | undefined): SessionStart {
  const { target, client, recording } = plan;
  return {
    user: plan.user,
    kubernetes_user: plan.kubernetesUser,
    kubernetes_groups: plan.kubernetesGroups,
    cluster: plan.cluster,
    location_hint: plan.locationHint,
    kind: target.sessionKind,
    namespace: target.namespace,
    pod: target.pod,
    container: target.container,
    command: target.command,
    tty: target.tty,
    stdin: target.stdin,
    ports: target.ports,
    recording_mode: KINDS_OF_SESSIONS[target.sessionKind].recorder ? recording.mode : "off",
    client_address: client.address,
    country: client.country,
    rule: plan.rule,
    access_reason: accessReason ?? null,
    user_agent: client.userAgent,
  };
}
