/** A person's own view of their live sessions, and how they end one. */
import { env } from "cloudflare:workers";
import { describe, expect, it, vi } from "vitest";
import { userObjectName } from "../../contract/placement.ts";
import { makeSessionId } from "../../contract/session-id.ts";
import type { ConfigInput } from "../../worker/config/schema.ts";
import { ended } from "./audit-rows.ts";
import { Client } from "./client.ts";
import { admin, as, directlyAs, someone, UPGRADE, upgrade } from "./people.ts";
import { expectApiDenial } from "./statuses.ts";

const OWN = "/-/sessions";
const NOT_YOURS = "you have no live session with this id: kubectl get --raw /-/sessions lists yours";
const PODS = "/api/v1/namespaces/demo/pods";
const silent = (who: ReturnType<typeof someone>) => Client.open(upgrade(who, `${PODS}/silent/exec?command=sh`));

interface Listed {
  readonly items: readonly { readonly id: string; readonly user: string; readonly state: string }[];
}

async function idsOf(who: ReturnType<typeof someone>): Promise<string[]> {
  return (await (await as(who, OWN)).json<Listed>()).items.map(({ id }) => id);
}

describe("one's own live sessions", () => {
  it("are listed newest first, and nobody else's are", async () => {
    const [person, other] = [someone(), someone()];
    const one = await silent(person);
    const openedAt = Date.now();
    // Two that start in the same millisecond are in the order of their ids.
    await vi.waitUntil(() => Date.now() > openedAt);
    const two = await silent(person);
    const bystander = await silent(other);
    const { items } = await (await as(person, OWN)).json<Listed>();
    expect(items.map(({ id, user, state }) => [id, user, state])).toEqual([
      [two.sessionId, person.email, "live"],
      [one.sessionId, person.email, "live"],
    ]);
    expect(await idsOf(other)).toEqual([bystander.sessionId]);
    expect(await idsOf(someone())).toEqual([]);
    for (const client of [one, two, bystander]) client.close();
  });

  it("are those at every location of the configuration, and end wherever they are", async () => {
    const person = someone();
    const clusters = [
      { name: "one", hostnames: ["one.example.com"], binding: "KUBE_API" },
      { name: "two", hostnames: ["two.example.com"], binding: "KUBE_API", locationHint: "weur" as const },
    ] satisfies ConfigInput["clusters"];
    const config = { cluster: undefined, clusters };
    const openAt = (host: string) =>
      directlyAs(person, `${PODS}/silent/exec?command=sh`, { headers: UPGRADE }, { config, host: `https://${host}` });
    const clients = [await Client.open(openAt("one.example.com")), await Client.open(openAt("two.example.com"))];
    const ask = (path: string, init: RequestInit = {}) =>
      directlyAs(person, path, init, { config, host: "https://one.example.com" });
    const { items } = await (await ask(OWN)).json<Listed>();
    expect(new Set(items.map(({ id }) => id))).toEqual(new Set(clients.map(({ sessionId }) => sessionId)));
    for (const client of clients) {
      expect((await ask(`${OWN}/${client.sessionId}`, { method: "DELETE" })).status).toBe(200);
      await client.closed;
    }
  });
});

describe("ending one of one's own", () => {
  it("tells the session, and the audit log has who ended it and why", async () => {
    const person = someone();
    const [client, kept] = [await silent(person), await silent(person)];
    const response = await as(person, `${OWN}/${client.sessionId}?reason=forgotten`, { method: "DELETE" });
    expect([response.status, await response.json()]).toEqual([200, { ended: [client.sessionId] }]);
    await client.closed;
    expect(JSON.parse(client.text(3)).message).toBe(`session terminated by ${person.email}: forgotten`);
    expect(await ended(client.sessionId)).toMatchObject({
      ...{ outcome: "terminated", ended_by: person.email, reason: "forgotten" },
    });
    expect(await idsOf(person)).toEqual([kept.sessionId]);
    kept.close();
  });

  it("without a reason says whose choice it was", async () => {
    const person = someone();
    const client = await silent(person);
    await as(person, `${OWN}/${client.sessionId}`, { method: "DELETE" });
    expect(await ended(client.sessionId)).toMatchObject({ ended_by: person.email, reason: "ended by its own user" });
  });

  it("frees its place in the limit", async () => {
    const person = someone();
    const open = [await silent(person), await silent(person), await silent(person)];
    expect((await upgrade(person, `${PODS}/silent/exec?command=sh`)).status).toBe(429);
    expect((await as(person, `${OWN}/${open[0]?.sessionId}`, { method: "DELETE" })).status).toBe(200);
    open.push(await silent(person));
    for (const client of open) client.close();
  });

  it("of somebody else's ends nothing, and is not told apart from one that does not exist", async () => {
    const [person, other] = [someone(), someone()];
    const client = await silent(person);
    const objectId = env.USER_SESSIONS.idFromName(userObjectName(other.email, null)).toString();
    const missing = makeSessionId(objectId, Date.now(), new Uint8Array(10));
    const answers = [];
    for (const id of [client.sessionId, missing, "A".repeat(64), "garbled"]) {
      // An administrator has a route of their own for others' sessions, which says so in the audit log.
      for (const who of [other, admin]) {
        const response = await as(who, `${OWN}/${id}`, { method: "DELETE", body: '{"reason":"not mine"}' });
        answers.push(await response.clone().text());
        await expectApiDenial(response, "not_found", NOT_YOURS);
      }
    }
    expect(new Set(answers).size).toBe(1);
    expect(await idsOf(person)).toEqual([client.sessionId]);
    client.close();
  });

  it("twice succeeds once", async () => {
    const person = someone();
    const path = `${OWN}/${(await silent(person)).sessionId}`;
    expect((await as(person, path, { method: "DELETE" })).status).toBe(200);
    await expectApiDenial(await as(person, path, { method: "DELETE" }), "not_found", NOT_YOURS);
  });

  it("is nothing that a page of another site may do", async () => {
    const person = someone();
    const client = await silent(person);
    const headers = { Origin: "https://evil.example", "Sec-Fetch-Site": "cross-site" };
    const response = await as(person, `${OWN}/${client.sessionId}`, { method: "DELETE", headers });
    await expectApiDenial(response, "cross_site", /another site/);
    expect(await idsOf(person)).toEqual([client.sessionId]);
    client.close();
  });
});
