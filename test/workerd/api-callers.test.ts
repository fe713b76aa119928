import { env } from "cloudflare:workers";
import { describe, expect, it } from "vitest";
import { admin, alice, as, directlyAs, requestAs } from "./people.ts";

describe("a caller", () => {
  it("learns who they are", async () => {
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

  it("gets a kubeconfig for the address that they used", async () => {
    const response = await as(alice, "/-/kubeconfig");
    expect(response.headers.get("Content-Type")).toBe("application/yaml");
    expect(JSON.parse(await response.text())).toMatchObject({
      "current-context": "test-cluster",
      clusters: [{ name: "test-cluster", cluster: { server: "https://sallyport.example.com" } }],
      contexts: [{ name: "test-cluster", context: { cluster: "test-cluster", user: "alice@example.com" } }],
    });
  });

  it("needs a token, the right method and an existing path", async () => {
    expect((await as(alice, "/-/whoami", { method: "POST" })).status).toBe(405);
    expect((await as(alice, "/-/constructor")).status).toBe(404);
    const request = await requestAs(alice, "/-/whoami");
    request.headers.delete("Cf-Access-Jwt-Assertion");
    expect((await env.EDGE.fetch(request)).status).toBe(401);
  });
});

it("the admin API may require a token of its own Access application", async () => {
  const access = {
    teamDomain: "https://team.cloudflareaccess.com",
    audiences: ["test-audience", "admin-app"],
    adminAudiences: ["admin-app"],
  };
  const ask = (aud: string[]) => directlyAs({ ...admin, aud }, "/-/admin/sessions", {}, { config: { access } });
  expect((await ask(["test-audience"])).status).toBe(403);
  expect((await ask(["admin-app"])).status).toBe(200);
});
