/** What becomes of requests for access. */
import { describe, expect, test } from "vitest";
import type { Result } from "../../common/result.ts";
import {
  type AccessRequest,
  accessStateOf,
  type DecidingPerson,
  ENDED_SHOWN_FOR_MS,
  MAX_PENDING_REQUESTS,
  PENDING_FOR_MS,
} from "../../contract/access.ts";
import type { Denial } from "../../contract/denial.ts";
import {
  type AccessVote,
  type AskedAccess,
  activeGrants,
  askForAccess,
  decideAccess,
  endAccess,
  type KnownUsers,
  MAX_ENDED_REQUESTS,
  MAX_REQUESTS_PER_DAY,
  refuseEndedGrants,
  revocationMessage,
  shownRequests,
} from "../../durable/access/access-rules.ts";

const NOW = Date.parse("2026-11-27T12:00:00Z");
const MINUTE = 60_000;

const person = (name: string): DecidingPerson => ({
  user: `${name}@example.com`,
  subject: `sub-${name}`,
  kubernetesUser: name,
});
const ALICE = person("alice");
const BOB = person("bob");
const CAROL = person("carol");

const ASKED: AskedAccess = {
  ...{ person: ALICE, grant: "prod-admin", minutes: 60, reason: "INC-17", purpose: null, needed: 1 },
  approvesItself: false,
};

function unwrap<T>(result: Result<T, Denial>): T {
  if (!result.ok) throw new Error(`${result.error.code}: ${result.error.message}`);
  return result.value;
}

const ask = (more: Partial<AskedAccess> = {}, known: readonly AccessRequest[] = [], now = NOW, id = "a") =>
  askForAccess(known, { ...ASKED, ...more }, id, now);
const asked = (more: Partial<AskedAccess> = {}, now = NOW, id = "a") => unwrap(ask(more, [], now, id)).request;
const vote = (by: DecidingPerson, more: Partial<AccessVote> = {}): AccessVote => ({
  ...{ by, decision: "approve", reason: null, minutes: null, needed: 1, maxMinutes: 480 },
  ...more,
});
/** @param users of whom an edge has told all Kubernetes users */
const decide = (request: AccessRequest | undefined, by: AccessVote, now: number, users: KnownUsers = {}) =>
  decideAccess(request, by, users, now);
const approved = (more: Partial<AccessVote> = {}, request = asked()) =>
  unwrap(decide(request, vote(BOB, more), NOW + 1));
const denied = (code: string, message: RegExp) => ({
  ok: false,
  error: { code, message: expect.stringMatching(message) },
});

describe("a request", () => {
  test("waits for a decision, for a day", () => {
    const { request, isNew, approvedItself } = unwrap(ask({ purpose: "exec in demo/web" }));
    expect([isNew, approvedItself]).toEqual([true, false]);
    expect(request).toEqual({
      ...{ id: "a", person: ALICE, grant: "prod-admin", minutes: 60, reason: "INC-17", purpose: "exec in demo/web" },
      ...{ requestedAt: NOW, expiresAt: NOW + PENDING_FOR_MS, needed: 1, approvals: [], isSelfApproved: false },
      ...{ ended: null, active: null },
    });
    expect(accessStateOf(request, NOW + PENDING_FOR_MS - 1)).toBe("pending");
    expect(accessStateOf(request, NOW + PENDING_FOR_MS)).toBe("expired");
  });

  test.each([
    ["waits", asked()],
    ["holds", approved()],
  ])("for what already %s is answered by that", (_, earlier) => {
    const again = unwrap(ask({ minutes: 5, reason: "again" }, [earlier], NOW + 2, "b"));
    expect(again).toEqual({ request: earlier, isNew: false, approvedItself: false });
    expect(unwrap(ask({ grant: "other" }, [earlier], NOW + 2, "b"))).toMatchObject({ isNew: true });
  });

  test.each([
    ["expired", asked(), NOW + PENDING_FOR_MS],
    ["was denied", approved({ decision: "deny" }), NOW + 2],
    ["is over", approved({ minutes: 1 }), NOW + 1 + MINUTE],
    ["was taken back", unwrap(endAccess(approved(), BOB, null, NOW + 2)), NOW + 3],
  ])("for what %s is a new one", (_, earlier, now) => {
    expect(unwrap(ask({}, [earlier], now, "b"))).toMatchObject({ isNew: true, request: { id: "b" } });
  });

  test("is refused where too many wait, until one of them does no longer", () => {
    const waiting = Array.from({ length: MAX_PENDING_REQUESTS }, (_, i) => asked({ grant: `g${i}` }, NOW, `g${i}`));
    expect(ask({}, waiting)).toEqual(
      denied("access_limit", /^10 of your requests .* wait for a decision.*withdraw one/),
    );
    expect(ask({}, waiting.slice(1)).ok).toBe(true);
    expect(ask({}, waiting, NOW + PENDING_FOR_MS).ok).toBe(true);
    // In an emergency nobody waits.
    expect(ask({ approvesItself: true }, waiting).ok).toBe(true);
  });

  test("is refused where the person has asked too often within a day, and told when to try again", () => {
    const ended = Array.from({ length: MAX_REQUESTS_PER_DAY }, (_, i) =>
      unwrap(endAccess(asked({ grant: `g${i}` }, NOW + i, `g${i}`), ALICE, null, NOW + i)),
    );
    const later = NOW + 24 * 60 * MINUTE;
    expect(ask({}, ended, later - 1)).toEqual(
      denied(
        "access_limit",
        /^you have asked for access 50 times within 24 hours.*try again after 2026-11-28T12:00:00/,
      ),
    );
    expect(ask({ approvesItself: true }, ended, later - 1)).toMatchObject({ ok: false });
    expect(ask({}, ended, later).ok).toBe(true);
    // What is counted is never forgotten within the day.
    expect(MAX_ENDED_REQUESTS).toBeGreaterThan(MAX_REQUESTS_PER_DAY);
  });
});

describe("one that its own person may approve", () => {
  const own = { approvesItself: true };

  test("holds at once, and is marked", () => {
    const { request, isNew, approvedItself } = unwrap(ask(own));
    expect([isNew, approvedItself]).toEqual([true, true]);
    expect(request).toMatchObject({
      isSelfApproved: true,
      approvals: [{ by: "alice@example.com", reason: "INC-17" }],
      active: { since: NOW, until: NOW + 60 * MINUTE },
    });
  });

  test("… also where an earlier request for it still waits for others", () => {
    const again = unwrap(ask({ ...own, minutes: 30 }, [asked()], NOW + 5, "b"));
    expect(again).toMatchObject({ isNew: false, approvedItself: true });
    expect(again.request).toMatchObject({ id: "a", isSelfApproved: true, active: { until: NOW + 5 + 30 * MINUTE } });
    expect(unwrap(ask(own, [again.request], NOW + 6, "c"))).toMatchObject({ isNew: false, approvedItself: false });
  });

  test("waits where it takes several: nobody is two", () => {
    expect(unwrap(ask({ ...own, needed: 2 }))).toMatchObject({
      approvedItself: false,
      request: { isSelfApproved: false, approvals: [], active: null },
    });
  });
});

describe("a decision", () => {
  test("of one who may approve makes it hold from then on", () => {
    const request = approved({ reason: "go on" });
    expect(request.approvals).toEqual([
      { by: "bob@example.com", subject: "sub-bob", kubernetesUser: "bob", at: NOW + 1, reason: "go on", minutes: null },
    ]);
    expect(request.active).toEqual({ since: NOW + 1, until: NOW + 1 + 60 * MINUTE });
    expect(activeGrants([request], NOW + 60 * MINUTE)).toEqual([
      { id: "a", grant: "prod-admin", until: NOW + 1 + 60 * MINUTE },
    ]);
    expect(activeGrants([request], NOW + 1 + 60 * MINUTE)).toEqual([]);
  });

  test.each([
    [{ minutes: 30 }, 30],
    [{ minutes: 90 }, 60],
    [{ maxMinutes: 20 }, 20],
    [{ minutes: 30, maxMinutes: 20 }, 20],
  ])("gives the least of what was asked, given and allowed: %j", (more, minutes) => {
    expect(approved(more).active?.until).toBe(NOW + 1 + minutes * MINUTE);
  });

  test("of the last of several gives the least that any of them gave", () => {
    const first = unwrap(decide(asked({ needed: 3 }), vote(BOB, { minutes: 10, needed: 3 }), NOW + 1));
    const second = unwrap(decide(first, vote(CAROL, { minutes: 40, needed: 3 }), NOW + 2));
    expect([first.active, second.active]).toEqual([null, null]);
    const third = unwrap(decide(second, vote(person("dave"), { needed: 3 }), NOW + 3));
    expect(third.active).toEqual({ since: NOW + 3, until: NOW + 3 + 10 * MINUTE });
    expect(third.approvals.map(({ by }) => by)).toEqual(["bob@example.com", "carol@example.com", "dave@example.com"]);
  });

  test("goes by how many the document asks for now, not when it was asked", () => {
    const raised = approved({ needed: 2 });
    expect(raised).toMatchObject({ needed: 2, active: null });
    expect(unwrap(decide(raised, vote(CAROL, { needed: 2 }), NOW + 2)).active).not.toBeNull();
    const two = unwrap(decide(asked({ needed: 3 }), vote(BOB, { needed: 3 }), NOW + 1));
    expect(unwrap(decide(two, vote(CAROL, { needed: 1 }), NOW + 2)).active).not.toBeNull();
  });

  test("of one against it ends it, whoever has approved", () => {
    const half = approved({ needed: 2 }, asked({ needed: 2 }));
    for (const by of [CAROL, BOB]) {
      const request = unwrap(decide(half, vote(by, { decision: "deny", reason: "not now", needed: 2 }), NOW + 2));
      expect(accessStateOf(request, NOW + 3)).toBe("denied");
      expect(request).toMatchObject({ ended: { by: by.user, reason: "not now", how: "denied" }, active: null });
    }
  });

  const otherSpellings: [string, DecidingPerson][] = [
    ["the same identity", ALICE],
    ["another spelling of their name", { user: "Alice@Example.com", subject: null, kubernetesUser: "x" }],
    ["the same sub", { user: "alice@other.example", subject: "sub-alice", kubernetesUser: "x" }],
    ["the same Kubernetes user", { user: "alice@other.example", subject: null, kubernetesUser: "ALICE" }],
  ];

  test.each(otherSpellings)("about one's own is refused: %s", (_, by) => {
    for (const decision of ["approve", "deny"] as const) {
      expect(decide(asked(), vote(by, { decision }), NOW)).toEqual(
        denied("access_own_request", /^nobody decides their own .*: ask somebody else .* withdraws it$/),
      );
    }
  });

  const known = { [ALICE.user]: ["alice", "root"], [BOB.user]: ["bob", "ops"] };

  test("about one's own is refused where two share a user at clusters that neither was at", () => {
    const twin = { ...person("twin"), kubernetesUsers: ["twin", "ROOT"] };
    const neighbour = { ...person("twin"), kubernetesUsers: ["twin", "other"] };
    for (const decision of ["approve", "deny"] as const) {
      expect(decide(asked(), vote(twin, { decision }), NOW, known)).toEqual(denied("access_own_request", /./));
      expect(decide(asked(), vote(neighbour, { decision }), NOW, known).ok).toBe(true);
    }
    // Of a request from before, the object knows one user.
    expect(decide(asked(), vote({ ...twin, kubernetesUsers: ["twin", "Alice"] }), NOW)).toMatchObject({ ok: false });
  });

  test("by two who share such a user counts once", () => {
    const half = approved({ needed: 2 }, asked({ needed: 2 }));
    const by = (user: string) => vote({ ...CAROL, kubernetesUsers: ["carol", user] }, { needed: 2 });
    expect(decide(half, by("Ops"), NOW + 2, known)).toEqual(denied("access_already_decided", /you approved this/));
    expect(unwrap(decide(half, by("other"), NOW + 2, known)).active).not.toBeNull();
  });

  test("by somebody with no sub is not that of another one without", () => {
    const without = { ...ALICE, subject: null };
    expect(decide(asked({ person: without }), vote({ ...BOB, subject: null }), NOW).ok).toBe(true);
  });

  test.each([
    ["the same identity", BOB],
    ["another spelling", { user: "BOB@example.com", subject: null, kubernetesUser: "y" }],
    ["the same sub", { user: "bob@other.example", subject: "sub-bob", kubernetesUser: "y" }],
    ["the same Kubernetes user", { user: "bob@other.example", subject: null, kubernetesUser: "bob" }],
  ])("by one person under two identities counts once: %s", (_, by) => {
    const half = approved({ needed: 2 }, asked({ needed: 2 }));
    expect(decide(half, vote(by, { needed: 2 }), NOW + 2)).toEqual(
      denied(
        "access_already_decided",
        /^you approved this request at 2026-.*: it needs one more approval, by somebody/,
      ),
    );
    const of3 = approved({ needed: 3 }, asked({ needed: 3 }));
    expect(decide(of3, vote(by, { needed: 3 }), NOW + 2)).toEqual(
      denied("access_already_decided", /it needs 2 more approvals, by others$/),
    );
  });

  test.each([
    ["denied", approved({ decision: "deny" }), NOW + 2, /was denied by bob@example.com at 2026-.*can ask again$/],
    ["withdrawn", unwrap(endAccess(asked(), ALICE, "found it", NOW)), NOW + 2, /was withdrawn by alice.*\(found it\)/],
    ["taken back", unwrap(endAccess(approved(), CAROL, null, NOW + 2)), NOW + 3, /was taken back by carol@example/],
    ["expired", asked(), NOW + PENDING_FOR_MS, /expired at 2026-11-28T12:00:00.000Z.*can ask again$/],
    ["over", approved({ minutes: 1 }), NOW + 1 + MINUTE, /was approved, and ended at 2026-11-27T12:01:00/],
    ["active", approved(), NOW + 2, /was approved by bob@example.com at 2026.*and holds until 2026.*takes it back$/],
  ])("about a request that is %s is refused, and so is another end of it", (what, request, now, message) => {
    for (const decision of ["approve", "deny"] as const) {
      for (const by of [BOB, CAROL]) {
        expect(decide(request, vote(by, { decision }), now)).toEqual(denied("access_already_decided", message));
      }
    }
    const ended = endAccess(request, CAROL, null, now);
    if (what === "active") expect(ended.ok).toBe(true);
    else expect(ended).toEqual(denied("access_already_decided", message));
  });

  test("about a request that is not there is refused", () => {
    expect(decide(undefined, vote(BOB), NOW)).toEqual(denied("access_not_found", /^there is no request/));
    expect(endAccess(undefined, BOB, null, NOW)).toEqual(denied("access_not_found", /^there is no request/));
  });
});

describe("an end", () => {
  test("of a grant takes it back, by others or by its own person", () => {
    for (const by of [CAROL, ALICE]) {
      const request = unwrap(endAccess(approved(), by, "done", NOW + 5));
      expect(accessStateOf(request, NOW + 5)).toBe("revoked");
      expect(activeGrants([request], NOW + 5)).toEqual([]);
      expect(revocationMessage(request)).toBe(
        `session ended: the access "prod-admin" was taken back by ${by.user} at 2026-11-27T12:00:00.005Z (done)`,
      );
    }
  });

  test("lets no session begin with it that the edge has planned before", () => {
    const request = approved();
    const grants = activeGrants([request], NOW + 2);
    expect(refuseEndedGrants([request], grants, NOW + 2)).toBeUndefined();
    expect(refuseEndedGrants([unwrap(endAccess(request, BOB, null, NOW + 3))], grants, NOW + 3)).toMatchObject({
      code: "access_ended",
      message: expect.stringMatching(/^the access "prod-admin" was taken back by bob.*: ask for it again$/),
    });
    expect(refuseEndedGrants([request], grants, NOW + 1 + 60 * MINUTE)).toMatchObject({
      code: "access_ended",
      message: 'the access "prod-admin" is over: ask for it again',
    });
    // The copy of this object may be older than what the edge knows.
    expect(refuseEndedGrants([], grants, NOW + 2)).toBeUndefined();
    expect(refuseEndedGrants([asked()], grants, NOW + 2)).toBeUndefined();
  });
});

describe("what is shown", () => {
  test("is the newest first", () => {
    const requests = [asked({ grant: "1" }, NOW, "1"), asked({ grant: "2" }, NOW + 5, "2"), asked({}, NOW + 5, "3")];
    expect(shownRequests(requests, NOW + 9).map(({ id }) => id)).toEqual(["3", "2", "1"]);
  });

  test("has what ended for a week, and not longer", () => {
    const byEnd: [AccessRequest, number][] = [
      [approved({ decision: "deny" }), NOW + 1],
      [asked(), NOW + PENDING_FOR_MS],
      [approved({ minutes: 7 }), NOW + 1 + 7 * MINUTE],
      [unwrap(endAccess(approved(), BOB, null, NOW + 9)), NOW + 9],
    ];
    for (const [request, endedAt] of byEnd) {
      expect(shownRequests([request], endedAt + ENDED_SHOWN_FOR_MS - 1)).toEqual([request]);
      expect(shownRequests([request], endedAt + ENDED_SHOWN_FOR_MS)).toEqual([]);
    }
  });

  test("is bounded: of many ended ones the newest, and all that wait or hold", () => {
    const ended = Array.from({ length: MAX_ENDED_REQUESTS + 1 }, (_, i) =>
      unwrap(endAccess(asked({ grant: `g${i}` }, NOW, `g${i}`), ALICE, null, NOW + i)),
    );
    const open = [asked({}, NOW - 1, "pending"), { ...approved(), id: "active" }];
    const shown = shownRequests([...open, ...ended], NOW + 1_000).map(({ id }) => id);
    expect(shown).toHaveLength(MAX_ENDED_REQUESTS + 2);
    expect(shown).toEqual(expect.arrayContaining(["pending", "active", `g${MAX_ENDED_REQUESTS}`]));
    expect(shown).not.toContain("g0");
  });
});
