/**
 * The hash chain of the record. Each event's hash covers the event and the hash before it, so that an event that was
 * changed, left out, moved or put in breaks the chain at that place.
 *
 *     session A   start ─► connect ─► end
 *                   │
 *     session B   start ─► end              a start's prev_hash is the same user's start before it, so that a
 *                   │                       whole session that is missing is noticed too (each place where a user's
 *     session C   start ─► …                object lives has a chain of its own)
 *
 * There is no secret in it: it shows what was not meant to be noticed (a row edited, deleted or lost), not a forger who
 * computes the whole chain anew. For that the newest hashes must be known elsewhere; each session's last one is logged.
 */
import { sha256 } from "@noble/hashes/sha2.js";
import { bytesToHex, utf8ToBytes } from "@noble/hashes/utils.js";
import type { SessionEvent } from "./events.ts";

/** An event as D1 stores it: `data` is the JSON text, byte for byte. */
export interface ChainedEvent {
  readonly session_id: string;
  readonly seq: number;
  readonly at: number;
  readonly type: SessionEvent["type"];
  readonly data: string;
  /**
   * The hash before this one: in the session, or for a start (and for a lock, which is none of a session's) in the user's
   * chain of starts; "" for the very first.
   */
  readonly prev_hash: string;
  readonly hash: string;
}

/**
 * SHA-256 over a JSON array of everything, in hexadecimal: JSON keeps the parts apart whatever is in them. Synchronous,
 * unlike WebCrypto's, so that an event is written and chained in one turn.
 */
export function hashEvent({ prev_hash, session_id, seq, at, type, data }: Omit<ChainedEvent, "hash">): string {
  return bytesToHex(sha256(utf8ToBytes(JSON.stringify([prev_hash, session_id, seq, at, type, data]))));
}
