import { describe, expect, it } from "vitest";
import * as z from "zod";
import { impersonated, literalUser } from "../../../terraform/config/identities.ts";
import { impersonationRules } from "../../../terraform/manifests/impersonation.ts";
import type { PolicyRule } from "../../../terraform/manifests/types.ts";
import { type IdentityRule, identityRuleSchema } from "../../../worker/config/identities.ts";
import { identify } from "../../../worker/policy/identify.ts";

type RuleInput = z.input<typeof identityRuleSchema>;

function identities(...rules: RuleInput[]): IdentityRule[] {
  return z.array(identityRuleSchema).parse(rules);
}

function rulesFor(rules: readonly RuleInput[], named?: readonly string[] | "any"): PolicyRule[] {
  return impersonationRules(impersonated(identities(...rules), named));
}

/**
 * RBAC's evaluation (k8s.io/kubernetes, plugin/pkg/auth/authorizer/rbac): no names, or an empty list, means
 * every name.
 */
function allows(rules: readonly PolicyRule[], apiGroup: string, resource: string, name: string): boolean {
  return rules.some(
    (rule) =>
      rule.verbs.includes("impersonate") &&
      rule.apiGroups.includes(apiGroup) &&
      rule.resources.includes(resource) &&
      (rule.resourceNames === undefined || rule.resourceNames.length === 0 || rule.resourceNames.includes(name)),
  );
}

const AUTHENTICATION = "authentication.k8s.io";
const alice: RuleInput = { match: { email: "Alice@example.com" }, groups: ["platform"] };
const ci: RuleInput = { match: { serviceToken: "2f1a.access" }, user: "ci-deployer", groups: ["deployers"] };
const everybody: RuleInput = { match: { emailDomain: "example.com" }, groups: ["developers"] };

describe("the connector's role", () => {
  it("allows every part of the identity that the Worker sends for a matching rule", () => {
    const rules = identities({ ...alice, extra: { "example.com/team": ["sre"] } }, ci);
    const role = impersonationRules(impersonated(rules));
    const subject = {
      name: "alice@example.com",
      email: "alice@example.com",
      commonName: undefined,
      sub: "s",
      expiresAt: 0,
      audiences: [],
      claims: {},
    };
    const identified = identify(
      subject as unknown as Parameters<typeof identify>[0],
      { groups: [], groupNames: [], posture: [] },
      rules,
    );
    if (!identified.ok) throw new Error(identified.error.message);
    const { user, groups, uid, extra } = identified.value;
    expect(allows(role, "", "users", user)).toBe(true);
    for (const group of groups) expect(allows(role, "", "groups", group)).toBe(true);
    expect(allows(role, AUTHENTICATION, "uids", uid ?? "")).toBe(true);
    for (const [key, values] of Object.entries({ ...extra, "sallyport-session": ["any id"] })) {
      for (const value of values) expect(allows(role, AUTHENTICATION, `userextras/${key}`, value)).toBe(true);
    }
  });

  it.each([
    ["a group that no rule gives", "", "groups", "finance"],
    ["system:masters", "", "groups", "system:masters"],
    ["system:nodes", "", "groups", "system:nodes"],
    ["system:authenticated", "", "groups", "system:authenticated"],
    ["a user whom no rule gives", "", "users", "mallory@example.com"],
    ["the controller manager, which can create tokens of every account", "", "users", "system:kube-controller-manager"],
    ["an address in another case, which for RBAC is another user", "", "users", "Alice@example.com"],
    ["a service account", "", "serviceaccounts", "default"],
    ["an extra that no rule gives", AUTHENTICATION, "userextras/scopes", "all"],
    ["another value of an extra", AUTHENTICATION, "userextras/team", "finance"],
    ["every extra at once", AUTHENTICATION, "userextras", "team"],
  ])("refuses %s", (_what, apiGroup, resource, name) => {
    expect(allows(rulesFor([{ ...alice, extra: { team: ["sre"] } }, ci]), apiGroup, resource, name)).toBe(false);
  });

  it("grants nothing but impersonation, and no resource by a wildcard", () => {
    for (const rule of rulesFor([alice, ci, everybody], "any")) {
      expect(rule.verbs).toEqual(["impersonate"]);
      expect([...rule.resources, ...rule.apiGroups, ...rule.verbs]).not.toContain("*");
    }
  });

  it("has no rule for groups where no identity gives any, because an empty list of names would mean all", () => {
    const rules = rulesFor([{ match: { email: "alice@example.com" } }]);
    expect(rules.some(({ resources }) => resources.includes("groups"))).toBe(false);
    expect(allows(rules, "", "groups", "system:masters")).toBe(false);
    for (const { resourceNames } of rules) expect(resourceNames).not.toEqual([]);
  });

  it("grants groups by name even where any user is allowed", () => {
    const rules = rulesFor([alice, everybody], "any");
    expect(allows(rules, "", "users", "anybody@example.com")).toBe(true);
    expect(allows(rules, "", "groups", "system:masters")).toBe(false);
    expect(allows(rules, "", "groups", "developers")).toBe(true);
  });

  it("adds listed users to those that the rules name", () => {
    const rules = rulesFor([alice, everybody], ["bob@example.com"]);
    expect(rules.find(({ resources }) => resources.includes("users"))?.resourceNames).toEqual([
      "alice@example.com",
      "bob@example.com",
    ]);
  });

  it('names users where the rules name all of them, even if the file says "any"', () => {
    expect(allows(rulesFor([alice, ci], "any"), "", "users", "mallory@example.com")).toBe(false);
  });

  it("merges the values of one extra that several rules give", () => {
    const rules = rulesFor([
      { ...alice, extra: { team: ["sre"] } },
      { ...ci, extra: { team: ["core", "sre"] } },
    ]);
    expect(rules.filter(({ resources }) => resources.includes("userextras/team"))).toEqual([
      {
        apiGroups: [AUTHENTICATION],
        resources: ["userextras/team"],
        verbs: ["impersonate"],
        resourceNames: ["core", "sre"],
      },
    ]);
  });

  describe("where somebody may be another", () => {
    const support: RuleInput = { ...alice, mayImpersonate: { users: ["trainee"], groups: ["viewers", "platform"] } };

    it("allows these users and groups by name, and to name the person", () => {
      const rules = rulesFor([support, ci]);
      expect(rules.find(({ resources }) => resources.includes("users"))?.resourceNames).toEqual([
        ...["alice@example.com", "ci-deployer", "trainee"],
      ]);
      expect(rules.find(({ resources }) => resources.includes("groups"))?.resourceNames).toEqual([
        ...["deployers", "platform", "viewers"],
      ]);
      expect(allows(rules, AUTHENTICATION, "userextras/sallyport-user", "alice@example.com")).toBe(true);
      for (const name of ["mallory@example.com", "viewers"]) expect(allows(rules, "", "users", name)).toBe(false);
      for (const name of ["trainee", "system:masters"]) expect(allows(rules, "", "groups", name)).toBe(false);
    });

    it("lists the users also beside those that the deployment file lists", () => {
      const rules = rulesFor([everybody, { ...ci, mayImpersonate: { users: ["trainee"] } }], ["bob@example.com"]);
      expect(rules.find(({ resources }) => resources.includes("users"))?.resourceNames).toEqual([
        ...["bob@example.com", "ci-deployer", "trainee"],
      ]);
    });

    it("does not allow to name a person where nobody may be another user", () => {
      for (const rules of [[alice, ci], [{ ...alice, mayImpersonate: { groups: ["viewers"] } }]]) {
        expect(allows(rulesFor(rules), AUTHENTICATION, "userextras/sallyport-user", "x")).toBe(false);
      }
    });
  });

  describe("where somebody may be granted something", () => {
    const grants = [{ gives: { groups: ["prod-admins"], rules: [] } }, { gives: { groups: [], rules: ["exec"] } }];
    const rules = impersonationRules(impersonated(identities(alice), undefined, grants));

    it("allows the grants' groups by name, and to name the grant", () => {
      expect(allows(rules, "", "groups", "prod-admins")).toBe(true);
      expect(allows(rules, AUTHENTICATION, "userextras/sallyport-grant", "any")).toBe(true);
      for (const name of ["exec", "system:masters"]) expect(allows(rules, "", "groups", name)).toBe(false);
    });

    it("allows neither where there are no grants", () => {
      const without = rulesFor([alice]);
      expect(allows(without, "", "groups", "prod-admins")).toBe(false);
      expect(allows(without, AUTHENTICATION, "userextras/sallyport-grant", "any")).toBe(false);
    });
  });

  it("is the same for the same rules in another order", () => {
    expect(rulesFor([alice, ci])).toEqual(rulesFor([ci, alice]));
  });
});

describe("a rule's user name", () => {
  it.each<[string, RuleInput, string | undefined]>([
    ["a fixed name", ci, "ci-deployer"],
    ["an address, in lower case like the Worker's", alice, "alice@example.com"],
    ["the part before the @", { match: { email: "Alice@example.com" }, user: "dev-{email.local}" }, "dev-alice"],
    ["a service token's client id", { match: { serviceToken: "2f1a.access" } }, "service:2f1a.access"],
    [
      "a client id in a template",
      { match: { serviceToken: "2f1a.access" }, user: "ci-{common_name}" },
      "ci-2f1a.access",
    ],
    ["of a domain", everybody, undefined],
    ["the part before the @, of a domain", { match: { emailDomain: "example.com" }, user: "{email.local}" }, undefined],
    ["of a group", { match: { group: "sre" } }, undefined],
    ["from a claim", { match: { email: "alice@example.com" }, user: "{custom.employee_id}" }, undefined],
    ["one for a whole domain", { match: { emailDomain: "contractor.example" }, user: "contractor" }, "contractor"],
  ])("is known in advance, or not: %s", (_what, rule, user) => {
    const [parsed] = identities(rule);
    expect(parsed && literalUser(parsed)).toBe(user);
  });
});
