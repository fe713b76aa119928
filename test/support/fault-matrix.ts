/**
 * The fault matrix: every fault at every moment of a session, and how a cell says what must come of it.
 *
 * The tables are test/workerd/fault-matrix.test.ts and, where all of workerd has to die, test/e2e/fault-matrix.test.ts.
 */
import type { Counts, Outcome, RecordingSummary } from "../../audit/events.ts";

export const FAULTS = [
  "upstream refuses",
  "upstream dies",
  "upstream stalls",
  "client dies",
  "client stalls",
  "D1 fails, policy buffer",
  "D1 fails, policy fail-closed",
  "R2 fails",
  "object aborted",
  "workerd killed",
  "limit reached",
  "killed by admin",
] as const;
export type Fault = (typeof FAULTS)[number];

export const MOMENTS = [
  /** Before the first byte: admitted, its start on disk; the cluster has not answered the upgrade. */
  "dialling",
  /** Before the first byte: both sockets are joined, nothing has flowed. */
  "opened",
  /** The client's `in` has reached the pod, the pod's `out` the client. */
  "mid-stream",
  /** After that, the cluster's Status (exit code 0) has reached the client; no side has closed. */
  "during close",
] as const;
export type Moment = (typeof MOMENTS)[number];

/** What must come of a fault at a moment: for the person, in the audit trail, in the recording. */
export interface Cell {
  readonly userSees: Sight;
  readonly d1Has: {
    readonly outcome: Outcome;
    readonly reason: string | RegExp | null;
    /** null where it is left out. */
    readonly exit_code?: number;
    /** null where it is left out. */
    readonly ended_by?: string;
    /** What had flowed by then, to the byte, where it is left out. */
    readonly counts?: Counts | "what had flowed, or less" | "what had flowed, and more";
  };
  /** `none`: it was never opened. The lines are the last of the cast, `[code, data]`. */
  readonly recordingHas: "none" | { readonly state: RecordingSummary["state"]; readonly lastLines: readonly Line[] };
}

export type Sight =
  /** An answer other than 101, with a Status that says `words`. */
  | { readonly refusal: number; readonly words: string | RegExp }
  /** A Failure on channel 3 as the session's last message, which kubectl prints; then close 1000. */
  | { readonly toldOnChannel3: string }
  /** The command's own Status, alone on channel 3, then close 1000: kubectl exits with the command's code. */
  | { readonly exitCode: number }
  /** The connection breaks without a word: kubectl prints an error of its own. */
  | "a broken connection"
  /** It is the client that is gone. */
  | "nothing";

export type Line = readonly [code: "o" | "m", data: string | RegExp];

/** A row: a cell for each moment, or the reason, in words, why there can be none. */
export type Row = { readonly [M in Moment]: Cell | { readonly impossible: string } };
