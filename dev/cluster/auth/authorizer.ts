import { resourceNamed } from "../api/resources.ts";
import { forbidden, type StatusError } from "../api/status.ts";
import type { Store } from "../api/storage.ts";
import type { UserInfo } from "./identity.ts";
import { type Binding, type PolicyRule, roleRules, type Subject } from "./rbac.ts";
import type { RequestInfo, ResourceRequest } from "./request-info.ts";

export interface Decision {
  readonly allowed: boolean;
  /** Which binding allowed it, in the format of RBAC's audit annotation. */
  readonly reason: string;
}

type Attributes = Pick<ResourceRequest, "verb" | "group" | "namespace" | "resource" | "subresource" | "name">;

/** Decides by the RBAC objects in storage, as kubernetes/plugin/pkg/auth/authorizer/rbac does. */
export class Authorizer {
  readonly #store: Store;

  constructor(store: Store) {
    this.#store = store;
  }

  /** Decides whether the user may do this. `system:masters` may do anything, whatever the objects say. */
  decide(user: UserInfo, request: RequestInfo): Decision {
    if (user.groups.includes("system:masters")) return { allowed: true, reason: "" };
    const namespace = request.isResource ? request.namespace : "";
    for (const { rules, reason } of this.#bindingsOf(user, namespace)) {
      const allows = request.isResource
        ? rules.some((rule) => allowsResource(rule, request))
        : rules.some((rule) => allowsPath(rule, request.verb, request.path));
      if (allows) return { allowed: true, reason };
    }
    return { allowed: false, reason: "" };
  }

  /** @returns all rules that apply to the user in a namespace: the answer of a SelfSubjectRulesReview */
  rulesFor(user: UserInfo, namespace: string): PolicyRule[] {
    if (user.groups.includes("system:masters")) return [EVERY_RESOURCE, EVERY_PATH];
    return this.#bindingsOf(user, namespace).flatMap(({ rules }) => rules);
  }

  #bindingsOf(user: UserInfo, namespace: string): { rules: readonly PolicyRule[]; reason: string }[] {
    const cluster = this.#store.list(resourceNamed("clusterrolebindings"));
    const local = namespace === "" ? [] : this.#store.list(resourceNamed("rolebindings"), namespace);
    return [...cluster, ...local].flatMap((object) => {
      const binding = object as Binding;
      const subject = binding.subjects?.find((each) => isSubject(each, user));
      if (subject === undefined) return [];
      const { kind, name } = binding.roleRef;
      const { metadata } = binding;
      const named = metadata.namespace === undefined ? metadata.name : `${metadata.name}/${metadata.namespace}`;
      const bound = `${binding.kind} "${named}" of ${kind} "${name}" to ${subject.kind} "${subject.name}"`;
      return [{ rules: roleRules(this.#store, binding), reason: `RBAC: allowed by ${bound}` }];
    });
  }
}

function isSubject({ kind, name, namespace = "" }: Subject, { username, groups }: UserInfo): boolean {
  switch (kind) {
    case "Group":
      return groups.includes(name);
    case "User":
      return username === name;
    case "ServiceAccount":
      return username === `system:serviceaccount:${namespace}:${name}`;
    default:
      return false;
  }
}

const EVERY_RESOURCE: PolicyRule = { verbs: ["*"], apiGroups: ["*"], resources: ["*"] };
const EVERY_PATH: PolicyRule = { verbs: ["*"], nonResourceURLs: ["*"] };

function allowsResource(rule: PolicyRule, { verb, group, resource, subresource, name }: Attributes): boolean {
  const combined = subresource === "" ? resource : `${resource}/${subresource}`;
  const { apiGroups = [], resources = [], resourceNames = [] } = rule;
  return (
    hasOrStar(rule.verbs, verb) &&
    hasOrStar(apiGroups, group) &&
    (hasOrStar(resources, combined) || (subresource !== "" && resources.includes(`*/${subresource}`))) &&
    (resourceNames.length === 0 || resourceNames.includes(name))
  );
}

function allowsPath(rule: PolicyRule, verb: string, path: string): boolean {
  const matches = (url: string): boolean => url === path || (url.endsWith("*") && path.startsWith(url.slice(0, -1)));
  return hasOrStar(rule.verbs, verb) && (rule.nonResourceURLs ?? []).some(matches);
}

const hasOrStar = (list: readonly string[], value: string): boolean => list.includes("*") || list.includes(value);

/** @returns the message of apiserver's responsewriters.Forbidden */
export function refusal(user: UserInfo, request: RequestInfo): StatusError {
  const who = `User ${JSON.stringify(user.username)} cannot ${request.verb}`;
  if (!request.isResource) return forbidden(undefined, "", `${who} path ${JSON.stringify(request.path)}`);
  const { group, resource, subresource, namespace, name } = request;
  const what = subresource === "" ? resource : `${resource}/${subresource}`;
  const where = namespace === "" ? "at the cluster scope" : `in the namespace "${namespace}"`;
  return forbidden(request, name, `${who} resource "${what}" in API group "${group}" ${where}`);
}
