/** D1 down, slow or flaky: no event is lost or stored twice, and sessions continue as the policy says. */

import { runDurableObjectAlarm, runInDurableObject } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import type { ChainedEvent } from "../../audit/chain.ts";
import { findSession } from "../../audit/session-queries.ts";
import { ChainVerifier } from "../../audit/verify.ts";
import { STORAGE_TIMEOUTS_MS } from "../../common/storage-timeouts.ts";
import { SessionJournal } from "../../durable/storage/session-journal.ts";
import type { ConfigInput } from "../../worker/config/schema.ts";
import { eventually } from "../support/eventually.ts";
import { askUserObject } from "./ask-user-object.ts";
import { ended, endedOf } from "./audit-rows.ts";
import { Client, frame, SUCCESS } from "./client.ts";
import { directlyAs, someone, UPGRADE } from "./people.ts";
import { Puppet } from "./puppet.ts";
import { expectStatus } from "./statuses.ts";
import { shortenTimer } from "./timers.ts";

const UNRECORDED =
  "the audit database does not accept events, and must have this session's start first: try again; if this persists, contact your administrator";
const QUEUE_FULL =
  "the audit database does not accept events, and too many wait for it: try again; if this persists, contact your administrator";
const DELIVERY_TIMEOUT_MS = STORAGE_TIMEOUTS_MS.d1InsertEvents;
const TEN_MINUTES_MS = 600_000;

type Person = ReturnType<typeof someone>;
type Batch = D1Database["batch"];

const LONG_LIMITS = {
  maxSessionsPerUser: 50,
  idleTimeoutSeconds: 7_200,
  maxDurationSeconds: 7_200,
  stallTimeoutSeconds: 30,
  maxBufferedStdinBytes: 0,
};
const config = (audit: NonNullable<ConfigInput["audit"]> = {}): Partial<ConfigInput> => ({
  limits: LONG_LIMITS,
  audit: { onOutage: "buffer", maxQueuedEvents: 5_000, ...audit },
});

const attempt = (person: Person, path: string, audit?: NonNullable<ConfigInput["audit"]>) =>
  directlyAs(person, path, { headers: UPGRADE }, { config: config(audit) });

/** Opens a session whose client and pod the test controls. */
async function open(person: Person, audit?: NonNullable<ConfigInput["audit"]>) {
  const pod = await Puppet.make();
  const client = await Client.open(attempt(person, pod.path(), audit));
  return {
    client,
    sessionId: client.sessionId,
    /** Sends a frame each way and waits for both: the session is open and relays. */
    works: async () => {
      const [before, shown] = [pod.received.length, client.text(1).length];
      client.send(frame(0, "x"));
      pod.send(frame(1, "y"));
      await eventually(() => expect([pod.received.length, client.text(1).length]).toEqual([before + 1, shown + 1]));
    },
    exit: async () => {
      pod.send(SUCCESS);
      pod.close(1000);
      expect((await client.closed).code).toBe(1000);
    },
  };
}

const objectOf = ({ email }: Person) => env.USER_SESSIONS.getByName(email);

const queued = (person: Person) =>
  runInDurableObject(objectOf(person), (_, { storage }) => new SessionJournal(storage.sql).queueLength());

/** The events that D1 has of a person. Their chain must be intact: none lost, repeated or out of order. */
async function chainOf(person: Person): Promise<ChainedEvent[]> {
  const { results } = await env.AUDIT_DB.prepare(
    `SELECT session_id, seq, at, type, data, prev_hash, hash FROM events WHERE session_id IN
       (SELECT session_id FROM events WHERE user = ? AND type = 'start') ORDER BY session_id, seq`,
  )
    .bind(person.email)
    .all<ChainedEvent>();
  const verifier = new ChainVerifier();
  for (const event of results) verifier.add(event);
  expect(verifier.finish().broken).toEqual([]);
  return results;
}

/** Intercepts every write to D1 until the end of the test. */
function interceptWrites(intercept: (write: () => ReturnType<Batch>) => Promise<unknown>) {
  const real: Batch = env.AUDIT_DB.batch.bind(env.AUDIT_DB);
  const replaced = (statements: D1PreparedStatement[]) => intercept(() => real(statements));
  return vi.spyOn(env.AUDIT_DB, "batch").mockImplementation(replaced as Batch);
}

const fail = () => Promise.reject(new Error("D1_ERROR: internal error"));

let logged: ReturnType<typeof vi.spyOn>;
beforeEach(() => {
  logged = vi.spyOn(console, "error").mockImplementation(() => {});
});
afterEach(() => {
  vi.useRealTimers();
  vi.restoreAllMocks();
});

describe("while every other write to D1 fails", () => {
  it.each([
    ["before D1 stores the events", false],
    ["after D1 has stored the events", true],
  ])("%s: every event arrives once, without help", async (_, isStored) => {
    let calls = 0;
    const d1 = interceptWrites(async (write) => {
      if (++calls % 2 === 0) return write();
      if (isStored) await write();
      return fail();
    });
    const person = someone();
    const sessions = await Promise.all([open(person), open(person), open(person)]);
    for (const session of sessions) await session.works();
    // Events that come together are delivered together, so the ends must not come too soon.
    await eventually(async () => expect(await queued(person)).toBe(0));
    for (const session of sessions) await session.exit();
    const rows = await endedOf(person.email, 3);
    expect(rows.map(({ outcome, exit_code }) => [outcome, exit_code])).toEqual(sessions.map(() => ["exited", 0]));
    expect((await chainOf(person)).map(({ type }) => type)).toEqual(
      sessions.flatMap(() => ["start", "connect", "end"]),
    );
    await eventually(async () => expect(await queued(person)).toBe(0));
    expect(d1.mock.calls.length).toBeGreaterThan(3);
  });
});

describe("while D1 answers after the timeout", () => {
  it("sessions open at once, and a late write takes effect once", async () => {
    shortenTimer(DELIVERY_TIMEOUT_MS, 100);
    const answers = Promise.withResolvers<void>();
    const d1 = interceptWrites(async (write) => {
      await answers.promise;
      return write();
    });
    const person = someone();
    const session = await open(person);
    await session.works();
    // The second write starts while the first is still pending.
    await eventually(() => expect(d1.mock.calls.length).toBeGreaterThan(1));
    await session.exit();
    expect(await chainOf(person)).toEqual([]);
    answers.resolve();
    expect(await ended(session.sessionId)).toMatchObject({ outcome: "exited", exit_code: 0 });
    await Promise.all(d1.mock.results.map(({ value }) => value));
    expect((await chainOf(person)).map(({ type }) => type)).toEqual(["start", "connect", "end"]);
    await eventually(async () => expect(await queued(person)).toBe(0));
  });

  it("fail-closed refuses with a message, and a start that D1 stored late gets its end", async () => {
    shortenTimer(DELIVERY_TIMEOUT_MS, 100);
    const answers = Promise.withResolvers<void>();
    const d1 = interceptWrites(async (write) => {
      await answers.promise;
      return write();
    });
    const person = someone();
    const pod = await Puppet.make();
    const refusal = await attempt(person, pod.path(), { onOutage: "fail-closed" });
    await expectStatus(refusal, "ServiceUnavailable", UNRECORDED);
    expect(pod.isAsked).toBe(false);
    answers.resolve();
    expect(await endedOf(person.email, 1)).toMatchObject([{ outcome: "refused", reason: UNRECORDED }]);
    await Promise.all(d1.mock.results.map(({ value }) => value));
    expect((await chainOf(person)).map(({ type }) => type)).toEqual(["start", "end"]);
  });
});

describe("while D1 is down for ten minutes", () => {
  it("the object retries after 1 s, backs off to 30 s, and then delivers every event in order", async () => {
    const person = someone();
    const [early, late] = [await open(person), await open(person)];
    await eventually(async () => expect(await queued(person)).toBe(0));
    vi.useFakeTimers({ toFake: ["Date"] });
    const from = Date.now();
    const d1 = interceptWrites(fail);
    const alarm = () => runInDurableObject(objectOf(person), (_, { storage }) => storage.getAlarm());
    /** Advances the clock to the next alarm and runs it. @returns seconds waited */
    const nextRetry = async () => {
      const at = (await alarm()) ?? Number.NaN;
      const waited = Math.ceil((at - Date.now()) / 1000);
      vi.setSystemTime(at);
      await runAlarm(person);
      return waited;
    };
    await early.exit();
    await eventually(async () => expect(await alarm()).toBeLessThanOrEqual(Date.now() + 1_000));
    const waits: number[] = [];
    while (Date.now() - from < TEN_MINUTES_MS / 2) waits.push(await nextRetry());
    expect(waits.slice(0, 5)).toEqual([1, 2, 4, 8, 16]);
    expect(new Set(waits.slice(5))).toEqual(new Set([30]));
    expect(d1.mock.calls.length).toBe(waits.length + 1);

    // Sessions open and end during the outage too.
    const during = await open(person);
    for (const session of [during, late]) await session.works();
    await during.exit();
    while (Date.now() - from < TEN_MINUTES_MS) expect(await nextRetry()).toBeLessThanOrEqual(30);
    await late.works();
    expect(await chainOf(person)).toHaveLength(4);
    expect(await queued(person)).toBe(4);

    d1.mockRestore();
    await runAlarm(person);
    expect(await queued(person)).toBe(0);
    await late.exit();
    expect(await ended(late.sessionId)).toMatchObject({ outcome: "exited", messages_in: 2, messages_out: 3 });
    expect((await chainOf(person)).map(({ type }) => type)).toEqual(
      [early, late, during].flatMap(() => ["start", "connect", "end"]),
    );
    // Times are those of the events, not of their delivery.
    const row = await findSession(env.AUDIT_DB, early.sessionId);
    expect((row?.ended_at ?? Number.NaN) - from).toBeLessThan(1_000);
  });
});

describe("policy buffer, with a full queue", () => {
  it("refuses new sessions with a message, keeps open ones, and recovers", async () => {
    const audit = { maxQueuedEvents: 10 };
    const person = someone();
    const old = await open(person, audit);
    await eventually(async () => expect(await queued(person)).toBe(0));
    const d1 = interceptWrites(fail);
    const buffered = [];
    for (let i = 0; i < 5; i++) buffered.push(await open(person, audit));
    expect(await queued(person)).toBe(10);
    const pod = await Puppet.make();
    for (let i = 0; i < 8; i++) {
      await expectStatus(await attempt(person, pod.path(), audit), "ServiceUnavailable", QUEUE_FULL);
    }
    expect(pod.isAsked).toBe(false);
    // Five refusals are in the queue, with two events each. At twice its size, the others are only logged.
    expect(await queued(person)).toBe(20);
    expect(logged.mock.calls.flat()).toContainEqual(
      expect.stringMatching(/^{"event":"audit_refusal_queue_full","level":"error","queued":\d+}$/),
    );
    for (const session of [old, ...buffered]) {
      await session.works();
      await session.exit();
    }
    // A command's end is written a moment after its client was told.
    await eventually(async () => expect(await queued(person)).toBe(26));

    d1.mockRestore();
    await runAlarm(person);
    const again = await open(person, audit);
    await again.exit();
    const rows = await endedOf(person.email, 1 + 5 + 5 + 1);
    expect(rows.filter(({ outcome }) => outcome === "refused").map(({ reason }) => reason)).toEqual(
      Array.from({ length: 5 }, () => QUEUE_FULL),
    );
    expect(await chainOf(person)).toHaveLength(7 * 3 + 5 * 2);
  });
});

describe("policy fail-closed, without D1", () => {
  it("refuses both halves of an attempt with a message, keeps open sessions, and recovers", async () => {
    const audit = { onOutage: "fail-closed" } as const;
    const person = someone();
    const old = await open(person, audit);
    const d1 = interceptWrites(fail);
    const pod = await Puppet.make();
    await expectStatus(await attempt(person, pod.path(), audit), "ServiceUnavailable", UNRECORDED);
    const init = { method: "POST", headers: { Connection: "Upgrade", Upgrade: "SPDY/3.1" } };
    const secondHalf = await directlyAs(person, pod.path(), init, { config: config(audit) });
    await expectStatus(secondHalf, "ServiceUnavailable", UNRECORDED);
    expect(pod.isAsked).toBe(false);
    await old.works();
    expect(await askUserObject(objectOf(person), "list", {})).toMatchObject([{ id: old.sessionId }]);

    d1.mockRestore();
    const again = await open(person, audit);
    await again.works();
    for (const session of [old, again]) await session.exit();
    const rows = await endedOf(person.email, 3);
    expect(rows.map(({ outcome }) => outcome)).toEqual(["exited", "refused", "exited"]);
    expect(await chainOf(person)).toHaveLength(3 + 2 + 3);
  });
});

describe("while R2 does not answer either", () => {
  it("events are delivered as soon as D1 works: the alarm waits for no upload", async () => {
    vi.spyOn(env.RECORDINGS, "put").mockImplementation((() => new Promise(() => {})) as R2Bucket["put"]);
    const person = someone();
    const session = await open(person);
    await eventually(async () => expect(await queued(person)).toBe(0));
    const d1 = interceptWrites(fail);
    await session.exit();
    // One attempt at once, one by the alarm. The next alarm can only run after that one.
    await eventually(() => expect(d1.mock.calls.length).toBeGreaterThan(1));
    d1.mockRestore();
    const isDelivered = async () =>
      expect(await findSession(env.AUDIT_DB, session.sessionId)).toMatchObject({ exit_code: 0 });
    await eventually(isDelivered, 100);
  });
});

async function runAlarm(person: Person): Promise<void> {
  expect(await runDurableObjectAlarm(objectOf(person))).toBe(true);
}
