/** How documents are set: prose in lines of at most 110 characters, so that a diff shows what changed. */
import { readdirSync, readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";

const MAX_PROSE_CHARS = 110;

const DOCUMENTS = [...readdirSync("."), ...readdirSync("docs").map((name) => `docs/${name}`)].filter((name) =>
  name.endsWith(".md"),
);

/** Lines that are prose: not in fenced blocks, generated parts or tables. */
function proseLines(markdown: string): string[] {
  return markdown
    .replaceAll(/^( *)```[\s\S]*?^\1```$/gm, "")
    .replaceAll(/<!-- generated:([\w-]+) [\s\S]*?<!-- \/generated:\1 -->/g, "")
    .split("\n")
    .filter((line) => !/^\s*\|/.test(line) && !/^\[[^\]]+\]: /.test(line));
}

/** A code span or a link is not broken, so one alone may be longer. */
function isUnbreakable(line: string): boolean {
  return !/\s/.test(line.trim().replaceAll(/`[^`]*`|\[[^\]]*\]\([^)]*\)/g, "X"));
}

describe.each(DOCUMENTS)("%s", (document) => {
  it(`has prose lines of at most ${MAX_PROSE_CHARS} characters`, () => {
    const long = proseLines(readFileSync(document, "utf8")).filter(
      (line) => [...line].length > MAX_PROSE_CHARS && !isUnbreakable(line),
    );
    expect(long).toEqual([]);
  });
});
