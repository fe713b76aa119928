/** Replaces a file of the person's as they have it: behind its links, with its owner and its mode. */
import { readlinkSync, realpathSync, statSync, writeFileSync } from "node:fs";
import { dirname, resolve } from "node:path";
import { errorCode } from "../../common/errors.ts";
import { writePrivateFile } from "../store/atomic-file.ts";

/** Linux's own limit (path_resolution(7)). */
const MAX_LINKS = 40;

/**
 * What forbids to put a new file into an old one's place: a folder that is not ours, an owner that we cannot
 * give it to, a file that is mounted by itself, as into a container.
 */
const CANNOT_REPLACE = new Set(["EACCES", "EBUSY", "EPERM", "EROFS", "EXDEV"]);

/** @returns where a path leads, also where nothing is there yet. A link stays a link, as with kubectl */
export function followLinks(path: string): string {
  let file = path;
  for (let followed = 0; followed < MAX_LINKS; followed++) {
    const target = linkTarget(file);
    if (target === undefined) return file;
    file = resolve(realpathSync(dirname(file)), target);
  }
  throw Object.assign(new Error(`too many links: ${path}`), { code: "ELOOP" });
}

/** @returns undefined for what is no link, or is not there */
function linkTarget(path: string): string | undefined {
  try {
    return readlinkSync(path);
  } catch {
    return undefined;
  }
}

/** Writes a file at once, or where that is forbidden in its place, as kubectl does. A new one is private. */
export function replaceFile(path: string, content: string): void {
  const present = statSync(path, { throwIfNoEntry: false });
  if (!present) {
    writePrivateFile(path, content);
    return;
  }
  // Another name of the file would keep the old content.
  if (present.nlink === 1) {
    try {
      writePrivateFile(path, content, { mode: present.mode & 0o777, owner: present });
      return;
    } catch (error) {
      if (!CANNOT_REPLACE.has(errorCode(error) ?? "")) throw error;
    }
  }
  writeFileSync(path, content);
}
