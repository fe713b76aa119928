/**
 * Who is an administrator: by the document's own identities, whatever cluster's host name the request names.
 */
import { env } from "cloudflare:workers";
import type { JWTPayload } from "jose";
import { describe, expect, it } from "vitest";
import type { ConfigInput } from "../../worker/config/schema.ts";
import { eventually } from "../support/eventually.ts";
import { directlyAs, someone } from "./people.ts";
import { expectApiDenial, expectStatus } from "./statuses.ts";

const PODS = "/api/v1/namespaces/demo/pods";
const SESSIONS = "/-/admin/sessions?limit=1";

const chief = someone();
const auditor = someone();
const developer = someone();
const local = someone();

/**
 * `shared` has the document's identities. `closed` knows its own person, and the auditor as a developer, but
 * neither the administrator nor anybody as one.
 */
const config = {
  cluster: undefined,
  clusters: [
    { name: "shared", hostnames: ["shared.example.com"], binding: "KUBE_API" },
    {
      name: "closed",
      hostnames: ["closed.example.com"],
      binding: "KUBE_API",
      identities: [
        { match: { email: local.email }, groups: ["local-admins"] },
        { match: { email: auditor.email }, user: "auditor-as-developer", groups: ["developers"] },
      ],
    },
  ],
  identities: [
    { match: { email: chief.email }, roles: ["admin"] },
    { match: { email: auditor.email }, roles: ["auditor"] },
    { match: { email: developer.email }, groups: ["developers"] },
  ],
} as unknown as Partial<ConfigInput>;

const at =
  (cluster: string) =>
  (who: JWTPayload, path: string, init: RequestInit = {}) =>
    directlyAs(who, path, init, { config, host: `https://${cluster}.example.com` });
const shared = at("shared");
const closed = at("closed");
const elsewhere = at("elsewhere");

describe("an administrator of the document", () => {
  it.each([
    ["a cluster with the document's identities", shared],
    ["a cluster whose identities do not know them", closed],
    ["no cluster", elsewhere],
  ])("may use the admin API at the host of %s", async (_, ask) => {
    expect((await ask(chief, SESSIONS)).status).toBe(200);
    const locks = `/-/admin/locks/${someone().email}`;
    const body = JSON.stringify({ reason: "drill" });
    expect((await ask(chief, locks, { method: "PUT", body })).status).toBe(200);
    expect((await ask(chief, locks, { method: "DELETE" })).status).toBe(200);
  });

  it("stays unknown to a cluster whose identities do not know them, in all but the admin API", async () => {
    const message = `no rule here gives ${chief.email} access: ask your administrator to add one`;
    await expectStatus(await closed(chief, PODS), "Forbidden", message);
    for (const path of ["/-/whoami", "/-/kubeconfig", "/-/admin"]) {
      await expectApiDenial(await closed(chief, path), "no_identity", message);
    }
    const reason = await closed(chief, "/-/reason", { method: "POST", body: "INC-1" });
    await expectApiDenial(reason, "no_identity", message);
  });

  it("is recorded under the document's identity", async () => {
    const path = `/-/admin/users/${someone().email}/sessions`;
    expect((await closed(chief, path, { method: "DELETE" })).status).toBe(200);
    // The row is there before the answer, and gets its status afterwards.
    await eventually(async () => {
      const found = await env.AUDIT_DB.prepare("SELECT * FROM requests WHERE path = ?").bind(path).first();
      expect(found).toMatchObject({ user: chief.email, category: "admin", status: 200, cluster: "closed" });
    });
  });
});

describe("an auditor whom a cluster knows as somebody else", () => {
  it("has their role in the admin API, and the cluster's identity elsewhere", async () => {
    expect((await closed(auditor, SESSIONS)).status).toBe(200);
    const whoami = await closed(auditor, "/-/whoami");
    expect(await whoami.json()).toMatchObject({ kubernetes: { user: "auditor-as-developer" }, roles: ["auditor"] });
    const pods = await closed(auditor, PODS);
    expect(await pods.json()).toMatchObject({ headers: { "impersonate-user": "auditor-as-developer" } });
  });

  it("cannot give commands at any host", async () => {
    for (const ask of [shared, closed, elsewhere]) {
      const response = await ask(auditor, `/-/admin/users/${someone().email}/sessions`, { method: "DELETE" });
      await expectApiDenial(response, "not_admin", /role admin/);
    }
  });
});

describe("nobody else has a role", () => {
  it.each([
    ["somebody whom only a cluster knows", local, "no_identity"],
    ["somebody whom the document knows without a role", developer, "not_admin"],
    ["somebody whom nobody knows", someone(), "no_identity"],
  ] as const)("%s", async (_, who, code) => {
    for (const ask of [shared, closed, elsewhere]) {
      await expectApiDenial(await ask(who, SESSIONS), code, /administrator|role/);
      const locks = await ask(who, `/-/admin/locks/${chief.email}`, { method: "PUT", body: '{"reason":"x"}' });
      await expectApiDenial(locks, code, /administrator|role/);
    }
    // The lock was not set.
    expect((await shared(chief, SESSIONS)).status).toBe(200);
    expect((await shared(chief, `/-/admin/locks/${chief.email}`)).status).toBe(404);
  });

  it.each([
    "/-/admin",
    "/-/Admin/sessions",
    "/-/%61dmin/sessions",
    "/-/admin%2Fsessions",
    "//-/admin/sessions",
    "/-//admin/sessions",
    "/-/whoami/../admin",
  ])("not by another form of the path either: %s", async (path) => {
    for (const who of [local, developer]) {
      const response = await closed(who, path);
      expect(response.status, path).toBeGreaterThanOrEqual(400);
    }
  });

  it("an administrator's identity is not used for a cluster, whatever precedes its path", async () => {
    for (const path of [`/-/admin/../..${PODS}`, `/-/admin/%2e%2e/..${PODS}`, `//-/admin/..${PODS}`]) {
      const response = await closed(chief, path);
      expect([400, 403, 404], path).toContain(response.status);
    }
  });
});
