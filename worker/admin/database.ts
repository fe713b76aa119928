/** What the admin API waits for D1 before it says, or does, something else. */
const D1_TIMEOUT_MS = 4_000;

/** @returns what D1 answered, or undefined when it failed or kept silent (which is logged) */
export async function askDatabase<T>(query: Promise<T>): Promise<{ readonly answer: T } | undefined> {
  let timer: ReturnType<typeof setTimeout> | null = null;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`no answer within ${D1_TIMEOUT_MS} ms`)), D1_TIMEOUT_MS);
  });
  try {
    return { answer: await Promise.race([query, late]) };
  } catch (error) {
    console.error(`admin: D1 does not answer: ${String(error)}`);
    return undefined;
  } finally {
    clearTimeout(timer);
  }
}
