/**
 * The audit log over the seam: rows of the seals and of D1 are one log again, and what is missing or altered
 * is found.
 */
import { readFileSync } from "node:fs";
import { resolve } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { beforeEach, describe, expect, it } from "vitest";
import { makeSessionId } from "../../contract/session-id.ts";
import { assembledEvents, hasSeals } from "../../tools/audit-source.ts";
import { describeSeam, verifyEvents } from "../../tools/audit-verify.ts";
import { assembleLog } from "../../tools/seals/assemble.ts";
import { MIGRATIONS, SealedLog } from "../support/sealed-log.ts";

const ids = Array.from({ length: 8 }, (_, index) =>
  makeSessionId(String(index % 2).repeat(64), 1_700_000_000_000 + index, new Uint8Array(10).fill(index)),
);

let log: SealedLog;
/** Four sessions in two sealed ranges, of which the first has left D1; two more since. */
beforeEach(() => {
  log = new SealedLog();
  for (const [index, id] of ids.slice(0, 2).entries()) log.session(id, `user-${index % 2}`, index);
  log.seal(6, 4, "2026-08");
  for (const [index, id] of ids.slice(2, 4).entries()) log.session(id, `user-${index % 2}`, 100 + index);
  log.seal(13, 100, "2026-09");
  log.remove();
  for (const [index, id] of ids.slice(4, 6).entries()) log.session(id, `user-${index % 2}`, 200 + index);
});

async function verify() {
  const target = new DatabaseSync(":memory:");
  const report = await assembleLog(target, MIGRATIONS, log.query, log.objects);
  return { target, report, verdict: await verifyEvents(assembledEvents(target)) };
}

describe("an intact log", () => {
  it("is verified as if nothing had left", async () => {
    expect(await hasSeals(log.query)).toBe(true);
    const { report, verdict } = await verify();
    expect(report).toMatchObject({ parts: 3, sealedRows: 13, leftRows: 6, rowsInD1: 15, problems: [] });
    expect(verdict).toEqual({ sessions: 6, requests: 0, events: 21, open: [], openRequests: [], broken: [] });
    expect(describeSeam(report, "the bucket")).toBe(
      "The seals are intact: 2 seals of 2026-08 to 2026-09, 3 objects with 13 rows read from the bucket; " +
        "6 rows of them in the seals alone. 15 rows in D1.",
    );
  });

  it("is a database with D1's views and triggers again", async () => {
    const { target } = await verify();
    const users = target
      .prepare("SELECT user, count(*) AS sessions FROM sessions WHERE state = 'ended' GROUP BY user")
      .all();
    expect(users).toEqual([
      { user: "user-0", sessions: 3 },
      { user: "user-1", sessions: 3 },
    ]);
    expect(target.prepare("SELECT count(*) AS seals FROM seals").get()).toEqual({ seals: 2 });
    expect(() => target.exec("DELETE FROM events WHERE row_number = 20")).toThrow(/append-only/);
  });

  it("without the seals would have sessions missing", async () => {
    const verdict = await verifyEvents(assembledEvents(log.database));
    expect(verdict.broken.map(({ problem }) => problem).join()).toContain("the one before it of user-0 is missing");
  });

  it("may have an event again that an object delivered twice, months later", async () => {
    const { target } = await verify();
    const {
      user: _,
      row_number: __,
      ...event
    } = target.prepare("SELECT * FROM events WHERE row_number = 1").get() ?? {};
    log.insert("events", event);
    log.session(ids[6] ?? "", "user-0", 300);
    const { report, verdict } = await verify();
    expect([report.problems, verdict.broken]).toEqual([[], []]);
    // The same event with other content is another matter.
    log.insert("events", { ...event, session_id: event["session_id"], seq: 1, hash: "forged" });
    expect((await verify()).report.problems).toEqual(["row 26 contradicts an earlier row"]);
  });
});

describe("what is found", () => {
  const key = (pattern: RegExp) => [...log.stored.keys()].find((each) => pattern.test(each)) ?? "";
  const MANIFEST = /manifests\/0000000000000001/;
  const PART = /events\/0000000000000001/;

  it.each<[string, () => unknown, readonly RegExp[]]>([
    [
      "a missing manifest",
      () => log.stored.delete(key(MANIFEST)),
      [/manifests.* is missing in the test/, /rows 1 to 6 are missing/],
    ],
    [
      "an altered manifest",
      () => log.stored.set(key(MANIFEST), Buffer.from("{}")),
      [/was altered/, /rows 1 to 6 are missing/],
    ],
    [
      "a missing object",
      () => log.stored.delete(key(PART)),
      [/events.* is missing in the test/, /rows 1 to 4 are missing/],
    ],
    [
      "an altered object",
      () => log.stored.set(key(PART), Buffer.from("x")),
      [/was altered/, /rows 1 to 4 are missing/],
    ],
    [
      "a missing object of rows that D1 still has",
      () => log.stored.delete(key(/events\/0000000000000007/)),
      [/is missing in the test/],
    ],
    [
      "a sealed row that was changed in D1",
      () => log.database.exec("UPDATE events SET data = '{}' WHERE row_number = 8"),
      [/row 8 in D1 is not the row that was sealed/],
    ],
    [
      "a sealed row that left D1 too early",
      () => log.database.exec("DELETE FROM events WHERE row_number = 8"),
      [/^row 8 is missing in D1$/],
    ],
    [
      "the newest sealed rows, and all after them, that left D1 too early",
      () => log.database.exec("DELETE FROM events WHERE row_number >= 12"),
      [/^rows 12 to 13 are missing in D1$/],
    ],
    [
      "rows that are in no seal, beside sealed ones that left D1 too early",
      () => log.database.exec("DELETE FROM events WHERE row_number BETWEEN 12 AND 15"),
      [/^rows 12 to 13 are missing in D1$/, /^rows 14 to 15 are missing in D1 and the seals$/],
    ],
    [
      "a row that is in no seal",
      () => log.database.exec("DELETE FROM events WHERE row_number = 16"),
      [/^row 16 is missing in D1 and the seals$/],
    ],
    [
      "a seal that was removed from D1",
      () => log.database.exec("DELETE FROM seals WHERE first_row = 1"),
      [/does not follow the one before/, /does not follow the seal before it/, /rows 1 to 6 are missing/],
    ],
    [
      "a seal with another manifest's hash",
      () => log.database.exec("UPDATE seals SET sha256 = previous_sha256 WHERE first_row = 7"),
      [/was altered/],
    ],
  ])("%s", async (_, damage, problems) => {
    damage();
    const { report } = await verify();
    expect(report.problems).toHaveLength(problems.length);
    for (const [index, problem] of problems.entries()) expect(report.problems[index]).toMatch(problem);
    expect(describeSeam(report, "the bucket")).toContain("The seals are NOT intact");
  });

  it("a forged event in a seal, by the chain", async () => {
    log.database.exec("UPDATE events SET data = json_set(data, '$.command[0]', 'harmless') WHERE row_number = 14");
    log.seal(20, 100, "2026-10");
    const { report, verdict } = await verify();
    expect(report.problems).toEqual([]);
    expect(verdict.broken).toMatchObject([{ problem: expect.stringContaining("does not match its content") }]);
  });
});

it("every query of the cookbook finds the same over the seam", async () => {
  const whole = new SealedLog();
  const [november, october] = [Date.parse("2026-11-17T21:30:00Z"), Date.parse("2026-10-17T21:30:00Z")];
  for (const [index, id] of ids.entries()) {
    whole.session(
      id,
      index % 2 === 0 ? "alice@example.com" : "service:ci.access",
      (index < 4 ? october : november) + index * 60_000,
    );
  }
  const request = {
    user: "alice@example.com",
    category: "secret-read",
    verb: "get",
    resource: "secrets",
    namespace: "payments",
  };
  for (const day of ["2026-10-12", "2026-11-12"]) {
    const at = Date.parse(`${day}T10:00:00Z`);
    whole.write(`${new Date(at).toISOString()}-1`, "", [
      { type: "request", at, data: { ...request, decision: "allowed", status: 200, country: "DE", cluster: "prod" } },
    ]);
  }
  // Its order is that of the numbers, so the request of October is in the range as well.
  whole.seal(25, 7, "2026-10");
  const text = readFileSync(resolve(import.meta.dirname, "../../docs/QUERIES.md"), "utf8");
  const queries = [...text.matchAll(/^```sql\n(.*?)^```$/gms)].map(([, sql = ""]) => sql);
  const ask = (database: DatabaseSync) => queries.map((sql) => database.prepare(sql).all());
  const before = ask(whole.database);
  whole.remove();
  const target = new DatabaseSync(":memory:");
  const report = await assembleLog(target, MIGRATIONS, whole.query, whole.objects);
  expect([report.problems, report.leftRows]).toEqual([[], 25]);
  const after = ask(target);
  const leftAt = queries.findIndex((sql) => sql.includes("seal_removals"));
  const growth = queries.findIndex((sql) => sql.includes("length(prev_hash)"));
  for (const [index, rows] of before.entries()) {
    // The removal itself is new.
    if (index !== leftAt && index !== growth) expect(after[index], queries[index]).toEqual(rows);
  }
  expect(before.filter((rows) => rows.length > 0).length).toBeGreaterThan(8);
  expect(after[leftAt]).toMatchObject([{ month: "2026-10", left_at: "1970-01-01 00:00:00" }]);
});
