/** What a request for access is for, where a session made it: for approvers, who go by it. Pure. */
import { stripControlCharacters } from "../../common/text.ts";
import { ACCESS_TEXT_CHARS } from "../../contract/access.ts";
import type { SessionTarget } from "../../kubernetes/session-target.ts";

/**
 * For the approver: `exec in the pod web (container main) of demo, cluster prod: sh -c …`.
 *
 * Nothing checks names before the cluster does, and it has not been asked yet. One that Kubernetes would not
 * take is quoted, and cut: `main) of demo, cluster staging: ls` must not read as another place.
 */
export function purposeOf({ sessionKind, namespace, pod, container, command }: SessionTarget, cluster: string): string {
  const inside = container === undefined ? "" : ` (container ${quoteHostile(container)})`;
  const what = command.length === 0 ? "" : `: ${command.join(" ")}`;
  const place = `the pod ${quoteHostile(pod)}${inside} of ${quoteHostile(namespace)}`;
  const purpose = `${sessionKind} in ${place}, cluster ${cluster}${what}`;
  const { purpose: most } = ACCESS_TEXT_CHARS;
  const text = stripControlCharacters(purpose.slice(0, 2 * most));
  return text.length > most ? `${text.slice(0, most - 1).toWellFormed()}…` : text;
}

/** What the API server takes as a name of pods, containers and namespaces: a DNS subdomain (RFC 1123). */
const KUBERNETES_NAME = /^[a-z0-9](?:[-a-z0-9.]{0,251}[a-z0-9])?$/;
/** Of a name that is none. The cluster must still be within the text. */
const MAX_HOSTILE_CHARS = 63;

function quoteHostile(name: string): string {
  if (KUBERNETES_NAME.test(name)) return name;
  const isLong = name.length > MAX_HOSTILE_CHARS;
  return JSON.stringify(`${name.slice(0, MAX_HOSTILE_CHARS).toWellFormed()}${isLong ? "…" : ""}`);
}
