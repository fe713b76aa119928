/** kubectl's `--as` and `--as-group`: fewer rights for oneself, or another identity where a rule names it. */
import { env } from "cloudflare:workers";
import { describe, expect, inject, it } from "vitest";
import type { SessionStart } from "../../audit/events.ts";
import type { RequestStart } from "../../audit/request-events.ts";
import type { ConfigInput } from "../../worker/config/schema.ts";
import { eventually } from "../support/eventually.ts";
import { ended, eventsOf } from "./audit-rows.ts";
import { Client } from "./client.ts";
import { admin, alice, as, handlerAs, requestAs, someone, UPGRADE, upgrade } from "./people.ts";
import { Puppet } from "./puppet.ts";
import { expectStatus, readStatus } from "./statuses.ts";

const NS = "/api/v1/namespaces/demo";
const PODS = `${NS}/pods`;
const rawObject = `${NS}/configmaps/raw-${inject("rawHeadersPort")}`;
const rawPod = `${PODS}/raw-${inject("rawHeadersPort")}/exec?command=sh`;

/** What kubectl sends: each group in a line of its own. */
function actingAs(user: string, ...groups: string[]): Headers {
  const headers = new Headers({ "Impersonate-User": user });
  for (const group of groups) headers.append("Impersonate-Group", group);
  return headers;
}

const forUpgrade = (headers: Headers): Record<string, string> => ({ ...UPGRADE, ...Object.fromEntries(headers) });

/** The lines of the identity, as they left workerd. */
async function identityLines(response: Response): Promise<[string, string][]> {
  const { lines } = (await response.json()) as { lines: [string, string][] };
  return lines
    .filter(([name]) => name.startsWith("impersonate-") && name !== "impersonate-extra-sallyport-session")
    .sort(([a], [b]) => a.localeCompare(b));
}

const ALICE = [
  ["impersonate-uid", "uid-alice"],
  ["impersonate-user", "alice@example.com"],
];

describe("one's own user with fewer groups", () => {
  it.each<[string, string[], string[][]]>([
    ["the groups that are named", ["oncall"], [["impersonate-group", "oncall"], ...ALICE]],
    ["no group", [], ALICE],
    [
      "all of them",
      ["oncall", "developers"],
      [["impersonate-group", "oncall"], ["impersonate-group", "developers"], ...ALICE],
    ],
  ])("reaches the cluster with %s, for API requests and sessions", async (_, groups, lines) => {
    const headers = actingAs("alice@example.com", ...groups);
    expect(await identityLines(await as(alice, rawObject, { headers }))).toEqual(lines);
    expect(await identityLines(await upgrade(alice, rawPod, forUpgrade(headers)))).toEqual(lines);
  });

  it.each([
    ["another's group", ["oncall", "admins"], "developers or oncall"],
    ["system:masters", ["system:masters"], "developers or oncall"],
  ])("is refused with %s, for API requests and sessions", async (_, groups, available) => {
    const headers = actingAs("alice@example.com", ...groups);
    const message = `one of these groups is not available to you with this user: --as-group takes ${available}`;
    await expectStatus(await as(alice, PODS, { headers }), "Forbidden", message);
    await expectStatus(await upgrade(alice, rawPod, forUpgrade(headers)), "Forbidden", message);
  });

  it("reads a person's name exactly as it was sent", async () => {
    for (const user of ["Alice@example.com", "\u00d0\u00b0lice@example.com", "alice@example.com\u00a0"]) {
      await expectStatus(
        await as(alice, PODS, { headers: actingAs(user) }),
        "Forbidden",
        "this user is not available to you: --as takes alice@example.com",
      );
    }
  });
});

describe("leaving a group", () => {
  const rules = [
    { name: "no developers", match: { groups: ["developers"], namespaces: ["demo"] }, action: "refuse" },
  ] satisfies ConfigInput["rules"];

  it("does not leave the rule that refuses something to it", async () => {
    const person = someone();
    const send = handlerAs(person, { config: { rules } });
    for (const groups of [[], ["oncall"]]) {
      const headers = actingAs(person.email, ...groups);
      const message = "the rule no developers refuses this: ask your administrator";
      await expectStatus(await send(PODS, { headers }), "Forbidden", message);
      await expectStatus(await send(rawPod, { headers: forUpgrade(headers) }), "Forbidden", message);
    }
    const elsewhere = rawObject.replace("/demo/", "/other/");
    expect((await send(elsewhere, { headers: actingAs(person.email, "oncall") })).status).toBe(200);
  });

  it("does not leave a lock, nor the limit on sessions", async () => {
    const person = someone();
    const open = () => upgrade(person, `${PODS}/silent/exec?command=sh`, forUpgrade(actingAs(person.email)));
    const clients = [await Client.open(open()), await Client.open(open()), await Client.open(open())];
    expect((await readStatus(await open())).message).toContain("3 of 3 allowed sessions open");
    for (const client of clients) client.close();
    await as(admin, `/-/admin/locks/${person.email}?reason=drill`, { method: "PUT" });
    expect((await readStatus(await open())).message).toContain(`${person.email} is locked by admin@example.com`);
  });
});

describe("the audit log", () => {
  it("has a session under the person's own name, with both identities in the cluster", async () => {
    const person = someone();
    const pod = await Puppet.make();
    const headers = forUpgrade(actingAs(person.email, "oncall"));
    const client = await Client.open(upgrade(person, pod.path(), headers));
    await pod.request();
    pod.close(1000);
    expect(await ended(client.sessionId)).toMatchObject({
      ...{ user: person.email, kubernetes_user: person.email, kubernetes_groups: ["oncall"] },
    });
    const [start] = await eventsOf(client.sessionId);
    expect(start?.data as SessionStart).toMatchObject({
      ...{ user: person.email, kubernetes_groups: ["oncall"] },
      ...{ own_kubernetes_user: person.email, own_kubernetes_groups: ["developers", "oncall"] },
    });
  });

  it("says nothing of this where the cluster sees the person's own identity", async () => {
    const client = await Client.open(upgrade(someone(), `${PODS}/silent/exec?command=sh`));
    client.close();
    await ended(client.sessionId);
    const [start] = await eventsOf(client.sessionId);
    expect(Object.keys(start?.data ?? {})).not.toContain("own_kubernetes_user");
  });

  it("has an API request under the person's name, with the user that the cluster saw", async () => {
    const person = someone();
    const send = handlerAs(person, { config: { identities: [supportRule(person.email)] } });
    await send(`${NS}/configmaps/settings`, { method: "DELETE", headers: actingAs("trainee") });
    await eventually(async () => {
      const row = await env.AUDIT_DB.prepare("SELECT * FROM requests WHERE user = ?").bind(person.email).first();
      expect(row).toMatchObject({ kubernetes_user: "trainee", verb: "delete", name: "settings" });
      expect(await dataOfRequest(person.email)).toMatchObject({
        ...{ kubernetes_user: "trainee", kubernetes_groups: [] },
        ...{ own_kubernetes_user: person.email, own_kubernetes_groups: ["developers"] },
      });
    });
  });

  it("cuts a long list of groups in an API request, and says so", async () => {
    const person = someone();
    const groups = Array.from({ length: 60 }, (_, index) => `a-group-with-a-long-name-${index}`);
    const send = handlerAs(person, { config: { identities: [{ match: { email: person.email }, groups }] } });
    await send(`${NS}/configmaps/settings`, { method: "DELETE", headers: actingAs(person.email, ...groups.slice(1)) });
    await eventually(async () => {
      const data = await dataOfRequest(person.email);
      expect(data.kubernetes_groups).toEqual([...groups.slice(1, 10), "… and 50 more"]);
      expect(data.own_kubernetes_groups).toEqual([...groups.slice(0, 9), "… and 51 more"]);
    });
  });

  it("says nothing of this in an API request without --as", async () => {
    const person = someone();
    await as(person, `${NS}/configmaps/settings`, { method: "DELETE" });
    await eventually(async () => {
      const data = await dataOfRequest(person.email);
      expect(Object.keys(data)).toContain("kubernetes_user");
      expect(Object.keys(data).filter((key) => /^own_|_groups$/.test(key))).toEqual([]);
    });
  });
});

/** What the event of a person's only request has. */
async function dataOfRequest(user: string): Promise<RequestStart> {
  const sql = "SELECT data FROM events WHERE type = 'request' AND user = ?";
  const row = await env.AUDIT_DB.prepare(sql).bind(user).first<{ data: string }>();
  if (!row) throw new Error(`D1 has no request of ${user}`);
  return JSON.parse(row.data) as RequestStart;
}

function supportRule(email: string) {
  return {
    ...{ match: { email }, groups: ["developers"], extra: { team: ["core"] } },
    mayImpersonate: { users: ["trainee", "bob@example.com"], groups: ["viewers"] },
  };
}

describe("another identity that a rule names", () => {
  const person = someone();
  const send = (rules: ConfigInput["rules"] = []) =>
    handlerAs(person, { config: { identities: [supportRule(person.email)], rules } });
  const named: [string, string] = ["impersonate-extra-sallyport-user", person.email];

  it("reaches the cluster without anything of the person's but their name", async () => {
    for (const [headers, lines] of [
      [actingAs("trainee"), [named, ["impersonate-user", "trainee"]]],
      [
        actingAs("bob@example.com", "viewers"),
        [named, ["impersonate-group", "viewers"], ["impersonate-user", "bob@example.com"]],
      ],
    ] as const) {
      expect(await identityLines(await send()(rawObject, { headers }))).toEqual(lines);
      expect(await identityLines(await send()(rawPod, { headers: forUpgrade(headers) }))).toEqual(lines);
    }
  });

  it.each([
    ["a user whom no rule names", actingAs("carol@example.com"), /--as takes .*, trainee or bob@example\.com$/],
    ["a service account", actingAs("system:serviceaccount:demo:bot"), /--as takes/],
    ["a group of one's own", actingAs("trainee", "developers"), /--as-group takes viewers$/],
    ["a group of nobody's", actingAs("trainee", "system:masters"), /--as-group takes viewers$/],
    ["two users", new Headers([...actingAs("trainee"), ["Impersonate-User", "bob@example.com"]]), /several users/],
    ["a uid", new Headers([...actingAs("trainee"), ["Impersonate-Uid", "0"]]), /only --as and --as-group/],
    ["a group alone", new Headers({ "Impersonate-Group": "viewers" }), /--as-group needs --as/],
  ])("is not %s", async (_, headers, message) => {
    await expectStatus(await send()(PODS, { headers }), "Forbidden", message);
    await expectStatus(await send()(rawPod, { headers: forUpgrade(headers) }), "Forbidden", message);
  });

  it("meets the refusing rules of that identity beside the person's, and gains by none that allows", async () => {
    const rules = [
      { name: "team", match: { groups: ["developers"], namespaces: ["demo"] }, action: "allow" },
      { name: "no trainees", match: { users: ["Trainee"], namespaces: ["demo"] }, action: "refuse" },
      { name: "viewers", match: { groups: ["viewers"] }, action: "allow" },
      { name: "nobody else", match: { namespaces: ["prod"] }, action: "refuse" },
    ] satisfies ConfigInput["rules"];
    const prod = rawObject.replace("/demo/", "/prod/");
    const status = async (path: string, headers: Headers) => (await send(rules)(path, { headers })).status;
    expect(await status(rawObject, new Headers())).toBe(200);
    expect(await status(rawObject, actingAs("bob@example.com"))).toBe(200);
    expect(await status(rawObject, actingAs("trainee"))).toBe(403);
    expect(await status(prod, actingAs("bob@example.com", "viewers"))).toBe(403);
  });

  it("is told by whoami", async () => {
    const answer = await (await send()("/-/whoami", {})).json();
    expect(answer).toMatchObject({ mayImpersonate: { users: ["trainee", "bob@example.com"], groups: ["viewers"] } });
  });

  it("is nobody's for whom no rule names it", async () => {
    const request = await requestAs(someone(), PODS, { headers: actingAs("trainee") });
    await expectStatus(await env.EDGE.fetch(request), "Forbidden", /^this user is not available to you/);
  });
});
