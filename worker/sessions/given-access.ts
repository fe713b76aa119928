/** What grants have ceased to give, noted by the cron trigger and read by isolates that have streams open. */
import { describeError, logEvent } from "../../common/log.ts";
import {
  compareGiven,
  GIVEN_ACCESS_KEY,
  type GivenAccess,
  loadGivenAccess,
  tryLoadGivenAccess,
} from "../../contract/given-access.ts";
import type { Grant } from "../config/schema.ts";
import type { Bindings } from "../env.ts";

/** How often an isolate reads it while it has something open that a grant opened, ms. */
const READ_EVERY_MS = 10_000;

/**
 * Notes what the document's grants give.
 *
 * @param now ms since the epoch
 * @returns what failed, for a person. The next run tries again
 */
export async function noteGivenAccess(
  bucket: Bindings["RECORDINGS"],
  grants: readonly Grant[],
  now: number,
): Promise<string[]> {
  // Without grants nothing is open that one of them opened, or it is taken back as a whole.
  if (grants.length === 0) return [];
  try {
    const noted = compareGiven(await loadGivenAccess(bucket), grants, now);
    if (noted) await bucket.put(GIVEN_ACCESS_KEY, JSON.stringify(noted));
    return [];
  } catch (error) {
    logEvent("error", "given_access_not_noted", { error: describeError(error) });
    return ["noting what grants give"];
  }
}

/** Reads it for all streams of an isolate, which share an answer. */
export class GivenAccessReader {
  #known: GivenAccess | undefined;
  #askedAt = Number.NEGATIVE_INFINITY;

  /**
   * @param openedAt when what asks was opened, ms since the epoch
   * @returns undefined where nothing is known, and for what is too young to have lost anything
   */
  async read(bucket: Bindings["RECORDINGS"], openedAt: number): Promise<GivenAccess | undefined> {
    const now = Date.now();
    if (now < openedAt + READ_EVERY_MS) return undefined;
    if (now >= this.#askedAt + READ_EVERY_MS) {
      this.#askedAt = now;
      this.#known = (await tryLoadGivenAccess(bucket)) ?? this.#known;
    }
    return this.#known;
  }
}
