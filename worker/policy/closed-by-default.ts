/** What is closed unless a rule opens it by name. These follow every list of rules. */
import { excludesFieldValue, requiredFieldValue } from "../../kubernetes/field-selector.ts";
import type { RequestInfo } from "../../kubernetes/request-info.ts";
import type { Rule } from "../config/schema.ts";

/** A rule that refuses, and that a rule which allows somebody everything does not open. */
export interface ClosedByDefault {
  readonly rule: Rule;
  /** Whether an allowing rule's match names what is closed. */
  readonly isOpenedBy: (match: Rule["match"]) => boolean;
  /** Requests that the rule matches, but that do not concern it. */
  readonly spares?: (info: RequestInfo) => boolean;
}

const refusing = (name: string, match: Rule["match"], message: string): Rule => ({
  ...{ name, match, message, action: "refuse" },
  ...{ requireReason: false, tell: false, limits: {}, recording: {} },
});

const NODES_PROXY: ClosedByDefault = {
  rule: refusing(
    "nodes/proxy",
    { resources: ["nodes/proxy"] },
    "nodes/proxy is not available here: it reaches the kubelet, where commands run without appearing in the audit log",
  ),
  isOpenedBy: ({ resources = [] }) => resources.some((pattern) => pattern.startsWith("nodes/")),
};

/**
 * What is closed in a cluster.
 *
 * @param connectorNamespace where the cluster's connector runs, if it is known
 */
export function closedByDefault(connectorNamespace: string | undefined): readonly ClosedByDefault[] {
  return connectorNamespace === undefined ? [NODES_PROXY] : [NODES_PROXY, ...connectorRules(connectorNamespace)];
}

/**
 * The connector's account may impersonate everybody. Whoever gets into its pods, its tunnel's token or its
 * ports acts past Sallyport, under any name.
 */
function connectorRules(namespace: string): readonly ClosedByDefault[] {
  return [
    {
      rule: refusing(
        "connector",
        { namespaces: [namespace] },
        `the namespace ${namespace} is not available here: the connector that runs in it could be used to pass by the audit log; ask your administrator for a rule that names this namespace`,
      ),
      isOpenedBy: ({ namespaces = [] }) => namespaces.includes(namespace),
    },
    {
      rule: refusing(
        "connector",
        { resources: ["secrets"], verbs: ["list", "watch"], namespaces: [namespace] },
        `the Secrets of all namespaces include the connector's in ${namespace}: ask for one namespace, or add --field-selector metadata.namespace!=${namespace}`,
      ),
      isOpenedBy: ({ resources = [] }) => resources.includes("secrets"),
      spares: (info) => leavesOut(info, namespace),
    },
  ];
}

/** Whether a request is for one namespace, or its selector leaves this one out. */
function leavesOut(info: RequestInfo, namespace: string): boolean {
  const { fieldSelector } = info;
  if (info.namespace !== "") return true;
  const required = requiredFieldValue(fieldSelector, "metadata.namespace");
  return (required ?? namespace) !== namespace || excludesFieldValue(fieldSelector, "metadata.namespace", namespace);
}
