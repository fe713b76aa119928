import { readdirSync, readFileSync } from "node:fs";

/** Signals the process group that a process leads, if it still exists. */
export function signalGroup(pid: number, signal: NodeJS.Signals): void {
  if (pid <= 0) return;
  try {
    process.kill(-pid, signal);
  } catch {
    // It has already ended.
  }
}

/**
 * Kills what is left of the session that an ended process led. A container's processes end with its first
 * one, and nothing that was started here may remain on the user's machine. The jobs of a shell on a terminal
 * have process groups of their own; on Linux they are found by their session.
 */
export function endSession(pid: number): void {
  signalGroup(pid, "SIGKILL");
  for (const member of sessionMembers(pid)) signalGroup(member, "SIGKILL");
}

// /proc/N/stat: pid (name) state parent group session ...; the name may contain spaces and parentheses.
function sessionMembers(session: number): Set<number> {
  const groups = new Set<number>();
  if (process.platform !== "linux") return groups;
  for (const entry of readdirSync("/proc")) {
    if (!/^\d+$/.test(entry)) continue;
    try {
      const stat = readFileSync(`/proc/${entry}/stat`, "latin1");
      const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
      if (fields[3] === String(session)) groups.add(Number(fields[2]));
    } catch {
      // It ended meanwhile.
    }
  }
  return groups;
}
