import { beforeEach, describe, expect, it } from "vitest";
import { KINDS_OF_SESSIONS } from "../../durable/protocols/kinds.ts";
import { findReachedLimit } from "../../durable/session/limits.ts";
import { Moderation } from "../../durable/session/moderation.ts";
import { SESSION_KINDS } from "../../kubernetes/session-target.ts";
import { ruleSchema } from "../../worker/config/rules.ts";
import { PLAN } from "../support/session-plan.ts";

const MINUTE = 60_000;
const START = 1_000_000;

let said: string[];
let happened: unknown[][];
let session: Moderation;

beforeEach(() => {
  said = [];
  happened = [];
  session = new Moderation({
    ...{ waitMs: 5 * MINUTE, sessionId: "s-1" },
    say: (line) => void said.push(line),
    onFreeze: (left, until) => void happened.push(["freeze", left, until]),
    onThaw: (by, waitedMs, line) => void happened.push(["thaw", by, waitedMs, line]),
    onUnwatched: (message) => void happened.push(["end", message]),
  });
});

describe("a session that must be watched", () => {
  it("waits for its first watcher, and says so every 30 s", () => {
    session.start(START);
    expect(session).toMatchObject({ isFrozen: true, watchedSince: undefined });
    expect(happened).toEqual([["freeze", null, START + 5 * MINUTE]]);
    const how = "sallyport: auditors and administrators may: kubectl sallyport watch s-1";
    expect(said.splice(0)).toEqual([
      "sallyport: this session must be watched, and waits for up to 5m for somebody. Ctrl-C gives up.",
      how,
    ]);
    session.check(START + 29_999);
    expect(said).toEqual([]);
    session.check(START + 30_000);
    expect(said.splice(0)[0]).toContain("waits for up to 4m30s");
    session.join("w-1", "auditor@example.com", START + 40_000);
    // It is said once the cluster has accepted: until then what somebody types is dropped.
    expect(said).toEqual([]);
    const line = "sallyport: this session is watched.";
    expect(happened.at(-1)).toEqual(["thaw", "auditor@example.com", 40_000, line]);
    expect(session).toMatchObject({ isFrozen: false, watchedSince: START + 40_000 });
  });

  it("begins without a word where somebody watches it already, once nothing else comes first", () => {
    session.join("w-1", "auditor@example.com", START);
    session.check(START + 10 * MINUTE);
    expect(happened).toEqual([]);
    session.start(START + 10 * MINUTE);
    expect([said, happened]).toEqual([[], [["thaw", "auditor@example.com", 0, undefined]]]);
  });

  it("says that it was approved once it begins, or before it says what it waits for next", () => {
    session.join("w-1", "auditor@example.com", START);
    session.start(START, "approved");
    expect([said, happened]).toEqual([[], [["thaw", "auditor@example.com", 0, "approved"]]]);

    const waiting = new Moderation({
      ...{ waitMs: MINUTE, sessionId: "s-2", say: (line) => void said.push(line) },
      ...{ onFreeze: () => {}, onThaw: () => {}, onUnwatched: () => {} },
    });
    waiting.start(START, "approved");
    expect(said[0]).toBe("approved");
    expect(said[1]).toContain("this session must be watched");
  });

  it("goes on while anybody watches, and is frozen when the last one leaves", () => {
    session.start(START);
    session.join("w-1", "a@example.com", START);
    session.join("w-2", "b@example.com", START);
    session.leave("w-1", START + 1);
    expect(session.isFrozen).toBe(false);
    happened = [];
    said = [];
    session.leave("w-2", START + MINUTE);
    session.leave("w-2", START + MINUTE);
    session.leave("unknown", START + MINUTE);
    expect(happened).toEqual([["freeze", "b@example.com", START + 6 * MINUTE]]);
    expect(said[0]).toBe(
      "sallyport: nobody watches this session, so nothing passes. It ends in 5m unless somebody does.",
    );
    session.join("w-3", "a@example.com", START + 2 * MINUTE);
    const line = "sallyport: somebody watches this session again: it goes on.";
    expect(happened.at(-1)).toEqual(["thaw", "a@example.com", MINUTE, line]);
  });

  it("ends when nobody comes in time, at the beginning or later, and says which", () => {
    session.start(START);
    session.check(START + 5 * MINUTE - 1);
    expect(happened).toHaveLength(1);
    session.check(START + 5 * MINUTE);
    expect(happened.at(-1)).toEqual(["end", "nobody watched this session within 5m, and it must be watched"]);
    session.join("w-1", "late@example.com", START + 5 * MINUTE);
    session.check(START + 20 * MINUTE);
    expect(happened).toHaveLength(2);
  });

  it("has the whole wait again with each freeze", () => {
    session.start(START);
    session.join("w-1", "a@example.com", START + 4 * MINUTE);
    session.leave("w-1", START + 5 * MINUTE);
    session.check(START + 9 * MINUTE);
    expect(session.isFrozen).toBe(true);
    session.check(START + 10 * MINUTE);
    expect(happened.at(-1)).toEqual(["end", "nobody watched this session again within 5m, and it must be watched"]);
  });

  it("knows who watches it, in whatever letters", () => {
    session.join("w-1", "Auditor@example.com", START);
    expect(session.isWatchedBy("auditor@EXAMPLE.com")).toBe(true);
    expect(session.isWatchedBy("other@example.com")).toBe(false);
    session.leave("w-1", START);
    expect(session.isWatchedBy("auditor@example.com")).toBe(false);
  });

  it("is left by Ctrl-C while it is frozen, but not by one that was meant for the command", () => {
    session.start(START);
    session.join("w-1", "a@example.com", START);
    expect(session.isLeftBy(START + MINUTE)).toBe(false);
    session.leave("w-1", START);
    expect([session.isLeftBy(START + 1_999), session.isLeftBy(START + 2_000)]).toEqual([false, true]);
  });

  it("does nothing once it is over", () => {
    session.start(START);
    session.join("w-1", "a@example.com", START);
    session.end();
    happened = [];
    session.leave("w-1", START);
    session.check(START + 60 * MINUTE);
    session.start(START);
    expect(happened).toEqual([]);
  });
});

describe("frozen time", () => {
  const limits = { ...PLAN.limits, idleTimeoutSeconds: 60, maxDurationSeconds: 600 };
  const frozen = { startedAt: 0, activeAt: 0, isFrozen: true };

  it("is not idle, and neither is what comes after it before a minute is over", () => {
    expect(findReachedLimit(frozen, limits, 5 * MINUTE)).toBeUndefined();
    const thawed = { ...frozen, isFrozen: false, thawedAt: 5 * MINUTE };
    expect(findReachedLimit(thawed, limits, 6 * MINUTE - 1)).toBeUndefined();
    expect(findReachedLimit(thawed, limits, 6 * MINUTE)).toMatchObject({ outcome: "idle_limit" });
  });

  it("counts as duration", () => {
    expect(findReachedLimit(frozen, limits, 10 * MINUTE)).toMatchObject({ outcome: "duration_limit" });
  });
});

describe("a rule that requires a watcher", () => {
  const rule = (fields: object) =>
    ruleSchema.safeParse({
      name: "r",
      match: { kinds: ["exec"] },
      action: "allow",
      watch: { required: true },
      ...fields,
    });

  it("waits for 5 minutes unless it says otherwise", () => {
    expect(rule({}).data).toMatchObject({ watch: { required: true, waitMinutes: 5 } });
    expect(rule({ watch: { required: true, waitMinutes: 60 } }).success).toBe(true);
  });

  it.each([
    ["that refuses", { action: "refuse" }, "only a rule that allows can require a watcher"],
    ["for API requests", { match: {} }, "watch is for sessions: name their kinds"],
    [
      "for WebSockets to workloads",
      { match: { kinds: ["exec", "proxy"] } },
      "a session of the kind proxy cannot be watched",
    ],
    ["that does not require it", { watch: { required: false } }, "true"],
    ["without a wait", { watch: { required: true, waitMinutes: 0 } }, ">=1"],
    ["with a long one", { watch: { required: true, waitMinutes: 61 } }, "<=60"],
    ["with an unknown field", { watch: { required: true, roles: ["admin"] } }, "roles"],
    ["as a word", { watch: "required" }, "object"],
  ])("is refused %s", (_, fields, message) => {
    expect(rule(fields).error?.message).toContain(message);
  });

  it("may name exactly those kinds that can be held", () => {
    const allowed = SESSION_KINDS.filter((kind) => rule({ match: { kinds: [kind] } }).success);
    expect(allowed).toEqual(SESSION_KINDS.filter((kind) => KINDS_OF_SESSIONS[kind].holding !== undefined));
  });
});
