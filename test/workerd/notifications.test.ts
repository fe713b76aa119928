/**
 * Notifications: each destination gets every event in order and at least once, whatever the others do, and
 * nobody waits for one.
 */
import { abortAllDurableObjects, runDurableObjectAlarm, runInDurableObject } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import type { UserLock } from "../../audit/events.ts";
import { callDirectory, DIRECTORY_NAME } from "../../contract/directory.ts";
import {
  ANSWER_WITHIN_MS,
  MAX_AGE_MS,
  MAX_REFUSALS,
  MAX_WAITING,
  OUTAGE_OVER_AFTER_MS,
  REPORT_OUTAGE_MS,
  STALLED_AFTER_MS,
} from "../../durable/notifications/limits.ts";
import { signedHeaders } from "../../durable/notifications/signature.ts";
import { WaitingNotifications } from "../../durable/storage/waiting-notifications.ts";
import { eventually } from "../support/eventually.ts";
import { askUserObject } from "./ask-user-object.ts";
import { shortenTimer } from "./timers.ts";
import { lockEventsOf } from "./user-events.ts";

const SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
const SIEM = "https://siem.example.com/not-for-logs";
const CHAT = "https://chat.example.com/not-for-logs";
const ONE = { name: "siem", format: "standard", url: SIEM, secret: SECRET };
const TWO = { name: "chat", format: "slack", url: CHAT };

interface Received {
  readonly url: string;
  readonly headers: Headers;
  readonly body: string;
}
type Answer = (request: Received) => Response | Promise<Response>;

const accept: Answer = () => new Response(null, { status: 204 });
const status =
  (code: number, headers = {}): Answer =>
  () =>
    new Response(null, { status: code, headers });

let received: Received[];
let answers: Record<string, Answer>;
let logged: string[];
/** Users of this test. Objects of others may still have something to say. */
let users: string[];

/** Puts receivers in place of the world. The objects of these tests share the test's global scope. */
beforeEach(() => {
  [received, answers, logged, users] = [[], {}, [], []];
  const real = globalThis.fetch;
  vi.spyOn(globalThis, "fetch").mockImplementation(async (input, init) => {
    const answer = answers[String(input)];
    if (!answer) return real(input, init);
    expect(init).toMatchObject({ method: "POST", redirect: "manual" });
    const request = { url: String(input), headers: new Headers(init?.headers), body: String(init?.body) };
    const [user] = /notified-[\w-]+@example\.com/.exec(request.body) ?? [];
    if (user && !users.includes(user)) return new Response(null, { status: 204 });
    received.push(request);
    return answer(request);
  });
  for (const level of ["log", "warn", "error"] as const) {
    vi.spyOn(console, level).mockImplementation((line: string) => void logged.push(String(line)));
  }
});
afterEach(async () => {
  // Nothing of the address or the secret, whatever went wrong.
  expect(logged.join("\n")).not.toMatch(/not-for-logs|MfKQ9/);
  vi.restoreAllMocks();
  vi.useRealTimers();
  configure(undefined);
  await abortAllDurableObjects();
});

/** For objects that start from now on. */
function configure(document: object | string | undefined): void {
  const text = document === undefined || typeof document === "string" ? document : JSON.stringify(document);
  Object.assign(env, { SALLYPORT_WEBHOOKS: text });
}

function receive(destinations: readonly object[], to: Record<string, Answer>): void {
  Object.assign(answers, to);
  configure({ destinations });
}

function newUser(): string {
  const user = `notified-${crypto.randomUUID()}@example.com`;
  users.push(user);
  return user;
}
const objectOf = (user: string) => env.USER_SESSIONS.getByName(user);

async function lock(user: string, reason: string): Promise<void> {
  const command: UserLock = { user, by: "admin@example.com", reason, until: null };
  await askUserObject(objectOf(user), "lock", { lock: command, isAudited: true });
}

/** The reasons of the locks that a receiver was told of, in order. */
const toldAt = (url: string) =>
  received
    .filter((request) => request.url === url)
    .map(({ body }) => /\\?"?(?:reason\\?"|Reason): ?\\?"?([\w ]+)/.exec(body)?.[1]);
const waitingOf = (user: string, destination: string) =>
  runInDurableObject(objectOf(user), (_, { storage }) => {
    const waiting = new WaitingNotifications(storage.sql);
    return { ...waiting.stateOf(destination), count: waiting.count(destination) };
  });

/** Advances the clock to the next alarm and rings it. */
async function ring(user: string): Promise<void> {
  const at = await runInDurableObject(objectOf(user), (_, { storage }) => storage.getAlarm());
  vi.useFakeTimers({ toFake: ["Date"], now: Math.max(at ?? 0, Date.now()) });
  expect(await runDurableObjectAlarm(objectOf(user))).toBe(true);
}

describe("a notification", () => {
  it("of a lock reaches every destination that wants it, signed, with the id of the audit log", async () => {
    receive([ONE, TWO, { ...TWO, name: "other", url: `${CHAT}/other`, events: ["unlock"] }], {
      [SIEM]: accept,
      [CHAT]: accept,
      [`${CHAT}/other`]: accept,
    });
    const user = newUser();
    await lock(user, "stolen laptop");
    await eventually(() => expect(received).toHaveLength(2));
    const [event] = await lockEventsOf(user, 1);
    expect(event).toMatchObject({ reason: "stolen laptop" });
    const row = await env.AUDIT_DB.prepare("SELECT session_id, at FROM events WHERE user = ? AND type = 'lock'")
      .bind(user)
      .first<{ session_id: string; at: number }>();
    const signed = received.find(({ url }) => url === SIEM);
    expect(JSON.parse(signed?.body ?? "")).toEqual({
      type: "sallyport.lock",
      timestamp: new Date(row?.at ?? 0).toISOString(),
      data: { user, by: "admin@example.com", reason: "stolen laptop", until: null },
    });
    const headers = Object.fromEntries(signed?.headers ?? []);
    expect(headers).toMatchObject(
      signedHeaders(SECRET, row?.session_id ?? "", Number(headers["webhook-timestamp"]) * 1_000, signed?.body ?? ""),
    );
    expect(JSON.parse(received.find(({ url }) => url === CHAT)?.body ?? "").text).toContain(`locked ${user}`);
    await askUserObject(objectOf(user), "unlock", { user, by: "admin@example.com", reason: "", isAudited: true });
    await eventually(() => expect(received.filter(({ url }) => url === `${CHAT}/other`)).toHaveLength(1));
    expect(await waitingOf(user, "siem")).toMatchObject({ count: 0, failures: 0, dropped: 0 });
  });

  it("of access names who asked, for what and why, who decided, and marks whoever decided for themselves", async () => {
    receive([ONE, TWO], { [SIEM]: accept, [CHAT]: accept });
    const user = newUser();
    const person = { user, subject: "sub", kubernetesUser: "dev" };
    const asked = { person, minutes: 60, reason: "INC-17", purpose: null, needed: 1, copyTo: [] };
    const request = (grant: string, approvesItself: boolean) =>
      askUserObject(objectOf(user), "requestAccess", { ...asked, grant, approvesItself });
    await request("prod-admin", false);
    await request("break-glass", true);
    const bodies = () => received.filter(({ url }) => url === SIEM).map(({ body }) => JSON.parse(body));
    await eventually(() =>
      expect(bodies().map(({ type, data }) => [type, data.user, data.grant, data.self_approved])).toEqual([
        ["sallyport.access_request", user, "prod-admin", undefined],
        ["sallyport.access_request", user, "break-glass", undefined],
        ["sallyport.access_decision", user, "break-glass", true],
      ]),
    );
    const texts = () => received.filter(({ url }) => url === CHAT).map(({ body }) => JSON.parse(body).text);
    await eventually(() => expect(texts()).toHaveLength(3));
    expect(texts()[0]).toMatch(/ asks for prod-admin for 60 minutes\. .* Reason: "INC-17"/);
    expect(texts()[2]).toContain(`ALERT: ${user} approved their own request for break-glass`);
  });

  it("costs nothing where nobody is to be told", async () => {
    const user = newUser();
    await lock(user, "x");
    await lockEventsOf(user, 1);
    expect(received).toEqual([]);
    expect(await waitingOf(user, "siem")).toMatchObject({ count: 0 });
  });

  it("stays in order over failures, and has the same id and a signature of its own each time", async () => {
    let calls = 0;
    receive([ONE], { [SIEM]: () => new Response(null, { status: ++calls <= 3 ? 500 : 200 }) });
    const user = newUser();
    for (const reason of ["first", "second", "third"]) await lock(user, reason);
    await eventually(() => expect(received).toHaveLength(1));
    while (calls < 4) await ring(user);
    await eventually(() => expect(toldAt(SIEM)).toEqual(["first", "first", "first", "first", "second", "third"]));
    const ids = received.map(({ headers }) => headers.get("webhook-id"));
    expect(new Set(ids.slice(0, 4)).size).toBe(1);
    expect(new Set(ids).size).toBe(3);
    expect(new Set(received.slice(0, 4).map(({ headers }) => headers.get("webhook-timestamp"))).size).toBeGreaterThan(
      1,
    );
    await eventually(async () => expect(await waitingOf(user, "siem")).toMatchObject({ count: 0, failures: 0 }));
    expect(logged.filter((line) => line.includes("notification_not_delivered"))).toEqual([
      '{"event":"notification_not_delivered","level":"warn","destination":"siem","attempt":1,"cause":"status 500"}',
    ]);
  });

  it("survives the object's end in between, and goes on where it was", async () => {
    receive([ONE], { [SIEM]: status(503) });
    const user = newUser();
    for (const reason of ["first", "second"]) await lock(user, reason);
    await eventually(async () => expect(await waitingOf(user, "siem")).toMatchObject({ count: 2, failures: 1 }));
    await abortAllDurableObjects();
    answers[SIEM] = accept;
    await ring(user);
    await eventually(() => expect(toldAt(SIEM)).toEqual(["first", "first", "second"]));
  });

  it("under way when its object ends is sent again", async () => {
    receive([ONE], { [SIEM]: () => new Promise(() => {}) });
    const user = newUser();
    await lock(user, "first");
    await eventually(() => expect(received).toHaveLength(1));
    await abortAllDurableObjects();
    answers[SIEM] = accept;
    await ring(user);
    await eventually(() => expect(toldAt(SIEM)).toEqual(["first", "first"]));
  });

  it("waits as long as its receiver asks for", async () => {
    receive([ONE], { [SIEM]: status(429, { "Retry-After": "1800" }) });
    const user = newUser();
    const before = Date.now();
    await lock(user, "x");
    await eventually(async () => expect((await waitingOf(user, "siem")).failures).toBe(1));
    expect((await waitingOf(user, "siem")).retry_at).toBeGreaterThanOrEqual(before + 1_800_000);
  });
});

describe("a destination that does not answer", () => {
  it("holds up no other one, not D1, and no lock; its turn ends after some seconds", async () => {
    shortenTimer(ANSWER_WITHIN_MS, 50);
    receive([ONE, TWO], { [SIEM]: () => new Promise(() => {}), [CHAT]: accept });
    const user = newUser();
    for (const reason of ["first", "second"]) await lock(user, reason);
    await lockEventsOf(user, 2);
    await eventually(() => expect(toldAt(CHAT)).toEqual(["first", "second"]));
    await eventually(async () => expect((await waitingOf(user, "siem")).failures).toBe(1));
    expect(toldAt(SIEM)).toEqual(["first"]);
    expect(logged.join("\n")).toContain(`"cause":"no answer within ${ANSWER_WITHIN_MS} ms"`);
  });

  it("because nothing listens is said without its address", async () => {
    receive([ONE], { [SIEM]: () => Promise.reject(new TypeError(`cannot connect to ${SIEM}`)) });
    const user = newUser();
    await lock(user, "x");
    await eventually(() => expect(logged.join("\n")).toContain('"cause":"the connection failed"'));
  });

  it("with an endless body is read no further than its head", async () => {
    let isCancelled = false;
    const endless = new ReadableStream({
      pull: (controller) => controller.enqueue(new Uint8Array(65_536)),
      cancel: () => {
        isCancelled = true;
      },
    });
    receive([ONE], { [SIEM]: () => new Response(endless) });
    const user = newUser();
    await lock(user, "x");
    await eventually(async () => expect(await waitingOf(user, "siem")).toMatchObject({ count: 0, failures: 0 }));
    await eventually(() => expect(isCancelled).toBe(true));
  });
});

describe("a destination that answers", () => {
  it("410 is left alone, and said; under a new address it is told again", async () => {
    receive([ONE, TWO], { [SIEM]: status(410), [CHAT]: accept });
    const user = newUser();
    await lock(user, "first");
    await eventually(async () => expect(await waitingOf(user, "siem")).toMatchObject({ count: 0, dropped: 1 }));
    await lock(user, "second");
    await eventually(() => expect(toldAt(CHAT)).toEqual(["first", "second"]));
    expect(toldAt(SIEM)).toEqual(["first"]);
    expect(logged.join("\n")).toContain(
      '{"event":"notification_destination_gone","level":"error","destination":"siem","dropped":1}',
    );
    await abortAllDurableObjects();
    receive([{ ...ONE, url: `${SIEM}/new` }], { [`${SIEM}/new`]: accept });
    await eventually(() => lock(user, "third"));
    await eventually(() => expect(toldAt(`${SIEM}/new`)).toEqual(["third"]));
  });

  it("with a redirect has failed: it is not followed", async () => {
    receive([ONE], { [SIEM]: status(307, { Location: CHAT }), [CHAT]: accept });
    const user = newUser();
    await lock(user, "x");
    await eventually(() =>
      expect(logged.join("\n")).toContain('"cause":"status 307, a redirect, which is not followed"'),
    );
    expect(toldAt(CHAT)).toEqual([]);
    expect(await waitingOf(user, "siem")).toMatchObject({ count: 1 });
  });

  it("that a message is at fault gets the next one after some tries", async () => {
    receive([ONE], { [SIEM]: ({ body }) => new Response(null, { status: body.includes("bad") ? 422 : 200 }) });
    const user = newUser();
    for (const reason of ["bad", "good"]) await lock(user, reason);
    for (let tries = 1; tries < MAX_REFUSALS; tries++) {
      await eventually(async () => expect((await waitingOf(user, "siem")).failures).toBe(tries));
      // The next alarm may be another's.
      while (received.length === tries) await ring(user);
    }
    await eventually(() =>
      expect(toldAt(SIEM)).toEqual([...Array.from({ length: MAX_REFUSALS }, () => "bad"), "good"]),
    );
    await eventually(async () =>
      expect(await waitingOf(user, "siem")).toMatchObject({ count: 0, failures: 0, dropped: 1 }),
    );
  });
});

describe("what waits", () => {
  it("is bounded: beyond it the oldest are dropped, counted and said", async () => {
    receive([ONE], { [SIEM]: status(500) });
    const user = newUser();
    for (let i = 0; i < MAX_WAITING + 3; i++) await lock(user, `lock ${i}`);
    await eventually(async () =>
      expect(await waitingOf(user, "siem")).toMatchObject({ count: MAX_WAITING, dropped: 3 }),
    );
    expect(logged.join("\n")).toContain(
      '{"event":"notifications_dropped","level":"error","destination":"siem","count":1,"cause":"too many wait"}',
    );
    answers[SIEM] = accept;
    received = [];
    await ring(user);
    await eventually(() =>
      expect(toldAt(SIEM)).toEqual(Array.from({ length: MAX_WAITING }, (_, index) => `lock ${index + 3}`)),
    );
  });

  it("for more than a day is no news", async () => {
    receive([ONE], { [SIEM]: status(500) });
    const user = newUser();
    await lock(user, "old");
    await eventually(async () => expect((await waitingOf(user, "siem")).failures).toBe(1));
    answers[SIEM] = accept;
    received = [];
    vi.useFakeTimers({ toFake: ["Date"], now: Date.now() + MAX_AGE_MS + 60_000 });
    await lock(user, "new");
    await eventually(() => expect(toldAt(SIEM)).toEqual(["new"]));
    await eventually(async () => expect(await waitingOf(user, "siem")).toMatchObject({ count: 0, dropped: 1 }));
  });

  it("for a destination that is not configured any more goes with it", async () => {
    receive([ONE], { [SIEM]: status(500) });
    const user = newUser();
    await lock(user, "x");
    await eventually(async () => expect((await waitingOf(user, "siem")).failures).toBe(1));
    await abortAllDurableObjects();
    configure(undefined);
    await ring(user);
    await eventually(async () => expect(await waitingOf(user, "siem")).toMatchObject({ count: 0, failures: 0 }));
  });
});

describe("an invalid document", () => {
  it("is said, and changes nothing else: the user is locked, and D1 has it", async () => {
    configure(`{"destinations": [{"name": "siem", "url": "${SIEM}"`);
    const user = newUser();
    await lock(user, "x");
    expect(await askUserObject(objectOf(user), "currentLock", {})).toMatchObject({ reason: "x" });
    await lockEventsOf(user, 1);
    expect(logged.join("\n")).toContain('"event":"webhooks_invalid"');
    const described = await callDirectory(env.DIRECTORY, "describeWebhooks", {});
    expect(described).toMatchObject({
      ok: true,
      value: { faults: [expect.stringContaining("the document")], destinations: [] },
    });
  });
});

describe("the directory", () => {
  const directory = () => env.DIRECTORY.getByName(DIRECTORY_NAME);
  const typesAt = (url: string) => received.filter((one) => one.url === url).map(({ body }) => JSON.parse(body).type);
  const ringDirectory = () => runDurableObjectAlarm(directory());

  it("tells of drains", async () => {
    receive([ONE], { [SIEM]: accept });
    const by = "admin@example.com";
    expect((await callDirectory(env.DIRECTORY, "beginDrain", { by, reason: "x", until: Date.now() + 60_000 })).ok).toBe(
      true,
    );
    expect(await callDirectory(env.DIRECTORY, "endDrain", { by, reason: "" })).toEqual({ ok: true, value: true });
    await eventually(() => expect(typesAt(SIEM)).toEqual(["sallyport.drain", "sallyport.drain_end"]));
  });

  it("tells once that D1 is away, whoever says so, also over its own end, and once that it is back", async () => {
    receive([ONE], { [SIEM]: accept });
    const since = Date.now() - STALLED_AFTER_MS;
    const report = (at: number) => callDirectory(env.DIRECTORY, "reportOutage", { since: at });
    expect(await report(since)).toEqual({ ok: true, value: null });
    await report(since + 5);
    await eventually(() => expect(typesAt(SIEM)).toEqual(["sallyport.database_stalled"]));
    await abortAllDurableObjects();
    const later = Date.now() + REPORT_OUTAGE_MS;
    vi.useFakeTimers({ toFake: ["Date"], now: later });
    await eventually(() => report(since));
    vi.setSystemTime(later + OUTAGE_OVER_AFTER_MS - 1_000);
    await ringDirectory();
    expect(typesAt(SIEM)).toEqual(["sallyport.database_stalled"]);
    vi.setSystemTime(later + OUTAGE_OVER_AFTER_MS + 1_000);
    expect(await ringDirectory()).toBe(true);
    await eventually(() =>
      expect(typesAt(SIEM)).toEqual(["sallyport.database_stalled", "sallyport.database_recovered"]),
    );
    expect(JSON.parse(received[1]?.body ?? "").data).toEqual({ since, until: expect.any(Number) });
    expect(JSON.parse(received[1]?.body ?? "").data.until).toBeGreaterThanOrEqual(later);
  });

  it("hears of it from an object whose events wait for minutes, and not before", async () => {
    receive([ONE], { [SIEM]: accept });
    vi.spyOn(env.AUDIT_DB, "batch").mockImplementation((() =>
      Promise.reject(new Error("D1_ERROR"))) as D1Database["batch"]);
    const user = newUser();
    await lock(user, "x");
    await eventually(() => expect(typesAt(SIEM)).toEqual(["sallyport.lock"]));
    await ring(user);
    expect(typesAt(SIEM)).toEqual(["sallyport.lock"]);
    vi.setSystemTime(Date.now() + STALLED_AFTER_MS);
    expect(await runDurableObjectAlarm(objectOf(user))).toBe(true);
    await eventually(() => expect(typesAt(SIEM)).toEqual(["sallyport.lock", "sallyport.database_stalled"]));
  });

  it("knows of it for administrators also where nobody is to be notified", async () => {
    vi.spyOn(env.AUDIT_DB, "batch").mockImplementation((() =>
      Promise.reject(new Error("D1_ERROR"))) as D1Database["batch"]);
    const user = newUser();
    const objects = () => callDirectory(env.DIRECTORY, "describeObjects", {});
    // What the tests before have told it.
    await runInDurableObject(directory(), (_, { storage }) => storage.sql.exec("DELETE FROM database_outage"));
    await lock(user, "x");
    await ring(user);
    expect(await objects()).toMatchObject({ ok: true, value: { undeliveredSince: null } });
    vi.setSystemTime(Date.now() + STALLED_AFTER_MS);
    expect(await runDurableObjectAlarm(objectOf(user))).toBe(true);
    await eventually(async () =>
      expect(await objects()).toMatchObject({ ok: true, value: { undeliveredSince: expect.any(Number) } }),
    );
  });

  it("sends a test, and says how the destinations are doing", async () => {
    receive([ONE, { ...TWO, events: ["lock"] }], { [SIEM]: accept });
    const tested = await callDirectory(env.DIRECTORY, "testWebhooks", { by: "admin@example.com" });
    expect(tested).toMatchObject({ ok: true, value: { destinations: ["siem"] } });
    await eventually(() => expect(typesAt(SIEM)).toEqual(["sallyport.test"]));
    const common = { waiting: 0, failures: 0, dropped: 0, isGone: false };
    await eventually(async () =>
      expect(await callDirectory(env.DIRECTORY, "describeWebhooks", {})).toEqual({
        ok: true,
        value: {
          ...{ faults: [], address: null },
          destinations: [
            { name: "siem", format: "standard", events: null, ...common },
            { name: "chat", format: "slack", events: ["lock"], ...common },
          ],
        },
      }),
    );
  });
});
