/** Names of the configuration document, as links to where it explains them. */
import type { JSX } from "preact";
import { pageAddress } from "../address.ts";
import { isAuditor } from "../me.ts";
import { anchorOf, type NamedPart } from "../rules/anchors.ts";
import { Untrusted } from "./untrusted.tsx";
import { visibleText } from "./visible-text.ts";

/**
 * A rule, a grant or an identity rule, as a link where the person may read the document.
 *
 * @param name of an identity rule, its number; null where no rule applied, which is shown as a dash
 * @param cluster the rules, or the own identities, of which cluster. Default: the first that has a rule of this
 *   name
 */
export function DocumentLink({
  part,
  name,
  cluster,
}: {
  readonly part: NamedPart;
  readonly name: string | null;
  readonly cluster?: string | null | undefined;
}): JSX.Element {
  if (name === null || name === "" || !isAuditor()) return <Untrusted text={name} />;
  return (
    <a href={`${pageAddress("/rules", { cluster: cluster ?? undefined })}#${anchorOf(part, name)}`}>
      {part === "identity" || part === "cluster-identity" ? (
        <code>identities[{visibleText(name)}]</code>
      ) : (
        <Untrusted text={name} />
      )}
    </a>
  );
}

/** Several, with commas. */
export function DocumentLinks({
  part,
  names,
}: {
  readonly part: NamedPart;
  readonly names: readonly string[];
}): JSX.Element {
  if (names.length === 0) return <span class="none">–</span>;
  return (
    <>
      {names.map((name, index) => (
        <span key={name}>
          {index > 0 && ", "}
          <DocumentLink part={part} name={name} />
        </span>
      ))}
    </>
  );
}
