import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { accessIdentityReader } from "../../worker/access/access-identity.ts";
import type { Subject } from "../../worker/access/subject.ts";
import { loadConfig } from "../../worker/config/load.ts";

const TEAM = "https://team.cloudflareaccess.com";
const TOKEN = "header.payload.signature";

let logged: string[];
beforeEach(() => {
  logged = [];
  vi.spyOn(console, "error").mockImplementation((...words) => void logged.push(words.join(" ")));
});
afterEach(() => {
  vi.restoreAllMocks();
  expect(logged.join("\n")).not.toContain(TOKEN);
});

function config(match: object, groups: object = { getIdentity: true }) {
  return loadConfig({
    access: { teamDomain: TEAM, audiences: ["a"], groups },
    cluster: "c",
    identities: [{ match }],
  });
}

const subject = (more: Partial<Subject> = {}): Subject => ({
  ...{ name: "alice@example.com", email: "alice@example.com", commonName: undefined, sub: "s", audiences: [] },
  ...{ expiresAt: 3_600_000, claims: { custom: { groups: ["from the token"] } } },
  ...more,
});

/** An Access that answers with this, and what it was asked. */
function access(answer: () => Response | Promise<Response>) {
  const asked: { url: string; cookie: string | null }[] = [];
  const fetcher = (async (url: string, init?: RequestInit) => {
    asked.push({ url, cookie: new Headers(init?.headers).get("Cookie") });
    return answer();
  }) as typeof fetch;
  return { asked, fetcher };
}

const IDENTITY = {
  email: "alice@example.com",
  groups: [{ id: "17", name: "sre", email: "sre@example.com" }, "plain", { name: 5 }],
  devicePosture: {
    "a-b-c": { success: true, rule_name: "disk encrypted" },
    "d-e-f": { success: false, rule_name: "firewall" },
    "g-h-i": { success: "true", rule_name: "forged" },
  },
};

test("where rules need no more than the token has, Access is never asked", async () => {
  const { asked, fetcher } = access(() => Response.json(IDENTITY));
  for (const detail of [
    accessIdentityReader(config({ email: "alice@example.com" }), fetcher),
    accessIdentityReader(config({ group: "x" }, { claim: "custom.groups" }), fetcher),
  ]) {
    expect(await detail(subject(), TOKEN)).toMatchObject({ ok: true, details: { posture: [] } });
  }
  expect(asked).toEqual([]);
  const fromToken = await accessIdentityReader(config({ group: "x" }, { claim: "custom.groups" }), fetcher)(
    subject(),
    TOKEN,
  );
  expect(fromToken).toMatchObject({ details: { groups: ["from the token"] } });
});

describe("get-identity", () => {
  test("is asked with the person's own token, and gives names, ids and addresses, and what succeeded", async () => {
    const { asked, fetcher } = access(() => Response.json(IDENTITY));
    expect(await accessIdentityReader(config({ group: "sre" }), fetcher)(subject(), TOKEN)).toEqual({
      ok: true,
      details: {
        groups: ["17", "sre", "sre@example.com", "plain"],
        posture: ["a-b-c", "disk encrypted"],
      },
    });
    expect(asked).toEqual([{ url: `${TEAM}/cdn-cgi/access/get-identity`, cookie: `CF_Authorization=${TOKEN}` }]);
  });

  test("is kept per token for five minutes, and never past the token's end", async () => {
    const { asked, fetcher } = access(() => Response.json(IDENTITY));
    let now = 0;
    const detail = accessIdentityReader(config({ group: "sre" }), fetcher, () => now);
    for (const token of [TOKEN, TOKEN, "another"]) await detail(subject(), token);
    expect(asked.length).toBe(2);
    now = 299_999;
    await detail(subject(), TOKEN);
    expect(asked.length).toBe(2);
    now = 300_000;
    await detail(subject(), TOKEN);
    expect(asked.length).toBe(3);
    const brief = accessIdentityReader(config({ group: "sre" }), fetcher, () => now);
    await brief(subject({ expiresAt: now + 1 }), TOKEN);
    now += 1;
    await brief(subject({ expiresAt: now + 1 }), TOKEN);
    expect(asked.length).toBe(5);
  });

  test("keeps a thousand, the newest ones", async () => {
    const { asked, fetcher } = access(() => Response.json(IDENTITY));
    const detail = accessIdentityReader(config({ group: "sre" }), fetcher, () => 0);
    for (let i = 0; i <= 1_000; i++) await detail(subject(), `token ${i}`);
    await detail(subject(), "token 1000");
    expect(asked.length).toBe(1_001);
    await detail(subject(), "token 0");
    expect(asked.length).toBe(1_002);
  });

  test.each<[string, () => Response | Promise<Response>]>([
    ["fails", () => Promise.reject(new Error(`connection with ${TOKEN.length} bytes lost`))],
    ["refuses", () => new Response(null, { status: 403 })],
    ["sends to a sign-in", () => new Response(null, { status: 302, headers: { Location: "https://x" } })],
    ["answers a page", () => new Response("<html>")],
    ["answers nothing", () => Response.json(null)],
    ["answers without end", () => new Response("x".repeat(300_000))],
    ["answers a text", () => Response.json("alice@example.com")],
    ["answers an error", () => Response.json({ err: "no app token set" })],
    ["answers about somebody else", () => Response.json({ ...IDENTITY, email: "bob@example.com" })],
  ])("that %s refuses who needs it, and is asked again", async (_, answer) => {
    const { asked, fetcher } = access(answer);
    const detail = accessIdentityReader(config({ group: "sre" }), fetcher);
    for (let i = 1; i <= 2; i++) {
      expect(await detail(subject(), TOKEN)).toMatchObject({ ok: false, refusal: { code: "identity_unreachable" } });
    }
    expect(asked.length).toBe(2);
  });

  test("that knows no groups of a person is believed, in any case of the address", async () => {
    const { fetcher } = access(() => Response.json({ email: "Alice@Example.com" }));
    expect(await accessIdentityReader(config({ group: "sre" }), fetcher)(subject(), TOKEN)).toEqual({
      ok: true,
      details: { groups: [], posture: [] },
    });
  });

  test("is not asked for a service token, which has none", async () => {
    const { asked, fetcher } = access(() => Response.json(IDENTITY));
    const ci = subject({ name: "service:ci.access", email: undefined, commonName: "ci.access", claims: {} });
    expect(await accessIdentityReader(config({ group: "sre" }), fetcher)(ci, TOKEN)).toEqual({
      ok: true,
      details: { groups: [], posture: [] },
    });
    expect(asked).toEqual([]);
  });
});
