const SIGNALS = ["SIGINT", "SIGTERM"] as const;

/**
 * Runs work that must not be stopped in the middle. The first Ctrl-C (or SIGTERM) only aborts the signal, and
 * the second one ends the program as ever.
 */
export async function interruptible<T>(work: (signal: AbortSignal) => Promise<T>): Promise<T> {
  const interrupted = new AbortController();
  const abort = () => {
    interrupted.abort();
    stop();
  };
  const stop = () => {
    for (const signal of SIGNALS) process.off(signal, abort);
  };
  for (const signal of SIGNALS) process.on(signal, abort);
  try {
    return await work(interrupted.signal);
  } finally {
    stop();
  }
}
