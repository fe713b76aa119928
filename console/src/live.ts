/** What is live in the whole deployment, as the stream of the directory tells it. Pure. */
import type { LiveRecordJson } from "../../worker/api/schemas/live.ts";
import type { Session } from "./api/endpoints.ts";

export type LiveRecord = LiveRecordJson;

export interface LiveState {
  /** Newest first. */
  readonly sessions: readonly Session[];
  /** False while the directory has not heard from everybody since its last restart; undefined: unknown. */
  readonly isComplete: boolean | undefined;
  /** How many sessions it does not tell of. */
  readonly omitted: number;
}

/** Before a stream has said anything, and again when it begins anew. */
export const NOTHING_LIVE: LiveState = { sessions: [], isComplete: undefined, omitted: 0 };

/** What is known after one more record. A record of a type that nobody knows changes nothing. */
export function withRecord(state: LiveState, record: LiveRecord): LiveState {
  switch (record.type) {
    case "summary":
      return { ...state, isComplete: record.complete, omitted: record.omitted };
    case "sessions": {
      const told = new Set(record.sessions.map(({ id }) => id));
      const others = state.sessions.filter(({ id }) => !told.has(id));
      const sessions = [...others, ...record.sessions].sort((one, other) => (one.startedAt < other.startedAt ? 1 : -1));
      return { ...state, sessions };
    }
    case "counts": {
      const counts = new Map(record.sessions.map((changed) => [changed.id, changed]));
      return { ...state, sessions: state.sessions.map((session) => ({ ...session, ...counts.get(session.id) })) };
    }
    case "ended": {
      const ended = new Set(record.ids);
      return { ...state, sessions: state.sessions.filter(({ id }) => !ended.has(id)) };
    }
    default:
      return state;
  }
}

/** Nothing was sent for so long: a person reads, or has left. */
const IDLE_AFTER_MS = 60_000;

/** For how long nothing was sent, in ms; undefined while somebody works, or nobody knows. */
export function idleMs({ lastUsedAt }: Pick<Session, "lastUsedAt">, now: number): number | undefined {
  const idle = lastUsedAt === null ? 0 : now - Date.parse(lastUsedAt);
  return idle >= IDLE_AFTER_MS ? idle : undefined;
}
