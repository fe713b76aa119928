/** Requests for access as the console shows them: who may end one, and what was decided. */
import { describe, expect, it } from "vitest";
import { decisionLabel, decisionTone, isOpen, mayRevoke, progressOf } from "../../../console/src/access.ts";
import type { AccessDecision, AccessRequest } from "../../../console/src/api/endpoints.ts";

const ALICE = "alice@example.com";
const who = (identity: string, roles: ("admin" | "auditor")[] = [], approves: string[] = []) => ({
  ...{ identity, roles, approves },
});

describe("the button to end access", () => {
  const access = { user: ALICE, grant: "prod-admin" };

  it.each([
    ["its own person", who(ALICE), true],
    ["an administrator", who("admin@example.com", ["admin"]), true],
    ["an approver of the grant", who("bob@example.com", [], ["prod-admin"]), true],
    ["an approver of another grant", who("bob@example.com", [], ["vault"]), false],
    ["an auditor, who sees and does not act", who("olga@example.com", ["auditor"]), false],
    ["anybody else", who("mallory@example.com"), false],
  ])("is for %s: %o", (_, me, isFor) => {
    expect(mayRevoke(me, access)).toBe(isFor);
  });

  it("is there while something waits or holds", () => {
    const states: AccessRequest["state"][] = ["pending", "active", "denied", "expired", "ended", "revoked"];
    expect(states.filter((state) => isOpen({ state }))).toEqual(["pending", "active"]);
  });
});

it.each([
  [0, 1, "0 of 1 approval"],
  [1, 2, "1 of 2 approvals"],
])("%i of %i approvals are counted", (given, needed, text) => {
  const approvals = Array.from({ length: given }, () => ({ by: "bob@example.com", at: "", reason: null }));
  expect(progressOf({ approvals, needed })).toBe(text);
});

describe("a decision", () => {
  const made: AccessDecision = {
    ...{ id: "a", grant: "prod-admin", user: ALICE, by: "bob@example.com", at: "2026-11-27T08:00:00.000Z" },
    ...{ reason: null, decision: "approve", until: "2026-11-27T09:00:00.000Z", selfApproved: false },
  };

  it.each<[string, Partial<AccessDecision>, string]>([
    ["approved", {}, "good"],
    ["approved, more needed", { until: null }, "good"],
    ["approved their own", { by: ALICE, selfApproved: true }, "bad"],
    ["denied", { decision: "deny", until: null }, "bad"],
    ["revoked", { decision: "end", until: null }, "bad"],
    ["withdrawn or given back", { decision: "end", until: null, by: ALICE }, "quiet"],
  ])("is called %s", (label, change, tone) => {
    expect([decisionLabel({ ...made, ...change }), decisionTone({ ...made, ...change })]).toEqual([label, tone]);
  });
});
