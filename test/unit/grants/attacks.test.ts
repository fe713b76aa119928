/**
 * Ways around rules that were closed before there were grants, tried by somebody who has one, who may ask for
 * one, or who acts as somebody else meanwhile.
 */
import { describe, expect, test } from "vitest";
import type { ConfigInput } from "../../../worker/config/schema.ts";
import { ALICE, active, decideFor, type Request } from "./decide-for.ts";

const DOCUMENT: ConfigInput = {
  access: { teamDomain: "https://team.cloudflareaccess.com", audiences: ["aud"] },
  cluster: "prod",
  connectorNamespace: "sallyport",
  identities: [{ match: { emailDomain: "example.com" }, user: "{email.local}", groups: ["developers"] }],
  rules: [
    {
      name: "no db",
      match: { groups: ["oncall"], resources: ["configmaps"], verbs: ["get", "delete"], names: ["hc-db"] },
      action: "refuse",
    },
    {
      name: "no create",
      match: { groups: ["oncall"], verbs: ["create"], namespaces: ["frozen"] },
      action: "refuse",
    },
    {
      name: "kubelets",
      match: { resources: ["nodes/proxy"] },
      action: "allow",
      approval: { grant: "kubelets" },
    },
    { name: "screens", match: { kinds: ["vnc"] }, action: "allow", approval: { grant: "oncall" } },
    {
      name: "tunnel",
      match: { kinds: ["exec"], namespaces: ["sallyport"] },
      action: "allow",
      approval: { grant: "oncall" },
    },
    { name: "shells", match: { kinds: ["exec"] }, action: "allow", approval: { grant: "oncall" } },
  ],
  grants: [
    {
      name: "oncall",
      for: [{ group: "g-1" }],
      gives: { groups: ["oncall"], rules: ["screens", "shells", "tunnel"] },
      approvers: { groups: ["g-9"] },
    },
    {
      name: "kubelets",
      for: [{ emailDomain: "example.com" }],
      gives: { rules: ["kubelets"] },
      approvers: { groups: ["g-9"] },
    },
  ],
};
const HOLDING = [active("oncall")];
const AS_ALICE_ALONE = { "Impersonate-User": "alice" };

const ask = (path: string, holding = HOLDING, request: Request = {}) => decideFor(DOCUMENT, path, holding, request);
const shell = (namespace: string, holding: typeof HOLDING = [], headers = {}) =>
  ask(`/api/v1/namespaces/${namespace}/pods/web/exec?command=sh`, holding, { upgrade: true, headers });

describe("a rule that refuses something to a granted group", () => {
  test.each([
    ["by a name in a field selector", "DELETE", "/api/v1/namespaces/demo/configmaps?fieldSelector=metadata.name=hc-db"],
    [
      "by a name in a field selector, with a label selector beside it",
      "GET",
      "/api/v1/namespaces/demo/configmaps?fieldSelector=metadata.name=hc-db&labelSelector=a",
    ],
    ["by no name", "DELETE", "/api/v1/namespaces/demo/configmaps"],
    ["by its name", "GET", "/api/v1/namespaces/demo/configmaps/hc-db"],
    ["by a PUT that creates", "PUT", "/api/v1/namespaces/frozen/configmaps/x"],
  ])("is not passed %s, also where that group is left out with --as", (_, method, path) => {
    for (const headers of [{}, AS_ALICE_ALONE]) {
      expect(ask(path, HOLDING, { method, headers })).toMatchObject({ error: { code: "rule" } });
    }
    expect(ask(path, [], { method })).toMatchObject({ ok: true });
  });

  test("lets its holder do the rest", () => {
    expect(ask("/api/v1/namespaces/demo/configmaps/other")).toMatchObject({ ok: true });
    expect(ask("/api/v1/namespaces/demo/configmaps/x", HOLDING, { method: "PUT" })).toMatchObject({ ok: true });
  });

  test("is not met by a shell only after somebody has approved it: nobody is asked", () => {
    const decided = shell("frozen");
    expect(decided).toMatchObject({ error: { code: "rule", rule: "no create" } });
    expect(decided).not.toHaveProperty("error.needed");
    expect(shell("demo")).toMatchObject({
      error: { code: "approval_required", needed: { grant: { name: "oncall" } } },
    });
  });
});

describe("a shell that would wait", () => {
  test("asks for nothing under a group that only the grant would give", () => {
    const headers = { "Impersonate-User": "alice", "Impersonate-Group": "oncall" };
    expect(shell("demo", [], headers)).toMatchObject({ error: { code: "impersonation" } });
    expect(shell("demo", HOLDING, headers)).toMatchObject({ value: { as: { groups: ["oncall"] } } });
  });

  test("runs with no more groups than it asked for, once it is approved", () => {
    expect(shell("demo", [], AS_ALICE_ALONE)).toMatchObject({
      error: { needed: { granted: { action: "session", as: { user: "alice", groups: [] } } } },
    });
  });

  test("in the connector's namespace needs a rule that names it, and then its approval", () => {
    const rules = DOCUMENT.rules?.filter(({ name }) => name !== "tunnel") ?? [];
    const grants = DOCUMENT.grants?.map((grant) => ({ ...grant, gives: { ...grant.gives, rules: ["shells"] } })) ?? [];
    const [oncall] = grants;
    if (!oncall) throw new Error("no grant");
    const unnamed = { ...DOCUMENT, rules: rules.filter(({ name }) => name === "shells"), grants: [oncall] };
    const path = "/api/v1/namespaces/sallyport/pods/cloudflared/exec?command=sh";
    for (const holding of [[], HOLDING]) {
      const decided = decideFor(unnamed, path, holding, { upgrade: true });
      expect(decided).toMatchObject({ error: { code: "rule", rule: "connector" } });
      expect(decided).not.toHaveProperty("error.needed");
    }
    expect(shell("sallyport")).toMatchObject({ error: { code: "approval_required", rule: "tunnel" } });
    expect(shell("sallyport", HOLDING)).toMatchObject({ value: { rule: "tunnel" } });
  });
});

describe("an approval that opens kubelets", () => {
  const NESTED = "/apis/cluster.karmada.io/v1alpha1/clusters/m1/proxy/api/v1/nodes/n1/proxy/run/ns/pod/c";

  test.each(["/api/v1/nodes/n1/proxy/run/ns/pod/c", NESTED])("is needed for %s too", (path) => {
    expect(ask(path, [])).toMatchObject({ error: { code: "approval_required", rule: "kubelets" } });
    expect(ask(path, HOLDING)).toMatchObject({ error: { code: "approval_required", rule: "kubelets" } });
    expect(ask(path, [active("kubelets")])).toMatchObject({ value: { rule: "kubelets", proxied: true } });
  });
});

test("a screenshot of a virtual machine needs the approval of its screen", () => {
  const path = "/apis/subresources.kubevirt.io/v1/namespaces/demo/virtualmachineinstances/vm/vnc/screenshot";
  expect(ask(path, [])).toMatchObject({ error: { code: "approval_required", rule: "screens" } });
  expect(ask(path)).toMatchObject({ value: { rule: "screens" } });
  const other = "/apis/subresources.kubevirt.io/v1/namespaces/demo/virtualmachineinstances/vm/guestosinfo";
  expect(ask(other, [])).toMatchObject({ ok: true });
});

test("a group that is named like the id of another gives nobody its grant", () => {
  const named = { email: "mallory@example.com", groups: ["g-2"], groupNames: ["g-1"] };
  expect(ask("/api/v1/namespaces/demo/pods", HOLDING, { who: named })).toMatchObject({
    value: { as: { groups: ["developers"] }, grants: [] },
  });
  const request = { who: named, upgrade: true };
  expect(ask("/api/v1/namespaces/demo/pods/web/exec?command=sh", [], request)).not.toHaveProperty("error.needed");
  expect(ask("/api/v1/namespaces/demo/pods", HOLDING, { who: ALICE })).toMatchObject({
    value: { as: { groups: ["developers", "oncall"] } },
  });
});
