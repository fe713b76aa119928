import { withTimeout } from "../../../common/with-timeout.ts";

/** What the admin API waits for D1 before it says, or does, something else. */
const D1_TIMEOUT_MS = 4_000;

/** @returns what D1 answered, or undefined when it failed or kept silent (which is logged) */
export async function queryDatabase<T>(query: Promise<T>): Promise<{ readonly answer: T } | undefined> {
  try {
    return { answer: await withTimeout(query, D1_TIMEOUT_MS) };
  } catch (error) {
    console.error(`admin: D1 does not answer: ${String(error)}`);
    return undefined;
  }
}
