/** Ctrl-C, SIGTERM, and the terminal being closed. */
export const STOP_SIGNALS = ["SIGINT", "SIGTERM", "SIGHUP"] as const;

/**
 * The terminal sends Ctrl-C to every process, and npm forwards it again: two signals within this time are one
 * key press.
 */
const SAME_KEY_MS = 500;
const PARENT_CHECK_MS = 250;

export interface StopHandlers {
  /** The first request to stop. */
  readonly stop: () => void;
  /** The second request: do not wait any longer. */
  readonly force: () => void;
}

/** Listens for every kind of request to end this process. */
export function onStopRequest({ stop, force }: StopHandlers): void {
  let askedAt: number | undefined;
  const ask = () => {
    const now = performance.now();
    if (askedAt === undefined) {
      askedAt = now;
      stop();
    } else if (now - askedAt > SAME_KEY_MS) {
      force();
    }
  };
  for (const signal of STOP_SIGNALS) process.on(signal, ask);
  if (isRunByNpm()) onParentGone(ask);
}

function isRunByNpm(): boolean {
  return process.env["npm_lifecycle_event"] !== undefined;
}

/** A signal to npm ends only the shell between npm and this process, so the parent is polled. */
function onParentGone(ask: () => void): void {
  const parent = process.ppid;
  const timer = setInterval(() => {
    if (process.ppid === parent) return;
    clearInterval(timer);
    ask();
  }, PARENT_CHECK_MS);
  timer.unref();
}
