/** Ctrl-C, a polite kill, and the terminal's going away. */
export const STOP_SIGNALS = ["SIGINT", "SIGTERM", "SIGHUP"] as const;

/** npm passes on the Ctrl-C that the terminal has already sent to everybody: two signals, one key. */
const SAME_KEY_MS = 500;
const PARENT_CHECK_MS = 250;

export interface StopHandlers {
  /** The first request to stop. */
  readonly stop: () => void;
  /** Asked again: somebody does not want to wait. */
  readonly force: () => void;
}

/** Listens for everything that asks this process to end. */
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

/** A signal sent to npm ends the shell between npm and this process, and goes no further. */
function onParentGone(ask: () => void): void {
  const parent = process.ppid;
  const timer = setInterval(() => {
    if (process.ppid === parent) return;
    clearInterval(timer);
    ask();
  }, PARENT_CHECK_MS);
  timer.unref();
}
