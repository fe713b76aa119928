/**
 * Runs every query of docs/QUERIES.md on a seeded D1: it finds the right rows, and reads as little as its
 * text says.
 */
import { env } from "cloudflare:workers";
import { beforeAll, describe, expect, it, vi } from "vitest";
import { runSeal } from "../../worker/seal/run.ts";
import { CUT, DUMP, LIVE_SINCE, LONG, seed, VAULT } from "./cookbook-seed.ts";
import { setDatabaseClock } from "./seal-clock.ts";

const [text = ""] = Object.values(
  import.meta.glob<string>("../../docs/QUERIES.md", { query: "?raw", import: "default", eager: true }),
);

interface Recipe {
  readonly heading: string;
  readonly sql: readonly string[];
  readonly prose: string;
}

const recipes: readonly Recipe[] = text
  .split(/^### /m)
  .slice(1)
  .map((part) => {
    const [section = ""] = part.split(/^## /m);
    const sql = [...section.matchAll(/^```sql\n(.*?)^```$/gms)].map(([, query = ""]) => query);
    return {
      heading: section.split("\n")[0] ?? "",
      sql,
      prose: section.replace(/^```.*?^```$/gms, "").replace(/\s+/g, " "),
    };
  });

type Row = Readonly<Record<string, unknown>>;

/** The rows that each query must find. A query without ORDER BY has one row. */
const EXPECTED: Readonly<Record<string, readonly Row[] | (() => unknown)>> = {
  "Who was in production last Tuesday night?": [
    {
      ...{ user: "carol@example.com", kind: "exec", namespace: "shop", pod: "web-0", command: '["bash"]' },
      ...{ began: "2026-11-17 19:40:00", minutes: 40, outcome: "exited" },
    },
    {
      ...{ user: "alice@example.com", kind: "exec", namespace: "payments", pod: "ledger-0" },
      ...{ command: '["sh","-c","pg_dump ledger"]', began: "2026-11-17 22:30:00", minutes: 45, outcome: "exited" },
    },
  ],
  "What did one person do all day?": [
    ["22:25", "create pods", "prod/payments/*", "precursor 201"],
    ["22:30", "exec begins", "prod/payments/ledger-0", '["sh","-c","pg_dump ledger"]'],
    ["22:32", "get secrets", "prod/payments/db-password", "secret-read 200"],
    ["23:15", "exec ends", "prod/payments/ledger-0", "exited"],
  ].map(([time, what, place, detail]) => ({
    ...{ local_time: `2026-11-17 ${time}:00`, what, place, detail, client_address: "192.0.2.1" },
  })),
  "Who is in a terminal now?": [
    {
      ...{ user: "bob@example.com", cluster: "staging", namespace: "shop", pod: "web-0", command: '["sh"]' },
      ...{ client_address: "192.0.2.2", minutes: expect.closeTo(10, 0) },
    },
  ],
  "Which were the longest sessions?": [
    ["dave", "shop", "web-0", "attach", 480, "duration_limit"],
    ["alice", "payments", "ledger-0", "exec", 45, "exited"],
    ["carol", "shop", "web-0", "exec", 40, "exited"],
  ].map(([name, namespace, pod, kind, minutes, outcome]) => ({
    ...{ user: `${name}@example.com`, cluster: "prod", namespace, pod, kind, minutes, outcome },
  })),
  "Who touched a namespace for the first time ever?": [
    { user: "dave@example.com", cluster: "prod", namespace: "vault", first_time: "2026-11-14 10:25:00" },
    { user: "service:ci.access", cluster: "staging", namespace: "shop", first_time: "2026-11-16 02:00:00" },
    { user: "alice@example.com", cluster: "prod", namespace: "payments", first_time: "2026-11-17 21:25:00" },
  ],
  "Who worked outside office hours?": [
    { user: "dave@example.com", sessions: 3, bytes_out: 122_429_300, clusters: "prod,staging" },
    { user: "alice@example.com", sessions: 1, bytes_out: 52_000, clusters: "prod" },
    { user: "carol@example.com", sessions: 1, bytes_out: 3_000, clusters: "prod" },
  ],
  "Who ran a certain command?": [
    {
      ...{ id: DUMP, user: "alice@example.com", cluster: "prod", namespace: "payments", pod: "ledger-0" },
      ...{ command: '["sh","-c","pg_dump ledger"]', outcome: "exited", exit_code: 0 },
    },
  ],
  "What reasons did people give?": [
    {
      ...{ began: "2026-11-17 21:30:00", user: "alice@example.com", access_reason: "INC-17: checkout is down" },
      ...{ rule: "say why in production", kind: "exec", namespace: "payments", pod: "ledger-0", minutes: 45 },
    },
  ],
  "What came from a leaked address?": [
    { at: "2026-11-14 10:20:00", user: "dave@example.com", what: "list secrets", place: "prod/*/*" },
    { at: "2026-11-14 10:25:00", user: "dave@example.com", what: "exec", place: "prod/vault/vault-0" },
  ],
  "Who was in several countries within an hour?": [
    { user: "dave@example.com", at: "2026-11-14 10:20:00", country_before: "DE", country: "BR", minutes: 40 },
  ],
  "Who came from a new country?": [
    { user: "dave@example.com", country: "BR", first_time: "2026-11-14 10:20:00", known_since: "2026-11-03" },
  ],
  "Who came from a new device?": [
    {
      ...{ user: "alice@example.com", device_id: "laptop-2", sign_in: "azureAD" },
      ...{ first_time: "2026-11-17 21:32:00", known_since: "2026-11-12" },
    },
  ],
  "What do service tokens do?": [
    { user: "service:ci.access", sessions: 2, requests: 2, addresses: 1, last_used: "2026-11-17 02:00:00" },
  ],
  "Who forwarded ports of databases?": [
    {
      ...{ began: "2026-11-11 14:02:00", user: "carol@example.com", cluster: "prod", namespace: "payments" },
      ...{ pod: "redis-0", port: 6379, connections: null, bytes_out: null },
    },
    {
      ...{ began: "2026-11-12 09:00:00", user: "alice@example.com", cluster: "staging", namespace: "payments" },
      ...{ pod: "postgres-0", port: 5432, connections: 3, bytes_out: 90_000 },
    },
  ],
  "Who downloaded unusually much?": [
    { user: "dave@example.com", day: "2026-11-10", bytes_out: 70_000_000, other_days: 26_214_900 },
    { user: "dave@example.com", day: "2026-11-14", bytes_out: 52_429_300, other_days: 35_000_250 },
  ],
  "Who read secrets?": [
    {
      ...{ at: "2026-11-14 10:20:00", user: "dave@example.com", verb: "list", cluster: "prod", namespace: null },
      ...{ name: null, client_address: "203.0.113.66" },
    },
    {
      ...{ at: "2026-11-17 21:32:00", user: "alice@example.com", verb: "get", cluster: "prod", namespace: "payments" },
      ...{ name: "db-password", client_address: "192.0.2.1" },
    },
  ],
  "Who created tokens of service accounts?": [
    {
      ...{ at: "2026-11-12 08:00:00", user: "bob@example.com", cluster: "staging", namespace: "ci" },
      ...{ service_account: "deployer", status: 201 },
    },
  ],
  "What was deleted in production?": [
    {
      ...{ at: "2026-11-13 12:03:00", user: "carol@example.com", verb: "delete", api_group: "apps" },
      ...{ resource: "deployments", namespace: "shop", name: "web" },
    },
  ],
  "Who created pods before a session?": [
    {
      ...{ user: "alice@example.com", at: "2026-11-17 21:25:00", verb: "create", resource: "pods", subresource: null },
      ...{ namespace: "payments", name: null, session: DUMP, kind: "exec", pod: "ledger-0", seconds_before: 300 },
    },
  ],
  "What was refused, by reason?": [
    { what: "request", reason: "no_token: sign in through Access", user: null, attempts: 120 },
    {
      ...{ what: "session", user: "bob@example.com", attempts: 2 },
      reason: 'pods "ledger-0" is forbidden: User "bob@example.com" cannot create resource "pods/exec"',
    },
    {
      ...{ what: "request", user: "eve@example.com", attempts: 1 },
      reason: "impersonation: this user is not available to you",
    },
    { what: "request", reason: "no_identity: no rule knows you", user: "mallory@elsewhere.example", attempts: 1 },
    { what: "session", reason: "locked by ada@example.com: not on the rota", user: "carol@example.com", attempts: 1 },
  ],
  "Who tried to be somebody else?": [
    { user: "eve@example.com", client_address: "192.0.2.5", attempts: 1, first_time: "2026-11-15 20:03:00" },
  ],
  "Who acted as somebody else?": [
    {
      ...{ user: "carol@example.com", acted_as: "trainee", with_groups: '["viewers"]' },
      ...{ sessions: 1, first_time: "2026-11-17 15:00:00" },
    },
  ],
  "Who is probing for permissions?": [{ user: "eve@example.com", day: "2026-11-15", denied: 3, different: 3 }],
  "Which sessions did administrators end?": [
    {
      ...{ at: "2026-11-13 12:05:00", user: "carol@example.com", cluster: "prod", pod: "web-0" },
      ...{ ended_by: "ada@example.com", reason: "not on the rota" },
    },
    {
      ...{ at: "2026-11-14 10:50:00", user: "dave@example.com", cluster: "prod", pod: "vault-0" },
      ...{ ended_by: "ada@example.com", reason: "several countries" },
    },
  ],
  "Who is locked?": [
    {
      ...{ user: "dave@example.com", since: "2026-11-14 10:50:00", locked_by: "ada@example.com" },
      ...{ reason: "several countries", until: null },
    },
  ],
  "Who watched which recording?": [
    { at: "2026-11-14 12:00:00", watched_by: "ada@example.com", of: "dave@example.com", pod: "vault-0" },
    { at: "2026-11-14 12:01:00", watched_by: "ada@example.com", of: "dave@example.com", pod: "vault-0" },
  ],
  "Who watched which live session?": [
    {
      ...{ began: "2026-11-14 10:30:00", ended: "2026-11-14 10:49:00", watched_by: "ada@example.com" },
      ...{ of: "dave@example.com", pod: "vault-0", why_ended: "left" },
    },
  ],
  "Who asked for access, and who decided?": [
    {
      ...{ asked: "2026-11-14 10:24:00", user: "dave@example.com", grant: "break-glass", reason: "nobody answers" },
      ...{ decisions: "approve by dave@example.com", until: "2026-11-14 11:24:00", taken_back_by: null },
    },
    {
      ...{ asked: "2026-11-15 20:00:00", user: "eve@example.com", grant: "prod-admin", reason: "please" },
      ...{ decisions: null, until: null, taken_back_by: null },
    },
    {
      ...{ asked: "2026-11-17 21:10:00", user: "alice@example.com", grant: "prod-admin" },
      ...{ reason: "INC-17: checkout is down", until: "2026-11-17 23:15:00", taken_back_by: "alice@example.com" },
      decisions: expect.toBeOneOf([
        "approve by bob@example.com, approve by carol@example.com",
        "approve by carol@example.com, approve by bob@example.com",
      ]),
    },
  ],
  "Who approved their own request?": [
    {
      ...{ since: "2026-11-14 10:24:00", user: "dave@example.com", grant: "break-glass", reason: "nobody answers" },
      until: "2026-11-14 11:24:00",
    },
  ],
  "Which sessions ran with a grant?": [
    {
      ...{ began: "2026-11-17 21:30:00", user: "alice@example.com", grants: '["prod-admin"]', cluster: "prod" },
      ...{ namespace: "payments", pod: "ledger-0", kind: "exec", outcome: "exited" },
    },
  ],
  "Which sessions have no complete recording?": [
    {
      id: LONG,
      user: "dave@example.com",
      cluster: "prod",
      pod: "web-0",
      outcome: "duration_limit",
      recording: "capped",
    },
    {
      id: CUT,
      user: "bob@example.com",
      cluster: "staging",
      pod: "web-0",
      outcome: "interrupted",
      recording: "interrupted",
    },
  ],
  "Which sessions did a deploy or a crash end?": [
    { minute: "2026-11-11 14:05:00", sessions: 2, kinds: expect.toBeOneOf(["exec,port-forward", "port-forward,exec"]) },
  ],
  "Of which requests is no answer known?": [
    {
      ...{ at: "2026-11-16 02:05:00", user: "service:ci.access", cluster: "staging", verb: "patch" },
      ...{ resource: "deployments", namespace: "shop", name: "web" },
    },
  ],
  "Which sessions bypassed Sallyport?": [
    {
      ...{ at: "2026-11-17T21:30:00Z", user: "alice@example.com", session: DUMP },
      ...{ sallyport_user: "alice@example.com", pod: "ledger-0" },
    },
    { at: "2026-11-17T23:58:12Z", user: "kubernetes-admin", session: null, sallyport_user: null, pod: null },
  ],
  "Which rows have left D1?": () => [
    {
      ...{ month: "2026-11", first_row: 1, last_row: expect.any(Number), rows: expect.any(Number) },
      ...{ sealed_at: "2026-12-02 00:05:00", left_at: null, kept_months: null },
      manifest: expect.stringMatching(/^seals\/manifests\/0000000000000001-\d{16}\.[0-9a-f]{16}\.json$/),
    },
  ],
  "How fast does the audit log grow?": () =>
    expect.arrayContaining([
      // The start and the connect of the live session, today.
      expect.objectContaining({ day: new Date(LIVE_SINCE).toISOString().slice(0, 10) }),
      { day: "2026-11-17", events: 19, requests: 2, chars: expect.toSatisfy((chars: number) => chars > 4_000) },
    ]),
};

beforeAll(async () => {
  await seed();
  vi.spyOn(console, "log").mockImplementation(() => {});
  const now = Date.parse("2026-12-02T00:05:00Z");
  await setDatabaseClock(now);
  await runSeal({ database: env.AUDIT_DB, bucket: env.RECORDINGS, keepMonths: null, now: () => now });
});

it("the seeded ids are as long as real ones", () => {
  for (const id of [DUMP, VAULT, LONG, CUT]) expect(id).toMatch(/^[\w-]{64}$/);
});

it("every query has an expectation, and every expectation a query", () => {
  expect(recipes.length).toBeGreaterThanOrEqual(18);
  expect(recipes.map(({ heading }) => heading).toSorted(byText)).toEqual(Object.keys(EXPECTED).toSorted(byText));
});

it("every block of SQL belongs to a query that is tested", () => {
  expect([...text.matchAll(/^```sql$/gm)].length).toBe(recipes.length);
});

function byText(one: string, other: string): number {
  return one.localeCompare(other, "en");
}

describe.each(recipes)("$heading", ({ heading, sql, prose }) => {
  const [query = ""] = sql;

  it("finds exactly the expected rows", async () => {
    expect(sql.length).toBe(1);
    const { results } = await env.AUDIT_DB.prepare(query).all<Row>();
    const expected = EXPECTED[heading];
    expect(results).toEqual(typeof expected === "function" ? expected() : expected);
  });

  it("reads by index or the whole table, as its text says", async () => {
    const { results } = await env.AUDIT_DB.prepare(`EXPLAIN QUERY PLAN ${query}`).all<{ detail: string }>();
    const scans = results.map(({ detail }) => detail).filter((detail) => isWholeTable(detail, query));
    const [claim, ...more] = prose.match(/\bBy index\b|\bWhole table\b/g) ?? [];
    expect(more).toEqual([]);
    if (claim === "By index") expect(scans).toEqual([]);
    else expect([claim, scans.length > 0]).toEqual(["Whole table", true]);
  });
});

it("a query by index reads no more when the audit log has older rows", async () => {
  const byIndex = recipes.filter(({ prose, heading }) => prose.includes("By index") && !OF_THE_NEWEST.has(heading));
  expect(byIndex.length).toBeGreaterThan(15);
  const measure = async () => {
    const rows: [string, number][] = [];
    for (const { heading, sql } of byIndex) {
      const { meta } = await env.AUDIT_DB.prepare(sql[0] ?? "").all();
      rows.push([heading, meta.rows_read]);
    }
    return rows;
  };
  const before = await measure();
  await env.AUDIT_DB.prepare(
    `WITH RECURSIVE numbers AS (SELECT 1 AS n UNION ALL SELECT n + 1 FROM numbers WHERE n < 500)
     INSERT INTO events (session_id, seq, at, type, data, prev_hash, hash)
     SELECT '2025-01-01T00:00:00.000Z-' || n, 0, 1735689600000, 'request',
       json_object('user', 'olga@example.com', 'category', 'denied', 'decision', 'refused'), '', 'h' || n FROM numbers`,
  ).run();
  expect(await measure()).toEqual(before);
});

/** They read the newest rows, whatever those are, or all of some users'. */
const OF_THE_NEWEST: ReadonlySet<string> = new Set(["How fast does the audit log grow?"]);

/**
 * Whether a step of the plan reads a whole table of the audit log, under any alias. Other scans are harmless,
 * as that of what a view has found.
 */
function isWholeTable(detail: string, query: string): boolean {
  // All requests: their ids are the ones that begin with a digit.
  if (detail === "SEARCH q USING INDEX events_of_session (session_id<?)") return true;
  const [, scanned] = /^SCAN (\w+)(?! VIRTUAL TABLE)/.exec(detail) ?? [];
  if (scanned === undefined || detail.includes("VIRTUAL TABLE")) return false;
  const named = [...query.matchAll(/\b(?:FROM|JOIN) (?:events|sessions)(?: AS (\w+))?/g)].map(([, alias]) => alias);
  // `s` and `e`, and `q` and `a`, are the aliases inside the views.
  return new Set([...named, "events", "request_rows", "sessions", "s", "e", "q", "a"]).has(scanned);
}

it("the check recognizes a scan", async () => {
  const planOf = async (query: string) => {
    const { results } = await env.AUDIT_DB.prepare(`EXPLAIN QUERY PLAN ${query}`).all<{ detail: string }>();
    return results.filter(({ detail }) => isWholeTable(detail, query)).length;
  };
  expect(await planOf("SELECT * FROM sessions WHERE pod = 'x'")).toBe(1);
  expect(await planOf("SELECT * FROM requests AS r WHERE status = 1")).toBe(2);
  expect(await planOf("SELECT * FROM requests WHERE id > '2026'")).toBe(0);
  expect(await planOf("SELECT * FROM sessions WHERE user = 'x'")).toBe(0);
});
