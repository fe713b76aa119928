/** What the console says of how the parts are: each single fault, and the well part beside it. */
import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import type { SystemHealth, Webhooks } from "../../../console/src/api/endpoints.ts";
import {
  countSessions,
  countWaiting,
  drainBody,
  drainFields,
  type Finding,
  findingsOf,
} from "../../../console/src/health.ts";

const NOW = Date.parse("2026-11-27T08:00:00Z");
const MINUTE_MS = 60_000;
const ago = (ms: number) => new Date(NOW - ms).toISOString();
const inDays = (days: number) => new Date(NOW + days * 86_400_000).toISOString();

const DATABASE = {
  ...{ bytes: 1_000_000_000, maxBytes: 10_000_000_000, newestRow: 10, newestAt: ago(1), eventsPerDay: 1 },
  ...{ bytesPerDay: 1, fullAt: null },
};
type ExportedTable = Extract<SystemHealth["export"], { readonly enabled: true }>["tables"][number];

const TABLE: ExportedTable = {
  ...{ table: "events", exported: 10, newest: 10, waiting: 0, oldestWaiting: null, lastObject: "a", error: null },
};
const WELL: SystemHealth = {
  version: null,
  database: DATABASE,
  seal: { month: "2026-10", sealedAt: ago(MINUTE_MS), lastRow: 8, unsealedRows: 2 },
  unsealed: { oldestAt: "2026-11-01T00:00:00.000Z", month: "2026-11" },
  keepMonths: null,
  recentChain: { events: 10, broken: [] },
  export: { enabled: true, prefix: "", tables: [TABLE] },
  drain: { draining: false, by: null, reason: null, since: null, until: null },
  objects: { version: null, undeliveredSince: null },
  live: { sessions: 0, complete: true },
};
const DESTINATION = {
  ...{ name: "siem", format: "standard", events: null, waiting: 0, failures: 0, dropped: 0, isGone: false },
};
const TOLD: Webhooks = { faults: [], address: null, destinations: [DESTINATION] };

const find = (health: Partial<SystemHealth>, webhooks: Webhooks | undefined = TOLD, now = NOW) =>
  Object.fromEntries(findingsOf({ ...WELL, ...health }, webhooks, now).map((finding) => [finding.id, finding]));

/** The tones that are neither well nor unused. */
const notWell = (findings: Readonly<Record<string, Finding>>) =>
  Object.values(findings)
    .filter(({ tone }) => tone !== "good" && tone !== "off")
    .map(({ id, tone }) => `${id} ${tone}`);

it("nothing is the matter where all is well", () => {
  expect(notWell(find({}))).toEqual([]);
  expect(find({})["chain"]?.says).toContain("10 events");
});

describe("one fault", () => {
  const DRAIN = { draining: true, by: "admin@example.com", reason: "x", since: ago(1), until: inDays(1) };
  const table = (more: Partial<ExportedTable>): Partial<SystemHealth> => ({
    export: { enabled: true, prefix: "", tables: [{ ...TABLE, ...more }] },
  });

  it.each<[string, Partial<SystemHealth>, string[]]>([
    ["a drain", { drain: DRAIN }, ["sessions look"]],
    ["events that wait for D1", { objects: { version: null, undeliveredSince: ago(1) } }, ["delivery act"]],
    ["a size above 6 GB", { database: { ...DATABASE, bytes: 6_000_000_000 } }, ["database look"]],
    ["a size above 9 GB", { database: { ...DATABASE, bytes: 9_000_000_000 } }, ["database act"]],
    ["a month until it is full", { database: { ...DATABASE, fullAt: inDays(29) } }, ["database look"]],
    ["a week until it is full", { database: { ...DATABASE, fullAt: inDays(6) } }, ["database act"]],
    ["a size that nobody says", { database: { ...DATABASE, bytes: null } }, ["database unknown"]],
    ["an event that was changed", { recentChain: { events: 10, broken: [{ sessionId: "s", seq: 1 }] } }, ["chain act"]],
    ["an export that was stopped", table({ error: { at: null, message: "x" } }), ["export act"]],
    ["rows that wait for hours", table({ waiting: 5, oldestWaiting: ago(61 * MINUTE_MS) }), ["export look"]],
    ["R2 away", { export: null }, ["export unknown"]],
    ["D1 away", { database: null, seal: null, recentChain: null }, ["database act", "chain unknown", "seals unknown"]],
    ["the directory away", { drain: null, objects: null, live: null }, ["sessions unknown", "delivery unknown"]],
  ])("is named: %s", (_, health, named) => {
    expect(notWell(find(health))).toEqual(named);
  });

  it.each<[string, Partial<SystemHealth>]>([
    ["a size below 6 GB", { database: { ...DATABASE, bytes: 5_999_999_999 } }],
    ["years until it is full", { database: { ...DATABASE, fullAt: inDays(31) } }],
    ["rows that wait for the next run", table({ waiting: 5, oldestWaiting: ago(5 * MINUTE_MS) })],
    ["no export", { export: { enabled: false } }],
  ])("is none: %s", (_, health) => {
    expect(notWell(find(health))).toEqual([]);
  });

  describe("of seals", () => {
    const OCTOBER = { oldestAt: "2026-10-31T23:59:59.999Z", month: "2026-10" };
    const of = (month: string, sealedAt: string) => ({ month, sealedAt, lastRow: 8, unsealedRows: 2 });
    const at = (time: string, health: Partial<SystemHealth>) => notWell(find(health, TOLD, Date.parse(time)));

    it("is that none was ever made, once a month has been over for a week", () => {
      expect(at("2026-11-08T00:00:00.001Z", { seal: null, unsealed: OCTOBER })).toEqual(["seals act"]);
      expect(at("2026-11-08T00:00:00.000Z", { seal: null, unsealed: OCTOBER })).toEqual([]);
      expect(find({ seal: null, unsealed: OCTOBER })["seals"]?.says).toMatch(/^Nothing is sealed yet, and .*2026-10/);
    });

    it("is that a month is over and has none", () => {
      const seal = of("2026-09", "2026-10-01T00:05:00Z");
      expect(at("2026-11-08T00:00:00.001Z", { seal, unsealed: OCTOBER })).toEqual(["seals act"]);
      expect(at("2026-11-07T00:00:00.000Z", { seal, unsealed: OCTOBER })).toEqual([]);
    });

    it("is not that there are no older events: in a new deployment, or after months without any", () => {
      const young = { oldestAt: "2026-11-20T00:00:00.000Z", month: "2026-11" };
      expect(find({ seal: null, unsealed: young })["seals"]).toMatchObject({ tone: "good" });
      expect(find({ seal: null, unsealed: null })["seals"]).toMatchObject({ tone: "good" });
      expect(find({ seal: of("2026-06", "2026-07-01T00:05:00Z"), unsealed: young })["seals"]?.tone).toBe("good");
      expect(find({ seal: of("2026-06", "2026-07-01T00:05:00Z"), unsealed: null })["seals"]?.tone).toBe("good");
    });
  });

  it.each<[string, Webhooks | undefined, string | undefined]>([
    ["the directory away", undefined, "unknown"],
    ["faults of the document", { ...TOLD, faults: ["destinations[0].url"], destinations: [] }, "act"],
    ["nobody to tell", { ...TOLD, destinations: [] }, "off"],
    ["a receiver that is gone", { ...TOLD, destinations: [{ ...DESTINATION, isGone: true }] }, "act"],
    ["a receiver that fails", { ...TOLD, destinations: [{ ...DESTINATION, failures: 1 }] }, "look"],
    ["a receiver that is told", TOLD, "good"],
  ])("of notifications: %s", (_, webhooks, tone) => {
    expect(findingsOf(WELL, webhooks, NOW).at(-1)?.tone).toBe(tone);
  });
});

it("whoever should act is told what to do, and where the runbook has more", () => {
  const headings = [...readFileSync("docs/RUNBOOK.md", "utf8").matchAll(/^## (.*)$/gm)].map(([, heading]) => heading);
  const away = { database: null, seal: null, recentChain: null, export: null, drain: null, objects: null };
  const changed = { recentChain: { events: 1, broken: [{ sessionId: "s", seq: 0 }] } };
  const all = [away, changed, { database: { ...DATABASE, bytes: 9e9 } }].flatMap((health) =>
    Object.values(find(health)),
  );
  for (const { tone, todo, runbook } of all) {
    if (tone === "act") expect(todo).toBeDefined();
    if (runbook !== undefined) expect(headings).toContain(runbook);
  }
  expect(all.some(({ runbook }) => runbook !== undefined)).toBe(true);
});

it("numbers of what waits and what is open are said in words that fit", () => {
  expect([0, 1, 2].map((count) => countWaiting(count, "row"))).toEqual(["0 rows wait", "1 row waits", "2 rows wait"]);
  expect(countWaiting(1, "notification")).toBe("1 notification waits");
  expect([1, 499].map(countSessions)).toEqual(["1 session", "499 sessions"]);
  // The API counts no further.
  expect(countSessions(500)).toBe("at least 500 sessions");
});

describe("the dialog of a drain", () => {
  const NONE = { draining: false, by: null, reason: null, since: null, until: null };
  const HELD = {
    draining: true,
    by: "a@example.com",
    reason: "upgrade",
    since: ago(1),
    until: "2026-11-27T12:34:56.789Z",
  };
  const formOf = (fields: Readonly<Record<string, string>>) => {
    const form = new FormData();
    for (const [name, text] of Object.entries(fields)) form.set(name, text);
    return form;
  };

  it("begins with the end and the reason that hold, so that a change of one keeps the other", () => {
    const fields = drainFields(HELD, NOW);
    expect(drainBody(formOf(fields), HELD)).toEqual({ until: HELD.until, reason: "upgrade" });
    expect(drainBody(formOf({ ...fields, reason: "longer" }), HELD)).toEqual({ until: HELD.until, reason: "longer" });
    const later = new Date(2026, 10, 27, 20, 15).toISOString();
    expect(drainBody(formOf({ ...fields, until: "2026-11-27T20:15" }), HELD)).toEqual({
      until: later,
      reason: "upgrade",
    });
  });

  it("begins with an hour and no reason where there is none, and takes a reason away", () => {
    expect(drainBody(formOf(drainFields(NONE, NOW)), NONE)).toEqual({ until: "2026-11-27T09:00:00.000Z" });
    expect(drainBody(formOf({ ...drainFields(HELD, NOW), reason: "" }), HELD)).toEqual({ until: HELD.until });
  });
});
