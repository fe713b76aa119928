import { describe, expect, test } from "vitest";
import { parseRequestInfo, type RequestInfo } from "../../kubernetes/request-info.ts";
import type { SessionKind, SessionTarget } from "../../kubernetes/session-target.ts";
import { loadConfig } from "../../worker/config/load.ts";
import type { Rule } from "../../worker/config/schema.ts";
import { evaluateRules, resourceOf } from "../../worker/policy/evaluate-rules.ts";
import { matchesGlob } from "../../worker/policy/glob.ts";

type Match = Rule["match"];

const rule = (name: string, match: Match, more: Partial<Rule> = {}): Rule => ({
  ...{ name, match, action: "refuse", requireReason: false, limits: {}, recording: {} },
  ...more,
});

function info(method: string, path: string): RequestInfo {
  const url = new URL(path, "http://localhost");
  const read = parseRequestInfo(method, url);
  if (!read.ok) throw new Error(read.error);
  return read.value;
}

function queryOf(path: string, { method = "GET", kind }: { method?: string; kind?: SessionKind } = {}) {
  const streams = { container: undefined, command: [], tty: false, stdin: false, stdout: false, stderr: false };
  const session: SessionTarget | undefined = kind && {
    sessionKind: kind,
    namespace: "",
    pod: "",
    ...streams,
    ports: [],
  };
  const identity = { name: "alice@example.com", groups: ["developers", "oncall"] };
  return { identity, cluster: "prod-eu", info: info(method, path), session };
}

const REFUSED = expect.objectContaining({ ok: false });
const ALLOWED = expect.objectContaining({ ok: true });

const POD = "/api/v1/namespaces/demo/pods/web-1";
const EXEC = queryOf(`${POD}/exec`, { kind: "exec" });

describe("nodes/proxy is refused unless a rule allows it", () => {
  const paths = [
    "/api/v1/nodes/n1/proxy",
    "/api/v1/nodes/n1/proxy/",
    "/api/v1/nodes/n1/proxy/exec/demo/shell/shell?command=id",
    "/api/v1/nodes/n1:10250/proxy/run/demo/shell/shell",
    "/api/v1/nodes/https:n1:10250/proxy/pods",
    "/api/v1/nodes/n1/%70roxy/pods",
    "/api/v1/namespaces/demo/nodes/n1/proxy/pods",
    "/api/v1/watch/nodes/n1/proxy",
  ];
  test.each(paths)("%s", (path) => {
    for (const method of ["GET", "POST", "PUT", "DELETE"]) {
      expect(evaluateRules(queryOf(path, { method }), [])).toMatchObject({
        error: { code: "rule", rule: "nodes/proxy", message: expect.stringContaining("nodes/proxy") },
      });
    }
  });

  test("a rule that names it allows it; a rule about other resources does not", () => {
    const open = rule("kubelet", { resources: ["nodes/proxy"], groups: ["oncall"] }, { action: "allow" });
    expect(evaluateRules(queryOf(paths[0] ?? ""), [open])).toEqual(ALLOWED);
    const other = rule("nodes", { resources: ["nodes"] }, { action: "allow" });
    expect(evaluateRules(queryOf(paths[0] ?? ""), [other])).toEqual(REFUSED);
  });

  test.each<Match>([{}, { groups: ["oncall"] }, { verbs: ["*"] }, { clusters: ["prod-eu"] }, { resources: ["*"] }])(
    "an allowing rule that does not name nodes does not allow it: %j",
    (match) => {
      const wide = rule("wide", match, { action: "allow" });
      expect(
        evaluateRules(queryOf("/api/v1/nodes/n1/proxy/run/demo/shell/shell", { method: "POST" }), [wide]),
      ).toMatchObject({
        error: { rule: "nodes/proxy" },
      });
    },
  );
});

describe("a rule matches if everything that it names holds", () => {
  test.each<[Match, boolean]>([
    [{}, true],
    [{ kinds: ["exec"] }, true],
    [{ kinds: ["attach", "exec"] }, true],
    [{ kinds: ["attach"] }, false],
    [{ resources: ["pods/exec"] }, true],
    [{ resources: ["pods"] }, false],
    [{ resources: ["pods*"] }, true],
    [{ resources: ["*/exec"] }, true],
    [{ verbs: ["get"] }, true],
    [{ verbs: ["create"] }, false],
    [{ clusters: ["prod-*"] }, true],
    [{ clusters: ["prod"] }, false],
    [{ namespaces: ["demo"] }, true],
    [{ namespaces: ["kube-*", "de*"] }, true],
    [{ namespaces: ["dem"] }, false],
    [{ names: ["web-*"] }, true],
    [{ names: ["*-2"] }, false],
    [{ groups: ["oncall"] }, true],
    [{ groups: ["on"] }, false],
    [{ users: ["*@example.com"] }, true],
    [{ users: ["bob@example.com"] }, false],
    [{ kinds: ["exec"], namespaces: ["demo"], groups: ["developers"] }, true],
    [{ kinds: ["exec"], namespaces: ["prod"], groups: ["developers"] }, false],
  ])("%j: %s", (match, expected) => {
    expect(evaluateRules(EXEC, [rule("it", match)])).toEqual(expected ? REFUSED : ALLOWED);
  });

  test("a rule on kinds does not match an API request with the same path", () => {
    expect(evaluateRules(queryOf(`${POD}/exec`), [rule("no exec", { kinds: ["exec"] })])).toEqual(ALLOWED);
  });

  test("a refusal for every group also holds for somebody without groups, an allowance does not", () => {
    const nobody = { ...EXEC, identity: { name: "ci", groups: [] } };
    for (const groups of [["*"], ["**"], ["oncall", "*"]]) {
      expect(evaluateRules(nobody, [rule("it", { groups })])).toEqual(REFUSED);
      expect(evaluateRules(nobody, [rule("it", { groups }, { action: "allow" })])).toEqual({ ok: true, value: null });
    }
    expect(evaluateRules(nobody, [rule("it", { groups: ["oncall", "*call", "?"] })])).toEqual(ALLOWED);
  });
});

describe("a name below a proxy subresource", () => {
  const path = (name: string) => `/api/v1/namespaces/demo/services/${name}/proxy/v1/sys`;

  test.each(["vault", "vault:8200", "vault:", "http:vault:8200", "https:vault:", "https:vault:web"])(
    "is refused in every variant: %s",
    (name) => {
      expect(evaluateRules(queryOf(path(name)), [rule("it", { names: ["vault"] })])).toEqual(REFUSED);
      expect(evaluateRules(queryOf(path(name), { kind: "proxy" }), [rule("it", { names: ["va*"] })])).toEqual(REFUSED);
    },
  );

  test("is allowed only as it is written", () => {
    const rules = [rule("one port", { names: ["vault"] }, { action: "allow" }), rule("no other", {})];
    expect(evaluateRules(queryOf(path("vault")), rules)).toEqual(ALLOWED);
    expect(evaluateRules(queryOf(path("https:vault:22")), rules)).toEqual(REFUSED);
  });
});

describe("a rule that refuses a resource in some namespaces", () => {
  const rules = [rule("no secrets of prod", { resources: ["secrets"], namespaces: ["prod-*"] })];

  test.each([
    "/api/v1/namespaces/prod-1/secrets",
    "/api/v1/secrets",
    "/api/v1/secrets?watch=1",
    "/api/v1/watch/secrets",
    "/api/v1/secrets?fieldSelector=metadata.namespace%3Dprod-1",
    "/api/v1/secrets?fieldSelector=metadata.name%3Dvault&limit=5",
  ])("also refuses requests for all namespaces: %s", (path) => {
    expect(evaluateRules(queryOf(path), rules)).toEqual(REFUSED);
  });

  test.each(["/api/v1/namespaces/demo/secrets", "/api/v1/configmaps", "/api/v1/nodes", "/version"])(
    "does not match other requests: %s",
    (path) => {
      expect(evaluateRules(queryOf(path), rules)).toEqual(ALLOWED);
      const all = rule("all of prod", { namespaces: ["prod-*"] });
      if (!path.includes("namespaces")) expect(evaluateRules(queryOf(path), [all])).toEqual(ALLOWED);
    },
  );

  test("an allowing rule for some namespaces does not allow requests for all of them", () => {
    const allow = rule("prod", { resources: ["secrets"], namespaces: ["prod-*"] }, { action: "allow" });
    expect(evaluateRules(queryOf("/api/v1/secrets"), [allow, rule("no other", {})])).toEqual(REFUSED);
  });
});

describe("several rules", () => {
  const rules = [
    rule("oncall in prod", { kinds: ["exec"], groups: ["oncall"] }, { action: "allow", requireReason: true }),
    rule("no exec", { kinds: ["exec"] }, { message: "not here: use logs" }),
  ];

  test("the first match decides", () => {
    expect(evaluateRules(EXEC, rules)).toMatchObject({
      ok: true,
      value: { name: "oncall in prod", requireReason: true },
    });
    const other = { ...EXEC, identity: { name: "bob@example.com", groups: ["developers"] } };
    expect(evaluateRules(other, rules)).toEqual({
      ok: false,
      error: { code: "rule", rule: "no exec", message: "not here: use logs" },
    });
  });

  test("without a match the cluster decides", () => {
    expect(evaluateRules(queryOf(POD), rules)).toEqual({ ok: true, value: null });
  });
});

describe("a resource is written as RBAC writes it", () => {
  test.each([
    ["/api/v1/namespaces/demo/secrets/x", "secrets"],
    ["/apis/apps/v1/namespaces/demo/deployments/x/scale", "deployments.apps/scale"],
    ["/api/v1/namespaces/demo/serviceaccounts/x/token", "serviceaccounts/token"],
    ["/apis/authentication.k8s.io/v1/selfsubjectreviews", "selfsubjectreviews.authentication.k8s.io"],
    ["/version", ""],
  ])("%s: %s", (path, expected) => {
    expect(resourceOf(info("GET", path))).toBe(expected);
  });
});

describe("a pattern", () => {
  test.each([
    ["a.c", "abc", false],
    ["a.c", "a.c", true],
    ["*", "", true],
    ["(a|b)+$", "(a|b)+$", true],
    ["a*c*", "abcd", true],
    ["a*c", "ab\nc", true],
    ["A*", "abc", false],
  ])("%s and %j: %s", (pattern, text, expected) => {
    expect(matchesGlob(pattern, text)).toBe(expected);
  });

  test("with several parts is matched in linear time", () => {
    // A matcher that backtracks does not end within the time that a test has.
    expect(matchesGlob("*-a-*-a-*-a-*-b", "-a-".repeat(300_000))).toBe(false);
  });

  test.each([
    ["*ab", "aab", true],
    ["*ab*ba*", "aba", false],
    ["a*a", "a", false],
    ["a*b*c", "a-b-b-c", true],
    ["**", "", true],
    ["", "a", false],
    ["*.?+^$[x]\\*", "a.?+^$[x]\\b", true],
  ])("may have stars anywhere: %s and %s: %s", (pattern, text, expected) => {
    expect(matchesGlob(pattern, text)).toBe(expected);
  });

  test("with many stars is matched in linear time", () => {
    expect(matchesGlob(`${"*".repeat(200)}x`, "y".repeat(10_000))).toBe(false);
  });
});

describe("rules in the configuration", () => {
  const document = (rules: unknown) => ({
    ...{ access: { teamDomain: "https://t.cloudflareaccess.com", audiences: ["a"] }, cluster: "c", rules },
    identities: [{ match: { email: "alice@example.com" } }],
  });
  const refuse = (name: string, match: object) => ({ name, match, action: "refuse" });

  test.each<[string, unknown, RegExp]>([
    ["an unknown kind", [refuse("a", { kinds: ["ssh"] })], /rules\[0\]\.match\.kinds\[0\]/],
    ["an unknown field", [refuse("a", { pods: ["x"] })], /rules\[0\]\.match/],
    ["an empty list", [refuse("a", { namespaces: [] })], /rules\[0\]\.match\.namespaces/],
    ["a name twice", [refuse("a", { kinds: ["exec"] }), refuse("a", { kinds: ["attach"] })], /rules\[1\] has the name/],
    ["a rule behind a wider one", [refuse("a", {}), refuse("b", { kinds: ["exec"] })], /rules\[1\] can never match/],
    [
      "a rule with the same match",
      [refuse("a", { verbs: ["get"] }), refuse("b", { verbs: ["get"] })],
      /rules\[1\] can never match/,
    ],
    ["a message in an allowing rule", [{ ...refuse("a", {}), action: "allow", message: "x" }], /rules\[0\]/],
    [
      "a required reason in a refusing rule",
      [{ ...refuse("a", { kinds: ["exec"] }), requireReason: true }],
      /rules\[0\]/,
    ],
    [
      "a required reason for API requests",
      [{ name: "a", match: {}, action: "allow", requireReason: true }],
      /rules\[0\]/,
    ],
  ])("the error names the place of %s", (_, rules, place) => {
    expect(() => loadConfig(document(rules))).toThrow(place);
  });

  test("match users without regard to case", () => {
    const [{ rules = [] } = {}] = loadConfig(document([refuse("a", { users: ["Alice@Example.com"] })])).clusters;
    expect(evaluateRules(EXEC, rules)).toEqual(REFUSED);
  });

  test("a cluster's rules come before the document's", () => {
    const cluster = (name: string, rules: unknown[] = []) => ({ name, hostnames: [name], binding: "KUBE_API", rules });
    const { cluster: _, ...rest } = document([refuse("general", { kinds: ["exec"] })]);
    const config = loadConfig({
      ...rest,
      clusters: [cluster("a", [refuse("own", { kinds: ["exec"] })]), cluster("b")],
    });
    expect(config.clusters.map(({ rules }) => rules.map(({ name }) => name))).toEqual([
      ["own", "general"],
      ["general"],
    ]);
  });
});
