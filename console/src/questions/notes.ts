/** The notes of a question: paragraphs, `code`, and blocks of code. The rest of Markdown is not in them. Pure. */

export type NoteSpan = { readonly kind: "text" | "code"; readonly text: string };
export type NoteBlock =
  | { readonly kind: "paragraph"; readonly spans: readonly NoteSpan[] }
  | { readonly kind: "block"; readonly text: string };

export function parseNotes(markdown: string): NoteBlock[] {
  return markdown.split(/^(```[\s\S]*?^```)$/m).flatMap((part): NoteBlock[] => {
    const [, code] = /^```\w*\n([\s\S]*?)\n```$/.exec(part) ?? [];
    if (code !== undefined) return [{ kind: "block", text: code }];
    return part
      .split(/\n\s*\n/)
      .map((paragraph) => paragraph.replace(/\s+/g, " ").trim())
      .filter((paragraph) => paragraph !== "")
      .map((paragraph) => ({ kind: "paragraph", spans: parseSpans(paragraph) }));
  });
}

/** A text with `code` in it. */
function parseSpans(text: string): NoteSpan[] {
  return text
    .split("`")
    .map((part, index): NoteSpan => ({ kind: index % 2 === 0 ? "text" : "code", text: part }))
    .filter((span) => span.text !== "");
}
