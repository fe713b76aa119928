/**
 * A deployment's complete Terraform JSON. A change of these files changes the infrastructure of deployments.
 * `npx vitest run --project unit test/unit/terraform/snapshot.test.ts -u` rewrites them.
 */
import { describe, expect, it } from "vitest";
import { clusterInput, deploymentOf, IDENTITIES, synthesize } from "../../support/deployment.ts";

const stacks = synthesize(
  deploymentOf({
    clusters: [
      clusterInput("prod", { locationHint: "weur" }),
      clusterInput("try", {
        kubeconfig: "demo",
        identities: [{ match: { emailDomain: "example.com" }, groups: ["developers"] }],
        impersonate: { users: "any" },
        connector: { replicas: 5, metricsFrom: "monitoring" },
      }),
    ],
    demo: { digitalocean: { region: "fra1", version: "1.36" } },
    sallyport: { identities: IDENTITIES },
  }),
);

describe("the synthesized stacks", () => {
  it("are these", () => {
    expect(Object.keys(stacks).toSorted((one, other) => one.localeCompare(other))).toEqual([
      "cluster-prod",
      "cluster-try",
      "demo",
      "edge",
      "secrets",
    ]);
  });

  it.each(Object.keys(stacks))("%s is the snapshot", async (name) => {
    await expect(`${JSON.stringify(stacks[name], null, 2)}\n`).toMatchFileSnapshot(`./snapshots/${name}.json`);
  });
});
