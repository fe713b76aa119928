import type { Counts, SessionStart, Traffic } from "../audit/events.ts";
import { NO_COUNTS } from "../audit/events.ts";
import type { SessionPlan } from "../contract/session-plan.ts";
import type { Status, StatusReason } from "../kubernetes/status.ts";
import { statusRefusal } from "./dial.ts";
import { isRecordable } from "./recording/policy.ts";
import type { RefusalResponse } from "./refused-attempts.ts";
import type { Relay } from "./relay.ts";

/** A session of this object, from its admission to its end. */
export class LiveSession {
  readonly plan: SessionPlan;
  readonly startedAt: number;
  /** Cuts the connection to the cluster, whether it is being opened or long open. */
  readonly upstream = new AbortController();
  /** Set once both sockets are joined. */
  relay: Relay | undefined;
  #movedBytes = 0;
  /** When the counts were last written down. */
  checkpointAt: number;
  /** Why it was ended before the cluster had answered, as its client is to be told. */
  endedEarly: RefusalResponse | undefined;

  /** What its user said it is for. */
  readonly reason: string | undefined;

  constructor(plan: SessionPlan, startedAt: number, reason: string | undefined) {
    this.plan = plan;
    this.reason = reason;
    this.startedAt = startedAt;
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

  /** Bytes that have crossed, both ways, since this was last asked. */
  takeMovedBytes(): number {
    const { bytes_in, bytes_out } = this.counts;
    const moved = bytes_in + bytes_out - this.#movedBytes;
    this.#movedBytes += moved;
    return moved;
  }

  /** Bytes that its readers have been given and not taken. */
  get waitingBytes(): number {
    return this.relay?.waitingBytes ?? 0;
  }

  get traffic(): Traffic {
    return this.relay?.observer.traffic?.() ?? {};
  }

  /** What the cluster has said of the command's end, once it has. */
  get finalStatus(): Status | undefined {
    return this.relay?.observer.finalStatus();
  }

  /**
   * Tells the client `words` and hangs up on both sides, at whatever stage the session is.
   *
   * @param reason how the refusal is classed when the session had not been opened yet
   */
  end(words: string, reason: StatusReason = "Forbidden"): void {
    if (this.relay) {
      this.relay.end(words);
    } else {
      this.endedEarly = statusRefusal(reason, words);
      this.upstream.abort();
    }
  }
}

/** What the record says of a session at its start. */
export function startEvent(plan: SessionPlan, reason: string | undefined): SessionStart {
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
    container: target.container ?? null,
    command: target.command,
    tty: target.tty,
    stdin: target.stdin,
    ports: target.ports,
    recording_mode: isRecordable(target.sessionKind) ? recording.mode : "off",
    client_address: client.address,
    country: client.country,
    rule: plan.rule,
    access_reason: reason ?? null,
    user_agent: client.userAgent,
  };
}
