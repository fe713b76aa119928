/**
 * Text of clients, clusters and workloads on its way to a terminal or a log, where control characters are
 * commands, format characters reorder what is read (CVE-2021-42574), and a NUL or a broken surrogate is not
 * text at all. All of them are Unicode's category C: Cc, Cf, Co, Cn, and with the flag `u` lone surrogates.
 */

/** Marks a character that was taken out of a name. */
const REPLACEMENT = "\uFFFD";

/**
 * For prose: replaces each run of control, format and unassigned characters by a space, and trims.
 *
 * @param maxChars the most UTF-16 units that are kept; half of a surrogate pair becomes U+FFFD
 */
export function stripControlCharacters(text: string, maxChars = Number.POSITIVE_INFINITY): string {
  return text
    .replace(/\p{C}+/gu, " ")
    .trim()
    .slice(0, maxChars)
    .toWellFormed();
}

/**
 * For names, paths and programs: replaces each such character by U+FFFD. Nothing is taken out, so no hostile
 * name can end up as a name that exists.
 *
 * @param maxChars the most UTF-16 units that are kept
 */
export function maskControlCharacters(text: string, maxChars = Number.POSITIVE_INFINITY): string {
  // Cut first: the cost is bounded, and a surrogate pair that is cut in two is masked.
  return text.slice(0, maxChars).replace(/\p{C}/gu, REPLACEMENT);
}

/**
 * For the output of a program, which has lines and columns of its own: masks all others as names are masked.
 */
export function maskOutput(text: string): string {
  return text.replace(/[^\P{C}\n\t]/gu, REPLACEMENT);
}

/**
 * JSON that a terminal shows as it is, on one line: what `JSON.stringify` leaves of category C is escaped as
 * `\uXXXX`. The value does not change, so this serves where the exact text matters, such as a command.
 */
export function printableJson(value: unknown): string {
  return JSON.stringify(value).replace(/\p{C}/gu, (character) =>
    Array.from(
      { length: character.length },
      (_, at) => `\\u${character.charCodeAt(at).toString(16).padStart(4, "0")}`,
    ).join(""),
  );
}
