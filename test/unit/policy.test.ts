import { describe, expect, test } from "vitest";
import { mayCreate } from "../../kubernetes/creation.ts";
import { parseRequestInfo, type RequestInfo } from "../../kubernetes/request-info.ts";
import type { SessionKind, SessionTarget } from "../../kubernetes/session-target.ts";
import { loadConfig } from "../../worker/config/load.ts";
import type { Rule } from "../../worker/config/schema.ts";
import { evaluateRules, resourceOf } from "../../worker/policy/evaluate-rules.ts";
import { matchesGlob } from "../../worker/policy/glob.ts";

type Match = Rule["match"];

const rule = (name: string, match: Match, more: Partial<Rule> = {}): Rule => ({
  ...{ name, match, action: "refuse", requireReason: false, tell: false, limits: {}, recording: {} },
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

describe("a kubelet behind another proxy is nodes/proxy", () => {
  const MEMBER = "/apis/cluster.karmada.io/v1alpha1/clusters/m1/proxy";
  const POD = "/api/v1/namespaces/demo/pods/shell:8001/proxy";
  const paths = [
    `${MEMBER}/api/v1/nodes/n1/proxy/run/demo/shell/shell`,
    `${MEMBER}/api/v1/nodes/n1/proxy`,
    `${MEMBER}/api/v1/nodes/https:n1:10250/proxy/pods`,
    `${MEMBER}/api/v1/watch/nodes/n1/proxy/pods`,
    `${MEMBER}/api/v1/namespaces/demo/nodes/n1/proxy/pods`,
    `${MEMBER}/api/v1/proxy/nodes/n1/run/demo/shell/shell`,
    `${MEMBER}${MEMBER}/api/v1/nodes/n1/proxy/run/demo/shell/shell`,
    `${MEMBER}/api/v1/%6eodes/n1/%70roxy/run/demo/shell/shell`,
    "/apis/virtual.example.com/v1/namespaces/demo/vclusters/v/proxy/api/v1/nodes/n1/proxy/exec",
    `${POD}/api/v1/nodes/n1/proxy/run/demo/shell/shell`,
    `${POD}/api/v1//nodes//n1//proxy/run`,
    `${POD}/api%2Fv1%2Fnodes%2Fn1%2Fproxy/run`,
    // One segment, until it is decoded once more.
    `${POD}/api%252Fv1%252Fnodes%252Fn1%252Fproxy%252Frun`,
    `${POD}/nodes%25252Fn1%25252Fproxy`,
    `${POD}/api%255Cv1%255Cnodes%255Cn1%255Cproxy%255Crun`,
    `${POD}/x/proxy%252Fnodes%252Fn1%252Frun`,
    `${POD}/api/v1/%25256eodes/n1/proxy/run`,
    `${POD}/api/v1/%2525252525252525256eodes/n1/proxy/run`,
    "/api/v1/namespaces/demo/services/https:api:443/proxy/api/v1/nodes/n1/proxy/run",
  ];

  test.each(paths)("%s is refused", (path) => {
    for (const method of ["GET", "POST"]) {
      expect(evaluateRules(queryOf(path, { method }), [])).toMatchObject({ error: { rule: "nodes/proxy" } });
      const wide = rule("wide", { resources: ["*"] }, { action: "allow" });
      const outer = rule("outer", { resources: ["*/proxy"] }, { action: "allow" });
      for (const open of [wide, outer]) expect(evaluateRules(queryOf(path, { method }), [open])).toEqual(REFUSED);
    }
  });

  test("also in a WebSocket to a workload", () => {
    expect(evaluateRules(queryOf(`${POD}/api/v1/nodes/n1/proxy/exec`, { kind: "proxy" }), [])).toEqual(REFUSED);
  });

  test("a rule on one node's name holds for each spelling of the name, and for no other node", () => {
    const rules = [
      rule("not n1", { resources: ["nodes/proxy"], names: ["n1"] }),
      rule("kubelets", { resources: ["nodes/proxy"] }, { action: "allow" }),
    ];
    for (const name of ["n1", "n1:10250", "https:n1:10250", "http:n1:"]) {
      expect(evaluateRules(queryOf(`/api/v1/nodes/${name}/proxy/pods`), rules)).toEqual(REFUSED);
      expect(evaluateRules(queryOf(`${MEMBER}/api/v1/nodes/${name}/proxy/pods`), rules)).toEqual(REFUSED);
    }
    expect(evaluateRules(queryOf(`${MEMBER}/api/v1/nodes/n2:10250/proxy/pods`), rules)).toEqual(ALLOWED);
  });

  test("the rule that opens kubelets opens it too", () => {
    const open = rule("kubelet", { resources: ["nodes/proxy"], groups: ["oncall"] }, { action: "allow" });
    for (const path of paths) expect(evaluateRules(queryOf(path), [open])).toEqual(ALLOWED);
  });

  test("a rule that refuses kubelets gives its own message", () => {
    const own = rule("own", { resources: ["nodes/proxy"] }, { message: "no kubelets" });
    expect(evaluateRules(queryOf(paths[0] ?? ""), [own])).toMatchObject({ error: { rule: "own" } });
  });

  test.each([
    `${MEMBER}/api/v1/nodes`,
    `${MEMBER}/api/v1/nodes/n1`,
    `${MEMBER}/api/v1/nodes/n1/status`,
    `${MEMBER}/api/v1/namespaces/demo/pods/web/proxy/x`,
    `${MEMBER}/api/v1/proxies/nodes`,
    `${POD}/nodes/list`,
    `${POD}/dashboards/nodes`,
    `${POD}/nodes%252Fn1%252Fstatus`,
    `${POD}/nodes%252Fn1`,
    `${POD}`,
    `${POD}/`,
    `${POD}/100%25/nodes`,
    "/api/v1/namespaces/demo/configmaps/nodes/x/proxy",
    "/healthz/nodes/n1/proxy",
  ])("%s is another request", (path) => {
    expect(evaluateRules(queryOf(path), [])).toEqual(ALLOWED);
  });
});

describe("the connector's namespace is closed unless a rule names it", () => {
  const ask = (request: string, rules: Rule[] = [], kind?: SessionKind) => {
    const [method = "", path = ""] = request.split(" ");
    return evaluateRules({ ...queryOf(path, { method, ...(kind && { kind }) }), connectorNamespace: "gate" }, rules);
  };
  const GATE = "/api/v1/namespaces/gate";
  const INSIDE = [
    `GET ${GATE}/pods`,
    `GET ${GATE}/pods/connector-1/log`,
    `GET ${GATE}/secrets/tunnel-token`,
    `PATCH ${GATE}/secrets/tunnel-token`,
    `GET ${GATE}/configmaps`,
    `POST ${GATE}/configmaps`,
    `POST ${GATE}/pods`,
    `PATCH ${GATE}/pods/connector-1/ephemeralcontainers`,
    `POST ${GATE}/serviceaccounts/connector/token`,
    `GET ${GATE}/services/connector/proxy/`,
    `GET ${GATE}/pods/connector-1:8001/proxy/`,
    "PATCH /apis/apps/v1/namespaces/gate/deployments/connector",
    "DELETE /apis/apps/v1/namespaces/gate/deployments",
    `DELETE ${GATE}`,
    `PATCH ${GATE}`,
    `PUT ${GATE}/finalize`,
    "GET /api/v1/watch/namespaces/gate/secrets",
    "GET /api/v1/namespaces/%67ate/secrets",
    "GET /api/v1/pods?fieldSelector=metadata.namespace%3Dgate",
    "GET /api/v1/configmaps?fieldSelector=metadata.namespace%3Dgate,metadata.name%3Dx",
  ];

  test.each(INSIDE)("%s", (request) => {
    expect(ask(request)).toMatchObject({
      error: { code: "rule", rule: "connector", message: expect.stringContaining("gate") },
    });
    for (const wide of [{}, { groups: ["oncall"] }, { namespaces: ["*"] }, { namespaces: ["g*"] }]) {
      expect(ask(request, [rule("wide", wide, { action: "allow" })])).toEqual(REFUSED);
    }
  });

  test.each(["exec", "attach", "port-forward"] as const)("%s into its pods", (kind) => {
    const path = `GET ${GATE}/pods/connector-1/${kind.replace("-", "")}`;
    expect(ask(path, [], kind)).toMatchObject({ error: { rule: "connector" } });
  });

  test.each([
    "GET /api/v1/secrets",
    "GET /api/v1/secrets?watch=1",
    "GET /api/v1/watch/secrets",
    "GET /api/v1/secrets?fieldSelector=metadata.namespace%3Dgate",
    "GET /api/v1/secrets?fieldSelector=metadata.namespace!%3Dother",
    "GET /api/v1/secrets?fieldSelector=metadata.namespace!%3Dgate,x",
    "GET /api/v1/watch/secrets?fieldSelector=metadata.namespace!%3Dgate",
  ])("%s has the tunnel's token", (request) => {
    expect(ask(request)).toMatchObject({ error: { rule: "connector" } });
    expect(ask(request, [rule("wide", {}, { action: "allow" })])).toEqual(REFUSED);
  });

  test.each([
    "GET /api/v1/secrets?fieldSelector=metadata.namespace!%3Dgate",
    "GET /api/v1/secrets?fieldSelector=metadata.namespace%3Ddemo",
    "GET /api/v1/namespaces/demo/secrets",
    "GET /api/v1/namespaces/gate-2/secrets",
    "GET /api/v1/pods",
    "GET /api/v1/configmaps?watch=1",
    "GET /api/v1/namespaces",
    "GET /api/v1/nodes",
    "DELETE /api/v1/namespaces/demo/configmaps/gate",
    "GET /version",
  ])("but not %s", (request) => {
    expect(ask(request)).toEqual(ALLOWED);
  });

  test("a rule that names it opens it for those whom the rule is for", () => {
    const open = rule("operators", { namespaces: ["gate"], groups: ["oncall"] }, { action: "allow" });
    for (const request of INSIDE.filter((each) => each.includes("namespaces/gate"))) {
      expect(ask(request, [open])).toEqual(ALLOWED);
    }
    const others = rule("operators", { namespaces: ["gate"], groups: ["others"] }, { action: "allow" });
    expect(ask(INSIDE[0] ?? "", [others])).toEqual(REFUSED);
    expect(ask("GET /api/v1/secrets", [open])).toEqual(REFUSED);
    const helm = rule("helm", { resources: ["secrets"], groups: ["oncall"] }, { action: "allow" });
    expect(ask("GET /api/v1/secrets", [helm])).toEqual(ALLOWED);
    expect(ask(`GET ${GATE}/secrets`, [helm])).toEqual(REFUSED);
  });

  test("nothing is closed where it is not known", () => {
    expect(evaluateRules(queryOf(`${GATE}/secrets`), [])).toEqual(ALLOWED);
  });
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

describe("a rule that refuses a name", () => {
  const CONFIGMAPS = "/api/v1/namespaces/demo/configmaps";
  const rules = [rule("hc-db", { resources: ["configmaps"], names: ["hc-db"] })];
  const ask = (request: string, others: readonly Rule[] = rules) => {
    const [method = "", path = ""] = request.split(" ");
    return evaluateRules(queryOf(path, { method }), others);
  };

  test.each([
    `GET ${CONFIGMAPS}/hc-db`,
    `DELETE ${CONFIGMAPS}/hc-db`,
    `DELETE ${CONFIGMAPS}?fieldSelector=metadata.name=hc-db`,
    `DELETE ${CONFIGMAPS}?fieldSelector=metadata.name%3D%3Dhc-db`,
    `GET ${CONFIGMAPS}?fieldSelector=metadata.name=hc-db`,
    `GET ${CONFIGMAPS}?fieldSelector=metadata.name=hc-db&labelSelector=app`,
    `GET ${CONFIGMAPS}?fieldSelector=metadata.name=hc-db&labelSelector=app&watch=1`,
    `GET ${CONFIGMAPS}?fieldSelector=metadata.name=hc-db&limit=x`,
  ])("also refuses it by a selector: %s", (request) => {
    expect(ask(request)).toEqual(REFUSED);
    const anyResource = [rule("hc-db", { names: ["hc-db"] })];
    expect(ask(request, anyResource)).toEqual(REFUSED);
    const byVerb = [rule("hc-db", { names: ["hc-db"], verbs: ["get", "delete"] })];
    expect(ask(request, byVerb)).toEqual(REFUSED);
  });

  test.each([
    `DELETE ${CONFIGMAPS}`,
    `DELETE ${CONFIGMAPS}?labelSelector=app=db`,
    `DELETE ${CONFIGMAPS}?fieldSelector=metadata.name!=x`,
    `GET ${CONFIGMAPS}`,
    `GET ${CONFIGMAPS}?labelSelector=app=db`,
    `GET ${CONFIGMAPS}?watch=1`,
    `GET ${CONFIGMAPS}?fieldSelector=metadata.name!=x`,
    `GET ${CONFIGMAPS}?fieldSelector=metadata.name=a,metadata.name`,
    "GET /api/v1/configmaps",
    "GET /api/v1/watch/namespaces/demo/configmaps",
    "GET /api/v1/watch/namespaces/demo/configmaps?fieldSelector=metadata.name=other",
    `POST ${CONFIGMAPS}`,
  ])("also refuses what may be about it: %s", (request) => {
    expect(ask(request)).toMatchObject({
      error: { message: expect.stringContaining("this request's path names no object") },
    });
  });

  test.each([
    `GET ${CONFIGMAPS}/other`,
    `PUT ${CONFIGMAPS}/other`,
    `DELETE ${CONFIGMAPS}/other`,
    `DELETE ${CONFIGMAPS}?fieldSelector=metadata.name=other`,
    `GET ${CONFIGMAPS}?fieldSelector=metadata.name=other`,
    `GET ${CONFIGMAPS}?fieldSelector=metadata.name=other&labelSelector=app&watch=1`,
    "GET /api/v1/watch/namespaces/demo/configmaps/other",
    "GET /api/v1/namespaces/demo/secrets",
    "DELETE /api/v1/namespaces/demo/secrets",
    "GET /api/v1/namespaces/hc-db/pods",
    "GET /version",
  ])("does not refuse %s", (request) => {
    expect(ask(request)).toEqual(ALLOWED);
  });

  test("of no particular resource refuses the deletion of collections, but no lists", () => {
    const anyResource = [rule("hc-db", { names: ["hc-db"] })];
    expect(ask(`DELETE ${CONFIGMAPS}?labelSelector=app`, anyResource)).toEqual(REFUSED);
    expect(ask(`GET ${CONFIGMAPS}`, anyResource)).toEqual(ALLOWED);
    expect(ask(`POST ${CONFIGMAPS}`, anyResource)).toEqual(ALLOWED);
  });

  test("for some verbs leaves the others alone", () => {
    const changes = [rule("hc-db", { ...rules[0]?.match, verbs: ["update", "patch", "delete"] })];
    expect(ask(`DELETE ${CONFIGMAPS}?labelSelector=app`, changes)).toEqual(REFUSED);
    for (const request of [`GET ${CONFIGMAPS}`, `POST ${CONFIGMAPS}`]) expect(ask(request, changes)).toEqual(ALLOWED);
  });

  test("a rule that allows a name does not allow what may be about it", () => {
    const open = [rule("open", { names: ["hc-db"] }, { action: "allow" }), rule("shut", {})];
    expect(ask(`GET ${CONFIGMAPS}/hc-db`, open)).toEqual(ALLOWED);
    expect(ask(`GET ${CONFIGMAPS}?fieldSelector=metadata.name=hc-db`, open)).toEqual(ALLOWED);
    for (const request of [`GET ${CONFIGMAPS}`, `DELETE ${CONFIGMAPS}?fieldSelector=metadata.name=hc-db`]) {
      expect(ask(request, open)).toEqual(REFUSED);
    }
  });
});

describe("a rule that refuses create", () => {
  const ROLE = "/apis/rbac.authorization.k8s.io/v1/namespaces/demo/roles/mine";
  const rules = [rule("no roles", { resources: ["roles.rbac.authorization.k8s.io"], verbs: ["create"] })];
  const ask = (method: string, contentType: string | null, path = ROLE) =>
    evaluateRules({ ...queryOf(path, { method }), creates: mayCreate(method, contentType) }, rules);

  test.each<[string, string | null]>([
    ["PUT", "application/json"],
    ["PUT", null],
    ["PATCH", "application/apply-patch+yaml"],
    ["PATCH", "application/apply-patch+cbor"],
    ["PATCH", "application/apply-patch+yaml; charset=utf-8"],
    ["PATCH", "Application/Apply-Patch+YAML"],
    ["PATCH", "application/merge-patch+json, application/apply-patch+yaml"],
  ])("also refuses %s with %s, and says what passes", (method, contentType) => {
    expect(ask(method, contentType)).toMatchObject({
      error: { rule: "no roles", message: expect.stringContaining("other kinds of PATCH pass") },
    });
  });

  test("refuses a POST as ever", () => {
    const posted = ask("POST", "application/json", ROLE.replace("/mine", ""));
    expect(posted).toMatchObject({ error: { message: expect.not.stringContaining("PATCH") } });
    expect(ask("POST", null, ROLE.replace("/v1/", "/v1/watch/"))).toEqual(REFUSED);
  });

  test.each<[string, string | null]>([
    ["PATCH", "application/strategic-merge-patch+json"],
    ["PATCH", "application/merge-patch+json"],
    ["PATCH", "application/json-patch+json"],
    ["PATCH", null],
    ["GET", "application/apply-patch+yaml"],
    ["DELETE", null],
  ])("lets %s with %s pass", (method, contentType) => {
    expect(ask(method, contentType)).toEqual(ALLOWED);
  });

  test("does not concern other resources, and a rule on update does not concern creation", () => {
    expect(ask("PUT", null, "/api/v1/namespaces/demo/configmaps/x")).toEqual(ALLOWED);
    const updates = [rule("no updates", { verbs: ["update"] })];
    expect(evaluateRules({ ...queryOf(ROLE, { method: "POST" }), creates: true }, updates)).toEqual(ALLOWED);
  });

  test("of a session refuses it also where its method is GET", () => {
    const noExec = [rule("no exec", { resources: ["pods/exec"], verbs: ["create"] })];
    expect(evaluateRules({ ...EXEC, creates: true }, noExec)).toMatchObject({
      error: { message: expect.stringContaining("a session counts as create") },
    });
  });
});

describe("a request of a virtual machine that is no session", () => {
  const VMI = "/apis/subresources.kubevirt.io/v1/namespaces/demo/virtualmachineinstances/vm";
  const noScreens = [rule("no screens", { kinds: ["vnc"] })];

  test.each([`${VMI}/vnc/screenshot`, `${VMI}/vnc/screenshot?moveCursor=true`, `${VMI}/vnc/later`])(
    "falls under the rules of its kind of session: %s",
    (path) => {
      expect(evaluateRules(queryOf(path), noScreens)).toEqual(REFUSED);
    },
  );

  test.each([`${VMI}/guestosinfo`, `${VMI}/sev/fetchcertchain`, "/api/v1/namespaces/demo/pods/vnc/log"])(
    "but %s has none",
    (path) => {
      expect(evaluateRules(queryOf(path), noScreens)).toEqual(ALLOWED);
    },
  );

  test("and other kinds do not concern it", () => {
    expect(evaluateRules(queryOf(`${VMI}/vnc/screenshot`), [rule("no consoles", { kinds: ["console"] })])).toEqual(
      ALLOWED,
    );
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
    ["tell in a refusing rule", [{ ...refuse("a", { kinds: ["exec"] }), tell: true }], /rules\[0\]/],
    ["tell for API requests", [{ name: "a", match: {}, action: "allow", tell: true }], /rules\[0\]/],
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

describe("somebody who acts with fewer groups or as another user", () => {
  const PRODUCTION: Match = { namespaces: ["demo"] };
  const acting = (user: string, groups: string[], isOwnUser = false) => ({
    ...EXEC,
    acting: { user, groups, isOwnUser },
  });
  const asOneself = (...groups: string[]) => acting("alice", groups, true);
  const asTrainee = acting("Trainee", ["trainees"]);

  test("does not leave the refusing rule of a group by leaving the group", () => {
    const rules = [rule("no developers", { groups: ["developers"] })];
    expect(evaluateRules(EXEC, rules)).toEqual(REFUSED);
    expect(evaluateRules(asOneself("oncall"), rules)).toEqual(REFUSED);
    expect(evaluateRules(asOneself(), rules)).toEqual(REFUSED);
    expect(evaluateRules(asTrainee, rules)).toEqual(REFUSED);
  });

  test("is allowed with fewer groups by a rule for one that is left out", () => {
    const rules = [
      rule("oncall", { ...PRODUCTION, groups: ["oncall"] }, { action: "allow" }),
      rule("others", PRODUCTION),
    ];
    expect(evaluateRules(asOneself("developers"), rules)).toMatchObject({ ok: true, value: { name: "oncall" } });
    expect(evaluateRules(asTrainee, rules)).toMatchObject({ ok: true, value: { name: "oncall" } });
  });

  test.each<[string, Match]>([
    ["the user acted as, in any case", { users: ["trainee"] }],
    ["a group acted as", { groups: ["trainees"] }],
    ["both", { users: ["trainee"], groups: ["trainees"] }],
    ["the person and a group acted as", { users: ["alice@example.com"], groups: ["trainees"] }],
    ["the user acted as and a group of the person", { users: ["trainee"], groups: ["oncall"] }],
  ])("is also refused by a rule that names %s", (_, match) => {
    const refusing = rule("not here", match);
    expect(evaluateRules(asTrainee, [refusing])).toMatchObject({ error: { code: "rule", rule: "not here" } });
    expect(evaluateRules(EXEC, [refusing])).toEqual(ALLOWED);
    const mine = rule("mine", { users: ["alice@example.com"] }, { action: "allow" });
    expect(evaluateRules(asTrainee, [mine, refusing])).toEqual(REFUSED);
  });

  test("is refused by a rule that names one's own user in the cluster", () => {
    const refusing = rule("that user", { users: ["alice"] });
    expect(evaluateRules(asOneself("oncall"), [refusing])).toEqual(REFUSED);
  });

  test("is not refused where the rules allow it to the user and groups acted as", () => {
    const allowed = rule("demo", { ...PRODUCTION, groups: ["trainees"] }, { action: "allow" });
    const rules = [allowed, rule("elsewhere", { groups: ["trainees"] })];
    expect(evaluateRules(asTrainee, rules)).toEqual(ALLOWED);
    expect(evaluateRules({ ...asTrainee, info: info("GET", "/api/v1/namespaces/prod/pods") }, rules)).toEqual(REFUSED);
  });

  test("gets nothing by an allowing rule for the user or groups acted as", () => {
    const rules = [rule("trainees", { groups: ["trainees"] }, { action: "allow" }), rule("others", {})];
    expect(evaluateRules(asTrainee, rules)).toMatchObject({ error: { rule: "others" } });
    const reason = rule("why", { groups: ["trainees"], kinds: ["exec"] }, { action: "allow", requireReason: true });
    expect(evaluateRules(asTrainee, [reason])).toEqual({ ok: true, value: null });
  });

  test("meets names, namespaces and what is shut as everybody does", () => {
    const all = { ...asTrainee, info: info("GET", "/api/v1/secrets"), session: undefined };
    const refusing = rule("secrets", { resources: ["secrets"], namespaces: ["prod"], groups: ["trainees"] });
    expect(evaluateRules(all, [refusing])).toEqual(REFUSED);
    const kubelet = { ...asTrainee, info: info("GET", "/api/v1/nodes/n1/proxy/pods"), session: undefined };
    expect(evaluateRules(kubelet, [])).toMatchObject({ error: { rule: "nodes/proxy" } });
  });
});
