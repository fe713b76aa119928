export interface Block {
  readonly line: number;
  /** The text after the three backticks. */
  readonly info: string;
  readonly text: string;
}

/** The fenced blocks of a document, in order, without the indentation of a list. */
export function fencedBlocks(markdown: string): Block[] {
  return [...markdown.matchAll(/^( *)```(.*)\n([\s\S]*?)^\1```$/gm)].map(
    ({ index, 1: indent = "", 2: info = "", 3: text = "" }) => ({
      line: markdown.slice(0, index).split("\n").length,
      info,
      text: text.replaceAll(new RegExp(`^${indent}`, "gm"), ""),
    }),
  );
}
