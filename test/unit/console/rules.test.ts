/** The document in the console's words, its anchors, and the request of a question that nobody sends. */
import { describe, expect, it } from "vitest";
import { anchorOf, clusterOf, hasPart, readAnchor } from "../../../console/src/rules/anchors.ts";
import { matchesSearch, type Rule, type RulesDocument } from "../../../console/src/rules/document.ts";
import { requestOf, VERBS } from "../../../console/src/rules/question.ts";
import {
  grantEffects,
  grantSubject,
  identityEffects,
  identitySubject,
  ruleEffects,
  ruleSubject,
  type Words,
} from "../../../console/src/rules/words.ts";
import { classify } from "../../../kubernetes/classify.ts";
import { rawRequestTarget } from "../../../kubernetes/path.ts";
import { grantSchema } from "../../../worker/config/grants.ts";
import { identityMatchSchema, identityRuleSchema } from "../../../worker/config/identities.ts";
import { ruleSchema } from "../../../worker/config/rules.ts";

/** As a person reads it, with code in backquotes. */
const read = (words: Words) => words.map((part) => (typeof part === "string" ? part : `\`${part.code}\``)).join("");
const rule = (more: object): Rule => ruleSchema.parse({ name: "one", action: "allow", match: {}, ...more });

describe("a rule in words", () => {
  it.each([
    [{}, "All requests and sessions"],
    [
      { kinds: ["exec", "attach"], namespaces: ["prod"], names: ["web", "web-*"] },
      "Exec and attach sessions in pods named `web` or `web-*` in the namespace `prod`",
    ],
    [
      { verbs: ["get", "list", "watch"], resources: ["secrets"], groups: ["viewers"] },
      "Requests and sessions to `get`, `list` or `watch` `secrets` of members of the Kubernetes group `viewers`",
    ],
    [
      { resources: ["nodes/*"], clusters: ["a", "b"], users: ["alice@example.com"] },
      "Requests and sessions for `nodes/*` at the clusters `a` or `b` of `alice@example.com`",
    ],
  ])("is about %o", (match, text) => {
    expect(read(ruleSubject(rule({ match })))).toBe(text);
  });

  it("says what happens, each part that the document can have", () => {
    const all = rule({
      ...{ match: { kinds: ["exec"] }, requireReason: true, tell: true, watch: { required: true, waitMinutes: 7 } },
      ...{ approval: { grant: "g", waitMinutes: 0 }, recording: { mode: "full", maxBytes: 65_536, onFull: "end" } },
      limits: { idleTimeoutSeconds: 90, maxDurationSeconds: 7_200, endWithToken: true },
    });
    const text = ruleEffects(all).map(read).join("\n");
    for (const part of [/grant `g`/, /Nothing waits/, /stated a reason/, /up to 7 min for somebody/, /is told/])
      expect(text).toMatch(part);
    expect(text).toMatch(
      /after 90 s without.*last 2 h at most.*end with the sign-in.*typed is recorded.*64 KiB.*is full/,
    );
    expect(ruleEffects(rule({})).map(read)).toEqual(["Allowed. The cluster's RBAC decides the rest."]);
    expect(ruleEffects(rule({ action: "refuse", message: "ask <b>us</b>" })).map(read)).toEqual([
      "Refused.",
      "People read: `ask <b>us</b>`",
    ]);
  });

  it("has a word for each thing that a rule can match or do", () => {
    const told = (more: object) => JSON.stringify([ruleSubject(rule(more)), ruleEffects(rule(more))]);
    const plain = told({ match: { kinds: ["exec"] } });
    const matches = ["resources", "verbs", "clusters", "namespaces", "names", "groups", "users"];
    for (const field of matches) expect(told({ match: { kinds: ["exec"], [field]: ["x"] } }), field).toContain('"x"');
    // A new field of the schema fails here until it has words.
    const known = ["name", "match", "action", "message", "requireReason", "approval", "tell", "watch", "limits"];
    expect(new Set(Object.keys(ruleSchema.shape))).toEqual(new Set([...known, "recording"]));
    expect(new Set(Object.keys(ruleSchema.shape.match.shape))).toEqual(new Set(["kinds", ...matches]));
    expect(told({ match: { kinds: ["exec"] }, tell: true })).not.toBe(plain);
  });
});

describe("identities and grants in words", () => {
  it("say whom they are for, by all that the document can name", () => {
    const match = {
      ...{ email: "a@example.com", emailDomain: "example.com", group: "00g", groupName: "leads", claim: "c.d" },
      ...{ value: "v", country: ["DE", "FR"], posture: "disk" },
    };
    const text = read(identitySubject(identityMatchSchema.parse(match)));
    for (const named of Object.values(match).flat()) expect(text).toContain(`\`${named}\``);
    expect(read(identitySubject({ serviceToken: "x.access" }))).toBe("the service token `x.access`");
    const fields = new Set(Object.keys(identityMatchSchema.shape));
    expect(fields).toEqual(new Set([...Object.keys(match), "serviceToken"]));
  });

  it("say who somebody becomes", () => {
    const rule = identityRuleSchema.parse({
      ...{ match: { email: "a@example.com" }, user: "{email.local}", groups: ["dev", "ops"], roles: ["auditor"] },
      ...{ mayImpersonate: { users: ["ci"], groups: [] }, extra: { team: ["sre"] } },
    });
    expect(identityEffects(rule).map(read)).toEqual([
      "In the cluster: the user `{email.local}`, in the groups `dev` and `ops`.",
      "In Sallyport: `auditor`.",
      "Extra `team`: `sre`.",
      "May act as `ci` with `kubectl --as`.",
    ]);
  });

  it("say who may ask for a grant, and who approves", () => {
    const approvers = { users: ["bob@example.com"], groups: ["00g"], roles: ["admin"] };
    const common = {
      name: "g",
      for: [{ group: "00d" }, { email: "a@example.com" }],
      gives: { groups: ["x"] },
      approvers,
    };
    const pair = grantSchema.parse({ ...common, count: 2, requireReason: true, maxMinutes: 30 });
    expect(read(grantSubject(pair))).toBe("members of the group `00d` or `a@example.com`");
    expect(grantEffects(pair).map(read)).toEqual([
      "Approved by 2 of `bob@example.com`, members of the group `00g` or holders of the role `admin`.",
      "For 30 min at most, with a reason.",
    ]);
    const glass = grantSchema.parse({ ...common, selfApproval: "with-alert" });
    expect(read(grantEffects(glass)[0] ?? [])).toMatch(/^Break-glass: it holds as soon as somebody asks/);
  });
});

describe("an anchor", () => {
  it.each(["prod shells", "a/b#c?d", "ünï", "identity-1", "%41"])(
    "leads to a rule of the name %o and to no other",
    (name) => {
      const anchor = anchorOf("rule", name);
      expect(anchor).toMatch(/^[\w%.~!*'()-]+$/);
      expect(readAnchor(anchor)).toEqual({ part: "rule", name });
    },
  );

  it("of a cluster's own identity is another than that of the document's", () => {
    const anchor = anchorOf("cluster-identity", "0");
    expect(anchor).not.toBe(anchorOf("identity", "0"));
    expect(readAnchor(anchor)).toEqual({ part: "cluster-identity", name: "0" });
  });

  it.each(["", "main", "rule-", "rule-%E0%A4%A", "other-x"])("is not %o", (text) => {
    expect(readAnchor(text)).toBeUndefined();
  });
});

describe("the cluster that Rules shows", () => {
  const identities = [{ match: { email: "admin@example.com" } }];
  const plain = { name: "plain", hostnames: [], rules: [rule({ name: "everywhere" })] };
  const own = { ...plain, name: "own", rules: [rule({ name: "prod" })], identities: [...identities, ...identities] };
  const clusters = [plain, own] as unknown as RulesDocument["clusters"];
  const shown = (wanted: string, anchor: string) => clusterOf(clusters, wanted, readAnchor(anchor))?.name;

  it("is that of the address, or the first that has the rule which the anchor names", () => {
    expect(shown("own", "rule-everywhere")).toBe("own");
    expect(shown("", "rule-prod")).toBe("own");
    expect(shown("", "rule-gone")).toBe("plain");
    expect(shown("", "")).toBe("plain");
  });

  it("is not another because a grant has the name of its rule", () => {
    expect(shown("", "grant-prod")).toBe("plain");
  });

  it("has its own identities beside the document's, which stay where they are", () => {
    const document = { identities, grants: [{ name: "g" }], clusters } as unknown as RulesDocument;
    const has = (index: number, anchor: string) => {
      const read = readAnchor(anchor);
      return read && hasPart(document, clusters[index], read);
    };
    for (const index of [0, 1]) expect([has(index, "identity-0"), has(index, "identity-1")]).toEqual([true, false]);
    expect([has(0, "cluster-identity-0"), has(1, "cluster-identity-1")]).toEqual([false, true]);
    expect([has(0, "rule-prod"), has(1, "rule-prod"), has(0, "grant-g"), has(0, "grant-prod")]).toEqual([
      ...[false, true, true, false],
    ]);
  });
});

it("a search finds what has every word somewhere, without regard to case", () => {
  const part = rule({ name: "Prod shells", match: { namespaces: ["prod"] } });
  expect(matchesSearch(part, "PROD shells")).toBe(true);
  expect(matchesSearch(part, "namespaces prod")).toBe(true);
  expect(matchesSearch(part, "prod vault")).toBe(false);
});

describe("a question", () => {
  const asked = { verb: "exec", resource: "", namespace: "demo", name: "shell" };

  it.each(VERBS.map(({ name }) => name))("about %s becomes a request that is read as the same", (verb) => {
    const request = requestOf({ ...asked, verb, resource: "deployments.apps" });
    if (!request.ok) throw new Error(request.error);
    const [method = "", target = ""] = request.value.split(" ");
    const isSession = ["exec", "attach", "port-forward"].includes(verb);
    const classified = classify(method, rawRequestTarget(`http://localhost${target}`), isSession ? "websocket" : null);
    if (classified.kind === "refused") throw new Error(JSON.stringify(classified));
    if (classified.kind === "session") {
      expect([isSession, classified.session]).toMatchObject([true, { sessionKind: verb, namespace: "demo" }]);
      return;
    }
    expect(classified.info).toMatchObject({ verb, resource: "deployments", apiGroup: "apps", namespace: "demo" });
  });

  it.each([
    [{ ...asked, verb: "list", resource: "nodes", namespace: "", name: "" }, "GET /api/v1/nodes"],
    [{ ...asked, verb: "get", resource: "pods/log" }, "GET /api/v1/namespaces/demo/pods/shell/log"],
    [{ ...asked, verb: "watch", resource: "secrets" }, "GET /api/v1/namespaces/demo/secrets?watch=true"],
    [
      { ...asked, verb: "create", resource: "serviceaccounts/token" },
      "POST /api/v1/namespaces/demo/serviceaccounts/shell/token",
    ],
  ])("%o is %s", (question, request) => {
    expect(requestOf(question)).toEqual({ ok: true, value: request });
  });

  it.each([
    [{ ...asked, namespace: "" }, /namespace/],
    [{ ...asked, name: "" }, /pod/],
    [{ ...asked, verb: "get", resource: "" }, /resource/],
    [{ ...asked, verb: "delete", resource: "pods", name: "" }, /object/],
    [{ ...asked, name: ".." }, /names/],
    [{ ...asked, verb: "get", resource: "pods/a/b" }, /names/],
    [{ ...asked, namespace: "a b" }, /names/],
  ])("%o says what it lacks", (question, message) => {
    const request = requestOf(question);
    expect(request.ok ? request.value : request.error).toMatch(message);
  });
});
