import type { RequestInfo } from "../../kubernetes/request-info.ts";
import type { SessionTarget } from "../../kubernetes/session-target.ts";
import type { Rule } from "../config/schema.ts";
import { matchesGlob } from "./glob.ts";
import type { Identity } from "./identify.ts";

/** What a rule is asked about. */
export interface RuleQuery {
  readonly identity: Pick<Identity, "name" | "groups">;
  readonly cluster: string;
  readonly info: RequestInfo;
  /** Undefined for a plain request. */
  readonly session: SessionTarget | undefined;
}

/** What the rules say: of a session, also how it is to be held. */
export type Verdict =
  | { readonly action: "refuse"; readonly rule: string; readonly message: string }
  | { readonly action: "allow"; readonly rule: Rule | undefined };

/** Stands behind every list of rules: what is shut unless a rule opens it. */
const NODES_PROXY: Rule = {
  name: "nodes/proxy",
  match: { resources: ["nodes/proxy"] },
  action: "refuse",
  message:
    "nodes/proxy is not available here: it reaches the kubelet, where commands run without being named in the audit",
  requireReason: false,
  limits: {},
  recording: {},
};

/** Judges by the first rule that matches. None leaves it to the cluster's RBAC. */
export function evaluateRules(asked: RuleQuery, rules: readonly Rule[]): Verdict {
  const rule = [...rules, NODES_PROXY].find((one) => ruleApplies(one, asked));
  if (rule?.action !== "refuse") return { action: "allow", rule };
  return {
    action: "refuse",
    rule: rule.name,
    message: rule.message ?? `the rule ${rule.name} refuses this: ask your administrator`,
  };
}

/**
 * What is refused is refused for every spelling of a name, and for all namespaces at once where it is for some; what is
 * allowed is allowed as it is spelled. And `nodes/proxy` is opened by a rule that speaks of it, not by one that allows
 * somebody everything.
 */
function ruleApplies({ action, match }: Rule, asked: RuleQuery): boolean {
  if (action === "refuse") {
    const wide = spansAllNamespaces(match, asked.info) ? withoutNamespaces(match) : match;
    return nameVariants(asked.info).some((info) => matches(wide, { ...asked, info }));
  }
  const isOpen =
    resourceOf(asked.info) !== "nodes/proxy" || match.resources?.some((pattern) => pattern.startsWith("nodes/"));
  return isOpen === true && matches(match, asked);
}

/** Only of resources that the match names: no path says whether a resource has namespaces at all. */
function spansAllNamespaces({ namespaces, resources }: Rule["match"], { namespace, verb }: RequestInfo): boolean {
  if (namespaces === undefined || namespace !== "" || !COLLECTIVE_VERBS.has(verb)) return false;
  return resources?.every((pattern) => pattern !== "*") ?? false;
}

const COLLECTIVE_VERBS: ReadonlySet<string> = new Set(["list", "watch", "deletecollection"]);

function withoutNamespaces({ namespaces: _, ...rest }: Rule["match"]): Rule["match"] {
  return rest;
}

/** Below `proxy` a name may have a scheme and a port (`SplitSchemeNamePort` of apimachinery): `https:web-0:8443` is web-0. */
function nameVariants(info: RequestInfo): RequestInfo[] {
  const parts = info.name.split(":");
  const bare = parts.length === 3 ? parts[1] : parts[0];
  const isSpelled = info.subresource === "proxy" && parts.length > 1 && bare !== undefined;
  return isSpelled ? [info, { ...info, name: bare }] : [info];
}

/** Whether all that a match names holds. */
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

/** As RBAC writes it: `pods/exec`, `deployments.apps`; empty where the path names no resource. */
export function resourceOf({ resource, apiGroup, subresource }: RequestInfo): string {
  const group = apiGroup === "" ? "" : `.${apiGroup}`;
  return `${resource}${group}${subresource === "" ? "" : `/${subresource}`}`;
}
