/**
 * Text of clients, clusters and people: names, commands, reasons, messages.
 *
 * Preact makes text nodes of it, never HTML. What is left is what text itself can do: characters that are not
 * shown, or that reorder what is read (CVE-2021-42574). They are shown as their code points.
 */
import type { JSX } from "preact";
import { visibleText } from "./visible-text.ts";

/** @param text of anybody; null is shown as a dash */
export function Untrusted({ text }: { readonly text: string | null }): JSX.Element {
  if (text === null || text === "") return <span class="none">–</span>;
  return <bdi>{visibleText(text)}</bdi>;
}

/** The same as code, for commands. Quote a command by `commandLine` first. */
export function UntrustedCode({ text }: { readonly text: string }): JSX.Element {
  return (
    <code>
      <bdi>{visibleText(text)}</bdi>
    </code>
  );
}
