/** Whether a session that must be watched may go on. It knows no socket and no clock: times are arguments. */
import { REPEAT_LINE_MS } from "./approval.ts";
import type { CloseCause } from "./close-cause.ts";
import { formatDuration } from "./limits.ts";
import type { SessionWait } from "./session-wait.ts";

/** A Ctrl-C that arrives so soon after a freeze was meant for the command, ms. */
const INTERRUPT_AFTER_MS = 2_000;

export interface ModerationParts {
  /** How long the session waits for somebody who watches it, each time, ms. */
  readonly waitMs: number;
  /** Of the session. Whoever waits tells it to somebody who may watch. */
  readonly sessionId: string;
  /** Shows the person a line. */
  readonly say: (line: string) => void;
  /** Nothing passes from now on. @param left who left as the last one; null where nobody watched it yet */
  readonly onFreeze: (left: string | null, until: number) => void;
  /**
   * It begins, or goes on.
   *
   * @param by who watches
   * @param waitedMs for how long nothing passed
   * @param line what the person reads once that is so: from then on nothing that they type is dropped
   */
  readonly onThaw: (by: string, waitedMs: number, line: string | undefined) => void;
  /** Nobody came. Called once; nothing follows. */
  readonly onUnwatched: (message: string) => void;
}

type State =
  /** Something else comes first: an approval. */
  | { readonly name: "before" }
  | { readonly name: "frozen"; readonly since: number; readonly saidAt: number }
  | { readonly name: "watched"; readonly since: number }
  | { readonly name: "over" };

/**
 * A session that goes on only while somebody watches it. It waits for the first one before it begins. When
 * the last one has left, it is frozen until somebody comes, and if nobody does in time, it ends.
 */
export class Moderation implements SessionWait {
  readonly waitsFor = "watcher";
  readonly #parts: ModerationParts;
  /** Who counts, by the ids of their watches. */
  readonly #watchers = new Map<string, string>();
  #state: State = { name: "before" };
  #hasBegun = false;

  constructor(parts: ModerationParts) {
    this.#parts = parts;
  }

  /** Whether nothing passes because nobody watches. */
  get isFrozen(): boolean {
    return this.#state.name === "frozen";
  }

  /** Since when somebody watches without a break, ms since the epoch; undefined where nobody does. */
  get watchedSince(): number | undefined {
    return this.#state.name === "watched" ? this.#state.since : undefined;
  }

  get givenUp(): CloseCause {
    return { kind: "unwatched", message: "given up while it waited for somebody who watches it" };
  }

  /** Whether somebody is among those who watch it and count. @param by an Access identity */
  isWatchedBy(by: string): boolean {
    return [...this.#watchers.values()].some((name) => name.toLowerCase() === by.toLowerCase());
  }

  /**
   * Nothing else comes first: it begins if somebody watches, and waits otherwise.
   *
   * @param line what the person reads then, if anything
   */
  start(now: number, line?: string): void {
    if (this.#state.name !== "before") return;
    const [by] = this.#watchers.values();
    if (by !== undefined) {
      this.#watch(by, 0, line, now);
      return;
    }
    if (line !== undefined) this.#parts.say(line);
    this.#freeze(null, now);
  }

  /** Somebody watches it who counts. @param watch the id of their watch */
  join(watch: string, by: string, now: number): void {
    this.#watchers.set(watch, by);
    const state = this.#state;
    if (state.name !== "frozen") return;
    const line = this.#hasBegun ? "somebody watches this session again: it goes on" : "this session is watched";
    this.#watch(by, now - state.since, `sallyport: ${line}.`, now);
  }

  /** They do no longer, for whatever reason. */
  leave(watch: string, now: number): void {
    const by = this.#watchers.get(watch);
    this.#watchers.delete(watch);
    if (by !== undefined && this.#watchers.size === 0 && this.#state.name === "watched") this.#freeze(by, now);
  }

  check(now: number): void {
    const state = this.#state;
    if (state.name !== "frozen") return;
    const { waitMs, onUnwatched } = this.#parts;
    const until = state.since + waitMs;
    if (now < until) {
      if (now - state.saidAt >= REPEAT_LINE_MS) this.#sayWait(state.since, until, now);
      return;
    }
    this.end();
    const waited = formatDuration(Math.round(waitMs / 1_000));
    onUnwatched(
      `nobody watched this session ${this.#hasBegun ? "again " : ""}within ${waited}, and it must be watched`,
    );
  }

  /** Somebody pressed Ctrl-C while it was frozen. @returns whether they leave it */
  isLeftBy(now: number): boolean {
    return this.#state.name === "frozen" && now - this.#state.since >= INTERRUPT_AFTER_MS;
  }

  /** The session is over. */
  end(): void {
    this.#state = { name: "over" };
  }

  #freeze(left: string | null, now: number): void {
    const until = now + this.#parts.waitMs;
    this.#state = { name: "frozen", since: now, saidAt: Number.NEGATIVE_INFINITY };
    this.#parts.onFreeze(left, until);
    this.#sayWait(now, until, now);
  }

  #watch(by: string, waitedMs: number, line: string | undefined, now: number): void {
    this.#state = { name: "watched", since: now };
    this.#hasBegun = true;
    this.#parts.onThaw(by, waitedMs, line);
  }

  /** A line each: none breaks within the id. */
  #sayWait(since: number, until: number, now: number): void {
    const { say, sessionId } = this.#parts;
    this.#state = { name: "frozen", since, saidAt: now };
    const left = formatDuration(Math.max(0, Math.ceil((until - now) / 1_000)));
    if (this.#hasBegun) {
      say(`sallyport: nobody watches this session, so nothing passes. It ends in ${left} unless somebody does.`);
    } else {
      say(`sallyport: this session must be watched, and waits for up to ${left} for somebody. Ctrl-C gives up.`);
    }
    say(`sallyport: auditors and administrators may: kubectl sallyport watch ${sessionId}`);
  }
}
