/**
 * How prose is set, in documents and in comments: in lines of at most 110 characters, so that a diff shows
 * what changed.
 */
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
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

/** Folders whose comments are looked at, without what is generated or captured. */
const FOLDERS = ["dev", "durable", "terraform", "test", "tools"];
const NOT_OURS = /(^|\/)(node_modules|out|state|vectors|snapshots|\.terraform)\//;

const FILES = FOLDERS.flatMap((folder) =>
  readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name)),
).filter((file) => !NOT_OURS.test(file) && /(^|\/)[^.]+$|\.(ts|js|mjs|jsonc|ya?ml|sh)$/.test(file));

/** Lines that are nothing but a comment, without its mark. */
function commentLines(file: string, text: string): readonly { readonly line: string; readonly prose: string }[] {
  const mark = /\.(ts|js|mjs|jsonc)$/.test(file) ? /^\s*(\/\/|\/?\*+)(?=\s)/ : /^\s*#(?=\s)/;
  return text
    .split("\n")
    .filter((line) => mark.test(line))
    .map((line) => ({ line, prose: line.replace(mark, "") }));
}

const longComments = (file: string, text: string) =>
  commentLines(file, text)
    .filter(({ line, prose }) => [...line].length > MAX_PROSE_CHARS && !isUnbreakable(prose))
    .map(({ line }) => `${file}: ${line.trim()}`);

describe("comments", () => {
  it(`have lines of at most ${MAX_PROSE_CHARS} characters`, () => {
    expect(FILES.length).toBeGreaterThan(300);
    expect(FILES.flatMap((file) => longComments(file, readFileSync(file, "utf8")))).toEqual([]);
  });

  it("are found in each of their forms, and nothing else is", () => {
    const words = "word ".repeat(25);
    for (const [file, line] of [
      ["a.ts", `  // ${words}`],
      ["a.ts", `/** ${words} */`],
      ["a.ts", `   * ${words}`],
      ["a.yml", `  # ${words}`],
      ["generate", `# ${words}`],
    ] as const) {
      expect(longComments(file, line), line).toHaveLength(1);
    }
    for (const [file, line] of [
      ["a.ts", `  #privateField = "${words}";`],
      ["a.ts", `const text = "${words}";`],
      ["a.ts", ` * https://example.com/${"x".repeat(110)}`],
      ["a.ts", "  // short"],
    ] as const) {
      expect(longComments(file, line), line).toEqual([]);
    }
  });
});
