import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { DeploymentError, loadDeployment, parseDeployment } from "../../../terraform/config/load.ts";
import { clusterInput, deploymentInput, deploymentOf, IDENTITIES, PROVIDER_ID } from "../../support/deployment.ts";

/** The message for a file that the compiler has not checked. */
function refusal(change: object): string {
  return refusalOf(JSON.stringify({ ...deploymentInput(), ...change }));
}

function refusalOf(text: string): string {
  try {
    parseDeployment(text, "deployment.jsonc");
  } catch (error) {
    expect(error).toBeInstanceOf(DeploymentError);
    return error instanceof Error ? error.message : "";
  }
  return "";
}

const access = deploymentInput().access;
const prod = clusterInput("prod");

describe("the deployment file", () => {
  it("has defaults", () => {
    const { access, clusters, record, state, demo } = deploymentOf();
    expect(access).toMatchObject({ sessionDuration: "8h", adminSessionDuration: "1h", warp: false, require: [] });
    expect(clusters[0]?.connector).toEqual({ replicas: 3, networkPolicy: true, dns: [], images: {} });
    expect(record).toMatchObject({ protect: true });
    expect(state).toEqual({ kind: "local", directory: "terraform/state" });
    expect(demo).toBeNull();
  });

  it.each([
    ["an unknown field", { colour: "red" }, /colour/],
    ["a misspelled field of access", { access: { ...access, sesionDuration: "8h" } }, /sesionDuration[\s\S]*access/],
    ["a misspelled field of a cluster", { clusters: [{ ...prod, apiserver: {} }] }, /apiserver[\s\S]*clusters\[0\]/],
    [
      "a misspelled field of a rule",
      { sallyport: { identities: [{ ...IDENTITIES[0], group: [] }] } },
      /"group"[\s\S]*sallyport\.identities\[0\]/,
    ],
    [
      "a misspelled limit",
      { sallyport: { identities: IDENTITIES, limits: { idleTimeout: 5 } } },
      /idleTimeout[\s\S]*sallyport\.limits/,
    ],
    ["no identities", { sallyport: {} }, /sallyport\.identities/],
    ["no clusters", { clusters: [] }, /clusters/],
    ["an account that is not an id", { account: "mine" }, /32 hexadecimal digits/],
    ["a team domain over plain HTTP", { access: { ...access, teamDomain: "http://localhost" } }, /must be https/],
    ["a session without a duration", { access: { ...access, sessionDuration: "0h" } }, /sessionDuration/],
    [
      "a session of more than a month",
      { access: { ...access, sessionDuration: "731h" } },
      /730h[\s\S]*sessionDuration/,
    ],
    [
      "an administrator's of more than a month",
      { access: { ...access, adminSessionDuration: "43801m" } },
      /730h[\s\S]*adminSessionDuration/,
    ],
    ["an include rule for everyone", { access: { ...access, allow: [{ everyone: true }] } }, /access\.allow\[0\]/],
    ["nobody allowed", { access: { ...access, allow: [] } }, /access\.allow/],
    ["a name that no bucket can have", { name: "Sally Port" }, /lower case letters/],
    ["two replicas", { clusters: [{ ...prod, connector: { replicas: 2 } }] }, /connector\.replicas/],
    [
      "an address without a prefix length",
      { clusters: [{ ...prod, apiServer: { cidrs: ["10.0.0.1"] } }] },
      /apiServer\.cidrs\[0\]/,
    ],
    ["a hostname with a scheme", { clusters: [{ ...prod, hostnames: ["https://a.example.com"] }] }, /hostnames\[0\]/],
    [
      "a relative path of a kubeconfig",
      { clusters: [{ ...prod, kubeconfig: { path: "kubeconfig" } }] },
      /clusters\[0\]\.kubeconfig/,
    ],
    ["an unknown location hint", { clusters: [{ ...prod, locationHint: "europe" }] }, /locationHint/],
    ["a location that R2 does not have", { record: { location: "sam", retentionDays: 1 } }, /record\.location/],
    [
      "an image with the tag latest",
      { clusters: [{ ...prod, connector: { images: { kubectl: "r.example/kubectl:latest" } } }] },
      /images\.kubectl/,
    ],
    [
      "an image without a version",
      { clusters: [{ ...prod, connector: { images: { kubectl: "r.example/kubectl" } } }] },
      /images\.kubectl/,
    ],
    [
      "a deletion before the lock ends",
      { record: { location: "weur", retentionDays: 30, deleteAfterDays: 30 } },
      /deleteAfterDays/,
    ],
    [
      "seals whose lock ends while rows are in D1",
      {
        record: { location: "weur", retentionDays: 365 },
        sallyport: { identities: IDENTITIES, audit: { seal: { keepMonths: 12 } } },
      },
      /at least 410[\s\S]*record\.retentionDays/,
    ],
    [
      "an unknown field of the sealing",
      { sallyport: { identities: IDENTITIES, audit: { seal: { keepDays: 12 } } } },
      /sallyport\.audit/,
    ],
    [
      "a group without a provider",
      { access: { ...access, allow: [{ group: { name: "sre" } }] } },
      /access\.allow\[0\]/,
    ],
  ])("is refused with %s, and the message names the place", (_what, change, message) => {
    expect(refusal(change)).toMatch(message);
  });

  it.each(["accessTokenLifetime", "sessionDuration", "adminSessionDuration"])(
    "is refused with more than a month of oauth.%s",
    (field) => {
      const message = refusal({ access: { ...access, oauth: { [field]: "9999h" } } });
      expect(message).toMatch(/Access allows a month at most: give 730h or less/);
      expect(message).toContain(`oauth.${field}`);
    },
  );

  it("accepts sign-ins that last as long as Access allows, in hours and in minutes", () => {
    const longest = { sessionDuration: "730h", adminSessionDuration: "43800m" };
    expect(refusal({ access: { ...access, ...longest, oauth: { ...longest, accessTokenLifetime: "1m" } } })).toBe("");
  });

  it("accepts seals that are locked from their first object until their rows have left D1", () => {
    const sallyport = { identities: IDENTITIES, audit: { seal: { keepMonths: 12 } } };
    const record = { location: "weur" as const, retentionDays: 365, sealRetentionDays: 410 };
    expect(deploymentOf({ record, sallyport }).record.sealRetentionDays).toBe(410);
    expect(refusal({ record: { ...record, sealRetentionDays: 409 }, sallyport })).toMatch(/record\.sealRetentionDays/);
  });

  it("accepts a pinned image of another registry, with its port", () => {
    const images = { kubectl: "registry.example.com:5000/mirror/kubectl:v1.36.3" };
    expect(deploymentOf({ clusters: [{ ...prod, connector: { images } }] }).clusters[0]?.connector.images).toEqual(
      images,
    );
  });

  it("says where a comma is missing", () => {
    expect(refusalOf('{\n  "name": "a"\n  "account": "b"\n}')).toMatch(/deployment\.jsonc[\s\S]*line 3, column 3/);
  });

  it("is refused when a key is repeated, because one of the two would be ignored", () => {
    const text = JSON.stringify(deploymentInput(), null, 1).replace(
      '"retentionDays": 30',
      '"retentionDays": 3650,\n"retentionDays": 1',
    );
    expect(refusalOf(text)).toMatch(/the key retentionDays is repeated at line \d+/);
  });

  it("is refused when two clusters have the same name or host name", () => {
    expect(refusal({ clusters: [prod, { ...prod, hostnames: ["other.example.com"] }] })).toMatch(
      /two clusters have the name prod/,
    );
    expect(refusal({ clusters: [prod, { ...clusterInput("dev"), hostnames: prod.hostnames }] })).toMatch(
      /two clusters have the host name prod\.k8s\.example\.com/,
    );
  });

  it("is refused when the name of one cluster is that of another's TCP service", () => {
    const clusters = [prod, clusterInput("prod-tcp")];
    expect(refusal({ clusters })).toMatch(/the clusters prod and prod-tcp have similar names: rename one/);
    const [, other] = clusters;
    expect(() => deploymentOf({ clusters: [{ ...prod, transport: "websocket" }, other ?? prod] })).not.toThrow();
  });

  it("is refused when a policy names an unknown service token", () => {
    expect(refusal({ access: { ...access, admins: [{ serviceToken: "cd" }] } })).toMatch(/access\.admins\[0\].*cd/);
    const auditors = [{ serviceToken: "cd" }];
    expect(refusal({ access: { ...access, auditors } })).toMatch(/access\.auditors\[0\].*cd/);
  });

  it("is refused when a service token's user name would be its client id, which is not known yet", () => {
    const identities = [{ match: { serviceToken: "ci" }, groups: ["deployers"] }];
    expect(refusal({ sallyport: { identities } })).toMatch(/sallyport\.identities\[0\] needs a "user"/);
  });

  it("is refused with the Worker's own message where only the Worker finds the fault", () => {
    const identities = [IDENTITIES[0], IDENTITIES[0]];
    expect(refusal({ sallyport: { identities } })).toMatch(/Worker refuses[\s\S]*can never match/);
  });

  it("is refused when a cluster is the demo's and there is none, or two clusters are", () => {
    expect(refusal({ clusters: [{ ...prod, kubeconfig: "demo" }] })).toMatch(/demo is null/);
    const demo = { digitalocean: { region: "fra1", version: "1.36" } };
    const clusters = [clusterInput("a", { kubeconfig: "demo" }), clusterInput("b", { kubeconfig: "demo" })];
    expect(refusal({ demo, clusters })).toMatch(/there is one demo cluster/);
  });

  it("accepts each kind of group with the fields of its provider", () => {
    const allow = [
      { group: { kind: "okta" as const, identityProvider: PROVIDER_ID, name: "sre" } },
      { group: { kind: "github" as const, identityProvider: PROVIDER_ID, organization: "example" } },
    ];
    expect(deploymentOf({ access: { ...access, allow } }).access.allow).toEqual(allow);
  });
});

describe("whom the connector may impersonate", () => {
  const open = { match: { emailDomain: "example.com" }, groups: ["developers"] };

  it("must be listed where user names come from tokens, because RBAC has no patterns", () => {
    expect(refusal({ sallyport: { identities: [...IDENTITIES, open] } })).toMatch(
      /clusters\[0\]: sallyport\.identities\[2\] make user names from the token/,
    );
  });

  it("depends on the cluster's own identities, where it has some", () => {
    expect(refusal({ clusters: [{ ...prod, identities: [open] }] })).toMatch(/clusters\[0\]\.identities\[0\]/);
    expect(
      refusal({
        sallyport: { identities: [...IDENTITIES, open] },
        clusters: [{ ...prod, identities: IDENTITIES.map(({ roles: _, ...rule }) => rule) }],
      }),
    ).toBe("");
  });

  it("is a warning where it is any user", () => {
    const warnings: string[] = [];
    deploymentOf(
      { sallyport: { identities: [...IDENTITIES, open] }, clusters: [{ ...prod, impersonate: { users: "any" } }] },
      (message) => warnings.push(message),
    );
    expect(warnings.join("\n")).toMatch(
      /cluster prod: its connector may impersonate any user, system:kube-controller-manager included/,
    );
  });

  it("is never system:masters", () => {
    const identities = [{ match: { email: "alice@example.com" }, groups: ["system:masters"] }];
    expect(refusal({ sallyport: { identities } })).toMatch(
      /gives the group system:masters, which RBAC cannot restrict/,
    );
  });

  it("is never a service account", () => {
    const identities = [{ match: { email: "alice@example.com" }, user: "system:serviceaccount:kube-system:admin" }];
    expect(refusal({ sallyport: { identities } })).toMatch(/gives the user system:serviceaccount:kube-system:admin/);
    expect(refusal({ clusters: [{ ...prod, impersonate: { users: ["system:serviceaccount:a:b"] } }] })).toMatch(
      /system:serviceaccount:a:b/,
    );
  });
});

describe("loadDeployment", () => {
  let home: string;
  beforeAll(() => {
    home = mkdtempSync(join(tmpdir(), "sallyport-deployment-"));
  });
  afterAll(() => rmSync(home, { recursive: true }));

  it("reads comments and trailing commas", () => {
    const file = join(home, "deployment.jsonc");
    writeFileSync(file, `// a comment\n${JSON.stringify(deploymentInput()).replace(/}$/, ",}")}`);
    expect(loadDeployment(file).name).toBe("sallyport");
  });

  it("reads the example, which is complete except for the account", () => {
    const { clusters } = loadDeployment("terraform/deployment.example.jsonc");
    expect(clusters.map(({ name }) => name)).toEqual(["prod"]);
  });

  it("says what to copy where there is no file", () => {
    expect(() => loadDeployment(join(home, "absent.jsonc"))).toThrow(/cannot read .*absent\.jsonc \(ENOENT\).*example/);
  });
});
