/** Parses JSON with comments and trailing commas. */
export function parseJsonc(text: string): unknown {
  // Strings are matched first, so that `//` in a URL is not a comment.
  const plain = text.replaceAll(
    /("(?:[^"\\]|\\.)*")|\/\/[^\n]*|\/\*[\s\S]*?\*\//g,
    (_, string: string | undefined) => string ?? "",
  );
  return JSON.parse(
    plain.replaceAll(/("(?:[^"\\]|\\.)*")|,(?=\s*[}\]])/g, (_, string: string | undefined) => string ?? ""),
  );
}
