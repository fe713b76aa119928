import { describe, expect, it } from "vitest";
import type { Relay } from "../../durable/relay/relay.ts";
import { GIVEN_UP } from "../../durable/session/approval.ts";
import type { ApprovalWait } from "../../durable/session/approval-wait.ts";
import { type CloseCause, type Closure, closureOf } from "../../durable/session/close-cause.ts";
import { LiveSession } from "../../durable/session/live-session.ts";
import { parseStatus, type Status, successStatus } from "../../kubernetes/status.ts";
import { PLAN } from "../support/session-plan.ts";

function opened(close: () => void) {
  const closures: Closure[] = [];
  const session = new LiveSession(PLAN, 0, undefined, (_, closure) => closures.push(closure));
  session.dial();
  session.open({ close, observer: { finalStatus: () => undefined } } as unknown as Relay);
  return { session, closures };
}

describe("a session", () => {
  it("ends once, by the first cause", () => {
    let closed = 0;
    const { session, closures } = opened(() => closed++);
    expect(session.close({ kind: "client", code: 1000, reason: "" })).toBe(true);
    expect(session.close({ kind: "administrator", by: "root", reason: "late" })).toBe(false);
    expect([closed, closures.map(({ outcome }) => outcome.outcome)]).toEqual([1, ["disconnected"]]);
  });

  it("may write its end later only where the journal has all of it: the command's, with its saved Status", () => {
    const command = { kind: "command", status: successStatus(), side: "cluster", code: 1000, reason: "" } as const;
    const endsAsSaved = (isFinalStatusSaved: boolean, cause: CloseCause) => {
      const { session } = opened(() => {});
      session.isFinalStatusSaved = isFinalStatusSaved;
      expect(session.endsAsSaved).toBe(false);
      session.close(cause);
      return session.endsAsSaved;
    };
    expect(endsAsSaved(true, command)).toBe(true);
    expect(endsAsSaved(false, command)).toBe(false);
    // Its row names the administrator, whom the journal does not know yet.
    expect(endsAsSaved(true, { kind: "administrator", by: "root", reason: "drill" })).toBe(false);
    expect(endsAsSaved(true, { kind: "limit", limit: { outcome: "idle_limit", message: "idle" } })).toBe(false);
  });

  it("frees its place although its end fails", () => {
    const { session, closures } = opened(() => {
      throw new Error("SQLITE_IOERR");
    });
    expect(() => session.close({ kind: "internal" })).toThrow("SQLITE_IOERR");
    expect(closures).toHaveLength(1);
    expect(session.close({ kind: "internal" })).toBe(false);
  });

  it("that ends before the cluster has answered is not dialled any more, and has a refusal", () => {
    const session = new LiveSession(PLAN, 0, undefined, () => {});
    const signal = session.dial();
    session.close({ kind: "administrator", by: "root", reason: "drill" });
    expect([signal.aborted, session.refusal?.message]).toEqual([true, "session terminated by root: drill"]);
    session.open({} as Relay);
    expect(session.relay).toBeUndefined();
  });
});

describe("a session that waits for an approval", () => {
  const GRANT = { id: "a-1", grant: "prod-exec", until: 60_000 };

  function waiting() {
    const farewells: Closure[] = [];
    const closures: Closure[] = [];
    const session = new LiveSession(PLAN, 0, undefined, (_, closure) => closures.push(closure));
    const close = (closure: Closure) => farewells.push(closure);
    const relay = { close, observer: { finalStatus: () => undefined }, activeAt: 0 } as unknown as Relay;
    const wait = { givenUp: GIVEN_UP } as ApprovalWait;
    session.hold(relay, wait);
    return { session, relay, wait, farewells, outcomes: () => closures.map(({ outcome }) => outcome.outcome) };
  }

  it("is dialled once it is approved, and opens with the client that it has", () => {
    const { session, relay, wait } = waiting();
    expect([session.wait, session.relay, session.grants]).toEqual([wait, relay, []]);
    session.open(relay);
    expect(session.wait).toBe(wait);
    session.approve(GRANT);
    session.begin(5_000);
    expect([session.wait, session.relay, session.grants]).toEqual([undefined, relay, [GRANT]]);
    // Its duration and its idle time begin now.
    expect([session.countsSince, session.activeAt]).toEqual([5_000, 5_000]);
    const signal = session.dial();
    session.open(relay);
    session.close({ kind: "client", code: 1000, reason: "" });
    // A cluster that has accepted is told, and cut off later.
    expect([signal.aborted, session.givenUp]).toEqual([false, undefined]);
  });

  it("that ends while the cluster is dialled is not dialled any more, and its client hears why", () => {
    const { session, farewells, outcomes } = waiting();
    session.approve(GRANT);
    session.begin(5_000);
    const signal = session.dial();
    session.close({ kind: "administrator", by: "root", reason: "drill" });
    expect([signal.aborted, farewells.map(({ toClient }) => toClient.message)]).toEqual([
      true,
      ["session terminated by root: drill"],
    ]);
    expect(outcomes()).toEqual(["terminated"]);
  });

  it("is given up by whoever leaves it while it waits, and not after", () => {
    const left = waiting();
    left.session.close({ kind: "client", code: 1006, reason: "" });
    expect([left.session.givenUp, left.outcomes()]).toEqual([left.wait, ["not_approved"]]);
    const approved = waiting();
    approved.session.begin(5_000);
    approved.session.close({ kind: "client", code: 1006, reason: "" });
    expect([approved.session.givenUp, approved.outcomes()]).toEqual([undefined, ["disconnected"]]);
    const killed = waiting();
    killed.session.close({ kind: "administrator", by: "root", reason: "drill" });
    expect([killed.session.givenUp, killed.outcomes()]).toEqual([undefined, ["terminated"]]);
  });
});

describe("whatever ends a session, wherever it is", () => {
  const status = parseStatus('{"status":"Success"}') as Status;
  const refusal = { status: 403, contentType: "application/json", body: "{}", message: "no" };
  /** Every cause, once: a new one does not compile without. */
  const CAUSES: { readonly [Kind in CloseCause["kind"]]: Extract<CloseCause, { kind: Kind }> } = {
    command: { kind: "command", status, side: "cluster", code: 1000, reason: "" },
    client: { kind: "client", code: 1006, reason: "" },
    cluster: { kind: "cluster", code: 1006, reason: "" },
    limit: { kind: "limit", limit: { outcome: "idle_limit", message: "session ended: idle" } },
    administrator: { kind: "administrator", by: "root", reason: "drill" },
    recorder: { kind: "recorder", outcome: "recording_failed", message: "session ended: it cannot be recorded" },
    refusal: { kind: "refusal", refusal },
    unwatched: { kind: "unwatched", message: "nobody" },
    unapproved: { kind: "unapproved", message: "bob denied it" },
    internal: { kind: "internal" },
  };

  const GRANT = { id: "a-1", grant: "prod-exec", until: 60_000 };
  /** Leads a session to each phase, and says whether its client is joined there, so that it is told. */
  const PHASES: Readonly<Record<string, (session: LiveSession, relay: Relay) => boolean>> = {
    admitted: () => false,
    waiting(session, relay) {
      session.hold(relay, { givenUp: GIVEN_UP } as ApprovalWait);
      return true;
    },
    dialling(session) {
      session.dial();
      return false;
    },
    "dialling after a wait"(session, relay) {
      session.hold(relay, { givenUp: GIVEN_UP } as ApprovalWait);
      session.approve(GRANT);
      session.begin(5_000);
      session.dial();
      return true;
    },
    open(session, relay) {
      session.dial();
      session.open(relay);
      return true;
    },
  };
  const EVERYWHERE = Object.keys(PHASES).flatMap((phase) =>
    Object.values(CAUSES).map((cause) => [phase, cause] as const),
  );

  it.each(EVERYWHERE)("%s, %o: it is told once, and nothing that comes later counts", (phase, cause) => {
    const told: Closure[] = [];
    const ends: Closure[] = [];
    const relay = {
      close: (closure: Closure) => told.push(closure),
      ...{ observer: { finalStatus: () => undefined }, activeAt: 0 },
    } as unknown as Relay;
    const session = new LiveSession(PLAN, 0, undefined, (_, closure) => ends.push(closure));
    const isJoined = PHASES[phase]?.(session, relay);

    expect(session.close(cause)).toBe(true);
    // Whoever leaves while it waits has given up what it waits for.
    const isGivenUp = phase === "waiting" && cause.kind === "client";
    const expected = isGivenUp ? "not_approved" : closureOf(cause, undefined).outcome.outcome;
    expect(ends.map(({ outcome }) => outcome.outcome)).toEqual([expected]);
    expect(told).toEqual(isJoined ? ends : []);
    expect(session.givenUp !== undefined).toBe(isGivenUp);
    // A cluster that has accepted is told, and cut off later; any other must not begin.
    expect(session.dial().aborted).toBe(phase !== "open");
    expect(session.refusal).toBe(ends[0]?.refusal);

    for (const later of Object.values(CAUSES)) expect(session.close(later)).toBe(false);
    session.open(relay);
    session.hold(relay, { givenUp: GIVEN_UP } as ApprovalWait);
    session.begin(9_000);
    expect([ends.length, told.length, session.wait, session.grants]).toEqual([
      ...[1, isJoined ? 1 : 0, undefined],
      phase === "dialling after a wait" ? [GRANT] : [],
    ]);
  });
});
