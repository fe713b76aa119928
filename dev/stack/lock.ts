/** Allows one running stack per state directory, because two would write to the same databases. */
import { randomUUID } from "node:crypto";
import { linkSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { errorCode } from "../../common/errors.ts";
import { StackError } from "./errors.ts";
import { processStartTime } from "./processes.ts";

interface Holder {
  readonly pid: number;
  /** Distinguishes the holder from a later process with the same pid. Unknown on systems without /proc. */
  readonly startTime?: string | undefined;
  /** Distinguishes two locks of one process. */
  readonly nonce: string;
}

/**
 * Takes the lock.
 *
 * @returns a function that releases it, and does nothing the second time
 * @throws StackError if another process (or this one) holds it
 */
export function takeLock(path: string, stateDir: string): () => void {
  const self: Holder = { pid: process.pid, startTime: processStartTime(process.pid), nonce: randomUUID() };
  const text = JSON.stringify(self);
  for (;;) {
    if (createWithContent(path, text)) return () => release(path, text);
    const seen = readText(path);
    if (seen === undefined) continue;
    const holder = parseHolder(seen);
    if (holder && isAlive(holder)) {
      throw new StackError(
        `another local stack (pid ${holder.pid}) is running with the state directory ${stateDir}\n` +
          "Stop it first, or use another directory for this one: npm start -- --state DIR",
      );
    }
    removeStale(path, seen);
  }
}

/** `link` makes name and content appear at once, so that a reader never sees an empty lock. */
function createWithContent(path: string, text: string): boolean {
  const temporary = `${path}.${randomUUID()}.tmp`;
  writeFileSync(temporary, text, { mode: 0o600, flag: "wx" });
  try {
    linkSync(temporary, path);
    return true;
  } catch (error) {
    if (errorCode(error) === "EEXIST") return false;
    throw error;
  } finally {
    rmSync(temporary, { force: true });
  }
}

/** Removes the lock only if it is still the stale one: another process may have replaced it. */
function removeStale(path: string, stale: string): void {
  const aside = `${path}.${randomUUID()}.stale`;
  try {
    renameSync(path, aside);
  } catch (error) {
    if (errorCode(error) === "ENOENT") return;
    throw error;
  }
  const moved = readText(aside);
  if (moved !== undefined && moved !== stale) createWithContent(path, moved);
  rmSync(aside, { force: true });
}

function release(path: string, own: string): void {
  if (readText(path) === own) rmSync(path, { force: true });
}

function readText(path: string): string | undefined {
  try {
    return readFileSync(path, "utf8");
  } catch (error) {
    if (errorCode(error) === "ENOENT") return undefined;
    throw error;
  }
}

function parseHolder(text: string): Holder | undefined {
  try {
    const value: unknown = JSON.parse(text);
    if (typeof value !== "object" || value === null || !("pid" in value) || typeof value.pid !== "number")
      return undefined;
    const startTime = "startTime" in value && typeof value.startTime === "string" ? value.startTime : undefined;
    return { pid: value.pid, startTime, nonce: "" };
  } catch {
    return undefined;
  }
}

function isAlive(holder: Holder): boolean {
  try {
    process.kill(holder.pid, 0);
  } catch (error) {
    // EPERM: it is alive and belongs to another user.
    if (errorCode(error) !== "EPERM") return false;
  }
  const startTime = processStartTime(holder.pid);
  return holder.startTime === undefined || startTime === undefined || holder.startTime === startTime;
}
