import { readFileSync } from "node:fs";

/** The resident set of a process. Linux only. */
export function residentMiB(pid: number | undefined): number {
  const status = pid === undefined ? "" : readFileSync(`/proc/${pid}/status`, "utf8");
  const [, kib] = /^VmRSS:\s+(\d+) kB$/m.exec(status) ?? [];
  if (kib === undefined) throw new Error("workerd is not running");
  return Number(kib) / 1024;
}
