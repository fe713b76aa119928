import { describe, expect, test } from "vitest";
import { loadConfig } from "../../worker/config/load.ts";
import { explain, explanationLines, type Question } from "../../worker/policy/explain.ts";

const config = loadConfig({
  access: { teamDomain: "https://t.cloudflareaccess.com", audiences: ["a"] },
  clusters: [
    { name: "one", hostnames: ["one.example.com"], binding: "ONE" },
    { name: "two", hostnames: ["two.example.com"], binding: "TWO" },
  ],
  identities: [
    { match: { group: "sre", country: ["DE"] }, groups: ["admins"], roles: ["auditor"], recording: { mode: "full" } },
    { match: { claim: "custom.team", value: "shop" }, user: "shop-{email}", groups: ["developers"] },
    { match: { serviceToken: "ci.access" }, groups: ["deployers"], mayImpersonate: { users: ["ci-trial"] } },
  ],
  rules: [
    { name: "why", match: { kinds: ["exec", "vnc"], clusters: ["one"] }, action: "allow", requireReason: true },
    { name: "no jobs", match: { resources: ["jobs.batch"], verbs: ["create"] }, action: "refuse" },
    {
      name: "trial",
      match: { users: ["ci-trial"], resources: ["secrets"] },
      action: "refuse",
      message: "not on trial",
    },
    {
      name: "two keys",
      match: { clusters: ["two"], resources: ["secrets"] },
      action: "allow",
      approval: { grant: "keys", waitMinutes: 0 },
    },
    { name: "quiet", match: { clusters: ["two"], kinds: ["exec"] }, action: "refuse", message: "not on two" },
  ],
  grants: [
    {
      name: "keys",
      for: [{ claim: "custom.team", value: "shop" }],
      gives: { groups: ["key-holders"], rules: ["two keys"] },
      approvers: { users: ["lead@example.com"] },
    },
  ],
});

const ask = (target: string, more: Partial<Question> = {}) => {
  const nobody = { claims: [], groups: [], groupNames: [], posture: [], grants: [] };
  const plain = {
    country: undefined,
    host: undefined,
    upgrade: undefined,
    contentType: undefined,
    method: "GET",
    kubectlAs: undefined,
    kubectlAsGroups: [],
  };
  const explanation = explain({ who: "alice@example.com", target, ...nobody, ...plain, ...more }, config);
  const { isAllowed, steps } = explanation;
  const lines = explanationLines(explanation);
  const rules = steps.flatMap(({ step, rule }) => (rule === undefined ? [] : [[step, rule]]));
  return { text: lines.join("\n"), isAllowed, rules };
};

const SHOP = { claims: [["custom.team", "shop"]] } as const;
const EXEC = "/api/v1/namespaces/demo/pods/shell/exec?command=sh";

describe("the explanation of a request", () => {
  test("that opens a session names the rule, limits and recording", () => {
    const { text, isAllowed, rules } = ask(EXEC, SHOP);
    expect(isAllowed).toBe(true);
    expect(rules).toEqual([["rule", "why"]]);
    expect(text).toContain("identity    alice@example.com, by identities[1]");
    expect(text).toContain("becomes     user shop-alice@example.com, groups developers");
    expect(text).toContain("session of kind exec: get pods/exec, namespace demo, name shell, Upgrade: websocket");
    expect(text).toContain("rule        why, which requires a reason");
    expect(text).toContain("recording   output");
  });

  test("takes groups, country and posture from the question", () => {
    expect(ask(EXEC, { groups: ["sre"], country: "DE" }).text).toContain("recording   full");
    const abroad = ask(EXEC, { groups: ["sre"], country: "US" });
    expect(abroad.text).toContain("REFUSED     no rule here gives alice@example.com");
    expect(abroad.rules).toEqual([]);
  });

  test("says that a group was given by its name, where a rule wants its id", () => {
    const { text } = ask(EXEC, { groupNames: ["sre"], country: "DE" });
    expect(text).toContain("hint        identities[0] compares sre with ids of groups only");
    expect(text).toContain("REFUSED");
  });

  test("counts a server-side apply as create", () => {
    const apply = { ...SHOP, method: "PATCH", contentType: "application/apply-patch+yaml" };
    const { text, isAllowed, rules } = ask("/apis/batch/v1/namespaces/demo/jobs/x", apply);
    expect(isAllowed).toBe(false);
    expect(text).toContain("by the rule no jobs");
    expect(rules).toEqual([["REFUSED", "no jobs"]]);
    expect(ask("/apis/batch/v1/namespaces/demo/jobs/x", { ...apply, contentType: undefined }).isAllowed).toBe(true);
  });

  test("that shows a screen needs a session where the rule requires a reason", () => {
    const path = "/apis/subresources.kubevirt.io/v1/namespaces/demo/virtualmachineinstances/vm/vnc/screenshot";
    expect(ask(path, SHOP).text).toContain("REFUSED     the rule why requires a reason");
    expect(ask(path.replace("vnc/screenshot", "guestosinfo"), SHOP).isAllowed).toBe(true);
  });

  test("on another cluster follows that cluster's rules", () => {
    const { text, isAllowed } = ask(EXEC, { ...SHOP, host: "two.example.com" });
    expect(isAllowed).toBe(false);
    expect(text).toContain("REFUSED     not on two by the rule quiet");
    expect(ask(EXEC, { ...SHOP, host: "three.example.com" }).text).toContain("no cluster has this host name");
  });

  test("with kubectl --as says as whom it runs, and which rule refuses that", () => {
    const ci = { who: "service:ci.access", kubectlAs: "ci-trial" };
    expect(ask("/api/v1/nodes", ci)).toMatchObject({
      isAllowed: true,
      text: expect.stringContaining("acts as     user ci-trial, groups none"),
    });
    expect(ask("/api/v1/secrets", ci).text).toContain("REFUSED     not on trial by the rule trial");
    expect(ask("/api/v1/secrets", { who: ci.who }).isAllowed).toBe(true);
  });

  test("with kubectl --as for somebody else says what is available", () => {
    const { text, isAllowed } = ask("/api/v1/nodes", { ...SHOP, kubectlAs: "shop-bob@example.com" });
    expect(isAllowed).toBe(false);
    expect(text).toContain("REFUSED     this user is not available to you: --as takes shop-alice@example.com");
    const fewer = { ...SHOP, kubectlAs: "shop-alice@example.com", kubectlAsGroups: ["developers"] };
    expect(ask("/api/v1/nodes", fewer).text).toContain("acts as     user shop-alice@example.com, groups developers");
    expect(ask("/api/v1/nodes", { ...SHOP, kubectlAsGroups: ["developers"] }).text).toContain("--as-group needs --as");
  });

  test("of a service token names the service's user", () => {
    expect(ask("/api/v1/nodes", { who: "service:ci.access" }).text).toContain(
      "user service:ci.access, groups deployers",
    );
  });

  test("with an ambiguous path is the Worker's own refusal", () => {
    expect(ask("/api/v1/namespaces/demo/pods/x%2Fexec", SHOP)).toMatchObject({ isAllowed: false });
    expect(ask("/api/v1/a/../namespaces", SHOP)).toMatchObject({ isAllowed: false });
    expect(ask("/api/v1/nodes/n/proxy/run", SHOP)).toMatchObject({
      text: expect.stringContaining("by the rule nodes/proxy"),
      rules: [["REFUSED", "nodes/proxy"]],
    });
  });

  test("reads a claim that is given twice as a list", () => {
    const claims = [
      ["custom.team", "x"],
      ["custom.team", "shop"],
    ] as const;
    expect(ask(EXEC, { claims }).isAllowed).toBe(true);
  });
});

describe("grants and approvals", () => {
  const secrets = (more: Partial<Question> = {}) =>
    ask("/api/v1/secrets", { ...SHOP, host: "two.example.com", ...more });

  test("are named: what somebody may ask for, who approves, and what it is needed for", () => {
    const { text, isAllowed, rules } = secrets();
    expect(isAllowed).toBe(false);
    expect(rules).toEqual([["REFUSED", "two keys"]]);
    expect(text).toContain("may ask for keys: groups key-holders; rules two keys; approved by 1 of lead@example.com");
    expect(text).toContain("approval    by the grant keys; nothing waits for it");
    expect(text).toContain("REFUSED     the rule two keys requires the grant keys: ask for it with echo");
  });

  test("count as if they had been approved, with --grant", () => {
    const { text, isAllowed } = secrets({
      grants: ["keys"],
      kubectlAs: "shop-alice@example.com",
      kubectlAsGroups: ["key-holders"],
    });
    expect(isAllowed).toBe(true);
    expect(text).toContain("holds       keys: groups key-holders; rules two keys");
    expect(text).toContain("acts as     user shop-alice@example.com, groups key-holders");
  });

  test("are refused where they do not exist, or are for others", () => {
    expect(secrets({ grants: ["kees"] }).text).toContain("REFUSED     no grant has the name kees");
    const other = ask("/api/v1/secrets", { groups: ["sre"], country: "DE", grants: ["keys"] });
    expect(other.text).toContain("REFUSED     the grant keys is not for this sender");
  });
});
