/**
 * One process at a time renews or makes a sign-in: a refresh token counts once, and many browsers help nobody.
 *
 * Node.js has no flock, so the lock is a file. It is stale when its process is gone, or has not touched it for a
 * while: another machine on a shared folder, a process that is stopped.
 */
import { randomUUID } from "node:crypto";
import { readFileSync, renameSync, rmSync, statSync, utimesSync, writeFileSync } from "node:fs";
import { hostname } from "node:os";
import { setTimeout as sleep } from "node:timers/promises";
import { errorCode } from "../../common/errors.ts";
import { PluginFailure } from "../failure.ts";

const TOUCH_EVERY_MS = 5_000;
/** Six missed touches. */
const STALE_AFTER_MS = 30_000;
const POLL_MS = 50;
/** Small work of others is waited for in silence. */
const QUIET_MS = 2_000;

export interface LockOptions {
  /** How long to wait for others. */
  readonly timeoutMs: number;
  /** Called once, when the wait is long enough to be noticed. */
  readonly onWait: () => void;
}

interface Holder {
  readonly pid: number;
  readonly host: string;
}

/** What is known of a lock file. */
export interface LockSight {
  /** Undefined: it is not written yet, or not a lock of ours. */
  readonly holder: Holder | undefined;
  readonly ageMs: number;
}

/** Pure. @returns whether nobody holds a lock any more */
export function isStale({ holder, ageMs }: LockSight, host: string, isAlive: (pid: number) => boolean): boolean {
  return ageMs > STALE_AFTER_MS || (holder?.host === host && !isAlive(holder.pid));
}

/** Does `work` while it holds the lock. @throws PluginFailure `busy` when others hold it for too long */
export async function withLock<T>(
  path: string,
  { timeoutMs, onWait }: LockOptions,
  work: () => Promise<T>,
): Promise<T> {
  const own = JSON.stringify({ pid: process.pid, host: hostname(), nonce: randomUUID() });
  await acquire(path, own, timeoutMs, onWait).catch((error: unknown) => {
    if (error instanceof PluginFailure) throw error;
    throw new PluginFailure("store", `cannot use ${path} (${errorCode(error)}): SALLYPORT_HOME names another folder`);
  });
  const touching = setInterval(() => touch(path, own), TOUCH_EVERY_MS);
  touching.unref();
  try {
    return await work();
  } finally {
    clearInterval(touching);
    if (readIfAny(path) === own) rmSync(path, { force: true });
  }
}

async function acquire(path: string, own: string, timeoutMs: number, onWait: () => void): Promise<void> {
  const start = performance.now();
  let hasTold = false;
  while (!tryCreate(path, own)) {
    removeIfStale(path);
    const waitedMs = performance.now() - start;
    if (waitedMs > timeoutMs) {
      throw new PluginFailure("busy", `another kubectl-sallyport is still signing in: end it, or remove ${path}`);
    }
    if (waitedMs > QUIET_MS && !hasTold) {
      hasTold = true;
      onWait();
    }
    await sleep(POLL_MS * (0.5 + Math.random()));
  }
}

function tryCreate(path: string, content: string): boolean {
  try {
    writeFileSync(path, content, { mode: 0o600, flag: "wx" });
    return true;
  } catch (error) {
    // Windows says EPERM or EBUSY while another process removes the file.
    if (errorCode(error) === "EEXIST" || (process.platform === "win32" && errorCode(error) !== "ENOENT")) return false;
    throw error;
  }
}

function removeIfStale(path: string): void {
  const content = readIfAny(path);
  const ageMs = ageOf(path);
  if (content === undefined || ageMs === undefined) return;
  if (!isStale({ holder: parseHolder(content), ageMs }, hostname(), isProcessAlive)) return;
  // Renamed first: of several that see it, one removes it. What was renamed may be a newer lock; that goes back.
  const aside = `${path}.${randomUUID()}.stale`;
  try {
    renameSync(path, aside);
    const moved = readIfAny(aside);
    if (moved !== undefined && moved !== content) tryCreate(path, moved);
  } catch (error) {
    if (errorCode(error) !== "ENOENT") throw error;
  } finally {
    rmSync(aside, { force: true });
  }
}

function touch(path: string, own: string): void {
  try {
    if (readIfAny(path) === own) utimesSync(path, new Date(), new Date());
  } catch {
    // It was taken over as stale. The work goes on; what it finds out is compared with the store.
  }
}

function readIfAny(path: string): string | undefined {
  try {
    return readFileSync(path, "utf8");
  } catch (error) {
    if (errorCode(error) === "ENOENT") return undefined;
    throw error;
  }
}

function ageOf(path: string): number | undefined {
  const stat = statSync(path, { throwIfNoEntry: false });
  return stat && Date.now() - stat.mtimeMs;
}

function parseHolder(text: string): Holder | undefined {
  try {
    const { pid, host } = JSON.parse(text) as Partial<Holder>;
    return typeof pid === "number" && typeof host === "string" ? { pid, host } : undefined;
  } catch {
    return undefined;
  }
}

function isProcessAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    // EPERM: it is alive and belongs to another user.
    return errorCode(error) === "EPERM";
  }
}
