import { env } from "cloudflare:workers";
import { describe, expect, it } from "vitest";
import { ALL_OBJECT_LOCATIONS, userObjectName } from "../../contract/placement.ts";
import { objectIdOf } from "../../contract/session-id.ts";
import { kubeconfig } from "../../worker/api/schemas/self-service.ts";
import type { ConfigInput } from "../../worker/config/schema.ts";
import { askUserObject } from "./ask-user-object.ts";
import { ended, eventsOf } from "./audit-rows.ts";
import { Client } from "./client.ts";
import { admin, alice, as, directlyAs, someone, TEAM, UPGRADE } from "./people.ts";
import { Puppet } from "./puppet.ts";
import { expectApiDenial, readStatus } from "./statuses.ts";
import { brokenLinks, lockEventsOf } from "./user-events.ts";

const locks = (email: string) => `/-/admin/locks/${email}`;
const body = (value: object): RequestInit => ({ body: JSON.stringify(value) });

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

  it("are told apart by host name, each with its own rules", async () => {
    const answer: { as: [string, string][] } = await (await ask("two.example.com", "/api/v1/namespaces")).json();
    expect(answer.as.filter(([name]) => name === "impersonate-group")).toEqual([["impersonate-group", "readers"]]);
    expect((await ask("one.example.com", "/version")).status).toBe(200);
  });

  it("refuse an unknown host name with a Status", async () => {
    expect(await readStatus(await ask("three.example.com", "/version"))).toEqual({
      ...{
        code: 404,
        reason: "NotFound",
        message: "no cluster has this host name here: check the server in your kubeconfig",
      },
    });
  });

  it("do not share identity rules", async () => {
    const nobody = { ...alice, email: "bob@viewers.example.com" };
    const asBob = (host: string) =>
      directlyAs(nobody, "/version", {}, { config, host: `https://${host}`, bindings: { OTHER_API: other } });
    expect((await asBob("one.example.com")).status).toBe(200);
    expect((await asBob("two.example.com")).status).toBe(403);
  });

  describe("with location hints", () => {
    const near = [
      { name: "one", hostnames: ["one.example.com"], binding: "KUBE_API" },
      { name: "two", hostnames: ["two.example.com"], binding: "KUBE_API", locationHint: "weur" as const },
    ];
    const openOn = async (person: { email: string }, host: string) => {
      const pod = await Puppet.make();
      const init = { headers: UPGRADE };
      return directlyAs(person, pod.path(), init, {
        config: { cluster: undefined, clusters: near },
        host: `https://${host}`,
      });
    };

    it("hold a user's sessions in one object per location, each with its own hash chain, all ended by one command", async () => {
      const person = someone();
      const one = await Client.open(openOn(person, "one.example.com"));
      const two = await Client.open(openOn(person, "two.example.com"));
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

    it("hold a lock at every location, configured or not, and log it once", async () => {
      const person = someone();
      const two = await Client.open(openOn(person, "two.example.com"));
      const locked = await as(admin, locks(person.email), { method: "PUT", ...body({ reason: "gone" }) });
      expect(await locked.json()).toMatchObject({ locked: true, ended: [two.sessionId] });
      for (const host of ["one.example.com", "two.example.com"]) {
        expect(await readStatus(await openOn(person, host))).toMatchObject({
          ...{
            code: 403,
            message: `${person.email} is locked by admin@example.com, and administrators can lift it: gone`,
          },
        });
      }
      for (const location of ALL_OBJECT_LOCATIONS) {
        expect(
          await askUserObject(env.USER_SESSIONS.getByName(userObjectName(person.email, location)), "currentLock", {}),
        ).toMatchObject({
          reason: "gone",
        });
      }
      expect((await as(admin, `${locks(person.email)}?reason=back`, { method: "DELETE" })).status).toBe(200);
      (await Client.open(openOn(person, "two.example.com"))).close();
      expect((await lockEventsOf(person.email, 2)).map(({ type }) => type)).toEqual(["lock", "unlock"]);
    });

    it("answer 503 to a command that one object did not carry out", async () => {
      const person = someone();
      const broken = {
        idFromName: (name: string) => env.USER_SESSIONS.idFromName(name),
        get: (id: DurableObjectId, options?: { locationHint: string }) =>
          options?.locationHint === "oc"
            ? { terminateAll: () => Promise.reject(new Error("no")) }
            : env.USER_SESSIONS.get(id),
      };
      const bindings = { USER_SESSIONS: broken };
      const path = `/-/admin/users/${person.email}/sessions`;
      await expectApiDenial(
        await directlyAs(admin, path, { method: "DELETE", ...body({ reason: "x" }) }, { bindings }),
        "object_unavailable",
        `not every object of ${person.email} carried this out, so it may not hold everywhere: repeat the command`,
      );
    });

    it("accept a stated reason at every location", async () => {
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

  it("are all in one kubeconfig, as far as the caller may reach them", async () => {
    const kubeconfig: { contexts: { name: string }[]; clusters: { cluster: { server: string } }[] } = await (
      await ask("two.example.com", "/-/kubeconfig")
    ).json();
    expect(kubeconfig.contexts.map(({ name }) => name)).toEqual(["one", "two"]);
    expect(kubeconfig.clusters.map(({ cluster }) => cluster.server)).toEqual([
      "https://one.example.com",
      "https://two.example.com",
    ]);
  });

  describe("have one user in the kubeconfig of the plugin", () => {
    const access = { teamDomain: TEAM, adminAudiences: ["admins"], serviceAudiences: ["ci"] };
    const usersOf = async (audiences: readonly string[]) => {
      const config = { cluster: undefined, clusters, access: { ...access, audiences: [...audiences, "ci", "admins"] } };
      const other = { config, host: "https://two.example.com" };
      const answer = await directlyAs(alice, "/-/kubeconfig?auth=plugin", {}, other);
      const { users, contexts } = kubeconfig.parse(JSON.parse(await answer.text()));
      const applicationOf = Object.fromEntries(users.map(({ name, user }) => [name, user.exec?.args.at(-1)]));
      return contexts.map(({ name, context }) => [name, applicationOf[context.user]]);
    };

    it("as long as they are behind one Access application", async () => {
      expect(await usersOf(["test-audience"])).toEqual([
        ["one", "https://one.example.com"],
        ["two", "https://one.example.com"],
      ]);
    });

    it("and otherwise one each, because a sign-in counts for one application", async () => {
      expect(await usersOf(["test-audience", "another"])).toEqual([
        ["one", "https://one.example.com"],
        ["two", "https://two.example.com"],
      ]);
    });
  });

  it("get their sessions through their own bindings", async () => {
    const pod = await Puppet.make();
    const client = await Client.open(ask("one.example.com", pod.path(), { headers: UPGRADE }));
    client.close();
    expect((await ended(client.sessionId)).cluster).toBe("one");
    expect((await eventsOf(client.sessionId)).map(({ type }) => type)).toEqual(["start", "connect", "end"]);
  });
});
