/** Builds the console: `console/src` into one module of the edge's Worker that has its files. */
import { randomUUID } from "node:crypto";
import { mkdirSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { basename, dirname, join, relative } from "node:path";
import { type BuildOptions, build, type OutputFile, type Plugin } from "esbuild";

const SOURCES = join(import.meta.dirname, "src");
/** The module, where wrangler.jsonc expects it. */
export const CONSOLE_FILES = join(import.meta.dirname, "dist/files.js");
/** What the edge imports it as. */
export const CONSOLE_FILES_NAME = "@sallyport/console-files";
/** As `CONSOLE_ASSETS_PATH` of worker/surfaces.ts, which a test compares. */
export const ASSETS_PATH = "/-/console/assets/";
const ASSETS_FOLDER = "assets";

/** The player's engine, a script of its own. */
const PLAYER_WORKER = join(import.meta.dirname, "../node_modules/asciinema-player/dist/worker.js");

const OPTIONS = {
  absWorkingDir: SOURCES,
  outdir: ASSETS_FOLDER,
  publicPath: ASSETS_PATH.slice(0, -1),
  entryNames: "[name]-[hash]",
  chunkNames: "[name]-[hash]",
  assetNames: "[name]-[hash]",
  bundle: true,
  minify: true,
  target: "es2022",
  metafile: true,
  write: false,
  logLevel: "silent",
} as const satisfies BuildOptions;

/** The content of each file, by its name below the folder. */
export type BuiltFiles = ReadonlyMap<string, Uint8Array>;

/**
 * Writes the module: the text of each file, by its name. Two builds at a time write the same.
 *
 * @throws esbuild's BuildFailure, which names files and lines
 */
export async function buildConsole(): Promise<void> {
  const texts = [...(await bundleConsole())].map(([name, content]) => [name, new TextDecoder().decode(content)]);
  mkdirSync(dirname(CONSOLE_FILES), { recursive: true });
  const temporary = `${CONSOLE_FILES}.${randomUUID()}.tmp`;
  writeFileSync(temporary, `export default ${JSON.stringify(Object.fromEntries(texts))};\n`);
  renameSync(temporary, CONSOLE_FILES);
}

/** Builds the console in memory. @returns the files by name; throws as `buildConsole` does */
export async function bundleConsole(): Promise<BuiltFiles> {
  const [page, worker] = await Promise.all([
    build({
      ...OPTIONS,
      entryPoints: { main: "main.tsx", style: "style.css", player: "player/player.css" },
      splitting: true,
      format: "esm",
      jsx: "automatic",
      jsxImportSource: "preact",
      plugins: [trustedTemplates],
    }),
    build({ ...OPTIONS, entryPoints: { "player-worker": PLAYER_WORKER }, format: "iife" }),
  ]);
  const outputFiles = [...page.outputFiles, ...worker.outputFiles];
  const outputs = Object.entries({ ...page.metafile.outputs, ...worker.metafile.outputs });
  const nameOf = (entry: string) => {
    const found = outputs.find(([, output]) => output.entryPoint?.endsWith(entry));
    if (!found) throw new Error(`the build has no ${entry}`);
    return basename(found[0]);
  };
  const document = readFileSync(join(SOURCES, "index.html"), "utf8")
    .replace("{script}", ASSETS_PATH + nameOf("main.tsx"))
    .replace("{style}", ASSETS_PATH + nameOf("style.css"))
    .replace("{playerStyle}", ASSETS_PATH + nameOf("player/player.css"))
    .replace("{playerWorker}", ASSETS_PATH + nameOf("asciinema-player/dist/worker.js"));
  return new Map([
    ...outputFiles.map((file) => [nameBelow(file), file.contents] as const),
    ["index.html", new TextEncoder().encode(document)] as const,
  ]);
}

function nameBelow({ path }: OutputFile): string {
  return relative(dirname(join(SOURCES, ASSETS_FOLDER)), path);
}

/** Where the player makes elements of its own templates, in asciinema-player 3.18. */
const PLAYER_SINKS = ["t.innerHTML = html;", "symbol.innerHTML = content;"] as const;

/**
 * The console's pages require trusted types, so nothing can make HTML of text. The player makes its elements
 * of templates in its own source. These two places get a policy that nothing else can reach. Another version
 * of the player may have others: then the build fails, and somebody looks.
 */
const trustedTemplates: Plugin = {
  name: "trusted-templates",
  setup({ onLoad }) {
    onLoad({ filter: /asciinema-player\/dist\/[^/]+\.js$/ }, ({ path }) => {
      const source = readFileSync(path, "utf8");
      const sinks = source.match(/\b(?:inner|outer)HTML\s*=|insertAdjacentHTML|document\.write/g) ?? [];
      if (sinks.length === 0) return { contents: source, loader: "js" };
      let contents = source;
      for (const sink of PLAYER_SINKS) {
        if (contents.split(sink).length !== 2) throw new Error(`${path}: expected one "${sink}"`);
        contents = contents.replace(sink, sink.replace(/= (\w+);/, "= trustedTemplate($1);"));
      }
      if (sinks.length !== PLAYER_SINKS.length) throw new Error(`${path}: ${sinks.length} places make HTML of text`);
      const policy = `import { trustedTemplate } from ${JSON.stringify(join(SOURCES, "player/trusted-template.ts"))};\n`;
      return { contents: policy + contents, loader: "js" };
    });
  },
};

if (process.argv[1] === import.meta.filename) await buildConsole();
