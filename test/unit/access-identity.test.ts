import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { createAccessIdentityReader } from "../../worker/access/access-identity.ts";
import type { Subject } from "../../worker/access/subject.ts";
import { loadConfig } from "../../worker/config/load.ts";

const TEAM = "https://team.cloudflareaccess.com";
const TOKEN = "header.payload.signature";

let logged: string[];
beforeEach(() => {
  logged = [];
  vi.spyOn(console, "error").mockImplementation((...parts) => void logged.push(parts.join(" ")));
});
afterEach(() => {
  vi.restoreAllMocks();
  expect(logged.join("\n")).not.toContain(TOKEN);
});

const ACCESS = { teamDomain: TEAM, audiences: ["a"] };

function config(match: object, groups: object = { getIdentity: true }) {
  return loadConfig({ access: { ...ACCESS, groups }, cluster: "c", identities: [{ match }] });
}

const subject = (more: Partial<Subject> = {}): Subject => ({
  ...{ name: "alice@example.com", email: "alice@example.com", commonName: undefined, sub: "s", audiences: [] },
  ...{ expiresAt: 3_600_000, claims: { custom: { groups: ["from the token"] } } },
  ...more,
});

/** A fake Access that gives this answer, and the requests that it got. */
function access(answer: () => Response | Promise<Response>) {
  const requests: { url: string; cookie: string | null }[] = [];
  const fetcher = (async (url: string, init?: RequestInit) => {
    requests.push({ url, cookie: new Headers(init?.headers).get("Cookie") });
    return answer();
  }) as typeof fetch;
  return { requests, fetcher };
}

const IDENTITY = {
  email: "alice@example.com",
  groups: [{ id: "17", name: "sre", email: "sre@example.com" }, "plain", { name: 5 }, { id: "18", name: "17" }],
  devicePosture: {
    "a-b-c": { success: true, rule_name: "disk encrypted" },
    "d-e-f": { success: false, rule_name: "firewall" },
    "g-h-i": { success: "true", rule_name: "forged" },
  },
};

test("how somebody signed in comes from Access where it is asked, and else from the token", async () => {
  const identity = { ...IDENTITY, is_warp: true, device_id: "device-1" };
  const { fetcher } = access(() => Response.json(identity));
  const asked = createAccessIdentityReader(config({ group: "17" }), fetcher);
  expect(await asked(subject(), TOKEN)).toMatchObject({
    value: { signIn: { kind: "warp", deviceId: "device-1" } },
  });
  const unasked = createAccessIdentityReader(config({ email: "alice@example.com" }), fetcher);
  expect(await unasked(subject(), TOKEN)).toMatchObject({ value: { signIn: { kind: null, deviceId: null } } });
});

describe("Access is asked", () => {
  test("never, if the token has all that the rules need", async () => {
    const { requests, fetcher } = access(() => Response.json(IDENTITY));
    const byClaim = config({ group: "x" }, { claim: "custom.groups" });
    for (const read of [
      createAccessIdentityReader(config({ email: "alice@example.com" }), fetcher),
      createAccessIdentityReader(byClaim, fetcher),
    ]) {
      expect(await read(subject(), TOKEN)).toMatchObject({ ok: true, value: { posture: [] } });
    }
    expect(requests).toEqual([]);
    const fromToken = await createAccessIdentityReader(byClaim, fetcher)(subject(), TOKEN);
    expect(fromToken).toMatchObject({ value: { groups: ["from the token"] } });
  });

  test("if only the document's own rules need it, which say who is an administrator", async () => {
    const { requests, fetcher } = access(() => Response.json(IDENTITY));
    const identities = [{ match: { email: "alice@example.com" } }];
    const document = {
      access: { ...ACCESS, groups: { getIdentity: true } },
      clusters: [{ name: "c", hostnames: ["c.example.com"], binding: "KUBE_API", identities }],
      identities: [{ match: { group: "sre" }, roles: ["admin"] }],
    };
    const read = createAccessIdentityReader(loadConfig(document), fetcher);
    expect(await read(subject(), TOKEN)).toMatchObject({ value: { groups: expect.arrayContaining(["17"]) } });
    expect(requests.length).toBe(1);
    const byName = { ...document, identities: [{ match: { groupName: "sre" }, roles: ["admin"] }] };
    await createAccessIdentityReader(loadConfig(byName), fetcher)(subject(), TOKEN);
    expect(requests.length).toBe(2);
  });
});

describe("get-identity", () => {
  test("is sent the person's own token, and returns ids of groups, their names apart, and passed checks", async () => {
    const { requests, fetcher } = access(() => Response.json(IDENTITY));
    expect(await createAccessIdentityReader(config({ group: "sre" }), fetcher)(subject(), TOKEN)).toEqual({
      ok: true,
      value: {
        groups: ["17", "plain", "18"],
        groupNames: ["sre", "sre@example.com", "plain", "17"],
        posture: ["a-b-c", "disk encrypted"],
        signIn: { kind: null, deviceId: null },
      },
    });
    expect(requests).toEqual([{ url: `${TEAM}/cdn-cgi/access/get-identity`, cookie: `CF_Authorization=${TOKEN}` }]);
  });

  test("is cached per token for five minutes, but not after the token has expired", async () => {
    const { requests, fetcher } = access(() => Response.json(IDENTITY));
    let now = 0;
    const read = createAccessIdentityReader(config({ group: "sre" }), fetcher, () => now);
    for (const token of [TOKEN, TOKEN, "another"]) await read(subject(), token);
    expect(requests.length).toBe(2);
    now = 299_999;
    await read(subject(), TOKEN);
    expect(requests.length).toBe(2);
    now = 300_000;
    await read(subject(), TOKEN);
    expect(requests.length).toBe(3);
    const readBriefly = createAccessIdentityReader(config({ group: "sre" }), fetcher, () => now);
    await readBriefly(subject({ expiresAt: now + 1 }), TOKEN);
    now += 1;
    await readBriefly(subject({ expiresAt: now + 1 }), TOKEN);
    expect(requests.length).toBe(5);
  });

  test("is cached for a thousand tokens; the oldest is evicted", async () => {
    const { requests, fetcher } = access(() => Response.json(IDENTITY));
    const read = createAccessIdentityReader(config({ group: "sre" }), fetcher, () => 0);
    for (let i = 0; i <= 1_000; i++) await read(subject(), `token ${i}`);
    await read(subject(), "token 1000");
    expect(requests.length).toBe(1_001);
    await read(subject(), "token 0");
    expect(requests.length).toBe(1_002);
  });

  test.each<[string, () => Response | Promise<Response>]>([
    ["is not reached", () => Promise.reject(new Error(`connection with ${TOKEN.length} bytes lost`))],
    ["answers 403", () => new Response(null, { status: 403 })],
    ["redirects to a sign-in", () => new Response(null, { status: 302, headers: { Location: "https://x" } })],
    ["answers with a page", () => new Response("<html>")],
    ["answers null", () => Response.json(null)],
    ["answers without end", () => new Response("x".repeat(300_000))],
    ["answers with a string", () => Response.json("alice@example.com")],
    ["answers with an error", () => Response.json({ err: "no app token set" })],
    ["answers about somebody else", () => Response.json({ ...IDENTITY, email: "bob@example.com" })],
  ])("that %s denies access, is logged, and is asked again", async (_, answer) => {
    const { requests, fetcher } = access(answer);
    const read = createAccessIdentityReader(config({ group: "sre" }), fetcher);
    for (let i = 1; i <= 2; i++) {
      expect(await read(subject(), TOKEN)).toMatchObject({ ok: false, error: { code: "identity_unreachable" } });
    }
    expect(requests.length).toBe(2);
    expect(logged.map((line) => JSON.parse(line))).toMatchObject([
      { event: "access_identity_unavailable", error: expect.any(String) },
      { event: "access_identity_unavailable", error: expect.any(String) },
    ]);
  });

  test("may know no groups of a person, whose address is compared without regard to case", async () => {
    const { fetcher } = access(() => Response.json({ email: "Alice@Example.com" }));
    expect(await createAccessIdentityReader(config({ group: "sre" }), fetcher)(subject(), TOKEN)).toEqual({
      ok: true,
      value: { groups: [], groupNames: [], posture: [], signIn: { kind: null, deviceId: null } },
    });
  });

  test("is not asked about a service token", async () => {
    const { requests, fetcher } = access(() => Response.json(IDENTITY));
    const ci = subject({ name: "service:ci.access", email: undefined, commonName: "ci.access", claims: {} });
    expect(await createAccessIdentityReader(config({ group: "sre" }), fetcher)(ci, TOKEN)).toEqual({
      ok: true,
      value: { groups: [], groupNames: [], posture: [], signIn: { kind: "service_token", deviceId: null } },
    });
    expect(requests).toEqual([]);
  });
});
