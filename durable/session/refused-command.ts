/** Refused attempts are bounded in number, and so is what each adds to the audit log. */
export const MAX_REFUSED_COMMAND_CHARS = 2_048;

/**
 * What the audit log keeps of a command that did not run: all of it, unless it is very long.
 *
 * @param command as asked for
 */
export function refusedCommand(command: readonly string[]): readonly string[] {
  const kept: string[] = [];
  let left = MAX_REFUSED_COMMAND_CHARS;
  for (const word of command) {
    if (word.length >= left) return [...kept, `${word.slice(0, left)}… (cut)`];
    kept.push(word);
    // A word has its quotes and comma, an empty one too.
    left -= word.length + 1;
  }
  return kept;
}
