import { describe, expect, test } from "vitest";
import type { AccessRequest } from "../../contract/access.ts";
import type { SessionPlan } from "../../contract/session-plan.ts";
import { type AdmissionState, admit } from "../../durable/session/admission.ts";
import { MAX_UNREAD_BYTES } from "../../durable/session/limits.ts";
import { PLAN } from "../support/session-plan.ts";

const NOW = Date.parse("2026-11-22T12:00:00Z");
const LOCK = { user: "alice@example.com", by: "admin@example.com", reason: "stolen laptop", until: null };

const IDLE: AdmissionState = {
  openSessions: 0,
  waitingSessions: 0,
  unreadBytes: 0,
  queuedEvents: 0,
  lock: undefined,
  accessReason: undefined,
  sessionBytesToday: 0,
  access: [],
  nextSessionInMs: 0,
  hasTooManyRefusals: false,
};

function decide(state: Partial<AdmissionState>, plan: Partial<SessionPlan> = {}) {
  return admit({ ...IDLE, ...state }, { ...PLAN, ...plan }, NOW);
}

const admitted = (accessReason?: string) => ({ ok: true, value: { accessReason } });
const denied = (code: string, message: string | RegExp) => ({
  ok: false,
  error: { code, message: typeof message === "string" ? message : expect.stringMatching(message) },
});

test("a session of an idle object is admitted", () => {
  expect(decide({})).toEqual(admitted());
});

describe("the limit of sessions at once", () => {
  const wordsFor = (open: number) =>
    `alice@example.com has ${open} of 3 allowed sessions open; kubectl get --raw /-/sessions  lists them, ` +
    "kubectl delete --raw /-/sessions/ID  ends one: then try again";

  test.each([
    [0, admitted()],
    [2, admitted()],
    [3, denied("session_limit", wordsFor(3))],
    [4, denied("session_limit", wordsFor(4))],
  ])("with %d open", (openSessions, expected) => {
    expect(decide({ openSessions })).toEqual(expected);
  });
});

test("a session above the rate is refused, and told when to try again", () => {
  expect(decide({ nextSessionInMs: 1_001 })).toEqual(denied("too_many_sessions", /600 sessions .* try again in 2 s$/));
});

test.each([
  [4_999_999, admitted()],
  [
    5_000_000,
    denied(
      "too_many_sessions",
      /added 5 MB .* today, .* ends at 00:00 UTC: try again then, .* raise audit.maxSessionBytesPerDay$/,
    ),
  ],
])("with %d bytes that sessions have added today, of 5,000,000 allowed", (sessionBytesToday, expected) => {
  expect(decide({ sessionBytesToday })).toEqual(expected);
});

describe("a lock", () => {
  test("refuses every session, and says who set it and why", () => {
    expect(decide({ lock: LOCK })).toEqual(
      denied(
        "user_locked",
        "alice@example.com is locked by admin@example.com, and administrators can lift it: stolen laptop",
      ),
    );
  });

  test("holds until its time, to the millisecond", () => {
    const until = (ms: number) => ({ lock: { ...LOCK, until: ms } });
    expect(decide(until(NOW + 1))).toEqual(denied("user_locked", / is locked until 2026-11-22T12:00:00\.001Z by /));
    expect(decide(until(NOW))).toEqual(admitted());
    expect(decide(until(NOW - 1))).toEqual(admitted());
  });
});

describe("a reason", () => {
  const stated = (until: number) => ({ accessReason: { reason: "ticket 7", until } });
  const missing = denied("reason_required", /^this session requires a reason: run .*\/-\/reason -f - /);

  test("is required where the plan says so", () => {
    expect(decide({}, { requireReason: true })).toEqual(missing);
    expect(decide(stated(NOW + 1), { requireReason: true })).toEqual(admitted("ticket 7"));
  });

  test("counts until its time, to the millisecond", () => {
    expect(decide(stated(NOW), { requireReason: true })).toEqual(missing);
    expect(decide(stated(NOW))).toEqual(admitted());
  });

  test("is noted where none is required, too", () => {
    expect(decide(stated(NOW + 1))).toEqual(admitted("ticket 7"));
  });
});

test.each([
  [MAX_UNREAD_BYTES - 1, admitted()],
  [MAX_UNREAD_BYTES, denied("unread_output", /close their clients and try again$/)],
])("with %d bytes unread by earlier clients", (unreadBytes, expected) => {
  expect(decide({ unreadBytes })).toEqual(expected);
});

test.each([
  [99, admitted()],
  [100, denied("audit_unavailable", /too many wait for it: try again; if this persists, contact your administrator$/)],
])("with %d events that wait for D1, of 100 allowed", (queuedEvents, expected) => {
  expect(decide({ queuedEvents })).toEqual(expected);
});

test("after too many refusals by the cluster", () => {
  expect(decide({ hasTooManyRefusals: true })).toEqual(denied("too_many_refusals", /try again in a minute$/));
});

test("of several causes a person reads the one that waiting does not cure", () => {
  const everything = { lock: LOCK, openSessions: 3, unreadBytes: MAX_UNREAD_BYTES, queuedEvents: 100 };
  const requireReason = { requireReason: true };
  expect(decide({ ...everything, hasTooManyRefusals: true }, requireReason)).toEqual(denied("user_locked", /./));
  expect(decide({ ...everything, lock: undefined }, requireReason)).toEqual(denied("reason_required", /./));
  expect(decide({ ...everything, lock: undefined })).toEqual(denied("session_limit", /./));
});

test("a session whose access was taken back since it was planned is refused", () => {
  const person = { user: "alice@example.com", subject: null, kubernetesUser: "alice" };
  const by = { by: "bob@example.com", subject: null, kubernetesUser: "bob", at: NOW - 1, reason: null };
  const request: AccessRequest = {
    ...{ id: "a", person, grant: "prod-admin", minutes: 60, reason: null, purpose: null, requestedAt: NOW - 9 },
    ...{ expiresAt: NOW + 1, needed: 1, approvals: [{ ...by, minutes: null }], isSelfApproved: false, ended: null },
    active: { since: NOW - 1, until: NOW + 1 },
  };
  const grants = [{ id: "a", grant: "prod-admin", until: NOW + 1 }];
  expect(decide({ access: [request] }, { grants })).toEqual(admitted());
  const ended = { ...by, how: "revoked" } as const;
  expect(decide({ access: [{ ...request, ended }] }, { grants })).toEqual(
    denied("access_ended", /was taken back by bob/),
  );
  expect(decide({ access: [{ ...request, ended }] })).toEqual(admitted());
});
