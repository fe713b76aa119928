/**
 * Checks a session's part of the hash chain, in the browser: what the page shows is what was hashed, and each
 * event follows the one before it. audit/chain.ts makes the hashes. Unlike audit/verify.ts, which has rows of
 * D1, this has the hashed text that the API shows, and the events of one session. Pure, but for the digest.
 */
import { isJsonObject, parseJson } from "../../../common/json.ts";

/** An event as the API shows it. */
export interface ShownEvent {
  readonly seq: number;
  /** RFC 3339. */
  readonly at: string;
  readonly type: string;
  readonly data: unknown;
  readonly prevHash: string;
  readonly hash: string;
  /** The text that was hashed. */
  readonly raw: string;
}

/** What does not hold. */
export interface ChainFault {
  /** Of the event. */
  readonly seq: number;
  /** For a person: what was changed. */
  readonly message: string;
}

/** SHA-256 of a text's UTF-8, in hexadecimal. */
export type Digest = (text: string) => Promise<string>;

/** By WebCrypto. */
export const webCryptoDigest: Digest = async (text) => {
  const hash = await crypto.subtle.digest("SHA-256", new TextEncoder().encode(text));
  return [...new Uint8Array(hash)].map((byte) => byte.toString(16).padStart(2, "0")).join("");
};

/**
 * Checks the events of one session.
 *
 * @param sessionId whose events they are
 * @param events all of the session, in order
 * @returns what does not hold; empty: nothing was changed in between
 */
export async function verifyEvents(
  sessionId: string,
  events: readonly ShownEvent[],
  digest: Digest,
): Promise<ChainFault[]> {
  const faults: ChainFault[] = [];
  for (const [index, event] of events.entries()) {
    const { seq } = event;
    const fault = (message: string) => faults.push({ seq, message });
    if ((await digest(event.raw)) !== event.hash) fault("its text is not the one that was hashed");
    if (!showsWhatWasHashed(sessionId, event)) fault("what is shown of it is not what was hashed");
    if (seq !== index) fault(`an event is missing: this is number ${seq}, where ${index} was expected`);
    const before = events[index - 1];
    if (before && event.prevHash !== before.hash) fault("it does not follow the event before it");
  }
  return faults;
}

/** An event as it was hashed. */
export interface HashedEvent {
  readonly prevHash: string;
  readonly hash: string;
  readonly raw: string;
}

/** A session in its object's log. */
export interface SessionChain {
  readonly events: readonly HashedEvent[];
  /** What the session's first event is chained to. Null: it was not found near it. */
  readonly previous: HashedEvent | null;
  /** What is chained to the session's first event. Null: nothing near it. */
  readonly next: HashedEvent | null;
  /** Whether the session's first event says that it is the log's first. */
  readonly isFirst: boolean;
}

/** Whether a session and an entry beside it are chained. `edge`: it is the log's first by its own hash. */
export type Link = "holds" | "broken" | "edge" | "unknown";

export interface NeighbourLinks {
  readonly previous: Link;
  readonly next: Link;
}

/** Checks the entries of the log before and after a session, as `verifyEvents` checks its own. */
export async function verifyNeighbours(chain: SessionChain, digest: Digest): Promise<NeighbourLinks> {
  const { events, previous, next, isFirst } = chain;
  const [first] = events;
  if (!first) return { previous: "unknown", next: "unknown" };
  return {
    previous: previous ? await linkOf(previous, first, digest) : isFirst && first.prevHash === "" ? "edge" : "unknown",
    next: next ? await linkOf(first, next, digest) : "unknown",
  };
}

async function linkOf(earlier: HashedEvent, later: HashedEvent, digest: Digest): Promise<Link> {
  const areIntact = await Promise.all([earlier, later].map(async (event) => isIntact(event, await digest(event.raw))));
  return areIntact.every(Boolean) && later.prevHash === earlier.hash ? "holds" : "broken";
}

/** Whether the hash is that of the text, and the text names the hash before it. @param digest of the text */
function isIntact({ raw, hash, prevHash }: HashedEvent, digest: string): boolean {
  const hashed = parseJson(raw);
  return digest === hash && Array.isArray(hashed) && hashed[0] === prevHash;
}

function showsWhatWasHashed(sessionId: string, { seq, at, type, data, prevHash, raw }: ShownEvent): boolean {
  const hashed = parseJson(raw);
  if (!Array.isArray(hashed) || hashed.length !== 6) return false;
  const text: unknown = hashed[5];
  return (
    hashed[0] === prevHash &&
    hashed[1] === sessionId &&
    hashed[2] === seq &&
    hashed[3] === Date.parse(at) &&
    hashed[4] === type &&
    typeof text === "string" &&
    canonical(parseJson(text)) === canonical(data)
  );
}

/** JSON whose keys are in order, so that two values have the same text if they are the same. */
function canonical(value: unknown): string {
  return JSON.stringify(value, (_, part: unknown) =>
    isJsonObject(part)
      ? Object.fromEntries(Object.entries(part).sort(([one], [other]) => (one < other ? -1 : 1)))
      : part,
  );
}
