/** An edge of another version than the object; test/unit/user-object.test.ts has both directions. */
import { env } from "cloudflare:workers";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import * as z from "zod";
import { callDirectory, DIRECTORY_NAME, type DirectoryCalls } from "../../contract/directory.ts";
import { attachSessionPlan } from "../../contract/session-plan.ts";
import { FROZEN_METHODS, USER_OBJECT_METHODS, type UserObjectCalls } from "../../contract/user-object.ts";
import { ACCEPTED_VERSIONS, CONTRACT_VERSION, versionFor } from "../../contract/version.ts";
import { AUDITED_REQUEST, requestIdAt } from "../support/audited-request.ts";
import { eventually } from "../support/eventually.ts";
import { liveRowOf } from "../support/live-row.ts";
import { PLAN } from "../support/session-plan.ts";
import pinned from "../vectors/contract/6.json" with { type: "json" };
import { askUserObject } from "./ask-user-object.ts";
import { ended } from "./audit-rows.ts";
import { Client, frame } from "./client.ts";
import { alice, as, someone, UPGRADE, upgrade } from "./people.ts";
import { Puppet } from "./puppet.ts";
import { expectStatus } from "./statuses.ts";

const MESSAGE = /^two parts of Sallyport do not fit together.*try again in a minute; if this persists, contact your/;
const MISMATCH = { ok: false, error: { code: "contract_mismatch", message: expect.stringMatching(MESSAGE) } };
const HEADER = "Sallyport-Plan";
const NEXT = CONTRACT_VERSION + 1;
const ACCEPTED = ACCEPTED_VERSIONS.join(" or ");

/** What a file in test/vectors/contract has, as far as it is used here. */
interface PinnedSchema {
  readonly properties?: Readonly<Record<string, PinnedSchema>>;
}
interface Pinned {
  readonly plan: PinnedSchema;
  readonly methods: Readonly<Record<string, { readonly fields: PinnedSchema; readonly answer: object }>>;
}

let logged: unknown[];
beforeEach(() => {
  logged = [];
  vi.spyOn(console, "error").mockImplementation((line: string) => void logged.push(JSON.parse(line)));
});
afterEach(() => void vi.restoreAllMocks());

/** Sends an object a plan as another edge would. */
async function attempt(change: (plan: Record<string, unknown>) => unknown): Promise<{
  response: Response;
  pod: Puppet;
  object: typeof env.USER_SESSIONS extends { getByName(name: string): infer Object } ? Object : never;
}> {
  const pod = await Puppet.make();
  const headers = new Headers(UPGRADE);
  const upstream = { ...PLAN.upstream, transport: "websocket" } as const;
  attachSessionPlan(headers, { ...PLAN, upstream, sessionId: `${crypto.randomUUID()}${"s".repeat(28)}` });
  const plan = JSON.parse(decodeURIComponent(headers.get(HEADER) ?? ""));
  headers.set(HEADER, encodeURIComponent(JSON.stringify(change(plan))));
  const object = env.USER_SESSIONS.getByName(`contract-${crypto.randomUUID()}`);
  return { response: await object.fetch(`http://cluster${pod.path()}`, { headers }), pod, object };
}

describe("an edge of another version", () => {
  it.each([
    ["one that is no longer known", { version: 0 }, `version 0 instead of ${ACCEPTED}`],
    ["the next one", { version: NEXT }, `version ${NEXT} instead of ${ACCEPTED}`],
    ["none", { version: undefined }, `version none instead of ${ACCEPTED}`],
    ["this one, with a field that this object does not know", { approvals: [] }, "(whole): unrecognized_keys"],
    ["this one, without its limits", { limits: undefined }, "limits: invalid_type"],
  ])("(%s) opens no session, and its user reads what to do", async (_, change, detail) => {
    const { response, pod } = await attempt((plan) => ({ ...plan, ...change }));
    await expectStatus(response, "ServiceUnavailable", MESSAGE);
    expect(pod.isAsked).toBe(false);
    expect(logged).toEqual([{ event: "contract_mismatch", level: "error", method: "fetch", detail }]);
  });

  it("opens none without a plan either", async () => {
    const object = env.USER_SESSIONS.getByName(`contract-${crypto.randomUUID()}`);
    await expectStatus(await object.fetch("http://cluster/x", { headers: UPGRADE }), "ServiceUnavailable", MESSAGE);
  });

  it.each(USER_OBJECT_METHODS)("has its %s refused without an argument", async (method) => {
    const object: UserObjectCalls = env.USER_SESSIONS.getByName(`contract-${crypto.randomUUID()}`);
    expect(await object[method](undefined)).toEqual(MISMATCH);
  });

  it.each(USER_OBJECT_METHODS.filter((method) => !FROZEN_METHODS.includes(method)))(
    "has its %s refused",
    async (method) => {
      const object: UserObjectCalls = env.USER_SESSIONS.getByName(`contract-${crypto.randomUUID()}`);
      for (const version of [0, NEXT]) expect(await object[method]({ version })).toEqual(MISMATCH);
    },
  );

  it("can still lock a user and end what is open: a session may outlive a deploy by hours", async () => {
    const user = `${crypto.randomUUID()}@example.com`;
    const object: UserObjectCalls = env.USER_SESSIONS.getByName(user);
    const by = "admin@example.com";
    const lock = { user, by, reason: "stolen laptop", until: null };
    expect(await object.lock({ version: NEXT, lock, isAudited: true, notify: true })).toEqual({ ok: true, value: [] });
    expect(await object.currentLock({ version: NEXT })).toEqual({ ok: true, value: lock });
    expect(await object.terminateAll({ version: NEXT, by, reason: "" })).toEqual({ ok: true, value: [] });
    const unlock = { version: NEXT, user, by, reason: "", isAudited: true };
    expect(await object.unlock(unlock)).toEqual({ ok: true, value: true });
  });
});

/** Keeps of a value what a pinned schema of the contract has. */
function asPinned(value: unknown, { properties }: PinnedSchema): unknown {
  if (!properties || typeof value !== "object" || value === null) return value;
  const known = Object.entries(value).filter(([name]) => name in properties);
  return Object.fromEntries(known.map(([name, field]) => [name, asPinned(field, properties[name] ?? {})]));
}

/** What a build of the version before sends: what it did not change has the version before its own. */
const SENT_BEFORE = [versionFor(1, CONTRACT_VERSION - 1), CONTRACT_VERSION - 1];

describe.each(SENT_BEFORE)("an edge of the version before, which runs until its own deploy and sends %i", (version) => {
  const { plan: pinnedPlan, methods: pinnedMethods } = pinned as unknown as Pinned;

  it("opens sessions, sees them, and ends them", async () => {
    const { response, pod } = await attempt((plan) => ({ ...(asPinned(plan, pinnedPlan) as object), version }));
    const client = await Client.open(response);
    client.send(frame(0, "in"));
    await eventually(() => expect(pod.received).toEqual([frame(0, "in")]));
    expect(logged).toEqual([]);
    client.close();
    await ended(client.sessionId);
  });

  const bob = { user: "bob@example.com", subject: null, kubernetesUser: "bob" };
  const person = { user: "alice@example.com", subject: null, kubernetesUser: "alice" };
  const request = { person, grant: "prod", minutes: 60, reason: null, purpose: null, needed: 1, approvesItself: false };
  it.each(Object.entries(pinnedMethods))("understands the answer to its %s", async (method, { answer }) => {
    const { response, object } = await attempt((plan) => plan);
    const client = await Client.open(response);
    const by = "admin@example.com";
    const lock = { user: by, by, reason: "stolen laptop", until: null };
    const fields = {
      sessionId: client.sessionId,
      user: by,
      by,
      reason: "ticket 1",
      until: 1,
      lock,
      isAudited: true,
      offset: 0,
      copyTo: [],
      state: { version: 1, lock: null, accessReason: null, access: [] },
      text: "stop",
      ...{ requestId: requestIdAt(AUDITED_REQUEST.arrived_at, 1), request: AUDITED_REQUEST, isChange: true },
      ...{ isHandedOn: false, failedTries: 0, isolate: "i", status: 200 },
      limits: { maxChangesPerMinute: 100, maxChangesPerDay: 100, maxQueuedEvents: 100 },
    };
    const { request: asked } = await askUserObject(object, "requestAccess", { ...request, copyTo: [] });
    const ofAccess: Record<string, object> = {
      requestAccess: request,
      describeAccess: { id: asked.id },
      decideAccess: { id: asked.id, by: bob, decision: "approve", minutes: null, needed: 1, maxMinutes: 60 },
      endAccess: { id: asked.id, by: bob },
    };
    const argument = asPinned({ ...fields, ...ofAccess[method] }, pinnedMethods[method]?.fields ?? {}) as object;
    const answered: unknown = await Reflect.get(object, method)({ ...argument, version });
    expect(logged).toEqual([]);
    expect(answered).toMatchObject({ ok: true });
    expect(z.fromJSONSchema(answer as never).safeParse(answered).error).toBeUndefined();
    client.close();
  });
});

describe.each(SENT_BEFORE)("the directory", (version) => {
  it(`takes a report of version ${version}, and answers an edge that asks in it`, async () => {
    const user = `${crypto.randomUUID()}@example.com`;
    const row = { ...liveRowOf(crypto.randomUUID()), user };
    const { active_at, waits_for, bytes_in, bytes_out, messages_in, messages_out } = row;
    const counts = { active_at, waits_for, bytes_in, bytes_out, messages_in, messages_out };
    const directory: DirectoryCalls = env.DIRECTORY.getByName(DIRECTORY_NAME);
    const report = { objectId: crypto.randomUUID(), at: 1, sessions: [{ id: row.id, counts, row }], omitted: 0 };
    expect(await directory.report({ version, ...report })).toMatchObject({ ok: true, value: { missing: [] } });
    const query = { filter: { user }, limit: 1 };
    expect(await directory.listLive({ version, ...query })).toMatchObject({ ok: true, value: { sessions: [row] } });
    expect(await callDirectory(env.DIRECTORY, "listLive", query)).toMatchObject({ value: { sessions: [row] } });
    expect(logged).toEqual([]);
  });
});

it("an edge of the next version leaves open sessions alone", async () => {
  const { response, pod, object } = await attempt((plan) => plan);
  const client = await Client.open(response);
  const headers = new Headers(UPGRADE);
  attachSessionPlan(headers, PLAN);
  const plan = JSON.parse(decodeURIComponent(headers.get(HEADER) ?? ""));
  headers.set(HEADER, encodeURIComponent(JSON.stringify({ ...plan, version: NEXT })));
  await expectStatus(await object.fetch(`http://cluster${pod.path()}`, { headers }), "ServiceUnavailable", MESSAGE);
  client.send(frame(0, "in"));
  await eventually(() => expect(pod.received).toEqual([frame(0, "in")]));
  client.close();
  await ended(client.sessionId);
});

describe("a plan that a client sends", () => {
  const forged = encodeURIComponent(
    JSON.stringify({
      version: CONTRACT_VERSION,
      ...PLAN,
      user: "admin@example.com",
      kubernetesGroups: ["system:masters"],
    }),
  );

  it("never takes the edge's place, and does not reach the cluster", async () => {
    const person = someone();
    const pod = await Puppet.make();
    const client = await Client.open(upgrade(person, pod.path(), { [HEADER]: forged }));
    const { headers } = await pod.request();
    expect(headers).toMatchObject({ "impersonate-user": person.email });
    expect(Object.keys(headers)).not.toContain(HEADER.toLowerCase());
    expect(JSON.stringify(headers)).not.toContain("system:masters");
    client.close();
    expect(await ended(client.sessionId)).toMatchObject({ user: person.email, pod: pod.name });
  });

  it("is dropped from API requests too", async () => {
    const pod = await Puppet.make();
    const path = `/api/v1/namespaces/demo/pods/${pod.name}`;
    const answer = as(alice, path, { headers: { [HEADER]: forged } });
    const { headers } = await pod.request();
    expect(Object.keys(headers)).not.toContain(HEADER.toLowerCase());
    pod.accept();
    await answer.catch(() => {});
  });
});
