/** Shells that wait for an approval, from the edge: which may wait, what is asked for, and what then runs. */
import type { JWTPayload } from "jose";
import { describe, expect, it } from "vitest";
import { Channel } from "../../kubernetes/channels.ts";
import type { ConfigInput } from "../../worker/config/schema.ts";
import { eventually } from "../support/eventually.ts";
import { ended, eventsOf } from "./audit-rows.ts";
import { Client } from "./client.ts";
import { handlerAs, someone, UPGRADE } from "./people.ts";
import { Puppet } from "./puppet.ts";
import { expectApiDenial, expectStatus } from "./statuses.ts";

const DEVELOPERS = [{ claim: "custom.groups", value: "developers" }];
const APPROVERS = { users: ["boss@example.com"] };
const CONFIG = {
  identities: [
    { match: { serviceToken: "ci.access" }, user: "ci", groups: ["developers"] },
    { match: { claim: "custom.groups", value: "developers" }, groups: ["developers"] },
    { match: { emailDomain: "example.com" }, groups: ["viewers"] },
  ],
  rules: [
    { name: "never", match: { kinds: ["exec"], groups: ["traitors"] }, action: "refuse" },
    {
      name: "shells",
      match: { kinds: ["exec", "attach", "port-forward"] },
      action: "allow",
      approval: { grant: "shells" },
    },
  ],
  grants: [{ name: "shells", for: DEVELOPERS, gives: { rules: ["shells"], groups: ["deep"] }, approvers: APPROVERS }],
} satisfies Partial<ConfigInput>;
type Config = Partial<ConfigInput>;

const boss: JWTPayload = { email: "boss@example.com", sub: "uid-boss" };
const V5 = { ...UPGRADE, "Sec-WebSocket-Protocol": "v5.channel.k8s.io" };

function call(who: JWTPayload, path: string, init: RequestInit = {}, config: Config = {}): Promise<Response> {
  return handlerAs(who, { config: { ...CONFIG, ...config } })(path, init);
}

interface Request {
  readonly id: string;
  readonly state: string;
  readonly purpose: string | null;
}

async function requestsOf(who: JWTPayload, config: Config = {}): Promise<Request[]> {
  return (await (await call(who, "/-/access", {}, config)).json<{ items: Request[] }>()).items;
}

async function approve(id: string): Promise<void> {
  const answer = await call(boss, `/-/approvals/${id}`, { method: "POST", body: '{"decision":"approve"}' });
  expect(answer.status, await answer.text()).toBe(200);
}

describe("a shell that needs an approval", () => {
  it("asks for it, waits, and runs with the groups of the grant; the next one does not wait", async () => {
    const person = someone();
    const pod = await Puppet.make();
    const client = await Client.open(
      call(person, pod.path("command=sh&command=-c&command=id&stdout=true"), { headers: V5 }),
    );
    await eventually(() =>
      expect(client.text(Channel.stderr)).toContain(
        "waits for up to 5m. Ctrl-C gives up.\nsallyport: boss@example.com may",
      ),
    );
    const [request] = await requestsOf(person);
    expect(request).toMatchObject({
      ...{ state: "pending", grant: "shells", minutes: 60, user: person.email },
      purpose: `exec in the pod ${pod.name} of demo, cluster test-cluster: sh -c id`,
    });
    expect(client.text(Channel.stderr)).toContain(`https://sallyport.example.com/-/approvals/${request?.id}\n`);
    expect(pod.isAsked).toBe(false);

    await approve(request?.id ?? "");
    const { headers } = await pod.request();
    expect(headers["impersonate-group"]).toBe("developers, deep");
    expect(headers["impersonate-extra-sallyport-grant"]).toBe("shells");
    await eventually(() => expect(client.text(Channel.stderr)).toContain("approved by boss@example.com"));
    client.close();

    const second = await Puppet.make();
    const next = await Client.open(call(person, second.path(), { headers: V5 }));
    await second.request();
    expect(next.text(Channel.stderr)).toBe("");
    next.close();
  });

  it.each([
    ["stands after kubectl cp gave up, which shows nothing", "command=test&command=-d&command=/tmp", "pending"],
    ["is withdrawn when somebody gives up", "command=test&command=-e&command=/tmp", "revoked"],
  ])("its request %s", async (_, command, state) => {
    const person = someone();
    const pod = await Puppet.make();
    const client = await Client.open(call(person, pod.path(`${command}&stdout=true&stderr=true`), { headers: V5 }));
    await eventually(() => expect(client.text(Channel.stderr)).toContain("waits for up to"));
    client.close();
    await ended(client.sessionId);
    await eventually(async () => expect(await requestsOf(person)).toMatchObject([{ state }]));
  });

  it.each([
    ["a port-forward", "ports=80", "portforward", "v4.channel.k8s.io"],
    ["an attempt over SPDY", "command=sh", "exec", undefined],
  ])("is refused at once where it cannot wait: %s", async (_, query, subresource, protocol) => {
    const person = someone();
    const pod = await Puppet.make();
    const headers = protocol ? { ...UPGRADE, "Sec-WebSocket-Protocol": protocol } : { ...UPGRADE, Upgrade: "SPDY/3.1" };
    const answer = await call(person, pod.path(query, subresource), { headers });
    await expectStatus(answer, "Forbidden", /requires the grant shells: ask for it with echo/);
    expect(await requestsOf(person)).toEqual([]);
  });

  it.each<[string, JWTPayload, Config, RegExp]>([
    ["a service token", { sub: "", common_name: "ci.access" }, {}, /requires the grant shells/],
    [
      "waitMinutes 0",
      someone(),
      { rules: [{ ...CONFIG.rules[1], approval: { grant: "shells", waitMinutes: 0 } }] } as Config,
      /ask for it with/,
    ],
    ["somebody whom the grant is not for", { email: "guest@example.com", sub: "uid-guest" }, {}, /it is not for you/],
    [
      "a grant that people approve for themselves",
      someone(),
      { grants: [{ ...CONFIG.grants[0], selfApproval: "with-alert" }] } as Config,
      /holds as soon as you ask/,
    ],
    [
      "a rule that refuses whoever has the grant",
      someone(),
      { grants: [{ ...CONFIG.grants[0], gives: { rules: ["shells"], groups: ["traitors"] } }] } as Config,
      /the rule never refuses/,
    ],
  ])("is refused at once for %s", async (_, who, config, message) => {
    const pod = await Puppet.make();
    await expectStatus(await call(who, pod.path(), { headers: V5 }, config), "Forbidden", message);
    expect(pod.isAsked).toBe(false);
  });

  it.each<[string, JWTPayload, string, string, string]>([
    ["a port-forward", someone(), "ports=80", "portforward", "v4.channel.k8s.io"],
    ["a service token's shell", { sub: "", common_name: "ci.access" }, "command=sh", "exec", "v5.channel.k8s.io"],
  ])("that cannot wait opens once what was asked for is approved: %s", async (_, who, query, subresource, protocol) => {
    const forBoth = [...DEVELOPERS, { serviceToken: "ci.access" }];
    const config = { grants: [{ ...CONFIG.grants[0], for: forBoth }] } as Config;
    const pod = await Puppet.make({ protocol });
    const headers = { ...UPGRADE, "Sec-WebSocket-Protocol": protocol };
    const attempt = () => call(who, pod.path(query, subresource), { headers }, config);
    await expectStatus(await attempt(), "Forbidden", /requires the grant shells: ask for it with echo/);
    expect(pod.isAsked).toBe(false);
    await call(who, "/-/access?grant=shells", { method: "POST", body: "INC-17" }, config);
    const [request] = await requestsOf(who, config);
    await approve(request?.id ?? "");
    const client = await Client.open(attempt());
    expect((await pod.request()).headers["impersonate-extra-sallyport-grant"]).toBe("shells");
    client.close();
  });

  it("waits with a reason that was given before, where its grant requires one", async () => {
    const person = someone();
    const config = { grants: [{ ...CONFIG.grants[0], requireReason: true }] } as Config;
    const pod = await Puppet.make();
    const refused = await call(person, pod.path(), { headers: V5 }, config);
    await expectStatus(refused, "Forbidden", /a reason: ask for it with echo .* then try again, and it waits/);
    expect(await requestsOf(person, config)).toEqual([]);
    await call(person, "/-/access?grant=shells", { method: "POST", body: "INC-17" }, config);
    const client = await Client.open(call(person, pod.path(), { headers: V5 }, config));
    client.close();
    // It was not the session's own, so that it stays.
    await eventually(async () => expect(await requestsOf(person, config)).toMatchObject([{ state: "pending" }]));
  });

  it("that is refused reads why in the answer over SPDY, which is all that kubectl shows", async () => {
    const person = someone();
    const pod = await Puppet.make();
    const rules = CONFIG.rules.map((rule) => ({ ...rule, ...(rule.name === "shells" && { requireReason: true }) }));
    const config = { rules } as Config;
    const attempt = (headers: Record<string, string>, id: string) =>
      call(person, pod.path(), { headers: { ...headers, "Kubectl-Session": id } }, config);
    const SPDY = { ...UPGRADE, Upgrade: "SPDY/3.1" };
    await expectStatus(await attempt(V5, "one"), "Forbidden", /^this session requires a reason/);
    // Of another attempt nothing is remembered, and of this one it is said once.
    await expectStatus(await attempt(SPDY, "two"), "Forbidden", /requires the grant shells/);
    await expectStatus(await attempt(SPDY, "one"), "Forbidden", /^this session requires a reason/);
    await expectStatus(await attempt(SPDY, "one"), "Forbidden", /requires the grant shells/);
    expect(await requestsOf(person, config)).toMatchObject([{ state: "revoked" }]);
    expect(pod.isAsked).toBe(false);
  });

  it("goes on waiting for another approver, where one has lost the role meanwhile and is told so", async () => {
    const person = someone();
    const pod = await Puppet.make();
    const client = await Client.open(call(person, pod.path(), { headers: V5 }));
    await eventually(() => expect(client.text(Channel.stderr)).toContain("boss@example.com may approve it"));
    const [request] = await requestsOf(person);
    const grants = [{ ...CONFIG.grants[0], approvers: { users: ["other@example.com"] } }] as ConfigInput["grants"];
    const decide = (who: JWTPayload) =>
      call(who, `/-/approvals/${request?.id}`, { method: "POST", body: '{"decision":"approve"}' }, { grants });
    const lost = "you may not decide about shells: other@example.com may";
    await expectApiDenial(await decide(boss), "not_approver", lost);
    expect(await requestsOf(person)).toMatchObject([{ state: "pending" }]);
    expect(pod.isAsked).toBe(false);
    expect((await decide({ email: "other@example.com", sub: "uid-other" })).status).toBe(200);
    await pod.request();
    await eventually(() => expect(client.text(Channel.stderr)).toContain("approved by other@example.com"));
    client.close();
  });

  it("waits in the object near its cluster, and begins when somebody decides at a third host", async () => {
    const clusters = [
      { name: "west", hostnames: ["west.example.com"], binding: "KUBE_API", locationHint: "weur" as const },
      { name: "south", hostnames: ["south.example.com"], binding: "KUBE_API", locationHint: "sam" as const },
      { name: "home", hostnames: ["sallyport.example.com"], binding: "KUBE_API" },
    ];
    const config = { ...CONFIG, cluster: undefined, clusters } as Config;
    const waitAt = async (name: string) => {
      const person = someone();
      const pod = await Puppet.make();
      const ask = handlerAs(person, { config, host: `https://${name}.example.com` });
      const client = await Client.open(ask(pod.path(), { headers: V5 }));
      await eventually(() => expect(client.text(Channel.stderr)).toContain("waits for up to"));
      const [request] = await requestsOf(person, config);
      return { name, pod, client, id: request?.id ?? "" };
    };
    const [west, south] = [await waitAt("west"), await waitAt("south")];
    const decide = async (id: string, decision: string) => {
      const init = { method: "POST", body: JSON.stringify({ decision, reason: "seen" }) };
      const answer = await call(boss, `/-/approvals/${id}`, init, config);
      expect(answer.status, await answer.text()).toBe(200);
    };
    await decide(south.id, "approve");
    await south.pod.request();
    await eventually(() => expect(south.client.text(Channel.stderr)).toContain("approved by boss@example.com"));
    // One decision is about one person.
    expect(west.pod.isAsked).toBe(false);
    expect(west.client.hungUp).toBeUndefined();
    await decide(west.id, "deny");
    await west.client.closed;
    expect(JSON.parse(west.client.text(Channel.error)).message).toBe("boss@example.com denied the access shells: seen");
    expect(west.pod.isAsked).toBe(false);
    expect(await ended(west.client.sessionId)).toMatchObject({ outcome: "not_approved", cluster: "west" });
    south.client.close();
    expect(await ended(south.client.sessionId)).toMatchObject({ cluster: "south" });
    for (const [{ client }, location_hint] of [
      [west, "weur"],
      [south, "sam"],
    ] as const) {
      expect((await eventsOf(client.sessionId))[0]?.data).toMatchObject({ location_hint });
    }
  });

  it("asks for nothing where a page of another site opened it", async () => {
    const person = someone();
    const pod = await Puppet.make();
    const headers = { ...V5, Origin: "https://evil.example" };
    expect((await call(person, pod.path(), { headers })).status).toBe(403);
    expect(await requestsOf(person)).toEqual([]);
  });

  it("describes itself to approvers in clean text of a bounded length", async () => {
    const person = someone();
    const pod = await Puppet.make();
    const command = encodeURIComponent(`\u001b]52;c;aGk=\u0007${"🚪".repeat(1_000)}`);
    const client = await Client.open(call(person, pod.path(`command=${command}`), { headers: V5 }));
    const [request] = await requestsOf(person);
    expect(request?.purpose?.length).toBeLessThanOrEqual(1_024);
    // biome-ignore lint/suspicious/noControlCharactersInRegex: it looks for them
    expect(request?.purpose).not.toMatch(/[\u0000-\u001f\u007f]|[\ud800-\udbff](?![\udc00-\udfff])/);
    client.close();
  });
});
