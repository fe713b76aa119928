import { runDurableObjectAlarm, runInDurableObject } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { Directory } from "../../durable/directory/directory.ts";
import { SessionJournal } from "../../durable/storage/session-journal.ts";
import { eventually } from "../support/eventually.ts";
import { ended, eventsOf } from "./audit-rows.ts";
import { Client } from "./client.ts";
import { admin, as, directlyAs, someone, upgrade } from "./people.ts";
import { expectApiDenial } from "./statuses.ts";
import { shortenTimer } from "./timers.ts";

const SESSIONS = "/-/admin/sessions";
const silent = (who: ReturnType<typeof someone>, pod = "silent") =>
  Client.open(upgrade(who, `/api/v1/namespaces/demo/pods/${pod}/exec?command=sh`));

/** The table and the view are away while a test of this file runs, unless it restores them itself. */
let isAway = false;

async function takeD1Away(): Promise<void> {
  await env.AUDIT_DB.batch(
    ["DROP VIEW sessions", "ALTER TABLE events RENAME TO events_away"].map((sql) => env.AUDIT_DB.prepare(sql)),
  );
  isAway = true;
}

async function bringD1Back(): Promise<void> {
  if (!isAway) return;
  const view = env.TEST_MIGRATIONS.flatMap(({ queries }) => queries).findLast((sql) =>
    /CREATE VIEW .sessions/.test(sql),
  );
  await env.AUDIT_DB.batch(
    ["ALTER TABLE events_away RENAME TO events", view ?? ""].map((sql) => env.AUDIT_DB.prepare(sql)),
  );
  isAway = false;
}

beforeEach(async () => {
  vi.spyOn(console, "error").mockImplementation(() => {});
  await takeD1Away();
});
afterEach(async () => {
  await bringD1Back();
  vi.restoreAllMocks();
});

describe("while D1 is broken", () => {
  it("sessions open and run, and their events reach D1 afterwards: once each, in order", async () => {
    const person = someone();
    const over = await silent(person, "exit-3");
    await over.closed;
    const stub = env.USER_SESSIONS.getByName(person.email);
    const queued = () => runInDurableObject(stub, (_, { storage }) => new SessionJournal(storage.sql).queued(50));
    const types = async () => (await queued()).map(({ type }) => type);
    // A command's end is written a moment after its client was told.
    await eventually(async () => expect(await types()).toEqual(["start", "connect", "end"]));
    const open = await silent(person);
    const refused = await upgrade(person, "/api/v1/namespaces/demo/pods/forbidden/exec?command=sh");
    expect(refused.status).toBe(403);
    expect(await types()).toEqual(["start", "connect", "end", "start", "connect", "start", "end"]);

    await bringD1Back();
    expect(await runDurableObjectAlarm(stub)).toBe(true);
    expect((await ended(over.sessionId)).exit_code).toBe(3);
    expect((await eventsOf(over.sessionId)).map(({ seq, type }) => [seq, type])).toEqual([
      [0, "start"],
      [1, "connect"],
      [2, "end"],
    ]);
    expect((await eventsOf(open.sessionId)).map(({ type }) => type)).toEqual(["start", "connect"]);
    const left = await runInDurableObject(stub, (_, { storage }) => new SessionJournal(storage.sql).queueLength());
    expect(left).toBe(0);
    open.close();
    await ended(open.sessionId);
  });

  it("the object retries by itself", async () => {
    const client = await silent(someone(), "exit-3");
    await client.closed;
    await bringD1Back();
    // The test runs no alarm: the first retry is due a second after the first failure.
    expect((await ended(client.sessionId)).exit_code).toBe(3);
  });

  it("an administrator ends a session by its id and by its user", async () => {
    const person = someone();
    const [one, two] = [await silent(person), await silent(person)];
    const byId = await as(admin, `${SESSIONS}/${one.sessionId}?reason=first`, { method: "DELETE" });
    expect(await byId.json()).toEqual({ ended: [one.sessionId] });
    const byUser = await as(admin, `/-/admin/users/${person.email}/sessions?reason=second`, { method: "DELETE" });
    expect(await byUser.json()).toEqual({ ended: [two.sessionId] });
    for (const [client, reason] of [
      [one, "first"],
      [two, "second"],
    ] as const) {
      await client.closed;
      expect(JSON.parse(client.text(3)).message).toBe(`session terminated by admin@example.com: ${reason}`);
    }
    await bringD1Back();
    await runDurableObjectAlarm(env.USER_SESSIONS.getByName(person.email));
    expect(await ended(one.sessionId)).toMatchObject({ outcome: "terminated", reason: "first" });
    expect(await ended(two.sessionId)).toMatchObject({ outcome: "terminated", reason: "second" });
  });

  it("an administrator lists a user's live sessions, filtered, newest first, and sees one in detail", async () => {
    const person = someone();
    const one = await silent(person);
    const openedAt = Date.now();
    // Two that start in the same millisecond have no order.
    await eventually(() => expect(Date.now()).toBeGreaterThan(openedAt));
    const two = await silent(person);
    const user = encodeURIComponent(person.email);
    const listed = await as(admin, `${SESSIONS}?state=live&user=${user}`);
    expect(listed.status).toBe(200);
    expect(await listed.json()).toMatchObject({
      items: [
        { id: two.sessionId, state: "live", user: person.email },
        { id: one.sessionId, state: "live" },
      ],
      next: null,
    });
    const hour = 3_600_000;
    const [before, after] = [Date.now() - hour, Date.now() + hour].map((ms) => new Date(ms).toISOString());
    const filtered = async (filter: string) => {
      const response = await as(admin, `${SESSIONS}?state=live&user=${user}&${filter}`);
      return (await response.json<{ items: unknown[] }>()).items.length;
    };
    for (const filter of ["pod=silent", "namespace=demo", "kind=exec", `since=${before}`, `until=${after}`]) {
      expect([filter, await filtered(filter)]).toEqual([filter, 2]);
    }
    for (const filter of ["pod=other", "namespace=prod", "kind=attach", `since=${after}`, `until=${before}`]) {
      expect([filter, await filtered(filter)]).toEqual([filter, 0]);
    }
    expect(await filtered("limit=1")).toBe(1);
    const detail = await as(admin, `${SESSIONS}/${one.sessionId}`);
    expect(await detail.json()).toMatchObject({ id: one.sessionId, state: "live", pod: "silent", events: null });
    for (const client of [one, two]) client.close();
  });

  it("an administrator lists what is live of everybody, from the directory", async () => {
    const [one, two] = [someone(), someone()];
    const clients = [await silent(one, "silent"), await silent(two, "silent")];
    const ids = clients.map(({ sessionId }) => sessionId);
    const listed = async (query = "") => {
      const response = await as(admin, `${SESSIONS}?state=live&limit=500${query}`);
      expect(response.status).toBe(200);
      return response.json<{ items: Record<string, unknown>[]; complete: boolean }>();
    };
    const items = await eventually(async () => {
      const ours = (await listed()).items.filter(({ id }) => ids.includes(String(id)));
      expect(ours).toHaveLength(2);
      return ours;
    });
    expect(items.find(({ id }) => id === ids[0])).toMatchObject({
      ...{ user: one.email, state: "live", kind: "exec", namespace: "demo", pod: "silent", command: ["sh"] },
      ...{ bytesIn: 0, lastUsedAt: expect.stringMatching(/Z$/), endedAt: null },
    });
    expect((await listed("&pod=other")).items.filter(({ id }) => ids.includes(String(id)))).toEqual([]);
    // Not every object has had the time to report since the directory started, a moment ago.
    expect((await listed()).complete).toBe(false);
    for (const client of clients) client.close();
    await eventually(async () =>
      expect((await listed()).items.filter(({ id }) => ids.includes(String(id)))).toEqual([]),
    );
  });

  it("a list that the directory does not answer either is refused, and one user's is not", async () => {
    vi.spyOn(console, "warn").mockImplementation(() => {});
    vi.spyOn(Directory.prototype, "listLive").mockImplementation(() => {
      throw new Error("the directory is away");
    });
    const person = someone();
    const client = await silent(person);
    await expectApiDenial(
      await as(admin, `${SESSIONS}?state=live`),
      "audit_database_unavailable",
      "neither D1 nor the directory of live sessions answers; ?state=live&user=EMAIL asks that user's object instead, " +
        "and DELETE works without them",
    );
    const user = encodeURIComponent(person.email);
    const own = await as(admin, `${SESSIONS}?state=live&user=${user}`);
    expect(await own.json()).toMatchObject({ items: [{ id: client.sessionId }], complete: true });
    client.close();
  });

  it.each(["", "?state=ended", "?state=all&user=a%40b.c", "?user=a%40b.c"])(
    "a list that only D1 has (%s) is refused with 503, and with what still works",
    async (query) => {
      const response = await as(admin, SESSIONS + query);
      await expectApiDenial(
        response,
        "audit_database_unavailable",
        "D1 does not answer; ?state=live lists what is live without it, and DELETE works without it, too",
      );
    },
  );

  it("a session that is not live is not reported as missing", async () => {
    const response = await as(admin, `${SESSIONS}/${"A".repeat(64)}`);
    await expectApiDenial(response, "audit_database_unavailable", /^the session is not live, and D1/);
  });
});

describe("while D1 does not answer", () => {
  it("the admin API waits 4 seconds, then answers without it", async () => {
    shortenTimer(4_000, 100);
    const statement = { bind: () => statement, raw: () => new Promise(() => {}), all: () => new Promise(() => {}) };
    const bindings = { AUDIT_DB: { prepare: () => statement } as unknown as D1Database };
    const person = someone();
    const client = await silent(person);
    const live = `${SESSIONS}?state=live&user=${encodeURIComponent(person.email)}`;
    const [list, all] = await Promise.all([
      directlyAs(admin, live, {}, { bindings }),
      directlyAs(admin, SESSIONS, {}, { bindings }),
    ]);
    expect(setTimeout).toHaveBeenCalledWith(expect.any(Function), 4_000);
    expect(await list.json()).toMatchObject({ items: [{ id: client.sessionId }] });
    expect(all.status).toBe(503);
    client.close();
  });
});
