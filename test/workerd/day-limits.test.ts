/** What one person's sessions, and attempts at them, may add to the audit log in a day. */
import { abortAllDurableObjects, runDurableObjectAlarm, runInDurableObject } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { DEFAULT_MAX_SESSION_BYTES_PER_DAY } from "../../contract/limits.ts";
import { MAX_RATED_PER_DAY } from "../../durable/audit-log.ts";
import { SUMMARY_AFTER_MS } from "../../durable/storage/counted-requests.ts";
import { EVENT_OVERHEAD_BYTES } from "../../durable/storage/session-journal.ts";
import { eventually } from "../support/eventually.ts";
import { ended } from "./audit-rows.ts";
import { Client, frame, SUCCESS } from "./client.ts";
import { as, someone, upgrade } from "./people.ts";
import { Puppet } from "./puppet.ts";
import { expectStatus } from "./statuses.ts";

type Person = ReturnType<typeof someone>;

const SPDY = { method: "POST", headers: { Connection: "Upgrade", Upgrade: "SPDY/3.1" } };
const USED_UP =
  "your sessions have added 200 MB to the audit log today, which is as much as they may, and the day ends at " +
  "00:00 UTC: try again then, with one session for many commands, or ask your administrator to raise " +
  "audit.maxSessionBytesPerDay";

beforeEach(() => {
  for (const level of ["log", "warn", "error"] as const) vi.spyOn(console, level).mockImplementation(() => {});
});
afterEach(() => vi.restoreAllMocks());

/** A stub is of no use after its object was aborted, so each use takes a new one. */
const inObjectOf = <R>({ email }: Person, work: (sql: SqlStorage) => R) =>
  runInDurableObject(env.USER_SESSIONS.getByName(email), (_, { storage }) => work(storage.sql));

const setUsed = (person: Person, bytes: number) =>
  inObjectOf(person, (sql) => void sql.exec("UPDATE user_chain SET session_bytes = ?", bytes));
const used = (person: Person) =>
  inObjectOf(person, (sql) => sql.exec<{ n: number }>("SELECT session_bytes AS n FROM user_chain").one().n);

/** Runs a command to its end. @returns the session's id */
async function run(person: Person): Promise<string> {
  const pod = await Puppet.make();
  const client = await Client.open(upgrade(person, pod.path()));
  pod.send(SUCCESS);
  pod.close(1000);
  await ended(client.sessionId);
  return client.sessionId;
}

/** What D1 has of a person, once their object has nothing left for it. */
async function delivered(person: Person) {
  await eventually(async () =>
    expect(await inObjectOf(person, (sql) => sql.exec("SELECT 1 FROM outbox").toArray())).toEqual([]),
  );
  const { results } = await env.AUDIT_DB.prepare(
    `SELECT type, data FROM events WHERE session_id IN (SELECT session_id FROM events WHERE user = ?)
     ORDER BY row_number`,
  )
    .bind(person.email)
    .all<{ type: string; data: string }>();
  return results;
}

/** What the alarm does a minute after something was counted. @returns the data of all summaries */
async function summaries(person: Person) {
  await inObjectOf(person, (sql) => {
    sql.exec("UPDATE request_counts SET first_at = first_at - ?", SUMMARY_AFTER_MS + 1);
  });
  await delivered(person);
  await runDurableObjectAlarm(env.USER_SESSIONS.getByName(person.email));
  const rows = await delivered(person);
  return rows.filter(({ type }) => type === "request_summary").map(({ data }) => JSON.parse(data));
}

describe("the bytes of a day's sessions", () => {
  it("are those of their events, also of events that follow later", async () => {
    const person = someone();
    await run(person);
    await run(person);
    const rows = await delivered(person);
    expect(rows.map(({ type }) => type)).toEqual(["start", "connect", "end", "start", "connect", "end"]);
    const bytes = rows.reduce((sum, { data }) => sum + new TextEncoder().encode(data).length + EVENT_OVERHEAD_BYTES, 0);
    expect(await used(person)).toBe(bytes);
  });

  it("are bounded: who has used them up opens nothing until the next day, whoever restarts the object", async () => {
    const person = someone();
    await run(person);
    await setUsed(person, DEFAULT_MAX_SESSION_BYTES_PER_DAY - 1);
    // The last one may exceed them a little, and goes on.
    const live = await Puppet.make();
    const client = await Client.open(upgrade(person, live.path()));
    const before = await delivered(person);
    for (const crash of [false, true]) {
      if (crash) await abortAllDurableObjects();
      const pod = await Puppet.make({ hold: true });
      for (let i = 0; i < 20; i++) await expectStatus(await upgrade(person, pod.path()), "TooManyRequests", USED_UP);
      expect(pod.isAsked).toBe(false);
      if (crash) continue;
      live.send(frame(1, "still here"));
      await eventually(() => expect(client.text(1)).toBe("still here"));
    }
    // The neighbor has days of their own.
    await run(someone());
    await inObjectOf(person, (sql) => void sql.exec("UPDATE user_chain SET sessions_day = sessions_day - 1"));
    await run(person);
    expect(await used(person)).toBeLessThan(10_000);
    expect((await summaries(person)).filter(({ refusal }) => refusal === "too_many_sessions")).toMatchObject([
      { user: person.email, category: "denied", decision: "refused", count: 40 },
    ]);
    // No attempt has rows of its own: one session has ended by the crash, and one has begun and ended since.
    const later = (await delivered(person)).slice(before.length).map(({ type }) => type);
    expect(later.filter((type) => type !== "request_summary")).toEqual(["end", "start", "connect", "end"]);
  });

  it("say in the log that they are used up, once", async () => {
    const person = someone();
    await run(person);
    await setUsed(person, DEFAULT_MAX_SESSION_BYTES_PER_DAY);
    const warn = vi.spyOn(console, "warn").mockImplementation(() => {});
    for (let i = 0; i < 3; i++) expect((await upgrade(person, (await Puppet.make()).path())).status).toBe(429);
    const lines = warn.mock.calls.map(([line]) => String(line));
    expect(lines.filter((line) => line.includes("day_limit_reached"))).toEqual([
      expect.stringContaining('"limit":"sessions"'),
    ]);
  });
});

describe("refused attempts at sessions", () => {
  it("have rows up to the day's limit, then are counted, by why", async () => {
    const person = someone();
    const pod = await Puppet.make({ hold: true });
    const refused = async () => expect((await as(person, pod.path(), SPDY)).status).toBe(400);
    await refused();
    await inObjectOf(person, (sql) => void sql.exec("UPDATE user_chain SET rated_rows = ?", MAX_RATED_PER_DAY - 1));
    for (let i = 0; i < 5; i++) await refused();
    expect((await delivered(person)).map(({ type }) => type)).toEqual(["start", "end", "start", "end"]);
    expect(await summaries(person)).toMatchObject([
      {
        refusal: "spdy_unsupported",
        decision: "refused",
        reason: expect.stringMatching(/^refused sessions/),
        count: 4,
      },
    ]);
    // Sessions that are begun have rows in any case.
    await run(person);
  });
});
