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
import { admin, alice, as, directlyAs, HOST, requestAs, someone, stranger, UPGRADE, upgrade } from "./people.ts";
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

const GRANTS = {
  grants: [
    {
      ...{ name: "prod-admin", for: [{ claim: "custom.groups", value: "developers" }] },
      ...{ gives: { groups: ["prod-admins"] }, approvers: { roles: ["admin"] as "admin"[] } },
    },
  ],
} satisfies Partial<ConfigInput>;
const withGrants = (who: ReturnType<typeof someone> | typeof admin, path: string, init?: RequestInit) =>
  directlyAs(who, path, init, { config: GRANTS });

/** The id of a request for access. */
async function askedFor(person = someone()): Promise<string> {
  const answer = await withGrants(person, "/-/access?grant=prod-admin", { method: "POST", body: "INC-17" });
  return (await answer.json<{ id: string }>()).id;
}

/** A request that each route answers. `as` parses the answer strictly by the route's own description. */
const SUCCESSES: Readonly<Record<RouteName, () => Promise<Response>>> = {
  getHealth: () => directlyAs(admin, "/-/healthz", {}, { bindings: { VERSION: { id: "6d2a7b3e" } } }),
  headHealth: () => as(admin, "/-/healthz", { method: "HEAD" }),
  getOpenApi: () => as(alice, "/-/openapi.json"),
  whoami: () => as(alice, "/-/whoami"),
  getKubeconfig: () => as(alice, "/-/kubeconfig"),
  stateReason: () => as(someone(), "/-/reason", { method: "POST", body: "INC-17" }),
  listOwnSessions: async () => {
    const person = someone();
    await liveSession(person);
    return as(person, "/-/sessions");
  },
  getOwnSession: async () => {
    const person = someone();
    return as(person, `/-/sessions/${await liveSession(person)}`);
  },
  listOwnRequests: () => as(someone(), "/-/requests"),
  endOwnSession: async () => {
    const person = someone();
    return as(person, `/-/sessions/${await liveSession(person)}`, { method: "DELETE" });
  },
  getAccess: async () => {
    const person = someone();
    await askedFor(person);
    return withGrants(person, "/-/access");
  },
  askForAccess: () => withGrants(someone(), "/-/access?grant=prod-admin&minutes=5", { method: "POST", body: "INC-17" }),
  streamAccess: async () => {
    const response = await as(someone(), "/-/access/live");
    await response.body?.cancel();
    return response;
  },
  endOwnAccess: async () => {
    const person = someone();
    return withGrants(person, `/-/access/${await askedFor(person)}`, { method: "DELETE" });
  },
  listApprovals: async () => {
    await askedFor();
    return withGrants(admin, "/-/approvals?state=all");
  },
  getApproval: async () => withGrants(admin, `/-/approvals/${await askedFor()}`),
  getApprovalActivity: async () => withGrants(admin, `/-/approvals/${await askedFor()}/activity`),
  decideApproval: async () =>
    withGrants(admin, `/-/approvals/${await askedFor()}`, { method: "POST", body: '{"decision":"approve"}' }),
  revokeGrant: async () => withGrants(admin, `/-/grants/${await askedFor()}`, { method: "DELETE" }),
  listSessions: async () => {
    const person = someone();
    await liveSession(person);
    return as(admin, `/-/admin/sessions?user=${person.email}`);
  },
  streamLive: async () => {
    const response = await as(admin, "/-/admin/live");
    await response.body?.cancel();
    return response;
  },
  getSession: async () => as(admin, `/-/admin/sessions/${await endedSession()}`),
  getSessionChain: async () => as(admin, `/-/admin/sessions/${await endedSession()}/chain`),
  watchSession: async () => {
    const response = await as(admin, `/-/admin/sessions/${await liveSession()}/watch`);
    await response.body?.cancel();
    return response;
  },
  sendMessage: async () => {
    const client = await Client.open(upgrade(someone(), `${PODS}/silent/exec?command=sh&stdout=true&tty=true`));
    return as(admin, `/-/admin/sessions/${client.sessionId}/message`, { method: "POST", body: "hello" });
  },
  endSession: async () => as(admin, `/-/admin/sessions/${await liveSession()}`, { method: "DELETE" }),
  getRecording: async () => as(admin, `/-/admin/sessions/${await endedSession()}/recording`),
  endUserSessions: () => as(admin, `/-/admin/users/${someone().email}/sessions`, { method: "DELETE" }),
  listActivity: () => as(admin, `/-/admin/users/${someone().email}/activity`),
  listApiRequests: () => as(admin, "/-/admin/requests?limit=500"),
  listQuestions: () => as(admin, "/-/admin/questions"),
  askQuestion: () => as(admin, "/-/admin/questions/locked"),
  explainRequest: () => as(admin, "/-/admin/explain?as=alice@example.com&request=GET+/api/v1/pods"),
  getConfig: () => as(admin, "/-/admin/config"),
  getSystemHealth: () => as(admin, "/-/admin/health"),
  getExport: () => as(admin, "/-/admin/export"),
  getLock: async () => as(admin, `/-/admin/locks/${await lockedUser()}`),
  lockUser: () => as(admin, `/-/admin/locks/${someone().email}?reason=drill&minutes=5`, { method: "PUT" }),
  unlockUser: async () => as(admin, `/-/admin/locks/${await lockedUser()}`, { method: "DELETE" }),
  getDrain: () => as(admin, "/-/admin/drain"),
  beginDrain: async () => {
    const begun = await as(admin, "/-/admin/drain?reason=drill", { method: "PUT" });
    // The other tests open sessions.
    expect((await as(admin, "/-/admin/drain", { method: "DELETE" })).status).toBe(200);
    return begun;
  },
  endDrain: () => as(admin, "/-/admin/drain", { method: "DELETE" }),
  getWebhooks: () => as(admin, "/-/admin/webhooks"),
  testWebhooks: () => as(admin, "/-/admin/webhooks/test", { method: "POST" }),
};

/** Where a misspelt name would show or do something else. */
const hasStrictQuery = (name: RouteName) =>
  [
    ...["askForAccess", "listApprovals", "listSessions", "listApiRequests", "lockUser", "beginDrain"],
    ...["listOwnSessions", "listOwnRequests", "listActivity", "explainRequest"],
  ].includes(name);

const withToken = routes.filter(([, { access }]) => access !== "public");
const withRole = routes.filter(([, { access }]) => access === "auditor" || access === "admin");
const forAdmins = routes.filter(([, { access }]) => access === "admin");
const sameSiteOnly = routes.filter(
  ([, { access, method }]) => access === "auditor" || access === "admin" || (access === "user" && method !== "GET"),
);

describe("every route", () => {
  it.each(routes)("answers as it is described: %s", async (name) => {
    const response = await SUCCESSES[name]();
    expect(response.status).toBe(200);
    await response.body?.cancel();
  });

  it.each(routes)("refuses a method that its path does not have: %s", async (_, route) => {
    const response = await as(admin, exampleOf(route), { method: "PATCH" });
    expect(response.headers.get("allow")?.split(", ")).toContain(route.method);
    await expectApiDenial(response, "method_not_served", /^use /);
  });
});

describe("every route that needs a token", () => {
  it.each(withToken)("refuses a request without one: %s", async (_, route) => {
    const response = await env.EDGE.fetch(`${HOST}${exampleOf(route)}`, { method: route.method });
    await expectApiDenial(response, "no_token", /token/);
  });

  it.each(withToken)("refuses callers whom no identity rule knows: %s", async (_, route) => {
    const response = await as(stranger, exampleOf(route), { method: route.method });
    await expectApiDenial(response, "no_identity", /mallory@elsewhere.example/);
  });

  it.each(withToken.filter(([name]) => hasStrictQuery(name)))(
    "refuses an unknown query parameter: %s",
    async (_, route) => {
      const response = await as(admin, `${exampleOf(route)}?colour=blue`, { method: route.method });
      await expectApiDenial(response, "bad_request", /^unknown query parameter colour: /);
    },
  );

  it.each(withToken.filter(([name]) => !hasStrictQuery(name)))(
    "answers as without an unknown query parameter: %s",
    async (_, route) => {
      const answers = ["", "?colour=blue"].map((query) =>
        as(admin, `${exampleOf(route)}${query}`, { method: route.method }),
      );
      const [plain, withQuery] = await Promise.all(answers);
      expect(withQuery?.status).toBe(plain?.status);
      await Promise.all([plain?.body?.cancel(), withQuery?.body?.cancel()]);
    },
  );
});

describe("every route that needs a role", () => {
  it.each(withRole)("refuses callers without one: %s", async (_, route) => {
    const response = await as(alice, exampleOf(route), { method: route.method });
    await expectApiDenial(response, "not_admin", /requires the role .*admin/);
  });

  it.each(forAdmins)("refuses auditors when the role is admin: %s", async (_, route) => {
    const config = {
      identities: [{ match: { email: "alice@example.com" }, roles: ["auditor"] }],
    } satisfies Partial<ConfigInput>;
    const response = await directlyAs(alice, exampleOf(route), { method: route.method }, { config });
    await expectApiDenial(response, "not_admin", /requires the role admin,/);
  });

  it.each(sameSiteOnly)(
    "refuses a page of another site, as does every route that changes something: %s",
    async (_, route) => {
      const headers = { Origin: "https://evil.example" };
      const response = await as(admin, exampleOf(route), { method: route.method, headers });
      await expectApiDenial(response, "cross_site", /another site/);
    },
  );
});

describe("a page of another site", () => {
  const foreign = { Origin: "https://evil.example", "Sec-Fetch-Site": "cross-site" };

  it("may cause a read of the caller's own data, which it does not see", async () => {
    const response = await as(alice, "/-/whoami", { headers: foreign });
    expect(response.status).toBe(200);
    expect([...response.headers.keys()].filter((name) => name.startsWith("access-control-"))).toEqual([]);
  });

  it("may not open a WebSocket, whose answer it would see", async () => {
    const headers = { ...foreign, ...UPGRADE };
    await expectApiDenial(await directlyAs(alice, "/-/whoami", { headers }), "cross_site", /another site/);
  });
});

describe("answers beyond their description", () => {
  it("the kubeconfig is a kubeconfig", async () => {
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

describe("a session that does not exist", () => {
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
