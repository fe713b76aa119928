/**
 * `kubectl --as` and `--as-group` with real kubectl, on a cluster whose RBAC decides whom the connector may
 * be.
 */
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import * as z from "zod";
import { IMPERSONATOR_ROLE } from "../../dev/cluster/auth/rbac.ts";
import { type EmbeddedCluster, startEmbeddedCluster } from "../../dev/cluster/index.ts";
import type { Finished } from "../../dev/programs/kubectl.ts";
import { impersonated } from "../../terraform/config/identities.ts";
import { impersonationRules } from "../../terraform/manifests/impersonation.ts";
import { identityRuleSchema } from "../../worker/config/identities.ts";
import { query, sessionWhere } from "./support/audit-log.ts";
import { startTestStack, type TestStack } from "./support/people.ts";

const ALICE = "alice@example.com";
const IDENTITIES: z.input<typeof identityRuleSchema>[] = [
  {
    ...{ match: { email: ALICE }, groups: ["developers", "oncall"], extra: { team: ["core"] } },
    mayImpersonate: { users: ["trainee", "auditor"], groups: ["viewers"] },
  },
  { match: { email: "bob@example.com" }, groups: ["viewers"] },
];
const SECRETS_OF_DEVELOPERS = {
  name: "no secrets for developers",
  match: { resources: ["secrets"], groups: ["developers"] },
  action: "refuse" as const,
  message: "developers read no secrets here",
};
const NO_TRAINEES = {
  name: "no trainees",
  match: { users: ["trainee"], kinds: ["exec" as const] },
  action: "refuse" as const,
  message: "trainees open no shells",
};

const home = mkdtempSync(join(tmpdir(), "sallyport-acting-"));
let cluster: EmbeddedCluster;
let people: TestStack;

beforeAll(async () => {
  cluster = await startEmbeddedCluster({ stateDir: join(home, "cluster") });
  await writeRole(IDENTITIES);
  people = await startTestStack(
    { identities: IDENTITIES, rules: [SECRETS_OF_DEVELOPERS, NO_TRAINEES] },
    { upstream: cluster.url },
  );
});
afterAll(async () => {
  await people?.stop();
  await cluster?.close();
  rmSync(home, { recursive: true, force: true });
});

/** The account that the test itself uses at the cluster, beside what the connector's manifests give. */
const TEST_ADMIN = { "Impersonate-User": "admin-of-the-test", "Impersonate-Group": "system:masters" };
const named = (resource: string, name: string) => ({
  ...{ apiGroups: [""], resources: [resource], verbs: ["impersonate"], resourceNames: [name] },
});

/** Applies the role that the manifests have for these identities. */
async function writeRole(identities: typeof IDENTITIES): Promise<void> {
  const parsed = z.array(identityRuleSchema).parse(identities);
  const rules = [
    ...impersonationRules(impersonated(parsed)),
    named("users", TEST_ADMIN["Impersonate-User"]),
    named("groups", TEST_ADMIN["Impersonate-Group"]),
  ];
  const url = `${cluster.url}/apis/rbac.authorization.k8s.io/v1/clusterroles/${IMPERSONATOR_ROLE}`;
  const headers = { ...TEST_ADMIN, "Content-Type": "application/merge-patch+json" };
  const answer = await fetch(url, { method: "PATCH", headers, body: JSON.stringify({ rules }) });
  expect(answer.status, await answer.text()).toBe(200);
}

const as = (user: string, ...groups: string[]) => [`--as=${user}`, ...groups.map((group) => `--as-group=${group}`)];
const run = (...args: string[]): Promise<Finished> => people.alice.run(...args);

/** What the cluster's audit log says of the request that has this text in its URL. */
function seenByCluster(text: string): Record<string, unknown> | undefined {
  const lines = readFileSync(cluster.auditLog, "utf8").trim().split("\n");
  const events = lines.map((line) => JSON.parse(line) as { requestURI: string; impersonatedUser?: object });
  return events.find(({ requestURI }) => requestURI.includes(text))?.impersonatedUser as Record<string, unknown>;
}

describe("kubectl --as one's own user", () => {
  it("has only the groups that are named", async () => {
    expect((await run("get", "pods", "-o", "name", ...as(ALICE, "developers"))).stdout).toContain("pod/shell");
    const fewer = await run("get", "pods", ...as(ALICE, "oncall"));
    expect(fewer.stderr).toContain(`User "${ALICE}" cannot list resource "pods"`);
    expect((await run("get", "pods", ...as(ALICE))).stderr).toContain(`User "${ALICE}" cannot list resource "pods"`);
    expect((await run("get", "pods", "-o", "name")).stdout).toContain("pod/shell");
  });

  it("is told by the cluster what is left", async () => {
    const all = await run("auth", "whoami", "-o", "json", ...as(ALICE, "oncall"));
    expect(JSON.parse(all.stdout)).toMatchObject({
      status: { userInfo: { username: ALICE, groups: ["oncall", "system:authenticated"], extra: { team: ["core"] } } },
    });
    const none = await run("auth", "can-i", "--list", ...as(ALICE));
    expect(none.stdout).toContain("selfsubjectaccessreviews.authorization.k8s.io");
    expect(none.stdout).not.toContain("pods/exec");
    expect((await run("auth", "can-i", "--list", ...as(ALICE, "developers"))).stdout).toContain("pods/exec");
  });

  it("opens sessions with these groups, and they are logged under the person's name", async () => {
    const exec = (groups: readonly string[], word: string) =>
      run("exec", "shell", ...as(ALICE, ...groups), "--", "echo", word);
    expect((await exec(["developers"], "fewer-groups")).stdout).toBe("fewer-groups\n");
    const row = await sessionWhere(people.stack.d1Path, "command ->> '$[1]' = 'fewer-groups'");
    expect(row).toMatchObject({ user: ALICE, kubernetes_user: ALICE, kubernetes_groups: '["developers"]' });
    const [start] = query(
      people.stack.d1Path,
      "SELECT data FROM events WHERE session_id = ? AND seq = 0",
      String(row["id"]),
    );
    expect(JSON.parse(String(start?.["data"]))).toMatchObject({
      ...{ own_kubernetes_user: ALICE, own_kubernetes_groups: ["developers", "oncall"] },
    });
    const refused = await exec(["oncall"], "too-few-groups");
    expect(refused.code).toBe(1);
    expect(refused.stderr).toContain(`User "${ALICE}" cannot get resource "pods"`);
  });

  it("does not leave the rule that refuses something to a group", async () => {
    for (const flags of [[], as(ALICE), as(ALICE, "oncall")]) {
      expect((await run("get", "secrets", ...flags)).stderr).toContain("developers read no secrets here");
    }
    expect((await people.bob.run("get", "secrets")).stderr).toContain('cannot list resource "secrets"');
  });

  it.each([
    ["a group of somebody else", as(ALICE, "admins"), "--as-group takes developers, oncall or viewers"],
    ["system:masters", as(ALICE, "developers", "system:masters"), "--as-group takes developers, oncall or viewers"],
    ["a uid", [...as(ALICE), "--as-uid=0"], "only --as and --as-group are available here"],
    ["another's name", as("bob@example.com"), `--as takes ${ALICE}, trainee or auditor`],
  ])("is refused with %s, for reading and for a shell", async (_, flags, message) => {
    expect((await run("get", "pods", ...flags)).stderr).toContain(message);
    expect((await run("exec", "shell", ...flags, "--", "true")).stderr).toContain(message);
  });
});

describe("kubectl --as another user whom the identity rule names", () => {
  it("has that user's rights and not the person's, and the cluster's audit log names the person", async () => {
    expect((await run("get", "pods", ...as("auditor"))).stderr).toContain('User "auditor" cannot list resource "pods"');
    expect((await run("get", "pods", "-o", "name", ...as("auditor", "viewers"))).stdout).toContain("pod/shell");
    const refused = await run("delete", "configmap", "acted-as-auditor", ...as("auditor", "viewers"));
    expect(refused.stderr).toContain('User "auditor" cannot delete resource "configmaps"');
    expect(seenByCluster("acted-as-auditor")).toEqual({
      ...{ username: "auditor", groups: ["viewers", "system:authenticated"], extra: { "sallyport-user": [ALICE] } },
    });
    const requests = () =>
      query(people.stack.d1Path, "SELECT * FROM requests WHERE name = ? AND verb = 'delete'", "acted-as-auditor");
    await expect.poll(() => requests().length).toBe(1);
    expect(requests()[0]).toMatchObject({ user: ALICE, kubernetes_user: "auditor", status: 403 });
  });

  it("meets the rules that refuse something to that user", async () => {
    const flags = as("trainee", "viewers");
    expect((await run("exec", "shell", ...flags, "--", "true")).stderr).toContain("trainees open no shells");
    expect((await run("get", "pods", "-o", "name", ...flags)).stdout).toContain("pod/shell");
  });

  it("is nobody's whom no rule lets", async () => {
    const { stderr } = await people.bob.run("get", "pods", ...as("trainee"));
    expect(stderr).toContain("this user is not available to you: --as takes bob@example.com");
  });
});

describe("a name that the edge knows and the connector's role does not", () => {
  afterAll(() => writeRole(IDENTITIES));

  it("is refused by the cluster until the manifests are applied", async () => {
    await writeRole(IDENTITIES.map(({ mayImpersonate: _, ...before }) => before));
    const list = () => run("get", "--raw", "/api/v1/namespaces/demo/pods?limit=1", ...as("trainee", "viewers"));
    expect((await list()).stderr).toContain('cannot impersonate resource "users"');
    expect((await run("get", "pods", "-o", "name", ...as(ALICE, "developers"))).stdout).toContain("pod/shell");
    await writeRole(IDENTITIES);
    expect((await list()).code).toBe(0);
  });
});
