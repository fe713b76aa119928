/** `GET /-/access/live`: who is told of which requests for access, and when it ends for them. */
import { runInDurableObject } from "cloudflare:test";
import { env } from "cloudflare:workers";
import type { JWTPayload } from "jose";
import { afterEach, describe, expect, it, vi } from "vitest";
import { DIRECTORY_NAME } from "../../contract/directory.ts";
import { MAX_STREAMS_PER_PERSON } from "../../durable/directory/live-streams.ts";
import { type AccessRecordJson, accessRecord } from "../../worker/api/schemas/live.ts";
import type { ConfigInput } from "../../worker/config/schema.ts";
import { eventually } from "../support/eventually.ts";
import { inAnHour, knownEdge } from "./known-edge.ts";
import { as, admin as defaultAdmin, directlyAs, handlerAs, someone } from "./people.ts";
import { expectApiDenial } from "./statuses.ts";
import { StreamReader } from "./stream-reader.ts";
import { changeTimers } from "./timers.ts";

const LIVE = "/-/access/live";
const EVERYBODY = [{ emailDomain: "example.com" }];
const LEADS = { groups: ["leads"] };
const CONFIG = {
  identities: [
    { match: { email: "admin@example.com" }, groups: ["developers"], roles: ["admin"] },
    { match: { email: "auditor@example.com" }, roles: ["auditor"] },
    { match: { emailDomain: "example.com" }, groups: ["developers"] },
  ],
  grants: [
    { name: "prod", for: EVERYBODY, gives: { groups: ["prod-admins"] }, approvers: LEADS, maxMinutes: 60 },
    { name: "other", for: EVERYBODY, gives: { groups: ["others"] }, approvers: { groups: ["others"] }, maxMinutes: 60 },
  ],
} satisfies Partial<ConfigInput>;
const admin: JWTPayload = { email: "admin@example.com", sub: "uid-admin" };
const auditor: JWTPayload = { email: "auditor@example.com", sub: "uid-auditor" };
const inGroup = (group: string) => ({ ...someone(), custom: { groups: [group] } });

afterEach(() => void vi.restoreAllMocks());

class Reader extends StreamReader<AccessRecordJson> {
  constructor(response: Response) {
    super(response, accessRecord);
  }

  /** The states of what is open, by the person who asked. */
  get open(): Readonly<Record<string, string>> {
    const open = new Map<string, { readonly user: string; readonly state: string }>();
    for (const record of this.records) {
      if (record.type === "requests") for (const request of record.requests) open.set(request.id, request);
      if (record.type === "over") for (const id of record.ids) open.delete(id);
    }
    return Object.fromEntries([...open.values()].map(({ user, state }) => [user, state]));
  }

  /** Whether anything that this person is named by was ever told. */
  mentions({ email, sub }: { readonly email: string; readonly sub: string }): boolean {
    return this.text.includes(email) || this.text.includes(sub);
  }
}

const call = (who: JWTPayload, path: string, init: RequestInit = {}) => handlerAs(who, { config: CONFIG })(path, init);

async function streamOf(who: JWTPayload, headers: Record<string, string> = {}): Promise<Reader> {
  const response = await call(who, LIVE, { headers });
  expect(response.status).toBe(200);
  return new Reader(response);
}

async function ask(who: JWTPayload, grant = "prod"): Promise<string> {
  const response = await call(who, `/-/access?grant=${grant}`, { method: "POST", body: "INC-17" });
  const { id } = await response.json<{ id: string }>();
  expect(response.status).toBe(200);
  return id;
}

const decide = async (who: JWTPayload, id: string, decision = "approve") => {
  const body = JSON.stringify({ decision });
  expect((await call(who, `/-/approvals/${id}`, { method: "POST", body })).status).toBe(200);
};
const revoke = async (who: JWTPayload, id: string) =>
  expect((await call(who, `/-/grants/${id}`, { method: "DELETE" })).status).toBe(200);

describe("the stream of requests for access", () => {
  it("tells an approver of each that they may decide about, from the request to its end", async () => {
    const [early, late] = [someone(), someone()];
    await ask(early);
    const lead = inGroup("leads");
    const reader = await streamOf(lead);
    await eventually(() => expect(reader.open).toMatchObject({ [early.email]: "pending" }));
    expect(reader.records[0]).toMatchObject({ type: "requests" });
    const id = await ask(late);
    await eventually(() => expect(reader.open).toMatchObject({ [late.email]: "pending" }));
    const shown = reader.records
      .flatMap((record) => (record.type === "requests" ? record.requests : []))
      .find((request) => request.id === id);
    // As the lists show it to this reader.
    expect(shown).toEqual(await (await call(lead, `/-/approvals/${id}`)).json());
    expect(shown).toMatchObject({ mayDecide: ["approve", "deny"], reason: "INC-17" });
    await decide(lead, id);
    await eventually(() => expect(reader.open).toMatchObject({ [late.email]: "active" }));
    await revoke(lead, id);
    await eventually(() => expect(Object.keys(reader.open)).not.toContain(late.email));
    expect(reader.open).toMatchObject({ [early.email]: "pending" });
    expect(reader.isOver).toBe(false);
    await reader.leave();
  });

  it("tells whoever asked of their own alone, from the request to its end", async () => {
    const [person, other] = [someone(), someone()];
    const reader = await streamOf(person);
    // The first record says that these are all: none.
    await eventually(() => expect(reader.records).toEqual([{ type: "requests", requests: [] }]));
    await ask(other);
    const id = await ask(person);
    await eventually(() => expect(reader.open).toEqual({ [person.email]: "pending" }));
    await decide(inGroup("leads"), id);
    await eventually(() => expect(reader.open).toEqual({ [person.email]: "active" }));
    await revoke(person, id);
    await eventually(() => expect(reader.open).toEqual({}));
    expect(reader.mentions(other)).toBe(false);
    await reader.leave();
  });

  it("tells nobody of what they may not see, nor of its id when it is over", async () => {
    const person = someone();
    const approverOfOther = inGroup("others");
    const before = await ask(person);
    const readers = await Promise.all([approverOfOther, someone()].map((who) => streamOf(who)));
    for (const reader of readers) await eventually(() => expect(reader.records).toHaveLength(1));
    await decide(inGroup("leads"), before, "deny");
    const id = await ask(person);
    const others = await ask(person, "other");
    // The one that may be seen comes after all that may not.
    await eventually(() => expect(readers[0]?.open).toEqual({ [person.email]: "pending" }));
    await decide(inGroup("leads"), id);
    await revoke(person, id);
    await revoke(person, others);
    await eventually(() => expect(readers[0]?.open).toEqual({}));
    expect(readers[0]?.text).not.toContain(before);
    expect(readers[0]?.text).not.toContain(id);
    expect(readers[1]?.records).toEqual([{ type: "requests", requests: [] }]);
    for (const reader of readers) await reader.leave();
  });

  it("tells auditors and administrators of all, whom alone nothing lets decide", async () => {
    const person = someone();
    const readers = await Promise.all([admin, auditor].map((who) => streamOf(who)));
    const id = await ask(person);
    for (const reader of readers) {
      await eventually(() => expect(reader.open).toMatchObject({ [person.email]: "pending" }));
      const requests = reader.records.flatMap((record) => (record.type === "requests" ? record.requests : []));
      expect(requests.find((request) => request.id === id)).toMatchObject({ mayDecide: [] });
      await reader.leave();
    }
  });

  it("is of events for a browser, and works while D1 is away", async () => {
    const person = someone();
    await ask(person);
    const away = { prepare: () => expect.unreachable(), batch: () => expect.unreachable() };
    const headers = { Accept: "text/event-stream" };
    const response = await directlyAs(person, LIVE, { headers }, { config: CONFIG, bindings: { AUDIT_DB: away } });
    expect(response.headers.get("content-type")).toBe("text/event-stream");
    const reader = new Reader(response);
    await eventually(() => expect(reader.open).toEqual({ [person.email]: "pending" }));
    expect(reader.text).toMatch(/^(data: \{.*\}\n\n)+$/);
    await reader.leave();
  });

  it("shows no control characters of whoever asks", async () => {
    const person = someone();
    await call(person, "/-/access?grant=prod", { method: "POST", body: "a\u001B]0;x\u0007\u009Bb" });
    const reader = await streamOf(person);
    await eventually(() => expect(reader.open).toEqual({ [person.email]: "pending" }));
    expect(reader.text).not.toMatch(/[^\P{C}\n]/u);
    await reader.leave();
  });
});

describe("it is refused", () => {
  it("to pages of other sites, which would take the places of whoever visits them", async () => {
    const person = someone();
    const headers = { "Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "no-cors" };
    await expectApiDenial(await call(person, LIVE, { headers }), "cross_site", /another site/);
    const own = await streamOf(person, { "Sec-Fetch-Site": "same-origin" });
    await eventually(() => expect(own.records).toHaveLength(1));
    await own.leave();
  });

  it("to whoever has too many, apart from streams of live sessions", async () => {
    const one = { ...admin, email: `admin-${crypto.randomUUID()}@example.com` };
    const config = { ...CONFIG, identities: [{ match: { emailDomain: "example.com" }, roles: ["admin" as const] }] };
    const open = (path: string) => directlyAs(one, path, {}, { config });
    const readers = [];
    for (let n = 0; n < MAX_STREAMS_PER_PERSON; n++) readers.push(new Reader(await open(LIVE)));
    await expectApiDenial(await open(LIVE), "too_many_watchers", /5 streams of requests for access .* close one$/);
    const sessions = await open("/-/admin/live");
    expect(sessions.status).toBe(200);
    await sessions.body?.cancel();
    for (const reader of readers) await reader.leave();
  });

  it("by a directory of an earlier version, whose lists are named", async () => {
    vi.spyOn(console, "warn").mockImplementation(() => {});
    const DIRECTORY = { getByName: () => ({ fetch: () => Promise.reject(new Error("the directory is broken")) }) };
    const refused = await directlyAs(someone(), LIVE, {}, { config: CONFIG, bindings: { DIRECTORY } });
    await expectApiDenial(refused, "directory_unavailable", /\/-\/access and \/-\/approvals list them$/);
  });
});

describe("it ends", () => {
  /** What the edge does every few seconds, at once. */
  const hurry = () => changeTimers(new Map([[4_000, 20]]));

  it("when its reader may decide about fewer, or about more, and not before", async () => {
    hurry();
    for (const [before, after] of [
      [["leads"], []],
      [[], ["leads"]],
      [["leads"], ["leads", "others"]],
    ]) {
      const known = { groups: before as string[] };
      const reader = new Reader(await knownEdge({ ...someone(), exp: inAnHour() }, known, CONFIG)(LIVE));
      await eventually(() => expect(reader.records.length).toBeGreaterThan(0));
      // Several looks later it is still open: a group that decides about nothing changes nothing.
      known.groups = [...known.groups, "runners"];
      await new Promise((resolve) => setTimeout(resolve, 200));
      expect(reader.isOver).toBe(false);
      known.groups = after as string[];
      await eventually(() => expect(reader.isOver).toBe(true));
      // Broken off: nobody takes it for all.
      expect(reader.error).toBeDefined();
    }
  });

  it("when its reader is locked", async () => {
    const person = someone();
    const reader = await streamOf(person);
    await eventually(() => expect(reader.records).toHaveLength(1));
    const lock = await as(defaultAdmin, `/-/admin/locks/${person.email}?reason=drill`, { method: "PUT" });
    expect(lock.status).toBe(200);
    await eventually(() => expect(reader.isOver).toBe(true));
  });

  it("when the sign-in is over", async () => {
    hurry();
    const exp = Math.floor(Date.now() / 1_000) + 2;
    const reader = new Reader(await knownEdge({ ...someone(), exp }, { groups: [] }, CONFIG)(LIVE));
    await eventually(() => expect(reader.records).toHaveLength(1));
    await eventually(() => expect(reader.isOver).toBe(true));
  });

  it("with the directory, which tells all again to whoever comes back", async () => {
    const person = someone();
    await ask(person);
    const reader = await streamOf(person);
    await eventually(() => expect(reader.open).toEqual({ [person.email]: "pending" }));
    const directory = env.DIRECTORY.getByName(DIRECTORY_NAME);
    await runInDurableObject(directory, (_, state) => state.abort("deploy")).catch(() => {});
    await eventually(() => expect(reader.isOver).toBe(true));
    expect(reader.error).toBeDefined();
    const again = await eventually(() => streamOf(person));
    await eventually(() => expect(again.open).toEqual({ [person.email]: "pending" }));
    await again.leave();
  });
});
