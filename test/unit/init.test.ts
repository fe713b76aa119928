import { describe, expect, it } from "vitest";
import { parseDeployment } from "../../terraform/config/load.ts";
import { draftDeployment, FIRST_GROUP, formatDeployment, type InitInput } from "../../tools/deployment/init.ts";
import { DEFAULT_API } from "../../tools/ports/cloudflare.ts";
import type { HttpAnswer, HttpRequest } from "../../tools/ports/http.ts";
import type { KubectlAnswer, KubectlTarget } from "../../tools/ports/kubectl.ts";
import { ACCOUNT } from "../support/planned.ts";

const TOKEN = "an-api-token-that-nobody-may-see";
const INPUT: InitInput = {
  ...{ name: "sallyport", hostname: "prod.k8s.acme.test", cluster: "prod", location: "weur" },
  ...{ admin: "alice@acme.test", emailDomain: undefined, kubeconfig: { path: "~/.kube/config", context: undefined } },
};

/** An account with one zone, and a cluster with two API servers. */
class World {
  refuses: string | undefined;
  isReachable = true;
  readonly asked: string[] = [];

  readonly http = async ({ url, headers }: HttpRequest): Promise<HttpAnswer> => {
    expect(headers?.["authorization"]).toBe(`Bearer ${TOKEN}`);
    const path = url.slice(DEFAULT_API.length + 1);
    this.asked.push(path);
    const say = (result: unknown) => ({ status: 200, headers: {}, body: JSON.stringify({ success: true, result }) });
    if (this.refuses !== undefined && path.includes(this.refuses)) {
      return { status: 403, headers: {}, body: JSON.stringify({ success: false, errors: [], result: null }) };
    }
    if (path === "zones?name=acme.test") return say([{ name: "acme.test", account: { id: ACCOUNT } }]);
    if (path.startsWith("zones?")) return say([]);
    if (path === `accounts/${ACCOUNT}/access/organizations`) return say({ auth_domain: "acme.cloudflareaccess.com" });
    throw new Error(`unexpected: ${path}`);
  };

  readonly kubectl = async (target: KubectlTarget | undefined, args: readonly string[]): Promise<KubectlAnswer> => {
    if (!this.isReachable) return { code: 1, stdout: "", stderr: "a line\nThe connection was refused\n" };
    const say = (stdout: string) => ({ code: 0, stdout, stderr: "" });
    const line = args.join(" ");
    if (line === "config current-context") return say("admin@prod\n");
    expect(target?.context).toBe("admin@prod");
    if (line.startsWith("get endpointslices")) {
      const endpoints = [{ addresses: ["10.0.0.1"] }, { addresses: ["10.0.0.2"] }];
      return say(JSON.stringify({ items: [{ endpoints, ports: [{ port: 6443 }] }] }));
    }
    if (line.startsWith("get service kubernetes"))
      return say(JSON.stringify({ spec: { clusterIPs: ["10.96.0.1", "fd00::1"] } }));
    throw new Error(`unexpected: ${line}`);
  };

  draft(input: Partial<InitInput> = {}) {
    return draftDeployment({ ...INPUT, ...input }, { http: this.http, kubectl: this.kubectl, token: TOKEN });
  }
}

describe("npx sallyport init", () => {
  it("finds the account, the team domain and the API server, and names the context", async () => {
    const drafted = await new World().draft();
    expect(drafted).toMatchObject({
      account: ACCOUNT,
      access: { teamDomain: "https://acme.cloudflareaccess.com", allow: [{ email: "alice@acme.test" }] },
      clusters: [
        {
          kubeconfig: { path: "~/.kube/config", context: "admin@prod" },
          apiServer: { cidrs: ["10.0.0.1/32", "10.0.0.2/32"], port: 6443, serviceIps: ["10.96.0.1", "fd00::1"] },
        },
      ],
    });
  });

  it("admits nobody but the administrator, whose domain may be a mail provider's, unless a domain is named", async () => {
    const { allow } = (await new World().draft({ admin: "alice@mail.test" })).access;
    expect(allow).toEqual([{ email: "alice@mail.test" }]);
    const named = await new World().draft({ emailDomain: "acme.test" });
    expect(named.access.allow).toEqual([{ emailDomain: "acme.test" }]);
  });

  it("writes a file that all other commands take, and warns of nothing", async () => {
    const warnings: string[] = [];
    const text = formatDeployment(await new World().draft());
    const deployment = parseDeployment(text, "deployment.jsonc", (message) => void warnings.push(message));
    expect(deployment.sallyport.identities[0]).toMatchObject({ groups: [FIRST_GROUP], roles: ["admin"] });
    expect(warnings).toEqual([]);
    expect(text).not.toContain(TOKEN);
  });

  it.each<[what: string, change: Partial<World>, input: Partial<InitInput>, message: RegExp]>([
    [
      "the zone is another account's",
      {},
      { hostname: "prod.elsewhere.test" },
      /no zone that the token sees has prod\.elsewhere\.test/,
    ],
    ["the token may not read zones", { refuses: "zones?" }, {}, /403 to zones.*the permission Zone Read/],
    [
      "the token may not read the organization",
      { refuses: "organizations" },
      {},
      /Access: Organizations, Identity Providers, and Groups Read/,
    ],
    [
      "the cluster does not answer",
      { isReachable: false },
      {},
      /kubectl config failed for the current context: The connection was refused/,
    ],
  ])("says what to do where %s", async (_what, change, input, message) => {
    const failure = await Object.assign(new World(), change)
      .draft(input)
      .catch((error: unknown) => String(error));
    expect(failure).toMatch(message);
    expect(failure).not.toContain(TOKEN);
  });
});
