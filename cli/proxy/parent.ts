/** Notices when the process that started this one is gone. */

const LOOK_EVERY_MS = 500;

/**
 * Calls back once when the parent has ended. An orphan has another parent, except on Windows, where the old
 * one is asked for.
 *
 * @returns stops looking
 */
export function onParentEnd(callback: () => void): () => void {
  const parent = process.ppid;
  const timer = setInterval(() => {
    if (process.ppid === parent && (process.platform !== "win32" || isAlive(parent))) return;
    clearInterval(timer);
    callback();
  }, LOOK_EVERY_MS);
  timer.unref();
  return () => clearInterval(timer);
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}
