import { describe, expect, test } from "vitest";
import { ConfigError, loadConfig } from "../../../worker/config/load.ts";

const EXEC = {
  name: "prod exec",
  match: { kinds: ["exec"], namespaces: ["prod"] },
  action: "allow",
  approval: { grant: "prod-exec" },
};
const GRANT = {
  name: "prod-exec",
  for: [{ emailDomain: "example.com" }],
  gives: { rules: ["prod exec"] },
  approvers: { users: ["Lead@Example.com"] },
};

const load = (change: Record<string, unknown> = {}) =>
  loadConfig({
    access: { teamDomain: "https://team.cloudflareaccess.com", audiences: ["aud"] },
    cluster: "prod",
    identities: [{ match: { email: "alice@example.com" }, groups: ["developers"] }],
    rules: [EXEC],
    grants: [GRANT],
    ...change,
  });

function fault(change: Record<string, unknown>): string {
  try {
    load(change);
  } catch (error) {
    expect(error).toBeInstanceOf(ConfigError);
    return (error as Error).message;
  }
  throw new Error("the configuration was accepted");
}

const withGrant = (change: object) => ({ grants: [{ ...GRANT, ...change }] });
const withRule = (change: object) => ({ rules: [{ ...EXEC, ...change }] });

test("a grant gets defaults for what is left out, and addresses in lower case", () => {
  const { grants, rules } = { grants: load().grants, rules: load().clusters[0]?.rules };
  expect(grants).toEqual([
    {
      ...{ name: "prod-exec", for: [{ emailDomain: "example.com" }], gives: { groups: [], rules: ["prod exec"] } },
      approvers: { roles: [], groups: [], users: ["lead@example.com"] },
      ...{ count: 1, maxMinutes: 60, requireReason: false },
    },
  ]);
  expect(rules?.[0]).toMatchObject({ approval: { grant: "prod-exec", waitMinutes: 5 } });
});

test("a document without grants has none", () => {
  expect(load({ grants: undefined, rules: [] }).grants).toEqual([]);
});

describe("a grant is refused at start", () => {
  const both = { gives: { rules: ["prod exec"], groups: ["admins"] } };
  test.each<[string, object, RegExp]>([
    ["with an unknown field", { minutes: 5 }, /Unrecognized key: "minutes"[\s\S]*grants\[0\]/],
    ["that gives nothing", { gives: {} }, /gives nothing: name at least one group or rule\n.*grants\[0\]\.gives/],
    ["that nobody approves", { approvers: {} }, /nobody could approve[\s\S]*grants\[0\]\.approvers/],
    ["for nobody", { for: [] }, /grants\[0\]\.for/],
    ["for a match of a device alone", { for: [{ posture: "disk" }] }, /country and posture only narrow/],
    ["with a service token as approver", { approvers: { users: ["service:ci.access"] } }, /approvers\.users\[0\]/],
    ["of system:masters", { gives: { groups: ["system:masters"] } }, /begin with system:[\s\S]*gives\.groups\[0\]/],
    [
      "of a service account",
      { gives: { groups: ["system:serviceaccounts:kube-system"] } },
      /begin with system:[\s\S]*gives\.groups\[0\]/,
    ],
    ["of a group by a pattern", { gives: { groups: ["team-*"] } }, /must be an exact name/],
    ["for a year", { maxMinutes: 525_600 }, /maxMinutes/],
    ["with a count of none", { count: 0 }, /count/],
    ["with a name that is no part of a path", { name: "prod/exec" }, /grants\[0\]\.name/],
    ["with an unknown kind of self-approval", { selfApproval: true }, /selfApproval/],
    [
      "with self-approval and two approvers",
      { ...both, selfApproval: "with-alert", count: 2 },
      /only for a count of 1[\s\S]*grants\[0\]\.selfApproval/,
    ],
    [
      "with self-approval for service tokens alone",
      { for: [{ serviceToken: "ci.access" }], selfApproval: "with-alert" },
      /a service token never approves anything[\s\S]*selfApproval/,
    ],
    [
      "of a rule that is not there",
      { gives: { rules: ["prod exec", "other"] } },
      /grants\[0\]\.gives\.rules names other, and no rule/,
    ],
  ])("%s", (_, change, message) => {
    expect(fault(withGrant(change))).toMatch(message);
  });

  test("with the name of another", () => {
    expect(fault({ grants: [GRANT, GRANT] })).toMatch("grants[1] has the name of grants[0]");
  });

  test("of a rule that needs no approval", () => {
    const plain = { name: "plain", match: { kinds: ["attach"] }, action: "allow" };
    const message = fault({ rules: [EXEC, plain], grants: [{ ...GRANT, gives: { rules: ["prod exec", "plain"] } }] });
    expect(message).toMatch("grants[0].gives.rules names plain, a rule that has no approval");
  });

  test("but a service token may be granted something, and self-approval may be for people and tokens", () => {
    expect(load(withGrant({ for: [{ serviceToken: "ci.access" }] })).grants).toHaveLength(1);
    const mixed = { for: [{ serviceToken: "ci.access" }, { email: "a@example.com" }], selfApproval: "with-alert" };
    expect(load(withGrant(mixed)).grants).toHaveLength(1);
  });

  test("and another grant than its own may satisfy a rule", () => {
    const glass = { ...GRANT, name: "break-glass", selfApproval: "with-alert" };
    expect(load({ grants: [GRANT, glass] }).grants).toHaveLength(2);
  });
});

describe("a rule's approval is refused at start", () => {
  test.each<[string, object, RegExp]>([
    ["on a rule that refuses", { action: "refuse" }, /only a rule that allows can have an approval/],
    [
      "of an unknown grant",
      { approval: { grant: "prod-exce" } },
      /rules\[0\]\.approval names the grant prod-exce, which is not in grants/,
    ],
    ["for more than an hour", { approval: { grant: "prod-exec", waitMinutes: 61 } }, /waitMinutes/],
    ["with an unknown field", { approval: { grant: "prod-exec", wait: 5 } }, /Unrecognized key: "wait"/],
  ])("%s", (_, change, message) => {
    expect(fault(withRule(change))).toMatch(message);
  });

  test("with the name of another cluster's rule that asks for another grant, which would open both", () => {
    const strict = { ...GRANT, name: "prod-admin", count: 2 };
    const cluster = (name: string, grant: string) => ({
      ...{ name, hostnames: [`${name}.example.com`], binding: "KUBE_API" },
      rules: [{ ...EXEC, approval: { grant } }],
    });
    const document = (...grants: [string, string]) => ({
      ...{ cluster: undefined, rules: [], grants: [GRANT, strict] },
      clusters: [cluster("one", grants[0]), cluster("two", grants[1])],
    });
    expect(fault(document("prod-exec", "prod-admin"))).toMatch(
      "clusters[1].rules[0] has the name of clusters[0].rules[0], which asks for another grant",
    );
    expect(load(document("prod-admin", "prod-admin")).clusters).toHaveLength(2);
  });

  test("of a grant that does not give the rule, also where a cluster has it", () => {
    const other = { ...GRANT, name: "other", gives: { groups: ["admins"] } };
    expect(fault({ grants: [GRANT, other], ...withRule({ approval: { grant: "other" } }) })).toMatch(
      "rules[0].approval names the grant other, which does not give it",
    );
    const clusters = [
      {
        ...{ name: "one", hostnames: ["one.example.com"], binding: "KUBE_API" },
        rules: [{ ...EXEC, approval: { grant: "missing" } }],
      },
    ];
    expect(fault({ cluster: undefined, clusters, grants: [GRANT], rules: [EXEC] })).toMatch(
      "clusters[0].rules[0].approval names the grant missing",
    );
  });
});

test("the extra that names grants is reserved", () => {
  const identities = [{ match: { email: "a@example.com" }, extra: { "sallyport-grant": ["prod-exec"] } }];
  expect(fault({ identities })).toMatch("sallyport-grant is reserved for Sallyport");
});
