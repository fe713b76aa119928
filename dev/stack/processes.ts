/**
 * Finding our own workerd. Every workerd of a local stack carries the state directory in its
 * environment, so that one process can be told from everybody else's, also after a SIGKILL of its parent
 * at any moment. This reads /proc; on other systems nothing is found, and nothing is ended.
 */
import { readdirSync, readFileSync } from "node:fs";
import { setTimeout as delay } from "node:timers/promises";

/** Environment variable by which a workerd says whose it is. Its value is the state directory. */
export const STATE_DIR_MARK = "SALLYPORT_STATE_DIR";

const ENDING_PATIENCE_MS = 5_000;

/** A process's start, in clock ticks since boot: with the pid, it names one process for ever. */
export function processStartTime(pid: number): string | undefined {
  // The second field is the program's name in parentheses and may hold spaces: count after it.
  const afterName = readProc(pid, "stat")?.split(") ").at(-1);
  return afterName?.split(" ")[19];
}

/** Pids of the workerd processes that belong to a state directory. */
export function findWorkerd(stateDir: string): number[] {
  const mark = `${STATE_DIR_MARK}=${stateDir}`;
  return listPids().filter((pid) => {
    const program = readProc(pid, "cmdline")?.split("\0")[0];
    return program?.includes("workerd") && readProc(pid, "environ")?.split("\0").includes(mark);
  });
}

/** Ends what a killed run left behind. Returns the pids it ended. */
export async function endLeftoverWorkerd(stateDir: string): Promise<number[]> {
  const leftover = findWorkerd(stateDir);
  for (const pid of leftover) process.kill(pid, "SIGKILL");
  const deadline = Date.now() + ENDING_PATIENCE_MS;
  // Its ports are free only once it is gone.
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

/** Undefined when the process is gone, is another user's, or the system has no /proc. */
function readProc(pid: number, file: "cmdline" | "environ" | "stat"): string | undefined {
  try {
    return readFileSync(`/proc/${pid}/${file}`, "utf8");
  } catch {
    return undefined;
  }
}
