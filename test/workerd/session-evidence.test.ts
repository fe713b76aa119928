/**
 * What proves a session: its place in the chain, parts of its recording, who approved it, and what its person
 * did.
 */
import { env } from "cloudflare:workers";
import { describe, expect, it, vi } from "vitest";
import type { SessionEvent } from "../../audit/events.ts";
import type { RequestStart } from "../../audit/request-events.ts";
import { recordingKey } from "../../contract/recording.ts";
import type { ConfigInput } from "../../worker/config/schema.ts";
import { eventually } from "../support/eventually.ts";
import { ended, write } from "./audit-rows.ts";
import { Client } from "./client.ts";
import { admin, alice, as, bob, directlyAs, someone, upgrade } from "./people.ts";
import { sessionEvents } from "./session-events.ts";
import { expectApiDenial } from "./statuses.ts";

type Person = ReturnType<typeof someone>;

const PODS = "/api/v1/namespaces/demo/pods";
const sessionPath = (id: string) => `/-/admin/sessions/${id}`;

async function endedSession(person: Person): Promise<string> {
  const client = await Client.open(upgrade(person, `${PODS}/exit-3/exec?command=sh`));
  await ended(client.sessionId);
  return client.sessionId;
}

interface Chained {
  readonly sessionId: string;
  readonly seq: number;
  readonly prevHash: string;
  readonly hash: string;
  readonly raw: string;
}
interface Chain {
  readonly events: Chained[];
  readonly previous: Chained | null;
  readonly next: Chained | null;
  readonly isFirst: boolean;
}

async function chainOf(id: string): Promise<Chain> {
  const response = await as(admin, `${sessionPath(id)}/chain`);
  expect(response.status).toBe(200);
  return response.json();
}

/** As a browser does it. */
async function hashOf({ raw }: Chained): Promise<string> {
  const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", new TextEncoder().encode(raw)));
  return [...digest].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}

describe("a session's place in the chain", () => {
  it("can be checked from what is shown alone, up to what came before and after", async () => {
    const person = someone();
    const [one, two, three] = [await endedSession(person), await endedSession(person), await endedSession(person)];
    const [first, middle, last] = [await chainOf(one), await chainOf(two), await chainOf(three)];
    for (const { events } of [first, middle, last]) {
      expect(events).toHaveLength(3);
      for (const [index, event] of events.entries()) {
        expect(await hashOf(event)).toBe(event.hash);
        if (index > 0) expect(event.prevHash).toBe(events[index - 1]?.hash);
      }
    }
    expect([first.isFirst, first.previous]).toEqual([true, null]);
    expect(middle.isFirst).toBe(false);
    expect([middle.previous?.sessionId, middle.previous?.seq]).toEqual([one, 0]);
    expect(middle.previous?.hash).toBe(middle.events[0]?.prevHash);
    expect(await hashOf(middle.previous as Chained)).toBe(middle.previous?.hash);
    expect([middle.next?.sessionId, middle.next?.prevHash]).toEqual([three, middle.events[0]?.hash]);
    expect(last.next).toBeNull();
  });

  it("is shown where a lock came between, which is in the same chain", async () => {
    const person = someone();
    await endedSession(person);
    await as(admin, `/-/admin/locks/${person.email}?reason=drill`, { method: "PUT" });
    await as(admin, `/-/admin/locks/${person.email}?reason=over`, { method: "DELETE" });
    const id = await eventually(() => endedSession(person));
    const { previous } = await chainOf(id);
    expect(JSON.parse(previous?.raw ?? "[]")[4]).toBe("unlock");
  });

  it("names nothing in place of what is missing", async () => {
    const person = someone();
    const one = await endedSession(person);
    const two = await endedSession(person);
    // As whoever has D1's credentials may do, past the triggers.
    const triggers = await env.AUDIT_DB.prepare("SELECT name, sql FROM sqlite_master WHERE type = 'trigger'").all<{
      name: string;
      sql: string;
    }>();
    for (const { name } of triggers.results) await env.AUDIT_DB.prepare(`DROP TRIGGER ${name}`).run();
    await env.AUDIT_DB.prepare("DELETE FROM events WHERE session_id = ?").bind(one).run();
    for (const { sql } of triggers.results) await env.AUDIT_DB.prepare(sql).run();
    const { previous, isFirst } = await chainOf(two);
    expect([previous, isFirst]).toEqual([null, false]);
  });

  it("is for auditors, and of sessions that exist", async () => {
    const id = await endedSession(someone());
    await expectApiDenial(await as(alice, `${sessionPath(id)}/chain`), "not_admin", /admin or auditor/);
    await expectApiDenial(await as(admin, `${sessionPath("nowhere")}/chain`), "not_found", /no events/);
  });
});

describe("a recording", () => {
  it("is served in parts once it is in R2, each of them logged", async () => {
    const person = someone();
    const client = await Client.open(upgrade(person, `${PODS}/exit-3/exec?command=sh&stdout=true`));
    await ended(client.sessionId);
    const path = `${sessionPath(client.sessionId)}/recording`;
    await eventually(async () => expect(await env.RECORDINGS.head(recordingKey(client.sessionId))).not.toBeNull());
    const whole = await (await as(admin, path)).text();
    const part = async (range: string) => as(admin, path, { headers: { Range: range } });
    const middle = await part("bytes=5-14");
    expect(middle.status).toBe(206);
    expect(middle.headers.get("content-range")).toBe(`bytes 5-14/${whole.length}`);
    expect(middle.headers.get("content-length")).toBe("10");
    expect(await middle.text()).toBe(whole.slice(5, 15));
    expect(await (await part("bytes=-7")).text()).toBe(whole.slice(-7));
    // What is no part of it leaves the whole, as RFC 9110 lets a server do.
    for (const range of [`bytes=${whole.length}-`, "bytes=0-1,3-4", "lines=1-2"]) {
      const answer = await part(range);
      expect([answer.status, await answer.text()]).toEqual([200, whole]);
    }
    await expectApiDenial(await as(alice, path, { headers: { Range: "bytes=0-1" } }), "not_admin", /auditor/);
    await eventually(async () => {
      const rows = await env.AUDIT_DB.prepare("SELECT status FROM requests WHERE path = ? AND category = 'admin'")
        .bind(path)
        .all<{ status: number }>();
      expect(rows.results.filter(({ status }) => status === 206)).toHaveLength(2);
    });
  });
});

const GRANTS = {
  grants: ["prod-admin", "other"].map((name) => ({
    ...{ name, for: [{ claim: "custom.groups", value: "developers" }], gives: { groups: [name] } },
    approvers: { users: name === "other" ? ["alice@example.com"] : ["bob@viewers.example.com"] },
  })),
} satisfies Partial<ConfigInput>;
const call = (who: Parameters<typeof directlyAs>[0], path: string, init?: RequestInit) =>
  directlyAs(who, path, init, { config: GRANTS });

/** A request for access of somebody who has just opened a session. */
async function asked(person: Person, grant = "prod-admin"): Promise<string> {
  const answer = await call(person, `/-/access?grant=${grant}`, { method: "POST", body: "INC-17" });
  return (await answer.json<{ id: string }>()).id;
}
const decide = (id: string, decision: string) =>
  call(bob, `/-/approvals/${id}`, { method: "POST", body: JSON.stringify({ decision }) });

/** The event of an API request. @param arrived_at ms since the epoch */
function requestEvent(user: string, arrived_at: number): SessionEvent {
  const data: RequestStart = {
    ...{ user, location_hint: null, arrived_at, kubernetes_user: user, cluster: "c", category: "mutation" },
    ...{ decision: "allowed", rule: null, refusal: null, reason: null, method: "DELETE", path: "/api" },
    ...{ verb: "delete", api_group: "", resource: "pods", subresource: null, namespace: "demo", name: "n" },
    ...{ status: 200, client_address: null, country: null, user_agent: null, ray: null, awaits_response: false },
  };
  const session_id = `${new Date(arrived_at).toISOString()}-${crypto.randomUUID().slice(0, 8)}`;
  return { session_id, seq: 0, at: arrived_at, type: "request", data };
}

describe("an approver", () => {
  it("sees what the person did in the last hour, and nothing older or of others", async () => {
    const person = someone();
    const { email: user } = person;
    const old = { start: { user, pod: "old" }, at: Date.now() - 2 * 60 * 60 * 1_000 };
    await write(...sessionEvents(old));
    await write(...sessionEvents({ start: { user, pod: "recent" }, at: Date.now() - 60_000, seconds: 1 }));
    const live = await Client.open(upgrade(person, `${PODS}/silent/exec?command=sh`));
    const id = await asked(person);
    interface Answer {
      readonly user: string;
      readonly items: { readonly what: string; readonly session: { readonly pod: string; readonly user: string } }[];
    }
    await eventually(async () => {
      const shown = await (await call(bob, `/-/approvals/${id}/activity`)).json<Answer>();
      expect(shown.user).toBe(user);
      expect(shown.items.map(({ what, session }) => [what, session.pod])).toEqual([
        ["session", "silent"],
        ["session", "recent"],
      ]);
    });
    live.close();
  });

  it.each<[string, (user: string, at: number) => readonly SessionEvent[]]>([
    ["sessions", (user, at) => sessionEvents({ start: { user }, at, seconds: 1 })],
    ["API requests", (user, at) => [requestEvent(user, at)]],
  ])("reads that it is not all once the person has pushed out what they did with %s", async (_, make) => {
    const person = someone();
    const recently = Date.now() - 10 * 60_000;
    for (let number = 0; number < 50; number++) await write(...make(person.email, recently + number * 1_000));
    const id = await asked(person);
    const look = async () =>
      (await call(bob, `/-/approvals/${id}/activity`)).json<{ items: { at: string }[]; complete: boolean }>();
    const all = await look();
    expect([all.items.length, all.complete]).toEqual([50, true]);
    await write(...make(person.email, recently + 60_000));
    const cut = await look();
    expect([cut.items.length, cut.complete]).toEqual([50, false]);
    expect(cut.items.some(({ at }) => Date.parse(at) === recently)).toBe(false);
  });

  it("sees it while the request waits or holds, and not after", async () => {
    const person = someone();
    const id = await asked(person);
    const look = () => call(bob, `/-/approvals/${id}/activity`);
    expect((await look()).status).toBe(200);
    await decide(id, "approve");
    expect((await look()).status).toBe(200);
    await call(bob, `/-/grants/${id}`, { method: "DELETE" });
    await expectApiDenial(await look(), "access_not_found", /no request with this id that you may see/);
    // Its own person and administrators still do.
    expect((await call(person, `/-/approvals/${id}/activity`)).status).toBe(200);
    expect((await call(admin, `/-/approvals/${id}/activity`)).status).toBe(200);
  });

  it("is nobody who only shares a Kubernetes user with the person", async () => {
    const identities = [{ match: { emailDomain: "example.com" }, user: "developer", groups: ["developers"] }];
    const callAs = (who: Person, path: string, init?: RequestInit) =>
      directlyAs(who, path, init, { config: { ...GRANTS, identities } });
    const person = someone();
    const asking = await callAs(person, "/-/access?grant=prod-admin", { method: "POST", body: "INC-17" });
    const path = `/-/approvals/${(await asking.json<{ id: string }>()).id}/activity`;
    await expectApiDenial(
      await callAs(someone(), path),
      "access_not_found",
      /no request with this id that you may see/,
    );
    expect((await callAs(person, path)).status).toBe(200);
  });

  it("of another grant, and anybody else, sees nothing of it", async () => {
    const id = await asked(someone());
    for (const who of [alice, someone()]) {
      const refused = await call(who, `/-/approvals/${id}/activity`);
      await expectApiDenial(refused, "access_not_found", /no request with this id that you may see/);
    }
    await expectApiDenial(await call(bob, "/-/approvals/nonsense/activity"), "access_not_found", /no request/);
  });
});

describe("grants that hold", () => {
  interface Listed {
    readonly pending: unknown[];
    readonly decided: unknown[];
    readonly active: { readonly id: string; readonly user: string; readonly by: string; readonly until: string }[];
  }
  const active = async (who: Parameters<typeof call>[0]) =>
    (await call(who, "/-/approvals?state=active")).json<Listed>();

  it("are listed until they are taken back, for those who may decide about them", async () => {
    const person = someone();
    const [id, denied, waiting] = [await asked(person), await asked(someone()), await asked(someone())];
    await decide(id, "approve");
    await decide(denied, "deny");
    const mine = ({ active: all }: Listed) => all.filter((one) => [id, denied, waiting].includes(one.id));
    await eventually(async () => {
      const listed = await active(bob);
      expect(mine(listed)).toEqual([
        expect.objectContaining({ id, user: person.email, by: "bob@viewers.example.com", until: expect.any(String) }),
      ]);
      expect([listed.pending, listed.decided]).toEqual([[], []]);
    });
    expect(mine(await active(admin))).toHaveLength(1);
    expect(mine(await active(alice))).toEqual([]);
    expect(mine(await active(person))).toEqual([]);
    await call(bob, `/-/grants/${id}`, { method: "DELETE" });
    await eventually(async () => expect(mine(await active(bob))).toEqual([]));
  });

  it("are not listed while D1 is away, while what waits still is", async () => {
    vi.spyOn(console, "error").mockImplementation(() => {});
    const AUDIT_DB = {
      prepare: () => {
        throw new Error("D1 is away");
      },
    };
    const id = await asked(someone());
    const without = (state: string) =>
      directlyAs(admin, `/-/approvals?state=${state}`, {}, { config: GRANTS, bindings: { AUDIT_DB } });
    await expectApiDenial(await without("active"), "audit_database_unavailable", /does not answer/);
    const { pending } = await (await without("pending")).json<{ pending: { id: string }[] }>();
    expect(pending.map((one) => one.id)).toContain(id);
    vi.restoreAllMocks();
  });

  it("are shown with the sessions that ran with them: who approved, and when", async () => {
    const person = someone();
    const id = await asked(person);
    await decide(id, "approve");
    const open = directlyAs(
      person,
      `${PODS}/exit-3/exec?command=sh`,
      { headers: { Connection: "Upgrade", Upgrade: "websocket", "Sec-WebSocket-Protocol": "v5.channel.k8s.io" } },
      { config: GRANTS },
    );
    const client = await Client.open(open);
    await ended(client.sessionId);
    interface Shown {
      readonly grants: string[];
      readonly approvals: unknown[];
    }
    const shown = await (await as(admin, sessionPath(client.sessionId))).json<Shown>();
    expect(shown).toMatchObject({
      grants: ["prod-admin"],
      approvals: [{ id, grant: "prod-admin", by: "bob@viewers.example.com", decision: "approve", selfApproved: false }],
    });
    const without = await endedSession(person);
    expect(await (await as(admin, sessionPath(without))).json()).toMatchObject({ grants: null, approvals: [] });
  });

  it("are shown with a session that waited for one, and so began without it", async () => {
    const approval = { grant: "prod-admin", waitMinutes: 5 };
    const config = {
      rules: [{ name: "waits", match: { kinds: ["exec"] }, action: "allow", approval }],
      grants: GRANTS.grants.map((grant) => ({ ...grant, gives: { rules: ["waits"] } })),
    } satisfies Partial<ConfigInput>;
    const person = someone();
    const headers = { Connection: "Upgrade", Upgrade: "websocket", "Sec-WebSocket-Protocol": "v5.channel.k8s.io" };
    const client = await Client.open(directlyAs(person, `${PODS}/exit-3/exec?command=sh`, { headers }, { config }));
    const id = await asked(person);
    await decide(id, "approve");
    await ended(client.sessionId);
    expect(await (await as(admin, sessionPath(client.sessionId))).json()).toMatchObject({
      grants: null,
      approvals: [{ id, grant: "prod-admin", by: "bob@viewers.example.com", decision: "approve" }],
    });
  });
});

describe("what somebody did", () => {
  it("is one list of sessions and requests, whole over its pages", async () => {
    const person = someone();
    const { email: user } = person;
    const at = Date.parse("2026-02-01T10:00:00Z");
    for (const minute of [1, 3, 3, 6]) {
      await write(...sessionEvents({ start: { user, pod: `p${minute}` }, at: at + minute * 60_000, seconds: 1 }));
    }
    for (const minute of [0, 2, 3, 5]) {
      await write(requestEvent(user, at + minute * 60_000));
    }
    interface Page {
      readonly items: {
        readonly at: string;
        readonly what: string;
        readonly session: { readonly id: string } | null;
      }[];
      readonly next: string | null;
    }
    const path = `/-/admin/users/${user.toUpperCase()}/activity`;
    for (const limit of [1, 2, 3, 8]) {
      const seen: Page["items"][number][] = [];
      for (let next: string | null = "", pages = 0; next !== null && pages < 20; pages++) {
        const query = new URLSearchParams({ limit: String(limit), ...(next && { cursor: next }) });
        const page: Page = await (await as(admin, `${path}?${query}`)).json<Page>();
        seen.push(...page.items);
        next = page.next;
      }
      expect(seen.map((item) => item.at.slice(15, 16)).join("")).toBe("65333210");
      expect(seen.filter(({ what }) => what === "session")).toHaveLength(4);
      expect(new Set(seen.map((item) => JSON.stringify(item))).size).toBe(8);
    }
    const query = new URLSearchParams({ since: "2026-02-01T10:02:00Z", until: "2026-02-01T10:05:00Z" });
    expect((await (await as(admin, `${path}?${query}`)).json<Page>()).items).toHaveLength(4);
    await expectApiDenial(await as(admin, `${path}?cursor=1.x.y~`), "bad_request", /cursor/);
    await expectApiDenial(await as(admin, `${path}?cursor=x`), "bad_request", /cursor/);
    await expectApiDenial(await as(person, path), "not_admin", /admin or auditor/);
  });
});
