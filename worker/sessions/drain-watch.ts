import { err, ok, type Result } from "../../common/result.ts";
import { currentDrain, type Drain } from "../../contract/drain.ts";
import { type Denial, denial } from "../denials.ts";
import type { Bindings } from "../env.ts";
import { askDirectory } from "./directory.ts";

/**
 * How long an answer counts, ms from the moment of its question: as late does a turn of the switch hold here.
 */
const ANSWER_MAX_AGE_MS = 3_000;
/** How long a session waits for the directory at most, ms. */
const ANSWER_WITHIN_MS = 1_000;
/** After a question without an answer, no session waits for the next one for so long, ms. */
const ASK_AGAIN_AFTER_MS = 3_000;

/** The directory, and the invocation that asks it. */
export interface Asker {
  readonly namespace: Bindings["DIRECTORY"];
  readonly context: Pick<ExecutionContext, "waitUntil">;
}

interface Question {
  readonly askedAt: number;
  /** Never rejects. */
  readonly answered: Promise<void>;
}

/**
 * Whether new sessions are refused everywhere, as the directory said within the last seconds. There is one
 * per isolate.
 *
 * A directory that does not answer opens and ends nothing: what it said last counts, a drain until its end.
 * Where it has said nothing yet, sessions open. The switch is for maintenance and keeps nobody out, so it
 * must not make every session depend on one object.
 */
export class DrainWatch {
  readonly #now: () => number;
  #drain: Drain | null = null;
  /** When the question was asked that `#drain` answers, ms since the epoch. */
  #knownAt = Number.NEGATIVE_INFINITY;
  #question: Question | undefined;

  /** @param now ms since the epoch; only tests pass their own */
  constructor(now: () => number = () => Date.now()) {
    this.#now = now;
  }

  /** Refuses new sessions while the switch is on: `draining`. */
  async check(asker: Asker): Promise<Result<null, Denial>> {
    await this.refresh(asker);
    const drain = currentDrain(this.#drain, this.#now());
    return drain ? err(denyDraining(drain)) : ok(null);
  }

  /** Asks again if the last answer is too old. It may be called early, so that `check` need not wait. */
  async refresh({ namespace, context }: Asker): Promise<void> {
    const now = this.#now();
    // A clock that was set back makes an answer unusable, not young.
    if (isWithin(now - this.#knownAt, ANSWER_MAX_AGE_MS)) return;
    if (this.#question && isWithin(now - this.#question.askedAt, ASK_AGAIN_AFTER_MS)) return this.#question.answered;
    this.#question = { askedAt: now, answered: this.#ask(namespace, now) };
    // The client of the session that asks may leave, and others wait for the answer too.
    context.waitUntil(this.#question.answered);
    return this.#question.answered;
  }

  /** Resolves with the answer, or after a second without one. */
  async #ask(namespace: Bindings["DIRECTORY"], askedAt: number): Promise<void> {
    const drain = await askDirectory(namespace, "readDrain", {}, ANSWER_WITHIN_MS);
    if (!drain.ok || askedAt < this.#knownAt) return;
    this.#drain = drain.value;
    this.#knownAt = askedAt;
  }
}

function isWithin(ageMs: number, limitMs: number): boolean {
  return 0 <= ageMs && ageMs < limitMs;
}

function denyDraining({ by, reason, until }: Drain): Denial {
  const when = new Date(until).toISOString();
  return denial(
    "draining",
    `new sessions are refused until ${when} (${by}: ${reason}): try again then; ` +
      "open sessions and other requests go on",
  );
}
