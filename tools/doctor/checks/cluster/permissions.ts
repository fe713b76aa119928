/**
 * What the connector's service account may do in the cluster: impersonate the planned people, and nothing
 * else.
 */
import * as z from "zod";
import { err, ok } from "../../../../common/result.ts";
import { GRANT_EXTRA, PERSON_EXTRA, SESSION_EXTRA } from "../../../../worker/config/reserved-extras.ts";
import { canonicalJson } from "../../../canonical-json.ts";
import type { PlannedCluster, PolicyRule } from "../../../deployment/plan.ts";
import { type Answer, type Check, type Dependencies, failure, passed } from "../../check.ts";
import type { ClusterView } from "./cluster-view.ts";

interface Permission {
  /** Completes "its account may …". */
  readonly description: string;
  /** Of an access review. */
  readonly attributes: Readonly<Record<string, string>>;
}

const impersonate = (resource: string, name: string, more: Readonly<Record<string, string>> = {}) => ({
  verb: "impersonate",
  resource,
  name,
  ...more,
});

/** What the account must not be allowed. */
function forbiddenPermissions({ users }: PlannedCluster, nonce: string): Permission[] {
  const unnamed = `sallyport-doctor-${nonce}`;
  const namespace = "kube-system";
  const anyUser = { description: "impersonate a user that no rule names", attributes: impersonate("users", unnamed) };
  return [
    { description: "impersonate the group system:masters", attributes: impersonate("groups", "system:masters") },
    { description: "impersonate a group that no rule names", attributes: impersonate("groups", unnamed) },
    ...(users === "any" ? [] : [anyUser]),
    {
      description: "impersonate service accounts",
      attributes: impersonate("serviceaccounts", "default", { namespace }),
    },
    { description: "read secrets itself", attributes: { verb: "get", resource: "secrets", namespace } },
    {
      description: "open sessions itself",
      attributes: { verb: "create", resource: "pods", subresource: "exec", namespace },
    },
    { description: "do everything", attributes: { verb: "*", group: "*", resource: "*" } },
  ];
}

/** What the account needs. */
function neededPermissions({ groups, users, role }: PlannedCluster): Permission[] {
  const extra = (key: string) =>
    impersonate("userextras", "anything", { group: "authentication.k8s.io", subresource: key });
  const hasExtra = (key: string) => role.rules.some(({ resources }) => resources.includes(`userextras/${key}`));
  return [
    ...groups.map((group) => ({
      description: `impersonate the group ${group}`,
      attributes: impersonate("groups", group),
    })),
    ...(users === "any" ? [] : users).map((user) => ({
      description: `impersonate the user ${user}`,
      attributes: impersonate("users", user),
    })),
    { description: "name a request's session", attributes: extra(SESSION_EXTRA) },
    ...(hasExtra(PERSON_EXTRA)
      ? [{ description: "name the person who acts as another user", attributes: extra(PERSON_EXTRA) }]
      : []),
    ...(hasExtra(GRANT_EXTRA) ? [{ description: "name a request's grants", attributes: extra(GRANT_EXTRA) }] : []),
  ];
}

/** Asks the cluster's authorizer what the account may do. That covers bindings which are not Sallyport's. */
export function impersonationCheck(
  cluster: PlannedCluster,
  view: ClusterView,
  { nonce }: Pick<Dependencies, "nonce">,
): Check {
  return {
    id: `impersonation:${cluster.name}`,
    run: async () => {
      const forbidden = forbiddenPermissions(cluster, nonce());
      const needed = neededPermissions(cluster);
      const answers = await reviewAccess([...forbidden, ...needed], cluster, view);
      if (!answers.ok) return answers.error;
      const tooMuch = forbidden.filter((_, index) => answers.value[index]);
      if (tooMuch.length > 0) {
        const { namespace, serviceAccount } = cluster.connector;
        return failure(
          `its account may ${describe(tooMuch)}`,
          `remove the binding that allows this to system:serviceaccount:${namespace}:${serviceAccount}`,
        );
      }
      const tooLittle = needed.filter((_, index) => !answers.value[forbidden.length + index]);
      if (tooLittle.length > 0) {
        return failure(
          `its account may not ${describe(tooLittle)}`,
          "npx sallyport synth, then apply the cluster's stack: its role is generated from the identity rules and grants",
        );
      }
      const users = cluster.users === "any" ? "any user" : `${cluster.users.length} users`;
      return passed(`its account may impersonate ${users} and ${cluster.groups.length} groups, and nothing else`);
    },
  };
}

const describe = (permissions: readonly Permission[]) => permissions.map(({ description }) => description).join(", ");

/** @returns for each permission whether the account has it */
async function reviewAccess(
  permissions: readonly Permission[],
  { connector }: PlannedCluster,
  view: ClusterView,
): Promise<Answer<boolean[]>> {
  const { namespace, serviceAccount } = connector;
  const account = {
    user: `system:serviceaccount:${namespace}:${serviceAccount}`,
    groups: ["system:serviceaccounts", `system:serviceaccounts:${namespace}`, "system:authenticated"],
  };
  const list = {
    apiVersion: "v1",
    kind: "List",
    items: permissions.map(({ attributes }) => ({
      apiVersion: "authorization.k8s.io/v1",
      kind: "SubjectAccessReview",
      spec: { ...account, resourceAttributes: attributes },
    })),
  };
  // One line for each: with -o json kubectl prints several objects one after the other, which is not JSON.
  const template = 'jsonpath={.status.allowed}{"\\n"}';
  const printed = await view.run(["create", "--validate=false", "-f", "-", "-o", template], JSON.stringify(list));
  if (!printed.ok) return printed;
  const answers = printed.value.stdout.trim().split("\n");
  if (answers.length !== permissions.length || answers.some((answer) => answer !== "true" && answer !== "false")) {
    return err(
      failure("kubectl did not print the answers to the access reviews", "report this, with kubectl's version"),
    );
  }
  return ok(answers.map((answer) => answer === "true"));
}

const clusterRole = z.object({ rules: z.array(z.record(z.string(), z.array(z.string()))).nullish() });

/** The ClusterRole is the generated one: neither widened by hand nor older than the identity rules. */
export function roleCheck({ name, role }: PlannedCluster, view: ClusterView): Check {
  return {
    id: `cluster-role:${name}`,
    run: async () => {
      const found = await view.get(clusterRole, "clusterrole", role.name);
      if (!found.ok) return found.error;
      return comparable(found.value.rules ?? []) === comparable(role.rules)
        ? passed("the ClusterRole is the generated one")
        : failure(
            `the ClusterRole ${role.name} is not the one generated from the identity rules`,
            "npx sallyport synth, apply the cluster's stack; if nobody changed the rules, find out who changed the role",
          );
    },
  };
}

/** The order of rules, and of names within a rule, means nothing. */
function comparable(rules: readonly (PolicyRule | Readonly<Record<string, readonly string[]>>)[]): string {
  const sorted = rules.map((rule) => {
    const fields = Object.entries(rule as Readonly<Record<string, readonly string[]>>);
    return canonicalJson(
      Object.fromEntries(
        fields.filter(([, names]) => names.length > 0).map(([field, names]) => [field, [...names].sort(byText)]),
      ),
    );
  });
  return sorted.sort(byText).join("\n");
}

const byText = (one: string, other: string) => (one < other ? -1 : Number(one > other));
