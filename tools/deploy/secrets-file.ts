import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

/**
 * Gives wrangler secrets, which must not stand in its arguments: everybody on the machine can read those.
 *
 * @param secrets by name; undefined or none for no file
 * @param work is given wrangler's arguments for them
 */
export async function withSecretsFile<T>(
  secrets: Readonly<Record<string, string>> | undefined,
  work: (args: readonly string[]) => Promise<T>,
): Promise<T> {
  if (!secrets) return work([]);
  // The folder is its owner's alone.
  const folder = mkdtempSync(join(tmpdir(), "sallyport-secrets-"));
  try {
    const file = join(folder, "secrets.json");
    writeFileSync(file, JSON.stringify(secrets), { mode: 0o600 });
    return await work(["--secrets-file", file]);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
