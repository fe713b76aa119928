/**
 * The manifest with which krew, kubectl's plugin manager, installs the plugin: https://krew.sigs.k8s.io.
 * Pure.
 */
import { stringify } from "yaml";
import { err, ok, type Result } from "../common/result.ts";

/** One archive of a release. */
export interface ReleaseArchive {
  /** `kubectl-sallyport-OS-ARCH.zip`, see {@link archiveName}. */
  readonly file: string;
  /** Hexadecimal. */
  readonly sha256: string;
}

export interface KrewRelease {
  readonly version: string;
  /** Where the archives can be downloaded from, without the file's name. */
  readonly url: string;
  readonly homepage?: string | undefined;
  readonly archives: readonly ReleaseArchive[];
}

/** Node.js' names of systems and processors, and Go's, which krew uses. */
const SYSTEMS: Readonly<Record<string, string>> = { linux: "linux", darwin: "darwin", win32: "windows" };
const PROCESSORS: Readonly<Record<string, string>> = { x64: "amd64", arm64: "arm64" };

const ARCHIVE = /^kubectl-sallyport-([a-z]+)-([a-z0-9]+)\.zip$/;

/** @returns the name of an archive for a system, or undefined for one that krew has no name for */
export function archiveName(platform: string, arch: string): string | undefined {
  const [os, processor] = [SYSTEMS[platform], PROCESSORS[arch]];
  return os && processor && `kubectl-sallyport-${os}-${processor}.zip`;
}

/** @returns the name of the executable in an archive */
export function executableName(archive: string): string {
  return archive.includes("-windows-") ? "kubectl-sallyport.exe" : "kubectl-sallyport";
}

/** @returns the manifest as YAML, or what is missing for one */
export function krewManifest({ version, url, homepage, archives }: KrewRelease): Result<string, string> {
  if (archives.length === 0) return err("there is no archive to install: build one with --executable");
  if (!URL.canParse(url) || new URL(url).protocol !== "https:") return err("krew downloads from https addresses only");
  const base = url.endsWith("/") ? url : `${url}/`;
  const platforms = archives.map(({ file, sha256 }) => {
    const [, os = "", arch = ""] = ARCHIVE.exec(file) ?? [];
    const executable = executableName(file);
    return {
      selector: { matchLabels: { os, arch } },
      uri: new URL(file, base).href,
      sha256,
      files: [
        { from: executable, to: "." },
        { from: "LICENSE", to: "." },
      ],
      bin: executable,
    };
  });
  return ok(
    stringify({
      apiVersion: "krew.googlecontainertools.github.com/v1alpha2",
      kind: "Plugin",
      metadata: { name: "sallyport" },
      spec: {
        version: `v${version}`,
        ...(homepage !== undefined && { homepage }),
        shortDescription: "Sign in to clusters behind Cloudflare Access",
        description:
          "Signs you in to clusters behind Sallyport, without a VPN: a credential plugin for kubectl and every other\n" +
          "client that runs one. Writes kubeconfigs, and shows and ends your sessions.\n",
        platforms,
      },
    }),
  );
}

/** @returns whether a file of a release is one of its archives */
export function isArchive(file: string): boolean {
  return ARCHIVE.test(file);
}
