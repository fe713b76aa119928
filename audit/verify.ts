import { type ChainedEvent, hashEvent } from "./chain.ts";

/** Types of event that nothing of the same id comes before, and after. */
const BEGINS: ReadonlySet<string> = new Set(["start", "lock", "unlock"]);
const ENDS: ReadonlySet<string> = new Set(["end", "lock", "unlock"]);

/** One locationHint where the record is not as it was written. */
export interface BrokenLink {
  readonly session_id: string;
  readonly seq: number;
  readonly fault: string;
}

export interface Verdict {
  readonly sessions: number;
  readonly events: number;
  /** Sessions without an end: live, or cut off. Their ids, for comparing with what is live. */
  readonly open: readonly string[];
  readonly broken: readonly BrokenLink[];
}

/**
 * Checks hashes, links, order and completeness.
 *
 * @param events all of them, ordered by session and seq; the user of a start is read from its data
 */
export class ChainVerifier {
  #sessions = 0;
  #events = 0;
  #last: ChainedEvent | undefined;
  readonly #open: string[] = [];
  readonly #broken: BrokenLink[] = [];
  /** hash of each start → whose. */
  readonly #starts = new Map<
    string,
    { readonly event: ChainedEvent; readonly user: string; readonly locationHint: string }
  >();

  add(event: ChainedEvent): void {
    this.#events++;
    if (hashEvent(event) !== event.hash) this.#fault(event, "its content does not fit its hash: it was changed");
    const previous = this.#last;
    this.#last = event;
    if (previous?.session_id === event.session_id) this.#checkNext(previous, event);
    else this.#checkFirst(previous, event);
  }

  finish(): Verdict {
    this.#leaveSession(this.#last);
    this.#checkStarts();
    return { sessions: this.#sessions, events: this.#events, open: this.#open, broken: this.#broken };
  }

  #checkNext(previous: ChainedEvent, event: ChainedEvent): void {
    if (event.seq !== previous.seq + 1) this.#fault(event, `event ${previous.seq + 1} before it is missing`);
    else if (event.prev_hash !== previous.hash) this.#fault(event, "it does not link to the event before it");
    if (ENDS.has(previous.type)) this.#fault(event, "it stands after the session's end");
    if (event.at < previous.at) this.#fault(event, "it is older than the event before it");
  }

  #checkFirst(previous: ChainedEvent | undefined, event: ChainedEvent): void {
    this.#leaveSession(previous);
    if (event.type !== "lock" && event.type !== "unlock") this.#sessions++;
    if (event.seq !== 0 || !BEGINS.has(event.type)) this.#fault(event, "the session's start is missing");
    else this.#starts.set(event.hash, { event, ...chainOf(event) });
  }

  #leaveSession(last: ChainedEvent | undefined): void {
    if (last && !ENDS.has(last.type)) this.#open.push(last.session_id);
  }

  /** Every start but the first of a user's object links to a start of the same object, and no two to the same start. */
  #checkStarts(): void {
    const linked = new Map<string, string>();
    const firsts = new Map<string, string>();
    for (const { event, user, locationHint } of this.#starts.values()) {
      if (event.prev_hash === "") {
        if (firsts.has(`${user} ${locationHint}`))
          this.#fault(event, `it claims to be the first session of ${user}, and another does too`);
        firsts.set(`${user} ${locationHint}`, event.session_id);
        continue;
      }
      const before = this.#starts.get(event.prev_hash);
      if (!before) this.#fault(event, `the session of ${user} before it is missing`);
      else if (before.user !== user) this.#fault(event, "it links to another user's session");
      else if (before.locationHint !== locationHint)
        this.#fault(event, "it links to a session of another of the user's objects");
      if (linked.has(event.prev_hash))
        this.#fault(event, "another session links to the same one: one of them was put in");
      linked.set(event.prev_hash, event.session_id);
    }
  }

  #fault({ session_id, seq }: ChainedEvent, fault: string): void {
    this.#broken.push({ session_id, seq, fault });
  }
}

/** Whose chain of starts an event is in. A user has one for each locationHint where an object of theirs lives. */
function chainOf(event: ChainedEvent): { user: string; locationHint: string } {
  try {
    const data = JSON.parse(event.data) as { user?: unknown; location_hint?: unknown } | null;
    return { user: String(data?.user), locationHint: String(data?.location_hint ?? "") };
  } catch {
    return { user: "", locationHint: "" };
  }
}
