/**
 * Windows refuses to replace or remove a file while another program has it open, a virus scanner for
 * instance: for milliseconds, and with codes that elsewhere mean that it is never allowed.
 */
import { errorCode } from "../../common/errors.ts";

const PASSING = new Set(["EACCES", "EBUSY", "EPERM"]);
const RETRY_FOR_MS = 2_000;
const RETRY_EVERY_MS = 20;

/** Pure. @returns whether the same may succeed a moment later */
export function isPassing(error: unknown, platform: NodeJS.Platform = process.platform): boolean {
  return platform === "win32" && PASSING.has(errorCode(error) ?? "");
}

/** What the retries need from the process. Tests pass their own. */
export interface RetryClock {
  readonly platform: NodeJS.Platform;
  readonly now: () => number;
  readonly sleep: (ms: number) => void;
}

const OWN: RetryClock = { platform: process.platform, now: () => performance.now(), sleep: sleepSync };

/** Does `work`, on Windows again for two seconds where the failure may pass. @throws what `work` throws */
export function retryPassing<T>(work: () => T, { platform, now, sleep }: RetryClock = OWN): T {
  const start = now();
  for (;;) {
    try {
      return work();
    } catch (error) {
      if (!isPassing(error, platform) || now() - start > RETRY_FOR_MS) throw error;
      sleep(RETRY_EVERY_MS);
    }
  }
}

/**
 * The files are written without a break between what is read and what is written, so nothing else may run.
 */
function sleepSync(ms: number): void {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ms);
}
