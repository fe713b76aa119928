/** Where the page Rules has each part of the document. Pure. */
import type { RulesDocument, ShownCluster } from "./document.ts";

/** `identity` is one of the document's own, which also give roles; `cluster-identity` one of a cluster's own. */
export type NamedPart = "rule" | "grant" | "identity" | "cluster-identity";

interface Anchor {
  readonly part: NamedPart;
  readonly name: string;
}

/** The id of a part's element, which is also the fragment of its address. @param name of anybody's choice */
export function anchorOf(part: NamedPart, name: string): string {
  return `${part}-${encodeURIComponent(name)}`;
}

/** The name that an anchor is of; undefined where it is of no part. */
export function readAnchor(anchor: string): Anchor | undefined {
  const [, part, name = ""] = /^(rule|grant|identity|cluster-identity)-(.+)$/.exec(anchor) ?? [];
  if (part === undefined) return undefined;
  try {
    return { part: part as NamedPart, name: decodeURIComponent(name) };
  } catch {
    return undefined;
  }
}

/** The cluster of the address; without one, the first that has the rule which the anchor names. */
export function clusterOf(
  clusters: readonly ShownCluster[],
  wanted: string,
  anchor: Anchor | undefined,
): ShownCluster | undefined {
  const named = clusters.find(({ name }) => name === wanted);
  if (named) return named;
  const withRule =
    anchor?.part === "rule" ? clusters.find(({ rules }) => rules.some(({ name }) => name === anchor.name)) : undefined;
  return withRule ?? clusters[0];
}

/** Whether the document has what an anchor names. A name out of an older log may be gone. */
export function hasPart(document: RulesDocument, cluster: ShownCluster | undefined, { part, name }: Anchor): boolean {
  switch (part) {
    case "rule":
      return cluster?.rules.some((rule) => rule.name === name) === true;
    case "grant":
      return document.grants.some((grant) => grant.name === name);
    case "identity":
      return document.identities[Number(name)] !== undefined;
    case "cluster-identity":
      return cluster?.identities?.[Number(name)] !== undefined;
  }
}
