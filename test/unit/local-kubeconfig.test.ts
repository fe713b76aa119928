import { describe, expect, it } from "vitest";
import { renderKubeconfig } from "../../dev/stack/kubeconfig.ts";

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

  it("has no credentials for plain HTTP", () => {
    expect(renderKubeconfig({ servers })).not.toMatch(/token|password|client-key|certificate/);
  });

  it("has the certificate authority for TLS, and a placeholder that keeps kubectl from asking for a user name", () => {
    const text = renderKubeconfig({ servers, certificateAuthority: "-----BEGIN CERTIFICATE-----\n" });
    expect(text.match(/certificate-authority-data: LS0tLS1CRUdJTiBDRVJUSUZJQ0FURS0tLS0tCg==\n/g)).toHaveLength(4);
    expect(text.match(/user: \{token: not-used-by-the-local-stack\}/g)).toHaveLength(4);
  });
});
