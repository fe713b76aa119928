/** One session with its events and what was decided about the grants that it ran with, or waited for. */
import type * as z from "zod";
import { findDecisionsAbout } from "../../audit/access-queries.ts";
import type { ChainedEvent } from "../../audit/chain.ts";
import type { SessionApproved } from "../../audit/events.ts";
import { findEvents, findSession } from "../../audit/session-queries.ts";
import { err, ok, type Result } from "../../common/result.ts";
import type { LiveSessionRow } from "../../contract/session-row.ts";
import { type Denial, denial } from "../denials.ts";
import type { Bindings } from "../env.ts";
import { invokeUserObject, sessionObjectAddress } from "../sessions/user-objects.ts";
import { decisionJson } from "./access-json.ts";
import { queryDatabase } from "./database.ts";
import type { ShownSession } from "./merge-live.ts";
import type { ApiContext } from "./request.ts";
import type { sessionDetail } from "./schemas/session.ts";
import { eventJson, sessionJson } from "./session-json.ts";

type Detail = z.output<typeof sessionDetail>;

/** Finds a session, whoever's it is: of a live one, the counts are those of this moment. */
export async function findSessionDetail(
  { env, config }: Pick<ApiContext, "env" | "config">,
  id: string,
): Promise<Result<Detail, Denial>> {
  const [recorded, live] = await Promise.all([
    queryDatabase(Promise.all([findSession(env.AUDIT_DB, id), findEvents(env.AUDIT_DB, id)])),
    describeLiveSession(env, id),
  ]);
  const [row, events] = recorded.ok ? recorded.value : [undefined, null];
  const session = live ?? row;
  if (session) {
    const approvals = events ? await findApprovals(env, session, events) : null;
    return ok({ ...sessionJson(session), events: events?.map(eventJson) ?? null, approvals });
  }
  if (recorded.ok) return err(denial("not_found", describeAbsence(config.audit.seal.keepMonths)));
  const message = "the session is not live, and D1, which has the audit log, does not answer: try again";
  return err(denial("audit_database_unavailable", message));
}

async function findApprovals(
  { AUDIT_DB }: Bindings,
  { user, grants: held, started_at, ended_at }: ShownSession,
  events: readonly ChainedEvent[],
): Promise<Detail["approvals"]> {
  const grants = [...(held ?? []), ...events.flatMap(approvedGrant)];
  if (grants.length === 0) return [];
  const found = await queryDatabase(findDecisionsAbout(AUDIT_DB, { user, grants, from: started_at, to: ended_at }));
  return found.ok ? found.value.map(decisionJson) : null;
}

/** The grant that a session waited for, of the event which says that it was approved. */
function approvedGrant({ type, data }: ChainedEvent): string[] {
  return type === "approval" ? [(JSON.parse(data) as SessionApproved).grant] : [];
}

function describeAbsence(keepMonths: number | null): string {
  if (keepMonths === null) return "there is no session with this id";
  return `D1 has no session with this id; what was sealed more than ${keepMonths} months ago is in the seals alone: npx sallyport audit-restore`;
}

async function describeLiveSession(env: Bindings, sessionId: string): Promise<LiveSessionRow | null> {
  const address = sessionObjectAddress(env.USER_SESSIONS, sessionId);
  if (!address) return null;
  const session = await invokeUserObject(env.USER_SESSIONS, address, "describe", { sessionId });
  // An object that does not answer must not keep D1's answer back.
  return session.ok ? session.value : null;
}
