import { err, ok, type Result } from "../../common/result.ts";
import type { RequestInfo } from "../../kubernetes/request-info.ts";
import type { SessionTarget } from "../../kubernetes/session-target.ts";
import type { Rule } from "../config/schema.ts";
import { type Denial, denial } from "../denials.ts";
import { matchesGlob } from "./glob.ts";
import type { Identity } from "./identify.ts";

/** What rules are evaluated for. */
export interface RuleQuery {
  readonly identity: Pick<Identity, "name" | "groups">;
  readonly cluster: string;
  readonly info: RequestInfo;
  /** Undefined for an API request. */
  readonly session: SessionTarget | undefined;
}

/** A denial that names its rule. */
export interface RuleDenial extends Denial {
  readonly rule: string;
}

/** Follows every list of rules: what is closed unless a rule opens it. */
const NODES_PROXY: Rule = {
  name: "nodes/proxy",
  match: { resources: ["nodes/proxy"] },
  action: "refuse",
  message:
    "nodes/proxy is not available here: it reaches the kubelet, where commands run without appearing in the audit log",
  requireReason: false,
  limits: {},
  recording: {},
};

/**
 * Evaluates rules: the first one that matches decides.
 *
 * @returns the rule that allows the request; null where none matches, which leaves it to the cluster's RBAC
 */
export function evaluateRules(query: RuleQuery, rules: readonly Rule[]): Result<Rule | null, RuleDenial> {
  const rule = [...rules, NODES_PROXY].find((one) => ruleApplies(one, query)) ?? null;
  if (rule?.action !== "refuse") return ok(rule);
  const message = rule.message ?? `the rule ${rule.name} refuses this: ask your administrator`;
  return err({ ...denial("rule", message), rule: rule.name });
}

/**
 * A rule that refuses applies to every variant of a name, and to a request for all namespaces if it applies
 * to one of them. A rule that allows applies to the name as it was written. `nodes/proxy` is opened only by a
 * rule that names resources of nodes, not by one that allows somebody everything.
 */
function ruleApplies({ action, match }: Rule, query: RuleQuery): boolean {
  if (action === "refuse") {
    const widened = spansAllNamespaces(match, query.info) ? withoutNamespaces(match) : match;
    const identity = withAnyGroup(query.identity);
    return nameVariants(query.info).some((info) => matches(widened, { ...query, identity, info }));
  }
  const isOpen =
    resourceOf(query.info) !== "nodes/proxy" || match.resources?.some((pattern) => pattern.startsWith("nodes/"));
  return isOpen === true && matches(match, query);
}

/** Somebody without groups must not be beyond a refusal for everybody: only `*` matches the empty name. */
function withAnyGroup(identity: RuleQuery["identity"]): RuleQuery["identity"] {
  return identity.groups.length > 0 ? identity : { ...identity, groups: [""] };
}

/** Only for resources that the match names: a path does not show whether its resource is namespaced. */
function spansAllNamespaces({ namespaces, resources }: Rule["match"], { namespace, verb }: RequestInfo): boolean {
  if (namespaces === undefined || namespace !== "" || !COLLECTIVE_VERBS.has(verb)) return false;
  return resources?.every((pattern) => pattern !== "*") ?? false;
}

const COLLECTIVE_VERBS: ReadonlySet<string> = new Set(["list", "watch", "deletecollection"]);

function withoutNamespaces({ namespaces: _, ...rest }: Rule["match"]): Rule["match"] {
  return rest;
}

/** Below `proxy` a name may have scheme and port: `https:web-0:8443` is web-0 (SplitSchemeNamePort). */
function nameVariants(info: RequestInfo): RequestInfo[] {
  const parts = info.name.split(":");
  const bare = parts.length === 3 ? parts[1] : parts[0];
  const hasVariants = info.subresource === "proxy" && parts.length > 1 && bare !== undefined;
  return hasVariants ? [info, { ...info, name: bare }] : [info];
}

/** Whether everything that a match names holds. */
export function matches(match: Rule["match"], { identity, cluster, info, session }: RuleQuery): boolean {
  const { kinds, resources, verbs, clusters, namespaces, names, groups, users } = match;
  const some = (patterns: readonly string[] | undefined, texts: readonly string[]) =>
    patterns === undefined || patterns.some((pattern) => texts.some((text) => matchesGlob(pattern, text)));
  return (
    (kinds === undefined || (session !== undefined && kinds.includes(session.sessionKind))) &&
    some(resources, [resourceOf(info)]) &&
    some(verbs, [info.verb]) &&
    some(clusters, [cluster]) &&
    some(namespaces, [info.namespace]) &&
    some(names, [info.name]) &&
    some(groups, identity.groups) &&
    some(users, [identity.name])
  );
}

/** As RBAC writes it: `pods/exec`, `deployments.apps`. Empty where the path names no resource. */
export function resourceOf({ resource, apiGroup, subresource }: RequestInfo): string {
  const group = apiGroup === "" ? "" : `.${apiGroup}`;
  return `${resource}${group}${subresource === "" ? "" : `/${subresource}`}`;
}
