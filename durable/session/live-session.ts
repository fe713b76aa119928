import { type Counts, NO_COUNTS, type SessionStart, type Traffic } from "../../audit/events.ts";
import { liveRow } from "../../audit/rows.ts";
import { maskControlCharacters } from "../../common/text.ts";
import type { ActiveGrant } from "../../contract/access.ts";
import type { OpenedWith } from "../../contract/given-access.ts";
import type { SessionPlan } from "../../contract/session-plan.ts";
import type { LiveSessionRow } from "../../contract/session-row.ts";
import type { Status } from "../../kubernetes/status.ts";
import { KINDS_OF_SESSIONS } from "../protocols/kinds.ts";
import type { Refusal } from "../refusal.ts";
import type { Relay } from "../relay/relay.ts";
import type { WatchFeed } from "../watch/watch-feed.ts";
import { type CloseCause, type Closure, closureOf } from "./close-cause.ts";
import type { Moderation } from "./moderation.ts";
import type { SessionWait } from "./session-wait.ts";

/** Where a session is. It goes down this list, and may leave it for `closed` at any time. */
type Phase =
  /** Its start is being written; the cluster has not heard of it. */
  | { readonly name: "admitted" }
  /**
   * Its client is joined with a leg that holds: nothing reaches the cluster before somebody has approved, or
   * watches.
   */
  | { readonly name: "waiting"; readonly relay: Relay; readonly wait: SessionWait }
  /** The cluster was asked. `relay` if its client is joined already: it waited. */
  | { readonly name: "dialling"; readonly relay: Relay | undefined }
  /** Both sides are joined. */
  | { readonly name: "open"; readonly relay: Relay }
  /** `relay` if its client was joined: it may not have read everything. */
  | { readonly name: "closed"; readonly closure: Closure; readonly relay: Relay | undefined };

/** A session of this object, from its admission to its end. `close` is its only exit. */
export class LiveSession {
  readonly plan: SessionPlan;
  readonly startedAt: number;
  /** What its user stated that it is for. */
  readonly accessReason: string | undefined;
  /** When the counts were last saved. */
  checkpointAt: number;
  /** Whether the journal has what the cluster said about the command's end, and the counts of that moment. */
  isFinalStatusSaved = false;
  /** Shows the session to those who watch it, from when its client is joined, and also how it ended. */
  feed: WatchFeed | undefined;
  /** Whether somebody watches it, where somebody must. */
  moderation: Moderation | undefined;
  readonly #upstream = new AbortController();
  readonly #onClosed: (session: LiveSession, closure: Closure) => void;
  readonly #grants: ActiveGrant[];
  #phase: Phase = { name: "admitted" };
  #begunAt: number | undefined;
  #givenUp: SessionWait | undefined;
  #endsAsSaved = false;
  #movedBytes = 0;

  /** @param onClosed called once, after both sides were told */
  constructor(
    plan: SessionPlan,
    startedAt: number,
    accessReason: string | undefined,
    onClosed: (session: LiveSession, closure: Closure) => void,
  ) {
    this.plan = plan;
    this.startedAt = startedAt;
    this.accessReason = accessReason;
    this.#grants = [...plan.grants];
    this.checkpointAt = startedAt;
    this.#onClosed = onClosed;
  }

  get id(): string {
    return this.plan.sessionId;
  }

  get endsAt(): number | null {
    return this.plan.endsAt;
  }

  /** The access for a while without which it would not be open: it ends with the first of them. */
  get grants(): readonly ActiveGrant[] {
    return this.#grants;
  }

  /** The same and what it waits for, with what they may have given. */
  get openedWith(): OpenedWith {
    const { kubernetesGroups, ownIdentity, rule, approval } = this.plan;
    const grants = this.#grants.map(({ grant }) => grant);
    // The plan was made when the document gave this one. It may not begin if it no longer does.
    if (approval) grants.push(approval.grant);
    const groups = [...kubernetesGroups, ...(ownIdentity?.groups ?? [])];
    return { at: this.startedAt, grants, groups, rule };
  }

  get activeAt(): number {
    return Math.max(this.relay?.activeAt ?? this.startedAt, this.countsSince);
  }

  get counts(): Counts {
    return this.relay?.counts ?? NO_COUNTS;
  }

  /** The joined sides, also after the end. Before the cluster has accepted, the client and a held leg. */
  get relay(): Relay | undefined {
    return "relay" in this.#phase ? this.#phase.relay : undefined;
  }

  /** What it waits for before it begins; undefined where it waits for nothing, or no longer. */
  get wait(): SessionWait | undefined {
    return this.#phase.name === "waiting" ? this.#phase.wait : undefined;
  }

  /** What it waited for when its person left, or gave up. */
  get givenUp(): SessionWait | undefined {
    return this.#givenUp;
  }

  /** Whether it has ended, and the object's next life would write the same end if this one does not. */
  get endsAsSaved(): boolean {
    return this.#endsAsSaved;
  }

  /** What it waits for, before it begins or because nobody watches it any more. */
  get waitsFor(): SessionWait["waitsFor"] | null {
    return this.wait?.waitsFor ?? (this.isFrozen ? "watcher" : null);
  }

  /** Whether nothing passes because nobody watches it. */
  get isFrozen(): boolean {
    return this.moderation?.isFrozen ?? false;
  }

  /** When somebody came to watch it, ms since the epoch. */
  get thawedAt(): number | undefined {
    return this.moderation?.watchedSince;
  }

  /** Since when its duration counts, ms since the epoch. To wait for its beginning is not to use it. */
  get countsSince(): number {
    return this.#begunAt ?? this.startedAt;
  }

  /** What to answer an attempt whose session closed before it opened. */
  get refusal(): Refusal | undefined {
    return this.#phase.name === "closed" ? this.#phase.closure.refusal : undefined;
  }

  /** Bytes that were relayed, both ways, since the last call. */
  takeMovedBytes(): number {
    const { bytes_in, bytes_out } = this.counts;
    const moved = bytes_in + bytes_out - this.#movedBytes;
    this.#movedBytes += moved;
    return moved;
  }

  /** Bytes in memory that were sent to its readers and that they have not taken. */
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

  /** The session as the view `sessions` of D1 shows it, with the counts of this moment and its last use. */
  get row(): LiveSessionRow {
    const start = startEvent({ ...this.plan, grants: this.#grants }, this.accessReason);
    const row = liveRow(this.id, this.startedAt, start, this.counts, this.traffic);
    return { ...row, active_at: this.activeAt, waits_for: this.waitsFor };
  }

  /** @returns the signal that cuts the connection to the cluster, while it is being opened and after */
  dial(): AbortSignal {
    if (this.#phase.name === "admitted") this.#phase = { name: "dialling", relay: undefined };
    return this.#upstream.signal;
  }

  /** The cluster has accepted. */
  open(relay: Relay): void {
    if (this.#phase.name === "dialling") this.#phase = { name: "open", relay };
  }

  /** It waits, with its client joined to a leg that holds; for one thing after another. */
  hold(relay: Relay, wait: SessionWait): void {
    if (this.#phase.name === "admitted" || this.#phase.name === "waiting")
      this.#phase = { name: "waiting", relay, wait };
  }

  /** It was approved. @param grant what it waited for */
  approve(grant: ActiveGrant): void {
    this.#grants.push(grant);
  }

  /** It waits no longer, and the cluster is asked next. From now on it counts as one that runs. */
  begin(now: number): void {
    if (this.#phase.name !== "waiting") return;
    this.#phase = { name: "dialling", relay: this.#phase.relay };
    this.#begunAt = now;
  }

  /**
   * Ends the session, at whatever phase it is: tells both sides, then `onClosed`.
   *
   * @returns false if it has ended already; then nothing happens
   */
  close(cause: CloseCause): boolean {
    if (this.#phase.name === "closed") return false;
    const { relay } = this;
    const isOpen = this.#phase.name === "open";
    // Whoever leaves a session that waits has given up what it waits for.
    this.#givenUp = cause.kind === "client" ? this.wait : undefined;
    this.#endsAsSaved = this.isFinalStatusSaved && cause.kind === "command";
    const closure = closureOf(this.#givenUp?.givenUp ?? cause, this.finalStatus);
    this.moderation?.end();
    this.#phase = { name: "closed", closure, relay };
    try {
      // A cluster that has not accepted yet must not begin. One that has is told, and cut off if it stays.
      if (!isOpen) this.#upstream.abort();
      relay?.close(closure);
    } finally {
      // Whatever fails, the session's place is freed and its end is written.
      this.#onClosed(this, closure);
    }
    return true;
  }

  /** Cuts the connection to a cluster that does not answer the close. */
  abort(): void {
    this.#upstream.abort();
  }
}

/** What the audit log says about a session at its start. */
export function startEvent(plan: SessionPlan, accessReason: string | undefined): SessionStart {
  const { target, client, recording, ownIdentity } = plan;
  return {
    user: plan.user,
    kubernetes_user: plan.kubernetesUser,
    kubernetes_groups: plan.kubernetesGroups,
    ...(ownIdentity && { own_kubernetes_user: ownIdentity.user, own_kubernetes_groups: ownIdentity.groups }),
    cluster: plan.cluster,
    location_hint: plan.locationHint,
    kind: target.sessionKind,
    namespace: maskControlCharacters(target.namespace),
    pod: maskControlCharacters(target.pod),
    container: target.container && maskControlCharacters(target.container),
    // Exactly as it ran; the journal escapes what acts on a terminal.
    command: target.command,
    tty: target.tty,
    stdin: target.stdin,
    ports: target.ports,
    recording_mode: KINDS_OF_SESSIONS[target.sessionKind].recorder ? recording.mode : "off",
    client_address: client.address,
    country: client.country,
    ...(client.signIn !== null && { sign_in: client.signIn }),
    ...(client.deviceId !== null && { device_id: client.deviceId }),
    rule: plan.rule,
    access_reason: accessReason ?? null,
    ...(plan.grants.length > 0 && { grants: plan.grants.map(({ grant }) => grant) }),
    ...(plan.moderation && { watch_required: true }),
    user_agent: client.userAgent && maskControlCharacters(client.userAgent),
  };
}
