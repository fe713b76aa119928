import { stringify } from "yaml";
import type { KubernetesObject } from "./types.ts";

/** Kubernetes objects as YAML documents, each with its own `---`. */
export function manifestsAsYaml(objects: readonly KubernetesObject[]): string {
  // Without line breaks inside of texts and without anchors: not every GitOps tool reads them.
  return objects.map((object) => `---\n${stringify(object, { lineWidth: 0, aliasDuplicateObjects: false })}`).join("");
}

/** The same as one `List`, in JSON. */
export function manifestsAsJson(objects: readonly KubernetesObject[]): string {
  return `${JSON.stringify({ apiVersion: "v1", kind: "List", items: objects }, null, 2)}\n`;
}
