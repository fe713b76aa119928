/**
 * The hash chain of the audit log. The hash of an event covers the event and the hash before it. An event
 * that somebody changes, removes, moves or inserts breaks the chain at that point.
 *
 *     session A   start ─► connect ─► end
 *                   │
 *     change B    request ─► response       the prev_hash of a first event is the hash of the object's previous
 *                   │                       first event, so that a missing session or request shows too; each
 *     session C   start ─► …                of a user's objects (one per location hint) has a chain of its own
 *
 * The chain has no secret. It reveals rows that were edited, deleted or lost. It does not stop a forger who
 * recomputes the whole chain: for that, the newest hashes must be known elsewhere, so the last hash of each
 * session is logged.
 */
import { sha256 } from "@noble/hashes/sha2.js";
import { bytesToHex, utf8ToBytes } from "@noble/hashes/utils.js";
import type { EventType } from "./events.ts";

/** An event as D1 stores it. */
export interface ChainedEvent {
  readonly session_id: string;
  readonly seq: number;
  readonly at: number;
  readonly type: EventType;
  /** JSON, byte for byte as it was hashed. */
  readonly data: string;
  /**
   * The hash of the previous event of the session or request. For the first of them, for a lock, an unlock, a
   * drain, a watch, a message, a summary and what is about access, it is the hash of the previous one of
   * these in the user's object. "" for the very first.
   */
  readonly prev_hash: string;
  readonly hash: string;
}

/**
 * Hashes an event: SHA-256, in hexadecimal, over a JSON array, which keeps the fields apart whatever they
 * contain. Synchronous, unlike WebCrypto, so that an object writes and chains an event in one turn.
 */
export function hashEvent(event: Omit<ChainedEvent, "hash">): string {
  return bytesToHex(sha256(utf8ToBytes(hashedText(event))));
}

/** The text whose UTF-8 is hashed. */
export function hashedText({ prev_hash, session_id, seq, at, type, data }: Omit<ChainedEvent, "hash">): string {
  return JSON.stringify([prev_hash, session_id, seq, at, type, data]);
}
