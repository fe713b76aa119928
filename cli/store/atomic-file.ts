import { randomUUID } from "node:crypto";
import { chmodSync, chownSync, renameSync, rmSync, statSync, writeFileSync } from "node:fs";
import { retryPassing } from "./windows.ts";

export interface FileOwner {
  readonly uid: number;
  readonly gid: number;
}

/**
 * Writes a file so that no reader sees half of it, and, on systems with modes, nobody but its owner reads it.
 *
 * @param owner whose it shall be. Default: whoever runs this
 */
export function writePrivateFile(
  path: string,
  content: string,
  { mode = 0o600, owner }: { readonly mode?: number; readonly owner?: FileOwner } = {},
): void {
  const temporary = `${path}.${randomUUID()}.tmp`;
  try {
    writeFileSync(temporary, content, { mode, flag: "wx" });
    if (owner) giveTo(temporary, owner);
    // The umask may have taken bits away, never added any.
    chmodSync(temporary, mode);
    retryPassing(() => renameSync(temporary, path));
  } catch (error) {
    rmSync(temporary, { force: true });
    throw error;
  }
}

function giveTo(path: string, { uid, gid }: FileOwner): void {
  const made = statSync(path);
  if (made.uid !== uid || made.gid !== gid) chownSync(path, uid, gid);
}
