/**
 * The fault matrix: every fault at every moment of a session, and the type of a cell, which says what must
 * follow.
 *
 * The tables are in test/workerd/fault-matrix.test.ts and, where all of workerd has to die,
 * test/e2e/fault-matrix.test.ts.
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
  /**
   * Before the first byte: the session is admitted and its start stored; the cluster has not answered the
   * upgrade.
   */
  "dialling",
  /** Before the first byte: both sockets are connected, nothing has been relayed. */
  "opened",
  /** The client's `in` has reached the pod, the pod's `out` the client. */
  "mid-stream",
  /** After that, the cluster's Status (exit code 0) has reached the client; no side has closed. */
  "during close",
] as const;
export type Moment = (typeof MOMENTS)[number];

/** What must follow from a fault at a moment: for the client, in the audit log, and in the recording. */
export interface Cell {
  readonly userSees: Sight;
  readonly d1Has: {
    readonly outcome: Outcome;
    readonly reason: string | RegExp | null;
    /** Default: null. */
    readonly exit_code?: number;
    /** Default: null. */
    readonly ended_by?: string;
    /** Default: exactly what had been relayed by then. */
    readonly counts?: Counts | "what had flowed, or less" | "what had flowed, and more";
  };
  /** `none`: there is no recording. The lines are the last of the cast, `[code, data]`. */
  readonly recordingHas: "none" | { readonly state: RecordingSummary["state"]; readonly lastLines: readonly Line[] };
}

export type Sight =
  /** An answer other than 101, with a Status of this message. */
  | { readonly refusal: number; readonly message: string | RegExp }
  /** A Failure on channel 3 as the session's last message, which kubectl prints; then close 1000. */
  | { readonly toldOnChannel3: string }
  /** The command's own Status, alone on channel 3, then close 1000: kubectl exits with the command's code. */
  | { readonly exitCode: number }
  /** The connection breaks without a message: kubectl prints an error of its own. */
  | "a broken connection"
  /** The client itself is gone. */
  | "nothing";

export type Line = readonly [code: "o" | "m", data: string | RegExp];

/** A row: a cell for each moment, or the reason why the moment is impossible. */
export type Row = { readonly [M in Moment]: Cell | { readonly impossible: string } };
