export interface Block {
  readonly line: number;
  /** What stands behind the three backticks. */
  readonly info: string;
  readonly text: string;
}

/** The fenced blocks of a document, in order. */
export function fencedBlocks(markdown: string): Block[] {
  return [...markdown.matchAll(/^```(.*)\n([\s\S]*?)^```$/gm)].map(({ index, 1: info = "", 2: text = "" }) => ({
    line: markdown.slice(0, index).split("\n").length,
    info,
    text,
  }));
}
