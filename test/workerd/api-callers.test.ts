import { env } from "cloudflare:workers";
import { describe, expect, it } from "vitest";
import { kubeconfig } from "../../worker/api/schemas/self-service.ts";
import { admin, alice, as, directlyAs, requestAs, TEAM } from "./people.ts";
import { expectApiDenial } from "./statuses.ts";

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

  describe("asks for a kubeconfig", () => {
    const managedOAuth = (on: boolean) => ({
      config: { access: { teamDomain: TEAM, audiences: ["test-audience"], managedOAuth: on } },
    });
    const userOf = async (response: Response) => {
      expect(response.status).toBe(200);
      const { users } = kubeconfig.parse(JSON.parse(await response.text()));
      expect(users.map(({ name }) => name)).toEqual(["alice@example.com"]);
      return users[0]?.user;
    };
    // kubectl asks for a name where there is none: test/e2e/api-refusals.test.ts.
    const warp = { username: "signed-in-by-warp" };
    const plugin = {
      exec: {
        apiVersion: "client.authentication.k8s.io/v1",
        command: "kubectl-sallyport",
        args: ["credential", "--application", "https://sallyport.example.com"],
        installHint: expect.stringMatching(/not on your PATH.*auth=warp/),
        interactiveMode: "IfAvailable",
        provideClusterInfo: true,
      },
    };

    it.each([
      ["signs in by WARP where Access has no Managed OAuth", false, "", warp],
      ["signs in through the plugin where it has", true, "", plugin],
      ["signs in through the plugin on request", false, "?auth=plugin", plugin],
      ["signs in by WARP on request", true, "?auth=warp", warp],
    ])("that %s", async (_what, on, query, user) => {
      expect(await userOf(await directlyAs(alice, `/-/kubeconfig${query}`, {}, managedOAuth(on)))).toEqual(user);
    });

    it.each(["?auth=password", "?auth=", "?auth=plugin&auth=warp"])("not with %s", async (query) => {
      const response = await directlyAs(alice, `/-/kubeconfig${query}`, {}, managedOAuth(true));
      await expectApiDenial(response, "bad_request", /auth/);
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
    teamDomain: TEAM,
    audiences: ["test-audience", "admin-app"],
    adminAudiences: ["admin-app"],
  };
  const ask = (aud: string[]) => directlyAs({ ...admin, aud }, "/-/admin/sessions", {}, { config: { access } });
  expect((await ask(["test-audience"])).status).toBe(403);
  expect((await ask(["admin-app"])).status).toBe(200);
});
