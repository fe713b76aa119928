/** Live sessions, which an update of the objects' Worker ends sooner or later, and how to have none. */

import { messageOf } from "../../common/errors.ts";
import { MAX_DRAIN_MS } from "../../contract/drain.ts";
import type { DrainState, DrainSwitch, LiveSession } from "../deployment/drain-switch.ts";
import { OperatorError } from "../deployment/operator-error.ts";

export const LIVE_COUNT_SQL = "SELECT count(*) AS live FROM sessions WHERE state = 'live'";

const POLL_MS = 15_000;
/** Isolates of the edge learn of a drain within 3 s. Until then sessions may open, and must be seen. */
export const SETTLE_MS = 5_000;
/** Uploads and checks take minutes. A drain that nobody ends, because the machine is gone, is over after these. */
const DEPLOY_MS = 20 * 60_000;
/** The longest wait whose drain the admin API accepts, with time to spare for a clock that is fast. */
export const MAX_PATIENCE_MS = MAX_DRAIN_MS - 60 * 60_000;

export interface WaitDependencies {
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
export async function waitForSessions(
  patienceMs: number,
  { live, now, wait, print }: WaitDependencies,
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

/** Who has new sessions refused, until when and why, as a sentence. */
export function describeDrain({ draining, by, reason, until }: DrainState): string {
  return draining ? `New sessions are refused until ${until} (${by}: ${reason}).` : "New sessions open.";
}

export interface DrainDependencies extends Omit<WaitDependencies, "live"> {
  readonly drain: DrainSwitch;
  /**
   * Runs what Ctrl-C (or SIGTERM) must not stop in the middle: it gets a signal that aborts instead, and the
   * program goes on to the end of the work.
   */
  readonly interruptible: <T>(work: (signal: AbortSignal) => Promise<T>) => Promise<T>;
}

/** What the work of a drain may use. */
export interface Drained {
  /** Waits for live sessions. @returns those that are left when the time is over */
  readonly waitForSessions: () => Promise<readonly LiveSession[]>;
  /** To be called between two steps. @throws OperatorError after Ctrl-C */
  readonly checkInterrupted: () => void;
}

/**
 * Refuses new sessions while the work is done, and lets them open again afterwards: also where it fails, and
 * after Ctrl-C. A drain that somebody else has begun stays as it is.
 *
 * @param reason people who are refused read it
 * @param patienceMs how long to wait for live sessions
 * @throws OperatorError where the switch cannot be used, and whatever the work throws
 */
export function whileDrained<T>(
  reason: string,
  patienceMs: number,
  dependencies: DrainDependencies,
  work: (drained: Drained) => Promise<T>,
): Promise<T> {
  const { drain, now, print } = dependencies;
  return dependencies.interruptible(async (signal) => {
    const before = await drain.read();
    const own = before.draining ? undefined : await drain.begin(reason, now() + patienceMs + DEPLOY_MS);
    print(own ? describeDrain(own) : `${describeDrain(before)} That is not this command's, and stays.`);
    const checkInterrupted = () => {
      if (signal.aborted) throw new OperatorError("interrupted: the steps before are done; run it again to go on");
    };
    /** In short turns, so that Ctrl-C is heard. */
    const wait = async (ms: number) => {
      const until = now() + ms;
      while (now() < until && !signal.aborted) await dependencies.wait(Math.min(1_000, until - now()));
      checkInterrupted();
    };
    const drained: Drained = {
      checkInterrupted,
      waitForSessions: async () => {
        await wait(SETTLE_MS);
        print(`Waiting up to ${Math.round(patienceMs / 60_000)} min for live sessions to end ...`);
        return waitForSessions(patienceMs, { live: () => drain.live(), now, wait, print });
      },
    };
    let result: T;
    try {
      result = await work(drained);
    } catch (error) {
      if (own) print(await openAgain(drain, own).catch(messageOf));
      throw error;
    }
    if (own) print(await openAgain(drain, own));
    return result;
  });
}

/** @returns what it did; @throws OperatorError where new sessions are still refused */
async function openAgain(drain: DrainSwitch, own: DrainState): Promise<string> {
  try {
    const current = await drain.read();
    const isOwn = current.until === own.until && current.reason === own.reason;
    if (current.draining && !isOwn)
      return `${describeDrain(current)} Somebody has changed that meanwhile, so it stays.`;
    await drain.end("the command that drained is over");
    return "New sessions open again.";
  } catch (error) {
    throw new OperatorError(
      `${describeDrain(own)} They could not be opened again: npx sallyport drain --end tries it. ${messageOf(error)}`,
    );
  }
}
