/** What grants have ceased to give, noted by the cron trigger and read by isolates that have streams open. */
import * as z from "zod";
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
    const noted = compareGiven(await loadNoted(bucket), grants, now);
    if (noted) await bucket.put(GIVEN_ACCESS_KEY, JSON.stringify(noted));
    return [];
  } catch (error) {
    logEvent("error", "given_access_not_noted", { error: describeError(error) });
    return ["noting what grants give"];
  }
}

/**
 * What was noted before. A note that nobody can read counts as none: nobody else would ever write another.
 *
 * @throws what R2 throws
 */
async function loadNoted(bucket: Bindings["RECORDINGS"]): Promise<GivenAccess | undefined> {
  try {
    return await loadGivenAccess(bucket);
  } catch (error) {
    if (!(error instanceof z.ZodError || error instanceof SyntaxError)) throw error;
    logEvent("error", "given_access_replaced", { error: describeError(error) });
    return undefined;
  }
}

/** Reads it for all streams of an isolate, which share an answer. */
export class GivenAccessReader {
  #known: GivenAccess | undefined;
  #askedAt = Number.NEGATIVE_INFINITY;

  /**
   * Starts to read it where that is due. Nobody waits for R2, which may hang while a lock must cut what is
   * open: the next one who asks has the answer.
   *
   * @param openedAt when what asks was opened, ms since the epoch
   * @returns what is known; undefined where nothing is, and for what is too young to have lost anything
   */
  read(
    bucket: Bindings["RECORDINGS"],
    context: Pick<ExecutionContext, "waitUntil">,
    openedAt: number,
  ): GivenAccess | undefined {
    const now = Date.now();
    if (now < openedAt + READ_EVERY_MS) return undefined;
    if (now >= this.#askedAt + READ_EVERY_MS) {
      this.#askedAt = now;
      // What asked may end before the answer is there, which is for the others, too.
      context.waitUntil(this.#load(bucket));
    }
    return this.#known;
  }

  async #load(bucket: Bindings["RECORDINGS"]): Promise<void> {
    this.#known = (await tryLoadGivenAccess(bucket)) ?? this.#known;
  }
}
