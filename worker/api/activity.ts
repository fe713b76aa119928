/** What somebody did, across sessions and API requests, newest first. */
import type * as z from "zod";
import { findRequests } from "../../audit/request-queries.ts";
import type { RequestRow } from "../../audit/rows.ts";
import { findSessions } from "../../audit/session-queries.ts";
import { err, ok, type Result } from "../../common/result.ts";
import { type Denial, denial } from "../denials.ts";
import { findLive } from "../sessions/directory.ts";
import { queryDatabase } from "./database.ts";
import { mergeLive, type ShownSession } from "./merge-live.ts";
import type { ApiContext } from "./request.ts";
import { requestJson } from "./request-json.ts";
import type { activityPage, latestActivity } from "./schemas/activity.ts";
import { sessionCursor, writeSessionCursor } from "./schemas/session-cursor.ts";
import { CURSOR_ERROR } from "./schemas/shared.ts";
import { sessionJson } from "./session-json.ts";

type Page = z.output<typeof activityPage>;
type Activity = Page["items"][number];

/** So many sessions that began lately, live sessions, and API requests. */
const MAX_LATEST = 50;

interface Period {
  readonly since?: number;
  readonly until?: number;
}

/** One thing that somebody did, with what its page ends at. */
interface Done {
  readonly at: number;
  readonly session?: ShownSession;
  readonly request?: RequestRow;
}

/** The latest of it, live sessions included, however long they last already. */
export async function findLatestActivity(
  { env }: Pick<ApiContext, "env">,
  user: string,
  withinMs: number,
): Promise<Result<z.output<typeof latestActivity>, Denial>> {
  const since = Date.now() - withinMs;
  // One more of each than is shown: whoever is asked about could push out what they did, and the reader must know.
  const [found, live] = await Promise.all([
    queryDatabase(
      Promise.all([
        findSessions(env.AUDIT_DB, { state: "all", user, since }, MAX_LATEST + 1),
        findRequests(env.AUDIT_DB, { user, since }, MAX_LATEST + 1),
      ]),
    ),
    findLive(env.DIRECTORY, { filter: { user }, limit: MAX_LATEST + 1 }),
  ]);
  if (!found.ok) return found;
  const [sessions, requests] = found.value;
  const lives = live?.sessions ?? [];
  const shown = mergeLive(sessions.slice(0, MAX_LATEST), lives.slice(0, MAX_LATEST), []);
  return ok({
    ...{ user, since: new Date(since).toISOString() },
    items: inOrder(shown, requests.slice(0, MAX_LATEST)).map(activityJson),
    complete: live !== undefined && [sessions, requests, lives].every(({ length }) => length <= MAX_LATEST),
  });
}

/**
 * One page of it.
 *
 * @param cursor the `next` of the page before
 */
export async function findActivity(
  { env }: Pick<ApiContext, "env">,
  {
    user,
    limit,
    cursor,
    ...period
  }: Period & { readonly user: string; readonly limit: number; readonly cursor?: string },
): Promise<Result<Page, Denial>> {
  const after = readCursor(cursor);
  if (!after) return err(denial("bad_request", `query parameter cursor: ${CURSOR_ERROR}`));
  // One more than asked for of each: together they tell whether there is a next page.
  const found = await queryDatabase(
    Promise.all([
      findSessions(env.AUDIT_DB, { state: "all", user, ...period }, limit + 1, after.session),
      findRequests(env.AUDIT_DB, { user, ...period }, limit + 1, after.request),
    ]),
  );
  if (!found.ok) return found;
  const all = inOrder(...found.value);
  const shown = all.slice(0, limit);
  return ok({ items: shown.map(activityJson), next: all.length > limit ? writeCursor(after, shown) : null });
}

function inOrder(sessions: readonly ShownSession[], requests: readonly RequestRow[]): Done[] {
  const done: Done[] = [
    ...sessions.map((session) => ({ at: session.started_at, session })),
    // By their ids, which their order goes by.
    ...requests.map((request) => ({ at: Date.parse(request.id.slice(0, 24)), request })),
  ];
  return done.sort((one, other) => other.at - one.at);
}

function activityJson({ at, session, request }: Done): Activity {
  return {
    at: new Date(at).toISOString(),
    what: session ? "session" : "request",
    session: session ? sessionJson(session) : null,
    request: request ? requestJson(request) : null,
  };
}

interface Cursor {
  /** The last session that was shown. */
  readonly session?: { readonly startedAt: number; readonly id: string };
  /** The id of the last API request. */
  readonly request?: string;
}

/** @returns undefined where no answer had this */
function readCursor(text: string | undefined): Cursor | undefined {
  const [session = "", request = ""] = text?.split("~") ?? [];
  const parsed = session === "" ? undefined : sessionCursor.safeParse(session);
  if (parsed && !parsed.success) return undefined;
  return { ...(parsed && { session: parsed.data }), ...(request !== "" && { request }) };
}

function writeCursor(before: Cursor, shown: readonly Done[]): string {
  const last = shown.findLast(({ session }) => session)?.session;
  const position = last ? { startedAt: last.started_at, id: last.id } : before.session;
  const request = shown.findLast((one) => one.request)?.request?.id ?? before.request;
  return `${position ? writeSessionCursor(position) : ""}~${request ?? ""}`;
}
