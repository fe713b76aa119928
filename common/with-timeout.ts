/**
 * Waits for `work`, but not for ever.
 *
 * The work itself continues: neither D1 nor R2 can cancel a call. Only
 * use it for work that is safe to repeat.
 *
 * @throws Error when `work` takes longer than `timeoutMs`
 */
export async function withTimeout<T>(work: Promise<T>, timeoutMs: number): Promise<T> {
  const { promise: timeout, reject } = Promise.withResolvers<never>();
  const timer = setTimeout(() => reject(new Error(`no answer within ${timeoutMs} ms`)), timeoutMs);
  try {
    return await Promise.race([work, timeout]);
  } finally {
    clearTimeout(timer);
  }
}
