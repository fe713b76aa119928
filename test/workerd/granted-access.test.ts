/** Access for a while, from the edge: who may ask, who decides, what it gives, and when it is over. */
import { env } from "cloudflare:workers";
import type { JWTPayload } from "jose";
import { afterEach, describe, expect, it, vi } from "vitest";
import { userObjectName } from "../../contract/placement.ts";
import { makeSessionId } from "../../contract/session-id.ts";
import { Channel } from "../../kubernetes/channels.ts";
import type { ConfigInput } from "../../worker/config/schema.ts";
import { eventually } from "../support/eventually.ts";
import { ended } from "./audit-rows.ts";
import { Client } from "./client.ts";
import { handlerAs, type Other, someone, UPGRADE } from "./people.ts";
import { Puppet } from "./puppet.ts";
import { expectApiDenial, expectStatus } from "./statuses.ts";
import { brokenLinks } from "./user-events.ts";

type Person = ReturnType<typeof someone>;

const DEVELOPERS = [{ claim: "custom.groups", value: "developers" }];
const APPROVERS = { groups: ["leads"], users: ["Boss@example.com"], roles: ["admin" as const] };
const CONFIG = {
  identities: [
    { match: { email: "admin@example.com" }, groups: ["developers"], roles: ["admin"] },
    { match: { email: "auditor@example.com" }, groups: ["viewers"], roles: ["auditor"] },
    { match: { serviceToken: "ci.access" }, user: "ci", roles: ["admin"] },
    { match: { claim: "custom.groups", value: "developers" }, groups: ["developers"] },
    { match: { emailDomain: "example.com" }, groups: ["viewers"] },
  ],
  rules: [
    { name: "keys", match: { resources: ["secrets"] }, action: "allow", approval: { grant: "keys", waitMinutes: 0 } },
  ],
  grants: [
    { name: "prod-admin", for: DEVELOPERS, gives: { groups: ["prod-admins"] }, approvers: APPROVERS, maxMinutes: 120 },
    {
      name: "pair",
      for: DEVELOPERS,
      gives: { groups: ["pair-admins"] },
      approvers: APPROVERS,
      count: 2,
      maxMinutes: 30,
    },
    { name: "keys", for: DEVELOPERS, gives: { rules: ["keys"] }, approvers: APPROVERS, requireReason: true },
    { name: "glass", for: DEVELOPERS, gives: { groups: ["glass"] }, approvers: APPROVERS, selfApproval: "with-alert" },
  ],
} satisfies Partial<ConfigInput>;

const PODS = "/api/v1/namespaces/demo/pods";
const admin: JWTPayload = { email: "admin@example.com", sub: "uid-admin" };
const boss: JWTPayload = { email: "BOSS@example.com", sub: "uid-boss" };
const ci: JWTPayload = { sub: "", common_name: "ci.access" };
/** An approver by a group of the identity provider. */
const lead = (): Person => ({ ...someone(), custom: { groups: ["leads"] } });

interface Request {
  readonly id: string;
  readonly state: string;
  readonly until: string | null;
  readonly [field: string]: unknown;
}

/** One request of a person, to an isolate that knows nothing yet. */
function call(who: JWTPayload, path: string, init: RequestInit = {}, other: Other = {}): Promise<Response> {
  return handlerAs(who, { ...other, config: { ...CONFIG, ...other.config } })(path, init);
}

async function json<T = Request>(response: Promise<Response>): Promise<T> {
  const answer = await response;
  const text = await answer.text();
  expect(answer.status, text).toBe(200);
  return JSON.parse(text) as T;
}

const ask = (who: JWTPayload, query: string, reason = "INC-17", other: Other = {}) =>
  call(who, `/-/access?${query}`, { method: "POST", body: reason }, other);
const asked = (who: JWTPayload, query = "grant=prod-admin", reason?: string, other?: Other) =>
  json(ask(who, query, reason, other));
const decide = (who: JWTPayload, id: string, body: object = { decision: "approve" }, other: Other = {}) =>
  call(who, `/-/approvals/${id}`, { method: "POST", body: JSON.stringify(body) }, other);
const revoke = (who: JWTPayload, id: string) => call(who, `/-/grants/${id}`, { method: "DELETE" });

/**
 * A person who asks, an approver who is the same Kubernetes user at a cluster where neither of them does
 * anything, and an approver who is somebody else there.
 */
function sharingUsers() {
  const [person, twin, neighbour] = [someone(), lead(), lead()];
  const isOf = ({ email }: Person, user: string) => ({ match: { email }, user });
  const shared = `shared-${person.sub}`;
  const clusters = [
    { name: "here", hostnames: ["sallyport.example.com"], binding: "KUBE_API" },
    { name: "there", hostnames: ["there.example.com"], binding: "KUBE_API" },
    {
      ...{ name: "elsewhere", hostnames: ["elsewhere.example.com"], binding: "KUBE_API" },
      identities: [isOf(person, shared), isOf(twin, shared.toUpperCase()), isOf(neighbour, "another")],
    },
  ];
  const config = { cluster: undefined, clusters } as Partial<ConfigInput>;
  const hosts = { another: "https://there.example.com", shared: "https://elsewhere.example.com" } as const;
  return { person, twin, neighbour, config, hosts };
}

/** What the cluster sees of a person. */
async function seenAs(who: JWTPayload, other: Other = {}): Promise<Readonly<Record<string, string>>> {
  return (await json<{ headers: Record<string, string> }>(call(who, PODS, {}, other))).headers;
}

async function granted(who: JWTPayload, query?: string): Promise<Request> {
  return json(decide(lead(), (await asked(who, query)).id));
}

afterEach(() => void vi.restoreAllMocks());

describe("asking", () => {
  it("says who approves and where, and the same again is the same request", async () => {
    const person = someone();
    const first = await asked(person, "grant=prod-admin&minutes=90", "INC-17: checkout\u001b[2J is down");
    expect(first).toMatchObject({
      ...{ state: "pending", grant: "prod-admin", user: person.email, minutes: 90, isNew: true, notReached: [] },
      ...{ reason: expect.stringMatching(/^INC-17: checkout.*is down$/), purpose: null, needed: 1, since: null },
      gives: { groups: ["prod-admins"], rules: [] },
      approvers: "boss@example.com, members of the group leads or holders of the role admin",
      address: `https://sallyport.example.com/-/approvals/${first.id}`,
    });
    // biome-ignore lint/suspicious/noControlCharactersInRegex: it looks for one
    expect(first["reason"]).not.toMatch(/\u001b/);
    expect(await asked(person, "grant=prod-admin")).toMatchObject({ id: first.id, isNew: false });
  });

  it("lists what one may ask for, and one's own requests, nobody else's", async () => {
    const [person, other] = [someone(), someone()];
    const { id } = await asked(person);
    await asked(other);
    const own = await json<{ grants: { name: string; ask: string }[]; items: Request[] }>(call(person, "/-/access"));
    expect(own.grants.map(({ name }) => name)).toEqual(["prod-admin", "pair", "keys", "glass"]);
    expect(own.grants[1]?.ask).toBe(
      `echo "why you need it" | kubectl create --raw '/-/access?grant=pair&minutes=30' -f -`,
    );
    expect(own.items.map((one) => one.id)).toEqual([id]);
    expect(await json(call(boss, "/-/access"))).toMatchObject({ grants: [], items: [] });
  });

  it.each<[string, JWTPayload, string, string | undefined, "not_found" | "bad_request", RegExp]>([
    ["an unknown grant", someone(), "grant=root", undefined, "not_found", /there is no grant of this name for you/],
    ["one for others", boss, "grant=prod-admin", undefined, "not_found", /there is no grant of this name for you/],
    ["no grant", someone(), "minutes=5", undefined, "bad_request", /^name a grant/],
    ["too long", someone(), "grant=prod-admin&minutes=121", undefined, "bad_request", /is for 120 minutes at most/],
    ["half a minute", someone(), "grant=prod-admin&minutes=0.5", undefined, "bad_request", /whole number above 0/],
    ["without its reason", someone(), "grant=keys", " ", "bad_request", /requires a reason/],
    ["a misspelt field", someone(), "grant=prod-admin&minuets=5", undefined, "bad_request", /minuets/],
  ])("is refused for %s", async (_, who, query, reason, code, message) => {
    await expectApiDenial(await ask(who, query, reason), code, message);
  });

  it("is refused to a page of another site", async () => {
    const headers = { Origin: "https://evil.example", "Sec-Fetch-Site": "cross-site" };
    const person = someone();
    const response = await call(person, "/-/access?grant=glass", { method: "POST", body: "x", headers });
    await expectApiDenial(response, "cross_site", /another site/);
    expect(await json(call(person, "/-/access"))).toMatchObject({ items: [] });
  });
});

describe("an approved request", () => {
  it("gives the groups, which the cluster sees with the grant's name, and the log has who decided", async () => {
    const person = someone();
    const { id } = await asked(person, "grant=prod-admin&minutes=90");
    expect(await seenAs(person)).not.toHaveProperty("impersonate-extra-sallyport-grant");
    const approver = lead();
    const decided = await json(decide(approver, id, { decision: "approve", reason: "seen it", minutes: 5 }));
    expect(decided).toMatchObject({ state: "active", approvals: [{ by: approver.email, reason: "seen it" }] });
    const minutes = (Date.parse(decided.until ?? "") - Date.now()) / 60_000;
    expect(minutes).toBeGreaterThan(3);
    expect(minutes).toBeLessThanOrEqual(5);
    expect(await seenAs(person)).toMatchObject({
      ...{ "impersonate-user": person.email, "impersonate-group": "developers, prod-admins" },
      "impersonate-extra-sallyport-grant": "prod-admin",
    });
    expect(await accessEvents(person)).toEqual([
      expect.objectContaining({ type: "access_request", access_id: id, user: person.email, minutes: 90 }),
      expect.objectContaining({
        type: "access_decision",
        by: approver.email,
        decision: "approve",
        self_approved: false,
      }),
    ]);
    expect(await brokenLinks(person.email)).toEqual([]);
  });

  it("is named by the request's row in the audit log", async () => {
    const person = someone();
    await granted(person);
    expect((await call(person, `${PODS}/x`, { method: "DELETE" })).status).toBe(200);
    await eventually(async () => {
      const { results } = await env.AUDIT_DB.prepare("SELECT data FROM events WHERE user = ? AND type = 'request'")
        .bind(person.email)
        .all<{ data: string }>();
      expect(results.map(({ data }) => JSON.parse(data).grants)).toEqual([["prod-admin"]]);
    });
    const shown = call(admin, `/-/admin/requests?user=${person.email}`);
    const { items } = await json<{ items: Request[] }>(shown);
    expect(items.map(({ verb, grants }) => [verb, grants])).toEqual([["delete", ["prod-admin"]]]);
  });

  it("takes no request out of the audit log, whose exceptions go by the person's own groups", async () => {
    const configOf = (group: string) => {
      const except = [{ groups: [group] }];
      return { audit: { requests: { mutations: { except }, precursors: { except } } } };
    };
    const remove = async (who: JWTPayload, name: string, group: string) =>
      expect((await call(who, `${PODS}/${name}`, { method: "DELETE" }, { config: configOf(group) })).status).toBe(200);
    const person = someone();
    await granted(person);
    await remove(person, "own", "developers");
    await remove(person, "granted", "prod-admins");
    await eventually(async () => {
      const shown = call(admin, `/-/admin/requests?user=${person.email}`);
      const { items } = await json<{ items: Request[] }>(shown);
      expect(items.map(({ name, grants }) => [name, grants])).toEqual([["granted", ["prod-admin"]]]);
    });
  });

  it("holds at the clusters of every location, and so does its end", async () => {
    const person = someone();
    const clusters = [
      { name: "one", hostnames: ["sallyport.example.com"], binding: "KUBE_API" },
      { name: "two", hostnames: ["two.example.com"], binding: "KUBE_API", locationHint: "weur" as const },
    ] satisfies ConfigInput["clusters"];
    const config = { cluster: undefined, clusters } as Partial<ConfigInput>;
    const there = async () => (await seenAs(person, { config, host: "https://two.example.com" }))["impersonate-group"];
    const { id } = await asked(person);
    await json(decide(boss, id, undefined, { config }));
    expect(await there()).toBe("developers, prod-admins");
    await json(revoke(boss, id));
    expect(await there()).toBe("developers");
  });

  it.each<[string, JWTPayload]>([
    ["a user that the grant names, however they spell it", boss],
    ["a holder of a role", admin],
  ])("may have been approved by %s", async (_, approver) => {
    const person = someone();
    expect(await json(decide(approver, (await asked(person)).id))).toMatchObject({ state: "active" });
  });

  it("of a grant for two needs two different people", async () => {
    const [person, one, two] = [someone(), lead(), lead()];
    const { id } = await asked(person, "grant=pair");
    expect(await json(decide(one, id))).toMatchObject({ state: "pending", needed: 2 });
    await expectApiDenial(await decide(one, id), "access_already_decided", /./);
    expect(await seenAs(person)).toMatchObject({ "impersonate-group": "developers" });
    expect(await json(decide(two, id))).toMatchObject({ state: "active" });
    expect(await seenAs(person)).toMatchObject({ "impersonate-group": "developers, pair-admins" });
  });

  it("says to each reader what they may decide now, as the decision itself would", async () => {
    const [person, one, two] = [someone(), lead(), lead()];
    const { id } = await asked(person, "grant=pair");
    const mayDecide = async (who: JWTPayload) =>
      (await json<{ mayDecide: string[] }>(call(who, `/-/approvals/${id}`))).mayDecide;
    expect(await mayDecide(person)).toEqual([]);
    expect(await mayDecide(ci)).toEqual([]);
    expect(await mayDecide(one)).toEqual(["approve", "deny"]);
    await json(decide(one, id));
    expect([await mayDecide(one), await mayDecide(two)]).toEqual([["deny"], ["approve", "deny"]]);
    await json(decide(two, id));
    expect([await mayDecide(one), await mayDecide(two)]).toEqual([[], []]);
  });

  it("of a grant for two counts one person once, whose second identity is theirs at another cluster alone", async () => {
    const [person, one, twin, two] = [someone(), lead(), lead(), lead()];
    const { id } = await asked(person, "grant=pair");
    await json(decide(one, id));
    const clusters = [
      { name: "here", hostnames: ["sallyport.example.com"], binding: "KUBE_API" },
      {
        ...{ name: "there", hostnames: ["there.example.com"], binding: "KUBE_API" },
        identities: [{ match: { email: twin.email }, user: one.email }],
      },
    ];
    const other = { config: { cluster: undefined, clusters } as Partial<ConfigInput> };
    await expectApiDenial(
      await decide(twin, id, undefined, other),
      "access_already_decided",
      /^you approved this request at/,
    );
    expect(await json(call(person, `/-/approvals/${id}`))).toMatchObject({ state: "pending" });
    // Another person, with the same document.
    expect(await json(decide(two, id, undefined, other))).toMatchObject({ state: "active" });
    // To deny is not to count twice.
    const denied = await asked(someone(), "grant=pair");
    await json(decide(one, denied.id));
    expect(await json(decide(twin, denied.id, { decision: "deny" }, other))).toMatchObject({ state: "denied" });
  });

  it("that nobody but oneself has to approve is active at once, and marked", async () => {
    const person = someone();
    expect(await asked(person, "grant=glass")).toMatchObject({ state: "active", selfApproved: true });
    expect(await seenAs(person)).toMatchObject({ "impersonate-extra-sallyport-grant": "glass" });
    const [, decision] = await accessEvents(person);
    expect(decision).toMatchObject({ decision: "approve", by: person.email, self_approved: true });
  });

  it("gives nothing once the document does not have the grant, or it is not for the person any more", async () => {
    const person = someone();
    await granted(person);
    const without = { config: { grants: CONFIG.grants.slice(1) } };
    for (const [who, other] of [
      [person, without],
      [{ ...person, custom: { groups: [] } }, {}],
    ] as const) {
      const seen = await seenAs(who, other);
      expect(seen["impersonate-group"]).not.toContain("prod-admins");
      expect(seen).not.toHaveProperty("impersonate-extra-sallyport-grant");
    }
    expect(await seenAs(person)).toMatchObject({ "impersonate-group": "developers, prod-admins" });
  });
});

describe("a decision is refused", () => {
  const OWN = /this is your own request/;
  /** The person's object knows what the edge that decides does not. */
  const OWN_OR_TOLD = /this is your own request|^nobody decides their own request for access, under whatever identity/;

  it("about one's own request: by one's name, sign-in or Kubernetes user, at any cluster", async () => {
    const person = { ...someone(), custom: { groups: ["developers", "leads"] } };
    const { id } = await asked(person);
    const twin = lead();
    const isOf = (email: string, user: string) => ({ match: { email }, user });
    const clusters = [
      { name: "here", hostnames: ["sallyport.example.com"], binding: "KUBE_API" },
      {
        ...{ name: "there", hostnames: ["there.example.com"], binding: "KUBE_API" },
        identities: [isOf(twin.email, person.email.toUpperCase())],
      },
    ];
    const attempts: [JWTPayload, Other][] = [
      [person, {}],
      [{ ...person, email: person.email.toUpperCase() }, {}],
      [{ ...twin, sub: person.sub }, {}],
      [twin, { config: { identities: [isOf(twin.email, person.email), ...CONFIG.identities] } }],
      [twin, { config: { cluster: undefined, clusters } as Partial<ConfigInput> }],
    ];
    for (const [who, other] of attempts) {
      await expectApiDenial(await decide(who, id, undefined, other), "access_own_request", OWN);
    }
    expect(await json(call(person, `/-/approvals/${id}`))).toMatchObject({ state: "pending", approvals: [] });
    // The neighbour, who is nobody of these.
    expect(await json(decide(twin, id))).toMatchObject({ state: "active" });
  });

  it.each<[string, "another" | "shared"]>([
    ["decides where neither is that user", "another"],
    ["decides where it is that user, and the person who asked was not", "shared"],
  ])("about one's own request by an identity with which one shares a user elsewhere alone: %s", async (_, where) => {
    const { person, twin, neighbour, config, hosts } = sharingUsers();
    const { id } = await asked(person, "grant=prod-admin", "INC-17", { config });
    const host = hosts[where];
    for (const decision of ["approve", "deny"]) {
      await expectApiDenial(await decide(twin, id, { decision }, { config, host }), "access_own_request", OWN_OR_TOLD);
    }
    expect(await json(call(person, `/-/approvals/${id}`))).toMatchObject({ state: "pending", approvals: [] });
    expect(await json(decide(neighbour, id, undefined, { config, host }))).toMatchObject({ state: "active" });
  });

  it("about one's own request that a shell made, by such an identity", async () => {
    const { person, twin, neighbour, config } = sharingUsers();
    const rules = [
      { name: "shells", match: { kinds: ["exec" as const] }, action: "allow" as const, approval: { grant: "shells" } },
    ];
    const shells = { name: "shells", for: DEVELOPERS, gives: { rules: ["shells"] }, approvers: APPROVERS };
    const other = { config: { ...config, rules, grants: [shells] } };
    const pod = await Puppet.make();
    const client = await Client.open(call(person, pod.path(), { headers: UPGRADE }, other));
    await eventually(() => expect(client.text(Channel.stderr)).toContain("waits for up to"));
    const { items } = await json<{ items: Request[] }>(call(person, "/-/access", {}, other));
    const id = items[0]?.id ?? "";
    await expectApiDenial(await decide(twin, id, undefined, other), "access_own_request", OWN_OR_TOLD);
    expect(pod.isAsked).toBe(false);
    expect(await json(decide(neighbour, id, undefined, other))).toMatchObject({ state: "active" });
    await pod.request();
    client.close();
  });

  it("about one's own request from before users elsewhere were told, once it is asked for again", async () => {
    const { person, twin, neighbour, config } = sharingUsers();
    const { id } = await asked(person);
    expect(await asked(person, "grant=prod-admin", "INC-17", { config })).toMatchObject({ id, isNew: false });
    await expectApiDenial(await decide(twin, id, undefined, { config }), "access_own_request", OWN_OR_TOLD);
    expect(await json(decide(neighbour, id, undefined, { config }))).toMatchObject({ state: "active" });
  });

  it("for the second time, by an identity with which the first approver shares a user elsewhere alone", async () => {
    const { person: first, twin, neighbour, config } = sharingUsers();
    const approver = { ...first, custom: { groups: ["leads"] } };
    const { id } = await asked(someone(), "grant=pair");
    const other = { config };
    expect(await json(decide(approver, id, undefined, other))).toMatchObject({ state: "pending" });
    const refused = await decide(twin, id, undefined, other);
    await expectApiDenial(refused, "access_already_decided", /it needs one more approval, by somebody else$/);
    expect(await json(decide(neighbour, id, undefined, other))).toMatchObject({ state: "active" });
  });

  it("by a service token, whatever roles it has", async () => {
    const { id } = await asked(someone());
    await expectApiDenial(await decide(ci, id), "not_approver", /a service token decides nothing/);
  });

  it("by somebody who is locked, and so is all that a locked person asks for", async () => {
    const [person, approver] = [someone(), lead()];
    const { id } = await asked(person);
    const lock = (email: string, method: string) =>
      call(admin, `/-/admin/locks/${email}`, { method, ...(method === "PUT" && { body: '{"reason":"stolen"}' }) });
    expect((await lock(approver.email, "PUT")).status).toBe(200);
    await expectApiDenial(await decide(approver, id), "user_locked", /is locked by admin@example\.com/);
    await expectApiDenial(await revoke(approver, id), "user_locked", /is locked/);
    expect((await lock(approver.email, "DELETE")).status).toBe(200);
    expect(await json(decide(approver, id))).toMatchObject({ state: "active" });
    expect((await lock(person.email, "PUT")).status).toBe(200);
    for (const query of ["grant=glass", "grant=pair"]) {
      await expectApiDenial(await ask(person, query), "user_locked", /is locked/);
    }
    // What was granted is of no use meanwhile.
    await expectStatus(await call(person, PODS), "Forbidden", /is locked/);
  });

  it("by somebody who was locked a moment ago, also by an isolate that has not heard of it", async () => {
    const approver = lead();
    const { id } = await asked(someone());
    const isolate = handlerAs(approver, { config: CONFIG });
    expect((await isolate(`/-/approvals/${id}`)).status).toBe(200);
    const lock = (method: string) => call(admin, `/-/admin/locks/${approver.email}`, { method });
    expect((await lock("PUT")).status).toBe(200);
    const approve = () => isolate(`/-/approvals/${id}`, { method: "POST", body: '{"decision":"approve"}' });
    await expectApiDenial(await approve(), "user_locked", /is locked by admin@example\.com/);
    expect(await json(call(admin, `/-/approvals/${id}`))).toMatchObject({ state: "pending", approvals: [] });
    expect((await lock("DELETE")).status).toBe(200);
    expect(await json(approve())).toMatchObject({ state: "active" });
  });

  it("that approves something for whoever is locked, until the lock is lifted", async () => {
    const person = someone();
    const { id } = await asked(person);
    const other = await asked(person, "grant=pair");
    const lock = (method: string) => call(admin, `/-/admin/locks/${person.email}`, { method });
    expect((await lock("PUT")).status).toBe(200);
    await expectApiDenial(await decide(boss, id), "user_locked", new RegExp(`^${person.email} is locked by admin@`));
    expect(await json(decide(boss, other.id, { decision: "deny" }))).toMatchObject({ state: "denied" });
    expect((await lock("DELETE")).status).toBe(200);
    expect(await json(call(boss, `/-/approvals/${id}`))).toMatchObject({ state: "pending", approvals: [] });
    expect(await seenAs(person)).toMatchObject({ "impersonate-group": "developers" });
    expect(await json(decide(boss, id))).toMatchObject({ state: "active" });
  });

  it("with control characters in its reason only as far as they act on no terminal", async () => {
    const person = someone();
    const { id } = await asked(person);
    const reason = "no\u001b[2J\u0000, not\u009b2K today";
    await json(decide(lead(), id, { decision: "deny", reason }));
    const { items } = await json<{ items: Request[] }>(call(person, "/-/access"));
    const shown = JSON.stringify(items);
    expect(shown).toMatch(/no.*, not.* today/);
    expect(shown).not.toMatch(/\\u00|[\u0080-\u009f]/);
  });

  it("by somebody who is no approver, or not any more", async () => {
    const { id } = await asked(someone());
    const message = /^you may not decide about prod-admin: boss@example\.com, members of the group leads or holders/;
    await expectApiDenial(await decide(someone(), id), "not_approver", message);
    const approver = lead();
    await expectApiDenial(await decide({ ...approver, custom: { groups: [] } }, id), "not_approver", message);
    const identities = CONFIG.identities.slice(1);
    await expectApiDenial(await decide(admin, id, undefined, { config: { identities } }), "not_approver", message);
    expect(await json(decide(approver, id))).toMatchObject({ state: "active" });
  });

  it("of a role that only a cluster's own identities would give", async () => {
    const { id } = await asked(someone());
    const clusters = [
      {
        ...{ name: "here", hostnames: ["sallyport.example.com"], binding: "KUBE_API" },
        identities: [{ match: { emailDomain: "example.com" } }],
      },
    ];
    const identities = [{ match: { email: "nobody@example.com" }, roles: ["admin" as const] }];
    const other = { config: { cluster: undefined, clusters, identities } as Partial<ConfigInput> };
    await expectApiDenial(await decide(admin, id, undefined, other), "not_approver", /you may not decide/);
  });

  it("once it was decided: a replay changes nothing", async () => {
    const approver = lead();
    const { id } = await asked(someone());
    const active = await json(decide(approver, id));
    for (const decision of ["approve", "deny"]) {
      await expectApiDenial(await decide(lead(), id, { decision }), "access_already_decided", /./);
    }
    await expectApiDenial(await decide(approver, id), "access_already_decided", /./);
    expect(await json(call(approver, `/-/approvals/${id}`))).toMatchObject({ state: "active", until: active.until });
    const denied = await asked(someone());
    expect(await json(decide(approver, denied.id, { decision: "deny", reason: "no" }))).toMatchObject({
      ...{ state: "denied", end: { how: "denied", by: approver.email, reason: "no" } },
    });
    await expectApiDenial(await decide(lead(), denied.id), "access_already_decided", /./);
  });

  it("of an id that is no request of that person, or of nothing", async () => {
    const person = someone();
    const { id } = await asked(person);
    const objectId = env.USER_SESSIONS.idFromName(userObjectName(person.email, null)).toString();
    const others = [makeSessionId(objectId, Date.now(), new Uint8Array(10)), "A".repeat(64), "garbled", `${id}x`];
    for (const other of others) {
      await expectApiDenial(await decide(lead(), other), "access_not_found", /there is no request with this id/);
    }
  });

  it("made by a page of another site, which gets an approver's sign-in", async () => {
    const person = someone();
    const { id } = await asked(person);
    for (const headers of [{ Origin: "https://evil.example" }, { "Sec-Fetch-Site": "same-site" }, { Origin: "null" }]) {
      const init = { method: "POST", body: '{"decision":"approve"}', headers };
      await expectApiDenial(await call(boss, `/-/approvals/${id}`, init), "cross_site", /another site/);
      const end = await call(boss, `/-/grants/${id}`, { method: "DELETE", headers });
      await expectApiDenial(end, "cross_site", /another site/);
    }
    expect(await seenAs(person)).toMatchObject({ "impersonate-group": "developers" });
  });

  it("for longer than the grant allows, or without a decision", async () => {
    const { id } = await asked(someone());
    const longer = { decision: "approve", minutes: 121 };
    await expectApiDenial(await decide(boss, id, longer), "bad_request", /120 minutes at most/);
    await expectApiDenial(await decide(boss, id, {}), "bad_request", /must be "approve" or "deny"/);
    await expectApiDenial(await decide(boss, id, { decision: "approve", grant: "x" }), "bad_request", /grant/);
  });

  it("about a grant that the document does not have any more", async () => {
    const { id } = await asked(someone());
    const other = { config: { grants: CONFIG.grants.slice(1) } };
    await expectApiDenial(await decide(boss, id, undefined, other), "not_approver", /no longer in the configuration/);
  });
});

describe("lists of requests", () => {
  const pending = async (who: JWTPayload) =>
    (await json<{ pending: Request[] }>(call(who, "/-/approvals"))).pending.map(({ id }) => id);

  it("show approvers what they may decide about, auditors and administrators all, and others nothing", async () => {
    const { id } = await asked(someone());
    for (const who of [lead(), boss, admin, { email: "auditor@example.com", sub: "uid-auditor" }]) {
      await eventually(async () => expect(await pending(who)).toContain(id));
    }
    expect(await pending(someone())).toEqual([]);
    await json(decide(boss, id, { decision: "deny" }));
    await eventually(async () => expect(await pending(admin)).not.toContain(id));
  });

  it("show one request to its own person, approvers and auditors, and to others as if there were none", async () => {
    const person = someone();
    const { id } = await asked(person);
    for (const who of [person, lead(), admin]) {
      expect(await json(call(who, `/-/approvals/${id}`))).toMatchObject({ id, state: "pending" });
    }
    const stranger = await call(someone(), `/-/approvals/${id}`);
    await expectApiDenial(stranger, "access_not_found", /there is no request with this id that you may see/);
  });

  it("show what was decided, from D1, by an index", async () => {
    const person = someone();
    const { id } = await granted(person);
    await json(revoke(boss, id));
    await eventually(async () => {
      const { decided } = await json<{ decided: Request[] }>(call(boss, "/-/approvals?state=decided"));
      expect(decided.filter((one) => one.id === id).map(({ decision }) => decision)).toEqual(["end", "approve"]);
    });
    const plan = await env.AUDIT_DB.prepare(
      "EXPLAIN QUERY PLAN SELECT data FROM events WHERE type IN ('access_decision', 'access_end') ORDER BY at DESC",
    ).all<{ detail: string }>();
    expect(plan.results.map(({ detail }) => detail)).toEqual([expect.stringContaining("events_access_by_time")]);
  });
});

describe("the end of a grant", () => {
  it.each<[string, () => JWTPayload | undefined]>([
    ["an approver", lead],
    ["an administrator", () => admin],
    ["an administrator's service token, which may also lock", () => ci],
    ["its own person", () => undefined],
  ])("comes by %s, and takes the groups away", async (_, other) => {
    const person = someone();
    const { id } = await granted(person);
    const over = await json(revoke(other() ?? person, id));
    expect(over).toMatchObject({ id, state: "revoked", ended: [], notReached: [] });
    expect(await seenAs(person)).toMatchObject({ "impersonate-group": "developers" });
    await expectApiDenial(await revoke(boss, id), "access_already_decided", /./);
  });

  it("ends the sessions that were opened with it, and no others", async () => {
    const person = someone();
    const open = () => Client.open(call(person, `${PODS}/silent/exec?command=sh`, { headers: UPGRADE }));
    const before = await open();
    const { id } = await granted(person);
    const within = await open();
    const live = await json<{ items: Request[] }>(call(person, "/-/sessions"));
    expect(new Map(live.items.map((one) => [one.id, one["grants"]]))).toEqual(
      new Map<string, unknown>([
        [before.sessionId, null],
        [within.sessionId, ["prod-admin"]],
      ]),
    );
    expect(await json(revoke(boss, id))).toMatchObject({ ended: [within.sessionId] });
    await within.closed;
    expect(await ended(within.sessionId)).toMatchObject({ outcome: "access_ended", grants: ["prod-admin"] });
    expect(await json(call(admin, `/-/admin/sessions/${within.sessionId}`))).toMatchObject({ grants: ["prod-admin"] });
    const listed = await json<{ items: Request[] }>(call(person, "/-/sessions"));
    expect(listed.items.map((one) => one.id)).toEqual([before.sessionId]);
    before.close();
  });

  it("is nothing that others can cause", async () => {
    const person = someone();
    const { id } = await granted(person);
    await expectApiDenial(await revoke(someone(), id), "access_not_found", /there is no request with this id/);
    const auditor = { email: "auditor@example.com", sub: "uid-auditor" };
    await expectApiDenial(await revoke(auditor, id), "not_approver", /administrators and its own person may/);
    const path = `/-/access/${id}`;
    await expectApiDenial(await call(boss, path, { method: "DELETE" }), "access_not_found", /you have no request/);
    expect(await seenAs(person)).toMatchObject({ "impersonate-group": "developers, prod-admins" });
  });

  it("may be one's own withdrawal of a request", async () => {
    const person = someone();
    const { id } = await asked(person);
    const path = `/-/access/${id}?reason=found+another+way`;
    expect(await json(call(person, path, { method: "DELETE" }))).toMatchObject({
      ...{ state: "revoked", end: { how: "revoked", by: person.email, reason: "found another way" } },
    });
    await expectApiDenial(await decide(boss, id), "access_already_decided", /./);
  });

  it("cuts a watch that was opened with it, and no other", async () => {
    const [person, upstream, plain] = [someone(), await Puppet.make(), await Puppet.make()];
    const watch = async (ask: ReturnType<typeof handlerAs>, { name }: Puppet) =>
      ask(`/api/v1/namespaces/${name}/pods?watch=true`);
    const open = async (puppet: Puppet) => {
      const answer = watch(handlerAs(person, { config: CONFIG }), puppet);
      await puppet.request();
      puppet.accept(200);
      const reader = (await answer).body?.getReader();
      puppet.send(new TextEncoder().encode("first\n"));
      expect((await reader?.read())?.value).toBeDefined();
      return reader;
    };
    const without = await open(plain);
    const { id } = await granted(person);
    const reader = await open(upstream);
    await json(revoke(boss, id));
    await expect(reader?.read()).rejects.toThrow();
    plain.send(new TextEncoder().encode("second\n"));
    expect(new TextDecoder().decode((await without?.read())?.value)).toBe("second\n");
    plain.close();
  });
});

describe("a rule with an approval", () => {
  const SECRET = "/api/v1/namespaces/demo/secrets/db";

  it("refuses with what to ask for, and lets the same isolate's next request pass once it is approved", async () => {
    const person = someone();
    const isolate = handlerAs(person, { config: CONFIG });
    const message =
      "the rule keys requires the grant keys: ask for it with " +
      `echo "why you need it" | kubectl create --raw '/-/access?grant=keys&minutes=60' -f -; ` +
      "boss@example.com, members of the group leads or holders of the role admin may approve it; then try again";
    await expectStatus(await isolate(SECRET), "Forbidden", message);
    await granted(person, "grant=keys");
    await eventually(async () => expect((await isolate(SECRET)).status).toBe(200));
    const { headers } = await json<{ headers: Record<string, string> }>(isolate(SECRET));
    expect(headers).toMatchObject({
      ...{ "impersonate-group": "developers", "impersonate-extra-sallyport-grant": "keys" },
    });
  });

  it("refuses another person, who has no such grant, and asks them for nothing that is not for them", async () => {
    await granted(someone(), "grant=keys");
    await expectStatus(
      await call(someone(), SECRET),
      "Forbidden",
      /^the rule keys requires the grant keys: ask for it/,
    );
    await expectStatus(await call(boss, SECRET), "Forbidden", /it is not for you, so you cannot ask for it/);
  });
});

describe("while something does not work", () => {
  it("a person's object: requests are refused, also of people without grants, as by a lock", async () => {
    vi.spyOn(console, "error").mockImplementation(() => {});
    const real = env.USER_SESSIONS;
    const away = () => Promise.reject(new Error("the object does not answer"));
    // It still takes the row of the refusal.
    const get = (...address: Parameters<typeof real.get>) =>
      new Proxy(real.get(...address), {
        get: (stub, method) =>
          ["readState", "currentLock"].includes(String(method)) ? away : Reflect.get(stub, method),
      });
    const broken = { idFromName: (name: string) => real.idFromName(name), get };
    const other = { bindings: { USER_SESSIONS: broken } };
    const unknown = /until then nobody knows which access you have been granted/;
    await expectStatus(await call(someone(), PODS, {}, other), "ServiceUnavailable", unknown);
    const session = await call(someone(), `${PODS}/silent/exec?command=sh`, { headers: UPGRADE }, other);
    await expectStatus(session, "ServiceUnavailable", unknown);
    await expectStatus(await call(boss, PODS, {}, other), "ServiceUnavailable", /cannot be reached: try again/);
  });

  it("D1: everything but the list of what was decided works", async () => {
    vi.spyOn(console, "error").mockImplementation(() => {});
    const AUDIT_DB = {
      prepare: () => {
        throw new Error("D1 is away");
      },
    };
    const other = { bindings: { AUDIT_DB } };
    const person = someone();
    const request = await json(call(person, "/-/access?grant=prod-admin", { method: "POST", body: "x" }, other));
    await eventually(async () => {
      const { pending } = await json<{ pending: Request[] }>(call(boss, "/-/approvals", {}, other));
      expect(pending.map(({ id }) => id)).toContain(request.id);
    });
    expect(await json(decide(boss, request.id, undefined, other))).toMatchObject({ state: "active" });
    const decided = await call(boss, "/-/approvals?state=decided", {}, other);
    await expectApiDenial(decided, "audit_database_unavailable", /D1/);
  });

  it("the directory: what is pending cannot be listed, and is decided by its id", async () => {
    vi.spyOn(console, "warn").mockImplementation(() => {});
    const { id } = await asked(someone());
    const DIRECTORY = {
      getByName: () => {
        throw new Error("away");
      },
      idFromName: () => {
        throw new Error("away");
      },
    };
    const other = { bindings: { DIRECTORY } };
    const listed = await call(boss, "/-/approvals", {}, other);
    await expectApiDenial(listed, "directory_unavailable", /the directory/);
    expect(await json(decide(boss, id, undefined, other))).toMatchObject({ state: "active" });
  });
});

/** What the audit log has of a person's access, in order, once there are two. */
async function accessEvents({ email }: Person): Promise<Record<string, unknown>[]> {
  return eventually(async () => {
    const { results } = await env.AUDIT_DB.prepare(
      "SELECT type, data FROM events WHERE user = ? AND type LIKE 'access_%' ORDER BY row_number",
    )
      .bind(email)
      .all<{ type: string; data: string }>();
    expect(results).toHaveLength(2);
    return results.map(({ type, data }) => ({ type, ...JSON.parse(data) }));
  });
}
