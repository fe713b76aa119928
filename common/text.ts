/**
 * Replaces each run of control, format and unassigned characters (Unicode
 * category C) by a space, and trims the result.
 *
 * For text of clients and clusters that reaches a terminal or a log, where such characters may be commands.
 */
export function stripControlCharacters(text: string): string {
  return text.replace(/\p{C}+/gu, " ").trim();
}
