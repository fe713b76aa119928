import { describe, expect, test } from "vitest";
import { readSubject } from "../../../worker/access/authenticate.ts";
import { loadConfig } from "../../../worker/config/load.ts";
import type { ConfigInput } from "../../../worker/config/schema.ts";
import { describeApprovers, mayDecide } from "../../../worker/policy/approvals.ts";
import { whyNotGiven } from "../../../worker/policy/grants.ts";
import { active, decideFor, NOW, type Request, UNTIL } from "./decide-for.ts";

const RULES: NonNullable<ConfigInput["rules"]> = [
  { name: "no contractors", match: { groups: ["contractors"], namespaces: ["vault"] }, action: "refuse" },
  { name: "admins only", match: { groups: ["prod-admins"], namespaces: ["frozen"] }, action: "refuse" },
  {
    name: "prod exec",
    match: { kinds: ["exec", "attach"], namespaces: ["prod"] },
    action: "allow",
    approval: { grant: "prod-exec" },
  },
  {
    name: "prod key",
    match: { resources: ["secrets"], namespaces: ["prod"], names: ["key"] },
    action: "allow",
    approval: { grant: "prod-key", waitMinutes: 0 },
  },
  {
    name: "as admins",
    match: { groups: ["cluster-admins"], resources: ["nodes"] },
    action: "allow",
    approval: { grant: "prod-exec" },
  },
  { name: "kubelets", match: { resources: ["nodes/proxy"], groups: ["prod-admins"] }, action: "allow" },
];
const LEAD = { users: ["lead@example.com"] };
const DOCUMENT: ConfigInput = {
  access: { teamDomain: "https://team.cloudflareaccess.com", audiences: ["aud"] },
  cluster: "prod",
  identities: [
    {
      match: { emailDomain: "example.com" },
      ...{
        user: "{email.local}",
        groups: ["developers"],
        mayImpersonate: { users: ["trainee"], groups: ["cluster-admins"] },
      },
    },
    { match: { serviceToken: "ci.access" }, user: "ci" },
  ],
  rules: RULES,
  grants: [
    {
      name: "prod-exec",
      for: [{ emailDomain: "example.com" }, { serviceToken: "ci.access" }],
      gives: { groups: ["prod-admins"], rules: ["prod exec", "as admins"] },
      approvers: LEAD,
    },
    {
      name: "prod-key",
      for: [{ group: "g-1" }],
      gives: { rules: ["prod key"] },
      approvers: LEAD,
      maxMinutes: 10,
      count: 2,
    },
    {
      name: "glass",
      for: [{ email: "alice@example.com" }],
      gives: { groups: ["prod-admins"], rules: ["prod exec"] },
      approvers: LEAD,
      selfApproval: "with-alert",
    },
  ],
};

function ask(
  path: string,
  holding: readonly ReturnType<typeof active>[] = [],
  { document = DOCUMENT, ...request }: Request & { readonly document?: ConfigInput } = {},
) {
  return decideFor(document, path, holding, request);
}

const EXEC = "/api/v1/namespaces/prod/pods/web/exec?command=sh&stdin=true&stdout=true";
const exec = (holding?: readonly ReturnType<typeof active>[], more = {}) =>
  ask(EXEC, holding, { upgrade: true, ...more });
const LIST = "/api/v1/namespaces/demo/pods";

describe("a grant's groups are the person's own while it holds", () => {
  test("for the cluster, which also hears which grant it was", () => {
    expect(ask(LIST, [active("prod-exec")])).toMatchObject({
      value: {
        as: { user: "alice", groups: ["developers", "prod-admins"], extra: { "sallyport-grant": ["prod-exec"] } },
        grants: [active("prod-exec")],
      },
    });
  });

  test("for rules that allow and for rules that refuse", () => {
    const kubelet = "/api/v1/nodes/n1/proxy/pods";
    expect(ask(kubelet)).toMatchObject({ error: { rule: "nodes/proxy" } });
    expect(ask(kubelet, [active("prod-exec")])).toMatchObject({ ok: true, value: { rule: "kubelets" } });
    const frozen = "/api/v1/namespaces/frozen/pods";
    expect(ask(frozen)).toMatchObject({ ok: true });
    expect(ask(frozen, [active("prod-exec")])).toMatchObject({ error: { rule: "admins only" } });
  });

  test("for --as-group, of which they may leave others out, and not for another user", () => {
    const headers = { "Impersonate-User": "alice", "Impersonate-Group": "prod-admins" };
    expect(ask(LIST, [], { headers })).toMatchObject({ error: { code: "impersonation" } });
    expect(ask(LIST, [active("prod-exec")], { headers })).toMatchObject({ value: { as: { groups: ["prod-admins"] } } });
    const other = { ...headers, "Impersonate-User": "trainee" };
    expect(ask(LIST, [active("prod-exec")], { headers: other })).toMatchObject({ error: { code: "impersonation" } });
    const alone = { "Impersonate-User": "trainee" };
    expect(ask(LIST, [active("prod-exec")], { headers: alone })).toMatchObject({
      value: {
        as: {
          user: "trainee",
          groups: [],
          extra: { "sallyport-user": ["alice@example.com"], "sallyport-grant": ["prod-exec"] },
        },
      },
    });
  });

  test.each<[string, readonly ReturnType<typeof active>[], object]>([
    ["its time is over", [active("prod-exec", NOW)], {}],
    ["it is not in the document any more", [active("removed")], {}],
    ["it is for others", [active("glass")], { who: { email: "bob@example.com" } }],
  ])("not once %s", (_, holding, more) => {
    const decided = ask(LIST, holding, more);
    expect(decided).toMatchObject({ ok: true, value: { as: { groups: ["developers"] }, grants: [] } });
    if (decided.ok) expect(decided.value.as.extra).toEqual({});
  });

  test("and a group that they have anyway does not count", () => {
    const [first, ...others] = DOCUMENT.identities;
    const identities = [{ ...first, groups: ["prod-admins"] }, ...others] as ConfigInput["identities"];
    expect(ask(LIST, [active("prod-exec")], { document: { ...DOCUMENT, identities } })).toMatchObject({
      value: { grants: [], as: { extra: {} } },
    });
  });

  test("of two that give the same, the one that holds longer counts", () => {
    const holding = [active("prod-exec"), active("glass", UNTIL + 1)];
    expect(ask(LIST, holding)).toMatchObject({ value: { grants: [active("glass", UNTIL + 1)] } });
  });
});

describe("a rule with an approval", () => {
  test("refuses without the grant, and says which, how to ask, and who approves", () => {
    const decided = exec();
    expect(decided).toMatchObject({
      error: {
        ...{ code: "approval_required", rule: "prod exec" },
        message:
          "the rule prod exec requires the grant prod-exec: ask for it with echo \"why you need it\" | kubectl create --raw '/-/access?grant=prod-exec&minutes=60' -f -; lead@example.com may approve it; then try again",
      },
    });
  });

  test("says what would be decided with the grant, whose groups count then", () => {
    expect(exec()).toMatchObject({
      error: {
        needed: {
          ...{ grant: { name: "prod-exec" }, waitMinutes: 5 },
          granted: { action: "session", rule: "prod exec", as: { groups: ["developers", "prod-admins"] } },
        },
      },
    });
  });

  test("allows with the grant, and with another that gives it", () => {
    expect(exec([active("prod-exec")])).toMatchObject({ value: { rule: "prod exec", grants: [active("prod-exec")] } });
    expect(exec([active("glass")])).toMatchObject({ value: { rule: "prod exec", grants: [active("glass")] } });
    expect(exec([active("prod-key")])).toMatchObject({ error: { code: "approval_required" } });
  });

  test("needs nobody's approval where it would be refused all the same", () => {
    const rules = [
      ...RULES.slice(0, 2),
      { name: "all", match: {}, action: "allow" as const, approval: { grant: "prod-key" } },
    ];
    const grants = [
      { ...DOCUMENT.grants?.[1], for: [{ emailDomain: "example.com" }], gives: { rules: ["all"] } },
    ] as NonNullable<ConfigInput["grants"]>;
    const document = { ...DOCUMENT, rules, grants };
    expect(ask(LIST, [], { document })).toMatchObject({ error: { code: "approval_required" } });
    expect(ask("/api/v1/nodes/n1/proxy/pods", [], { document })).toMatchObject({
      error: { code: "rule", rule: "nodes/proxy" },
    });
  });

  test("names nothing to ask for to somebody whom the grant is not for", () => {
    const decided = ask("/api/v1/namespaces/prod/secrets/key", [], { who: { email: "bob@example.com" } });
    expect(decided).toMatchObject({
      error: { code: "approval_required", message: expect.stringMatching(/it is not for you/) },
    });
    expect(decided).not.toHaveProperty("error.needed");
  });

  test.each([
    ["the object itself", "/api/v1/namespaces/prod/secrets/key"],
    ["a list that shows it", "/api/v1/namespaces/prod/secrets"],
    ["a list of all namespaces", "/api/v1/secrets"],
    ["a watch by a field", "/api/v1/namespaces/prod/secrets?watch=true&fieldSelector=metadata.name%3Dkey"],
  ])("is read as widely as one that refuses: %s", (_, path) => {
    expect(ask(path)).toMatchObject({ error: { code: "approval_required", rule: "prod key" } });
    expect(ask(path, [active("prod-key")])).toMatchObject({ ok: true });
  });

  test("a neighbour of what it is about needs none", () => {
    expect(ask("/api/v1/namespaces/prod/secrets/other")).toMatchObject({ ok: true });
    expect(ask("/api/v1/namespaces/demo/pods/web/exec?command=sh", [], { upgrade: true })).toMatchObject({ ok: true });
  });

  test("is not passed by acting as somebody without it, or with a group that it is about", () => {
    const headers = { "Impersonate-User": "trainee", "Impersonate-Group": "cluster-admins" };
    expect(exec([], { headers })).toMatchObject({ error: { code: "approval_required", rule: "prod exec" } });
    expect(ask("/api/v1/nodes", [], { headers })).toMatchObject({
      error: { code: "approval_required", rule: "as admins" },
    });
    expect(ask("/api/v1/nodes", [active("prod-exec")], { headers })).toMatchObject({ ok: true });
    expect(ask("/api/v1/nodes")).toMatchObject({ ok: true });
  });

  test("holds for a service token, which may have a grant", () => {
    const who = { common_name: "ci.access" };
    expect(exec([], { who })).toMatchObject({ error: { code: "approval_required" } });
    expect(exec([active("prod-exec")], { who })).toMatchObject({
      value: { as: { user: "ci", groups: ["prod-admins"] } },
    });
  });

  test("says how many must approve, for how long it is given, and what self-approval does", () => {
    expect(ask("/api/v1/namespaces/prod/secrets/key")).toMatchObject({
      error: { message: expect.stringMatching(/minutes=10' .*; 2 of lead@example.com may approve it/) },
    });
    const rules = RULES.map((rule) => (rule.name === "prod exec" ? { ...rule, approval: { grant: "glass" } } : rule));
    expect(exec([], { document: { ...DOCUMENT, rules } })).toMatchObject({
      error: { message: expect.stringContaining("it holds as soon as you ask, and an alert is sent") },
    });
  });
});

describe("who may decide", () => {
  const [grant] = loadConfig({
    ...DOCUMENT,
    grants: [
      {
        name: "g",
        for: [{ emailDomain: "example.com" }],
        gives: { groups: ["x"] },
        approvers: { roles: ["auditor"], groups: ["g-9"], users: ["Lead@example.com"] },
      },
    ],
    rules: [],
  }).grants;
  if (!grant) throw new Error("no grant");
  const may = (claims: object, groups: string[] = [], roles: ("admin" | "auditor")[] = []) => {
    const sub = "email" in claims ? "uid" : "";
    const read = readSubject({ type: "app", sub, exp: 2_000_000_000, aud: ["aud"], ...claims });
    if (!read.ok) throw new Error(read.error.message);
    return mayDecide(grant, { subject: read.value, accessIdentity: { groups }, roles });
  };

  test("is any one of users, groups and roles; an administrator is an auditor too", () => {
    expect(may({ email: "lead@example.com" })).toBe(true);
    expect(may({ email: "LEAD@EXAMPLE.COM" })).toBe(true);
    expect(may({ email: "any@example.com" }, ["g-9"])).toBe(true);
    expect(may({ email: "any@example.com" }, [], ["auditor"])).toBe(true);
    expect(may({ email: "any@example.com" }, [], ["admin"])).toBe(true);
    expect(may({ email: "any@example.com" }, ["g-1"])).toBe(false);
  });

  test("is never a service token, whatever it has", () => {
    expect(may({ common_name: "ci.access" }, ["g-9"], ["admin"])).toBe(false);
  });

  test("is told in one sentence", () => {
    expect(describeApprovers(grant)).toBe("lead@example.com, members of the group g-9 or holders of the role auditor");
  });
});

describe("what the document no longer gives", () => {
  const grants = (matches: NonNullable<ConfigInput["grants"]>[number]["for"]) =>
    loadConfig({
      ...DOCUMENT,
      rules: [],
      grants: [{ name: "one", for: matches, gives: { groups: ["admins"] }, approvers: LEAD }],
    }).grants;
  const REMOVED = "the grant was removed from the configuration";
  const FOR_OTHERS = "the configuration no longer has the grant for its person";

  test("is a grant that it does not have", () => {
    expect(whyNotGiven(grants([{ group: "g-1" }]), "two", "alice@example.com")).toBe(REMOVED);
    expect(whyNotGiven([], "one", "alice@example.com")).toBe(REMOVED);
  });

  test.each<[string, NonNullable<ConfigInput["grants"]>[number]["for"], string, string | undefined]>([
    ["somebody's address, in any spelling", [{ email: "Alice@Example.com" }], "alice@example.com", undefined],
    ["another address", [{ email: "bob@example.com" }], "alice@example.com", FOR_OTHERS],
    ["their domain", [{ emailDomain: "Example.com" }], "alice@example.com", undefined],
    ["a domain that theirs ends with", [{ emailDomain: "example.com" }], "alice@notexample.com", FOR_OTHERS],
    ["a group, which nobody knows here", [{ group: "g-1" }], "alice@example.com", undefined],
    ["a group within another domain", [{ group: "g-1", emailDomain: "other.com" }], "alice@example.com", FOR_OTHERS],
    ["one of several", [{ email: "bob@example.com" }, { group: "g-1" }], "alice@example.com", undefined],
    ["a service token, in any spelling", [{ serviceToken: "CI.access" }], "service:ci.access", undefined],
    ["another service token", [{ serviceToken: "cd.access" }], "service:ci.access", FOR_OTHERS],
    ["people alone", [{ emailDomain: "example.com" }], "service:ci.access", FOR_OTHERS],
    ["a service token alone", [{ serviceToken: "ci.access" }], "ci.access@example.com", FOR_OTHERS],
  ])("is not for whom it may still be: %s", (_, matches, user, why) => {
    expect(whyNotGiven(grants(matches), "one", user)).toBe(why);
  });
});
