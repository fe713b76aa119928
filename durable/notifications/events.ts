/** The events that destinations are told of, and the line that a person reads of each. Pure. */
import type { DeploymentEventBody, UserEventBody } from "../../audit/events.ts";
import { stripControlCharacters } from "../../common/text.ts";

/** What the directory notices of the audit database. No audit log has it: its database is what is away. */
export type DatabaseEventBody =
  | { readonly type: "database_stalled"; readonly data: { readonly since: number } }
  | { readonly type: "database_recovered"; readonly data: { readonly since: number; readonly until: number } };

/** An administrator wants to see whether anything arrives. */
export interface TestEventBody {
  readonly type: "test";
  readonly data: { readonly by: string };
}

/** What auditors and administrators do in live sessions: in the audit log, but nobody must react to it. */
export type QuietEventBody = Extract<UserEventBody, { readonly type: "watch" | "watch_end" | "message" | "thaw" }>;

/** Times in `data` are milliseconds since the epoch, as in the audit log. */
export type NotifiedEvent =
  | Exclude<UserEventBody, QuietEventBody>
  | DeploymentEventBody
  | DatabaseEventBody
  | TestEventBody;
export type NotifiedType = NotifiedEvent["type"];

/** What a person reads. */
export interface Notice {
  /** One line. Text of people in it may have any character: each format escapes it. */
  readonly line: string;
  /** The path below the deployment's address where somebody can look or act; null where there is none. */
  readonly path: string | null;
}

type DataOf<Type extends NotifiedType> = Extract<NotifiedEvent, { readonly type: Type }>["data"];

/** One entry for each event. The keys are the names that `events` of a destination may have. */
const NOTICES: { readonly [Type in NotifiedType]: (data: DataOf<Type>) => Notice } = {
  lock: ({ user, by, reason, until }) => ({
    line: `${by} locked ${user} ${until === null ? "until the lock is lifted" : `until ${time(until)}`}.${because(reason)}`,
    path: `/-/admin/locks/${encodeURIComponent(user)}`,
  }),
  unlock: ({ user, by, reason }) => ({
    line: `${by} lifted the lock of ${user}.${because(reason)}`,
    path: `/-/admin/locks/${encodeURIComponent(user)}`,
  }),
  access_request: ({ access_id, user, grant, minutes, reason, purpose, expires_at }) => ({
    line:
      `${user} asks for ${grant} for ${minutes} minutes. It may be decided until ${time(expires_at)}.` +
      `${because(reason)}${quoted("For", purpose)}`,
    path: approvalPath(access_id),
  }),
  access_decision: ({ access_id, user, grant, by, reason, ...decided }) => ({
    line: `${describeDecision({ user, grant, by, ...decided })}${because(reason)}`,
    path: approvalPath(access_id),
  }),
  access_end: ({ access_id, user, grant, by, reason }) => ({
    line: `${by} ended ${by === user ? "their own" : `${user}'s`} access or request for ${grant}.${because(reason)}`,
    path: approvalPath(access_id),
  }),
  freeze: ({ user, session, cluster, kind, namespace, pod, left, until }) => ({
    line:
      `${user}'s ${kind} session in ${cluster} waits for somebody who watches it` +
      `${left === null ? "" : `, because ${left} left`}. It ends at ${time(until)} unless somebody does.` +
      quoted("At", `${namespace}/${pod}`),
    path: `/-/admin/sessions/${encodeURIComponent(session)}`,
  }),
  drain: ({ by, reason, until }) => ({
    line: `${by} had new sessions refused until ${time(until)}.${because(reason)}`,
    path: "/-/admin/drain",
  }),
  drain_end: ({ by, reason }) => ({
    line: `${by} let new sessions open again.${because(reason)}`,
    path: "/-/admin/drain",
  }),
  database_stalled: ({ since }) => ({
    line: `The audit database has not accepted events since ${time(since)}. They wait in users' objects: check D1's status.`,
    path: null,
  }),
  database_recovered: ({ since, until }) => ({
    line: `The audit database accepts events again. It had not from ${time(since)} to about ${time(until)}.`,
    path: null,
  }),
  test: ({ by }) => ({ line: `${by} sent this as a test.`, path: "/-/admin/webhooks" }),
};

export const NOTIFIED_TYPES = Object.keys(NOTICES) as [NotifiedType, ...NotifiedType[]];

export function isNotifiedType(type: string): type is NotifiedType {
  return Object.hasOwn(NOTICES, type);
}

/** @param data of an event of this type */
export function describeNotice(type: NotifiedType, data: unknown): Notice {
  return (NOTICES[type] as (data: unknown) => Notice)(data);
}

/** The most of what a person or a client wrote that a line has, in characters. */
const MAX_TEXT_CHARS = 300;

function because(reason: string | null): string {
  return quoted("Reason", reason);
}

/** In JSON's quotes, which no text inside can close: nobody's text reads as words of Sallyport. */
function quoted(label: string, text: string | null): string {
  const said = [...stripControlCharacters(text ?? "")];
  if (said.length === 0) return "";
  const shown = said.length > MAX_TEXT_CHARS ? `${said.slice(0, MAX_TEXT_CHARS).join("")}…` : said.join("");
  return ` ${label}: ${JSON.stringify(shown)}`;
}

type Decision = Pick<
  DataOf<"access_decision">,
  "user" | "grant" | "by" | "decision" | "approvals" | "needed" | "until" | "self_approved"
>;

function describeDecision({ user, grant, by, decision, approvals, needed, until, self_approved }: Decision): string {
  if (decision === "deny") return `${by} denied ${user} ${grant}.`;
  const effect = until === null ? ` (${approvals} of ${needed} approvals).` : `, until ${time(until)}.`;
  // Nobody else has looked at it.
  if (self_approved) return `ALERT: ${by} approved their own request for ${grant}${effect}`;
  return `${by} approved ${user} for ${grant}${effect}`;
}

/** Where a request for access is shown, and decided by whoever may. */
function approvalPath(accessId: string): string {
  return `/-/approvals/${encodeURIComponent(accessId)}`;
}

function time(at: number): string {
  return new Date(at).toISOString();
}
