import { type BackoffLimits, backoffMs } from "../common/backoff.ts";
import { describeError, logEvent } from "../common/log.ts";
import { ok, type Result } from "../common/result.ts";
import { withTimeout } from "../common/with-timeout.ts";
import type { SharedBindings } from "../contract/bindings.ts";
import type { Denial } from "../contract/denial.ts";
import { type CopiedState, currentLock } from "../contract/person-state.ts";
import { type LocationHint, userObjectName } from "../contract/placement.ts";
import { callUserObject, type UserObjectCalls, type UserObjectValue } from "../contract/user-object.ts";
import { PendingCopies } from "./storage/pending-copies.ts";
import type { UserLocks } from "./storage/user-locks.ts";

/** How long a decision waits for one other object. Whoever made it waits for the answer. */
const COPY_WITHIN_MS = 3_000;
const RETRY_BACKOFF: BackoffLimits = { firstMs: 1_000, maxMs: 30_000 };

type Copied = UserObjectValue<"copyState">;
type Sent = Copied & {
  /** Whether the object has all of it. */
  readonly isWhole: boolean;
};

/** What the other objects answered. */
export interface CopiedEverywhere extends Copied {
  /** The objects that do not have it yet. */
  readonly notReached: LocationHint[];
}

/**
 * Copies what was decided about the user to the user's other objects, each as often as it takes.
 *
 * A copy is all that holds, so only the newest is ever sent. Versions make sure that an object which gets two
 * of them out of order keeps the newer one.
 */
export class StateCopies {
  readonly #namespace: SharedBindings["USER_SESSIONS"];
  readonly #locks: UserLocks;
  readonly #pending: PendingCopies;
  #failures = 0;

  constructor(namespace: SharedBindings["USER_SESSIONS"], sql: SqlStorage, locks: UserLocks) {
    this.#namespace = namespace;
    this.#locks = locks;
    this.#pending = new PendingCopies(sql);
  }

  /**
   * Sends what holds now to these objects, and waits for each for a moment. What could not be sent stays in
   * the database until `retry` has sent it.
   */
  async send(user: string, copyTo: readonly LocationHint[]): Promise<CopiedEverywhere> {
    this.#pending.add(user, copyTo, this.#locks.version);
    const answers = await Promise.all(
      copyTo.map(async (locationHint) => ({ locationHint, copied: await this.#copy(user, locationHint) })),
    );
    const missing = answers.filter(({ copied }) => copied === undefined);
    return {
      ended: answers.flatMap(({ copied }) => copied?.ended ?? []),
      wasLocked: answers.some(({ copied }) => copied?.wasLocked),
      notReached: missing.map(({ locationHint }) => locationHint),
    };
  }

  /** Sends what could not be sent before. */
  async retry(): Promise<void> {
    await Promise.all(this.#pending.all.map(({ user, location_hint }) => this.#copy(user, location_hint)));
    this.#failures = this.isPending ? this.#failures + 1 : 0;
  }

  /** The objects that lack what was decided. */
  get notReached(): LocationHint[] {
    return this.#pending.all.map(({ location_hint }) => location_hint);
  }

  /** Whether any of them does. */
  get isPending(): boolean {
    return this.notReached.length > 0;
  }

  /** How long to wait before the next `retry`, ms. */
  get retryInMs(): number {
    return backoffMs(this.#failures + 1, RETRY_BACKOFF);
  }

  /** @returns undefined where the object did not answer in time; it may have it all the same */
  async #copy(user: string, locationHint: LocationHint): Promise<Copied | undefined> {
    const { state } = this.#locks;
    let copied: Result<Sent, Denial>;
    try {
      const stub = this.#namespace.getByName(userObjectName(user, locationHint), { locationHint });
      copied = await withTimeout(sendState(stub, user, state), COPY_WITHIN_MS);
    } catch (error) {
      logEvent("error", "state_not_copied", { location: locationHint, error: describeError(error) });
      return undefined;
    }
    if (!copied.ok) {
      logEvent("error", "state_not_copied", { location: locationHint, error: copied.error.code });
      return undefined;
    }
    // Older code knows nothing of access: the copy stays pending until the object runs newer code.
    if (copied.value.isWhole || state.access.length === 0) this.#pending.remove(locationHint, state.version);
    return copied.value;
  }
}

/**
 * An object may run older code for as long as it has a session open. The commands that it has are frozen, and
 * no session of this version opens there, so it needs neither a reason nor what it does not know of access.
 */
async function sendState(object: UserObjectCalls, user: string, state: CopiedState): Promise<Result<Sent, Denial>> {
  const copied = await callUserObject(object, "copyState", { state });
  if (copied.ok) return ok({ ...copied.value, isWhole: true });
  if (copied.error.code !== "contract_mismatch") return copied;
  const lock = currentLock(state.lock, Date.now());
  if (lock) {
    const ended = await callUserObject(object, "lock", { lock, isAudited: false });
    return ended.ok ? ok({ ended: ended.value, wasLocked: false, isWhole: false }) : ended;
  }
  const wasLocked = await callUserObject(object, "unlock", { user, by: user, reason: "", isAudited: false });
  return wasLocked.ok ? ok({ ended: [], wasLocked: wasLocked.value, isWhole: false }) : wasLocked;
}
