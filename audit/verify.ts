import { type ChainedEvent, hashEvent } from "./chain.ts";

/** Types of the first event of a session_id. */
const FIRST_TYPES: ReadonlySet<string> = new Set(["start", "lock", "unlock", "seal"]);
/** Types of the last event of a session_id. */
const LAST_TYPES: ReadonlySet<string> = new Set(["end", "lock", "unlock", "removal"]);
/** Of these first events, none is a session's. */
const WITHOUT_SESSION: ReadonlySet<string> = new Set(["lock", "unlock", "seal", "removal"]);

/** An event where the chain is broken. */
export interface BrokenLink {
  readonly session_id: string;
  readonly seq: number;
  /** What is wrong, for a person. */
  readonly problem: string;
}

export interface Verdict {
  readonly sessions: number;
  readonly events: number;
  /** Ids of sessions without an end. They should be live. */
  readonly open: readonly string[];
  readonly broken: readonly BrokenLink[];
}

/** Whose chain of starts an event belongs to: each object of a user has one. */
interface ChainOwner {
  readonly user: string;
  readonly locationHint: string;
}

/**
 * Verifies hashes, links, order and completeness of the audit log. Add every event, ordered by session_id and
 * seq, then call `finish`. Memory grows with the number of sessions, not of events.
 */
export class ChainVerifier {
  #sessions = 0;
  #events = 0;
  #previous: ChainedEvent | undefined;
  readonly #open: string[] = [];
  readonly #broken: BrokenLink[] = [];
  /** First events by hash. */
  readonly #starts = new Map<string, ChainOwner & { readonly event: ChainedEvent }>();

  add(event: ChainedEvent): void {
    this.#events++;
    if (hashEvent(event) !== event.hash) this.#report(event, "its hash does not match its content: it was changed");
    const previous = this.#previous;
    this.#previous = event;
    if (previous?.session_id === event.session_id) this.#checkNext(previous, event);
    else this.#checkFirst(previous, event);
  }

  finish(): Verdict {
    this.#leaveSession(this.#previous);
    this.#checkStarts();
    return { sessions: this.#sessions, events: this.#events, open: this.#open, broken: this.#broken };
  }

  #checkNext(previous: ChainedEvent, event: ChainedEvent): void {
    if (event.seq !== previous.seq + 1) this.#report(event, `event ${previous.seq + 1} of its session is missing`);
    else if (event.prev_hash !== previous.hash) this.#report(event, "its prev_hash is not the previous event's hash");
    if (LAST_TYPES.has(previous.type)) this.#report(event, "it comes after the end of its session");
    if (event.at < previous.at) this.#report(event, "it is older than the previous event");
  }

  #checkFirst(previous: ChainedEvent | undefined, event: ChainedEvent): void {
    this.#leaveSession(previous);
    if (!WITHOUT_SESSION.has(event.type)) this.#sessions++;
    if (event.seq !== 0 || !FIRST_TYPES.has(event.type)) this.#report(event, "the start of its session is missing");
    else this.#starts.set(event.hash, { event, ...readOwner(event) });
  }

  #leaveSession(last: ChainedEvent | undefined): void {
    // A range that is sealed may stay in D1 for ever.
    if (last && last.type !== "seal" && !LAST_TYPES.has(last.type)) this.#open.push(last.session_id);
  }

  /**
   * Every start but an object's first links to another start of that object, and no two link to the same one.
   */
  #checkStarts(): void {
    const linked = new Set<string>();
    const withFirst = new Set<string>();
    for (const { event, user, locationHint } of this.#starts.values()) {
      if (event.prev_hash === "") {
        const owner = JSON.stringify([user, locationHint]);
        if (withFirst.has(owner)) this.#report(event, `it claims to be the first session of ${user}, as another does`);
        withFirst.add(owner);
        continue;
      }
      const before = this.#starts.get(event.prev_hash);
      if (!before) this.#report(event, `the previous session of ${user} is missing`);
      else if (before.user !== user) this.#report(event, "it links to a session of another user");
      else if (before.locationHint !== locationHint) this.#report(event, "it links to another object of the same user");
      if (linked.has(event.prev_hash)) this.#report(event, "another session links to the same one: one was inserted");
      linked.add(event.prev_hash);
    }
  }

  #report({ session_id, seq }: ChainedEvent, problem: string): void {
    this.#broken.push({ session_id, seq, problem });
  }
}

/** Reads the owner from the data of a first event. Forged data has the empty owner. */
function readOwner(event: ChainedEvent): ChainOwner {
  // Seals have one chain, of the deployment.
  if (event.type === "seal") return { user: "the seals", locationHint: "" };
  try {
    const data = JSON.parse(event.data) as { user?: unknown; location_hint?: unknown } | null;
    return { user: String(data?.user), locationHint: String(data?.location_hint ?? "") };
  } catch {
    return { user: "", locationHint: "" };
  }
}
