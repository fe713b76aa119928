/** Why a session ended, and what that means for its client, the cluster and the audit log. Pure. */

import type { Outcome } from "../../audit/events.ts";
import { CloseCode } from "../../common/close-codes.ts";
import { stripControlCharacters } from "../../common/text.ts";
import { denial } from "../../contract/denial.ts";
import type { Status } from "../../kubernetes/status.ts";
import { type Refusal, refusalOf } from "../refusal.ts";
import type { ReachedLimit } from "./limits.ts";
import { outcomeFromStatus, outcomeOf, outcomeOfLimit, outcomeOfTermination, type SessionOutcome } from "./outcome.ts";

export type Side = "client" | "cluster";

export type CloseCause =
  /** The command had ended, and one side closed. Its Status says how. */
  | {
      readonly kind: "command";
      readonly status: Status;
      readonly side: Side;
      readonly code: number;
      readonly reason: string;
    }
  /** The client closed, or went away. 1006 where it sent no close frame. */
  | { readonly kind: "client"; readonly code: number; readonly reason: string }
  /** The cluster closed, or the connection to it broke: 1006. */
  | { readonly kind: "cluster"; readonly code: number; readonly reason: string }
  | { readonly kind: "limit"; readonly limit: ReachedLimit }
  | { readonly kind: "administrator"; readonly by: string; readonly reason: string }
  /** The session must not go on unrecorded. */
  | { readonly kind: "recorder"; readonly outcome: RecorderOutcome; readonly message: string }
  /** The session was refused after its start was written: by the cluster, or by Sallyport. */
  | { readonly kind: "refusal"; readonly refusal: Refusal }
  /** It waited for an approval, and will not get it: the cluster never heard of it. */
  | { readonly kind: "unapproved"; readonly message: string }
  /** It must be watched, and nobody did for too long, or its person left meanwhile. */
  | { readonly kind: "unwatched"; readonly message: string }
  /** A fault of Sallyport's own. */
  | { readonly kind: "internal" };

export type RecorderOutcome = Extract<Outcome, "recording_failed" | "recording_limit">;

/** What one side is sent at the end. `message` is shown in the terms of the session's protocol. */
export interface Farewell {
  readonly message?: string;
  readonly code: number;
  readonly reason: string;
}

/** What a cause means. */
export interface Closure {
  readonly outcome: SessionOutcome;
  /** For a client whose attempt was not answered yet. */
  readonly refusal: Refusal;
  readonly toClient: Farewell;
  readonly toCluster: Farewell;
}

type CauseOf<Kind extends CloseCause["kind"]> = Extract<CloseCause, { readonly kind: Kind }>;
/** @param status of a command that has ended: it keeps its own outcome */
type ClosureOf<Cause> = (cause: Cause, status: Status | undefined) => Closure;

/** Every cause, once. */
const CLOSURES: { readonly [Kind in CloseCause["kind"]]: ClosureOf<CauseOf<Kind>> } = {
  command: ({ status, side, code, reason }) => ({
    outcome: outcomeFromStatus(status),
    refusal: sessionEnded("the command ended"),
    // kubectl discards the Status and fails on any other code than 1000, so a lost connection is a normal
    // close.
    toClient:
      code === CloseCode.abnormal && side === "cluster"
        ? NORMAL_CLOSE
        : { code, reason: side === "cluster" ? stripControlCharacters(reason) : "" },
    toCluster: { code, reason: side === "client" ? reason : "" },
  }),
  client: ({ code, reason }) => ({
    outcome: outcomeOf("disconnected", null),
    refusal: sessionEnded("the client went away"),
    toClient: { code, reason: "" },
    toCluster: { code, reason },
  }),
  cluster: ({ code, reason }) => {
    if (code !== CloseCode.abnormal) {
      const isClean = code === CloseCode.normal || code === CloseCode.noStatus;
      const outcome = isClean ? outcomeOf("closed", null) : lost(`WebSocket close ${code}`);
      // kubectl prints it.
      const toClient = { code, reason: stripControlCharacters(reason) };
      return { outcome, refusal: sessionEnded(LOST), toClient, toCluster: { code, reason: "" } };
    }
    return { outcome: lost(reason || "WebSocket close 1006"), refusal: sessionEnded(LOST), ...tellBoth(LOST) };
  },
  limit: ({ limit: { outcome, message } }, status) => ({
    outcome: outcomeOfLimit(outcome, message, status),
    refusal: sessionEnded(message),
    ...tellBoth(message),
  }),
  administrator: ({ by, reason }, status) => {
    const message = `session terminated by ${by}: ${reason}`;
    return { outcome: outcomeOfTermination(by, reason, status), refusal: sessionEnded(message), ...tellBoth(message) };
  },
  recorder: ({ outcome, message }, status) => ({
    outcome: outcomeOfLimit(outcome, message, status),
    refusal: sessionEnded(message),
    ...tellBoth(message),
  }),
  refusal: ({ refusal }) => ({
    outcome: outcomeOf("refused", refusal.message),
    refusal,
    ...tellBoth(refusal.message),
  }),
  unapproved: ({ message }) => ({
    outcome: outcomeOf("not_approved", message),
    refusal: sessionEnded(message),
    ...tellBoth(message),
  }),
  unwatched: ({ message }, status) => ({
    outcome: outcomeOfLimit("not_watched", message, status),
    refusal: sessionEnded(message),
    ...tellBoth(message),
  }),
  internal: (_, status) => ({
    outcome: outcomeOfLimit("failed", "Sallyport failed, as its log says", status),
    refusal: sessionEnded(INTERNAL),
    ...tellBoth(INTERNAL),
  }),
};

const LOST = "the connection to the cluster was lost";
const INTERNAL = "Sallyport failed: try again; if this persists, contact your administrator";
const NORMAL_CLOSE: Farewell = { code: CloseCode.normal, reason: "" };

/** @param status what the cluster has said about the command's end by now */
export function closureOf(cause: CloseCause, status: Status | undefined): Closure {
  return (CLOSURES[cause.kind] as ClosureOf<CloseCause>)(cause, status);
}

function sessionEnded(message: string): Refusal {
  return refusalOf(denial("session_ended", message));
}

function lost(how: string): SessionOutcome {
  return outcomeOf("upstream_lost", `${LOST} (${how})`);
}

/** The client is shown why, in a terminal; the cluster learns it from the close frame. */
function tellBoth(message: string): Pick<Closure, "toClient" | "toCluster"> {
  const shown = stripControlCharacters(message);
  return {
    toClient: { message: shown, code: CloseCode.normal, reason: "" },
    toCluster: { code: CloseCode.goingAway, reason: shown },
  };
}
