/** Bundles a Worker exactly as a deploy uploads it, and makes the tag of the version. */
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { buildConsole } from "../../console/build.ts";
import { CONTRACT_VERSION } from "../../contract/version.ts";
import { OperatorError } from "../deployment/operator-error.ts";
import type { VersionTag } from "../deployment/version-tag.ts";
import { type Wrangler, wranglerOutput } from "../ports/wrangler.ts";
import { type BundleFile, type FingerprintedConfiguration, fingerprint } from "./fingerprint.ts";

/** One of a deployment's two Workers. */
export interface DeployedWorker {
  readonly name: string;
  readonly configuration: FingerprintedConfiguration;
  /** wrangler, run with this configuration. */
  readonly wrangler: Wrangler;
}

export interface Build {
  readonly tag: VersionTag;
  /** wrangler's line about the size. */
  readonly size: string | undefined;
  /** wrangler's warnings: one may be about a field that it does not know. */
  readonly warnings: string | undefined;
}

/** @throws OperatorError with wrangler's message; nothing has been changed anywhere */
export async function buildWorker({ name, configuration, wrangler }: DeployedWorker): Promise<Build> {
  const folder = mkdtempSync(join(tmpdir(), "sallyport-bundle-"));
  try {
    if (configuration.alias) await buildConsole();
    const finished = await wrangler(["deploy", "--dry-run", "--outdir", folder]);
    if (finished.code !== 0) {
      throw new OperatorError(`wrangler could not bundle ${name}:\n${wranglerOutput(finished)}`);
    }
    return {
      tag: { contract: CONTRACT_VERSION, bundle: fingerprint(readBundle(folder), configuration) },
      size: /Total Upload: .*/.exec(finished.stdout)?.[0],
      warnings: finished.stderr.includes("WARNING") ? finished.stderr.trim() : undefined,
    };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** All modules of a bundle; wrangler writes source maps and a note beside them. */
function readBundle(folder: string): BundleFile[] {
  return readdirSync(folder)
    .filter((name) => !name.endsWith(".map") && name !== "README.md")
    .map((name) => ({ name, content: readFileSync(join(folder, name), "latin1") }));
}
