/**
 * Waits for `work`, but not for ever.
 *
 * The work itself continues: neither D1 nor R2 can cancel a call. Only
 * use it for work that is safe to repeat.
 *
 * @throws Error when `work` takes longer than `timeoutMs`
 */
export async function withTimeout<T>(work: Promise<T>, timeoutMs: number): Promise<T> {
  let cancel = () => {};
  // Not `Promise.withResolvers`, which Node.js 20 lacks: the kubectl plugin runs there, too.
  const timeout = new Promise<never>((_, reject) => {
    const timer = setTimeout(() => reject(new Error(`no answer within ${timeoutMs} ms`)), timeoutMs);
    cancel = () => clearTimeout(timer);
  });
  try {
    return await Promise.race([work, timeout]);
  } finally {
    cancel();
  }
}
