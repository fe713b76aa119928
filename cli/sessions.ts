/** Sessions as the API lists them, and how a person names one. Pure. */
import { err, ok, type Result } from "../common/result.ts";
import { ageOf, columnsOf, shorten } from "./table.ts";

/** What is shown of docs/API.md, Session. */
export interface Session {
  readonly id: string;
  readonly state: "live" | "ended";
  readonly user: string;
  readonly cluster: string;
  readonly kind: string;
  readonly namespace: string;
  readonly pod: string;
  readonly command: readonly string[];
  readonly startedAt: string;
  readonly lastUsedAt?: string | null;
  readonly outcome?: string | null;
  /** Missing in the answers of an older deployment. */
  readonly waitsFor?: string | null;
}

/** The time and 18 random bits: tells a person's sessions apart. */
const SHORT_ID_CHARS = 11;
const FULL_ID = /^[A-Za-z0-9_-]{64}$/;
const MAX_COMMAND_CHARS = 40;
/** The largest page that the API gives. */
const PAGE = 1_000;

/** The path of a person's own live sessions, or for an administrator of everybody's. */
export function liveSessionsPath(isOfAll: boolean): string {
  if (!isOfAll) return "/-/sessions";
  return `/-/admin/sessions?${new URLSearchParams({ state: "live", limit: String(PAGE) })}`;
}

/** A table, newest first as they come. @param isOfAll with the columns of an administrator */
export function sessionTable(sessions: readonly Session[], nowMs: number, isOfAll: boolean): string {
  const rows = sessions.map((one) => [
    one.id.slice(0, SHORT_ID_CHARS),
    ...(isOfAll ? [one.user, stateOf(one)] : []),
    one.cluster,
    one.kind,
    `${one.namespace}/${one.pod}`,
    ageOf(Date.parse(one.startedAt), nowMs),
    one.lastUsedAt ? ageOf(Date.parse(one.lastUsedAt), nowMs) : "-",
    shorten(one.command.join(" "), MAX_COMMAND_CHARS),
  ]);
  const head = ["ID", ...(isOfAll ? ["USER", "STATE"] : []), "CLUSTER", "KIND", "POD", "AGE", "IDLE", "COMMAND"];
  return columnsOf([head, ...rows]).join("\n");
}

function stateOf({ outcome, state, waitsFor }: Session): string {
  return outcome ?? (waitsFor ? `waits: ${waitsFor}` : state);
}

/** @returns whether an id is whole, so that nobody needs to be asked which session it is */
export function isWholeId(id: string): boolean {
  return FULL_ID.test(id);
}

/** Finds the session that an abbreviated id names. */
export function findSession(prefix: string, sessions: readonly Pick<Session, "id">[]): Result<string, string> {
  const [found, ...more] = prefix === "" ? [] : sessions.filter(({ id }) => id.startsWith(prefix));
  if (!found)
    return err(`no live session has an id that begins with ${JSON.stringify(prefix)}: it may have ended by itself`);
  if (more.length > 0)
    return err(
      `${more.length + 1} live sessions have an id that begins with ${JSON.stringify(prefix)}: give more of it`,
    );
  return ok(found.id);
}
