/** Which hosts a sign-in counts for: those that the deployment itself names, and no other. */
import { describe, expect, it } from "vitest";
import { hostNames, isListed, listedClusters } from "../../../cli/shared-sign-in.ts";

const DEPLOYMENT = "https://one.example.com";
const NAMES = ["one.example.com", "two.example.com"];

describe("a cluster", () => {
  it("of the deployment is at one of its host names", () => {
    const answer = JSON.stringify({
      clusters: [{ hostnames: ["one.example.com"] }, { hostnames: ["Two.example.com"] }],
    });
    expect(hostNames(answer)).toEqual(NAMES);
    expect(isListed("https://two.example.com", DEPLOYMENT, NAMES)).toBe(true);
  });

  it.each([
    "https://evil.example.com",
    "https://two.example.com.evil.example.com",
    "https://two.example.com:8443",
    "https://xtwo.example.com",
  ])("of another deployment is not: %s", (cluster) => {
    expect(isListed(cluster, DEPLOYMENT, NAMES)).toBe(false);
  });

  it("is vouched for by no deployment that has no host names, and by no other answer", () => {
    expect(hostNames(JSON.stringify({ clusters: [{ hostnames: [] }] }))).toEqual([]);
    for (const text of ["", "{}", "[]", "null", '{"clusters":[{}]}', "<html>"]) expect(hostNames(text)).toBeUndefined();
  });
});

describe("a deployment's kubeconfig", () => {
  it("lists its clusters", () => {
    const cluster = (server: unknown) => ({ name: "prod", cluster: { server } });
    const text = JSON.stringify({ clusters: [cluster(DEPLOYMENT), cluster("not an address"), cluster(7)] });
    expect(listedClusters(text)).toEqual([{ name: "prod", server: DEPLOYMENT }]);
    for (const other of ["", "{}", "<html>", '{"clusters":[null]}']) expect(listedClusters(other)).toBeUndefined();
  });
});
