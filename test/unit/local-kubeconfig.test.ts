import { describe, expect, it } from "vitest";
import { parse } from "yaml";
import { renderKubeconfig, renderPluginKubeconfig } from "../../dev/stack/kubeconfig.ts";

const servers = {
  alice: "http://127.0.0.1:1",
  bob: "http://127.0.0.1:2",
  admin: "http://127.0.0.1:3",
  mallory: "http://127.0.0.1:4",
};

describe("the local kubeconfig", () => {
  it("has a context for each persona, and alice's is the current one", () => {
    const text = renderKubeconfig({ servers });
    expect(text).toMatch(/^current-context: alice$/m);
    for (const [name, server] of Object.entries(servers)) {
      expect(text).toContain(`  - name: sallyport-${name}\n    cluster:\n      server: ${server}\n`);
      expect(text).toContain(`    context: {cluster: sallyport-${name}, user: ${name}, namespace: demo}\n`);
    }
  });

  it("has no credentials", () => {
    expect(renderKubeconfig({ servers })).not.toMatch(/token|password|client-key|certificate/);
  });

  it("has the certificate authority for TLS, and a name that keeps kubectl from asking for one", () => {
    const text = renderKubeconfig({ servers, certificateAuthority: "-----BEGIN CERTIFICATE-----\n" });
    expect(text.match(/certificate-authority-data: LS0tLS1CRUdJTiBDRVJUSUZJQ0FURS0tLS0tCg==\n/g)).toHaveLength(4);
    expect(text.match(/user: \{"username":"signed-in-by-warp"\}/g)).toHaveLength(4);
  });
});

describe("the local kubeconfig of the plugin", () => {
  const input = {
    front: { url: "https://127.0.0.1:9", secondUrl: undefined },
    certificateAuthority: "-----BEGIN CERTIFICATE-----\n",
    certificateAuthorityFile: "/a state's folder/ca.pem",
    plugin: { command: "/a state's folder/kubectl-sallyport" },
  };

  it("has a user per persona, each with tokens of its own", () => {
    const { users, clusters } = parse(renderPluginKubeconfig(input));
    expect(users.map(({ name }: { name: string }) => name)).toEqual(Object.keys(servers));
    expect(users[1].user.exec).toMatchObject({
      command: "/a state's folder/kubectl-sallyport",
      args: [
        "credential",
        "--application",
        "https://127.0.0.1:9",
        "--certificate-authority",
        "/a state's folder/ca.pem",
      ],
      env: [{ name: "SALLYPORT_PROFILE", value: "bob" }],
      provideClusterInfo: true,
    });
    expect(clusters[0].cluster).toMatchObject({ server: "https://127.0.0.1:9" });
  });

  it("leads to the second cluster with the same sign-in", () => {
    const front = { ...input.front, secondUrl: "https://localhost:9" };
    const { users, contexts, clusters } = parse(renderPluginKubeconfig({ ...input, front }));
    expect(users).toHaveLength(4);
    expect(contexts.at(-1)).toMatchObject({ name: "mallory-second", context: { user: "mallory" } });
    expect(clusters.at(-1).cluster.server).toBe("https://localhost:9");
  });
});
