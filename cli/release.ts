/**
 * Builds what is given to people: the file, the executable of this system in an archive, checksums, krew's
 * manifest.
 */
import { createHash } from "node:crypto";
import { readdir, readFile, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { type Zippable, zipSync } from "fflate";
import { err, ok, type Result } from "../common/result.ts";
import { buildPlugin } from "./build.ts";
import { buildExecutable, canBuildExecutable } from "./executable.ts";
import { archiveName, executableName, isArchive, krewManifest } from "./krew.ts";

export interface ReleaseOptions {
  /** Earlier archives of other systems in it become part of the manifest. */
  readonly folder: string;
  /** Builds the executable of this system, too. */
  readonly hasExecutable: boolean;
  /** Where the archives will be, for krew's manifest. Undefined: there is none. */
  readonly krewUrl: string | undefined;
}

const MANIFEST = "sallyport.yaml";
const CHECKSUMS = "SHA256SUMS";
/** Of zip's "version made by": the attributes are Unix'. */
const UNIX = 3;
/** The same content makes the same archive. The first time that the format can have. */
const MADE = new Date(1980, 0, 1);

/**
 * @returns the paths of what was written, or what is missing
 * @throws where a build fails
 */
export async function buildRelease({
  folder,
  hasExecutable,
  krewUrl,
}: ReleaseOptions): Promise<Result<readonly string[], string>> {
  const plugin = join(folder, "kubectl-sallyport");
  await buildPlugin({ outFile: plugin });
  const written = [plugin];
  if (hasExecutable) {
    const archive = await buildArchive(folder);
    if (!archive.ok) return archive;
    written.push(archive.value);
  }
  const archives = (await readdir(folder)).filter(isArchive).sort();
  const sums = await Promise.all(
    ["kubectl-sallyport", ...archives].map(async (file) => ({ file, sha256: await sha256Of(join(folder, file)) })),
  );
  if (krewUrl !== undefined) {
    const { version, homepage } = await packageFacts();
    const manifest = krewManifest({
      version,
      homepage,
      url: krewUrl,
      archives: sums.filter(({ file }) => isArchive(file)),
    });
    if (!manifest.ok) return manifest;
    await writeFile(join(folder, MANIFEST), manifest.value);
    written.push(join(folder, MANIFEST));
  }
  const checksums = join(folder, CHECKSUMS);
  await writeFile(checksums, sums.map(({ file, sha256 }) => `${sha256}  ${file}\n`).join(""));
  return ok([...written, checksums]);
}

async function buildArchive(folder: string): Promise<Result<string, string>> {
  const name = archiveName(process.platform, process.arch);
  if (name === undefined) return err(`krew has no name for ${process.platform} on ${process.arch}`);
  if (!canBuildExecutable())
    return err(`an executable is built with Node.js 25.5 or later; this is ${process.version}`);
  const executable = executableName(name);
  const file = join(folder, "executable", executable);
  await buildExecutable({ outFile: file });
  const entries: Zippable = {
    [executable]: [await readFile(file), attributes(0o755)],
    LICENSE: [await readFile(join(dirname(import.meta.dirname), "LICENSE")), attributes(0o644)],
  };
  const archive = join(folder, name);
  // 150 MB: a higher level takes twice as long, and saves a twentieth.
  await writeFile(archive, zipSync(entries, { level: 1 }));
  return ok(archive);
}

function attributes(mode: number) {
  return { os: UNIX, attrs: mode << 16, mtime: MADE };
}

async function sha256Of(file: string): Promise<string> {
  return createHash("sha256")
    .update(await readFile(file))
    .digest("hex");
}

async function packageFacts(): Promise<{ readonly version: string; readonly homepage?: string }> {
  const text = await readFile(join(dirname(import.meta.dirname), "package.json"), "utf8");
  return JSON.parse(text) as { readonly version: string; readonly homepage?: string };
}
