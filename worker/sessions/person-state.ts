import { err, ok, type Result } from "../../common/result.ts";
import { withTimeout } from "../../common/with-timeout.ts";
import { currentLock, denyLocked, type PersonState } from "../../contract/person-state.ts";
import type { NullableLocationHint } from "../../contract/placement.ts";
import type { Denial } from "../denials.ts";
import type { Bindings } from "../env.ts";
import { STATE_MAX_AGE_MS } from "./state-max-age.ts";
import { invokeUserObject, unavailableAfter, userObjectAddress } from "./user-objects.ts";

/**
 * From this age on, a request that may still use an answer asks for the next one, and does not wait for it.
 */
const REFRESH_AGE_MS = 5_000;
/** How long a request waits for the object, ms. */
const ANSWER_WITHIN_MS = 5_000;
/** People whose state an isolate keeps. Whoever was asked about longest ago is forgotten first. */
const MAX_PEOPLE = 5_000;

/** A person, and the object that is asked about them: the one near the cluster, or the one that decides. */
export interface Person {
  readonly namespace: Bindings["USER_SESSIONS"];
  /** As in the audit log. */
  readonly user: string;
  readonly location: NullableLocationHint;
  /** The invocation that asks. */
  readonly context: Pick<ExecutionContext, "waitUntil">;
}

interface KnownState {
  readonly state: PersonState;
  /** ms since the epoch */
  readonly askedAt: number;
}

interface Question {
  readonly askedAt: number;
  readonly answer: Promise<Result<PersonState, Denial>>;
}

/**
 * What holds for people, as their objects said within the last ten seconds. There is one per isolate.
 *
 * An object that does not answer is no permission: then nobody knows whether the person was locked meanwhile.
 */
export class PersonStates {
  readonly #now: () => number;
  readonly #known = new Map<string, KnownState>();
  readonly #questions = new Map<string, Question>();

  /** @param now ms since the epoch; only tests pass their own */
  constructor(now: () => number = () => Date.now()) {
    this.#now = now;
  }

  /**
   * Refuses a locked person.
   *
   * @param maxAgeMs how old the object's answer may be
   * @returns `user_locked`, or `object_unavailable` where nobody knows
   */
  async checkLock(person: Person, maxAgeMs = STATE_MAX_AGE_MS): Promise<Result<null, Denial>> {
    const recent = this.#recent(person, maxAgeMs);
    const state = recent ? ok(recent) : await this.#askAndWait(person);
    if (!state.ok) return state;
    const lock = currentLock(state.value.lock, this.#now());
    return lock ? err(denyLocked(lock)) : ok(null);
  }

  /** What holds for a person, at most `maxAgeMs` old. */
  async read(person: Person, maxAgeMs = STATE_MAX_AGE_MS): Promise<Result<PersonState, Denial>> {
    const recent = this.#recent(person, maxAgeMs);
    return recent ? ok(recent) : this.#askAndWait(person);
  }

  /** What is known and young enough. Nearly every request has its answer here, and waits for nothing. */
  #recent(person: Person, maxAgeMs: number): PersonState | undefined {
    const known = this.#known.get(person.user);
    if (!known) return undefined;
    const ageMs = this.#now() - known.askedAt;
    // A clock that was set back makes an answer unusable, not young.
    if (ageMs < 0 || ageMs >= maxAgeMs) return undefined;
    if (ageMs >= REFRESH_AGE_MS) this.#ask(person);
    return known.state;
  }

  async #askAndWait(person: Person): Promise<Result<PersonState, Denial>> {
    try {
      return await withTimeout(this.#ask(person), ANSWER_WITHIN_MS);
    } catch (thrown) {
      return unavailableAfter("readState", { tries: 1, thrown });
    }
  }

  /**
   * Takes what an object said of a person.
   *
   * @param askedAt when it was asked, ms since the epoch
   * @returns what holds: another of the person's objects may have said something newer before
   */
  learn(user: string, answered: PersonState, askedAt: number): PersonState {
    const known = this.#known.get(user);
    const state = known && known.state.version > answered.version ? known.state : answered;
    this.#known.delete(user);
    this.#known.set(user, { state, askedAt: Math.max(askedAt, known?.askedAt ?? askedAt) });
    const [oldest] = this.#known.keys();
    if (this.#known.size > MAX_PEOPLE && oldest !== undefined) this.#known.delete(oldest);
    return state;
  }

  /** Concurrent requests share a question, unless its answer is overdue. */
  #ask(person: Person): Question["answer"] {
    const { user, context } = person;
    const askedAt = this.#now();
    const open = this.#questions.get(user);
    if (open && askedAt - open.askedAt < ANSWER_WITHIN_MS) return open.answer;
    const question = { askedAt, answer: this.#question(person, askedAt) };
    this.#questions.set(user, question);
    const settled = question.answer.then(() => {
      if (this.#questions.get(user) === question) this.#questions.delete(user);
    });
    // The client of the request that asks may leave, and others wait for the answer too.
    context.waitUntil(settled);
    return question.answer;
  }

  /** Never rejects. */
  async #question({ namespace, user, location }: Person, askedAt: number): Promise<Result<PersonState, Denial>> {
    const address = userObjectAddress(namespace, user, location);
    const answered = await invokeUserObject(namespace, address, "readState", {});
    if (answered.ok) return ok(this.learn(user, answered.value, askedAt));
    if (answered.error.code !== "contract_mismatch") return answered;
    // An object may run older code for as long as it has a session open. Its locks have no version, and it
    // has no grants.
    const lock = await invokeUserObject(namespace, address, "currentLock", {});
    if (!lock.ok) return lock;
    const version = this.#known.get(user)?.state.version ?? 0;
    return ok(this.learn(user, { version, lock: lock.value, grants: [] }, askedAt));
  }
}
