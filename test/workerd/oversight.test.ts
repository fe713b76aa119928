/** What auditors ask of Sallyport itself: what it would decide, by which document, and how its parts are. */
import { env } from "cloudflare:workers";
import { beforeAll, describe, expect, it, vi } from "vitest";
import { callDirectory } from "../../contract/directory.ts";
import type { ConfigInput } from "../../worker/config/schema.ts";
import { runSeal } from "../../worker/seal/run.ts";
import { seed } from "./cookbook-seed.ts";
import { admin, alice, as, directlyAs } from "./people.ts";
import { setDatabaseClock } from "./seal-clock.ts";
import { expectApiDenial } from "./statuses.ts";

const CONFIG = {
  identities: [
    { match: { email: "admin@example.com" }, roles: ["admin"] },
    { match: { group: "g-audit" }, roles: ["auditor"] },
    { match: { claim: "custom.team", value: "sre" }, groups: ["sre"] },
    { match: { emailDomain: "example.com" }, groups: ["developers"] },
  ],
  rules: [{ name: "no secrets", match: { resources: ["secrets"], groups: ["developers"] }, action: "refuse" }],
} satisfies Partial<ConfigInput>;

const ask = (path: string, more: object = {}) => directlyAs(admin, path, {}, { config: CONFIG, ...more });

interface Explained {
  readonly allowed: boolean;
  readonly steps: { readonly step: string; readonly text: string; readonly rule: string | null }[];
}

async function explained(query: Record<string, string> | string[][]): Promise<Explained> {
  const response = await ask(`/-/admin/explain?${new URLSearchParams(query)}`);
  expect(response.status).toBe(200);
  return response.json();
}

describe("explaining a request", () => {
  const request = "GET /api/v1/namespaces/demo/secrets/db";

  it("says what would be decided, by which rule, for whom", async () => {
    const { allowed, steps } = await explained({ as: "alice@example.com", request });
    expect(allowed).toBe(false);
    expect(steps.map(({ step }) => step)).toEqual(["cluster", "identity", "becomes", "request", "REFUSED"]);
    expect(steps[1]?.text).toBe("alice@example.com, by identities[3]");
    expect(steps.at(-1)?.text).toMatch(/by the rule no secrets$/);
    expect(steps.map(({ rule }) => rule)).toEqual([null, null, null, null, "no secrets"]);
  });

  it("goes by claims and groups that are given, each as often as one likes", async () => {
    const sre = await explained([
      ["as", "alice@example.com"],
      ["request", request],
      ["claim", "custom.team=dev"],
      ["claim", "custom.team=sre"],
    ]);
    expect(sre.allowed).toBe(true);
    expect(sre.steps[1]?.text).toBe("alice@example.com, by identities[2]");
    const auditor = await explained([
      ["as", "olga@example.com"],
      ["request", "GET /version"],
      ["group", "g-other"],
      ["group", "g-audit"],
    ]);
    expect(auditor.steps[1]?.text).toBe("olga@example.com, by identities[1], with the roles auditor");
  });

  it("says what a shell would be", async () => {
    const exec = "GET /api/v1/namespaces/demo/pods/web/exec?command=sh";
    const { allowed, steps } = await explained({ as: "alice@example.com", request: exec });
    expect(allowed).toBe(true);
    expect(steps.find(({ step }) => step === "request")?.text).toMatch(/^session of kind exec: .*Upgrade: websocket$/);
    expect(steps.find(({ step }) => step === "recording")?.text).toMatch(/^output/);
  });

  it("sends nothing and writes nothing", async () => {
    const count = () => env.AUDIT_DB.prepare("SELECT count(*) AS n FROM events").first<number>("n");
    const before = await count();
    await explained({ as: "alice@example.com", request: "DELETE /api/v1/namespaces/demo/pods/web" });
    expect(await count()).toBe(before);
  });

  it.each<[string, RegExp]>([
    ["request=GET+/version", /^say who would ask/],
    ["as=alice@example.com", /^say what for/],
    ["as=a b&request=GET+/version", /parameter as/],
    ["as=a@b.c&request=version", /parameter request/],
    ["as=a@b.c&request=GET+/version&cluster=moon", /^no cluster has this name: test-cluster$/],
    ["as=a@b.c&request=GET+/version&claim=x", /claim/],
    ["as=a@b.c&request=GET+/version&kubectlAs=%0Aroot", /kubectlAs/],
    ["as=a@b.c&as=b@c.d&request=GET+/version", /parameter as is repeated/],
    ["as=a@b.c&request=GET+/version&grop=x", /unknown query parameter grop/],
  ])("refuses %s", async (query, message) => {
    await expectApiDenial(await ask(`/-/admin/explain?${query}`), "bad_request", message);
  });

  it("shows no control characters that were asked about", async () => {
    const query = new URLSearchParams({ as: "alice@example.com", request: "GET /x\u009B2J" });
    const text = await (await ask(`/-/admin/explain?${query}`)).text();
    expect(text).not.toMatch(/\p{C}/u);
  });
});

describe("the configuration in force", () => {
  it("says who has which role, and everything that decides", async () => {
    const shown = await (await ask("/-/admin/config", { bindings: { VERSION: { id: "v7" } } })).json();
    expect(shown).toMatchObject({
      version: "v7",
      roles: [
        { rule: "identities[0]", match: { email: "admin@example.com" }, roles: ["admin"] },
        { rule: "identities[1]", match: { group: "g-audit" }, roles: ["auditor"] },
      ],
      document: {
        identities: [{}, {}, {}, { groups: ["developers"] }],
        clusters: [{ name: "test-cluster", rules: [{ name: "no secrets", action: "refuse" }] }],
        limits: { maxSessionsPerUser: 3 },
        recording: { mode: "output" },
      },
    });
  });

  it("shows of the document what is named, and nothing else that may once be in it", async () => {
    const { document } = await (await ask("/-/admin/config")).json<{ document: object }>();
    expect(new Set(Object.keys(document))).toEqual(
      new Set([
        ...["access", "identities", "grants", "limits", "audit", "recording", "portForward"],
        ...["loopbackOrigins", "export", "clusters"],
      ]),
    );
  });
});

describe("the health of the parts", () => {
  beforeAll(async () => {
    await seed();
    vi.spyOn(console, "log").mockImplementation(() => {});
    const now = Date.parse("2026-12-02T00:05:00Z");
    await setDatabaseClock(now);
    await runSeal({ database: env.AUDIT_DB, bucket: env.RECORDINGS, keepMonths: null, now: () => now });
  });

  interface Health {
    readonly database: { bytes: number; newestRow: number; eventsPerDay: number; bytesPerDay: number; fullAt: string };
    readonly seal: { lastRow: number; unsealedRows: number };
    readonly recentChain: { events: number; broken: { sessionId: string; seq: number }[] };
  }
  const health = async (more: object = {}) => (await ask("/-/admin/health", more)).json<Health>();

  it("says how full the database is and will be, what is sealed, and what waits", async () => {
    const shown = await health();
    expect(shown).toMatchObject({
      version: null,
      database: { maxBytes: 10_000_000_000, newestAt: expect.any(String) },
      seal: { month: "2026-11", sealedAt: "2026-12-02T00:05:00.000Z" },
      // The seal's own event, and what came since.
      unsealed: { oldestAt: expect.stringMatching(/Z$/), month: "2026-12" },
      keepMonths: null,
      export: { enabled: true },
      drain: { draining: false },
      objects: { version: null, undeliveredSince: null },
      live: { sessions: expect.any(Number) },
    });
    const { bytes, newestRow, eventsPerDay, bytesPerDay, fullAt } = shown.database;
    expect(bytes).toBeGreaterThan(10_000);
    expect(eventsPerDay).toBeGreaterThan(1);
    expect(bytesPerDay).toBeGreaterThan(eventsPerDay);
    expect(shown.seal.lastRow + shown.seal.unsealedRows).toBe(newestRow);
    // A few events a day: not in a lifetime, or far away.
    if (fullAt !== null) expect(Date.parse(fullAt)).toBeGreaterThan(Date.now());
    expect(shown.recentChain.events).toBeGreaterThan(50);
    expect(shown.recentChain.broken).toEqual([]);
  });

  it("names a recent event that was changed", async () => {
    const triggers = await env.AUDIT_DB.prepare("SELECT name, sql FROM sqlite_master WHERE type = 'trigger'").all<{
      name: string;
      sql: string;
    }>();
    const newest = await env.AUDIT_DB.prepare(
      "SELECT session_id, seq, data FROM events WHERE type = 'end' ORDER BY row_number DESC LIMIT 1",
    ).first<{ session_id: string; seq: number; data: string }>();
    if (!newest) throw new Error("no events");
    const { session_id, seq, data } = newest;
    const put = (text: string) =>
      env.AUDIT_DB.prepare("UPDATE events SET data = ? WHERE session_id = ? AND seq = ?")
        .bind(text, session_id, seq)
        .run();
    for (const { name } of triggers.results) await env.AUDIT_DB.prepare(`DROP TRIGGER ${name}`).run();
    await put(data.replace("exit_code", "exit_kode"));
    expect((await health()).recentChain.broken).toEqual([{ sessionId: session_id, seq }]);
    await put(data);
    for (const { sql } of triggers.results) await env.AUDIT_DB.prepare(sql).run();
    expect((await health()).recentChain.broken).toEqual([]);
  });

  it("answers without what does not answer", async () => {
    for (const level of ["error", "warn"] as const) vi.spyOn(console, level).mockImplementation(() => {});
    const away = () => {
      throw new Error("away");
    };
    const AUDIT_DB = { prepare: away, batch: away };
    expect(await health({ bindings: { AUDIT_DB } })).toMatchObject({
      ...{ database: null, seal: null, unsealed: null, recentChain: null, export: null },
      drain: { draining: false },
    });
    const DIRECTORY = { getByName: away };
    expect(await health({ bindings: { DIRECTORY } })).toMatchObject({
      ...{ drain: null, objects: null, live: null, database: {} },
    });
    expect(await health({ bindings: { EXPORT: undefined } })).toMatchObject({ export: { enabled: false } });
    vi.restoreAllMocks();
  });

  it("says since when events wait for D1, once an object has told the directory", async () => {
    const since = Date.now() - 300_000;
    expect(await callDirectory(env.DIRECTORY, "reportOutage", { since })).toEqual({ ok: true, value: null });
    expect(await health()).toMatchObject({
      objects: { version: null, undeliveredSince: new Date(since).toISOString() },
    });
  });
});

describe("all of these", () => {
  it.each(["/-/admin/explain?as=a@b.c&request=GET+/version", "/-/admin/config", "/-/admin/health"])(
    "are for auditors and administrators: %s",
    async (path) => {
      await expectApiDenial(await as(alice, path), "not_admin", /admin or auditor/);
      const config = { identities: [{ match: { email: "alice@example.com" }, roles: ["auditor" as const] }] };
      expect((await directlyAs(alice, path, {}, { config })).status).toBe(200);
    },
  );
});
