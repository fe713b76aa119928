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
  return parseTerms(selector)?.find((term) => term.field === field && term.operator !== "!=")?.value;
}

/**
 * Whether a field selector leaves out every object whose field has this value.
 *
 * @returns false when no term does, or when the selector does not parse
 */
export function excludesFieldValue(selector: string, field: string, value: string): boolean {
  const terms = parseTerms(selector) ?? [];
  return terms.some((term) => term.field === field && term.operator === "!=" && term.value === value);
}

interface Term {
  readonly field: string;
  readonly operator: string;
  readonly value: string;
}

/** The terms in Go's order; undefined when the selector does not parse. */
function parseTerms(selector: string): Term[] | undefined {
  const terms: Term[] = [];
  for (const text of splitTerms(selector).sort(byCodeUnit)) {
    if (text === "") continue;
    // There are no escapes on the left side, so the first operator
    // splits. The alternatives are in Go's order.
    const [, field = "", operator = "", raw] = /^(.*?)(!=|==|=)(.*)$/s.exec(text) ?? [];
    const value = unescapeValue(raw);
    if (value === undefined) return undefined;
    terms.push({ field, operator, value });
  }
  return terms;
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
