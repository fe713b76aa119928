/**
 * Tells whether a text fits a pattern of the configuration: `*` is any run of characters, all else is itself.
 *
 * By hand, in time that grows with the text alone: a regular expression of several stars can be made to search for minutes,
 * and texts are what clients send.
 */
export function matchesGlob(pattern: string, text: string): boolean {
  const [head = "", ...rest] = pattern.split("*");
  const tail = rest.pop();
  if (tail === undefined) return text === head;
  if (!text.startsWith(head)) return false;
  // Each part at its first place leaves the most for those after it.
  let from = head.length;
  for (const part of rest) {
    const at = text.indexOf(part, from);
    if (at === -1) return false;
    from = at + part.length;
  }
  return text.length - tail.length >= from && text.endsWith(tail);
}
