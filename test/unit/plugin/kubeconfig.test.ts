/** Kubeconfigs: read as kubectl reads them, and changed in nothing but the contexts that are ours. */
import { describe, expect, it } from "vitest";
import { parse } from "yaml";
import { type MergeOptions, mergeContexts } from "../../../cli/kubeconfig/merge.ts";
import { contextNames, resolveContext } from "../../../cli/kubeconfig/read.ts";
import type { WrittenContext } from "../../../cli/kubeconfig/written-context.ts";

const file = (path: string, text: string) => ({ path, content: parse(text) as unknown });

const HOME = file(
  "/home/alice/.kube/config",
  `
current-context: prod
contexts:
- {name: prod, context: {cluster: prod, user: alice}}
- {name: warp, context: {cluster: files, user: nobody}}
- {name: loose, context: {cluster: loose, user: other}}
- {name: broken, context: {cluster: gone}}
clusters:
- {name: prod, cluster: {server: "https://prod.example.com", certificate-authority-data: UEVN}}
- {name: files, cluster: {server: "https://files.example.com", certificate-authority: ca.pem}}
- {name: loose, cluster: {server: "https://loose.example.com", insecure-skip-tls-verify: true}}
users:
- name: alice
  user:
    exec:
      command: /opt/bin/kubectl-sallyport
      args: [credential, --application, https://one.example.com]
      env: [{name: SALLYPORT_HOME, value: /var/store}]
- name: other
  user: {exec: {command: aws, args: [eks, get-token]}}
`,
);

describe("a context", () => {
  it("is found with its cluster and this plugin's own section", () => {
    expect(resolveContext([HOME])).toEqual({
      ok: true,
      value: {
        context: "prod",
        server: "https://prod.example.com",
        isTlsVerificationOff: false,
        certificateAuthorityData: "UEVN",
        exec: {
          command: "/opt/bin/kubectl-sallyport",
          args: ["credential", "--application", "https://one.example.com"],
          env: { SALLYPORT_HOME: "/var/store" },
        },
      },
    });
  });

  it("keeps the file that its authority's path is relative to", () => {
    expect(resolveContext([HOME], "warp")).toMatchObject({
      value: { certificateAuthorityFile: { file: "ca.pem", kubeconfig: "/home/alice/.kube/config" } },
    });
  });

  it("says that certificates are not verified, and knows nothing of other plugins", () => {
    const found = resolveContext([HOME], "loose");
    expect(found).toMatchObject({ ok: true, value: { isTlsVerificationOff: true } });
    expect(found.ok && found.value.exec).toBeUndefined();
  });

  it("of several files comes from the first one that has it", () => {
    const first = file(
      "/first",
      "{contexts: [{name: prod, context: {cluster: prod}}], clusters: [{name: prod, cluster: {server: https://first}}]}",
    );
    expect(resolveContext([first, HOME])).toMatchObject({ value: { context: "prod", server: "https://first" } });
    expect(contextNames([first, HOME])).toEqual(["prod", "warp", "loose", "broken"]);
  });

  it.each([
    ["that is not there", "nope", 'there is no context "nope"'],
    ["without a cluster", "broken", "has no cluster"],
  ])("%s is refused", (_, name, message) => {
    expect(resolveContext([HOME], name)).toEqual({ ok: false, error: expect.stringContaining(message) });
  });

  it.each([[[]], [[file("/x", "")]], [[file("/x", "[1]")]], [[file("/x", "contexts: 7")]]])("is not in %j", (files) => {
    expect(resolveContext(files)).toMatchObject({ ok: false });
  });
});

const PROD: WrittenContext = {
  name: "sallyport-prod",
  server: "https://prod.example.com",
  exec: { command: "kubectl-sallyport", args: ["credential"] },
};
const options = { isReplacing: false };

function merged(text: string | undefined, contexts: readonly WrittenContext[], given: MergeOptions = options): string {
  const result = mergeContexts(text, contexts, given);
  if (!result.ok) throw new Error(result.error);
  return result.value;
}

describe("a merge", () => {
  it("into nothing makes a kubeconfig", () => {
    const written = { ...PROD, certificateAuthority: "PEM" };
    expect(parse(merged(undefined, [written], { ...options, current: PROD.name }))).toMatchObject({
      apiVersion: "v1",
      kind: "Config",
      "current-context": "sallyport-prod",
      clusters: [
        {
          name: "sallyport-prod",
          cluster: { server: "https://prod.example.com", "certificate-authority-data": "UEVN" },
        },
      ],
      contexts: [{ name: "sallyport-prod", context: { cluster: "sallyport-prod", user: "sallyport-prod" } }],
      users: [
        {
          name: "sallyport-prod",
          user: { exec: { command: "kubectl-sallyport", args: ["credential"], provideClusterInfo: true } },
        },
      ],
    });
  });

  const OTHERS = `# My clusters, do not touch!
apiVersion: v1
kind: Config
current-context: work # the default
preferences: {}
clusters:
  - name: work
    cluster: { server: "https://work.example.com", tls-server-name: x } # by hand
contexts:
  - name: work
    context: { cluster: work, user: me, namespace: team }
users:
  - name: me
    user:
      token: "0123"
`;

  it("leaves everything else as it is: comments, order, style, the current context", () => {
    const text = merged(OTHERS, [PROD]);
    const added = text.split("\n").filter((line) => !OTHERS.split("\n").includes(line));
    const kept = OTHERS.split("\n").filter((line) => !text.split("\n").includes(line));
    expect(kept).toEqual([]);
    expect(added.join("\n")).toContain("sallyport-prod");
    expect(parse(text)["current-context"]).toBe("work");
  });

  it("a second time changes nothing", () => {
    const once = merged(OTHERS, [PROD]);
    expect(merged(once, [PROD])).toBe(once);
  });

  it("renews what is ours, and keeps the namespace that somebody has chosen", () => {
    const once = merged(undefined, [PROD]).replace(
      "user: sallyport-prod\n",
      "user: sallyport-prod\n      namespace: team\n",
    );
    const text = merged(once, [{ ...PROD, exec: { command: "/new/place", args: ["credential"] } }]);
    expect(parse(text)).toMatchObject({
      contexts: [{ context: { namespace: "team" } }],
      users: [{ user: { exec: { command: "/new/place" } } }],
    });
  });

  it("keeps the variables of the plugin, unless the name was another server's", () => {
    const env = "env:\n          # on call\n          - name: SALLYPORT_PROFILE\n            value: on-call\n";
    const once = merged(undefined, [PROD]).replace("env: null\n", env);
    expect(once).toContain("on-call");
    expect(merged(once, [PROD])).toBe(once);
    const moved = merged(once, [{ ...PROD, server: "https://new.example.com" }], { isReplacing: true });
    expect(moved).not.toContain("on-call");
  });

  it("for WARP has no exec section, also where there was one", () => {
    const text = merged(merged(undefined, [PROD]), [{ ...PROD, exec: undefined }]);
    expect(parse(text).users).toEqual([{ name: "sallyport-prod", user: { username: "signed-in-by-warp" } }]);
  });

  it("does not take a name over from another server, unless it is asked to", () => {
    const other = merged(undefined, [{ ...PROD, server: "https://other.example.com" }]);
    expect(mergeContexts(other, [PROD], options)).toEqual({
      ok: false,
      error: expect.stringContaining("https://other.example.com"),
    });
    expect(parse(merged(other, [PROD], { isReplacing: true })).clusters).toHaveLength(1);
  });

  it("does not take over a context that somebody has given the name, with another cluster", () => {
    const own = JSON.stringify({
      contexts: [{ name: "sallyport-prod", context: { cluster: "mine", user: "me" } }],
      clusters: [{ name: "mine", cluster: { server: "https://other.example.com" } }],
    });
    const refused = mergeContexts(own, [PROD], options);
    expect(refused).toEqual({ ok: false, error: expect.stringContaining("https://other.example.com") });
    const same = own.replace("https://other.example.com", PROD.server);
    expect(parse(merged(same, [PROD])).contexts).toHaveLength(1);
  });

  it("does not take over a user that somebody has given the name, with a credential", () => {
    const own = (user: unknown) => JSON.stringify({ users: [{ name: "sallyport-prod", user }] });
    const gke = { exec: { command: "gke-gcloud-auth-plugin", apiVersion: "client.authentication.k8s.io/v1" } };
    for (const user of [
      { token: "0123" },
      { "client-certificate": "me.crt" },
      { username: "me", password: "x" },
      gke,
    ]) {
      const refused = mergeContexts(own(user), [PROD], options);
      expect(refused).toEqual({ ok: false, error: expect.stringContaining("a user there with a credential") });
      expect(JSON.stringify(refused)).not.toContain("0123");
      expect(parse(merged(own(user), [PROD], { isReplacing: true })).users).toMatchObject([{ user: { exec: {} } }]);
    }
    const ours = { exec: { command: "/old/place/kubectl-sallyport", args: ["credential"] } };
    for (const user of [{}, null, { username: "signed-in-by-warp" }, ours]) {
      expect(parse(merged(own(user), [PROD])).users).toMatchObject([
        { user: { exec: { command: PROD.exec?.command } } },
      ]);
    }
  });

  it("makes a context the current one only where it is asked to", () => {
    expect(parse(merged(undefined, [PROD]))["current-context"]).toBeUndefined();
    const result = mergeContexts(OTHERS, [PROD], { ...options, current: "sallyport-prod" });
    expect(result.ok && parse(result.value)["current-context"]).toBe("sallyport-prod");
  });

  it("takes JSON, and lists that kubectl has left empty", () => {
    const json = JSON.stringify({ apiVersion: "v1", kind: "Config", clusters: [], users: null, contexts: [] });
    expect(parse(merged(json, [PROD])).users).toHaveLength(1);
  });

  it.each(["[1, 2]", "just text", "a: [", "a: 1\n---\nb: 2\n", "clusters: 7\n"])(
    "refuses what is no kubeconfig: %j",
    (text) => {
      expect(mergeContexts(text, [PROD], options)).toMatchObject({ ok: false });
    },
  );
});
