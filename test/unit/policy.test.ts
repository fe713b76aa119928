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
  if ("error" in read) throw new Error(read.error);
  return read;
}

function asked(path: string, { method = "GET", kind }: { method?: string; kind?: SessionKind } = {}) {
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

const POD = "/api/v1/namespaces/demo/pods/web-1";
const EXEC = asked(`${POD}/exec`, { kind: "exec" });

describe("nodes/proxy is shut unless a rule opens it", () => {
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
      expect(evaluateRules(asked(path, { method }), [])).toMatchObject({
        ...{ action: "refuse", rule: "nodes/proxy", message: expect.stringContaining("nodes/proxy") },
      });
    }
  });

  test("a rule that is wide enough opens it, one about something else does not", () => {
    const open = rule("kubelet", { resources: ["nodes/proxy"], groups: ["oncall"] }, { action: "allow" });
    expect(evaluateRules(asked(paths[0] ?? ""), [open]).action).toBe("allow");
    const other = rule("nodes", { resources: ["nodes"] }, { action: "allow" });
    expect(evaluateRules(asked(paths[0] ?? ""), [other]).action).toBe("refuse");
  });

  test.each<Match>([{}, { groups: ["oncall"] }, { verbs: ["*"] }, { clusters: ["prod-eu"] }, { resources: ["*"] }])(
    "a rule that allows and does not name nodes does not open it: %j",
    (match) => {
      const wide = rule("wide", match, { action: "allow" });
      expect(
        evaluateRules(asked("/api/v1/nodes/n1/proxy/run/demo/shell/shell", { method: "POST" }), [wide]),
      ).toMatchObject({
        ...{ action: "refuse", rule: "nodes/proxy" },
      });
    },
  );
});

describe("a rule matches where all that it names holds", () => {
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
    expect(evaluateRules(EXEC, [rule("it", match)]).action).toBe(expected ? "refuse" : "allow");
  });

  test("a rule on kinds says nothing of a plain request of the same path", () => {
    expect(evaluateRules(asked(`${POD}/exec`), [rule("no exec", { kinds: ["exec"] })]).action).toBe("allow");
  });

  test("a rule on groups never fits somebody without any", () => {
    const nobody = { ...EXEC, identity: { name: "ci", groups: [] } };
    expect(evaluateRules(nobody, [rule("it", { groups: ["*"] })]).action).toBe("allow");
  });
});

describe("a name below a proxy subresource", () => {
  const path = (name: string) => `/api/v1/namespaces/demo/services/${name}/proxy/v1/sys`;

  test.each(["vault", "vault:8200", "vault:", "http:vault:8200", "https:vault:", "https:vault:web"])(
    "is refused for every spelling: %s",
    (name) => {
      expect(evaluateRules(asked(path(name)), [rule("it", { names: ["vault"] })]).action).toBe("refuse");
      expect(evaluateRules(asked(path(name), { kind: "proxy" }), [rule("it", { names: ["va*"] })]).action).toBe(
        "refuse",
      );
    },
  );

  test("is allowed as it is spelled only", () => {
    const rules = [rule("one port", { names: ["vault"] }, { action: "allow" }), rule("no other", {})];
    expect(evaluateRules(asked(path("vault")), rules).action).toBe("allow");
    expect(evaluateRules(asked(path("https:vault:22")), rules).action).toBe("refuse");
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
  ])("refuses it in all at once, too: %s", (path) => {
    expect(evaluateRules(asked(path), rules).action).toBe("refuse");
  });

  test.each(["/api/v1/namespaces/demo/secrets", "/api/v1/configmaps", "/api/v1/nodes", "/version"])(
    "says nothing of others: %s",
    (path) => {
      expect(evaluateRules(asked(path), rules).action).toBe("allow");
      const all = rule("all of prod", { namespaces: ["prod-*"] });
      if (!path.includes("namespaces")) expect(evaluateRules(asked(path), [all]).action).toBe("allow");
    },
  );

  test("and one that allows it there does not allow it in all", () => {
    const allow = rule("prod", { resources: ["secrets"], namespaces: ["prod-*"] }, { action: "allow" });
    expect(evaluateRules(asked("/api/v1/secrets"), [allow, rule("no other", {})]).action).toBe("refuse");
  });
});

describe("of several", () => {
  const rules = [
    rule("oncall in prod", { kinds: ["exec"], groups: ["oncall"] }, { action: "allow", requireReason: true }),
    rule("no exec", { kinds: ["exec"] }, { message: "not here: use logs" }),
  ];

  test("the first decides", () => {
    expect(evaluateRules(EXEC, rules)).toMatchObject({
      action: "allow",
      rule: { name: "oncall in prod", requireReason: true },
    });
    const other = { ...EXEC, identity: { name: "bob@example.com", groups: ["developers"] } };
    expect(evaluateRules(other, rules)).toEqual({ action: "refuse", rule: "no exec", message: "not here: use logs" });
  });

  test("none leaves it to the cluster", () => {
    expect(evaluateRules(asked(POD), rules)).toEqual({ action: "allow", rule: undefined });
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

  test("of several parts takes a moment on any text", () => {
    const began = performance.now();
    expect(matchesGlob("*-a-*-a-*-a-*-b", "-a-".repeat(5_000))).toBe(false);
    expect(performance.now() - began).toBeLessThan(1_000);
  });

  test.each([
    ["*ab", "aab", true],
    ["*ab*ba*", "aba", false],
    ["a*a", "a", false],
    ["a*b*c", "a-b-b-c", true],
    ["**", "", true],
    ["", "a", false],
    ["*.?+^$[x]\\*", "a.?+^$[x]\\b", true],
  ])("%s and %s: %s, wherever its stars are", (pattern, text, expected) => {
    expect(matchesGlob(pattern, text)).toBe(expected);
  });

  test("of many stars does not take for ever", () => {
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
    ["one behind a wider one", [refuse("a", {}), refuse("b", { kinds: ["exec"] })], /rules\[1\] can never match/],
    [
      "the same again",
      [refuse("a", { verbs: ["get"] }), refuse("b", { verbs: ["get"] })],
      /rules\[1\] can never match/,
    ],
    ["a message that nobody reads", [{ ...refuse("a", {}), action: "allow", message: "x" }], /rules\[0\]/],
    ["a reason for a refusal", [{ ...refuse("a", { kinds: ["exec"] }), requireReason: true }], /rules\[0\]/],
    ["a reason for plain requests", [{ name: "a", match: {}, action: "allow", requireReason: true }], /rules\[0\]/],
  ])("%s is a fault, with its place", (_, rules, place) => {
    expect(() => loadConfig(document(rules))).toThrow(place);
  });

  test("name users without regard to case, as identities are", () => {
    const [{ rules = [] } = {}] = loadConfig(document([refuse("a", { users: ["Alice@Example.com"] })])).clusters;
    expect(evaluateRules(EXEC, rules).action).toBe("refuse");
  });

  test("of a cluster come before the document's", () => {
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
