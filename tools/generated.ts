/** Parts of documents that programs write: each between two marks, with the command that makes it. Pure. */

/** Neither a name nor a command has `>` in it. */
const PART = /(<!-- generated:([\w-]+) [^>]*-->\n)([\s\S]*?)(<!-- \/generated:\2 -->)/g;

/**
 * Puts texts between their marks, `<!-- generated:NAME COMMAND -->` and `<!-- /generated:NAME -->`.
 *
 * @param parts name → text; the document must have exactly these
 * @throws Error where a mark has no text, or a text no mark
 */
export function fillGenerated(document: string, parts: Readonly<Record<string, string>>): string {
  const filled = new Set<string>();
  const text = document.replaceAll(PART, (_, before: string, name: string, __, after: string) => {
    const part = parts[name];
    if (part === undefined) throw new Error(`nothing makes the generated part ${name}`);
    filled.add(name);
    return `${before}${part}\n${after}`;
  });
  const missing = Object.keys(parts).filter((name) => !filled.has(name));
  if (missing.length > 0) throw new Error(`the document has no place for ${missing.join(", ")}`);
  return text;
}
