import { runInDurableObject } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { describe, expect, it, vi } from "vitest";
import { NO_COUNTS, type SessionEvent, type SessionEventBody, type SessionStart } from "../../audit/events.ts";
import { findSession } from "../../audit/session-queries.ts";
import { Outbox } from "../../durable/outbox.ts";
import { SessionJournal } from "../../durable/storage/session-journal.ts";
import { eventually } from "../support/eventually.ts";
import { endedOf, eventsOf, write } from "./audit-rows.ts";
import { someone, upgrade } from "./people.ts";
import { Puppet } from "./puppet.ts";

const START: SessionStart = {
  user: "carol@example.com",
  kubernetes_user: "carol",
  kubernetes_groups: ["a", "b"],
  cluster: "test-cluster",
  location_hint: null,
  kind: "exec",
  namespace: "demo",
  pod: "web",
  container: null,
  command: ["sh", "-c", "echo 'ü'; \u{1F6AA}"],
  tty: true,
  stdin: false,
  ports: [],
  recording_mode: "output",
  rule: null,
  access_reason: null,
  client_address: null,
  country: null,
  user_agent: null,
};

type OfSession = SessionEventBody & Pick<SessionEvent, "session_id" | "seq" | "at">;

/** The start and the end of a session. */
function startAndEnd(session_id: string): [OfSession, OfSession] {
  const end = { outcome: "exited", exit_code: 3, reason: null, ended_by: null, ...NO_COUNTS, bytes_out: 12 } as const;
  return [
    { session_id, seq: 0, at: 1_000, type: "start", data: START },
    { session_id, seq: 1, at: 2_000, type: "end", data: end },
  ];
}

async function written(): Promise<{ id: string; events: SessionEvent[] }> {
  const id = crypto.randomUUID();
  const events = startAndEnd(id);
  await write(...events);
  return { id, events };
}

const run = (sql: string, ...values: unknown[]) =>
  env.AUDIT_DB.prepare(sql)
    .bind(...values)
    .run();

describe("the audit log in D1", () => {
  it("has one row per session, live until its end arrives", async () => {
    const id = crypto.randomUUID();
    const [start, end] = startAndEnd(id);
    await write(start);
    expect(await findSession(env.AUDIT_DB, id)).toMatchObject({
      state: "live",
      ended_at: null,
      outcome: null,
      bytes_out: null,
    });
    await write(end);
    const { stdin: _, location_hint: __, ...shown } = START;
    expect(await findSession(env.AUDIT_DB, id)).toEqual({
      id,
      state: "ended",
      ...shown,
      started_at: 1_000,
      ended_at: 2_000,
      outcome: "exited",
      exit_code: 3,
      reason: null,
      ended_by: null,
      ...NO_COUNTS,
      bytes_out: 12,
      forwards: null,
      unreadable: null,
      recording: null,
      recording_bytes: null,
      sign_in: null,
      device_id: null,
      grants: null,
    });
  });

  it("accepts a repeated delivery, whole or in part, and keeps the first copy", async () => {
    const { id, events } = await written();
    const [start, end] = startAndEnd(id);
    await write(start, end);
    await write(end);
    await write({ ...start, at: 9_999 });
    expect(await eventsOf(id)).toEqual(events);
  });

  it("accepts an empty delivery", async () => {
    await expect(write()).resolves.toBeUndefined();
  });

  it("writes a batch as a whole or not at all", async () => {
    const id = crypto.randomUUID();
    const [start, end] = startAndEnd(id);
    const broken = { ...end, type: null } as unknown as SessionEvent;
    await expect(write(start, broken)).rejects.toThrow();
    expect(await eventsOf(id)).toEqual([]);
  });

  it("has one end per session: a second one with another seq is ignored", async () => {
    const { id, events } = await written();
    const [, end] = startAndEnd(id);
    await write({ ...end, seq: 2, at: 9_999 });
    expect(await eventsOf(id)).toEqual(events);
  });

  it.each([
    ["UPDATE events SET data = '{}' WHERE session_id = ?", "never updated"],
    ["UPDATE events SET at = 0 WHERE session_id = ? AND type = 'end'", "never updated"],
    ["UPDATE OR REPLACE events SET seq = 1 WHERE session_id = ? AND seq = 0", "never updated"],
    ["DELETE FROM events WHERE session_id = ?", "never deleted"],
  ])("refuses %s", async (sql, message) => {
    const { id, events } = await written();
    await expect(run(sql, id)).rejects.toThrow(message);
    expect(await eventsOf(id)).toEqual(events);
  });

  it.each([
    [
      "INSERT OR REPLACE INTO events (session_id, seq, at, type, data, prev_hash, hash) VALUES (?, 0, 0, 'start', '{}', '', '')",
    ],
    ["REPLACE INTO events (session_id, seq, at, type, data, prev_hash, hash) VALUES (?, 1, 0, 'end', '{}', '', '')"],
    [
      "INSERT OR REPLACE INTO events (session_id, seq, at, type, data, prev_hash, hash) VALUES (?, 7, 0, 'end', '{}', '', '')",
    ],
    [
      "INSERT INTO events (session_id, seq, at, type, data, prev_hash, hash) VALUES (?, 0, 0, 'start', '{}', '', '') " +
        "ON CONFLICT (session_id, seq) DO UPDATE SET data = excluded.data",
    ],
    [
      "INSERT OR REPLACE INTO events (row_number, session_id, seq, at, type, data, prev_hash, hash) " +
        "SELECT row_number, 'other', 0, 0, 'start', '{}', '', '' FROM events WHERE session_id = ? AND seq = 0",
    ],
    [
      "INSERT OR REPLACE INTO events (rowid, session_id, seq, at, type, data, prev_hash, hash) " +
        "SELECT rowid, 'other', 0, 0, 'start', '{}', '', '' FROM events WHERE session_id = ? AND seq = 0",
    ],
  ])("is not changed by %s", async (sql) => {
    const { id, events } = await written();
    await run(sql, id).catch(() => {});
    expect(await eventsOf(id)).toEqual(events);
  });

  it("cannot be changed through the view either", async () => {
    const { id, events } = await written();
    for (const sql of ["UPDATE sessions SET outcome = 'failed' WHERE id = ?", "DELETE FROM sessions WHERE id = ?"]) {
      await expect(run(sql, id)).rejects.toThrow();
    }
    expect(await eventsOf(id)).toEqual(events);
  });

  it.each([
    ["by time", "SELECT * FROM sessions ORDER BY started_at DESC, id DESC LIMIT 10", "events_starts_by_time"],
    [
      "of one user",
      "SELECT * FROM sessions WHERE user = 'a' ORDER BY started_at DESC LIMIT 10",
      "events_starts_by_user",
    ],
  ])("is read %s by an index, without a scan", async (_, sql, index) => {
    const plan = await env.AUDIT_DB.prepare(`EXPLAIN QUERY PLAN ${sql}`).all<{ detail: string }>();
    const details = plan.results.map(({ detail }) => detail).join("\n");
    expect(details).toContain(index);
    expect(details).not.toMatch(/SCAN e\b/);
  });
});

describe("the start of a session", () => {
  it("is on the object's disk before the cluster is asked", async () => {
    const person = someone();
    const pod = await Puppet.make({ hold: true });
    const answer = upgrade(person, pod.path("command=id"));
    const { headers } = await pod.request();
    const id = headers["impersonate-extra-sallyport-session"];
    const stub = env.USER_SESSIONS.getByName(person.email);
    const open = await runInDurableObject(stub, (_, { storage }) => new SessionJournal(storage.sql).openSessions());
    expect(open).toEqual([expect.objectContaining({ sessionId: id, counts: NO_COUNTS, finalStatus: undefined })]);
    pod.refuse(404, "{}");
    await answer;
    await endedOf(person.email, 1);
    const left = await runInDurableObject(stub, (_, { storage }) => new SessionJournal(storage.sql).openSessions());
    expect(left).toEqual([]);
  });

  it("is in D1 while the session is open", async () => {
    const person = someone();
    const pod = await Puppet.make({ hold: true });
    const answer = upgrade(person, pod.path());
    const { headers } = await pod.request();
    const id = headers["impersonate-extra-sallyport-session"] ?? "";
    await eventually(async () => expect(await findSession(env.AUDIT_DB, id)).toMatchObject({ state: "live" }));
    pod.refuse(404, "{}");
    await answer;
  });
});

/** Runs with the storage of an object that nothing else uses. */
function withStore<R>(work: (store: SessionJournal, state: DurableObjectState) => R | Promise<R>): Promise<R> {
  const stub = env.USER_SESSIONS.getByName(crypto.randomUUID());
  return runInDurableObject(stub, (_, state) => work(new SessionJournal(state.storage.sql), state));
}

describe("the object's store", () => {
  const [start, end] = startAndEnd("s");

  it("numbers a session's events from 0 and queues them in order", () =>
    withStore((store) => {
      store.append("s", 1, start);
      store.append("t", 2, start);
      store.append("s", 3, { type: "connect", data: { protocol: "v5" } });
      store.append("s", 4, end);
      const queued = store.queued(10).map(({ session_id, seq, at, type }) => [session_id, seq, at, type]);
      expect(queued).toEqual([
        ["s", 0, 1, "start"],
        ["t", 0, 2, "start"],
        ["s", 1, 3, "connect"],
        ["s", 2, 4, "end"],
      ]);
      expect(store.queued(10)[0]?.data).toBe(JSON.stringify(START));
      expect(store.openSessions().map(({ sessionId }) => sessionId)).toEqual(["t"]);
    }));

  it("removes delivered events and never reuses a position", () =>
    withStore((store) => {
      store.append("s", 1, start);
      store.append("s", 2, end);
      const [first, second] = store.queued(10);
      store.removeDelivered(first?.row_number ?? 0);
      expect(store.queued(10)).toEqual([second]);
      store.removeDelivered(second?.row_number ?? 0);
      expect(store.queueLength()).toBe(0);
      store.append("t", 3, start);
      expect(store.queued(10)[0]?.row_number).toBeGreaterThan(second?.row_number ?? 0);
    }));

  it("rejects events of an unknown or ended session, and a second start", () =>
    withStore((store) => {
      expect(() => store.append("unknown", 1, end)).toThrow();
      store.append("s", 1, start);
      expect(() => store.append("s", 2, start)).toThrow();
      store.append("s", 2, end);
      expect(() => store.append("s", 3, end)).toThrow();
      expect(store.queued(10).map(({ type }) => type)).toEqual(["start", "end"]);
    }));

  it("keeps the last known counts of an open session", () =>
    withStore((store) => {
      store.append("s", 1, start);
      const counts = { bytes_in: 1, bytes_out: 2 ** 40, messages_in: 3, messages_out: 4 };
      store.checkpoint("s", 7, counts);
      expect(store.openSessions()).toEqual([{ sessionId: "s", checkpointAt: 7, counts, finalStatus: undefined }]);
    }));
});

describe("the outbox", () => {
  it("delivers any number of events, in order, once each", () =>
    withStore(async (store) => {
      const id = crypto.randomUUID();
      store.append(id, 1, startAndEnd(id)[0]);
      for (let at = 2; at <= 120; at++) store.append(id, at, { type: "connect", data: { protocol: String(at) } });
      const outbox = new Outbox(store, env.AUDIT_DB);
      await Promise.all([outbox.deliver(), outbox.deliver()]);
      expect(store.queueLength()).toBe(0);
      const events = await eventsOf(id);
      expect(events.map(({ seq }) => seq)).toEqual(Array.from({ length: 120 }, (_, seq) => seq));
      expect(events.map(({ at }) => at)).toEqual(Array.from({ length: 120 }, (_, i) => i + 1));
    }));

  it("keeps every event while D1 fails, backs off up to 30 s, and recovers", () =>
    withStore(async (store) => {
      const log = vi.spyOn(console, "error").mockImplementation(() => {});
      const id = crypto.randomUUID();
      store.append(id, 1, startAndEnd(id)[0]);
      const d1 = { isDown: true };
      const database = {
        prepare: (sql: string) => env.AUDIT_DB.prepare(sql),
        batch: (statements: D1PreparedStatement[]) =>
          d1.isDown ? Promise.reject(new Error("D1 is down")) : env.AUDIT_DB.batch(statements),
      } as D1Database;
      const outbox = new Outbox(store, database);
      const waits: number[] = [];
      for (let i = 0; i < 7; i++) {
        await outbox.deliver();
        waits.push(outbox.retryInMs);
      }
      expect(outbox.isFailing).toBe(true);
      expect(waits).toEqual([1_000, 2_000, 4_000, 8_000, 16_000, 30_000, 30_000]);
      expect(store.queued(10).length).toBe(1);
      d1.isDown = false;
      await outbox.deliver();
      expect([outbox.isFailing, outbox.retryInMs, store.queueLength()]).toEqual([false, 1_000, 0]);
      expect((await eventsOf(id)).length).toBe(1);
      log.mockRestore();
    }));

  it("repeats a delivery that D1 stored but did not confirm, without a second copy", () =>
    withStore(async (store) => {
      const log = vi.spyOn(console, "error").mockImplementation(() => {});
      const id = crypto.randomUUID();
      const [start, end] = startAndEnd(id);
      store.append(id, 1, start);
      store.append(id, 2, end);
      let answers = 0;
      const database = {
        prepare: (sql: string) => env.AUDIT_DB.prepare(sql),
        batch: async (statements: D1PreparedStatement[]) => {
          const results = await env.AUDIT_DB.batch(statements);
          if (answers++ === 0) throw new Error("the answer was lost");
          return results;
        },
      } as D1Database;
      const outbox = new Outbox(store, database);
      await outbox.deliver();
      expect(store.queued(10).length).toBe(2);
      await outbox.deliver();
      expect(store.queueLength()).toBe(0);
      expect((await eventsOf(id)).map(({ type }) => type)).toEqual(["start", "end"]);
      log.mockRestore();
    }));
});
