import { describe, expect, it } from "vitest";
import type { Relay } from "../../durable/relay/relay.ts";
import type { Closure } from "../../durable/session/close-cause.ts";
import { LiveSession } from "../../durable/session/live-session.ts";
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
