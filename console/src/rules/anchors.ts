/** Where the page Rules has each part of the document. Pure. */

export type NamedPart = "rule" | "grant" | "identity";

/** The id of a part's element, which is also the fragment of its address. @param name of anybody's choice */
export function anchorOf(part: NamedPart, name: string): string {
  return `${part}-${encodeURIComponent(name)}`;
}

/** The name that an anchor is of; undefined where it is of no part. */
export function readAnchor(anchor: string): { readonly part: NamedPart; readonly name: string } | undefined {
  const [, part, name = ""] = /^(rule|grant|identity)-(.+)$/.exec(anchor) ?? [];
  if (part === undefined) return undefined;
  try {
    return { part: part as NamedPart, name: decodeURIComponent(name) };
  } catch {
    return undefined;
  }
}
