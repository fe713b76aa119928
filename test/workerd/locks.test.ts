/** Locks, reasons, service tokens, and what somebody may ask of Sallyport itself. */
import { abortAllDurableObjects } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { describe, expect, it, vi } from "vitest";
import type { ChainedEvent } from "../../audit/chain.ts";
import { ChainVerifier } from "../../audit/verify.ts";
import { objectIdOf } from "../../contract/session-id.ts";
import { ALL_OBJECT_LOCATIONS } from "../../worker/config/location-hints.ts";
import type { ConfigInput } from "../../worker/config/schema.ts";
import { userObjectName } from "../../worker/sessions/user-objects.ts";
import { askUserObject } from "./ask-user-object.ts";
import { ended, eventsOf } from "./audit-rows.ts";
import { Client } from "./client.ts";
import { admin, alice, as, directlyAs, requestAs, someone, UPGRADE, upgrade } from "./people.ts";
import { Puppet } from "./puppet.ts";
import { expectApiDenial } from "./statuses.ts";

const SILENT = "/api/v1/namespaces/demo/pods/silent/exec?command=sh";
const locks = (email: string) => `/-/admin/locks/${email}`;
const body = (value: object): RequestInit => ({ body: JSON.stringify(value) });

async function statusOf(response: Response) {
  const { message, reason } = (await response.json()) as { message: string; reason: string };
  return { code: response.status, reason, message };
}

async function eventsOfUser(user: string) {
  return vi.waitFor(async () => {
    const { results } = await env.AUDIT_DB.prepare(
      "SELECT type, data FROM events WHERE user = ? AND type IN ('lock', 'unlock') ORDER BY at",
    )
      .bind(user)
      .all<{ type: string; data: string }>();
    expect(results.length).toBeGreaterThan(0);
    return results.map(({ type, data }) => ({ type, ...JSON.parse(data) }));
  });
}

async function brokenLinks(user: string) {
  const { results } = await env.AUDIT_DB.prepare(
    "SELECT * FROM events WHERE session_id IN (SELECT session_id FROM events WHERE user = ?) ORDER BY session_id, seq",
  )
    .bind(user)
    .all<ChainedEvent>();
  const verifier = new ChainVerifier();
  for (const event of results) verifier.add(event);
  return verifier.finish().broken;
}

describe("a lock", () => {
  it("ends the user's sessions, refuses new ones in words until it is lifted, and is in the record", async () => {
    const person = someone();
    const client = await Client.open(upgrade(person, SILENT));
    const locked = await as(admin, locks(person.email.toUpperCase()), {
      method: "PUT",
      ...body({ reason: "stolen laptop" }),
    });
    expect(await locked.json()).toEqual({
      ...{ user: person.email, locked: true, by: "admin@example.com", reason: "stolen laptop", until: null },
      ended: [client.sessionId],
    });
    expect(client.text(3)).toContain("session terminated by admin@example.com: stolen laptop");
    expect(await statusOf(await upgrade(person, SILENT))).toEqual({
      ...{ code: 403, reason: "Forbidden" },
      message: `sessions of ${person.email} are locked by admin@example.com: stolen laptop`,
    });
    expect((await as(admin, locks(person.email))).status).toBe(200);

    expect((await as(admin, `${locks(person.email)}?reason=found`, { method: "DELETE" })).status).toBe(200);
    expect((await as(admin, locks(person.email))).status).toBe(404);
    expect((await as(admin, locks(person.email), { method: "DELETE" })).status).toBe(404);
    (await Client.open(upgrade(person, SILENT))).close();
    expect(await eventsOfUser(person.email)).toEqual([
      { type: "lock", user: person.email, by: "admin@example.com", reason: "stolen laptop", until: null },
      { type: "unlock", user: person.email, by: "admin@example.com", reason: "found" },
    ]);
  });

  it("outlives the object that has it, and ends at its time by itself", async () => {
    const person = someone();
    await as(admin, locks(person.email), { method: "PUT", ...body({ reason: "drill", minutes: 0.02 }) });
    await abortAllDurableObjects();
    // The edge's first call may still go to the object that was ended, and fail.
    const refused = await vi.waitFor(async () => {
      const response = await upgrade(person, SILENT);
      expect(response.status).toBe(403);
      return statusOf(response);
    });
    expect(refused.message).toMatch(/ are locked until \d{4}-.*Z by admin@example.com: drill$/);
    await vi.waitFor(async () => (await Client.open(upgrade(person, SILENT))).close(), {
      timeout: 4_000,
      interval: 100,
    });
  });

  it.each([
    ["no number", { minutes: "soon" }],
    ["no time at all", { minutes: 0 }],
    ["longer than a year", { minutes: 1e9 }],
    ["a reason that is no text", { reason: {} }],
  ])("is not made of %s", async (_, order) => {
    const person = someone();
    expect((await as(admin, locks(person.email), { method: "PUT", ...body(order) })).status).toBe(400);
    expect((await as(admin, locks(person.email))).status).toBe(404);
  });

  it("is an administrator's alone: nobody else makes, lifts or sees one, an auditor sees it", async () => {
    const person = someone();
    for (const method of ["GET", "PUT", "DELETE"]) {
      expect((await as(alice, locks(person.email), { method })).status).toBe(403);
    }
    const config = {
      identities: [{ match: { email: "alice@example.com" }, roles: ["auditor"] }],
    } satisfies Partial<ConfigInput>;
    const asAuditor = (method: string) => directlyAs(alice, locks(person.email), { method }, { config });
    expect((await asAuditor("GET")).status).toBe(404);
    expect((await asAuditor("PUT")).status).toBe(403);
    expect((await asAuditor("DELETE")).status).toBe(403);
  });
});

describe("an order about a name that nobody can have", () => {
  it.each(["alice@example.com%20weur", "%20", "a%09b", "a%0Ab", "%C3%A9@example.com"])(
    "is not taken: %s",
    async (name) => {
      for (const method of ["GET", "PUT", "DELETE"]) {
        expect((await as(admin, locks(name), { method })).status).toBe(400);
      }
      expect((await as(admin, `/-/admin/users/${name}/sessions`, { method: "DELETE" })).status).toBe(400);
    },
  );
});

describe("a session that needs a reason", () => {
  const rules = [
    { name: "say why", match: { kinds: ["exec"] }, action: "allow", requireReason: true },
  ] satisfies ConfigInput["rules"];
  const open = (who: ReturnType<typeof someone>) =>
    directlyAs(who, SILENT, { headers: UPGRADE }, { config: { rules } });

  it("is refused with how to give one, opens once it is given, and has it in the record", async () => {
    const person = someone();
    expect((await statusOf(await open(person))).message).toContain('echo "why" | kubectl create --raw /-/reason -f -');
    const stated = await as(person, "/-/reason", { method: "POST", body: "INC-17: disk full\u001b[2J\n" });
    expect(await stated.json()).toMatchObject({ reason: "INC-17: disk full [2J" });
    const client = await Client.open(open(person));
    client.close();
    expect(await ended(client.sessionId)).toMatchObject({ access_reason: "INC-17: disk full [2J", rule: "say why" });
    const other = someone();
    expect((await open(other)).status).toBe(403);
  });

  it.each(["", "   ", '{"reason":""}', "x".repeat(20_000)])("takes no %j for one", async (text) => {
    expect((await as(someone(), "/-/reason", { method: "POST", body: text })).status).toBe(400);
  });

  it("takes none from a foreign page", async () => {
    const headers = { Origin: "https://evil.example" };
    expect((await as(someone(), "/-/reason", { method: "POST", body: "x", headers })).status).toBe(403);
  });
});

describe("a rule", () => {
  it("refuses a session in its own words, and a plain request too", async () => {
    const rules = [
      { name: "no prod", match: { namespaces: ["prod-*"] }, action: "refuse", message: "prod is closed on Fridays" },
    ] satisfies ConfigInput["rules"];
    for (const path of ["/api/v1/namespaces/prod-1/pods", "/api/v1/namespaces/prod-1/pods/x/exec?command=sh"]) {
      const headers = path.includes("exec") ? UPGRADE : {};
      const response = await directlyAs(someone(), path, { headers }, { config: { rules } });
      expect(await statusOf(response)).toEqual({
        code: 403,
        reason: "Forbidden",
        message: "prod is closed on Fridays",
      });
    }
  });

  it("may end a session with the token that opened it", async () => {
    const rules = [
      { name: "short", match: { kinds: ["exec"] }, action: "allow", limits: { endWithToken: true } },
    ] satisfies ConfigInput["rules"];
    const exp = Math.floor(Date.now() / 1000) + 2;
    const client = await Client.open(
      directlyAs({ ...someone(), exp }, SILENT, { headers: UPGRADE }, { config: { rules } }),
    );
    expect((await client.closed).code).toBe(1000);
    expect(client.text(3)).toContain("the sign-in that opened it has expired");
    expect((await ended(client.sessionId)).outcome).toBe("token_expired");
  });
});

describe("a WebSocket to a workload", () => {
  it("is a session of kind proxy: counted, audited, not recorded", async () => {
    const pod = await Puppet.make();
    const client = await Client.open(upgrade(someone(), `/api/v1/namespaces/demo/pods/${pod.name}:8080/proxy/ws`));
    expect((await pod.request()).url).toContain("/proxy/ws");
    client.send("hello");
    await vi.waitFor(() => expect(pod.received).toEqual(["hello"]));
    pod.send(Uint8Array.of(1, 2));
    await vi.waitFor(() => expect(client.received).toEqual([Uint8Array.of(1, 2)]));
    client.close();
    expect(await ended(client.sessionId)).toMatchObject({
      ...{ kind: "proxy", pod: `${pod.name}:8080`, recording_mode: "off", bytes_in: 5, bytes_out: 2 },
    });
  });
});

describe("a rule on countries", () => {
  const config = {
    identities: [{ match: { emailDomain: "example.com", country: ["DE"] }, groups: ["developers"] }],
  } satisfies Partial<ConfigInput>;

  it.each([
    ["DE", "DE", 200],
    ["DE", "RU", 403],
    ["DE", "T1", 403],
    ["US", "DE", 403],
  ])("looks at where the sign-in was and where the request comes from: %s, %s", async (signedIn, country, status) => {
    const path = "/api/v1/namespaces";
    const response = await directlyAs({ ...alice, country: signedIn }, path, { cf: { country } }, { config });
    expect(response.status).toBe(status);
  });
});

describe("a service token", () => {
  const claims = { type: "app", sub: "", common_name: "ci.access" };
  const config = {
    identities: [{ match: { serviceToken: "ci.access" }, groups: ["deployers"] }],
  } satisfies Partial<ConfigInput>;

  it("reads and opens sessions as itself", async () => {
    const pod = await Puppet.make();
    const client = await Client.open(directlyAs(claims, pod.path(), { headers: UPGRADE }, { config }));
    const { headers } = await pod.request();
    expect(headers).toMatchObject({ "impersonate-user": "service:ci.access", "impersonate-group": "deployers" });
    expect(headers).not.toHaveProperty("impersonate-uid");
    client.close();
    expect((await ended(client.sessionId)).user).toBe("service:ci.access");
  });

  it("is locked and ended by its name, whatever the case of its letters", async () => {
    const mixed = { ...claims, common_name: "Deploy-Bot.access" };
    const rules = { identities: [{ match: { serviceToken: "Deploy-Bot.access" }, groups: ["deployers"] }] };
    const open = () => directlyAs(mixed, SILENT, { headers: UPGRADE }, { config: rules });
    const client = await Client.open(open());
    const locked = await as(admin, locks("service:Deploy-Bot.access"), { method: "PUT" });
    expect(await locked.json()).toMatchObject({ locked: true, ended: [client.sessionId] });
    expect((await open()).status).toBe(403);
    expect((await as(admin, locks("service:Deploy-Bot.access"), { method: "DELETE" })).status).toBe(200);
  });

  it("that no rule knows is told so", async () => {
    const response = await as(claims, "/api/v1/namespaces");
    expect(await statusOf(response)).toMatchObject({
      code: 403,
      message: "no rule here gives service:ci.access access: ask your administrator to add one",
    });
  });
});

describe("Sallyport itself", () => {
  it("says who one is", async () => {
    expect(await (await as(alice, "/-/whoami")).json()).toMatchObject({
      identity: "alice@example.com",
      kind: "person",
      cluster: "test-cluster",
      rule: expect.stringMatching(/^identities\[\d\]$/),
      kubernetes: { user: "alice@example.com", groups: expect.arrayContaining(["developers"]), uid: "uid-alice" },
      roles: [],
      limits: { maxSessionsPerUser: 3, endWithToken: false },
      recording: { mode: "output" },
    });
  });

  it("gives a kubeconfig for the address that was asked", async () => {
    const response = await as(alice, "/-/kubeconfig");
    expect(response.headers.get("Content-Type")).toBe("application/yaml");
    expect(JSON.parse(await response.text())).toMatchObject({
      "current-context": "test-cluster",
      clusters: [{ name: "test-cluster", cluster: { server: "https://sallyport.example.com" } }],
      contexts: [{ name: "test-cluster", context: { cluster: "test-cluster", user: "alice@example.com" } }],
    });
  });

  it("asks for a token, and has nothing else", async () => {
    expect((await as(alice, "/-/whoami", { method: "POST" })).status).toBe(405);
    expect((await as(alice, "/-/constructor")).status).toBe(404);
    const request = await requestAs(alice, "/-/whoami");
    request.headers.delete("Cf-Access-Jwt-Assertion");
    expect((await env.EDGE.fetch(request)).status).toBe(401);
  });
});

describe("several clusters", () => {
  const clusters = [
    { name: "one", hostnames: ["one.example.com"], binding: "KUBE_API" },
    {
      ...{ name: "two", hostnames: ["two.example.com"], binding: "OTHER_API" },
      identities: [{ match: { email: "alice@example.com" }, groups: ["readers"] }],
    },
  ] satisfies ConfigInput["clusters"];
  const config = { cluster: undefined, clusters };
  const other = {
    fetch: async (url: string, init: RequestInit) => Response.json({ url, as: [...new Headers(init.headers)] }),
  };
  const ask = (host: string, path: string, init: RequestInit = {}) =>
    directlyAs(alice, path, init, { config, host: `https://${host}`, bindings: { OTHER_API: other } });

  it("each answers to its own host, by its own rules", async () => {
    const answer: { as: [string, string][] } = await (await ask("two.example.com", "/api/v1/namespaces")).json();
    expect(answer.as.filter(([name]) => name === "impersonate-group")).toEqual([["impersonate-group", "readers"]]);
    expect((await ask("one.example.com", "/version")).status).toBe(200);
  });

  it("a host that is none of theirs is told so, with a Status", async () => {
    expect(await statusOf(await ask("three.example.com", "/version"))).toEqual({
      ...{
        code: 404,
        reason: "NotFound",
        message: "no cluster has this host name here: check the server in your kubeconfig",
      },
    });
  });

  it("a rule of one says nothing of the other", async () => {
    const nobody = { ...alice, email: "bob@viewers.example.com" };
    const asBob = (host: string) =>
      directlyAs(nobody, "/version", {}, { config, host: `https://${host}`, bindings: { OTHER_API: other } });
    expect((await asBob("one.example.com")).status).toBe(200);
    expect((await asBob("two.example.com")).status).toBe(403);
  });

  describe("with objects near them", () => {
    const near = [
      { name: "one", hostnames: ["one.example.com"], binding: "KUBE_API" },
      { name: "two", hostnames: ["two.example.com"], binding: "KUBE_API", locationHint: "weur" as const },
    ];
    const openAt = async (person: { email: string }, host: string) => {
      const pod = await Puppet.make();
      const init = { headers: UPGRADE };
      return directlyAs(person, pod.path(), init, {
        config: { cluster: undefined, clusters: near },
        host: `https://${host}`,
      });
    };

    it("a user's sessions live in an object for each place, each with a chain of its own, all ended and locked by one order", async () => {
      const person = someone();
      const one = await Client.open(openAt(person, "one.example.com"));
      const two = await Client.open(openAt(person, "two.example.com"));
      expect(objectIdOf(one.sessionId)).toBe(env.USER_SESSIONS.idFromName(person.email).toString());
      expect(objectIdOf(two.sessionId)).toBe(env.USER_SESSIONS.idFromName(`${person.email} weur`).toString());

      const killed = await as(admin, `/-/admin/users/${person.email}/sessions`, { method: "DELETE" });
      expect(await killed.json()).toEqual({ ended: [one.sessionId, two.sessionId] });
      expect(await Promise.all([one, two].map(async ({ sessionId }) => (await ended(sessionId)).outcome))).toEqual([
        ...["terminated", "terminated"],
      ]);
      const starts = await Promise.all([one, two].map(async ({ sessionId }) => (await eventsOf(sessionId))[0]));
      expect(starts.map((start) => start?.type === "start" && start.data.location_hint)).toEqual([null, "weur"]);
      expect(await brokenLinks(person.email)).toEqual([]);
    });

    it("a lock holds at each place, also at one that no cluster named when it was set, and is on record once", async () => {
      const person = someone();
      const two = await Client.open(openAt(person, "two.example.com"));
      const locked = await as(admin, locks(person.email), { method: "PUT", ...body({ reason: "gone" }) });
      expect(await locked.json()).toMatchObject({ locked: true, ended: [two.sessionId] });
      for (const host of ["one.example.com", "two.example.com"]) {
        expect(await statusOf(await openAt(person, host))).toMatchObject({
          ...{ code: 403, message: `sessions of ${person.email} are locked by admin@example.com: gone` },
        });
      }
      for (const place of ALL_OBJECT_LOCATIONS) {
        expect(
          await askUserObject(env.USER_SESSIONS.getByName(userObjectName(person.email, place)), "currentLock", {}),
        ).toMatchObject({
          reason: "gone",
        });
      }
      expect((await as(admin, `${locks(person.email)}?reason=back`, { method: "DELETE" })).status).toBe(200);
      (await Client.open(openAt(person, "two.example.com"))).close();
      expect((await eventsOfUser(person.email)).map(({ type }) => type)).toEqual(["lock", "unlock"]);
    });

    it("an order that one of them did not hear is not called done", async () => {
      const person = someone();
      const broken = {
        idFromName: (name: string) => env.USER_SESSIONS.idFromName(name),
        get: (id: DurableObjectId, options?: { locationHint: string }) =>
          options?.locationHint === "oc"
            ? { lock: () => Promise.reject(new Error("no")), terminateAll: () => Promise.reject(new Error("no")) }
            : env.USER_SESSIONS.get(id),
      };
      const order = (path: string, method: string) =>
        directlyAs(admin, path, { method, ...body({ reason: "x" }) }, { bindings: { USER_SESSIONS: broken } });
      for (const answer of [
        await order(locks(person.email), "PUT"),
        await order(`/-/admin/users/${person.email}/sessions`, "DELETE"),
      ]) {
        await expectApiDenial(
          answer,
          "object_unavailable",
          `not every object of ${person.email} carried this out, so it may not hold everywhere: repeat the command`,
        );
      }
      expect((await upgrade(person, SILENT)).status).toBe(403);
    });

    it("a reason counts at each of them", async () => {
      const person = someone();
      const rules = [
        { name: "say why", match: { kinds: ["exec" as const] }, action: "allow" as const, requireReason: true },
      ];
      const config = { cluster: undefined, clusters: near, rules };
      const askAt = (host: string, path: string, init: RequestInit) =>
        directlyAs(person, path, init, { config, host: `https://${host}` });
      expect((await askAt("one.example.com", "/-/reason", { method: "POST", body: "INC-1" })).status).toBe(200);
      for (const host of ["one.example.com", "two.example.com"]) {
        const pod = await Puppet.make();
        const client = await Client.open(askAt(host, pod.path(), { headers: UPGRADE }));
        client.close();
        expect((await ended(client.sessionId)).access_reason).toBe("INC-1");
      }
    });
  });

  it("one kubeconfig has all that one may reach", async () => {
    const kubeconfig: { contexts: { name: string }[]; clusters: { cluster: { server: string } }[] } = await (
      await ask("two.example.com", "/-/kubeconfig")
    ).json();
    expect(kubeconfig.contexts.map(({ name }) => name)).toEqual(["one", "two"]);
    expect(kubeconfig.clusters.map(({ cluster }) => cluster.server)).toEqual([
      "https://one.example.com",
      "https://two.example.com",
    ]);
  });

  it("a session goes to its cluster's binding", async () => {
    const pod = await Puppet.make();
    const client = await Client.open(ask("one.example.com", pod.path(), { headers: UPGRADE }));
    client.close();
    expect((await ended(client.sessionId)).cluster).toBe("one");
    expect((await eventsOf(client.sessionId)).map(({ type }) => type)).toEqual(["start", "connect", "end"]);
  });
});

it("the admin API may ask for a token of its own application", async () => {
  const access = {
    teamDomain: "https://team.cloudflareaccess.com",
    audiences: ["test-audience", "admin-app"],
    adminAudiences: ["admin-app"],
  };
  const ask = (aud: string[]) => directlyAs({ ...admin, aud }, "/-/admin/sessions", {}, { config: { access } });
  expect((await ask(["test-audience"])).status).toBe(403);
  expect((await ask(["admin-app"])).status).toBe(200);
});
