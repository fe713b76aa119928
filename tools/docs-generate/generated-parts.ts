/** Parts of documents that programs write, each between two marks. Pure. */

/** Neither a part's name nor the command named in the mark contains `>`. */
const PART = /(<!-- generated:([\w-]+) [^>]*-->\n)([\s\S]*?)(<!-- \/generated:\2 -->)/g;

/**
 * Replaces the texts between `<!-- generated:NAME COMMAND -->` and `<!-- /generated:NAME -->`. COMMAND tells
 * readers how the part is made.
 *
 * @param parts name → text; the document must have marks for exactly these
 * @throws Error where marks have no text, or a text has no marks
 */
export function fillGenerated(document: string, parts: Readonly<Record<string, string>>): string {
  const filled = new Set<string>();
  const text = document.replaceAll(PART, (_, before: string, name: string, __, after: string) => {
    const part = parts[name];
    if (part === undefined) throw new Error(`nothing generates the part ${name}`);
    filled.add(name);
    return `${before}${part}\n${after}`;
  });
  const missing = Object.keys(parts).filter((name) => !filled.has(name));
  if (missing.length > 0) throw new Error(`the document has no marks for ${missing.join(", ")}`);
  return text;
}
