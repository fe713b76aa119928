/** What is decided about a person: in one of the person's objects, and copied to the others. */
import { abortAllDurableObjects, runDurableObjectAlarm, runInDurableObject } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { LOCATION_HINTS, userObjectName } from "../../contract/placement.ts";
import { StateCopies } from "../../durable/state-copies.ts";
import { PendingCopies } from "../../durable/storage/pending-copies.ts";
import { SCHEMA } from "../../durable/storage/schema.ts";
import { UserLocks } from "../../durable/storage/user-locks.ts";
import { eventually } from "../support/eventually.ts";
import { askUserObject } from "./ask-user-object.ts";
import { Client } from "./client.ts";
import { admin, as, directlyAs, someone, UPGRADE } from "./people.ts";
import { Puppet } from "./puppet.ts";
import { shortenTimer } from "./timers.ts";
import { lockEventsOf } from "./user-events.ts";

type Stub = ReturnType<typeof env.USER_SESSIONS.getByName>;

let logged: Record<string, unknown>[];
beforeEach(() => {
  logged = [];
  vi.spyOn(console, "error").mockImplementation((line: string) => void logged.push(JSON.parse(line)));
});
afterEach(() => void vi.restoreAllMocks());

const locks = (email: string) => `/-/admin/locks/${email}`;
const lockUser = (email: string, reason = "gone") =>
  as(admin, locks(email), { method: "PUT", body: JSON.stringify({ reason }) });
const unlockUser = (email: string) => as(admin, `${locks(email)}?reason=back`, { method: "DELETE" });
/** A stub is of no use after its object was aborted, so each use takes a new one. */
const objectOf = (email: string, location: (typeof LOCATION_HINTS)[number] | null = null): Stub =>
  env.USER_SESSIONS.getByName(userObjectName(email, location));

/** Makes an object refuse everything, as one does that a newer build has used. */
async function breakObject(email: string, location: (typeof LOCATION_HINTS)[number]): Promise<void> {
  await runInDurableObject(objectOf(email, location), (_, { storage }) => {
    storage.sql.exec("INSERT INTO schema_migrations (version, applied_at) VALUES (?, 1)", SCHEMA.length + 1);
  });
  await abortAllDurableObjects();
}

async function repairObject(email: string, location: (typeof LOCATION_HINTS)[number]): Promise<void> {
  await runInDurableObject(objectOf(email, location), (_, { storage }) => {
    storage.sql.exec("DELETE FROM schema_migrations WHERE version > ?", SCHEMA.length);
  });
  await abortAllDurableObjects();
}

function pendingOf(email: string): Promise<string[]> {
  return runInDurableObject(objectOf(email), (_, { storage }) =>
    new PendingCopies(storage.sql).all.map(({ location_hint }) => location_hint),
  );
}

const currentLock = (object: Stub) => askUserObject(object, "currentLock", {});

describe("an object that a decision does not reach", () => {
  it("is named in the answer, does not keep the others from it, and gets it later, also after a crash", async () => {
    const { email } = someone();
    await breakObject(email, "oc");
    const locked = await eventually(async () => {
      const response = await lockUser(email);
      expect(response.status).toBe(200);
      return response.json();
    });
    expect(locked).toMatchObject({ locked: true, notReached: ["oc"] });
    expect(logged).toContainEqual(
      expect.objectContaining({ event: "state_not_copied", location: "oc", error: "object_schema_newer" }),
    );
    expect(await currentLock(objectOf(email))).toMatchObject({ reason: "gone" });
    expect(await currentLock(objectOf(email, "weur"))).toMatchObject({ reason: "gone" });
    expect(await pendingOf(email)).toEqual(["oc"]);
    expect(await (await as(admin, locks(email))).json()).toMatchObject({ locked: true, notReached: ["oc"] });

    // Still away: the alarm tries, and is set again.
    expect(await runDurableObjectAlarm(objectOf(email))).toBe(true);
    expect(await pendingOf(email)).toEqual(["oc"]);
    await repairObject(email, "oc");
    expect(await runDurableObjectAlarm(objectOf(email))).toBe(true);
    expect(await pendingOf(email)).toEqual([]);
    expect(await currentLock(objectOf(email, "oc"))).toMatchObject({ reason: "gone" });
    expect(await (await as(admin, locks(email))).json()).toMatchObject({ locked: true, notReached: [] });
    expect((await lockEventsOf(email, 1)).map(({ type }) => type)).toEqual(["lock"]);
  });

  it("gets what holds by then, and nothing that was decided before", async () => {
    const { email } = someone();
    await breakObject(email, "afr");
    await eventually(async () => expect((await lockUser(email)).status).toBe(200));
    expect(await (await unlockUser(email)).json()).toEqual({ user: email, locked: false, notReached: ["afr"] });
    await repairObject(email, "afr");
    await runDurableObjectAlarm(objectOf(email));
    expect(await currentLock(objectOf(email, "afr"))).toBeNull();
    const [decided, copied] = await Promise.all(
      [objectOf(email), objectOf(email, "afr")].map((object) => askUserObject(object, "readState", {})),
    );
    expect(copied).toEqual(decided);
  });

  it("is waited for for three seconds", async () => {
    shortenTimer(3_000, 30);
    const hanging = { getByName: () => ({ copyState: () => new Promise(() => {}) }) };
    const answer = await runInDurableObject(objectOf(someone().email), (_, { storage: { sql } }) =>
      new StateCopies(hanging as never, sql, new UserLocks(sql)).send("alice@example.com", ["weur"]),
    );
    expect(setTimeout).toHaveBeenCalledWith(expect.any(Function), 3_000);
    expect(answer).toEqual({ ended: [], wasLocked: false, notReached: ["weur"] });
  });

  it("gets a stated reason later, too", async () => {
    const person = someone();
    await breakObject(person.email, "weur");
    const clusters = [
      { name: "one", hostnames: ["one.example.com"], binding: "KUBE_API" },
      { name: "two", hostnames: ["two.example.com"], binding: "KUBE_API", locationHint: "weur" as const },
    ];
    const rules = [{ name: "why", match: { kinds: ["exec" as const] }, action: "allow" as const, requireReason: true }];
    const config = { cluster: undefined, clusters, rules };
    const ask = (host: string, path: string, init: RequestInit) =>
      directlyAs(person, path, init, { config, host: `https://${host}` });
    const stated = await eventually(async () => {
      const response = await ask("one.example.com", "/-/reason", { method: "POST", body: "INC-1" });
      expect(response.status).toBe(200);
      return response.json();
    });
    expect(stated).toMatchObject({ reason: "INC-1", notReached: ["weur"] });
    await repairObject(person.email, "weur");
    await runDurableObjectAlarm(objectOf(person.email));
    (await Client.open(ask("two.example.com", (await Puppet.make()).path(), { headers: UPGRADE }))).close();
  });
});

describe("a copy", () => {
  const lockOf = (user: string, reason: string) => ({ user, by: "admin@example.com", reason, until: null });

  it("never takes the place of a newer one, however late it comes", async () => {
    const { email } = someone();
    const object = objectOf(email, "weur");
    const copy = (version: number, lock: ReturnType<typeof lockOf> | null) =>
      askUserObject(object, "copyState", { state: { version, lock, accessReason: null, access: [] } });
    expect(await copy(20, null)).toEqual({ ended: [], wasLocked: false });
    expect(await copy(10, lockOf(email, "older"))).toEqual({ ended: [], wasLocked: false });
    expect(await currentLock(object)).toBeNull();
    await copy(30, lockOf(email, "newer"));
    expect(await copy(20, null)).toEqual({ ended: [], wasLocked: true });
    expect(await copy(30, lockOf(email, "the same again"))).toEqual({ ended: [], wasLocked: true });
    expect(await currentLock(object)).toMatchObject({ reason: "newer" });
    expect(await askUserObject(object, "readState", {})).toMatchObject({ version: 30 });
  });

  it("is confirmed for the version that was sent, and not for one that was decided meanwhile", async () => {
    await runInDurableObject(objectOf(someone().email), (_, { storage: { sql } }) => {
      const pending = new PendingCopies(sql);
      pending.add("alice@example.com", ["weur", "oc"], 5);
      pending.add("alice@example.com", ["weur"], 7);
      pending.remove("weur", 5);
      pending.remove("oc", 5);
      expect(pending.all).toEqual([{ user: "alice@example.com", location_hint: "weur" }]);
    });
  });

  it("goes to an object with older code as the frozen command that it knows", async () => {
    const { email } = someone();
    const calls: [string, unknown][] = [];
    const answering = (method: string, value: unknown) => async (argument: unknown) => {
      calls.push([method, argument]);
      return { ok: true, value };
    };
    const older = {
      copyState: async () => Promise.reject(new TypeError('The RPC receiver does not implement "copyState"')),
      lock: answering("lock", ["s"]),
      unlock: answering("unlock", true),
    };
    await runInDurableObject(objectOf(email), async (_, { storage: { sql } }) => {
      const userLocks = new UserLocks(sql);
      const copies = new StateCopies({ getByName: () => older } as never, sql, userLocks);
      userLocks.setLock(lockOf(email, "gone"));
      expect(await copies.send(email, ["weur"])).toEqual({ ended: ["s"], wasLocked: false, notReached: [] });
      userLocks.removeLock();
      expect(await copies.send(email, ["weur"])).toEqual({ ended: [], wasLocked: true, notReached: [] });
    });
    expect(calls).toEqual([
      ["lock", expect.objectContaining({ lock: lockOf(email, "gone"), isAudited: false })],
      ["unlock", expect.objectContaining({ user: email, isAudited: false })],
    ]);
  });
});

describe("the version", () => {
  it("grows with each decision, also in one millisecond, and after a restore of an older database", async () => {
    await runInDurableObject(objectOf(someone().email), (_, { storage: { sql } }) => {
      const userLocks = new UserLocks(sql);
      const versions = [1_000, 1_000, 500, 5_000].map((now) => {
        userLocks.advanceVersion(now);
        return userLocks.version;
      });
      expect(versions).toEqual([1_000, 1_001, 1_002, 5_000]);
      sql.exec("DELETE FROM state_version");
      userLocks.advanceVersion(6_000);
      expect(userLocks.version).toBe(6_000);
    });
  });

  it("is the same in all of the person's objects once a decision is answered", async () => {
    const { email } = someone();
    await lockUser(email);
    const states = await Promise.all(
      [null, ...LOCATION_HINTS].map((location) => askUserObject(objectOf(email, location), "readState", {})),
    );
    expect(new Set(states.map(({ version }) => version)).size).toBe(1);
    expect(states[0]?.version).toBeGreaterThan(0);
  });
});

describe("an unlock", () => {
  it("also lifts a lock that only another object has, and is in the audit log where there was one here", async () => {
    const { email } = someone();
    const lock = { user: email, by: "admin@example.com", reason: "half", until: null };
    await askUserObject(objectOf(email, "weur"), "lock", { lock, isAudited: false });
    expect((await unlockUser(email)).status).toBe(200);
    expect(await currentLock(objectOf(email, "weur"))).toBeNull();
    expect((await unlockUser(email)).status).toBe(404);
  });
});
