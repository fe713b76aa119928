/**
 * One process at a time renews or makes a sign-in: a refresh token counts once, and many browsers help
 * nobody.
 *
 * Node.js has no flock, so the lock is a file. It is stale when its process is gone, or has not touched it
 * for a while: another machine on a shared folder, a process that is stopped. The while is measured by
 * whoever waits, and never by comparing clocks: another machine's may be wrong, and any clock is set now and
 * then. A laptop that was asleep has touched nothing, but its clock has gone on.
 */
import { randomUUID } from "node:crypto";
import { readFileSync, readlinkSync, renameSync, rmSync, statSync, utimesSync, writeFileSync } from "node:fs";
import { hostname } from "node:os";
import { setTimeout as sleep } from "node:timers/promises";
import { errorCode } from "../../common/errors.ts";
import { PluginFailure } from "../failure.ts";
import { isPassing, retryPassing } from "./windows.ts";

const TOUCH_EVERY_MS = 5_000;
/** Six missed touches. */
const STALE_AFTER_MS = 30_000;
const POLL_MS = 50;
/** A longer pause between two looks, as while the machine sleeps, says nothing about the holder. */
const MAX_STEP_MS = 1_000;
/** Small work of others is waited for in silence. */
const QUIET_MS = 2_000;

export interface LockOptions {
  /** How long to wait for others. */
  readonly timeoutMs: number;
  /** Called once, when the wait is long enough to be noticed. */
  readonly onWait: () => void;
  /** Tests pass their own. */
  readonly clock?: LockClock;
}

/** A clock that nobody sets. Whether it goes on while the machine sleeps differs between systems. */
export interface LockClock {
  readonly now: () => number;
  readonly sleep: (ms: number) => Promise<unknown>;
}

const OWN_CLOCK: LockClock = { now: () => performance.now(), sleep };

/** Where a process id means the same process: see {@link ownPlace}. */
interface Holder {
  readonly pid: number;
  readonly host: string;
}

/** What is known of a lock file. */
export interface LockSight {
  /** Undefined: it is not written yet, or not a lock of ours. */
  readonly holder: Holder | undefined;
  /** How long it has been the same, by the clock of whoever waits. */
  readonly unchangedMs: number;
}

/** Pure. @returns whether nobody holds a lock any more */
export function isStale({ holder, unchangedMs }: LockSight, host: string, isAlive: (pid: number) => boolean): boolean {
  return unchangedMs > STALE_AFTER_MS || (holder?.host === host && !isAlive(holder.pid));
}

/**
 * This machine, and in Linux the namespace of its process ids: containers can share a folder and the name of
 * their host, and one's process 7 is another one's.
 */
export function ownPlace(readNamespace: () => string = () => readlinkSync("/proc/self/ns/pid")): string {
  try {
    return `${hostname()} ${readNamespace()}`;
  } catch {
    return hostname();
  }
}

/** Does `work` while it holds the lock. @throws PluginFailure `busy` when others hold it for too long */
export async function withLock<T>(path: string, options: LockOptions, work: () => Promise<T>): Promise<T> {
  const own = JSON.stringify({ pid: process.pid, host: ownPlace(), nonce: randomUUID() });
  await acquire(path, own, ownPlace(), options).catch((error: unknown) => {
    if (error instanceof PluginFailure) throw error;
    throw new PluginFailure("store", `cannot use ${path} (${errorCode(error)}): SALLYPORT_HOME names another folder`);
  });
  const touching = setInterval(() => touch(path, own), TOUCH_EVERY_MS);
  touching.unref();
  try {
    return await work();
  } finally {
    clearInterval(touching);
    release(path, own);
  }
}

/** What was done counts, also where the file cannot be removed: it becomes stale with this process. */
function release(path: string, own: string): void {
  try {
    if (readIfAny(path) === own) retryPassing(() => rmSync(path, { force: true }));
  } catch {
    // Whoever comes next takes it over.
  }
}

async function acquire(
  path: string,
  own: string,
  place: string,
  { timeoutMs, onWait, clock = OWN_CLOCK }: LockOptions,
): Promise<void> {
  const start = clock.now();
  let hasTold = false;
  let seen: { readonly state: string; readonly atMs: number; readonly unchangedMs: number } | undefined;
  for (;;) {
    const failure = tryCreate(path, own);
    if (failure === undefined) return;
    const nowMs = clock.now();
    const lock = look(path);
    if (lock) {
      const isSame = seen !== undefined && lock.state === seen.state;
      const unchangedMs = isSame && seen ? seen.unchangedMs + Math.min(nowMs - seen.atMs, MAX_STEP_MS) : 0;
      seen = { state: lock.state, atMs: nowMs, unchangedMs };
      const sight = { holder: parseHolder(lock.content), unchangedMs };
      if (isStale(sight, place, isProcessAlive)) remove(path, lock.content);
    }
    const waitedMs = nowMs - start;
    // Nobody has it, so it is not another process that is in the way.
    if (!lock && errorCode(failure) !== "EEXIST" && waitedMs > QUIET_MS) throw failure;
    if (waitedMs > timeoutMs) {
      throw new PluginFailure("busy", `another kubectl-sallyport is still signing in: end it, or remove ${path}`);
    }
    if (waitedMs > QUIET_MS && !hasTold) {
      hasTold = true;
      onWait();
    }
    await clock.sleep(POLL_MS * (0.5 + Math.random()));
  }
}

/** @returns undefined where it is created, or the failure that may pass. @throws another failure */
function tryCreate(path: string, content: string): unknown {
  try {
    writeFileSync(path, content, { mode: 0o600, flag: "wx" });
    return undefined;
  } catch (error) {
    if (errorCode(error) === "EEXIST" || isPassing(error)) return error;
    throw error;
  }
}

/** @returns undefined where there is no lock, or Windows does not let anybody look at it just now */
function look(path: string): { readonly content: string; readonly state: string } | undefined {
  const content = readIfAny(path);
  if (content === undefined) return undefined;
  try {
    const stat = statSync(path, { throwIfNoEntry: false });
    return stat && { content, state: `${stat.mtimeMs} ${content}` };
  } catch (error) {
    if (isPassing(error)) return undefined;
    throw error;
  }
}

/** Removes a stale lock, and no newer one. */
function remove(path: string, content: string): void {
  // Renamed first: of several that see it, one removes it. What was renamed may be a newer lock; that goes
  // back.
  const aside = `${path}.${randomUUID()}.stale`;
  try {
    renameSync(path, aside);
    const moved = readIfAny(aside);
    if (moved !== undefined && moved !== content) tryCreate(path, moved);
  } catch (error) {
    if (errorCode(error) !== "ENOENT" && !isPassing(error)) throw error;
  } finally {
    retryPassing(() => rmSync(aside, { force: true }));
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
    if (errorCode(error) === "ENOENT" || isPassing(error)) return undefined;
    throw error;
  }
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
