/** What somebody did, put together from lists of their own. Pure. */
import type { Activity, ApiRequest, Session } from "./api/endpoints.ts";

/** Sessions and API requests in one list, newest first, as the API has it for auditors. */
export function mergeActivity(sessions: readonly Session[], requests: readonly ApiRequest[]): Activity[] {
  const all: Activity[] = [
    ...sessions.map((session) => ({ at: session.startedAt, what: "session" as const, session, request: null })),
    ...requests.map((request) => ({ at: request.at, what: "request" as const, session: null, request })),
  ];
  return all.sort((one, other) => Date.parse(other.at) - Date.parse(one.at));
}

/** Somebody, as the newest sessions tell of them. */
export interface KnownPerson {
  readonly user: string;
  /** RFC 3339. */
  readonly lastAt: string;
  readonly sessions: number;
  readonly live: number;
}

/** The people of these sessions, who was there last first. */
export function peopleOf(sessions: readonly Session[]): KnownPerson[] {
  const people = new Map<string, KnownPerson>();
  for (const { user, startedAt, state } of sessions) {
    const known = people.get(user) ?? { user, lastAt: startedAt, sessions: 0, live: 0 };
    const isLater = known.lastAt < startedAt;
    people.set(user, {
      user,
      lastAt: isLater ? startedAt : known.lastAt,
      sessions: known.sessions + 1,
      live: known.live + (state === "live" ? 1 : 0),
    });
  }
  return [...people.values()].sort((one, other) => (one.lastAt < other.lastAt ? 1 : -1));
}
