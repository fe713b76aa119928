/**
 * Finds the value that a field selector requires a field to have.
 *
 * Follows `ParseSelector` and `RequiresExactMatch` of k8s.io/apimachinery/pkg/fields. Terms
 * are split at unescaped commas and sorted, the operators are `!=`, `==` and `=`, and the
 * first term that requires equality wins.
 *
 * @param selector for example `metadata.name=web,status.phase!=Failed`
 * @param field for example `metadata.name`
 * @returns undefined when no term requires equality, or when the selector does not parse
 */
export function requiredFieldValue(selector: string, field: string): string | undefined {
  let required: string | undefined;
  for (const term of splitTerms(selector).sort(byCodeUnit)) {
    if (term === "") continue;
    // There are no escapes on the left side, so the first operator
    // splits. The alternatives are in Go's order.
    const match = /^(.*?)(!=|==|=)(.*)$/s.exec(term);
    const value = unescapeValue(match?.[3]);
    if (match === null || value === undefined) return undefined;
    if (match[2] !== "!=" && match[1] === field) required ??= value;
  }
  return required;
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

/** Resolves `\\`, `\,` and `\=`. Any other escape, or an unescaped `,` or `=`, makes the selector invalid. */
function unescapeValue(text: string | undefined): string | undefined {
  if (text === undefined || !/^(?:\\[\\,=]|[^\\,=])*$/s.test(text)) return undefined;
  return text.replace(/\\(.)/gs, "$1");
}
