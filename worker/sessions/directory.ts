import { type LiveFilter, matchesFilter, type Position } from "../../audit/session-filter.ts";
import { describeError, logEvent } from "../../common/log.ts";
import { err, type Result } from "../../common/result.ts";
import { withTimeout } from "../../common/with-timeout.ts";
import {
  callDirectory,
  type DirectoryFields,
  type DirectoryMethod,
  type DirectoryValue,
  type LivePage,
  type LiveQuery,
} from "../../contract/directory.ts";
import { type Denial, denial } from "../denials.ts";
import type { Bindings } from "../env.ts";

/** How long a person waits for the directory, where only it has the answer, ms. */
const ANSWER_WITHIN_MS = 5_000;
/** Lists are shown without the directory rather than late. */
const LIST_WITHIN_MS = 1_000;

const DIRECTORY_UNAVAILABLE = denial(
  "directory_unavailable",
  "the directory of live sessions cannot be reached, and what was asked may have been done: look, and try again; " +
    "if this persists, contact your administrator",
);

/**
 * Calls a method of the directory, once: whoever asks has another source, or asks again.
 *
 * @returns the value, or the directory's denial; `directory_unavailable` if it does not answer in time
 */
export async function askDirectory<M extends DirectoryMethod>(
  namespace: Bindings["DIRECTORY"],
  method: M,
  fields: DirectoryFields<M>,
  withinMs = ANSWER_WITHIN_MS,
): Promise<Result<DirectoryValue<M>, Denial>> {
  try {
    const answer = await withTimeout(callDirectory(namespace, method, fields), withinMs);
    if (!answer.ok) logEvent("warn", "directory_unavailable", { method, error: answer.error.code });
    return answer;
  } catch (error) {
    logEvent("warn", "directory_unavailable", { method, error: describeError(error) });
    return err(DIRECTORY_UNAVAILABLE);
  }
}

/** The most that the directory lists at once. */
const PAGE_SESSIONS = 500;
/** How often it is asked for the next page where a filter leaves little of each. */
const MAX_PAGES = 20;

export interface LiveList {
  readonly filter: LiveFilter;
  readonly limit: number;
  /** Where the page before ended. */
  readonly after?: Position;
}

/**
 * Asks the directory what is live. It knows some of the filters; the others are applied here.
 *
 * @returns undefined if it does not answer
 */
export async function findLive(
  namespace: Bindings["DIRECTORY"],
  { filter, limit, after: first }: LiveList,
): Promise<LivePage | undefined> {
  const sessions: LivePage["sessions"] = [];
  const { cluster: _, rule: __, outcome: ___, recorded: ____, ...known } = filter;
  const isWhole = Object.keys(known).length === Object.keys(filter).length;
  const size = isWhole ? Math.min(limit, PAGE_SESSIONS) : PAGE_SESSIONS;
  let after = first;
  for (let pages = 1; ; pages++) {
    const query: LiveQuery = { filter: known, limit: size, ...(after && { after }) };
    const page = await askDirectory(namespace, "listLive", query, LIST_WITHIN_MS);
    if (!page.ok) return undefined;
    sessions.push(...page.value.sessions.filter((row) => matchesFilter(row, filter)));
    const last = page.value.sessions.at(-1);
    const isLast = page.value.sessions.length < size || !last;
    if (isLast || sessions.length >= limit || pages === MAX_PAGES) {
      const isCut = pages === MAX_PAGES && !isLast;
      return { sessions: sessions.slice(0, limit), isComplete: page.value.isComplete && !isCut };
    }
    after = { startedAt: last.started_at, id: last.id };
  }
}
