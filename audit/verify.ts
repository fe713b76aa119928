import { type ChainedEvent, hashEvent } from "./chain.ts";

/** Types of events that are alone under their session_id, and in a chain of first events. */
const LONE_TYPES = [
  "lock",
  "unlock",
  "watch",
  "watch_end",
  "message",
  "freeze",
  "thaw",
  "access_request",
  "access_decision",
  "access_end",
  "drain",
  "drain_end",
  "request_summary",
];
/** Types of the first event of a session_id. */
const FIRST_TYPES: ReadonlySet<string> = new Set([...LONE_TYPES, "start", "request", "seal"]);
/** Types of the last event of a session_id, beside a `request` that awaits no response. */
const LAST_TYPES: ReadonlySet<string> = new Set([...LONE_TYPES, "end", "response", "removal"]);
/** Of these first events, none is a session's. */
const WITHOUT_SESSION: ReadonlySet<string> = new Set([...LONE_TYPES, "request", "response", "seal", "removal"]);

/** An event where the chain is broken. */
export interface BrokenLink {
  readonly session_id: string;
  readonly seq: number;
  /** What is wrong, for a person. */
  readonly problem: string;
}

export interface Verdict {
  readonly sessions: number;
  /** API requests with events of their own; summaries are not among them. */
  readonly requests: number;
  readonly events: number;
  /** Ids of sessions without an end. They should be live. */
  readonly open: readonly string[];
  /** Ids of changes without a response: they are being carried out, or no answer is known. */
  readonly openRequests: readonly string[];
  readonly broken: readonly BrokenLink[];
}

/** Whose chain of first events an event belongs to: each object of a user has one. */
interface ChainOwner {
  /** "" for requests without an identity. */
  readonly user: string;
  readonly locationHint: string;
}

type FirstEvent = Pick<ChainedEvent, "session_id" | "seq" | "prev_hash">;

/**
 * Verifies hashes, links, order and completeness of the audit log. Add every event, ordered by session_id and
 * seq, then call `finish`. Memory grows with the number of sessions and requests, not with their size.
 */
export class ChainVerifier {
  #sessions = 0;
  #requests = 0;
  #events = 0;
  #previous: ChainedEvent | undefined;
  readonly #open: string[] = [];
  readonly #openRequests: string[] = [];
  readonly #broken: BrokenLink[] = [];
  /** First events by hash, without their data. */
  readonly #starts = new Map<string, ChainOwner & { readonly event: FirstEvent }>();

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
    return {
      sessions: this.#sessions,
      requests: this.#requests,
      events: this.#events,
      open: this.#open,
      openRequests: this.#openRequests,
      broken: this.#broken,
    };
  }

  #checkNext(previous: ChainedEvent, event: ChainedEvent): void {
    if (event.seq !== previous.seq + 1) this.#report(event, `event ${previous.seq + 1} of its session is missing`);
    else if (event.prev_hash !== previous.hash) this.#report(event, "its prev_hash is not the previous event's hash");
    if (isLast(previous)) this.#report(event, "it comes after the end of its session");
    if ((previous.type === "request") !== (event.type === "response")) {
      this.#report(event, `a ${event.type} cannot follow a ${previous.type}`);
    }
    if (event.at < previous.at) this.#report(event, "it is older than the previous event");
  }

  #checkFirst(previous: ChainedEvent | undefined, event: ChainedEvent): void {
    this.#leaveSession(previous);
    if (event.type === "request") this.#requests++;
    if (!WITHOUT_SESSION.has(event.type)) this.#sessions++;
    if (event.seq !== 0 || !FIRST_TYPES.has(event.type)) this.#report(event, "the start of its session is missing");
    else {
      const { session_id, seq, prev_hash } = event;
      this.#starts.set(event.hash, { event: { session_id, seq, prev_hash }, ...readOwner(event) });
    }
  }

  #leaveSession(last: ChainedEvent | undefined): void {
    // A range that is sealed may stay in D1 for ever.
    if (!last || last.type === "seal" || isLast(last)) return;
    if (last.type === "request") this.#openRequests.push(last.session_id);
    else this.#open.push(last.session_id);
  }

  /**
   * Every first event but an object's very first links to another of that object, and no two link to the same
   * one.
   */
  #checkStarts(): void {
    const linked = new Set<string>();
    const withFirst = new Set<string>();
    for (const { event, user, locationHint } of this.#starts.values()) {
      if (event.prev_hash === "") {
        const owner = JSON.stringify([user, locationHint]);
        if (withFirst.has(owner)) this.#report(event, `it claims to be the first of ${nameOf(user)}, as another does`);
        withFirst.add(owner);
        continue;
      }
      const before = this.#starts.get(event.prev_hash);
      if (!before) this.#report(event, `the one before it of ${nameOf(user)} is missing`);
      else if (before.user !== user) this.#report(event, "it links to one of another user");
      else if (before.locationHint !== locationHint) this.#report(event, "it links to another object of the same user");
      if (linked.has(event.prev_hash)) this.#report(event, "another links to the same one: one was inserted");
      linked.add(event.prev_hash);
    }
  }

  #report({ session_id, seq }: Pick<ChainedEvent, "session_id" | "seq">, problem: string): void {
    this.#broken.push({ session_id, seq, problem });
  }
}

/** Whether nothing may follow the event under its session_id. */
function isLast({ type, data }: ChainedEvent): boolean {
  return LAST_TYPES.has(type) || (type === "request" && readData(data)?.["awaits_response"] !== true);
}

function nameOf(user: string): string {
  return user || "the requests without an identity";
}

/** Reads the owner from the data of a first event. Forged data has the empty owner. */
function readOwner({ type, data }: ChainedEvent): ChainOwner {
  // Seals have one chain, of the deployment, and so has its directory.
  if (type === "seal") return { user: "the seals", locationHint: "" };
  if (type === "drain" || type === "drain_end") return { user: "the directory", locationHint: "" };
  const fields = readData(data);
  return { user: String(fields?.["user"] ?? ""), locationHint: String(fields?.["location_hint"] ?? "") };
}

function readData(data: string): Readonly<Record<string, unknown>> | null {
  try {
    return JSON.parse(data) as Readonly<Record<string, unknown>> | null;
  } catch {
    return null;
  }
}
