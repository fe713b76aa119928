/**
 * The audit log of two weeks in a small company, for the queries of docs/QUERIES.md: bob's daily work, and
 * what each query should find. Times are UTC; the company is in UTC+1.
 */
import { env } from "cloudflare:workers";
import type { AccessEventBody } from "../../audit/access-events.ts";
import type { Forward, SessionEvent, SessionStart } from "../../audit/events.ts";
import type { AuditedRequest } from "../../audit/request-events.ts";
import type { StoredRequestRow } from "../../audit/rows.ts";
import { write } from "./audit-rows.ts";
import { type MadeSession, sessionEvents } from "./session-events.ts";
import { insertRequests } from "./stored-requests.ts";

/** The id in the query that joins the cluster's audit log. */
export const DUMP = "AZqVbR0Q7cKe2mWx4tUyHn8sLpDfGj1oZiBvCkM3EaTrS5uY6wXqPdJhNgFl9O-_";
export const VAULT = `${DUMP.slice(0, -5)}vault`;
export const LONG = `${DUMP.slice(0, -4)}long`;
export const CUT = `${DUMP.slice(0, -3)}cut`;
/** Start of bob's live session, the only one of today. */
export const LIVE_SINCE = Date.now() - 10 * 60_000 - 1_000;

const ADA = "ada@example.com";

function person(user: string, client_address: string, country: string): Partial<SessionStart> {
  return { user, kubernetes_user: user, client_address, country };
}

const ALICE = { ...person("alice@example.com", "192.0.2.1", "DE"), sign_in: "azureAD", device_id: "laptop-1" };
const BOB = person("bob@example.com", "192.0.2.2", "DE");
const CAROL = person("carol@example.com", "192.0.2.3", "DE");
const DAVE = person("dave@example.com", "192.0.2.4", "DE");
const DAVES_TOKEN = person("dave@example.com", "203.0.113.66", "BR");
const EVE = person("eve@example.com", "192.0.2.5", "DE");
const CI = person("service:ci.access", "198.51.100.9", "IE");

const STAGING = { cluster: "staging", namespace: "shop", pod: "web-0", tty: false };
const SHOP = { cluster: "prod", namespace: "shop", pod: "web-0", command: ["bash"] };
const LEDGER = { cluster: "prod", namespace: "payments", pod: "ledger-0" };
const FORWARD = { kind: "port-forward", command: [], tty: false, stdin: false, recording_mode: "off" as const };
const COMPLETE = { recording: { state: "complete", bytes: 900, reason: null } } as const;
const AS_TRAINEE = {
  ...{ kubernetes_user: "trainee", kubernetes_groups: ["viewers"] },
  ...{ own_kubernetes_user: "carol@example.com", own_kubernetes_groups: ["support"] },
};
const REFUSED = { outcome: "refused", exit_code: null } as const;

function used(port: number, connections: number, bytes_in: number, bytes_out: number): Forward {
  return { port, connections, bytes_in, bytes_out, errors: 0, first_error: null };
}

type Made = Omit<MadeSession, "at"> & { readonly at: string };

const BOBS_WORK: readonly Made[] = [2, 3, 4, 5, 6, 9, 10, 11, 12, 13, 16].map((day) => ({
  at: `2026-11-${String(day).padStart(2, "0")}T10:00:00Z`,
  seconds: 600,
  start: { ...BOB, ...STAGING, command: ["ls"] },
  end: { bytes_out: 1_000, ...COMPLETE },
}));

const SESSIONS: readonly Made[] = [
  ...BOBS_WORK,
  {
    at: "2026-11-03T09:00:00Z",
    seconds: 300,
    start: { ...DAVE, ...STAGING, pod: "web-1", command: ["top"] },
    end: { bytes_out: 500, ...COMPLETE },
  },
  ...["2026-11-09T08:00:00Z", "2026-11-09T08:01:00Z"].map((at) => ({
    ...{ at, seconds: 0, start: { ...BOB, ...LEDGER } },
    end: {
      ...REFUSED,
      reason: 'pods "ledger-0" is forbidden: User "bob@example.com" cannot create resource "pods/exec"',
    },
  })),
  {
    ...{ id: LONG, at: "2026-11-10T06:00:00Z", seconds: 28_800 },
    start: { ...DAVE, ...SHOP, kind: "attach", command: [] },
    end: {
      ...{ outcome: "duration_limit", exit_code: null, reason: "it reached the longest duration allowed (8h)" },
      ...{ bytes_out: 70_000_000, recording: { state: "capped", bytes: 67_108_864, reason: "full" } },
    },
  },
  {
    ...{ id: CUT, at: "2026-11-11T14:00:00Z", seconds: 320 },
    start: { ...BOB, ...STAGING },
    end: {
      ...{ outcome: "interrupted", exit_code: null, bytes_out: 100 },
      recording: { state: "interrupted", bytes: 800, reason: "the object stopped" },
    },
  },
  {
    ...{ at: "2026-11-11T14:02:00Z", seconds: 180, forwarded: [6379] },
    start: { ...CAROL, ...LEDGER, ...FORWARD, pod: "redis-0", ports: [6379] },
    end: { outcome: "interrupted", exit_code: null, bytes_out: 400 },
  },
  {
    ...{ at: "2026-11-12T09:00:00Z", seconds: 1_200, forwarded: [5432] },
    start: { ...ALICE, ...FORWARD, cluster: "staging", namespace: "payments", pod: "postgres-0", ports: [5432, 8080] },
    end: { outcome: "disconnected", exit_code: null, bytes_out: 91_000, forwards: [used(5432, 3, 1_200, 90_000)] },
  },
  {
    ...{ at: "2026-11-12T11:00:00Z", seconds: 60, forwarded: [8080] },
    start: { ...BOB, ...STAGING, ...FORWARD, ports: [8080] },
    end: { outcome: "disconnected", exit_code: null, bytes_out: 700, forwards: [used(8080, 1, 100, 600)] },
  },
  {
    ...{ at: "2026-11-13T12:00:00Z", seconds: 300, start: { ...CAROL, ...SHOP } },
    end: {
      ...{ outcome: "terminated", exit_code: null, reason: "not on the rota", ended_by: ADA, bytes_out: 1_500 },
      ...COMPLETE,
    },
  },
  {
    ...{ at: "2026-11-13T12:06:00Z", seconds: 0, start: { ...CAROL, ...SHOP } },
    end: { ...REFUSED, reason: `locked by ${ADA}: not on the rota` },
  },
  {
    at: "2026-11-14T09:40:00Z",
    seconds: 300,
    start: { ...DAVE, ...STAGING, pod: "web-1", command: ["top"] },
    end: { bytes_out: 500, ...COMPLETE },
  },
  {
    ...{ id: VAULT, at: "2026-11-14T10:25:00Z", seconds: 1_500 },
    start: { ...DAVES_TOKEN, cluster: "prod", namespace: "vault", pod: "vault-0" },
    end: {
      ...{ outcome: "terminated", exit_code: null, reason: "several countries", ended_by: ADA },
      ...{ bytes_out: 52_428_800, ...COMPLETE },
    },
  },
  ...["2026-11-16T02:00:00Z", "2026-11-17T02:00:00Z"].map((at) => ({
    ...{ at, seconds: 30, start: { ...CI, ...STAGING, command: ["true"] } },
    end: { bytes_out: 10, ...COMPLETE },
  })),
  {
    ...{ at: "2026-11-17T15:00:00Z", seconds: 1_800, start: { ...CAROL, ...SHOP, ...AS_TRAINEE } },
    end: { bytes_out: 2_000, ...COMPLETE },
  },
  {
    ...{ at: "2026-11-17T18:40:00Z", seconds: 2_400, start: { ...CAROL, ...SHOP } },
    end: { bytes_out: 3_000, ...COMPLETE },
  },
  {
    ...{ id: DUMP, at: "2026-11-17T21:30:00Z", seconds: 2_700 },
    start: {
      ...{ ...ALICE, ...LEDGER, command: ["sh", "-c", "pg_dump ledger"] },
      ...{ rule: "say why in production", access_reason: "INC-17: checkout is down", grants: ["prod-admin"] },
    },
    end: { bytes_out: 52_000, ...COMPLETE },
  },
];

const LOCKS: readonly SessionEvent[] = [
  lock("2026-11-13T12:05:00Z", "carol@example.com", "not on the rota"),
  lock("2026-11-14T10:50:00Z", "dave@example.com", "several countries"),
  {
    ...{ session_id: "lock-3", seq: 0, at: Date.parse("2026-11-16T08:00:00Z"), type: "unlock" },
    data: { user: "carol@example.com", by: ADA, reason: "back on the rota" },
  },
  lock("2026-11-16T09:00:00Z", "bob@example.com", "for a moment", Date.parse("2026-11-16T09:05:00Z")),
];

const WATCH = { user: "dave@example.com", session: VAULT, by: ADA };
const WATCHED: readonly SessionEvent[] = [
  {
    ...{ session_id: "watch-1", seq: 0, at: Date.parse("2026-11-14T10:30:00Z"), type: "watch" },
    data: { ...WATCH, client_address: "192.0.2.9", country: "DE" },
  },
  {
    ...{ session_id: "watch-2", seq: 0, at: Date.parse("2026-11-14T10:49:00Z"), type: "watch_end" },
    data: { ...WATCH, watch: "watch-1", since: Date.parse("2026-11-14T10:30:00Z"), reason: "left" },
  },
];

function access(time: string, type: AccessEventBody["type"], about: object, more: object): SessionEvent {
  const data = { ...about, ...more };
  return { session_id: `${type}-${time}`, seq: 0, at: Date.parse(time), type, data } as SessionEvent;
}

const ALICES = { access_id: "access-1", user: "alice@example.com", grant: "prod-admin" };
const DAVES = { access_id: "access-2", user: "dave@example.com", grant: "break-glass" };
const EVES = { access_id: "access-3", user: "eve@example.com", grant: "prod-admin" };
const APPROVED = { decision: "approve", reason: null, self_approved: false, approvals: 1 };

const ACCESS: readonly SessionEvent[] = [
  access("2026-11-14T10:24:00Z", "access_request", DAVES, { reason: "nobody answers", minutes: 60 }),
  access("2026-11-14T10:24:00Z", "access_decision", DAVES, {
    ...{ ...APPROVED, reason: "nobody answers", by: "dave@example.com", self_approved: true },
    until: Date.parse("2026-11-14T11:24:00Z"),
  }),
  access("2026-11-15T20:00:00Z", "access_request", EVES, { reason: "please", minutes: 60 }),
  access("2026-11-17T21:10:00Z", "access_request", ALICES, { reason: "INC-17: checkout is down", minutes: 120 }),
  access("2026-11-17T21:12:00Z", "access_decision", ALICES, { ...APPROVED, by: "bob@example.com", until: null }),
  access("2026-11-17T21:15:00Z", "access_decision", ALICES, {
    ...{ ...APPROVED, approvals: 2, by: "carol@example.com", until: Date.parse("2026-11-17T23:15:00Z") },
  }),
  access("2026-11-17T22:20:00Z", "access_end", ALICES, { by: "alice@example.com", reason: "done" }),
];

function lock(at: string, user: string, reason: string, until: number | null = null): SessionEvent {
  const id = `lock-${at}`;
  return { session_id: id, seq: 0, at: Date.parse(at), type: "lock", data: { user, by: ADA, reason, until } };
}

/** Older rows do not have what only events say. */
type SeededRequest = StoredRequestRow & Pick<AuditedRequest, "sign_in" | "device_id">;

function request(time: string, who: Partial<SessionStart>, row: Partial<SeededRequest>, index: number): SeededRequest {
  const { user = null, kubernetes_user = null, client_address = null, country = null, sign_in, device_id } = who;
  return {
    ...{ id: `${new Date(time).toISOString()}-seed${String(index).padStart(6, "0")}`, at: Date.parse(time) },
    ...{ user, kubernetes_user, cluster: "prod", category: "mutation", decision: "allowed", rule: null, refusal: null },
    ...{ reason: null, method: "GET", path: "/api/v1", verb: "get", api_group: "", resource: null, subresource: null },
    ...{
      namespace: null,
      name: null,
      status: 200,
      count: 1,
      client_address,
      country,
      user_agent: "kubectl",
      ray: null,
    },
    ...(sign_in !== undefined && { sign_in }),
    ...(device_id !== undefined && { device_id }),
    ...row,
  };
}

const NOT_READ = { cluster: null, path: "/api", verb: null, status: null } as const;
const DENIED = { category: "denied", status: 403 } as const;
const FROM_HERE = { client_address: "192.0.2.7", country: "DE", user: ADA };

const REQUESTS: readonly (readonly [string, Partial<SessionStart>, Partial<SeededRequest>])[] = [
  [
    "2026-11-12T08:00:00Z",
    BOB,
    {
      ...{ category: "token", method: "POST", verb: "create", resource: "serviceaccounts", subresource: "token" },
      ...{ cluster: "staging", namespace: "ci", name: "deployer", status: 201 },
    },
  ],
  [
    "2026-11-13T12:03:00Z",
    CAROL,
    { method: "DELETE", verb: "delete", api_group: "apps", resource: "deployments", namespace: "shop", name: "web" },
  ],
  ["2026-11-14T10:20:00Z", DAVES_TOKEN, { category: "secret-read", verb: "list", resource: "secrets" }],
  [
    "2026-11-14T10:50:00Z",
    FROM_HERE,
    { ...NOT_READ, category: "admin", method: "PUT", path: "/-/admin/locks/dave%40example.com", status: 200 },
  ],
  [
    "2026-11-14T12:00:00Z",
    FROM_HERE,
    { ...NOT_READ, category: "admin", path: `/-/admin/sessions/${VAULT}/recording`, status: 200 },
  ],
  [
    // A part of it, by `Range`.
    "2026-11-14T12:01:00Z",
    FROM_HERE,
    { ...NOT_READ, category: "admin", path: `/-/admin/sessions/${VAULT}/recording`, status: 206 },
  ],
  ["2026-11-15T20:00:00Z", EVE, { ...DENIED, resource: "secrets", namespace: "payments", name: "db-password" }],
  ["2026-11-15T20:01:00Z", EVE, { ...DENIED, verb: "list", resource: "nodes" }],
  [
    "2026-11-15T20:02:00Z",
    EVE,
    { ...DENIED, method: "DELETE", verb: "delete", resource: "deployments", namespace: "shop" },
  ],
  [
    "2026-11-15T20:03:00Z",
    EVE,
    {
      ...{ category: "denied", decision: "refused", refusal: "impersonation", status: null },
      ...{ reason: "this user is not available to you", resource: "pods", namespace: "shop" },
    },
  ],
  [
    "2026-11-15T20:05:00Z",
    { ...EVE, client_address: null, country: null },
    {
      ...{ ...NOT_READ, category: "dropped", decision: null, method: null, path: null, count: 37 },
      reason: "not written: the queue was full; of category denied",
    },
  ],
  [
    "2026-11-16T02:01:00Z",
    CI,
    { cluster: "staging", method: "PATCH", verb: "patch", resource: "deployments", namespace: "shop", name: "web" },
  ],
  [
    "2026-11-16T02:05:00Z",
    CI,
    {
      ...{ cluster: "staging", method: "PATCH", verb: "patch", resource: "deployments", namespace: "shop" },
      ...{ name: "web", status: null },
    },
  ],
  [
    "2026-11-16T03:00:00Z",
    { client_address: "203.0.113.99" },
    {
      ...{ ...NOT_READ, category: "denied", decision: "refused", refusal: "no_token", count: 120, method: null },
      ...{ path: null, reason: "sign in through Access" },
    },
  ],
  [
    "2026-11-16T04:00:00Z",
    { user: "mallory@elsewhere.example", client_address: "203.0.113.98" },
    { ...NOT_READ, category: "denied", decision: "refused", refusal: "no_identity", reason: "no rule knows you" },
  ],
  [
    "2026-11-17T21:25:00Z",
    ALICE,
    { category: "precursor", method: "POST", verb: "create", resource: "pods", namespace: "payments", status: 201 },
  ],
  [
    "2026-11-17T21:32:00Z",
    ALICE,
    { category: "secret-read", resource: "secrets", namespace: "payments", name: "db-password", device_id: "laptop-2" },
  ],
];

/** Writes everything to D1, in the order of time. */
export async function seed(): Promise<void> {
  const batches: (readonly [SessionEvent, ...SessionEvent[]])[] = SESSIONS.map(({ at, ...session }) =>
    sessionEvents({ ...session, at: Date.parse(at) }),
  );
  batches.push(...[...LOCKS, ...ACCESS, ...WATCHED].map((event) => [event] as const));
  batches.sort(([one], [other]) => one.at - other.at);
  batches.push(sessionEvents({ at: LIVE_SINCE, seconds: null, start: { ...BOB, ...STAGING, tty: true } }));
  for (const events of batches) await write(...events);
  const rows = REQUESTS.map(([time, who, row], index) => request(time, who, row, index));
  await insertRequests(
    env.AUDIT_DB,
    rows.filter((row) => !isEvent(row)),
  );
  for (const row of rows.filter(isEvent)) await write(...requestEvents(row));
}

/** The log is of a deployment in which requests became events on the 14th. */
const EVENTS_SINCE = Date.parse("2026-11-14T00:00:00Z");

function isEvent({ at, category }: StoredRequestRow): boolean {
  return at >= EVENTS_SINCE && category !== "dropped";
}

/** A row as the events that objects write. */
function requestEvents({ id, at, count, status, ...row }: SeededRequest): [SessionEvent, ...SessionEvent[]] {
  const { user, cluster, category, refusal, reason, verb, api_group, resource, client_address, method } = row;
  const decision = row.decision ?? "allowed";
  const first = { session_id: id, seq: 0, at };
  if (count > 1) {
    const counts = { count, first_at: at - 60_000, last_at: at };
    const common = {
      user,
      location_hint: null,
      cluster,
      category,
      decision,
      refusal,
      reason,
      verb,
      api_group,
      resource,
    };
    return [{ ...first, type: "request_summary", data: { ...common, client_address, ...counts } }];
  }
  const awaits_response = method !== "GET" && decision === "allowed";
  const known = { ...row, method: method ?? "GET", decision, location_hint: null, arrived_at: at };
  const data = { ...known, status: awaits_response ? null : status, awaits_response };
  if (!awaits_response || status === null) return [{ ...first, type: "request", data }];
  const answer = { session_id: id, seq: 1, at: at + 5, type: "response", data: { status, reason: null } } as const;
  return [{ ...first, type: "request", data }, answer];
}
