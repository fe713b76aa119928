/**
 * What a request may be about, beyond what its path says. A rule that refuses applies if it matches one of
 * these readings. A rule that allows applies to the request as it was written.
 */
import { requiredFieldValue } from "../../kubernetes/field-selector.ts";
import { findNestedKubelet } from "../../kubernetes/nested-proxy.ts";
import type { RequestInfo } from "../../kubernetes/request-info.ts";
import type { Rule } from "../config/schema.ts";

type Match = Rule["match"];

/** All readings of a request; the first is the request as it was written, with what its selectors name. */
export function readingsOf(info: RequestInfo): readonly RequestInfo[] {
  // Most requests have no other reading, and each rule is evaluated for each one.
  if (info.fieldSelector === "" && info.subresource !== "proxy") return [info];
  const selected = { ...info, name: info.name || selectedValue(info, "metadata.name") };
  const readings = [selected, ...nestedKubelet(info)].flatMap((reading) => [reading, ...bareName(reading)]);
  const namespace = info.namespace === "" ? selectedValue(info, "metadata.namespace") : "";
  return namespace === "" ? readings : [...readings, ...readings.map((reading) => ({ ...reading, namespace }))];
}

/**
 * A node's kubelet behind another proxy is `nodes/proxy`, whatever serves the outer proxy.
 *
 * @returns nothing, or that reading
 */
export function nestedKubelet(info: RequestInfo): readonly RequestInfo[] {
  const name = findNestedKubelet(info);
  if (name === undefined) return [];
  return [{ ...info, apiGroup: "", namespace: "", resource: "nodes", name, subresource: "proxy" }];
}

/**
 * The verbs of a request for a rule that refuses.
 *
 * For a rule on names, a collective request for an object does to it what the verb for one object does:
 * `DELETE configmaps?fieldSelector=metadata.name=x` deletes x.
 *
 * @param creates whether the request may create its object
 */
export function verbsOf({ names }: Match, { verb }: RequestInfo, creates: boolean): readonly string[] {
  const one = names === undefined ? undefined : VERB_FOR_ONE.get(verb);
  return [verb, ...(one === undefined ? [] : [one]), ...(creates ? ["create"] : [])];
}

const VERB_FOR_ONE: ReadonlyMap<string, string> = new Map([
  ["list", "get"],
  ["watch", "get"],
  ["deletecollection", "delete"],
]);

/** Drops the conditions on what a request leaves open: its namespace or its name could be any. */
export function widenForUnknown(match: Match, info: RequestInfo): Match {
  if (match.namespaces === undefined && match.names === undefined) return match;
  const { namespaces, names, ...rest } = match;
  return {
    ...rest,
    ...(namespaces !== undefined && !spansAllNamespaces(match, info) && { namespaces }),
    ...(names !== undefined && !isNameUnknown(match, info) && { names }),
  };
}

/**
 * Whether a request is for objects whose names it does not tell: a list, or a creation, whose name is in the
 * body. A deletion of a collection always counts. The others do only for resources that the match names:
 * otherwise a rule on one name would refuse every list of everything.
 */
export function isNameUnknown(match: Match, { isResourceRequest, name, verb }: RequestInfo): boolean {
  if (!isResourceRequest || name !== "") return false;
  return verb === "deletecollection" || namesResources(match);
}

/** Only for resources that the match names: a path does not show whether its resource is namespaced. */
function spansAllNamespaces(match: Match, { namespace, verb }: RequestInfo): boolean {
  return namespace === "" && COLLECTIVE_VERBS.has(verb) && namesResources(match);
}

const COLLECTIVE_VERBS: ReadonlySet<string> = new Set(["list", "watch", "deletecollection"]);

function namesResources({ resources }: Match): boolean {
  return resources?.every((pattern) => pattern !== "*") ?? false;
}

/** Below `proxy` a name may have scheme and port: `https:web-0:8443` is web-0 (SplitSchemeNamePort). */
function bareName(info: RequestInfo): readonly RequestInfo[] {
  const parts = info.name.split(":");
  const bare = parts.length === 3 ? parts[1] : parts[0];
  const hasVariants = info.subresource === "proxy" && parts.length > 1 && bare !== undefined;
  return hasVariants ? [{ ...info, name: bare }] : [];
}

/**
 * The value that the field selector requires, or nothing. The label selector beside it only narrows the
 * request. An API server that cannot read one of the two answers with an error.
 */
function selectedValue({ fieldSelector }: RequestInfo, field: string): string {
  return fieldSelector === "" ? "" : (requiredFieldValue(fieldSelector, field) ?? "");
}
