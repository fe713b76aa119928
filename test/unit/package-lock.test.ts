import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";

/** One installed package, as `package-lock.json` (lockfileVersion 3) describes it. */
type LockedPackage = {
  readonly version?: string;
  readonly resolved?: string;
  readonly integrity?: string;
  readonly inBundle?: boolean;
  readonly os?: string | readonly string[];
  readonly cpu?: string | readonly string[];
  readonly libc?: unknown;
  readonly optionalDependencies?: Readonly<Record<string, string>>;
};
type LockedPackages = Readonly<Record<string, LockedPackage>>;

const packageJson = JSON.parse(readFileSync("package.json", "utf8")) as Record<string, unknown>;
const locked = (JSON.parse(readFileSync("package-lock.json", "utf8")) as { packages: LockedPackages }).packages;

/** The platforms that people install on: Node.js's `process.platform` and `process.arch`. */
const PLATFORMS = ["darwin-arm64", "darwin-x64", "linux-arm64", "linux-x64", "win32-x64"];

describe("package-lock.json", () => {
  test("has an entry for every optional dependency, so that npm ci works on every platform", () => {
    expect(missingOptionalDependencies(locked)).toEqual([]);
  });

  test("reports a removed platform build", () => {
    const { "node_modules/@biomejs/cli-darwin-arm64": removed, ...rest } = locked;
    expect(removed).toBeDefined();
    expect(missingOptionalDependencies(rest)).toEqual([
      `node_modules/@biomejs/biome: @biomejs/cli-darwin-arm64@${removed?.version}`,
    ]);
  });

  test("has builds for macOS, Linux and Windows of every package that has platform builds", () => {
    const packages = packagesWithPlatformBuilds(locked);
    expect([...packages.keys()]).toEqual(
      expect.arrayContaining([
        "",
        "node_modules/@biomejs/biome",
        "node_modules/@lydell/node-pty",
        "node_modules/esbuild",
        "node_modules/lightningcss",
        "node_modules/rolldown",
        "node_modules/sharp",
        "node_modules/typescript",
        "node_modules/workerd",
      ]),
    );
    for (const [path, platforms] of packages) {
      expect(platforms, path).toEqual(expect.arrayContaining(PLATFORMS));
    }
  });

  test("pins one version of Node.js for all platforms", () => {
    const versions = Object.entries(locked[""]?.optionalDependencies ?? {}).filter(([name]) =>
      name.startsWith("node-"),
    );
    expect(versions).toHaveLength(PLATFORMS.length);
    expect(new Set(versions.map(([, version]) => version)).size).toBe(1);
  });

  test("pins every package by its integrity and names no registry", () => {
    const entries = Object.entries(locked).filter(([path, { inBundle }]) => path !== "" && inBundle !== true);
    expect(entries.filter(([, { integrity }]) => !integrity?.startsWith("sha512-")).map(([path]) => path)).toEqual([]);
    expect(entries.filter(([, { resolved }]) => resolved !== undefined).map(([path]) => path)).toEqual([]);
  });

  test("has the form that npm 10 writes, so that npm install leaves it unchanged with every npm", () => {
    // npm 10 deletes `libc`, npm 11.12 and later keep the file as it is. `npm run lock` writes this form.
    expect(Object.keys(locked).filter((path) => locked[path]?.libc !== undefined)).toEqual([]);
  });

  test("describes package.json as it is", () => {
    for (const field of ["name", "version", "license", "bin", "engines"].concat(DEPENDENCY_FIELDS)) {
      expect((locked[""] as Record<string, unknown>)[field], field).toEqual(packageJson[field]);
    }
  });
});

const DEPENDENCY_FIELDS = ["dependencies", "devDependencies", "optionalDependencies"];

/** The dependents' paths and the optional dependencies that have no entry, or one of another version. */
function missingOptionalDependencies(packages: LockedPackages): string[] {
  return Object.entries(packages).flatMap(([path, { optionalDependencies = {} }]) =>
    Object.entries(optionalDependencies)
      .filter(([name, range]) => {
        const found = resolve(packages, path, name);
        return found === undefined || (/^\d/.test(range) && found.version !== range);
      })
      .map(([name, range]) => `${path}: ${name}@${range}`),
  );
}

/**
 * The path of each package some of whose optional dependencies are for one platform only → those platforms.
 */
function packagesWithPlatformBuilds(packages: LockedPackages): Map<string, string[]> {
  const found = new Map<string, string[]>();
  for (const [path, { optionalDependencies = {} }] of Object.entries(packages)) {
    const builds = Object.keys(optionalDependencies).flatMap((name) => {
      const build = resolve(packages, path, name);
      return build?.os === undefined || build.cpu === undefined ? [] : [build];
    });
    // A build that itself has optional dependencies (sharp's, on libvips) is not what people choose a
    // platform by.
    if (builds.length > 1) {
      found.set(
        path,
        builds.flatMap(({ os, cpu }) =>
          [os].flat().flatMap((system) => [cpu].flat().map((arch) => `${system}-${arch}`)),
        ),
      );
    }
  }
  return found;
}

/**
 * Finds a dependency as Node.js does: in the dependent's own node_modules, then in those of the folders
 * above.
 */
function resolve(packages: LockedPackages, dependent: string, name: string): LockedPackage | undefined {
  for (let folder = dependent; ; folder = folder.slice(0, Math.max(folder.lastIndexOf("/node_modules/"), 0))) {
    const found = packages[`${folder}${folder === "" ? "" : "/"}node_modules/${name}`];
    if (found !== undefined || folder === "") {
      return found;
    }
  }
}
