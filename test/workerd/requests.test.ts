/**
 * API requests in the audit log: which are recorded, what of them never is, and what becomes of a request
 * that cannot be recorded.
 */
import { createExecutionContext } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { afterEach, describe, expect, it, vi } from "vitest";
import type { RequestRow } from "../../audit/rows.ts";
import { loadConfig } from "../../worker/config/load.ts";
import type { ConfigInput } from "../../worker/config/schema.ts";
import type { Bindings } from "../../worker/env.ts";
import { createHandler } from "../../worker/handler.ts";
import { eventually } from "../support/eventually.ts";
import { Client } from "./client.ts";
import { admin, as, directlyAs, HOST, handlerAs, requestAs, someone, UPGRADE, upgrade } from "./people.ts";
import { Puppet } from "./puppet.ts";
import { insertRequests } from "./stored-requests.ts";
import { shortenTimer } from "./timers.ts";

const NS = "/api/v1/namespaces/demo";
const NO_ANSWER = "no answer known";

afterEach(() => vi.restoreAllMocks());

async function select(where: string, ...values: unknown[]): Promise<RequestRow[]> {
  const { results } = await env.AUDIT_DB.prepare(`SELECT * FROM requests WHERE ${where} ORDER BY id`)
    .bind(...values)
    .all<RequestRow>();
  return results;
}

/**
 * The rows of a user, once there are so many and each has its answer. They are in the order of their ids:
 * rows of one handler in the order of its requests, rows of several handlers in no particular order within a
 * millisecond.
 */
function rowsOf(user: string, count = 1): Promise<RequestRow[]> {
  return eventually(async () => {
    const rows = await select("user = ?", user);
    if (rows.length !== count) throw new Error(`D1 has ${rows.length} requests of ${user}, not ${count}`);
    if (rows.some(({ reason }) => reason === NO_ANSWER)) throw new Error("an answer is not there yet");
    return rows;
  });
}

/**
 * Makes one more request, which is recorded. Once its row is there, earlier requests without a row will not
 * get one.
 */
async function expectNothingBut(person: ReturnType<typeof someone>, count = 0): Promise<RequestRow[]> {
  await as(person, `${NS}/configmaps/last`, { method: "DELETE" });
  return rowsOf(person.email, count + 1);
}

/** A binding to a cluster that answers with this status. */
const answering = (status: number) => ({ KUBE_API: { fetch: async () => new Response("{}", { status }) } });

describe("an allowed request", () => {
  it("has a row with the user, the request and the status of the answer", async () => {
    const person = someone();
    const before = Date.now();
    const headers = { "User-Agent": "kubectl/v1.36", "CF-Connecting-IP": "192.0.2.7", "CF-Ray": "abc-FRA" };
    const response = await as(person, `${NS}/configmaps/settings?fieldManager=x`, {
      method: "PATCH",
      headers,
      body: "{}",
    });
    expect(response.status).toBe(200);
    const [row] = await rowsOf(person.email);
    expect(row).toEqual({
      id: expect.stringMatching(/^\d{4}-\d\d-\d\dT[\d:.]{12}Z-[0-9a-z]{22}$/),
      row_number: expect.any(Number),
      ...{ first_at: null, last_at: null, pod_facts: null },
      at: expect.any(Number),
      ...{ user: person.email, kubernetes_user: person.email, cluster: "test-cluster", category: "mutation" },
      ...{ decision: "allowed", rule: null, refusal: null, reason: null },
      ...{ method: "PATCH", path: `${NS}/configmaps/settings`, verb: "patch", api_group: "" },
      ...{ resource: "configmaps", subresource: null, namespace: "demo", name: "settings", status: 200, count: 1 },
      ...{ client_address: "192.0.2.7", country: null, user_agent: "kubectl/v1.36", ray: "abc-FRA" },
      ...{ sign_in: null, device_id: null, grants: null },
    });
    expect(row?.at).toBeGreaterThanOrEqual(before);
    expect(row?.id.startsWith(new Date(row.at).toISOString())).toBe(true);
  });

  it.each([
    ["a debug container without a session", "PATCH", `${NS}/pods/web/ephemeralcontainers`, "precursor"],
    ["a pod, which may debug a node", "POST", `${NS}/pods`, "precursor"],
    ["a service account's token", "POST", `${NS}/serviceaccounts/default/token`, "token"],
    ["the reading of a secret", "GET", `${NS}/secrets/demo`, "secret-read"],
    ["a watch of secrets", "GET", "/api/v1/secrets?watch=1", "secret-read"],
  ])("is recorded: %s", async (_, method, path, category) => {
    const person = someone();
    await as(person, path, { method });
    expect(await rowsOf(person.email)).toMatchObject([{ category, method, status: 200, decision: "allowed" }]);
  });

  it("is not recorded if it only reads, opens a session, or asks Sallyport about oneself", async () => {
    const person = someone();
    await as(person, `${NS}/pods`);
    await as(person, "/apis");
    await as(person, "/-/whoami");
    await as(person, "/-/reason", { method: "POST", body: "INC-1" });
    (await Client.open(upgrade(person, `${NS}/pods/silent/exec?command=sh`))).close();
    const refused = await upgrade(person, `${NS}/pods/forbidden/exec?command=sh`);
    expect(refused.status).toBe(403);
    const [last] = await expectNothingBut(person);
    expect(last).toMatchObject({ verb: "delete", name: "last" });
  });

  it.each([201, 404, 409, 500])("has the cluster's status %d, and the rule that allowed it", async (status) => {
    const person = someone();
    const rules = [
      { name: "maps", match: { resources: ["configmaps"] }, action: "allow" },
    ] satisfies ConfigInput["rules"];
    const init = { method: "POST", body: "{}" };
    await directlyAs(person, `${NS}/configmaps`, init, { config: { rules }, bindings: answering(status) });
    expect(await rowsOf(person.email)).toMatchObject([{ category: "mutation", status, rule: "maps" }]);
  });

  it("is denied if the cluster answers with 403, whatever it was", async () => {
    const person = someone();
    const handle = handlerAs(person, { bindings: answering(403) });
    for (const method of ["GET", "POST"]) await handle(`${NS}/pods`, { method });
    expect(await rowsOf(person.email, 2)).toMatchObject([
      { category: "denied", decision: "allowed", status: 403, verb: "list", refusal: null },
      { category: "denied", decision: "allowed", status: 403, verb: "create", refusal: null },
    ]);
  });

  it("has a reason and no status if the cluster cannot be reached", async () => {
    vi.spyOn(console, "error").mockImplementation(() => {});
    const person = someone();
    const KUBE_API = { fetch: () => Promise.reject(new Error("connection refused")) };
    const response = await directlyAs(person, `${NS}/pods`, { method: "POST" }, { bindings: { KUBE_API } });
    expect(response.status).toBe(503);
    expect(await rowsOf(person.email)).toMatchObject([
      { category: "precursor", decision: "allowed", status: null, reason: expect.stringMatching(/cannot be reached/) },
    ]);
  });

  it("is recorded even if its client hangs up before the answer", async () => {
    const person = someone();
    const pod = await Puppet.make();
    const leaving = new AbortController();
    const path = `${NS}/pods/${pod.name}/ephemeralcontainers`;
    const answer = env.EDGE.fetch(await requestAs(person, path, { method: "PATCH", body: "{}" }), {
      signal: leaving.signal,
    });
    await pod.request();
    leaving.abort();
    await answer.catch(() => {});
    expect(await rowsOf(person.email)).toMatchObject([
      { category: "precursor", status: null, reason: expect.stringMatching(/client went away/) },
    ]);
  });

  it("is recorded even if it only reads, and a workload may have acted before its client hung up", async () => {
    const person = someone();
    const [workload, plain] = [await Puppet.make(), await Puppet.make()];
    for (const [upstream, path] of [
      [plain, `${NS}/pods/${plain.name}/status`],
      [workload, `${NS}/pods/${workload.name}/proxy/cgi-bin/run`],
    ] as const) {
      const leaving = new AbortController();
      const answer = env.EDGE.fetch(await requestAs(person, path), { signal: leaving.signal });
      await upstream.request();
      leaving.abort();
      await answer.catch(() => {});
    }
    const [row] = await expectNothingBut(person, 1);
    expect(row).toMatchObject({
      ...{ category: "precursor", method: "GET", subresource: "proxy", status: null },
      reason: expect.stringMatching(/client went away.*may have been carried out/),
    });
  });

  it("has its row before the cluster has answered, without an answer", async () => {
    const person = someone();
    const answer = Promise.withResolvers<Response>();
    const KUBE_API = { fetch: () => answer.promise };
    const answered = directlyAs(person, `${NS}/pods`, { method: "POST" }, { bindings: { KUBE_API } });
    await eventually(async () => {
      const expected = { category: "precursor", status: null, reason: NO_ANSWER };
      expect(await select("user = ?", person.email)).toMatchObject([expected]);
    });
    answer.resolve(new Response(null, { status: 201 }));
    expect((await answered).status).toBe(201);
    expect(await rowsOf(person.email)).toMatchObject([{ status: 201, reason: null }]);
  });

  it.each([
    ["GET", `${NS}/pods/shell:9999/proxy/cgi-bin/run`, "proxy"],
    ["HEAD", `${NS}/services/web:80/proxy/reset`, "proxy"],
    ["GET", "/apis/aggregated.example.com/v1/namespaces/demo/things/x/proxy/y", "proxy"],
    ["GET", "/apis/subresources.kubevirt.io/v1/namespaces/demo/virtualmachineinstances/vm/vnc/screenshot", "vnc"],
  ])(
    "has its row before the answer even if it only reads, for a workload may act and say nothing: %s %s",
    async (method, path, subresource) => {
      const person = someone();
      const answer = Promise.withResolvers<Response>();
      const KUBE_API = { fetch: () => answer.promise };
      const answered = directlyAs(person, path, { method }, { bindings: { KUBE_API } });
      await eventually(async () => {
        const expected = { category: "precursor", method, subresource, status: null, reason: NO_ANSWER };
        expect(await select("user = ?", person.email)).toMatchObject([expected]);
      });
      answer.resolve(new Response(null, { status: 204 }));
      expect((await answered).status).toBe(204);
      expect(await rowsOf(person.email)).toMatchObject([{ status: 204, reason: null }]);
    },
  );

  it("is never refused for being too many if it only reads: a dashboard behind a proxy has many parts", async () => {
    const person = someone();
    const config = { audit: { requests: { maxChangesPerMinute: 10, maxChangesPerDay: 100 } } };
    const handle = handlerAs(person, { config, bindings: answering(200) });
    for (let i = 0; i < 130; i++) expect((await handle(`${NS}/services/web:80/proxy/${i}.js`)).status).toBe(200);
    // They take nothing of what changes may be, and all rows but those that are only counted have their
    // answer.
    expect((await handle(`${NS}/configmaps`, { method: "POST" })).status).toBe(200);
    const rows = await rowsOf(person.email, 121);
    expect(rows.filter(({ status }) => status === 200)).toHaveLength(121);
  });

  it("has no workload's own part of a proxied path in its row", async () => {
    const person = someone();
    await as(person, `${NS}/services/web:80/proxy/reset/TOP-SECRET-LINK?t=x`, { method: "POST" });
    await as(person, `${NS}/services/web:80/proxy/reset/../TOP-SECRET-LINK`, { headers: { "Impersonate-User": "x" } });
    const rows = await rowsOf(person.email, 2);
    expect(rows.map(({ path }) => path)).toEqual([`${NS}/services/web:80/proxy/…`, `${NS}/services/web:80/proxy/…`]);
  });

  it("has none of it where the client spells the subresource in another way, and the kubelet's own", async () => {
    const person = someone();
    await as(person, `${NS}/%73ervices/web/%70roxy/TOP-SECRET-LINK`, { method: "POST" });
    await as(person, `${NS}/pods/web/proxy/`, { method: "POST" });
    await as(person, "/api/v1/nodes/n1/%70roxy/run/demo/web", { method: "POST" });
    const rows = await rowsOf(person.email, 3);
    expect(rows.map(({ path }) => path)).toEqual([
      `${NS}/%73ervices/web/%70roxy/…`,
      `${NS}/pods/web/proxy/`,
      "/api/v1/nodes/n1/%70roxy/run/demo/web",
    ]);
  });
});

describe("a request that Sallyport refuses", () => {
  it.each<[string, string, RequestInit, Partial<RequestRow>]>([
    [
      "for asking to be somebody else",
      `${NS}/secrets/demo`,
      { headers: { "Impersonate-User": "system:admin" } },
      {
        refusal: "impersonation",
        reason: expect.stringContaining("--as takes"),
        verb: "get",
        resource: "secrets",
        name: "demo",
      },
    ],
    [
      "for being made by a page of another site",
      `${NS}/pods`,
      { method: "POST", headers: { Origin: "https://evil.example" } },
      { refusal: "cross_site", verb: "create", resource: "pods" },
    ],
    [
      "a session, for being made by a page of another site",
      `${NS}/pods/web/exec?command=sh`,
      { headers: { ...UPGRADE, Origin: "https://evil.example" } },
      { refusal: "cross_site", subresource: "exec", name: "web" },
    ],
    ["for its path", `${NS}//pods`, {}, { refusal: "bad_request", path: null, verb: null, resource: null }],
    [
      "for an upgrade that is not relayed",
      `${NS}/configmaps/x`,
      { headers: UPGRADE },
      { refusal: "not_relayed", resource: "configmaps" },
    ],
    [
      "by the built-in rule",
      "/api/v1/nodes/n1/proxy/run/demo/web/web",
      {},
      { refusal: "rule", rule: "nodes/proxy", path: "/api/v1/nodes/n1/proxy/run/demo/web/web" },
    ],
  ])("has a row with the reason: %s", async (_, path, init, expected) => {
    const person = someone();
    const response = await as(person, path, init);
    expect(response.status).toBeGreaterThanOrEqual(400);
    const { message } = (await response.json()) as { message: string };
    const rows = await rowsOf(person.email);
    expect(rows).toMatchObject([
      { category: "denied", decision: "refused", status: null, reason: message, ...expected },
    ]);
  });

  it("has its user, whether a rule, the identity rules or the admin API refused it", async () => {
    const person = someone();
    const rules = [
      { name: "no prod", match: { namespaces: ["demo"] }, action: "refuse" },
    ] satisfies ConfigInput["rules"];
    await directlyAs(person, `${NS}/pods`, {}, { config: { rules } });
    await directlyAs(person, `${NS}/pods`, {}, { config: { identities: [{ match: { email: "a@b.example" } }] } });
    await as(person, "/-/admin/requests");
    const rows = await rowsOf(person.email, 3);
    expect(Object.fromEntries(rows.map((row) => [row.refusal, row]))).toMatchObject({
      rule: { rule: "no prod", kubernetes_user: person.email },
      no_identity: { kubernetes_user: null, resource: "pods" },
      not_admin: { path: "/-/admin/requests", reason: expect.stringMatching(/the role/), verb: null },
    });
  });

  it("has a row while its user has had fewer than 120 of them in a minute", async () => {
    const person = someone();
    const config = { rules: [{ name: "none", match: {}, action: "refuse" }] } satisfies Partial<ConfigInput>;
    const handled = await manyDirectly(person, 200, config);
    expect(handled).toEqual(Array(200).fill(403));
    // The others are counted: test/workerd/request-log.test.ts.
    expect(await rowsOf(person.email, 120)).toHaveLength(120);
    await as(person, `${NS}/configmaps/last`, { method: "DELETE" });
    expect((await rowsOf(person.email, 121)).at(-1)).toMatchObject({ verb: "delete", status: 200 });
  });

  it("has a row of no user if nobody is authenticated, by address", async () => {
    const address = "192.0.2.99";
    for (let i = 0; i < 30; i++) {
      const headers: Record<string, string> = { "CF-Connecting-IP": address };
      if (i % 3 === 0) headers["Cf-Access-Jwt-Assertion"] = "nonsense";
      const response = await env.EDGE.fetch(new Request(`${HOST}${NS}/secrets/x`, { headers }));
      expect(response.status).toBe(401);
    }
    const rows = await eventually(async () => {
      const found = await select("client_address = ?", address);
      expect(found.length).toBe(10);
      return found;
    });
    expect(new Set(rows.map(({ refusal }) => refusal))).toEqual(new Set(["no_token", "bad_token"]));
    expect(rows[0]).toMatchObject({ user: null, resource: "secrets", category: "denied", decision: "refused" });
  });
});

describe("a path is kept", () => {
  const paths = async (path: string, method = "POST") => {
    const person = someone();
    await as(person, path, { method });
    return (await rowsOf(person.email)).map((row) => row.path);
  };

  it("for what Kubernetes routes to a resource", async () => {
    expect(await paths(`${NS}/configmaps`)).toEqual([`${NS}/configmaps`]);
    expect(await paths(`${NS}/pods/web/eviction`)).toEqual([`${NS}/pods/web/eviction`]);
  });

  it.each([
    ["a review with a name", `/apis/authorization.k8s.io/v1/selfsubjectaccessreviews/${"x".repeat(1_980)}`],
    ["a name that no object can have", `${NS}/configmaps/${"x".repeat(300)}`],
    ["no resource", `/logs/${"x".repeat(1_900)}`],
  ])("not for %s", async (_, path) => {
    expect(await paths(path, path.startsWith(NS) ? "DELETE" : "POST")).toEqual([null]);
  });
});

describe("what is not rated", () => {
  it("is a change, whatever its answer's status and whatever else was rated", async () => {
    const person = someone();
    const handle = handlerAs(person, { bindings: answering(403) });
    await Promise.all(Array.from({ length: 125 }, () => handle(`${NS}/secrets`)));
    const shell = `${NS}/pods/shell:9999/proxy/cgi-bin/f`;
    expect((await handle(shell, { method: "POST" })).status).toBe(403);
    const rows = await rowsOf(person.email, 121);
    expect(rows.filter(({ method }) => method === "POST")).toMatchObject([
      { category: "precursor", status: 403, name: "shell:9999", subresource: "proxy" },
    ]);
  });
});

it("no row has any part of a body, a query, a credential or a header without a column", async () => {
  const marker = `s3cr3t-${crypto.randomUUID()}`;
  const person = someone();
  const headers = {
    Authorization: `Bearer ${marker}`,
    Cookie: `CF_Authorization=${marker}`,
    "Kubectl-Command": marker,
    "Sec-WebSocket-Protocol": `base64url.bearer.authorization.k8s.io.${marker}`,
    "X-Anything": marker,
    "Content-Type": marker,
  };
  const query = `?${marker}=1&token=${marker}&command=${marker}&fieldManager=${marker}&dryRun=${marker}&labelSelector=${marker}`;
  const init = { method: "POST", headers, body: marker };
  for (const path of [`${NS}/configmaps`, `${NS}/pods`, `${NS}/serviceaccounts/default/token`])
    await as(person, path + query, init);
  await as(person, `${NS}/secrets/x${query}`, { headers });
  await as(person, `${NS}/services/web/proxy/${marker}/x${query}`, init);
  await as(person, `${NS}/pods${query}`, { ...init, headers: { ...headers, "Impersonate-User": marker } });
  await as(person, `${NS}/pods/x/exec${query}`, {
    headers: { ...headers, Connection: "Upgrade", Upgrade: "websocket", Origin: `https://${marker}` },
  });
  await as(person, `/-/admin/sessions${query}`, init);
  await as(person, `${NS}/pods/x/exec${query}#${marker}`, {
    headers: { ...headers, Connection: "Upgrade", Upgrade: marker },
  });
  await directlyAs(person, `${NS}/configmaps${query}`, init, { bindings: answering(403) });
  await env.EDGE.fetch(
    new Request(`${HOST}${NS}/pods${query}`, { headers: { ...headers, "Cf-Access-Jwt-Assertion": marker } }),
  );
  const rows = await rowsOf(person.email, 10);
  expect(new Set(rows.map(({ category }) => category))).toEqual(
    new Set(["mutation", "precursor", "token", "secret-read", "denied"]),
  );
  await eventually(async () => expect((await select("refusal = 'bad_token'")).length).toBeGreaterThan(0), 200);
  const everything = JSON.stringify(await select("1"));
  expect(everything).not.toContain(marker);
  expect(everything).not.toMatch(/eyJ[\w-]{8,}\./);
});

describe("the configuration", () => {
  const requests = (mutations: object): Partial<ConfigInput> => ({ audit: { requests: { mutations } } });

  it("excludes what it excepts, and no more", async () => {
    const person = someone();
    const config = requests({ except: [{ resources: ["configmaps"], users: [person.email] }] });
    await manyDirectly(person, 3, config, `${NS}/configmaps`, "POST");
    await manyDirectly(person, 1, config, `${NS}/services`, "POST");
    await manyDirectly(someone(), 1, config, `${NS}/configmaps`, "POST");
    expect(await rowsOf(person.email)).toMatchObject([{ resource: "services" }]);
  });
});

describe("while the object of its user does not answer", () => {
  const AWAY = Object.assign(new Error("Network connection lost."), { retryable: false });
  const NOT_HANDED_ON = /cannot be reached: try again/;
  /** Requests do not wait 10 s for the object. */
  const giveUpSoon = () => shortenTimer(10_000, 100);

  /** The objects' namespace, whose objects do not answer these methods while `isAway`. */
  function objects(isAway: (method: string) => boolean): { USER_SESSIONS: unknown } {
    const real = env.USER_SESSIONS;
    const get = (...address: Parameters<typeof real.get>) =>
      new Proxy(real.get(...address), {
        get: (stub, method) => (isAway(String(method)) ? () => Promise.reject(AWAY) : Reflect.get(stub, method)),
      });
    return { USER_SESSIONS: { idFromName: (name: string) => real.idFromName(name), get } };
  }

  function counting(status = 200) {
    const asked: string[] = [];
    const KUBE_API = {
      fetch: async (_: string, { method }: RequestInit) => {
        asked.push(String(method));
        return new Response("{}", { status });
      },
    };
    return { KUBE_API, asked };
  }

  it("a change that was to be recorded first is not carried out", async () => {
    vi.spyOn(console, "error").mockImplementation(() => {});
    const person = someone();
    const { KUBE_API, asked } = counting();
    const bindings = { KUBE_API, ...objects((method) => method === "recordRequest") };
    const response = await directlyAs(person, `${NS}/configmaps`, { method: "POST" }, { bindings });
    expect(response.status).toBe(503);
    expect(await response.json()).toMatchObject({ kind: "Status", message: expect.stringMatching(NOT_HANDED_ON) });
    expect(asked).toEqual([]);
  });

  it("a change that left together with its record says that it may have been carried out", async () => {
    const errors = vi.spyOn(console, "error").mockImplementation(() => {});
    const person = someone();
    let isAway = false;
    const { KUBE_API, asked } = counting();
    const handle = handlerAs(person, { bindings: { KUBE_API, ...objects(() => isAway) } });
    expect((await handle(`${NS}/configmaps`, { method: "POST" })).status).toBe(200);
    isAway = true;
    giveUpSoon();
    // As many tries as there can be.
    vi.spyOn(Math, "random").mockReturnValue(0);
    const response = await handle(`${NS}/configmaps`, { method: "POST" });
    expect(response.status).toBe(503);
    const message = expect.stringMatching(/already been sent to the cluster: it may have been carried out/);
    expect(await response.json()).toMatchObject({ message });
    expect(asked).toEqual(["POST", "POST"]);
    const logged = errors.mock.calls.map(([line]) => JSON.parse(String(line)));
    expect(logged).toContainEqual({
      ...{ event: "change_not_recorded", level: "error", id: expect.any(String), user: person.email },
      ...{ kubernetes_user: person.email, cluster: "test-cluster", verb: "create", api_group: "" },
      ...{ resource: "configmaps", subresource: null, namespace: "demo", name: null },
    });
    // What is left of the allowance is no use to anybody meanwhile.
    expect((await handle(`${NS}/configmaps`, { method: "POST" })).status).toBe(503);
    expect(asked).toEqual(["POST", "POST"]);
    // The next one goes on as usual.
    isAway = false;
    expect((await handle(`${NS}/configmaps/x`, { method: "DELETE" })).status).toBe(200);
    // The one that was given up arrives once its object is back, and so does its answer.
    const answered = await eventually(async () => {
      const rows = await rowsOf(person.email, 3);
      expect(rows.filter(({ status }) => status === 200)).toHaveLength(3);
      return rows;
    });
    expect(answered.filter(({ verb }) => verb === "create")).toHaveLength(2);
  });

  it("so does a read that reaches a workload, and its answer is not given", async () => {
    vi.spyOn(console, "error").mockImplementation(() => {});
    giveUpSoon();
    const { KUBE_API, asked } = counting();
    const bindings = { KUBE_API, ...objects((method) => method === "recordRequest") };
    const response = await directlyAs(someone(), `${NS}/pods/shell/proxy/run`, {}, { bindings });
    const message = expect.stringMatching(/already been sent to the cluster: it may have been carried out/);
    expect([response.status, await response.json()]).toMatchObject([503, { message }]);
    expect(asked).toEqual(["GET"]);
  });

  it("so does an administrator's command, which no cluster has seen", async () => {
    vi.spyOn(console, "error").mockImplementation(() => {});
    let isAway = false;
    const bindings = { ...answering(200), ...objects((method) => isAway && method === "recordRequest") };
    const handle = handlerAs(admin, { bindings });
    const person = someone();
    const { email } = person;
    const lock = (reason: string) =>
      handle(`/-/admin/locks/${email}`, { method: "PUT", body: JSON.stringify({ reason }) });
    // A change of theirs in a cluster brings the allowance that the command then uses.
    expect((await handle(`${NS}/configmaps`, { method: "POST" })).status).toBe(200);
    isAway = true;
    giveUpSoon();
    const response = await lock("stolen laptop");
    expect(response.status).toBe(503);
    const { message } = (await response.json()) as { message: string };
    expect(message).toMatch(/this request, which had already begun: it may have been carried out/);
    expect(message).not.toContain("cluster");
    expect((await directlyAs(person, `${NS}/pods`)).status).toBe(403);
  });

  it("the answer to an audited read is not given", async () => {
    vi.spyOn(console, "error").mockImplementation(() => {});
    const bindings = { ...answering(200), ...objects((method) => method === "recordRequest") };
    const response = await directlyAs(someone(), `${NS}/secrets/x`, {}, { bindings });
    expect(response.status).toBe(503);
    const { message } = (await response.json()) as { message: string };
    expect(message).toMatch(NOT_HANDED_ON);
  });

  it("a read that is not audited goes on", async () => {
    const bindings = { ...answering(200), ...objects((method) => method === "recordRequest") };
    expect((await directlyAs(someone(), `${NS}/configmaps/x`, {}, { bindings })).status).toBe(200);
  });

  it("somebody without an identity still reads what to do", async () => {
    vi.spyOn(console, "error").mockImplementation(() => {});
    const handle = createHandler(loadConfig(env.SALLYPORT_CONFIG));
    const bindings = { ...answering(200), ...objects(() => true) } as unknown as Bindings;
    const response = await handle(new Request(`${HOST}${NS}/pods`), bindings, createExecutionContext());
    expect(response.status).toBe(401);
  });

  it("an isolate that goes after forwarding leaves a change without an answer", async () => {
    vi.spyOn(console, "error").mockImplementation(() => {});
    const person = someone();
    const bindings = { ...answering(200), ...objects((method) => method === "recordResponse") };
    expect((await directlyAs(person, `${NS}/configmaps`, { method: "POST" }, { bindings })).status).toBe(200);
    await eventually(async () => {
      const expected = { verb: "create", status: null, reason: NO_ANSWER };
      expect(await select("user = ?", person.email)).toMatchObject([expected]);
    });
  });
});

describe("above maxChangesPerMinute", () => {
  it("a change is refused with 429, says when to try again, and does not reach the cluster", async () => {
    const person = someone();
    let asked = 0;
    const KUBE_API = {
      fetch: async () => {
        asked++;
        return new Response("{}");
      },
    };
    const config = { audit: { requests: { maxChangesPerMinute: 10 } } };
    const handle = handlerAs(person, { config, bindings: { KUBE_API } });
    const answers = [];
    for (let i = 0; i < 14; i++) answers.push(await handle(`${NS}/configmaps`, { method: "POST" }));
    const statuses = answers.map(({ status }) => status);
    expect(statuses).toEqual([...Array(10).fill(200), ...Array(4).fill(429)]);
    expect(asked).toBe(10);
    const last = answers.at(-1);
    expect(Number(last?.headers.get("Retry-After"))).toBeGreaterThan(0);
    expect(await last?.json()).toMatchObject({
      ...{ kind: "Status", reason: "TooManyRequests", message: expect.stringMatching(/10 changes.*try again in/) },
    });
    // Reads go on.
    expect((await handle(`${NS}/secrets/x`)).status).toBe(200);
    expect(await rowsOf(person.email, 11)).toHaveLength(11);
  });

  it("reviews are not counted: they change nothing", async () => {
    const config = { audit: { requests: { maxChangesPerMinute: 10 } } };
    const handle = handlerAs(someone(), { config, bindings: answering(201) });
    const path = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews";
    for (let i = 0; i < 12; i++) expect((await handle(path, { method: "POST" })).status).toBe(201);
  });
});

describe("an administrator's", () => {
  it("command is recorded, with the status of its answer", async () => {
    const person = someone();
    const by = { ...admin, email: "admin@example.com" };
    const locks = `/-/admin/locks/${person.email}`;
    await as(by, locks, { method: "PUT", body: JSON.stringify({ reason: "drill" }) });
    await as(by, locks);
    await as(by, locks, { method: "DELETE" });
    await as(by, locks, { method: "DELETE" });
    const rows = await eventually(async () => {
      const found = await select("path = ? AND status IS NOT NULL", locks);
      expect(found.length).toBe(3);
      return found;
    });
    expect(rows.map(({ user, category, method, status, verb }) => [user, category, method, status, verb])).toEqual([
      ["admin@example.com", "admin", "PUT", 200, null],
      ["admin@example.com", "admin", "DELETE", 200, null],
      ["admin@example.com", "admin", "DELETE", 404, null],
    ]);
  });

  it("or auditor's reading of a recording is recorded", async () => {
    const reader = someone();
    const config = {
      identities: [{ match: { email: reader.email }, roles: ["auditor"] }],
    } satisfies Partial<ConfigInput>;
    const client = await Client.open(upgrade(someone(), `${NS}/pods/silent/exec?command=sh`));
    const path = `/-/admin/sessions/${client.sessionId}/recording`;
    const handle = handlerAs(reader, { config });
    const response = await handle(path);
    expect(response.status).toBe(200);
    await response.text();
    await handle(path, { method: "DELETE" });
    client.close();
    expect(await rowsOf(reader.email, 2)).toMatchObject([
      { category: "admin", method: "GET", path, status: 200, decision: "allowed" },
      { category: "denied", method: "DELETE", path, refusal: "not_admin" },
    ]);
  });
});

describe("the table of older rows", () => {
  const sample = async (): Promise<RequestRow> => {
    const person = someone();
    const [event] = await expectNothingBut(person);
    if (!event) throw new Error("no row");
    const { first_at: _, last_at: __, ...columns } = event;
    const { row_number: ___, ...stored } = columns as typeof columns & { row_number: number };
    const id = `${event.id}x`;
    await insertRequests(env.AUDIT_DB, [{ ...stored, id }]);
    const [row] = await select("id = ?", id);
    if (!row) throw new Error("no row");
    return row;
  };
  const run = (sql: string, ...values: unknown[]) =>
    env.AUDIT_DB.prepare(sql)
      .bind(...values)
      .run();

  it.each([
    ["UPDATE request_rows SET user = 'x' WHERE id = ?", "never updated"],
    ["UPDATE OR REPLACE request_rows SET id = 'x' WHERE id = ?", "never updated"],
    ["DELETE FROM request_rows WHERE id = ?", "never deleted"],
    ["UPDATE requests SET user = 'x' WHERE id = ?", "it is a view"],
    ["DELETE FROM requests WHERE id = ?", "it is a view"],
  ])("refuses %s", async (sql, message) => {
    const row = await sample();
    await expect(run(sql, row.id)).rejects.toThrow(message);
    expect(await select("id = ?", row.id)).toEqual([row]);
  });

  it("takes what an edge of 3f0c1be writes, once, and says so to an older one (docs/UPGRADES.md)", async () => {
    const { id } = await sample();
    const ids = [`${id}1`, `${id}2`];
    const insert = (or: string, end: string) =>
      run(
        `INSERT ${or} INTO requests (id, at, category, count) SELECT value, 0, 'x', 1 FROM json_each(?) WHERE true ${end}`,
        JSON.stringify(ids),
      );
    await insert("OR IGNORE", "");
    await insert("OR IGNORE", "");
    expect(await select("id IN (?, ?)", ...ids)).toMatchObject(ids.map((known) => ({ id: known, category: "x" })));
    await expect(insert("", "ON CONFLICT DO NOTHING")).rejects.toThrow(/cannot UPSERT a view/);
  });

  it.each([
    "INSERT OR REPLACE INTO requests (id, at, category, count) VALUES (?, 0, 'x', 1)",
    "INSERT INTO requests (id, at, category, count) VALUES (?, 0, 'x', 1) ON CONFLICT (id) DO UPDATE SET at = 0",
    "INSERT OR REPLACE INTO request_rows (id, at, category, count) VALUES (?, 0, 'x', 1)",
    "INSERT OR REPLACE INTO request_rows (rowid, id, at, category, count) SELECT rowid, 'other', 0, 'x', 1 FROM request_rows WHERE id = ?",
    "INSERT OR REPLACE INTO request_rows (row_number, id, at, category, count) SELECT row_number, 'other', 0, 'x', 1 FROM request_rows WHERE id = ?",
  ])("is not changed by %s", async (sql) => {
    const row = await sample();
    await run(sql, row.id).catch(() => {});
    expect(await select("id = ?", row.id)).toEqual([row]);
  });

  it.each([
    [
      "by time",
      "SELECT * FROM requests WHERE id >= '2026-11-17' ORDER BY id DESC LIMIT 10",
      ["events_of_session", "requests_by_id"],
    ],
    [
      "of one user",
      "SELECT * FROM requests WHERE user = 'a' AND id < 'z' ORDER BY id DESC",
      ["events_requests_by_user", "requests_by_user"],
    ],
  ])("is read %s by an index, in order", async (_, sql, indexes) => {
    const plan = await env.AUDIT_DB.prepare(`EXPLAIN QUERY PLAN ${sql}`).all<{ detail: string }>();
    const details = plan.results.map(({ detail }) => detail).join("\n");
    for (const index of indexes) expect(details).toContain(`USING INDEX ${index}`);
    expect(details).not.toMatch(/TEMP B-TREE/);
  });
});

describe("GET requests", () => {
  interface Listed {
    readonly items: { readonly id: string; readonly name: string; readonly category: string }[];
    readonly next: string | null;
  }
  const list = async (query: Record<string, string>): Promise<Listed> => {
    const response = await as(admin, `/-/admin/requests?${new URLSearchParams(query)}`);
    expect(response.status).toBe(200);
    return response.json();
  };
  const names = async (query: Record<string, string>) => (await list(query)).items.map(({ name }) => name);

  it("filters, alone and together, newest first, in pages", async () => {
    const person = someone();
    const user = person.email;
    await as(person, `${NS}/configmaps/a`, { method: "DELETE" });
    await as(person, "/api/v1/namespaces/prod/configmaps/b", { method: "DELETE" });
    await as(person, `${NS}/secrets/c`);
    await as(person, `${NS}/pods/d`, { headers: { "Impersonate-User": "x" } });
    const rows = await rowsOf(user, 4);
    expect(await names({ user })).toEqual(["d", "c", "b", "a"]);
    expect(await names({ user: user.toUpperCase(), namespace: "demo" })).toEqual(["d", "c", "a"]);
    expect(await names({ user, category: "mutation" })).toEqual(["b", "a"]);
    expect(await names({ user, category: "mutation", namespace: "prod" })).toEqual(["b"]);
    expect(await names({ user, decision: "refused" })).toEqual(["d"]);
    const since = new Date(rows[0]?.at ?? 0).toISOString();
    const until = new Date((rows[3]?.at ?? 0) + 1).toISOString();
    expect(await names({ user, since, until })).toEqual(["d", "c", "b", "a"]);
    expect(await names({ user, until: since })).toEqual([]);
    expect(await names({ user, since: until })).toEqual([]);
    const first = await list({ user, limit: "3" });
    expect(first.items.map(({ name }) => name)).toEqual(["d", "c", "b"]);
    const second = await list({ user, limit: "3", cursor: first.next ?? "" });
    expect([second.items.map(({ name }) => name), second.next]).toEqual([["a"], null]);
  });

  it.each([
    ["category=x", "category"],
    ["decision=maybe", "decision"],
    ["limit=0", "limit"],
    ["since=yesterday", "since"],
    ["cursor=%27%3B--", "cursor"],
    ["resources=pods", "resources"],
    ["user=a&user=b", "user"],
  ])("refuses %s and names the parameter", async (query, name) => {
    const response = await as(admin, `/-/admin/requests?${query}`);
    expect([response.status, await response.text()]).toEqual([400, expect.stringContaining(name)]);
  });

  it("is for administrators and auditors, and answers 503 while D1 fails", async () => {
    vi.spyOn(console, "error").mockImplementation(() => {});
    const auditor = someone();
    const config = {
      identities: [{ match: { email: auditor.email }, roles: ["auditor"] }],
    } satisfies Partial<ConfigInput>;
    const ask = (bindings: object) => directlyAs(auditor, "/-/admin/requests?limit=1", {}, { config, bindings });
    expect((await ask({})).status).toBe(200);
    expect((await as(someone(), "/-/admin/requests")).status).toBe(403);
    const AUDIT_DB = { prepare: () => ({ bind: () => ({ raw: () => Promise.reject(new Error("away")) }) }) };
    expect((await ask({ AUDIT_DB })).status).toBe(503);
  });
});

/** Sends many requests through one handler, as one isolate gets them. */
async function manyDirectly(
  who: ReturnType<typeof someone>,
  count: number,
  config: Partial<ConfigInput>,
  path = `${NS}/pods`,
  method = "GET",
  bindings: object = {},
): Promise<number[]> {
  const handle = handlerAs(who, { config, bindings });
  const answers = await Promise.all(Array.from({ length: count }, () => handle(path, { method })));
  return answers.map(({ status }) => status);
}
