/** The document's title, by which tabs, bookmarks and screen readers tell pages apart. */
import { useEffect, useLayoutEffect } from "preact/hooks";
import { visibleText } from "./visible-text.ts";

/** Gives the document the title of its page. A layout effect, so that the page's own `useTitle` comes after it. */
export function usePageTitle(title: string): void {
  useLayoutEffect(() => {
    document.title = documentTitle([title]);
  }, [title]);
}

/**
 * Gives the document a more particular title than its page's. While a part is not known, the title stays.
 *
 * @param parts the most particular first, such as a person and "People"
 */
export function useTitle(...parts: readonly (string | undefined)[]): void {
  useEffect(() => {
    const known = parts.filter((part) => part !== undefined);
    if (known.length === parts.length) document.title = documentTitle(known);
  }, parts);
}

function documentTitle(parts: readonly string[]): string {
  return [...parts.map(visibleText), "Sallyport"].join(" · ");
}
