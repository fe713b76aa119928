/**
 * Finds the workerd of a local stack. Each has its state directory in its environment, so that it can be
 * identified even after a SIGKILL of its parent. This reads /proc; on other systems nothing is found and
 * nothing is ended.
 */
import { readdirSync, readFileSync } from "node:fs";
import { setTimeout as delay } from "node:timers/promises";

/** Environment variable that identifies a workerd. Its value is the state directory. */
export const STATE_DIR_MARK = "SALLYPORT_STATE_DIR";

/** The mark of the objects' workerd, where they have one of their own. */
export function objectsMark(stateDir: string): string {
  return `${stateDir}#objects`;
}

const ENDING_PATIENCE_MS = 5_000;

/** @returns a process's start in clock ticks since boot; together with the pid it identifies the process */
export function processStartTime(pid: number): string | undefined {
  // The second field is the program's name in parentheses. It may contain spaces, so count after it.
  const afterName = readProc(pid, "stat")?.split(") ").at(-1);
  return afterName?.split(" ")[19];
}

/** @returns the pids of the workerd processes that belong to a state directory */
export function findWorkerd(stateDir: string): number[] {
  const mark = `${STATE_DIR_MARK}=${stateDir}`;
  return listPids().filter((pid) => {
    const program = readProc(pid, "cmdline")?.split("\0")[0];
    return program?.includes("workerd") && readProc(pid, "environ")?.split("\0").includes(mark);
  });
}

/** Ends every workerd that a killed run left behind. @returns their pids */
export async function endLeftoverWorkerd(stateDir: string): Promise<number[]> {
  const leftover = findWorkerd(stateDir);
  for (const pid of leftover) process.kill(pid, "SIGKILL");
  const deadline = Date.now() + ENDING_PATIENCE_MS;
  // Its ports are free only after it has exited.
  while (findWorkerd(stateDir).length > 0 && Date.now() < deadline) await delay(20);
  return leftover;
}

function listPids(): number[] {
  try {
    return readdirSync("/proc")
      .filter((name) => /^\d+$/.test(name))
      .map(Number);
  } catch {
    return [];
  }
}

/** @returns undefined if the process has exited, belongs to another user, or the system has no /proc */
function readProc(pid: number, file: "cmdline" | "environ" | "stat"): string | undefined {
  try {
    return readFileSync(`/proc/${pid}/${file}`, "utf8");
  } catch {
    return undefined;
  }
}
