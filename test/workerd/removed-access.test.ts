/** What the document no longer gives ends: sessions, streams and requests that wait, by the cron trigger. */
import { runDurableObjectAlarm } from "cloudflare:test";
import { env } from "cloudflare:workers";
import type { JWTPayload } from "jose";
import { afterEach, describe, expect, it, vi } from "vitest";
import { findActiveAccess } from "../../audit/access-queries.ts";
import { GIVEN_ACCESS_KEY, type GivenAccess, SETTLED_AFTER_MS } from "../../contract/given-access.ts";
import { userObjectName } from "../../contract/placement.ts";
import { Channel } from "../../kubernetes/channels.ts";
import { loadConfig } from "../../worker/config/load.ts";
import type { ConfigInput } from "../../worker/config/schema.ts";
import { REMOVED_ACCESS_CRON } from "../../worker/crons.ts";
import { createScheduled } from "../../worker/scheduled.ts";
import { noteGivenAccess } from "../../worker/sessions/given-access.ts";
import { endRemovedAccess } from "../../worker/sessions/removed-grants.ts";
import { eventually } from "../support/eventually.ts";
import { ended } from "./audit-rows.ts";
import { Client } from "./client.ts";
import { handlerAs, someone, UPGRADE } from "./people.ts";
import { Puppet } from "./puppet.ts";
import { brokenLinks } from "./user-events.ts";

type Person = ReturnType<typeof someone>;
type Grants = NonNullable<ConfigInput["grants"]>;

const DEVELOPERS = [{ claim: "custom.groups", value: "developers" }];
const APPROVERS = { users: ["boss@example.com"] };
const boss: JWTPayload = { email: "boss@example.com", sub: "uid-boss" };
const PODS = "/api/v1/namespaces/demo/pods";
/** Later than everything that a test has just made. */
const LATER_MS = SETTLED_AFTER_MS + 60_000;

/** Each test has grants of its own: one that its document loses, and one that stays. */
function documentWith(more: Grants = []) {
  const suffix = crypto.randomUUID().slice(0, 8);
  const grant = (name: string) => ({
    ...{ name: `${name}-${suffix}`, for: DEVELOPERS, gives: { groups: [`${name}s`] }, approvers: APPROVERS },
  });
  const [lost, kept] = [grant("lost"), grant("kept")];
  const config: Partial<ConfigInput> = {
    identities: [{ match: { emailDomain: "example.com" }, groups: ["developers"] }],
    grants: [lost, kept, ...more],
  };
  return { lost: lost.name, kept: kept.name, config, without: { ...config, grants: [kept, ...more] } };
}

type Config = Partial<ConfigInput>;

const call = (who: JWTPayload, config: Config, path: string, init: RequestInit = {}) =>
  handlerAs(who, { config })(path, init);

interface Request {
  readonly id: string;
  readonly state: string;
  readonly end: { readonly by: string; readonly reason: string } | null;
}

async function json<T = Request>(response: Promise<Response>): Promise<T> {
  const answer = await response;
  const text = await answer.text();
  expect(answer.status, text).toBe(200);
  return JSON.parse(text) as T;
}

const ask = (who: JWTPayload, config: Config, grant: string) =>
  json(call(who, config, `/-/access?grant=${grant}`, { method: "POST", body: "INC-17" }));

async function granted(who: JWTPayload, config: Config, grant: string): Promise<string> {
  const { id } = await ask(who, config, grant);
  await json(call(boss, config, `/-/approvals/${id}`, { method: "POST", body: '{"decision":"approve"}' }));
  return id;
}

const requestsOf = async (who: JWTPayload, config: Config) =>
  (await json<{ items: Request[] }>(call(who, config, "/-/access"))).items;

const grantsOf = (config: Config) => {
  const document = typeof env.SALLYPORT_CONFIG === "string" ? JSON.parse(env.SALLYPORT_CONFIG) : env.SALLYPORT_CONFIG;
  return loadConfig({ ...document, ...config }).grants;
};

/** A run of the cron trigger with a document. @returns what failed */
const run = (config: Config, laterMs = LATER_MS, bindings = {}) => {
  const { AUDIT_DB, DIRECTORY, USER_SESSIONS } = env;
  return endRemovedAccess({ AUDIT_DB, DIRECTORY, USER_SESSIONS, ...bindings }, grantsOf(config), Date.now() + laterMs);
};

/** Waits until D1 has as many events of access of these people. */
async function inDatabase(people: readonly Person[], count: number): Promise<void> {
  await eventually(async () => {
    const { results } = await env.AUDIT_DB.prepare(
      "SELECT user FROM events WHERE type LIKE 'access_%' AND user IN (SELECT value FROM json_each(?))",
    )
      .bind(JSON.stringify(people.map(({ email }) => email)))
      .all();
    expect(results).toHaveLength(count);
  });
}

const open = (who: JWTPayload, config: Config) =>
  Client.open(call(who, config, `${PODS}/silent/exec?command=sh`, { headers: UPGRADE }));

afterEach(() => void vi.restoreAllMocks());

describe("a grant that is removed from the document", () => {
  it("ends with its sessions and its watches, by the document's own name, and no other grant does", async () => {
    const { config, without, lost, kept } = documentWith();
    const [loser, keeper] = [someone(), someone()];
    const id = await granted(loser, config, lost);
    await granted(keeper, config, kept);
    const [within, other] = [await open(loser, config), await open(keeper, config)];
    const puppet = await Puppet.make();
    // In an isolate that goes on with the document from before.
    const watched = call(loser, config, `/api/v1/namespaces/${puppet.name}/pods?watch=true`);
    await puppet.request();
    puppet.accept(200);
    const reader = (await watched).body?.getReader();
    puppet.send(new TextEncoder().encode("first\n"));
    expect((await reader?.read())?.value).toBeDefined();
    await inDatabase([loser, keeper], 4);

    const log = vi.spyOn(console, "log").mockImplementation(() => {});
    expect(await run(without)).toEqual([]);
    await within.closed;
    const message =
      `session ended: the access "${lost}" was taken back by sallyport at ` +
      "TIME (the grant was removed from the configuration)";
    const said = JSON.parse(within.text(Channel.error)).message.replace(/at \S+Z/, "at TIME");
    expect(said).toBe(message);
    expect(await ended(within.sessionId)).toMatchObject({ outcome: "access_ended", grants: [lost] });
    await expect(reader?.read()).rejects.toThrow();
    expect(log.mock.calls.map(([line]) => JSON.parse(line))).toContainEqual(
      expect.objectContaining({ event: "removed_access_ended", access: id, grant: lost }),
    );

    expect(await requestsOf(loser, config)).toMatchObject([
      { id, state: "revoked", end: { by: "sallyport", reason: "the grant was removed from the configuration" } },
    ]);
    await inDatabase([loser], 3);
    expect(await brokenLinks(loser.email)).toEqual([]);
    expect(await requestsOf(keeper, config)).toMatchObject([{ state: "active" }]);
    expect(other.hungUp).toBeUndefined();
    other.close();
    // There is nothing left to end.
    expect(await run(without)).toEqual([]);
    await inDatabase([loser, keeper], 5);
  });

  it("ends for whom it can no longer be for, by name, and for nobody who may be in one of its groups", async () => {
    const [named, grouped] = [someone(), someone()];
    const grant = (name: string, matches: Grants[number]["for"]) => ({
      ...{ name: `${name}-${named.sub}`, for: matches, gives: { groups: [name] }, approvers: APPROVERS },
    });
    const byName = (email: string) => documentWith([grant("named", [{ email }]), grant("grouped", DEVELOPERS)]);
    const { config } = byName(named.email);
    await granted(named, config, `named-${named.sub}`);
    await granted(grouped, config, `grouped-${named.sub}`);
    await inDatabase([named, grouped], 4);
    expect(await run(byName("somebody-else@example.com").config)).toEqual([]);
    expect(await requestsOf(named, config)).toMatchObject([
      { state: "revoked", end: { reason: "the configuration no longer has the grant for its person" } },
    ]);
    expect(await requestsOf(grouped, config)).toMatchObject([{ state: "active" }]);
  });

  it("ends a shell that waits for it, and says so", async () => {
    const { lost } = documentWith();
    const rules: ConfigInput["rules"] = [
      { name: lost, match: { kinds: ["exec"] }, action: "allow", approval: { grant: lost } },
    ];
    const grants = [{ name: lost, for: DEVELOPERS, gives: { rules: [lost] }, approvers: APPROVERS }];
    const config: Config = { ...documentWith().config, rules, grants };
    const person = someone();
    const client = await Client.open(
      call(person, config, `${PODS}/silent/exec?command=sh&stderr=true`, { headers: UPGRADE }),
    );
    await eventually(() => expect(client.text(Channel.stderr)).toContain("waits for up to"));
    await eventually(async () => expect(await run({ ...config, rules: [], grants: [] })).toEqual([]));
    await client.closed;
    expect(JSON.parse(client.text(Channel.error)).message).toBe(
      `sallyport withdrew the request for ${lost}: the grant was removed from the configuration; ` +
        "run the command again to ask anew",
    );
    expect(await ended(client.sessionId)).toMatchObject({ outcome: "not_approved" });
  });
});

describe("a grant that gives less than before", () => {
  /** Two grants satisfy the rule; one of them gives a group, too. */
  function documents() {
    const { config } = documentWith();
    const suffix = crypto.randomUUID().slice(0, 8);
    const [rule, named, wide, group] = ["shells", "named", "wide", "wides"].map((name) => `${name}-${suffix}`) as [
      ...[string, string, string, string],
    ];
    const rules: ConfigInput["rules"] = [
      { name: rule, match: { kinds: ["exec"] }, action: "allow", approval: { grant: named } },
    ];
    const giving = (gives: Grants[number]["gives"]): Config => ({
      ...{ ...config, rules },
      grants: [
        { name: named, for: DEVELOPERS, gives: { rules: [rule] }, approvers: APPROVERS },
        { name: wide, for: DEVELOPERS, gives, approvers: APPROVERS },
      ],
    });
    const both = giving({ groups: [group], rules: [rule] });
    return {
      wide,
      named,
      group,
      rule,
      both,
      groupAlone: giving({ groups: [group] }),
      neither: giving({ groups: ["x"] }),
    };
  }
  const note = (config: Config, inMs: number) => noteGivenAccess(env.RECORDINGS, grantsOf(config), Date.now() + inMs);
  const alarmOf = ({ email }: Person) =>
    runDurableObjectAlarm(env.USER_SESSIONS.getByName(userObjectName(email, null)));

  it("ends what was opened with that, a session and a watch, and nothing else of the same access", async () => {
    const { wide, named, group, rule, both, groupAlone, neither } = documents();
    const [person, neighbour] = [someone(), someone()];
    await env.RECORDINGS.delete(GIVEN_ACCESS_KEY);
    expect(await note(both, -60 * 60_000)).toEqual([]);
    await granted(person, both, wide);
    await granted(neighbour, both, named);
    const [shell, other] = [await open(person, both), await open(neighbour, both)];
    const puppet = await Puppet.make();
    let reads = 0;
    const get = async (key: string) => {
      const found = await env.RECORDINGS.get(key);
      reads++;
      return found;
    };
    // An isolate that goes on with the document from before.
    const isolate = handlerAs(person, { config: both, bindings: { RECORDINGS: { get } } });
    const watched = isolate(`/api/v1/namespaces/${puppet.name}/pods?watch=true`);
    expect((await puppet.request()).headers["impersonate-group"]).toBe(`developers, ${group}`);
    puppet.accept(200);
    const reader = (await watched).body?.getReader();
    const next = async (text: string) => {
      puppet.send(new TextEncoder().encode(text));
      expect(new TextDecoder().decode((await reader?.read())?.value)).toBe(text);
    };
    await next("first\n");

    expect(await note(groupAlone, 1)).toEqual([]);
    await alarmOf(neighbour);
    await alarmOf(person);
    await shell.closed;
    expect(JSON.parse(shell.text(Channel.error)).message).toBe(
      `session ended: the access "${wide}" is no longer an approval for the rule ${rule}`,
    );
    expect(await ended(shell.sessionId)).toMatchObject({ outcome: "access_ended", grants: [wide] });
    expect(other.hungUp).toBeUndefined();
    // The next attempt waits for an approval, and the access still gives its group.
    expect(await requestsOf(person, groupAlone)).toMatchObject([{ state: "active" }]);
    const before = reads;
    await eventually(() => expect(reads).toBeGreaterThan(before));
    await next("second\n");

    expect(await note(neither, SETTLED_AFTER_MS + 60_000)).toEqual([]);
    await expect(reader?.read()).rejects.toThrow();
    expect(other.hungUp).toBeUndefined();
    other.close();
  });

  it("is noted by the cron trigger, which says so where it could not", async () => {
    vi.spyOn(console, "error").mockImplementation(() => {});
    const { both } = documents();
    await env.RECORDINGS.delete(GIVEN_ACCESS_KEY);
    const { AUDIT_DB, DIRECTORY, RECORDINGS, USER_SESSIONS } = env;
    const document = typeof env.SALLYPORT_CONFIG === "string" ? JSON.parse(env.SALLYPORT_CONFIG) : env.SALLYPORT_CONFIG;
    const scheduled = createScheduled(loadConfig({ ...document, ...both }));
    const run = (bucket: object) =>
      scheduled(REMOVED_ACCESS_CRON, { AUDIT_DB, DIRECTORY, RECORDINGS: bucket as R2Bucket, USER_SESSIONS });
    const away = { get: () => Promise.reject(new Error("away")) };
    await expect(run(away)).rejects.toThrow("noting what grants give failed");
    await run(RECORDINGS);
    const noted = await (await RECORDINGS.get(GIVEN_ACCESS_KEY))?.json<GivenAccess>();
    expect(Object.keys(noted?.grants ?? {})).toEqual(grantsOf(both).map(({ name }) => name));
  });
});

describe("nothing ends", () => {
  it("of what was approved a moment ago: the version before a deploy may still be triggered", async () => {
    const { config, without, lost } = documentWith();
    const person = someone();
    await granted(person, config, lost);
    await inDatabase([person], 2);
    expect(await run(without, SETTLED_AFTER_MS - 30_000)).toEqual([]);
    expect(await requestsOf(person, config)).toMatchObject([{ state: "active" }]);
  });

  it("twice, or of what is over already", async () => {
    const { config, without, lost } = documentWith();
    const person = someone();
    const id = await granted(person, config, lost);
    await json(call(person, config, `/-/access/${id}?reason=done`, { method: "DELETE" }));
    await inDatabase([person], 3);
    expect(await run(without)).toEqual([]);
    expect(await requestsOf(person, config)).toMatchObject([{ end: { by: person.email, reason: "done" } }]);
    await inDatabase([person], 3);
  });
});

it("is found by an index that has nothing else", async () => {
  let text = "";
  const database = {
    prepare: (sql: string) => {
      text = sql;
      return env.AUDIT_DB.prepare(sql);
    },
  } as unknown as D1Database;
  await findActiveAccess(database, Date.now());
  const plan = env.AUDIT_DB.prepare(`EXPLAIN QUERY PLAN ${text}`).bind(0, 0, null, 1);
  const { results } = await plan.all<{ detail: string }>();
  expect(results.map(({ detail }) => detail)).toContainEqual(
    expect.stringMatching(/^SEARCH events USING INDEX events_access_by_time \(at>\?\)$/),
  );
});

describe("while something does not answer", () => {
  const away = {
    prepare: () => {
      throw new Error("away");
    },
    getByName: () => {
      throw new Error("away");
    },
  };

  it("D1 or the directory, what the other one has is ended, and the run has failed", async () => {
    vi.spyOn(console, "error").mockImplementation(() => {});
    vi.spyOn(console, "warn").mockImplementation(() => {});
    const { config, without, lost } = documentWith();
    const [holder, asker] = [someone(), someone()];
    await granted(holder, config, lost);
    await ask(asker, config, lost);
    await inDatabase([holder, asker], 3);
    expect(await run(without, LATER_MS, { AUDIT_DB: away })).toEqual(["reading which access holds"]);
    await eventually(async () => expect(await requestsOf(asker, config)).toMatchObject([{ state: "revoked" }]));
    expect(await requestsOf(holder, config)).toMatchObject([{ state: "active" }]);
    expect(await run(without, LATER_MS, { DIRECTORY: away })).toEqual(["reading which requests for access wait"]);
    expect(await requestsOf(holder, config)).toMatchObject([{ state: "revoked" }]);
  });

  it("a person's object: the next run ends it", async () => {
    vi.spyOn(console, "error").mockImplementation(() => {});
    const { config, without, lost } = documentWith();
    const person = someone();
    await granted(person, config, lost);
    await inDatabase([person], 2);
    const real = env.USER_SESSIONS;
    const broken = {
      idFromString: (id: string) => real.idFromString(id),
      get: () => ({ endAccess: () => Promise.reject(new Error("away")) }),
    };
    const failed = ["ending access that the configuration no longer gives"];
    expect(await run(without, LATER_MS, { USER_SESSIONS: broken })).toEqual(failed);
    expect(await run(without)).toEqual([]);
    expect(await requestsOf(person, config)).toMatchObject([{ state: "revoked" }]);
  });
});

it("is what the cron trigger of every minute does, and no other", async () => {
  const { config, without, lost } = documentWith();
  const person = someone();
  await granted(person, config, lost);
  await inDatabase([person], 2);
  const { AUDIT_DB, DIRECTORY, RECORDINGS, USER_SESSIONS } = env;
  const document = typeof env.SALLYPORT_CONFIG === "string" ? JSON.parse(env.SALLYPORT_CONFIG) : env.SALLYPORT_CONFIG;
  const scheduled = createScheduled(loadConfig({ ...document, ...without }));
  const realNow = Date.now.bind(Date);
  vi.spyOn(Date, "now").mockImplementation(() => realNow() + LATER_MS);
  vi.spyOn(console, "log").mockImplementation(() => {});
  await scheduled("*/5 * * * *", { AUDIT_DB, DIRECTORY, RECORDINGS, USER_SESSIONS });
  expect(await requestsOf(person, config)).toMatchObject([{ state: "active" }]);
  await scheduled(REMOVED_ACCESS_CRON, { AUDIT_DB, DIRECTORY, RECORDINGS, USER_SESSIONS });
  expect(await requestsOf(person, config)).toMatchObject([{ state: "revoked" }]);
});
