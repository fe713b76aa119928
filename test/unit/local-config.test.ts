import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { StackError } from "../../dev/stack/errors.ts";
import { buildLocalConfig, type ConfigOverrides, readConfigOverrides } from "../../dev/stack/local-config.ts";
import { loadConfig } from "../../worker/config/load.ts";

const facts = {
  ...{ issuer: "http://127.0.0.1:8714", audience: "an-audience", cluster: "embedded" },
  upstreams: { KUBE_API: "127.0.0.1:8001", KUBE_API_SECOND: "127.0.0.1:8002" },
};

describe("the local configuration document", () => {
  it("is one that the edge accepts, with the Access fake as its only issuer", () => {
    const config = loadConfig(buildLocalConfig(facts));
    expect(config.access).toMatchObject({ teamDomain: facts.issuer, audiences: [facts.audience] });
    expect(config.clusters).toMatchObject([{ name: "embedded", hostnames: [], binding: "KUBE_API" }]);
  });

  it("has an audience of its own for the admin API, and knows the fake's service token", () => {
    const more = { adminAudience: "an-admin-audience", serviceToken: "ci.access" };
    const config = loadConfig(buildLocalConfig({ ...facts, ...more }));
    expect(config.access).toMatchObject({
      audiences: [facts.audience, "an-admin-audience"],
      adminAudiences: ["an-admin-audience"],
    });
    expect(config.identities.at(-1)).toMatchObject({ user: "ci", groups: ["developers"], roles: [] });
  });

  it("leads sessions to each cluster over TCP, unless told otherwise", () => {
    expect(loadConfig(buildLocalConfig(facts)).clusters).toMatchObject([
      { binding: "KUBE_API", upstream: { transport: "auto", tcpBinding: "KUBE_API_TCP", address: "127.0.0.1:8001" } },
    ]);
    const two = loadConfig(buildLocalConfig({ ...facts, hasSecond: true, transport: "websocket" }));
    expect(two.clusters).toMatchObject([
      { binding: "KUBE_API", upstream: { transport: "websocket", tcpBinding: "KUBE_API_TCP" } },
      {
        binding: "KUBE_API_SECOND",
        upstream: { transport: "websocket", tcpBinding: "KUBE_API_SECOND_TCP", address: "127.0.0.1:8002" },
      },
    ]);
  });

  it("leads sessions over TCP to clusters that the overrides name, unless these say otherwise", () => {
    const clusters = [
      { name: "a", hostnames: ["a"], binding: "KUBE_API" },
      { name: "b", hostnames: ["b"], binding: "KUBE_API", transport: "websocket" as const },
    ];
    const overrides = { cluster: undefined, clusters } as ConfigOverrides;
    expect(loadConfig(buildLocalConfig(facts, overrides)).clusters).toMatchObject([
      { name: "a", upstream: { transport: "auto", tcpBinding: "KUBE_API_TCP" } },
      { name: "b", upstream: { transport: "websocket" } },
    ]);
    const [only] = loadConfig(buildLocalConfig(facts, { transport: "websocket" })).clusters;
    expect(only?.upstream.transport).toBe("websocket");
  });

  it("leads to the stack's own clusters, whatever sidecar a deployment's document names", () => {
    const [only] = loadConfig(buildLocalConfig(facts, { tcpAddress: "sidecar.internal:6443" })).clusters;
    expect(only?.upstream.address).toBe("127.0.0.1:8001");
  });

  it("has access to ask for, unless the overrides have rules or grants of their own", () => {
    const namesOf = (overrides: ConfigOverrides = {}) =>
      loadConfig(buildLocalConfig(facts, overrides)).grants.map(({ name }) => name);
    expect(namesOf()).toEqual(["prod-admin", "vault-shell"]);
    expect(namesOf({ rules: [{ name: "no-vnc", match: { kinds: ["vnc"] }, action: "refuse" }] })).toEqual([]);
    expect(namesOf({ grants: [] })).toEqual([]);
  });

  it("matches the administrator before any group", () => {
    expect(buildLocalConfig(facts).identities[0]).toEqual({
      match: { email: "admin@example.com" },
      groups: ["developers"],
      roles: ["admin"],
    });
  });

  it("merges limits field by field", () => {
    const before = loadConfig(buildLocalConfig(facts)).limits;
    const after = loadConfig(buildLocalConfig(facts, { limits: { maxSessionsPerUser: 2 } })).limits;
    expect(after).toEqual({ ...before, maxSessionsPerUser: 2 });
  });

  it("replaces a list as a whole", () => {
    const identities = [{ match: { email: "mallory@example.net" }, groups: ["developers"] }];
    expect(buildLocalConfig(facts, { identities }).identities).toEqual(identities);
  });

  it("accepts another name for the cluster", () => {
    expect(buildLocalConfig(facts, { cluster: "mine" }).cluster).toBe("mine");
  });

  it.each([
    ["a misspelt limit", { limits: { idleTimeoutSecond: 5 } }, /idleTimeoutSecond/],
    ["a limit out of range", { limits: { idleTimeoutSeconds: 0 } }, /limits\.idleTimeoutSeconds/],
    ["an unknown key", { colour: "red" }, /colour/],
  ])("refuses %s, and names it", (_what, written, message) => {
    // As it comes from a file, where no compiler looks.
    const overrides = written as ConfigOverrides;
    expect(() => buildLocalConfig(facts, overrides)).toThrow(StackError);
    expect(() => buildLocalConfig(facts, overrides)).toThrow(message);
  });
});

describe("--config FILE", () => {
  let dir: string;
  beforeAll(() => {
    dir = mkdtempSync(join(tmpdir(), "sallyport-config-"));
  });
  afterAll(() => rmSync(dir, { recursive: true }));

  function fileWith(text: string): string {
    const path = join(dir, "config.json");
    writeFileSync(path, text);
    return path;
  }

  it("is read unchanged", () => {
    expect(readConfigOverrides(fileWith('{"limits": {"maxSessionsPerUser": 1}}'))).toEqual({
      limits: { maxSessionsPerUser: 1 },
    });
  });

  it("may not name another issuer, because the edge would refuse the fake's tokens", () => {
    for (const access of [{}, [], "https://example.com", { teamDomain: "https://example.com" }, { audiences: ["a"] }]) {
      const file = fileWith(JSON.stringify({ access: access }));
      expect(() => readConfigOverrides(file)).toThrow(/belongs to the local Access fake/);
    }
  });

  it("may say that Managed OAuth is on", () => {
    const overrides = readConfigOverrides(fileWith('{"access": {"managedOAuth": true}}'));
    const { access } = loadConfig(buildLocalConfig(facts, overrides));
    expect(access).toMatchObject({ teamDomain: facts.issuer, audiences: [facts.audience], managedOAuth: true });
  });

  it.each([
    ["no JSON", "{limits:", /is not JSON/],
    ["a list", "[]", /must hold a JSON object/],
  ])("is refused if it contains %s", (_what, text, message) => {
    expect(() => readConfigOverrides(fileWith(text))).toThrow(message);
  });

  it("is refused if it does not exist", () => {
    expect(() => readConfigOverrides(join(dir, "absent.json"))).toThrow(/cannot read .*ENOENT/);
  });
});
