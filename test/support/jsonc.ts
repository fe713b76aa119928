/** Reads JSON with comments and a comma too many, as examples have them. */
export function parseJsonc(text: string): unknown {
  // Strings first, so that `//` in a URL is none.
  const plain = text.replaceAll(
    /("(?:[^"\\]|\\.)*")|\/\/[^\n]*|\/\*[\s\S]*?\*\//g,
    (_, string: string | undefined) => string ?? "",
  );
  return JSON.parse(
    plain.replaceAll(/("(?:[^"\\]|\\.)*")|,(?=\s*[}\]])/g, (_, string: string | undefined) => string ?? ""),
  );
}
