import { ok, type Result } from "../../common/result.ts";
import type { Denial } from "../denials.ts";
import { STATE_MAX_AGE_MS } from "./state-max-age.ts";

/** How often a person is looked up again while something of theirs is open, ms. */
const LOOK_EVERY_MS = 4_000;
/**
 * Then what is known may be this old. With the interval it is less than `STATE_MAX_AGE_MS` after a decision.
 */
const LOOKED_UP_MAX_AGE_MS = 5_000;

/**
 * Refuses a person who is locked, or whose access to something is over; what is known of them may be
 * `maxAgeMs` old.
 */
export type CheckAccess = (maxAgeMs?: number) => Promise<Result<null, Denial>>;

/** Where nobody knows whether a person's access is over. */
const UNANSWERED: readonly string[] = ["object_unavailable", "identity_unreachable"] satisfies Denial["code"][];

/** Whether a person is refused only because nobody knows whether their access is over: they may come back. */
export function isUnanswered({ code }: Denial): boolean {
  return UNANSWERED.includes(code);
}

/**
 * Lets one check in a row go unanswered, for streams that cost somebody else something when they break off.
 * An answer counts at once.
 */
export function tolerateOneUnanswered(checkAccess: CheckAccess): CheckAccess {
  let wasAnswered = true;
  return async (maxAgeMs) => {
    const checked = await checkAccess(maxAgeMs);
    const isAnswered = checked.ok || !isUnanswered(checked.error);
    const isTolerated = !isAnswered && wasAnswered;
    wasAnswered = isAnswered;
    return isTolerated ? ok(null) : checked;
  };
}

/** Looks out for the end of a person's access while they have something open. It must be stopped. */
export class AccessWatch {
  readonly #checkAccess: CheckAccess;
  readonly #cut = new AbortController();
  #timer: ReturnType<typeof setTimeout> | null = null;
  #isStopped = false;
  #denial: Denial | undefined;

  constructor(checkAccess: CheckAccess) {
    this.#checkAccess = checkAccess;
    this.#lookLater();
  }

  /** Aborts once their access is over, or nobody knows whether it is. */
  get signal(): AbortSignal {
    return this.#cut.signal;
  }

  /** Why it aborted. */
  get denial(): Denial | undefined {
    return this.#denial;
  }

  stop(): void {
    this.#isStopped = true;
    clearTimeout(this.#timer);
  }

  #lookLater(): void {
    this.#timer = setTimeout(() => void this.#look(), LOOK_EVERY_MS);
  }

  async #look(): Promise<void> {
    const checked = await this.#checkAccess(LOOKED_UP_MAX_AGE_MS);
    if (this.#isStopped) return;
    if (checked.ok) return this.#lookLater();
    this.#denial = checked.error;
    this.#cut.abort(new Error("the person's access is over"));
  }
}

/**
 * Breaks an answer off once the person's access is over. The client sees a broken connection, never a
 * complete answer.
 *
 * The invocation of an answer that is returned as it came ends with its head, timers and all. This one
 * passes through a stream of the runtime's own, without JavaScript for each piece, which keeps the
 * invocation for as long as it flows.
 *
 * @param left aborts when the client leaves, for who must hear of it before the next piece
 */
export function cutWithAccess(response: Response, checkAccess: CheckAccess, left?: AbortSignal): Response {
  const { body, headers } = response;
  // The pieces would be decompressed, compressed again, and held back meanwhile.
  if (!body || headers.has("Content-Encoding")) return response;
  const length = headers.get("Content-Length");
  const { readable, writable } =
    length === null ? new IdentityTransformStream() : new FixedLengthStream(Number(length));
  const watch = new AccessWatch(checkAccess);
  const signal = left ? AbortSignal.any([watch.signal, left]) : watch.signal;
  const passed = body.pipeTo(writable, { signal });
  // Either end may break it off, and the other one learns of it from the stream itself.
  void passed.catch(() => {}).finally(() => watch.stop());
  return new Response(readable, response);
}

/** Whether an answer took so long that access may have ended meanwhile: a read is checked again then. */
export function isLateAnswer(sentAt: number): boolean {
  return Date.now() - sentAt >= STATE_MAX_AGE_MS;
}
