/** The three limits of a session, and when each of them is reached. Pure: the time is an argument. */

export interface SessionLimits {
  readonly maxSessionsPerUser: number;
  readonly idleTimeoutSeconds: number;
  readonly maxDurationSeconds: number;
}

/** @returns undefined when one more session may open, else the words for the person who asked */
export function refusalByCount(user: string, open: number, limits: SessionLimits): string | undefined {
  if (open < limits.maxSessionsPerUser) return undefined;
  return `${user} has ${open} of ${limits.maxSessionsPerUser} allowed sessions open; end one of them and try again`;
}

export type ReachedLimit = { readonly outcome: "idle_limit" | "duration_limit"; readonly words: string };

/** @returns the limit that a session has reached at `now`, if any. Times in milliseconds. */
export function reachedLimit(
  session: { readonly startedAt: number; readonly activeAt: number },
  limits: SessionLimits,
  now: number,
): ReachedLimit | undefined {
  if (now - session.startedAt >= limits.maxDurationSeconds * 1000) {
    const words = `session ended: it reached the longest duration allowed (${inWords(limits.maxDurationSeconds)})`;
    return { outcome: "duration_limit", words };
  }
  if (now - session.activeAt >= limits.idleTimeoutSeconds * 1000) {
    const words = `session ended: idle for ${inWords(limits.idleTimeoutSeconds)}, the longest allowed`;
    return { outcome: "idle_limit", words };
  }
  return undefined;
}

/** `5400` → `1h30m`, in the manner of kubectl's ages. */
export function inWords(seconds: number): string {
  const hours = Math.floor(seconds / 3600);
  const minutes = Math.floor((seconds % 3600) / 60);
  const rest = seconds % 60;
  return [hours && `${hours}h`, minutes && `${minutes}m`, rest && `${rest}s`].filter(Boolean).join("") || "0s";
}
