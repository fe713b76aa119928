/** A lock keeps a person out of everything: API requests and the API under `/-/`, not only sessions. */
import { env } from "cloudflare:workers";
import { afterEach, describe, expect, it, vi } from "vitest";
import { eventually } from "../support/eventually.ts";
import { admin, as, handlerAs, someone } from "./people.ts";
import { expectApiDenial, expectStatus } from "./statuses.ts";

const SECRETS = "/api/v1/namespaces/demo/secrets/db";
const PODS = "/api/v1/namespaces/demo/pods";
const locks = (user: string) => `/-/admin/locks/${user}`;
const lock = (user: string) => command(user, { method: "PUT", body: JSON.stringify({ reason: "stolen laptop" }) });
const unlock = (user: string) => command(user, { method: "DELETE" });
const deniedFor = (user: string) =>
  `${user} is locked by admin@example.com, and administrators can lift it: stolen laptop`;

let passedMs = 0;

afterEach(() => {
  passedMs = 0;
  vi.useRealTimers();
  vi.restoreAllMocks();
});

function passTime(ms: number): void {
  passedMs += ms;
  vi.useRealTimers();
  vi.useFakeTimers({ toFake: ["Date"], now: Date.now() + passedMs });
}

/** By the real clock: the edge outside of this test would refuse a token from the future. */
function command(user: string, init: RequestInit): Promise<Response> {
  vi.useRealTimers();
  return as(admin, locks(user), init);
}

/** A cluster that counts what reaches it. */
function fakeCluster() {
  const asked: string[] = [];
  const fetch = async (url: string) => {
    asked.push(new URL(url).pathname);
    return Response.json({});
  };
  return { asked, bindings: { KUBE_API: { fetch } } };
}

async function deniedRows(user: string, count: number) {
  return eventually(async () => {
    const { results } = await env.AUDIT_DB.prepare(
      "SELECT category, refusal FROM requests WHERE user = ? AND category = 'denied' ORDER BY id",
    )
      .bind(user)
      .all();
    expect(results).toHaveLength(count);
    return results;
  });
}

describe("a locked person", () => {
  it("is refused reads and writes within ten seconds in each isolate, which is logged, until the lock is lifted", async () => {
    const person = someone();
    const { asked, bindings } = fakeCluster();
    // Each has a memory of its own, as isolates have.
    const [one, two] = [handlerAs(person, { bindings }), handlerAs(person, { bindings })];
    expect((await one(SECRETS)).status).toBe(200);
    passTime(3_000);
    expect((await two(SECRETS)).status).toBe(200);
    expect(asked).toHaveLength(2);

    expect((await lock(person.email)).status).toBe(200);
    passTime(7_000);
    await expectStatus(await one(SECRETS), "Forbidden", deniedFor(person.email));
    passTime(3_000);
    await expectStatus(await two(PODS, { method: "POST", body: "{}" }), "Forbidden", deniedFor(person.email));
    await expectStatus(await handlerAs(person, { bindings })(SECRETS), "Forbidden", deniedFor(person.email));
    expect(asked).toHaveLength(2);

    expect((await unlock(person.email)).status).toBe(200);
    passTime(10_000);
    for (const isolate of [one, two]) expect((await isolate(SECRETS)).status).toBe(200);
    expect(asked).toHaveLength(4);
    const rows = await deniedRows(person.email, 3);
    for (const row of rows) expect(row).toMatchObject({ category: "denied", refusal: "user_locked" });
  });

  it("is refused at once where a change of theirs has told the isolate", async () => {
    const person = someone();
    const { asked, bindings } = fakeCluster();
    const isolate = handlerAs(person, { bindings });
    expect((await isolate(PODS)).status).toBe(200);
    await lock(person.email);
    // The isolate relies on what it knows, and the object accepts the change, and says so.
    expect((await isolate(PODS, { method: "POST", body: "{}" })).status).toBe(200);
    await expectStatus(await isolate(PODS), "Forbidden", deniedFor(person.email));
    expect(asked).toHaveLength(2);
  });

  it("does not keep others out", async () => {
    const [person, neighbour] = [someone(), someone()];
    const { bindings } = fakeCluster();
    await lock(person.email);
    expect((await handlerAs(person, { bindings })(SECRETS)).status).toBe(403);
    expect((await handlerAs(neighbour, { bindings })(SECRETS)).status).toBe(200);
  });

  it("may be a service token", async () => {
    const commonName = `ci-${crypto.randomUUID()}.access`;
    const token = { common_name: commonName, email: undefined, sub: "" };
    const config = { identities: [{ match: { serviceToken: commonName }, groups: ["deployers"] }] };
    const { bindings, asked } = fakeCluster();
    expect((await handlerAs(token as never, { config, bindings })(PODS)).status).toBe(200);
    await lock(`service:${commonName}`);
    const refused = await handlerAs(token as never, { config, bindings })(PODS);
    await expectStatus(refused, "Forbidden", deniedFor(`service:${commonName}`));
    expect(asked).toHaveLength(1);
  });

  it("cannot act as an administrator either; health is everybody's, and another administrator lifts the lock", async () => {
    const person = someone();
    const config = { identities: [{ match: { email: person.email }, roles: ["admin" as const] }] };
    const victim = someone();
    expect((await handlerAs(person, { config })(locks(victim.email))).status).toBe(404);
    await lock(person.email);
    const locked = handlerAs(person, { config });
    for (const [path, method] of [
      [locks(person.email), "DELETE"],
      [locks(victim.email), "PUT"],
      [locks(victim.email), "GET"],
      ["/-/admin/sessions", "GET"],
      ["/-/whoami", "GET"],
      ["/-/reason", "POST"],
    ] as const) {
      const body = method === "PUT" || method === "POST" ? { body: '{"reason":"mine"}' } : {};
      await expectApiDenial(await locked(path, { method, ...body }), "user_locked", deniedFor(person.email));
    }
    expect((await locked("/-/healthz")).status).toBe(200);
    expect((await as(admin, locks(victim.email))).status).toBe(404);
    expect((await unlock(person.email)).status).toBe(200);
    expect((await handlerAs(person, { config })("/-/whoami")).status).toBe(200);
  });

  it("is refused while D1 is away, too", async () => {
    const person = someone();
    await lock(person.email);
    vi.spyOn(console, "error").mockImplementation(() => {});
    const prepare = () => ({ bind: () => ({ run: fails, all: fails, raw: fails }) });
    const fails = () => Promise.reject(new Error("D1 is away"));
    const bindings = { ...fakeCluster().bindings, AUDIT_DB: { prepare, batch: fails } };
    await expectStatus(await handlerAs(person, { bindings })(SECRETS), "Forbidden", deniedFor(person.email));
  });
});

describe("while the person's object cannot be reached", () => {
  const unreachable = {
    idFromName: (name: string) => env.USER_SESSIONS.idFromName(name),
    get: () => ({ readState: () => Promise.reject(new Error("Network connection lost.")) }),
  };

  it("no request is forwarded once the last answer is ten seconds old", async () => {
    vi.spyOn(console, "error").mockImplementation(() => {});
    const { asked, bindings } = fakeCluster();
    const person = someone();
    let isReachable = true;
    const namespace = {
      idFromName: unreachable.idFromName,
      get: (id: DurableObjectId) => (isReachable ? env.USER_SESSIONS.get(id) : unreachable.get()),
    };
    const isolate = handlerAs(person, { bindings: { ...bindings, USER_SESSIONS: namespace } });
    expect((await isolate(PODS)).status).toBe(200);
    isReachable = false;
    passTime(9_000);
    expect((await isolate(PODS)).status).toBe(200);
    passTime(1_000);
    expect((await isolate(PODS)).status).toBe(503);
    expect(asked).toHaveLength(2);
    isReachable = true;
    expect((await isolate(PODS)).status).toBe(200);
  });

  it("the answer is a Status for kubectl, and JSON under /-/", async () => {
    vi.spyOn(console, "error").mockImplementation(() => {});
    const bindings = { ...fakeCluster().bindings, USER_SESSIONS: unreachable };
    const message =
      "the part of Sallyport that holds the user's sessions cannot be reached: try again; " +
      "if this persists, contact your administrator";
    const ask = handlerAs(someone(), { bindings });
    await expectStatus(await ask(SECRETS), "ServiceUnavailable", message);
    await expectApiDenial(await ask("/-/whoami"), "object_unavailable", message);
    expect((await ask("/-/healthz")).status).toBe(200);
  });
});

it("requests of one person that come together share the question across invocations", async () => {
  const person = someone();
  const answers = await Promise.all(Array.from({ length: 30 }, () => as(person, PODS)));
  expect(answers.map(({ status }) => status)).toEqual(answers.map(() => 200));
});
