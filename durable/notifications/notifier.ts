import { sha256 } from "@noble/hashes/sha2.js";
import { bytesToHex, utf8ToBytes } from "@noble/hashes/utils.js";
import { type BackoffLimits, backoffMs } from "../../common/backoff.ts";
import { describeError, logEvent } from "../../common/log.ts";
import { printableJson } from "../../common/text.ts";
import type { DirectoryValue } from "../../contract/directory.ts";
import type { Alarm } from "../alarm.ts";
import { HEARTBEAT_MS } from "../intervals.ts";
import type { WaitingNotifications } from "../storage/waiting-notifications.ts";
import type { Destination, Webhooks } from "./configuration.ts";
import { isNotifiedType, type NotifiedEvent, type NotifiedType, type QuietEventBody } from "./events.ts";
import { MAX_AGE_MS, MAX_REFUSALS, MAX_WAITING } from "./limits.ts";
import { renderMessage } from "./message.ts";
import type { Attempt, Post } from "./post.ts";

const RETRY_BACKOFF: BackoffLimits = { firstMs: 5_000, maxMs: 10 * 60_000 };
/** A receiver that is away for a day must not fill the log. */
const LOG_EVERY_FAILURES = 10;

type DestinationReport = DirectoryValue<"describeWebhooks">["destinations"][number];

/** What the notifier needs of its object. */
export interface NotifierDependencies {
  readonly webhooks: Webhooks;
  readonly waiting: WaitingNotifications;
  readonly alarm: Pick<Alarm, "ringWithin">;
  readonly post: Post;
  /** Keeps the object running until the work is done. */
  readonly waitUntil: (work: Promise<unknown>) => void;
  /** A number from 0 up to, not including, 1. */
  readonly random: () => number;
}

/**
 * Tells destinations of events: each in order and at least once, for as long as it is news. Nobody waits for
 * it, and nothing here throws. A destination that hangs or fails delays no other.
 */
export class Notifier {
  readonly #dependencies: NotifierDependencies;
  /** Destinations to which a message is under way. */
  readonly #sending = new Map<string, Promise<void>>();

  constructor(dependencies: NotifierDependencies) {
    this.#dependencies = dependencies;
  }

  /**
   * Stores an event for whoever wants it, and sends it soon: together with what else its turn writes, or not
   * at all.
   *
   * @param at ms since the epoch
   * @returns the names of those for whom it waits now
   */
  notify(id: string, at: number, { type, data }: NotifiedEvent | QuietEventBody): string[] {
    if (!isNotifiedType(type)) return [];
    const { webhooks, waiting } = this.#dependencies;
    const told: string[] = [];
    try {
      for (const destination of webhooks.destinations) {
        const { name } = destination;
        if (!isWanted(destination, type) || this.#isGone(destination)) continue;
        waiting.add(name, { id, at, type, data: printableJson(data) });
        told.push(name);
        this.#drop(name, waiting.removeOldest(name, MAX_WAITING), "too many wait");
      }
      if (told.length === 0) return told;
      this.#dependencies.alarm.ringWithin(HEARTBEAT_MS);
      this.sendSoon();
    } catch (error) {
      // What cannot be told must not be why nobody is locked.
      logEvent("error", "notification_not_stored", { type, error: describeError(error) });
    }
    return told;
  }

  /** How the destinations are doing, as this object knows it. */
  describe(): DestinationReport[] {
    const { webhooks, waiting } = this.#dependencies;
    return webhooks.destinations.map((destination) => {
      const { name, format, events } = destination;
      const { failures, dropped } = waiting.stateOf(name);
      const isGone = this.#isGone(destination);
      return { name, format, events: events ?? null, waiting: waiting.count(name), failures, dropped, isGone };
    });
  }

  /** To be called at each alarm: it sends what is due, and sees to the next alarm. */
  onAlarm(): void {
    this.sendSoon();
    // An object that stops while it sends must be woken for the rest.
    if (this.#sending.size > 0) this.#dependencies.alarm.ringWithin(HEARTBEAT_MS);
  }

  /** Sends what is due, without anybody waiting for it. */
  sendSoon(): void {
    const { webhooks, waiting, alarm, waitUntil } = this.#dependencies;
    const now = Date.now();
    for (const name of waiting.destinations) {
      const destination = webhooks.destinations.find((one) => one.name === name);
      const { retry_at } = waiting.stateOf(name);
      if (!destination) {
        logDropped(name, waiting.forget(name), "the destination is not configured any more");
      } else if (retry_at > now) {
        alarm.ringWithin(retry_at - now);
      } else if (!this.#sending.has(name)) {
        const sending = this.#sendAll(destination).finally(() => this.#sending.delete(name));
        this.#sending.set(name, sending);
        waitUntil(sending);
      }
    }
  }

  /** Sends until nothing waits for the destination, or an attempt fails. Never rejects. */
  async #sendAll(destination: Destination): Promise<void> {
    try {
      while (await this.#sendOldest(destination));
    } catch (error) {
      logEvent("error", "internal_error", { error: describeError(error) });
    }
  }

  /** @returns whether the next one may be sent at once */
  async #sendOldest(destination: Destination): Promise<boolean> {
    const { webhooks, waiting, post } = this.#dependencies;
    const { name } = destination;
    const now = Date.now();
    this.#drop(name, waiting.removeBefore(name, now - MAX_AGE_MS), "older than a day");
    const oldest = waiting.oldest(name);
    if (!oldest) return false;
    if (!isNotifiedType(oldest.type)) {
      // Stored by a newer build that was rolled back.
      waiting.remove(oldest.row_number);
      this.#drop(name, 1, "this version does not know the event");
      return true;
    }
    const attempt = await post(destination.url, renderMessage(destination, oldest, webhooks.address, now));
    switch (attempt.kind) {
      case "accepted": {
        const state = waiting.stateOf(name);
        waiting.remove(oldest.row_number);
        if (state.failures > 0) waiting.setState(name, { ...state, failures: 0, retry_at: 0 });
        return true;
      }
      case "gone":
        this.#leaveAlone(destination);
        return false;
      case "failed":
        return this.#retryLater(name, oldest.row_number, attempt);
    }
  }

  /** @returns whether the next one may be sent at once, for this one is given up */
  #retryLater(name: string, rowNumber: number, attempt: Attempt & { readonly kind: "failed" }): boolean {
    const { waiting, alarm, random } = this.#dependencies;
    const state = waiting.stateOf(name);
    if (attempt.isAboutMessage && waiting.addRefusal(rowNumber) >= MAX_REFUSALS) {
      waiting.remove(rowNumber);
      waiting.setState(name, { ...state, failures: 0, retry_at: 0 });
      this.#drop(name, 1, `refused ${MAX_REFUSALS} times: ${attempt.cause}`);
      return true;
    }
    const failures = state.failures + 1;
    if (failures % LOG_EVERY_FAILURES === 1) {
      logEvent("warn", "notification_not_delivered", { destination: name, attempt: failures, cause: attempt.cause });
    }
    // Half of it at random: a receiver that comes back is not asked by all objects at once.
    const backoff = Math.ceil(backoffMs(failures, RETRY_BACKOFF) * (0.5 + 0.5 * random()));
    const retryInMs = Math.max(backoff, attempt.retryAfterMs);
    waiting.setState(name, { ...state, failures, retry_at: Date.now() + retryInMs });
    alarm.ringWithin(retryInMs);
    return false;
  }

  /** 410 means for good, by Standard Webhooks. Another address under the same name is tried again. */
  #leaveAlone({ name, url }: Destination): void {
    const { waiting } = this.#dependencies;
    const dropped = waiting.removeOldest(name, 0);
    const state = waiting.stateOf(name);
    const left = { failures: 0, retry_at: 0, dropped: state.dropped + dropped, gone: hashOf(url) };
    waiting.setState(name, left);
    logEvent("error", "notification_destination_gone", { destination: name, dropped });
  }

  #isGone({ name, url }: Destination): boolean {
    const { gone } = this.#dependencies.waiting.stateOf(name);
    return gone !== null && gone === hashOf(url);
  }

  #drop(destination: string, count: number, cause: string): void {
    if (count === 0) return;
    const { waiting } = this.#dependencies;
    const state = waiting.stateOf(destination);
    waiting.setState(destination, { ...state, dropped: state.dropped + count });
    logDropped(destination, count, cause);
  }
}

function logDropped(destination: string, count: number, cause: string): void {
  logEvent("error", "notifications_dropped", { destination, count, cause });
}

function isWanted({ events }: Destination, type: NotifiedType): boolean {
  return events === undefined || events.includes(type);
}

/** Says of an address whether it is the same one. It is random, so the hash gives nothing away. */
function hashOf(url: string): string {
  return bytesToHex(sha256(utf8ToBytes(url))).slice(0, 32);
}
