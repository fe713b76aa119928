/** Live sessions, which an update of the objects' Worker ends sooner or later, and how to have none. */

import { messageOf } from "../../common/errors.ts";
import { MAX_DRAIN_MS } from "../../contract/drain.ts";
import { UnclearAnswer } from "../deployment/admin-api.ts";
import type { DrainState, DrainSwitch, LiveSession } from "../deployment/drain-switch.ts";
import { OperatorError } from "../deployment/operator-error.ts";

export const LIVE_COUNT_SQL = "SELECT count(*) AS live FROM sessions WHERE state = 'live'";

const POLL_MS = 15_000;
/** Isolates of the edge learn of a drain within 3 s. Until then sessions may open, and must be seen. */
export const SETTLE_MS = 5_000;
/**
 * Uploads and checks take minutes. A drain that nobody ends, because the machine is gone, is over after
 * these.
 */
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

/** After an answer that was lost. Together they are long enough for a request that is still on its way. */
const LOOK_AGAIN_MS = [1_000, 5_000, 15_000] as const;

interface Looks {
  readonly drain: DrainSwitch;
  readonly wait: (ms: number) => Promise<void>;
}

/** Asks again where an answer is lost. For what may be asked twice. */
async function askPatiently<T>(ask: () => Promise<T>, { wait }: Pick<Looks, "wait">): Promise<T> {
  for (const ms of LOOK_AGAIN_MS) {
    try {
      return await ask();
    } catch (error) {
      if (!(error instanceof UnclearAnswer)) throw error;
      await wait(ms);
    }
  }
  return ask();
}

/**
 * Has new sessions refused. Where the answer is lost, it looks whether they are.
 *
 * @param until ms since the epoch
 * @throws OperatorError where this drain is not on, or nobody knows
 */
export async function beginDrain(reason: string, until: number, { drain, wait }: Looks): Promise<DrainState> {
  try {
    return await drain.begin(reason, until);
  } catch (error) {
    if (!(error instanceof UnclearAnswer)) throw error;
    await wait(LOOK_AGAIN_MS[0]);
    const found = await askPatiently(() => drain.read(), { wait }).catch((unread: unknown) => {
      throw new OperatorError(
        `${error.message}. Nor does it say whether new sessions are refused now (${messageOf(unread)}). They may be, until ` +
          `${new Date(until).toISOString()}: npx sallyport drain shows it, and with --end opens them again`,
      );
    });
    if (found.draining && found.reason === reason && Date.parse(found.until ?? "") === until) return found;
    throw new OperatorError(`${error.message}. ${describeDrain(found)} Run it again`);
  }
}

/**
 * Has new sessions open again. Where the answer is lost, it looks whether they do, and asks once more if not.
 *
 * @returns whether they were refused
 * @throws OperatorError where they still are, or nobody knows
 */
export async function endDrain(reason: string, { drain, wait }: Looks): Promise<boolean> {
  try {
    return await drain.end(reason);
  } catch (error) {
    if (!(error instanceof UnclearAnswer)) throw error;
    await wait(LOOK_AGAIN_MS[0]);
    const { draining } = await askPatiently(() => drain.read(), { wait });
    return draining ? drain.end(reason) : true;
  }
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
    const own = before.draining
      ? undefined
      : await beginDrain(reason, now() + patienceMs + DEPLOY_MS, { drain, wait: dependencies.wait });
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
        const live = () => askPatiently(() => drain.live(), { wait });
        return waitForSessions(patienceMs, { live, now, wait, print });
      },
    };
    let result: T;
    try {
      result = await work(drained);
    } catch (error) {
      if (own) print(await openAgain(dependencies, own).catch(messageOf));
      throw error;
    }
    if (own) print(await openAgain(dependencies, own));
    return result;
  });
}

/** @returns what it did; @throws OperatorError where new sessions are still refused */
async function openAgain({ drain, wait }: Looks, own: DrainState): Promise<string> {
  const open = "New sessions open again.";
  try {
    // Each turn looks first: where an answer was lost, somebody else may have begun a drain since.
    return await askPatiently(
      async () => {
        const current = await drain.read();
        if (!current.draining) return open;
        const isOwn = current.until === own.until && current.reason === own.reason;
        if (!isOwn) return `${describeDrain(current)} Somebody has changed that meanwhile, so it stays.`;
        await drain.end("the command that drained is over");
        return open;
      },
      { wait },
    );
  } catch (error) {
    throw new OperatorError(
      `${describeDrain(own)} They could not be opened again: npx sallyport drain --end tries it. ${messageOf(error)}`,
    );
  }
}
