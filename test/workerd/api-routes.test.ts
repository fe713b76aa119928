/** Each route of the API, with a real answer and with the refusals that all of its kind have. */
import { env } from "cloudflare:workers";
import { describe, expect, it } from "vitest";
import { makeSessionId } from "../../contract/session-id.ts";
import type { Route } from "../../worker/api/route.ts";
import { ROUTES, type RouteName } from "../../worker/api/routes.ts";
import { kubeconfig } from "../../worker/api/schemas/self-service.ts";
import type { ConfigInput } from "../../worker/config/schema.ts";
import { ended } from "./audit-rows.ts";
import { Client } from "./client.ts";
import { admin, alice, as, directlyAs, HOST, requestAs, someone, stranger, upgrade } from "./people.ts";
import { expectApiDenial } from "./statuses.ts";

const PODS = "/api/v1/namespaces/demo/pods";

const routes = Object.entries<Route>(ROUTES) as [RouteName, Route][];

/** A path of a route for requests that are refused before anybody looks at its parts. */
const exampleOf = ({ path }: Route) => path.replaceAll(/\{\w+\}/g, "x");

async function endedSession(): Promise<string> {
  const client = await Client.open(upgrade(someone(), `${PODS}/exit-3/exec?command=sh`));
  await ended(client.sessionId);
  return client.sessionId;
}

async function liveSession(person = someone()): Promise<string> {
  return (await Client.open(upgrade(person, `${PODS}/silent/exec?command=sh`))).sessionId;
}

async function lockedUser(): Promise<string> {
  const { email } = someone();
  await as(admin, `/-/admin/locks/${email}`, { method: "PUT", body: '{"reason":"drill","minutes":5}' });
  return email;
}

/** A request that each route answers. `as` parses the answer strictly by the route's own description. */
const SUCCESSES: Readonly<Record<RouteName, () => Promise<Response>>> = {
  getHealth: () => directlyAs(admin, "/-/healthz", {}, { bindings: { VERSION: { id: "6d2a7b3e" } } }),
  headHealth: () => as(admin, "/-/healthz", { method: "HEAD" }),
  getOpenApi: () => as(alice, "/-/openapi.json"),
  whoami: () => as(alice, "/-/whoami"),
  getKubeconfig: () => as(alice, "/-/kubeconfig"),
  stateReason: () => as(someone(), "/-/reason", { method: "POST", body: "INC-17" }),
  listSessions: async () => {
    const person = someone();
    await liveSession(person);
    return as(admin, `/-/admin/sessions?user=${person.email}`);
  },
  getSession: async () => as(admin, `/-/admin/sessions/${await endedSession()}`),
  endSession: async () => as(admin, `/-/admin/sessions/${await liveSession()}`, { method: "DELETE" }),
  getRecording: async () => as(admin, `/-/admin/sessions/${await endedSession()}/recording`),
  endUserSessions: () => as(admin, `/-/admin/users/${someone().email}/sessions`, { method: "DELETE" }),
  listApiRequests: () => as(admin, "/-/admin/requests?limit=500"),
  getExport: () => as(admin, "/-/admin/export"),
  getLock: async () => as(admin, `/-/admin/locks/${await lockedUser()}`),
  lockUser: () => as(admin, `/-/admin/locks/${someone().email}?reason=drill&minutes=5`, { method: "PUT" }),
  unlockUser: async () => as(admin, `/-/admin/locks/${await lockedUser()}`, { method: "DELETE" }),
};

describe.each(routes)("the route %s", (name, route) => {
  const { method, access } = route;
  const needsRole = access === "auditor" || access === "admin";

  it("answers as it is described", async () => {
    const response = await SUCCESSES[name]();
    expect(response.status).toBe(200);
    await response.body?.cancel();
  });

  it.runIf(access !== "public")("refuses a request without a token", async () => {
    const response = await env.EDGE.fetch(`${HOST}${exampleOf(route)}`, { method });
    await expectApiDenial(response, "no_token", /token/);
  });

  it.runIf(access !== "public")("refuses somebody whom no identity rule knows", async () => {
    await expectApiDenial(await as(stranger, exampleOf(route), { method }), "no_identity", /mallory@elsewhere.example/);
  });

  it.runIf(needsRole)("refuses somebody without the role", async () => {
    await expectApiDenial(await as(alice, exampleOf(route), { method }), "not_admin", /requires the role .*admin/);
  });

  it.runIf(access === "admin")("refuses an auditor", async () => {
    const config = {
      identities: [{ match: { email: "alice@example.com" }, roles: ["auditor"] }],
    } satisfies Partial<ConfigInput>;
    const response = await directlyAs(alice, exampleOf(route), { method }, { config });
    await expectApiDenial(response, "not_admin", /requires the role admin,/);
  });

  it.runIf(needsRole || method === "POST")("refuses a page of another site", async () => {
    const headers = { Origin: "https://evil.example" };
    await expectApiDenial(await as(admin, exampleOf(route), { method, headers }), "cross_site", /another site/);
  });

  it.runIf(access !== "public")("refuses an unknown query parameter", async () => {
    const response = await as(admin, `${exampleOf(route)}?colour=blue`, { method });
    await expectApiDenial(response, "bad_request", /^unknown query parameter colour: /);
  });

  it("refuses a method that its path does not have", async () => {
    const response = await as(admin, exampleOf(route), { method: "PATCH" });
    expect(response.headers.get("allow")?.split(", ")).toContain(method);
    await expectApiDenial(response, "method_not_served", /^use /);
  });
});

describe("answers that their description does not hold entirely", () => {
  it("the kubeconfig is one", async () => {
    const response = await as(alice, "/-/kubeconfig");
    expect(kubeconfig.parse(JSON.parse(await response.text()))).toMatchObject({ "current-context": "test-cluster" });
  });

  it("health says which version answers, where it is bound", async () => {
    expect(await (await SUCCESSES.getHealth()).json()).toEqual({ status: "ok", version: "6d2a7b3e" });
    expect(await (await as(admin, "/-/healthz")).json()).toEqual({ status: "ok" });
  });

  it("health does not mind the parameters that monitors add", async () => {
    expect((await as(admin, "/-/healthz?t=1700000000")).status).toBe(200);
  });

  it("HEAD of health has no body", async () => {
    expect(await (await SUCCESSES.headHealth()).text()).toBe("");
  });
});

describe("a session that nobody can find", () => {
  const nowhere = makeSessionId(env.USER_SESSIONS.idFromName("nobody").toString(), 1, new Uint8Array(10));

  it.each<[string, string, RegExp]>([
    ["GET", "", /^there is no session with this id$/],
    ["DELETE", "", /^no live session has this id/],
    ["GET", "/recording", /^this session has no recording/],
  ])("is not found by %s …%s", async (method, suffix, message) => {
    const request = await requestAs(admin, `/-/admin/sessions/${nowhere}${suffix}`, { method });
    await expectApiDenial(await env.EDGE.fetch(request), "not_found", message);
  });
});
