/** An edge of another version than the object; test/unit/user-object.test.ts has both directions. */
import { env } from "cloudflare:workers";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { attachSessionPlan } from "../../contract/session-plan.ts";
import { FROZEN_METHODS, USER_OBJECT_METHODS, type UserObjectCalls } from "../../contract/user-object.ts";
import { ACCEPTED_VERSIONS, CONTRACT_VERSION } from "../../contract/version.ts";
import { PLAN } from "../support/session-plan.ts";
import { ended } from "./audit-rows.ts";
import { Client } from "./client.ts";
import { alice, as, someone, UPGRADE, upgrade } from "./people.ts";
import { Puppet } from "./puppet.ts";
import { expectStatus } from "./statuses.ts";

const MESSAGE = /^two parts of Sallyport do not fit together.*try again in a minute; if this persists, contact your/;
const MISMATCH = { ok: false, error: { code: "contract_mismatch", message: expect.stringMatching(MESSAGE) } };
const HEADER = "Sallyport-Plan";
const NEXT = CONTRACT_VERSION + 1;
const ACCEPTED = ACCEPTED_VERSIONS.join(" or ");

let logged: unknown[];
beforeEach(() => {
  logged = [];
  vi.spyOn(console, "error").mockImplementation((line: string) => void logged.push(JSON.parse(line)));
});
afterEach(() => void vi.restoreAllMocks());

/** Sends an object a plan as another edge would. */
async function attempt(
  change: (plan: Record<string, unknown>) => unknown,
): Promise<{ response: Response; pod: Puppet }> {
  const pod = await Puppet.make({ hold: true });
  const headers = new Headers(UPGRADE);
  attachSessionPlan(headers, PLAN);
  const plan = JSON.parse(decodeURIComponent(headers.get(HEADER) ?? ""));
  headers.set(HEADER, encodeURIComponent(JSON.stringify(change(plan))));
  const object = env.USER_SESSIONS.getByName(`contract-${crypto.randomUUID()}`);
  return { response: await object.fetch(`http://cluster${pod.path()}`, { headers }), pod };
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
