/** Text of anybody, made visible: see untrusted.tsx. Pure. */

/** Shows each character of Unicode's category C, and each line separator, as `⟨U+202E⟩`. */
export function visibleText(text: string): string {
  return text.replace(/[\p{C}\u2028\u2029]/gu, (character) => {
    const code = character.codePointAt(0) ?? 0;
    return `⟨U+${code.toString(16).toUpperCase().padStart(4, "0")}⟩`;
  });
}

/** JSON of several lines, with what is invisible shown. */
export function visibleJson(value: unknown): string {
  return JSON.stringify(value, null, 2).split("\n").map(visibleText).join("\n");
}
