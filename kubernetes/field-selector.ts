/**
 * The value a field selector pins a field to.
 *
 * Follows `ParseSelector` and `RequiresExactMatch` of k8s.io/apimachinery/pkg/fields: terms are split at unescaped commas
 * and sorted, `!=`, `==` and `=` are the operators, and the first term that demands equality with the field wins.
 *
 * @param selector for example `metadata.name=web,status.phase!=Failed`.
 * @param field for example `metadata.name`.
 * @returns the value, or undefined when no term pins the field or when the selector does not parse.
 */
export function pinnedField(selector: string, field: string): string | undefined {
  let pinned: string | undefined;
  for (const term of splitTerms(selector).sort(byCodeUnit)) {
    if (term === "") continue;
    // The left side knows no escapes: the first operator splits. The order of the alternatives is Go's.
    const match = /^(.*?)(!=|==|=)(.*)$/s.exec(term);
    const value = unescapeValue(match?.[3]);
    if (match === null || value === undefined) return undefined;
    if (match[2] !== "!=" && match[1] === field) pinned ??= value;
  }
  return pinned;
}

function byCodeUnit(a: string, b: string): number {
  return a < b ? -1 : Number(a > b);
}

function splitTerms(selector: string): string[] {
  const terms: string[] = [];
  let term = "";
  let escaped = false;
  for (const character of selector) {
    if (character === "," && !escaped) {
      terms.push(term);
      term = "";
      continue;
    }
    escaped = character === "\\" && !escaped;
    term += character;
  }
  return [...terms, term];
}

/** Undoes `\\`, `\,` and `\=`. Any other escape, or a bare `,` or `=`, makes the whole selector invalid. */
function unescapeValue(text: string | undefined): string | undefined {
  if (text === undefined || !/^(?:\\[\\,=]|[^\\,=])*$/s.test(text)) return undefined;
  return text.replace(/\\(.)/gs, "$1");
}
