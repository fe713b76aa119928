/** Requests for access and grants, in users' objects and in the directory. */
import { abortAllDurableObjects, runDurableObjectAlarm, runInDurableObject } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import type { ChainedEvent } from "../../audit/chain.ts";
import { findSession } from "../../audit/session-queries.ts";
import type { AccessRequest, ActiveGrant, DecidingPerson } from "../../contract/access.ts";
import { callDirectory, DIRECTORY_NAME } from "../../contract/directory.ts";
import { type LocationHint, userObjectName } from "../../contract/placement.ts";
import { objectIdOf } from "../../contract/session-id.ts";
import { attachSessionPlan } from "../../contract/session-plan.ts";
import type { UserObjectFields } from "../../contract/user-object.ts";
import { CONTRACT_VERSION, refuseMismatch } from "../../contract/version.ts";
import { AccessReporter, REPORT_AGAIN_MS } from "../../durable/directory/access-reporter.ts";
import { Directory } from "../../durable/directory/directory.ts";
import { OpenAccess } from "../../durable/directory/open-access.ts";
import { StateCopies } from "../../durable/state-copies.ts";
import { AccessRequests } from "../../durable/storage/access-requests.ts";
import { SCHEMA } from "../../durable/storage/schema.ts";
import { UserLocks } from "../../durable/storage/user-locks.ts";
import { eventually } from "../support/eventually.ts";
import { PLAN } from "../support/session-plan.ts";
import { askUserObject } from "./ask-user-object.ts";
import { ended } from "./audit-rows.ts";
import { Client } from "./client.ts";
import { UPGRADE } from "./people.ts";
import { Puppet } from "./puppet.ts";
import { expectStatus } from "./statuses.ts";
import { shortenTimer } from "./timers.ts";
import { brokenLinks } from "./user-events.ts";

const MINUTE = 60_000;
const BOB: DecidingPerson = { user: "bob@example.com", subject: "sub-bob", kubernetesUser: "bob" };
const CAROL: DecidingPerson = { user: "carol@example.com", subject: "sub-carol", kubernetesUser: "carol" };

let logged: Record<string, unknown>[];
beforeEach(() => {
  logged = [];
  for (const level of ["error", "warn"] as const) {
    vi.spyOn(console, level).mockImplementation((line: string) => void logged.push(JSON.parse(line)));
  }
});
afterEach(() => {
  vi.restoreAllMocks();
  vi.useRealTimers();
});

/** A person who asks, and their objects. A stub is of no use after its object was aborted. */
class Asker {
  readonly person: DecidingPerson;
  readonly #location: LocationHint | null;

  constructor(person?: DecidingPerson, location: LocationHint | null = null) {
    const name = `dev-${crypto.randomUUID()}`;
    this.person = person ?? { user: `${name}@example.com`, subject: `sub-${name}`, kubernetesUser: name };
    this.#location = location;
  }

  at(location: LocationHint): Asker {
    return new Asker(this.person, location);
  }

  get object() {
    return env.USER_SESSIONS.getByName(userObjectName(this.person.user, this.#location));
  }

  request(more: Partial<UserObjectFields<"requestAccess">> = {}) {
    return askUserObject(this.object, "requestAccess", {
      ...{ person: this.person, grant: "prod-admin", minutes: 60, reason: "INC-17", purpose: null, needed: 1 },
      ...{ approvesItself: false, copyTo: [], ...more },
    });
  }

  decide(id: string, by: DecidingPerson, more: Partial<UserObjectFields<"decideAccess">> = {}) {
    return askUserObject(this.object, "decideAccess", {
      ...{ id, by, decision: "approve", reason: null, minutes: null, needed: 1, maxMinutes: 480, copyTo: [] },
      ...more,
    });
  }

  end(id: string, by: DecidingPerson, more: Partial<UserObjectFields<"endAccess">> = {}) {
    return askUserObject(this.object, "endAccess", { id, by, reason: null, copyTo: [], ...more });
  }

  list() {
    return askUserObject(this.object, "listAccess", {});
  }

  async grants() {
    return (await askUserObject(this.object, "readState", {})).grants;
  }

  /** A grant that holds. */
  async granted(copyTo: LocationHint[] = [], minutes = 60): Promise<ActiveGrant> {
    const { request } = await this.request({ copyTo, minutes });
    const decided = await this.decide(request.id, BOB, { copyTo });
    return { id: request.id, grant: request.grant, until: decided.request.active?.until ?? Number.NaN };
  }

  /** Attempts a session as the edge does that knows of these grants. */
  async attempt(grants: readonly ActiveGrant[]) {
    const pod = await Puppet.make();
    const headers = new Headers(UPGRADE);
    const sessionId = `${crypto.randomUUID()}${"s".repeat(28)}`;
    const upstream = { ...PLAN.upstream, transport: "websocket" } as const;
    attachSessionPlan(headers, { ...PLAN, user: this.person.user, upstream, sessionId, grants });
    return { pod, sessionId, response: await this.object.fetch(`http://cluster${pod.path()}`, { headers }) };
  }

  async open(grants: readonly ActiveGrant[]): Promise<Client> {
    return Client.open((await this.attempt(grants)).response);
  }

  /** Waits for a number of events about access in D1. @returns them, in order */
  events(count: number) {
    return eventually(async () => {
      const { results } = await env.AUDIT_DB.prepare(
        "SELECT * FROM events WHERE user = ? AND type LIKE 'access_%' ORDER BY row_number",
      )
        .bind(this.person.user)
        .all<ChainedEvent>();
      expect(results.length).toBe(count);
      return results.map(({ type, data }) => ({ type, ...JSON.parse(data) }));
    });
  }

  /** Stops the object as a crash does. Its memory is gone, its database is not. */
  async crash(): Promise<void> {
    await runInDurableObject(this.object, (_, state) => state.abort("crash")).catch(() => {});
  }
}

const directory = () => env.DIRECTORY.getByName(DIRECTORY_NAME);

/** Those of one person that the directory lists as waiting. */
async function pendingOf({ person }: Asker): Promise<AccessRequest[]> {
  const listed = await callDirectory(env.DIRECTORY, "listPendingAccess", {});
  if (!listed.ok) throw new Error(listed.error.message);
  return listed.value.filter((request) => request.person.user === person.user);
}

describe("a request for access", () => {
  it("is decided, holds, and is taken back, each with its event in one chain", async () => {
    const asker = new Asker();
    const { request, isNew, notReached } = await asker.request({ purpose: "exec in demo/web" });
    expect([isNew, notReached]).toEqual([true, []]);
    expect(objectIdOf(request.id)).toBe(asker.object.id.toString());
    expect(await asker.grants()).toEqual([]);
    const { version } = await askUserObject(asker.object, "readState", {});

    const decided = await asker.decide(request.id, BOB, { minutes: 30, reason: "go on" });
    expect(decided.request.active?.until).toBe((decided.request.active?.since ?? 0) + 30 * MINUTE);
    const grant = { id: request.id, grant: "prod-admin", until: decided.request.active?.until };
    const state = await askUserObject(asker.object, "readState", {});
    expect(state.grants).toEqual([grant]);
    expect(state.version).toBeGreaterThan(version);
    expect(await asker.request({ minutes: 5 })).toMatchObject({ isNew: false, request: { id: request.id } });
    expect(await asker.list()).toEqual([decided.request]);
    expect(await askUserObject(asker.object, "describeAccess", { id: request.id })).toEqual(decided.request);
    expect(await askUserObject(asker.object, "describeAccess", { id: "another" })).toBeNull();

    const done = await asker.end(request.id, asker.person, { reason: "done" });
    expect(done).toMatchObject({ ended: [], request: { ended: { how: "revoked", by: asker.person.user } } });
    expect(await asker.grants()).toEqual([]);
    const about = { access_id: request.id, user: asker.person.user, grant: "prod-admin" };
    expect(await asker.events(3)).toEqual([
      {
        ...{ type: "access_request", ...about, kubernetes_user: asker.person.kubernetesUser, minutes: 60 },
        ...{ reason: "INC-17", purpose: "exec in demo/web", expires_at: request.expiresAt },
      },
      {
        ...{ type: "access_decision", ...about, by: "bob@example.com", decision: "approve", reason: "go on" },
        ...{ approvals: 1, needed: 1, until: grant.until, self_approved: false },
      },
      { type: "access_end", ...about, by: asker.person.user, reason: "done" },
    ]);
    expect(await brokenLinks(asker.person.user)).toEqual([]);
  });

  it("takes as many persons as its grant says, and one denial ends it", async () => {
    const asker = new Asker();
    const { request } = await asker.request({ needed: 2 });
    await asker.decide(request.id, BOB, { needed: 2 });
    await expect(asker.decide(request.id, { ...BOB, user: "BOB@example.com" }, { needed: 2 })).rejects.toThrow(
      /^access_already_decided: you approved this request/,
    );
    expect(await asker.grants()).toEqual([]);
    await asker.decide(request.id, CAROL, { needed: 2 });
    expect(await asker.grants()).toMatchObject([{ id: request.id }]);

    const { request: other } = await asker.request({ grant: "other", needed: 2 });
    await asker.decide(other.id, BOB, { needed: 2 });
    await asker.decide(other.id, CAROL, { needed: 2, decision: "deny" });
    await expect(asker.decide(other.id, CAROL, { needed: 2 })).rejects.toThrow(/was denied by carol@example.com/);
    expect(await asker.grants()).toHaveLength(1);
    expect(
      (await asker.events(6)).map(({ decision, approvals, until }) => [decision, approvals, until !== null]),
    ).toEqual([
      [undefined, undefined, true],
      ["approve", 1, false],
      ["approve", 2, true],
      [undefined, undefined, true],
      ["approve", 1, false],
      ["deny", 1, false],
    ]);
  });

  it("is never decided by its own person, and what is refused leaves no event", async () => {
    const asker = new Asker();
    const { request } = await asker.request();
    const spelled = { user: asker.person.user.toUpperCase(), subject: null, kubernetesUser: "x" };
    for (const by of [asker.person, spelled, { ...BOB, subject: asker.person.subject }]) {
      await expect(asker.decide(request.id, by)).rejects.toThrow(/^access_own_request: nobody decides their own/);
    }
    await expect(asker.decide("another's", BOB)).rejects.toThrow(/^access_not_found/);
    await expect(asker.end("another's", BOB)).rejects.toThrow(/^access_not_found/);
    // One person's object does not know another's request.
    await expect(new Asker().decide(request.id, BOB)).rejects.toThrow(/^access_not_found/);
    await asker.decide(request.id, BOB);
    await expect(asker.decide(request.id, BOB)).rejects.toThrow(/^access_already_decided: .*was approved by bob/);
    expect((await asker.events(2)).map(({ type }) => type)).toEqual(["access_request", "access_decision"]);
  });

  it("that approves itself holds at once, under a mark in the log", async () => {
    const asker = new Asker();
    const { request } = await asker.request({ approvesItself: true });
    expect(await asker.grants()).toMatchObject([{ id: request.id }]);
    expect(await asker.events(2)).toMatchObject([
      { type: "access_request" },
      { type: "access_decision", by: asker.person.user, self_approved: true, until: request.active?.until },
    ]);
    expect(await pendingOf(asker)).toEqual([]);
    await asker.request({ approvesItself: true });
    await asker.events(2);
  });

  it("of a locked person is refused", async () => {
    const asker = new Asker();
    const lock = { user: asker.person.user, by: "admin@example.com", reason: "stolen laptop", until: null };
    await askUserObject(asker.object, "decideLock", { lock, copyTo: [] });
    await expect(asker.request()).rejects.toThrow(/^user_locked: .*stolen laptop/);
    expect(await asker.list()).toEqual([]);
  });

  it("counts by the object's clock, and is forgotten a week after its end", async () => {
    const asker = new Asker();
    const { id } = await asker.granted([], 1);
    vi.useFakeTimers({ toFake: ["Date"], now: Date.now() + MINUTE });
    expect(await asker.grants()).toEqual([]);
    expect(await asker.list()).toMatchObject([{ id }]);
    await expect(asker.end(id, BOB)).rejects.toThrow(/was approved, and ended at/);
    vi.useFakeTimers({ toFake: ["Date"], now: Date.now() + 8 * 24 * 60 * MINUTE });
    expect(await asker.list()).toEqual([]);
    await expect(asker.end(id, BOB)).rejects.toThrow(/^access_not_found/);
    await asker.request({ grant: "other" });
    await runInDurableObject(asker.object, (_, { storage: { sql } }) => {
      expect(new AccessRequests(sql).all).toMatchObject([{ grant: "other" }]);
    });
  });

  it("and its grant survive the object, also while D1 is away", async () => {
    const outage = vi.spyOn(env.AUDIT_DB, "batch").mockRejectedValue(new Error("D1 is away"));
    const asker = new Asker();
    const { request } = await asker.request();
    await asker.crash();
    expect(await asker.list()).toEqual([request]);
    await asker.decide(request.id, BOB);
    await asker.crash();
    expect(await asker.grants()).toMatchObject([{ id: request.id }]);
    expect(await pendingOf(asker)).toEqual([]);
    await asker.end(request.id, CAROL);
    await asker.crash();
    expect(await asker.grants()).toEqual([]);
    outage.mockRestore();
    await runDurableObjectAlarm(asker.object);
    expect((await asker.events(3)).map(({ type }) => type)).toEqual([
      "access_request",
      "access_decision",
      "access_end",
    ]);
    expect(await brokenLinks(asker.person.user)).toEqual([]);
  });
});

describe("the person's other objects", () => {
  it("know what was asked and decided before the answer, and end sessions with what is taken back", async () => {
    const asker = new Asker();
    const near = asker.at("weur");
    const { request } = await asker.request({ copyTo: ["weur"] });
    expect(await near.list()).toEqual([request]);
    const decided = await asker.decide(request.id, BOB, { copyTo: ["weur"] });
    const grants = await near.grants();
    expect(grants).toEqual([{ id: request.id, grant: "prod-admin", until: decided.request.active?.until }]);
    expect(await pendingOf(asker)).toEqual([]);

    const [client, other] = [await near.open(grants), await near.open([])];
    const taken = await asker.end(request.id, CAROL, { reason: "the incident is over", copyTo: ["weur"] });
    expect(taken).toMatchObject({ ended: [client.sessionId], notReached: [] });
    await client.closed;
    expect(await ended(client.sessionId)).toMatchObject({ outcome: "access_ended", grants: ["prod-admin"] });
    expect(await near.grants()).toEqual([]);
    expect((await askUserObject(near.object, "list", {})).map(({ id }) => id)).toEqual([other.sessionId]);
    other.close();
  });

  it("that are away are named, and get it later, also after a crash", async () => {
    const asker = new Asker();
    const near = asker.at("oc");
    const grant = await asker.granted(["oc"]);
    const client = await near.open([grant]);
    vi.spyOn(StateCopies.prototype, "retry").mockResolvedValueOnce();
    const refusing = vi.spyOn(UserLocks.prototype, "takeCopy").mockImplementation(() => {
      throw new Error("the object is away");
    });
    const taken = await asker.end(grant.id, CAROL, { copyTo: ["oc"] });
    expect(taken).toMatchObject({ ended: [], notReached: ["oc"], request: { ended: { by: "carol@example.com" } } });
    expect(logged).toContainEqual(expect.objectContaining({ event: "state_not_copied", location: "oc" }));
    expect(await near.grants()).toMatchObject([{ id: grant.id }]);
    refusing.mockRestore();
    await asker.crash();
    await runDurableObjectAlarm(asker.object);
    await client.closed;
    expect(await ended(client.sessionId)).toMatchObject({ outcome: "access_ended" });
    expect(await near.grants()).toEqual([]);
  });

  it("do not report what waits: it is listed once", async () => {
    const asker = new Asker();
    await asker.request({ copyTo: ["weur", "oc"] });
    for (const location of ["weur", "oc"] as const) await runDurableObjectAlarm(asker.at(location).object);
    expect(await pendingOf(asker)).toHaveLength(1);
  });

  it("that run older code get what they know at once, and the rest once they are replaced", async () => {
    const asker = new Asker();
    const { request } = await asker.request();
    const answering = (value: unknown) => vi.fn(async () => ({ ok: true, value }));
    const mismatch = { ok: false, error: { code: "contract_mismatch", message: "" } };
    const older = {
      copyState: vi.fn(async (): Promise<unknown> => mismatch),
      lock: answering([]),
      unlock: answering(false),
    };
    await runInDurableObject(asker.object, async (_, { storage: { sql } }) => {
      const copies = new StateCopies({ getByName: () => older } as never, sql, new UserLocks(sql));
      expect(await copies.send(asker.person.user, ["weur"])).toMatchObject({ notReached: [] });
      expect([older.unlock.mock.calls.length, copies.isPending]).toEqual([1, true]);
      older.copyState = answering({ ended: [], wasLocked: false });
      await copies.retry();
      expect(copies.isPending).toBe(false);
      const state = expect.objectContaining({ access: [request] });
      // In the older version, which has the same fields.
      expect(older.copyState).toHaveBeenCalledExactlyOnceWith({ version: CONTRACT_VERSION - 1, state });
    });
  });
});

it("all Kubernetes users of whoever asked are compared, also after the object's restart, and told to nobody", async () => {
  const asker = new Asker();
  const person = { ...asker.person, kubernetesUsers: [asker.person.kubernetesUser, "root"] };
  const { request } = await asker.request({ person, needed: 2 });
  await asker.decide(request.id, { ...BOB, kubernetesUsers: ["bob", "ops"] }, { needed: 2 });
  await abortAllDurableObjects();
  const by = (...kubernetesUsers: string[]) => ({ ...CAROL, kubernetesUsers: ["carol", ...kubernetesUsers] });
  const decide = (who: DecidingPerson) => asker.decide(request.id, who, { needed: 2 });
  await expect(decide(by("Root"))).rejects.toThrow("access_own_request");
  await expect(decide(by("Ops"))).rejects.toThrow("access_already_decided");
  const decided = await decide(by("other"));
  expect(decided.request.active).not.toBeNull();
  expect(JSON.stringify([decided, await asker.list()])).not.toMatch(/kubernetesUsers|root|ops/);
});

describe("a session that was opened with a grant", () => {
  it("ends at once when it is taken back, says why, and its log names the grant", async () => {
    const asker = new Asker();
    const grant = await asker.granted();
    const other = await asker.request({ grant: "other", approvesItself: true });
    const client = await asker.open([grant]);
    expect(await askUserObject(asker.object, "describe", { sessionId: client.sessionId })).toMatchObject({
      grants: ["prod-admin"],
    });
    await asker.end(other.request.id, BOB);
    expect(await askUserObject(asker.object, "describe", { sessionId: client.sessionId })).not.toBeNull();
    expect(await asker.end(grant.id, CAROL, { reason: "over" })).toMatchObject({ ended: [client.sessionId] });
    await client.closed;
    const message = expect.stringMatching(
      /^session ended: the access "prod-admin" was taken back by carol@example\.com at 20.*Z \(over\)$/,
    );
    expect(JSON.parse(client.text(3))).toMatchObject({ kind: "Status", status: "Failure", message });
    expect(await ended(client.sessionId)).toMatchObject({
      ...{ outcome: "access_ended", reason: message, ended_by: null, grants: ["prod-admin"] },
    });
    expect(await brokenLinks(asker.person.user)).toEqual([]);
  });

  it("ends when the first of its grants does", async () => {
    const asker = new Asker();
    const grant = await asker.granted();
    const soon = { id: "another", grant: "staging", until: Date.now() + 1_500 };
    const client = await asker.open([grant, soon]);
    await client.closed;
    expect(Date.now()).toBeGreaterThanOrEqual(soon.until);
    const row = await ended(client.sessionId);
    expect(row).toMatchObject({
      outcome: "access_ended",
      reason: 'session ended: the access "staging" that it was opened with is over; ask for it again',
      grants: ["prod-admin", "staging"],
    });
  });

  it("ends by the lock of its person as any other", async () => {
    const asker = new Asker();
    const client = await asker.open([await asker.granted()]);
    const lock = { user: asker.person.user, by: "admin@example.com", reason: "gone", until: null };
    const locked = await askUserObject(asker.object, "decideLock", { lock, copyTo: [] });
    expect(locked.ended).toEqual([client.sessionId]);
    expect(await ended(client.sessionId)).toMatchObject({ outcome: "terminated" });
  });

  it("does not begin where the edge has not heard yet that it is over", async () => {
    const asker = new Asker();
    const grant = await asker.granted();
    await asker.end(grant.id, BOB);
    const { response, pod, sessionId } = await asker.attempt([grant]);
    await expectStatus(response, "Forbidden", /^the access "prod-admin" was taken back by bob.*ask for it again$/);
    expect(pod.isAsked).toBe(false);
    await eventually(async () =>
      expect(await findSession(env.AUDIT_DB, sessionId)).toMatchObject({ outcome: "refused", grants: ["prod-admin"] }),
    );
    const past = { id: "b", grant: "other", until: Date.now() };
    await expectStatus((await asker.attempt([past])).response, "Forbidden", /^the access "other" is over/);
  });
});

describe("the directory", () => {
  it("lists what waits, until it is decided", async () => {
    const asker = new Asker();
    const [first, second] = [await asker.request(), await asker.request({ grant: "other" })];
    expect(await pendingOf(asker)).toHaveLength(2);
    await asker.decide(first.request.id, BOB, { decision: "deny" });
    expect(await pendingOf(asker)).toEqual([second.request]);
    await asker.end(second.request.id, asker.person);
    expect(await pendingOf(asker)).toEqual([]);
  });

  it("survives its own restart with what it knows, and lists nothing that has expired", async () => {
    const asker = new Asker();
    const { request } = await asker.request();
    await runInDurableObject(directory(), (_, state) => state.abort("crash")).catch(() => {});
    expect(await eventually(() => pendingOf(asker))).toEqual([request]);
    vi.useFakeTimers({ toFake: ["Date"], now: request.expiresAt });
    expect(await pendingOf(asker)).toEqual([]);
  });

  it.each([
    ["hangs", () => new Promise(() => {}) as never],
    [
      "throws",
      () => {
        throw new Error("the directory is broken");
      },
    ],
  ])("that %s keeps nobody from asking and deciding, and hears of it later, also after a crash", async (_, fault) => {
    shortenTimer(1_000, 20);
    shortenTimer(5_000, 40);
    const asker = new Asker();
    const broken = vi.spyOn(Directory.prototype, "reportAccess").mockImplementation(fault);
    const { request } = await asker.request();
    expect(await pendingOf(asker)).toEqual([]);
    await asker.decide(request.id, BOB);
    const { request: waits } = await asker.request({ grant: "other" });
    await eventually(() => expect(logged).toContainEqual(expect.objectContaining({ event: "directory_not_told" })));
    await asker.crash();
    broken.mockRestore();
    expect(await runDurableObjectAlarm(asker.object)).toBe(true);
    expect(await eventually(() => pendingOf(asker))).toEqual([waits]);
  });

  it("that has lost its database knows again within minutes", async () => {
    const asker = new Asker();
    const { request } = await asker.request();
    await runInDurableObject(directory(), (_, { storage: { sql } }) => {
      sql.exec("DELETE FROM pending_access");
      sql.exec("DELETE FROM pending_access_reports");
    });
    await runDurableObjectAlarm(asker.object);
    expect(await pendingOf(asker)).toEqual([]);
    vi.useFakeTimers({ toFake: ["Date"], now: Date.now() + REPORT_AGAIN_MS });
    expect(await runDurableObjectAlarm(asker.object)).toBe(true);
    expect(await pendingOf(asker)).toEqual([request]);
  });

  it("whose database is newer than its code lists nothing, and says so", async () => {
    const restartAfter = async (change: string) => {
      await runInDurableObject(directory(), (_, { storage }) => void storage.sql.exec(change));
      await runInDurableObject(directory(), (_, state) => state.abort("deploy")).catch(() => {});
    };
    await restartAfter(`INSERT INTO schema_migrations (version, applied_at) VALUES (${SCHEMA.length + 1}, 1)`);
    await eventually(async () =>
      expect(await callDirectory(env.DIRECTORY, "listPendingAccess", {})).toMatchObject({
        ok: false,
        error: { code: "object_schema_newer" },
      }),
    );
    await restartAfter(`DELETE FROM schema_migrations WHERE version > ${SCHEMA.length}`);
    await eventually(async () =>
      expect(await callDirectory(env.DIRECTORY, "listPendingAccess", {})).toMatchObject({ ok: true }),
    );
  });
});

describe("the directory's list", () => {
  const request = (id: string, requestedAt: number): AccessRequest => ({
    ...{ id, person: { user: "a@example.com", subject: null, kubernetesUser: "a" }, grant: "prod-admin", minutes: 1 },
    ...{ reason: null, purpose: null, requestedAt, expiresAt: requestedAt + 100, needed: 1, approvals: [] },
    ...{ isSelfApproved: false, ended: null, active: null },
  });
  const withList = (work: (list: OpenAccess) => void, maxKept?: number) =>
    runInDurableObject(new Asker().object, (_, { storage: { sql } }) => work(new OpenAccess(sql, maxKept)));
  const idsOf = (list: OpenAccess, now: number) => list.listPending(now).map(({ id }) => id);

  it("takes a report in place of the object's last, and ignores one that was overtaken", () =>
    withList((list) => {
      list.report({ objectId: "o", at: 10, pending: [request("a", 1), request("b", 2)] }, 10);
      list.report({ objectId: "p", at: 5, pending: [request("c", 3)] }, 10);
      expect(idsOf(list, 10)).toEqual(["c", "b", "a"]);
      list.report({ objectId: "o", at: 12, pending: [] }, 12);
      list.report({ objectId: "o", at: 11, pending: [request("a", 1)] }, 12);
      list.report({ objectId: "o", at: 12, pending: [request("a", 1)] }, 12);
      expect(idsOf(list, 12)).toEqual(["c"]);
      expect(idsOf(list, 103)).toEqual([]);
    }));

  it("has the newest, and keeps no more than it may", () =>
    withList((list) => {
      for (let n = 1; n <= 4; n++) list.report({ objectId: `o${n}`, at: 1, pending: [request(`r${n}`, n)] }, 5);
      expect(idsOf(list, 5)).toEqual(["r4", "r3", "r2"]);
    }, 3));

  it("has what holds apart, until it ends, and a build that knows none of it takes it for expired", () =>
    withList((list) => {
      const active = { ...request("a", 1), active: { since: 2, until: 40 } };
      list.report({ objectId: "o", at: 10, pending: [request("b", 2)], active: [active] }, 10);
      expect(idsOf(list, 10)).toEqual(["b"]);
      const idsOfOpen = (now: number) => list.listOpen(now).map(({ id, until }) => [id, until]);
      expect(idsOfOpen(10)).toEqual([
        ["b", 102],
        ["a", 40],
      ]);
      expect(JSON.parse(list.listOpen(10)[1]?.text ?? "")).toEqual(active);
      expect(idsOfOpen(39)).toHaveLength(2);
      expect(idsOfOpen(40)).toEqual([["b", 102]]);
      // A report of another object's forgets what is over, and nothing else.
      list.report({ objectId: "p", at: 10, pending: [] }, 39);
      expect(idsOfOpen(10)).toHaveLength(2);
      list.report({ objectId: "p", at: 11, pending: [] }, 40);
      expect(idsOfOpen(10)).toEqual([["b", 102]]);
      list.report({ objectId: "o", at: 11, pending: [] }, 41);
      expect(idsOfOpen(10)).toEqual([]);
    }));

  it("keeps and tells what waits before what holds", () =>
    withList((list) => {
      const holds = (id: string) => ({ ...request(id, 9), active: { since: 9, until: 90 } });
      list.report({ objectId: "o", at: 1, pending: [request("a", 1)], active: [holds("h1"), holds("h2")] }, 9);
      list.report({ objectId: "p", at: 1, pending: [request("b", 2)] }, 9);
      expect(list.listOpen(9).map(({ id }) => id)).toEqual(["b", "a", expect.stringMatching(/^h[12]$/)]);
    }, 3));

  it("is at most 500 long", () =>
    withList((list) => {
      for (let n = 0; n < 51; n++) {
        const pending = Array.from({ length: 10 }, (_, i) => request(`r${n}-${i}`, 10 * n + i));
        list.report({ objectId: `o${n}`, at: 1, pending }, 1);
      }
      const ids = idsOf(list, 1);
      expect([ids.length, ids[0]]).toEqual([500, "r50-9"]);
    }));
});

describe("what listens for a request", () => {
  it("hears of each change, own or copied, once it is written, and of nothing else", async () => {
    const asker = new Asker();
    const { request } = await asker.request();
    const changed = {
      ...request,
      approvals: [{ by: "b", subject: null, kubernetesUser: "b", at: 1, reason: null, minutes: 1 }],
    };
    await runInDurableObject(asker.at("weur").object, (_, { storage: { sql } }) => {
      const locks = new UserLocks(sql);
      const heard: [AccessRequest, AccessRequest | undefined][] = [];
      const stop = locks.access.onChange((one) => void heard.push([one, new AccessRequests(sql).find(one.id)]));
      const state = { lock: null, accessReason: null };
      locks.takeCopy({ version: 1, ...state, access: [request] });
      locks.takeCopy({ version: 2, ...state, access: [JSON.parse(JSON.stringify(request))] });
      locks.takeCopy({ version: 3, ...state, access: [changed] });
      locks.takeCopy({ version: 2, ...state, access: [request] });
      locks.takeCopy({ version: 4, ...state, access: [] });
      expect(heard).toEqual([
        [request, request],
        [changed, changed],
      ]);
      stop();
      locks.takeCopy({ version: 5, ...state, access: [request] });
      expect(heard).toHaveLength(2);
    });
  });
});

describe("reports to the directory", () => {
  it("say what waits and what holds, the latter by a version that directories before it refuse", async () => {
    const sent = vi.spyOn(Directory.prototype, "reportAccess");
    const asker = new Asker();
    const { request } = await asker.request();
    const { request: granted } = await asker.decide(request.id, BOB);
    const { request: waits } = await asker.request({ grant: "other" });
    await asker.end(request.id, asker.person);
    const reports = sent.mock.calls.map(([report]) => report as { readonly pending: AccessRequest[] });
    expect(reports).toMatchObject([
      { version: CONTRACT_VERSION - 1, pending: [request] },
      { version: CONTRACT_VERSION, pending: [], active: [granted] },
      { version: CONTRACT_VERSION, pending: [waits], active: [granted] },
      { version: CONTRACT_VERSION - 1, pending: [waits] },
    ]);
    expect(reports.map((report) => "active" in report)).toEqual([false, true, true, false]);
  });

  it("leave out what holds for a directory that still runs the version before", async () => {
    const asker = new Asker();
    const reports: unknown[] = [];
    const older = Directory.prototype.reportAccess;
    vi.spyOn(Directory.prototype, "reportAccess").mockImplementation(function (this: Directory, report) {
      const { version, ...fields } = report as { readonly version: number };
      reports.push(fields);
      if (version === CONTRACT_VERSION) return refuseMismatch("reportAccess", "version 7 instead of 5 or 6");
      return older.call(this, report);
    });
    await asker.granted();
    const { request } = await asker.request({ grant: "other" });
    expect(reports.map((report) => "active" in (report as object))).toEqual([false, true, false, true, false]);
    expect(await pendingOf(asker)).toEqual([request]);
  });

  it("are sent again while something holds", async () => {
    const asker = new Asker();
    await asker.granted();
    const sent = vi.spyOn(Directory.prototype, "reportAccess");
    await runDurableObjectAlarm(asker.object);
    expect(sent).not.toHaveBeenCalled();
    vi.useFakeTimers({ toFake: ["Date"], now: Date.now() + REPORT_AGAIN_MS });
    expect(await runDurableObjectAlarm(asker.object)).toBe(true);
    await eventually(() => expect(sent).toHaveBeenCalled());
  });

  it("are later than any before, and one that failed does not take the place of a newer one", async () => {
    const sent: number[] = [];
    let answer = () => Promise.resolve<unknown>(null);
    await runInDurableObject(new Asker().object, async (_, { storage: { sql } }) => {
      const make = () =>
        new AccessReporter({
          ...{ objectId: "o", sql, requests: () => [], ringWithin: () => {}, now: () => 1_000 },
          send: ({ at }) => {
            sent.push(at);
            return answer();
          },
        });
      await make().onAlarm();
      expect(sent).toEqual([]);
      await make().report();
      answer = () => Promise.reject(new Error("away"));
      await make().report();
      answer = () => Promise.resolve(null);
      await make().onAlarm();
      await make().onAlarm();
    });
    expect(sent).toEqual([1_000, 1_001, 1_001]);
  });

  it("that are taken late do not count for a newer one, which is sent again", async () => {
    const sent: number[] = [];
    const late = Promise.withResolvers<unknown>();
    const answers = [() => late.promise, () => Promise.reject(new Error("away"))];
    await runInDurableObject(new Asker().object, async (_, { storage: { sql } }) => {
      const reporter = new AccessReporter({
        ...{ objectId: "o", sql, requests: () => [], ringWithin: () => {}, now: () => 1_000 },
        send: ({ at }) => {
          sent.push(at);
          return answers.shift()?.() ?? Promise.resolve(null);
        },
      });
      const first = reporter.report();
      await reporter.report();
      late.resolve(null);
      await first;
      await reporter.onAlarm();
      await reporter.onAlarm();
    });
    expect(sent).toEqual([1_000, 1_001, 1_001]);
  });
});

it("whatever stops the objects, a grant is in force again when they start", async () => {
  const asker = new Asker();
  const grant = await asker.granted(["weur"]);
  await abortAllDurableObjects();
  for (const one of [asker, asker.at("weur")]) expect(await eventually(() => one.grants())).toEqual([grant]);
});
