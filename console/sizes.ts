/** What the browser loads of the built console, and how large that is as it travels. Pure. */
import { gzipSync } from "node:zlib";
import type { BuiltFiles } from "./build.ts";

const DOCUMENT = "index.html";

/** Bytes of a file, compressed. */
export function compressedBytes(files: BuiltFiles, name: string): number {
  return gzipSync(files.get(name) ?? "").length;
}

function textOf(files: BuiltFiles, name: string): string {
  return new TextDecoder().decode(files.get(name));
}

/** A file, and those that it imports by itself, and they with them. What is imported on demand is not among them. */
export function loadedWith(files: BuiltFiles, name: string, known = new Set<string>()): ReadonlySet<string> {
  if (known.has(name)) return known;
  known.add(name);
  const imports = textOf(files, name).matchAll(/(?:from|import)\s*"(?:\.|\/-\/console\/assets)\/([^"]+)"/g);
  for (const [, file = ""] of imports) loadedWith(files, `assets/${file}`, known);
  return known;
}

/** The files before the first page is there: the document, what it names, and what that imports. */
export function firstLoad(files: BuiltFiles): ReadonlySet<string> {
  const named = textOf(files, DOCUMENT).matchAll(/(?:href|src)="\/-\/console\/([^"]+)"/g);
  return new Set([DOCUMENT, ...[...named].flatMap(([, path = ""]) => [...loadedWith(files, path)])]);
}
