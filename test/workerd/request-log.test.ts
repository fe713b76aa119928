/** API requests in their object's journal: rates, summaries, and what a crash leaves. */
import { abortAllDurableObjects, runDurableObjectAlarm, runInDurableObject } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import type { ChainedEvent } from "../../audit/chain.ts";
import type { AuditedRequest } from "../../audit/request-events.ts";
import type { RequestRow } from "../../audit/rows.ts";
import { ChainVerifier } from "../../audit/verify.ts";
import { callUserObject } from "../../contract/user-object.ts";
import { MAX_OPEN_MS } from "../../durable/request-log.ts";
import {
  CountedRequests,
  REPEATED_SUMMARY_AFTER_MS,
  SUMMARY_AFTER_MS,
} from "../../durable/storage/counted-requests.ts";
import { SessionJournal } from "../../durable/storage/session-journal.ts";
import { AUDITED_REQUEST, requestIdAt } from "../support/audited-request.ts";
import { eventually } from "../support/eventually.ts";

const LIMITS = { maxChangesPerMinute: 100, maxChangesPerDay: 1_000, maxQueuedEvents: 50 };
const ACCEPTED = { ok: true, value: { as: "event", allowance: expect.anything(), state: expect.anything() } };
const COUNTED = { ok: true, value: { as: "counted", allowance: null, state: expect.anything() } };

beforeEach(() => {
  for (const level of ["warn", "error"] as const) vi.spyOn(console, level).mockImplementation(() => {});
});
afterEach(() => vi.restoreAllMocks());

/** One person's object, as the edge calls it. */
function person() {
  const user = `${crypto.randomUUID()}@example.com`;
  let count = 0;
  // A stub is of no use after its object was aborted, so each use takes a new one.
  const stub = () => env.USER_SESSIONS.getByName(user);
  const fieldsOf = (request: Partial<AuditedRequest>, more: object) => {
    const at = Date.now();
    return {
      ...{ requestId: requestIdAt(at, count++), request: { ...AUDITED_REQUEST, user, arrived_at: at, ...request } },
      ...{ isChange: false, isHandedOn: false, failedTries: 0, isolate: "isolate-1", limits: LIMITS, ...more },
    };
  };
  const record = async (request: Partial<AuditedRequest> = {}, more: object = {}) => {
    const fields = fieldsOf(request, more);
    return { id: fields.requestId, answer: await callUserObject(stub(), "recordRequest", fields) };
  };
  return {
    ...{ user, stub, record, fieldsOf },
    change: (request: Partial<AuditedRequest> = {}, more: object = {}) => record(request, { isChange: true, ...more }),
    respond: (requestId: string, status: number | null, reason: string | null = null) =>
      callUserObject(stub(), "recordResponse", { requestId, status, reason }),
    rows: (count: number) =>
      eventually(async () => {
        const rows = await select("user = ?", user);
        if (rows.length !== count) throw new Error(`${rows.length} rows instead of ${count}`);
        return rows;
      }),
  };
}

async function select(where: string, ...values: unknown[]): Promise<RequestRow[]> {
  const sql = `SELECT * FROM requests WHERE ${where} ORDER BY id`;
  return (
    await env.AUDIT_DB.prepare(sql)
      .bind(...values)
      .all<RequestRow>()
  ).results;
}

/** The verdict about everything that D1 has of a user. */
async function verdictOf(user: string) {
  const { results } = await env.AUDIT_DB.prepare(
    `SELECT session_id, seq, at, type, data, prev_hash, hash FROM events WHERE session_id IN
       (SELECT session_id FROM events WHERE user = ?) ORDER BY session_id, seq`,
  )
    .bind(user)
    .all<ChainedEvent>();
  const verifier = new ChainVerifier();
  for (const event of results) verifier.add(event);
  return verifier.finish();
}

describe("a change", () => {
  it("has an event before its answer, and a second one with the status", async () => {
    const { user, change, respond, rows } = person();
    const { id, answer } = await change({ verb: "delete", method: "DELETE" });
    expect(answer).toEqual(ACCEPTED);
    expect(await rows(1)).toMatchObject([{ id, verb: "delete", status: null, reason: "no answer known" }]);
    expect((await verdictOf(user)).openRequests).toEqual([id]);
    await respond(id, 200);
    await eventually(async () => expect(await rows(1)).toMatchObject([{ id, status: 200, reason: null }]));
    expect(await verdictOf(user)).toMatchObject({ requests: 1, events: 2, openRequests: [], broken: [] });
  });

  it("keeps its chain where answers come in another order, and other events between", async () => {
    const { user, change, record, respond, rows } = person();
    const ids = [];
    for (let i = 0; i < 5; i++) ids.push((await change()).id);
    await record({ category: "secret-read", status: 200 });
    for (const id of ids.toReversed()) await respond(id, 201);
    await eventually(async () => expect((await rows(6)).every(({ status }) => status !== null)).toBe(true));
    expect(await verdictOf(user)).toMatchObject({ requests: 6, events: 11, openRequests: [], broken: [] });
  });

  it("is 'denied' where the cluster answered 403, unless a workload did", async () => {
    const { change, respond, rows } = person();
    const { id } = await change();
    const proxied = await change({ category: "precursor", subresource: "proxy" });
    for (const each of [id, proxied.id]) await respond(each, 403);
    await eventually(async () =>
      expect((await rows(2)).map(({ category, status }) => [category, status])).toEqual([
        ["denied", 403],
        ["precursor", 403],
      ]),
    );
  });

  it("survives its object, which may be killed before the answer", async () => {
    const { user, change, respond, rows } = person();
    const { id } = await change();
    await abortAllDurableObjects();
    expect(await rows(1)).toMatchObject([{ id, reason: "no answer known" }]);
    await respond(id, 200);
    await eventually(async () => expect(await rows(1)).toMatchObject([{ id, status: 200 }]));
    expect(await verdictOf(user)).toMatchObject({ openRequests: [], broken: [] });
  });

  it("is written once where its record is repeated, also after a crash", async () => {
    const { user, stub, fieldsOf, rows } = person();
    const fields = fieldsOf({}, { isChange: true });
    await callUserObject(stub(), "recordRequest", fields);
    await abortAllDurableObjects();
    for (let i = 0; i < 2; i++) await callUserObject(stub(), "recordRequest", { ...fields, failedTries: i + 1 });
    await runDurableObjectAlarm(stub());
    expect(await rows(1)).toMatchObject([{ id: fields.requestId }]);
    expect(await verdictOf(user)).toMatchObject({ events: 1, broken: [] });
  });

  it.each([
    ["before its answer", false],
    ["after it", true],
  ])("is written once where an earlier try of its record arrives last, %s", async (_, isAnswered) => {
    const { user, stub, fieldsOf, respond, rows } = person();
    const fields = fieldsOf({}, { isChange: true, isHandedOn: true });
    const record = (failedTries: number) => callUserObject(stub(), "recordRequest", { ...fields, failedTries });
    expect(await record(1)).toMatchObject({ ok: true, value: { as: "event" } });
    if (isAnswered) await respond(fields.requestId, 200);
    // The first one hung for 5 s, and calls by different stubs have no order.
    expect(await record(0)).toMatchObject({ ok: true, value: { as: "event" } });
    if (!isAnswered) await respond(fields.requestId, 200);
    await eventually(async () => expect(await rows(1)).toMatchObject([{ id: fields.requestId, status: 200 }]));
    const next = fieldsOf({}, { isChange: true, isHandedOn: true });
    await callUserObject(stub(), "recordRequest", next);
    await rows(2);
    expect(await verdictOf(user)).toMatchObject({ events: 3, broken: [] });
  });

  it("has one answer; another one, or one to an unknown change, is ignored", async () => {
    const { user, change, respond, rows } = person();
    const { id } = await change();
    await respond(id, 200);
    await respond(id, 500);
    await respond(requestIdAt(Date.now(), 999), 200);
    await eventually(async () => expect(await rows(1)).toMatchObject([{ id, status: 200 }]));
    expect((await verdictOf(user)).events).toBe(2);
  });

  it("keeps no answer waiting that cannot be written, and takes it again afterwards", async () => {
    const { user, stub, change, respond, rows } = person();
    const { id } = await change();
    const rename = (from: string, to: string) =>
      runInDurableObject(stub(), (_, { storage }) => void storage.sql.exec(`ALTER TABLE ${from} RENAME TO ${to}`));
    await rename("open_requests", "elsewhere");
    await expect(respond(id, 200)).rejects.toThrow("no such table");
    await rename("elsewhere", "open_requests");
    await respond(id, 200);
    await eventually(async () => expect(await rows(1)).toMatchObject([{ id, status: 200 }]));
    expect(await verdictOf(user)).toMatchObject({ events: 2, broken: [] });
  });

  it("is closed after a day without an answer", async () => {
    const { user, stub, change, rows } = person();
    const { id } = await change();
    await runInDurableObject(stub(), (_, { storage }) => {
      storage.sql.exec("UPDATE open_requests SET at = at - ?", MAX_OPEN_MS + 1);
    });
    await runDurableObjectAlarm(stub());
    await eventually(async () => expect((await verdictOf(user)).openRequests).toEqual([]));
    expect(await rows(1)).toMatchObject([{ id, status: null, reason: "no answer known" }]);
  });
});

describe("changes above the limit", () => {
  const limits = { ...LIMITS, maxChangesPerMinute: 10 };

  it("are refused, say when to try again, and are counted", async () => {
    const { stub, change, rows } = person();
    // One isolate asks before each change: what it holds stays reserved.
    const answers = [];
    for (let i = 0; i < 10; i++) answers.push((await change({}, { limits })).answer);
    const accepted = answers.filter(({ ok }) => ok).length;
    expect(answers.at(-1)).toMatchObject({
      ...{ ok: false, error: { code: "too_many_changes", retryAfterSeconds: expect.any(Number) } },
    });
    await summarize(stub());
    const summary = (await rows(accepted + 1)).find(({ first_at }) => first_at !== null);
    expect(summary).toMatchObject({
      ...{ category: "denied", decision: "refused", refusal: "too_many_changes", count: 10 - accepted },
    });
  });

  it("are recorded nevertheless where an isolate had handed them on", async () => {
    const { change, rows } = person();
    for (let i = 0; i < 15; i++) expect((await change({}, { limits, isHandedOn: true })).answer.ok).toBe(true);
    expect(await rows(15)).toHaveLength(15);
    expect((await change({}, { limits })).answer.ok).toBe(false);
  });

  it("never exceed it by what isolates hold: it is reserved", async () => {
    const { change } = person();
    let [asked, held] = [0, 0];
    for (let i = 0; i < 10; i++) {
      const { answer } = await change({}, { limits, isolate: `i${i}` });
      if (!answer.ok) continue;
      asked++;
      held += answer.value.allowance?.changes ?? 0;
    }
    expect(asked + held).toBe(10);
  });
});

describe("changes above the limit of a day", () => {
  const limits = { ...LIMITS, maxChangesPerDay: 10 };

  it("are refused without a time to try again, also after a crash, and are counted", async () => {
    const { stub, change, rows } = person();
    const answers = [];
    for (let i = 0; i < 12; i++) answers.push((await change({}, { limits, isolate: `isolate-${i}` })).answer);
    const refusal = { code: "too_many_changes", message: expect.stringMatching(/^you have made 10 changes today/) };
    expect(answers.at(-1)).toEqual({ ok: false, error: refusal });
    const accepted = answers.filter(({ ok }) => ok).length;
    const held = answers.reduce((sum, each) => sum + (each.ok ? (each.value.allowance?.changes ?? 0) : 0), 0);
    expect(accepted + held).toBe(10);
    // What isolates held is used up: it is never refused, and counts.
    for (let i = 0; i < held; i++) expect((await change({}, { limits, isHandedOn: true })).answer.ok).toBe(true);
    await rows(10);
    await abortAllDurableObjects();
    await eventually(async () => expect((await change({}, { limits })).answer).toEqual({ ok: false, error: refusal }));
    await summarize(stub());
    const all = await rows(11);
    expect(all.filter(({ refusal: code }) => code === "too_many_changes")).toMatchObject([{ decision: "refused" }]);
  });

  it("are possible for administrators' commands up to twice as many, and again on the next day", async () => {
    const { stub, change } = person();
    for (let i = 0; i < 10; i++) await change({}, { limits, isHandedOn: true });
    expect((await change({}, { limits })).answer).toMatchObject({ error: { code: "too_many_changes" } });
    const command = async () => (await change({ category: "admin" }, { limits })).answer;
    for (let i = 0; i < 10; i++) expect(await command()).toMatchObject({ ok: true });
    expect(await command()).toMatchObject({ error: { message: expect.stringMatching(/^you have made 20 changes/) } });
    await runInDurableObject(stub(), (_, { storage }) => {
      storage.sql.exec("UPDATE user_chain SET changes_day = changes_day - 1");
    });
    expect((await change({}, { limits })).answer).toMatchObject({ ok: true });
  });
});

describe("a lease that is renewed all day", () => {
  const lease = {
    ...{ method: "PUT", verb: "update", api_group: "coordination.k8s.io", resource: "leases" },
    ...{
      namespace: "demo",
      name: "controller",
      path: "/apis/coordination.k8s.io/v1/namespaces/demo/leases/controller",
    },
  };
  const limits = { ...LIMITS, maxChangesPerMinute: 30, maxChangesPerDay: 100 };
  const summarizeHour = (stub: DurableObjectStub) => summarize(stub, REPEATED_SUMMARY_AFTER_MS);

  it("has ten rows, and a summary that names it, whatever the limits of changes", async () => {
    const { user, stub, change, rows } = person();
    let allowance: unknown;
    for (let i = 0; i < 200; i++) {
      const { answer } = await change(lease, { limits, isHandedOn: i > 0 });
      expect(answer).toMatchObject({ value: { as: i < 10 ? "event" : "counted" } });
      if (answer.ok) allowance = answer.value.allowance;
    }
    // Renewals go on together with their record, and use nothing up.
    expect(allowance).toMatchObject({ changes: expect.any(Number) });
    expect((await change({}, { limits })).answer).toMatchObject({ value: { as: "event" } });
    await summarizeHour(stub());
    const summary = (await rows(12)).find(({ first_at }) => first_at !== null);
    expect(summary).toMatchObject({
      ...{ category: "mutation", decision: "allowed", verb: "update", resource: "leases", count: 190 },
      ...{ namespace: "demo", name: "controller", reason: expect.stringMatching(/^repeated writes/) },
    });
    expect(await verdictOf(user)).toMatchObject({ broken: [] });
  });

  it("does not hide the lease of another, however much is repeated beside it", async () => {
    const { user, stub, change, rows } = person();
    const of = { ...limits, maxChangesPerMinute: 1_000 };
    const stolen = { ...lease, namespace: "kube-system", name: "kube-scheduler" };
    const write = async () => (await change(stolen, { limits: of, isHandedOn: true })).answer;
    expect(await write()).toMatchObject({ value: { as: "event" } });
    // As many targets as are counted.
    await runInDurableObject(stub(), (_, { storage }) => {
      const counted = new CountedRequests(storage.sql);
      const key = { user, location_hint: null, cluster: "test", category: "mutation", decision: "allowed" } as const;
      const target = { refusal: null, client_address: null, verb: "update", api_group: lease.api_group };
      const addTo = (name: string) =>
        counted.addRepeated({ ...key, ...target, resource: "leases", namespace: "demo", name }, Date.now());
      for (let i = 0; i < 200; i++) expect(addTo(`own-${i}`)).toBe(true);
      expect(addTo("one-more")).toBe(false);
    });
    for (let i = 0; i < 14; i++) expect(await write()).toMatchObject({ value: { as: "event" } });
    await summarizeHour(stub());
    // What has a place among the summaries is counted again.
    expect(await write()).toMatchObject({ value: { as: "counted" } });
    const all = await rows(15 + 200);
    expect(all.filter(({ name, path }) => name === "kube-scheduler" && path !== null)).toHaveLength(15);
  });

  it("is counted across a crash, and has rows again after it", async () => {
    const { stub, change, rows } = person();
    for (let i = 0; i < 15; i++) await change(lease, { limits, isHandedOn: true });
    await abortAllDurableObjects();
    expect((await change(lease, { limits })).answer).toMatchObject({ value: { as: "event" } });
    // Not after a minute, as what is rated.
    await summarize(stub());
    await rows(11);
    await summarizeHour(stub());
    expect((await rows(12)).reduce((sum, { count }) => sum + count, 0)).toBe(16);
  });

  it("goes on while D1 is away, but the lease of another is not rewritten then", async () => {
    const { change } = person();
    const few = { ...limits, maxQueuedEvents: 12, maxChangesPerMinute: 1_000 };
    await change(lease, { limits: few });
    vi.spyOn(env.AUDIT_DB, "batch").mockRejectedValue(new Error("D1 is away"));
    for (let i = 0; i < 30; i++) await change({}, { limits: few });
    expect((await change(lease, { limits: few })).answer).toMatchObject({ value: { as: "counted" } });
    const { answer } = await change({ ...lease, namespace: "kube-system" }, { limits: few });
    expect(answer).toMatchObject({ error: { code: "audit_unavailable" } });
  });
});

describe("a read that reaches a workload", () => {
  const read = { category: "precursor", method: "GET", verb: "get", subresource: "proxy" } as const;

  it("is written once where its record is repeated, also after a crash, and gets its answer", async () => {
    const { user, stub, fieldsOf, respond, rows } = person();
    const fields = fieldsOf(read, { isHandedOn: true });
    await callUserObject(stub(), "recordRequest", fields);
    await abortAllDurableObjects();
    for (let i = 0; i < 2; i++) await callUserObject(stub(), "recordRequest", { ...fields, failedTries: i + 1 });
    expect(await rows(1)).toMatchObject([{ id: fields.requestId, status: null, reason: "no answer known" }]);
    await respond(fields.requestId, 200);
    await eventually(async () => expect(await rows(1)).toMatchObject([{ status: 200, reason: null }]));
    expect(await verdictOf(user)).toMatchObject({ events: 2, openRequests: [], broken: [] });
  });

  it("is no change: it is rated, and takes nothing of the day's changes", async () => {
    const { stub, record } = person();
    const limits = { ...LIMITS, maxQueuedEvents: 1_000 };
    const asked = async () => (await record(read, { isHandedOn: true, limits })).answer;
    for (let i = 0; i < 120; i++) expect(await asked()).toMatchObject({ value: { as: "event" } });
    expect(await asked()).toEqual(COUNTED);
    const changes = await runInDurableObject(stub(), (_, { storage }) =>
      new SessionJournal(storage.sql).changesOnDayOf(Date.now()),
    );
    expect(changes).toBe(0);
  });

  it("is only counted where too many await their answers: they could not be written", async () => {
    const { record } = person();
    const limits = { ...LIMITS, maxQueuedEvents: 10 };
    const answers = [];
    for (let i = 0; i < 30; i++) answers.push((await record(read, { isHandedOn: true, limits })).answer);
    expect(answers.at(-1)).toEqual(COUNTED);
    expect(
      answers.filter(({ ok, ...each }) => ok && "value" in each && each.value.as === "event").length,
    ).toBeLessThanOrEqual(20);
  });
});

describe("a very long change", () => {
  it("counts as several of the day", async () => {
    const { stub, change, respond, rows } = person();
    const changes = () =>
      runInDurableObject(stub(), (_, { storage }) => new SessionJournal(storage.sql).changesOnDayOf(Date.now()));
    const usual = await change();
    await respond(usual.id, 201);
    await rows(1);
    expect(await changes()).toBe(1);
    // Each character has three bytes.
    const name = "名".repeat(253);
    const { id } = await change({ name, namespace: name, resource: name, api_group: name, subresource: name });
    expect(await changes()).toBe(3);
    const images = Array.from({ length: 10 }, (_, index) => `${index}${"名".repeat(199)}`);
    const podFacts = { images, more_images: 0, privileged: false, host_namespaces: [], service_account: null };
    await callUserObject(stub(), "recordResponse", { requestId: id, status: 201, reason: null, podFacts });
    expect(await changes()).toBe(5);
  });
});

describe("reads of recordings", () => {
  it("count as changes of the day", async () => {
    const { change, record } = person();
    const limits = { ...LIMITS, maxChangesPerDay: 10 };
    const read = async () => (await record({ category: "admin", method: "GET", status: 200 }, { limits })).answer;
    for (let i = 0; i < 10; i++) expect(await read()).toMatchObject({ value: { as: "event" } });
    const refusal = { code: "too_many_changes", message: expect.stringMatching(/^you have made 10 changes/) };
    expect(await read()).toEqual({ ok: false, error: refusal });
    expect((await change({}, { limits })).answer).toEqual({ ok: false, error: refusal });
  });
});

describe("everything else", () => {
  it("is rated per category, and counted beyond: category, verb, resource, count, first and last", async () => {
    const { user, stub, record, rows } = person();
    const answers = [];
    for (let i = 0; i < 130; i++) {
      answers.push((await record({ category: "secret-read", verb: "get", resource: "secrets" })).answer);
    }
    expect(answers.slice(120)).toEqual(Array(10).fill(COUNTED));
    // Another category has a rate of its own, and a change has none.
    expect((await record({ category: "token" })).answer).toMatchObject({ value: { as: "event" } });
    await summarize(stub());
    const summaries = (await rows(122)).filter(({ first_at }) => first_at !== null);
    expect(summaries).toMatchObject([{ category: "secret-read", verb: "get", resource: "secrets", count: 10 }]);
    const [{ first_at = 0, last_at = 0 } = {}] = summaries;
    expect(Number(first_at)).toBeLessThanOrEqual(Number(last_at));
    expect(await verdictOf(user)).toMatchObject({ broken: [], open: [] });
  });

  it("has no more rows without an identity if it comes from ever more addresses", async () => {
    const { record } = person();
    let events = 0;
    for (let i = 0; i < 1_200; i++) {
      const { answer } = await record({
        category: "denied",
        user: null,
        client_address: `2001:db8:${i.toString(16)}::1`,
      });
      if (answer.ok && answer.value.as === "event") events++;
    }
    expect(events).toBe(120);
  });

  it("without an identity is rated by network: who has all addresses of one is one sender", async () => {
    const { stub, record } = person();
    const from = (client_address: string) => record({ category: "denied", user: null, client_address });
    for (let i = 1; i <= 40; i++) await from(`2001:db8:0:1::${i.toString(16)}`);
    const neighbor = await from("2001:db8:0:2::1");
    expect(neighbor.answer).toMatchObject({ value: { as: "event" } });
    await summarize(stub());
    await eventually(async () =>
      expect(await select("first_at IS NOT NULL AND client_address LIKE '2001:db8:0:%'")).toMatchObject([
        { user: null, client_address: "2001:db8:0:1::/64", count: 30 },
      ]),
    );
  });

  it("is never only counted where somebody reads a recording: who read which is the point", async () => {
    const { stub, record, rows } = person();
    const read = (i: number) => record({ category: "admin", path: `/-/admin/sessions/${i}/recording` });
    for (let i = 0; i < 100; i++) expect((await read(i)).answer).toMatchObject({ value: { as: "event" } });
    const { answer } = await read(100);
    expect(answer).toMatchObject({
      error: {
        code: "too_many_changes",
        retryAfterSeconds: expect.any(Number),
        message: expect.stringContaining("reads of recordings"),
      },
    });
    await summarize(stub());
    const [summary, ...reads] = (await rows(101)).sort((one, other) => Number(other.first_at) - Number(one.first_at));
    expect(summary).toMatchObject({ category: "denied", refusal: "too_many_changes", count: 1 });
    expect(new Set(reads.map(({ path }) => path)).size).toBe(100);
  });

  it("has a bounded number of summaries, whatever is asked for", async () => {
    const { stub, record, rows } = person();
    for (let i = 0; i < 180; i++) await record({ category: "denied", resource: `r${i}` });
    await summarize(stub());
    const summaries = (await rows(120 + 21)).filter(({ first_at }) => first_at !== null);
    expect(summaries.reduce((sum, { count }) => sum + count, 0)).toBe(60);
    expect(summaries.filter(({ resource }) => resource === null)).toMatchObject([{ count: 40 }]);
  });

  it("is counted across a crash", async () => {
    const { stub, record, rows } = person();
    for (let i = 0; i < 125; i++) await record();
    await abortAllDurableObjects();
    await summarize(stub());
    expect((await rows(121)).reduce((sum, { count }) => sum + count, 0)).toBe(125);
  });

  it("is never written twice under one id, however often its record is repeated", async () => {
    const { user, stub, fieldsOf, rows } = person();
    const fields = fieldsOf({}, {});
    const record = (failedTries: number) => callUserObject(stub(), "recordRequest", { ...fields, failedTries });
    const delivered = () =>
      eventually(async () => {
        const left = await runInDurableObject(stub(), (_, { storage }) =>
          storage.sql.exec("SELECT 1 FROM outbox").toArray(),
        );
        expect(left).toEqual([]);
      });
    await record(0);
    // The object still has it: this is the same row.
    await record(1);
    await delivered();
    expect(await rows(1)).toMatchObject([{ id: fields.requestId }]);
    // D1 has it, and the object knows of it no more. Each try is a row of its own, unless one still waits.
    await record(1);
    await record(2);
    await delivered();
    await record(2);
    await delivered();
    expect((await rows(3)).map(({ id }) => id)).toEqual(["", "r1", "r2"].map((suffix) => fields.requestId + suffix));
    expect(await verdictOf(user)).toMatchObject({ requests: 3, broken: [] });
  });

  it("has at most so many rows a day, also across a crash", async () => {
    const { stub, record } = person();
    await record();
    await runInDurableObject(stub(), (_, { storage }) => {
      storage.sql.exec("UPDATE user_chain SET rated_rows = 20000");
    });
    await abortAllDurableObjects();
    expect((await record()).answer).toEqual(COUNTED);
    expect((await record({}, { isChange: true })).answer).toEqual(ACCEPTED);
  });
});

describe("while D1 is away", () => {
  it("changes are refused once too many events wait, and come in again once D1 has them", async () => {
    const { stub, change, record, respond, rows } = person();
    await change();
    await rows(1);
    const batch = vi.spyOn(env.AUDIT_DB, "batch").mockRejectedValue(new Error("D1 is away"));
    const answers = [];
    for (let i = 0; i < 60; i++) answers.push(await change());
    const accepted = answers.filter(({ answer }) => answer.ok);
    const refused = answers.find(({ answer }) => !answer.ok);
    expect(accepted.length).toBeLessThan(LIMITS.maxQueuedEvents);
    expect(refused?.answer).toMatchObject({ error: { code: "audit_unavailable" } });
    // What was accepted gets its answer into the queue, and administrators go on for longer.
    for (const { id } of accepted) await respond(id, 200);
    expect((await change({ category: "admin" })).answer).toMatchObject({ ok: true });
    for (let i = 0; i < 120; i++) await record();
    const waiting = await runInDurableObject(stub(), (_, { storage }) => new SessionJournal(storage.sql).queueLength());
    expect(waiting).toBeLessThanOrEqual(2 * LIMITS.maxQueuedEvents + 1);
    batch.mockRestore();
    await runDurableObjectAlarm(stub());
    await eventually(async () => expect((await change()).answer).toEqual(ACCEPTED));
  });
});

/** What the alarm does some time after requests were counted, by default a minute. */
async function summarize(stub: DurableObjectStub, afterMs = SUMMARY_AFTER_MS): Promise<void> {
  await runInDurableObject(stub, (_, { storage }) => {
    storage.sql.exec("UPDATE request_counts SET first_at = first_at - ?", afterMs + 1);
  });
  await eventually(async () => {
    const left = await runInDurableObject(stub, (_, { storage }) =>
      storage.sql.exec("SELECT 1 FROM outbox LIMIT 1").toArray(),
    );
    expect(left).toEqual([]);
  });
  await runDurableObjectAlarm(stub);
}
