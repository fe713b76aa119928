/** Locks: how an administrator keeps a user out. */
import { abortAllDurableObjects } from "cloudflare:test";
import { describe, expect, it, onTestFinished, vi } from "vitest";
import type { ConfigInput } from "../../worker/config/schema.ts";
import { eventually } from "../support/eventually.ts";
import { Client } from "./client.ts";
import { admin, alice, as, directlyAs, handlerAs, someone, UPGRADE, upgrade } from "./people.ts";
import { expectApiDenial, readStatus } from "./statuses.ts";
import { lockEventsOf } from "./user-events.ts";

const SILENT = "/api/v1/namespaces/demo/pods/silent/exec?command=sh";
const locks = (email: string) => `/-/admin/locks/${email}`;
const body = (value: object): RequestInit => ({ body: JSON.stringify(value) });

describe("a lock", () => {
  it("ends the user's sessions, refuses new ones until it is lifted, and is in the audit log", async () => {
    const person = someone();
    const client = await Client.open(upgrade(person, SILENT));
    const locked = await as(admin, locks(person.email.toUpperCase()), {
      method: "PUT",
      ...body({ reason: "stolen laptop" }),
    });
    expect(await locked.json()).toEqual({
      ...{ user: person.email, locked: true, by: "admin@example.com", reason: "stolen laptop", until: null },
      ...{ ended: [client.sessionId], notReached: [] },
    });
    expect(client.text(3)).toContain("session terminated by admin@example.com: stolen laptop");
    expect(await readStatus(await upgrade(person, SILENT))).toEqual({
      ...{ code: 403, reason: "Forbidden" },
      message: `${person.email} is locked by admin@example.com, and administrators can lift it: stolen laptop`,
    });
    expect((await as(admin, locks(person.email))).status).toBe(200);

    expect((await as(admin, `${locks(person.email)}?reason=found`, { method: "DELETE" })).status).toBe(200);
    expect((await as(admin, locks(person.email))).status).toBe(404);
    expect((await as(admin, locks(person.email), { method: "DELETE" })).status).toBe(404);
    (await Client.open(upgrade(person, SILENT))).close();
    expect(await lockEventsOf(person.email, 2)).toEqual([
      { type: "lock", user: person.email, by: "admin@example.com", reason: "stolen laptop", until: null },
      { type: "unlock", user: person.email, by: "admin@example.com", reason: "found" },
    ]);
  });

  it("is not lifted by its own administrator, nor is anybody locked, by an isolate that has not heard of it", async () => {
    const [other, third] = [someone(), someone()];
    const identities = [{ match: { email: other.email }, roles: ["admin" as const] }];
    const isolate = handlerAs(other, { config: { identities } });
    expect((await isolate(locks(third.email))).status).toBe(404);
    expect((await as(admin, locks(other.email), { method: "PUT", ...body({ reason: "stolen" }) })).status).toBe(200);
    for (const [email, method] of [
      [other.email, "DELETE"],
      [third.email, "PUT"],
    ] as const) {
      await expectApiDenial(await isolate(locks(email), { method }), "user_locked", /is locked by admin@.*stolen$/);
    }
    expect((await as(admin, locks(other.email))).status).toBe(200);
    expect((await as(admin, locks(third.email))).status).toBe(404);
    expect((await as(admin, locks(other.email), { method: "DELETE" })).status).toBe(200);
    expect((await isolate(locks(third.email), { method: "PUT" })).status).toBe(200);
  });

  it("survives a restart of its object, and expires by itself", async () => {
    const person = someone();
    await as(admin, locks(person.email), { method: "PUT", ...body({ reason: "drill", minutes: 1 }) });
    await abortAllDurableObjects();
    // The edge's first call may still go to the object that was ended, and fail.
    const refused = await eventually(async () => {
      const response = await upgrade(person, SILENT);
      expect(response.status).toBe(403);
      return readStatus(response);
    });
    expect(refused.message).toMatch(
      / is locked until \d{4}-.*Z by admin@example.com, and administrators can lift it: drill$/,
    );
    onTestFinished(() => void vi.useRealTimers());
    vi.useFakeTimers({ toFake: ["Date"], now: Date.now() + 61_000 });
    (await Client.open(directlyAs(person, SILENT, { headers: UPGRADE }, {}))).close();
  });

  it.each([
    ["minutes that are no number", { minutes: "soon" }],
    ["0 minutes", { minutes: 0 }],
    ["more than a year", { minutes: 1e9 }],
    ["a reason that is no string", { reason: {} }],
  ])("is refused with %s", async (_, command) => {
    const person = someone();
    expect((await as(admin, locks(person.email), { method: "PUT", ...body(command) })).status).toBe(400);
    expect((await as(admin, locks(person.email))).status).toBe(404);
  });

  it("is set and lifted by administrators alone; auditors see it", async () => {
    const person = someone();
    for (const method of ["GET", "PUT", "DELETE"]) {
      expect((await as(alice, locks(person.email), { method })).status).toBe(403);
    }
    const config = {
      identities: [{ match: { email: "alice@example.com" }, roles: ["auditor"] }],
    } satisfies Partial<ConfigInput>;
    const asAuditor = (method: string) => directlyAs(alice, locks(person.email), { method }, { config });
    expect((await asAuditor("GET")).status).toBe(404);
    expect((await asAuditor("PUT")).status).toBe(403);
    expect((await asAuditor("DELETE")).status).toBe(403);
  });
});

describe("a command about a name that nobody can have", () => {
  it.each(["alice@example.com%20weur", "%20", "a%09b", "a%0Ab", "%C3%A9@example.com"])(
    "is refused: %s",
    async (name) => {
      for (const method of ["GET", "PUT", "DELETE"]) {
        expect((await as(admin, locks(name), { method })).status).toBe(400);
      }
      expect((await as(admin, `/-/admin/users/${name}/sessions`, { method: "DELETE" })).status).toBe(400);
    },
  );
});
