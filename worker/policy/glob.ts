/**
 * Whether a text matches a pattern: `*` is any run of characters, every other character is literal.
 *
 * Not a regular expression: one with several stars can be made to backtrack for minutes, and clients send
 * these texts. This takes time in proportion to the text.
 */
export function matchesGlob(pattern: string, text: string): boolean {
  const [head = "", ...rest] = pattern.split("*");
  const tail = rest.pop();
  if (tail === undefined) return text === head;
  if (!text.startsWith(head)) return false;
  // The first occurrence of each part leaves the most text for the parts after it.
  let from = head.length;
  for (const part of rest) {
    const at = text.indexOf(part, from);
    if (at === -1) return false;
    from = at + part.length;
  }
  return text.length - tail.length >= from && text.endsWith(tail);
}
