/** Live sessions, which an update of the objects' Worker ends sooner or later. */

export interface LiveSession {
  readonly id: string;
  readonly user: string;
  readonly cluster: string;
  readonly kind: string;
  readonly namespace: string;
  readonly pod: string;
  readonly started_at: number;
}

export const LIVE_SQL =
  "SELECT id, user, cluster, kind, namespace, pod, started_at FROM sessions WHERE state = 'live' ORDER BY started_at";
export const LIVE_COUNT_SQL = "SELECT count(*) AS live FROM sessions WHERE state = 'live'";

const POLL_MS = 15_000;

export interface DrainDependencies {
  readonly live: () => Promise<readonly LiveSession[]>;
  readonly now: () => number;
  readonly wait: (ms: number) => Promise<void>;
  readonly print: (line: string) => void;
}

/**
 * Waits until no session is live, or the time is over.
 *
 * @param patienceMs 0 to look once
 * @returns the sessions that are still live
 */
export async function drain(
  patienceMs: number,
  { live, now, wait, print }: DrainDependencies,
): Promise<readonly LiveSession[]> {
  const until = now() + patienceMs;
  let shown = "";
  for (;;) {
    const sessions = await live();
    if (sessions.length === 0) return sessions;
    // Printed again only when the list changes, so that a long wait does not repeat it.
    const ids = sessions.map(({ id }) => id).join();
    if (ids !== shown) {
      print(`  ${sessions.length} live:`);
      for (const session of sessions) print(`    ${describeSession(session, now())}`);
      shown = ids;
    }
    const left = until - now();
    if (left <= 0) return sessions;
    await wait(Math.min(POLL_MS, left));
  }
}

function describeSession({ user, kind, cluster, namespace, pod, started_at }: LiveSession, now: number): string {
  const minutes = Math.max(0, Math.round((now - started_at) / 60_000));
  return `${user}: ${kind} in ${namespace}/${pod} on ${cluster}, for ${minutes} min`;
}
