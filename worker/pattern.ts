const SPECIAL = /[.+?^${}()|[\]\\]/g;
const compiled = new Map<string, RegExp>();

/**
 * Tells whether a text fits a pattern of the configuration: `*` is any run of characters, all else is itself.
 *
 * Only for patterns of the configuration: each is compiled once and kept.
 */
export function fits(pattern: string, text: string): boolean {
  let expression = compiled.get(pattern);
  if (!expression) {
    // Runs of stars are one: `**********x` must not become a search that never ends.
    const source = pattern.replace(SPECIAL, "\\$&").replaceAll(/\*+/g, ".*");
    expression = new RegExp(`^${source}$`, "s");
    compiled.set(pattern, expression);
  }
  return expression.test(text);
}
