/** The console's build: its size, its names, and that it makes no HTML of text. */
import { beforeAll, describe, expect, it } from "vitest";
import { type BuiltFiles, bundleConsole } from "../../../console/build.ts";
import { compressedBytes, firstLoad } from "../../../console/sizes.ts";

/** What a first load may weigh, compressed. */
const MAX_FIRST_LOAD_BYTES = 150 * 1024;
/** What a page may add, without the player. */
const MAX_PAGE_BYTES = 30 * 1024;

let files: BuiltFiles;
beforeAll(async () => {
  files = await bundleConsole();
});

const textOf = (name: string) => Buffer.from(files.get(name) ?? "").toString();
const compressed = (name: string) => compressedBytes(files, name);

describe("the console's build", () => {
  it("has one document, whose script and style are its own files", () => {
    const named = [...textOf("index.html").matchAll(/(?:href|src|content)="(\/[^"]+)"/g)].map(([, path = ""]) => path);
    expect(named).toHaveLength(4);
    for (const path of named) expect(files.has(path.replace("/-/console/", "")), path).toBe(true);
    expect(textOf("index.html")).not.toMatch(/\{\w+\}|<script>|<style|\son\w+=/);
  });

  it("loads little before the first page is there, and the player not at all", () => {
    const loaded = firstLoad(files);
    const total = [...loaded].reduce((sum, name) => sum + compressed(name), 0);
    // The document, its script and its style; Preact is among the others, so what scripts import is counted.
    expect(loaded.size).toBeGreaterThan(3);
    expect(total).toBeGreaterThan(10 * 1024);
    expect(total).toBeLessThan(MAX_FIRST_LOAD_BYTES);
    expect([...loaded].filter((name) => textOf(name).includes("ap-wrapper"))).toEqual([]);
  });

  it("adds little for each page", () => {
    const pages = [...files.keys()].filter((name) => name.endsWith(".js") && !/asciinema|player-worker/.test(name));
    for (const name of pages) expect(compressed(name), name).toBeLessThan(MAX_PAGE_BYTES);
  });

  it("has a hash in the name of each file, which browsers may keep for ever", () => {
    for (const name of files.keys()) expect(name).toMatch(/^(index\.html|assets\/[\w-]+-[A-Z0-9]{8}\.(js|css))$/);
  });

  it("makes HTML of text only where the player's own templates become elements", () => {
    const sinks = [...files.keys()].flatMap((name) =>
      [
        ...textOf(name).matchAll(
          /\.(?:inner|outer)HTML\s*=\s*([\w$]+\()?|insertAdjacentHTML|document\.write|\beval\(|new Function\b/g,
        ),
      ].map(([match]) => [name.replace(/-[A-Z0-9]{8}/, ""), match] as const),
    );
    const player = sinks.filter(([name]) => name === "assets/asciinema.js");
    expect(player).toHaveLength(2);
    for (const [, match] of player) expect(match).toMatch(/\.innerHTML=[\w$]+\($/);
    // Preact's own, for an attribute that no page uses.
    expect(sinks.filter(([name]) => name !== "assets/asciinema.js").map(([, match]) => match)).toEqual([".innerHTML="]);
  });
});
