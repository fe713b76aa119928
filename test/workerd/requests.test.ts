/**
 * API requests in the audit log: which are recorded, what of them never is, and that no answer waits for it.
 */
import { env } from "cloudflare:workers";
import { afterEach, describe, expect, it, vi } from "vitest";
import type { RequestRow } from "../../audit/rows.ts";
import { STORAGE_TIMEOUTS_MS } from "../../common/storage-timeouts.ts";
import type { ConfigInput } from "../../worker/config/schema.ts";
import { WINDOW_MS } from "../../worker/request-audit/queue.ts";
import { eventually } from "../support/eventually.ts";
import { Client } from "./client.ts";
import { admin, as, directlyAs, HOST, handlerAs, requestAs, someone, UPGRADE, upgrade } from "./people.ts";
import { Puppet } from "./puppet.ts";
import { shortenTimer } from "./timers.ts";

const NS = "/api/v1/namespaces/demo";
/** In worker/request-audit/record-answer.ts. */
const RECORD_WITHIN_MS = 15_000;

afterEach(() => vi.restoreAllMocks());

async function select(where: string, ...values: unknown[]): Promise<RequestRow[]> {
  const { results } = await env.AUDIT_DB.prepare(`SELECT * FROM requests WHERE ${where} ORDER BY id`)
    .bind(...values)
    .all<RequestRow>();
  return results;
}

/**
 * The rows of a user, once there are so many. They are in the order of their ids: rows of one handler in the
 * order of its requests, rows of several handlers in no particular order within a millisecond.
 */
function rowsOf(user: string, count = 1): Promise<RequestRow[]> {
  return eventually(async () => {
    const rows = await select("user = ?", user);
    if (rows.length !== count) throw new Error(`D1 has ${rows.length} requests of ${user}, not ${count}`);
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
      ...{ first_at: null, last_at: null },
      at: expect.any(Number),
      ...{ user: person.email, kubernetes_user: person.email, cluster: "test-cluster", category: "mutation" },
      ...{ decision: "allowed", rule: null, refusal: null, reason: null },
      ...{ method: "PATCH", path: `${NS}/configmaps/settings`, verb: "patch", api_group: "" },
      ...{ resource: "configmaps", subresource: null, namespace: "demo", name: "settings", status: 200, count: 1 },
      ...{ client_address: "192.0.2.7", country: null, user_agent: "kubectl/v1.36", ray: "abc-FRA" },
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

  it("is recorded before the platform ends the invocation, however late its answer", async () => {
    shortenTimer(RECORD_WITHIN_MS, 100);
    const person = someone();
    const answer = Promise.withResolvers<Response>();
    const KUBE_API = { fetch: () => answer.promise };
    const answered = directlyAs(person, `${NS}/pods`, { method: "POST" }, { bindings: { KUBE_API } });
    const reason = "the cluster had not answered yet when this row was written";
    expect(await rowsOf(person.email)).toMatchObject([{ category: "precursor", status: null, reason }]);
    answer.resolve(new Response(null, { status: 201 }));
    expect((await answered).status).toBe(201);
    await expectNothingBut(person, 1);
  });

  it("has no workload's own part of a proxied path in its row", async () => {
    const person = someone();
    await as(person, `${NS}/services/web:80/proxy/reset/TOP-SECRET-LINK?t=x`, { method: "POST" });
    await as(person, `${NS}/services/web:80/proxy/reset/../TOP-SECRET-LINK`, { headers: { "Impersonate-User": "x" } });
    const rows = await rowsOf(person.email, 2);
    expect(rows.map(({ path }) => path)).toEqual([`${NS}/services/web:80/proxy/…`, `${NS}/services/web:80/proxy/…`]);
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
    ["for its path", `${NS}//pods`, {}, { refusal: "bad_request", path: `${NS}//pods`, verb: null, resource: null }],
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

  it("is only counted once its user has had 120 of them in a minute", async () => {
    shortenTimer(WINDOW_MS, 1_000);
    const person = someone();
    const config = { rules: [{ name: "none", match: {}, action: "refuse" }] } satisfies Partial<ConfigInput>;
    const handled = await manyDirectly(person, 200, config);
    expect(handled).toEqual(Array(200).fill(403));
    const rows = await eventually(async () => {
      const found = await select("user = ?", person.email);
      if (found.length !== 121) throw new Error(`${found.length} rows`);
      return found;
    }, 200);
    expect(rows.reduce((sum, { count }) => sum + count, 0)).toBe(200);
  });

  it("is only counted if nobody is authenticated, by reason and address", async () => {
    shortenTimer(WINDOW_MS, 1_000);
    const address = "192.0.2.99";
    for (let i = 0; i < 30; i++) {
      const headers: Record<string, string> = { "CF-Connecting-IP": address };
      if (i % 3 === 0) headers["Cf-Access-Jwt-Assertion"] = "nonsense";
      const response = await env.EDGE.fetch(new Request(`${HOST}${NS}/secrets/x`, { headers }));
      expect(response.status).toBe(401);
    }
    await eventually(async () => {
      const rows = await select("client_address = ?", address);
      const sums = new Map<string | null, number>();
      for (const { refusal, count } of rows) sums.set(refusal, (sums.get(refusal) ?? 0) + count);
      expect(Object.fromEntries(sums)).toEqual({ no_token: 20, bad_token: 10 });
      expect(rows[0]).toMatchObject({ user: null, path: null, category: "denied", decision: "refused" });
    }, 200);
  });
});

it("no row has any part of a body, a query, a credential or a header without a column", async () => {
  shortenTimer(WINDOW_MS, 1_000);
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
  // Requests without a user are counted, and their row is written last.
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

describe("while D1 fails", () => {
  it("requests are answered, and their rows are written once it works again", async () => {
    const logged = vi.spyOn(console, "error").mockImplementation(() => {});
    const person = someone();
    const d1 = { isDown: true };
    const AUDIT_DB = {
      prepare: (sql: string) => {
        if (d1.isDown) throw new Error("D1_ERROR: internal error");
        return env.AUDIT_DB.prepare(sql);
      },
    };
    const statuses = await manyDirectly(person, 5, {}, `${NS}/configmaps`, "POST", { AUDIT_DB });
    expect(statuses).toEqual(Array(5).fill(200));
    await eventually(() => expect(String(logged.mock.calls)).toContain("request_rows_not_delivered"));
    expect(await select("user = ?", person.email)).toEqual([]);
    d1.isDown = false;
    expect((await rowsOf(person.email, 5)).map(({ status }) => status)).toEqual(Array(5).fill(200));
  });

  it("to answer, no request waits for it", async () => {
    const person = someone();
    const AUDIT_DB = { prepare: () => ({ bind: () => ({ run: () => new Promise(() => {}) }) }) };
    // D1 never answers and no timeout ends the wait for it, so a request that waited would not be answered either.
    shortenTimer(STORAGE_TIMEOUTS_MS.d1InsertRequests, 2 ** 31 - 1);
    expect(await manyDirectly(person, 60, {}, `${NS}/configmaps`, "POST", { AUDIT_DB })).toEqual(Array(60).fill(200));
  });

  it("no request fails because its row cannot be made", async () => {
    const logged = vi.spyOn(console, "error").mockImplementation(() => {});
    vi.spyOn(Date.prototype, "toISOString").mockImplementation(() => {
      throw new Error("no time");
    });
    expect(await manyDirectly(someone(), 1, {}, `${NS}/configmaps`, "POST")).toEqual([200]);
    expect(String(logged.mock.calls[0])).toContain("request_not_recorded");
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
      const found = await select("path = ?", locks);
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

describe("the table", () => {
  const sample = async (): Promise<RequestRow> => {
    const person = someone();
    const [row] = await expectNothingBut(person);
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
    ["resource=pods", "resource"],
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
