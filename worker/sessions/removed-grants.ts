import { findActiveAccess } from "../../audit/access-queries.ts";
import { describeError, logEvent } from "../../common/log.ts";
import { STORAGE_TIMEOUTS_MS } from "../../common/storage-timeouts.ts";
import { withTimeout } from "../../common/with-timeout.ts";
import type { NamedPerson } from "../../contract/access.ts";
import { SETTLED_AFTER_MS } from "../../contract/given-access.ts";
import { LOCATION_HINTS } from "../../contract/placement.ts";
import type { Grant } from "../config/schema.ts";
import type { Bindings } from "../env.ts";
import { whyNotGiven } from "../policy/grants.ts";
import { askDirectory } from "./directory.ts";
import { invokeUserObject, sessionObjectAddress } from "./user-objects.ts";

/** How many are ended at once. Each wakes all of its person's objects. */
const AT_ONCE = 20;
/** The most that one run ends. An invocation has 1,000 calls, and a call may take three tries. */
const MAX_PER_RUN = 200;

/** In the audit log, and in the message to whoever loses the access. No person can have this name. */
const CONFIGURATION: NamedPerson = { user: "sallyport", subject: null, kubernetesUser: "sallyport" };

/** Access that holds, or a request that waits. */
interface Known {
  readonly id: string;
  readonly user: string;
  readonly grant: string;
  /** ms since the epoch */
  readonly since: number;
}

/**
 * Takes back what the document in force no longer gives: access that holds by the audit log, and requests
 * that wait by the directory. Requests and new sessions look at the document themselves. This ends what is
 * open: users' objects end its sessions, and the isolates that hold its streams hear of it from them.
 *
 * @param grants of the document
 * @param now ms since the epoch
 * @returns what failed, for a person. The next run tries again
 */
export async function endRemovedAccess(
  { AUDIT_DB, DIRECTORY, USER_SESSIONS }: Pick<Bindings, "AUDIT_DB" | "DIRECTORY" | "USER_SESSIONS">,
  grants: readonly Grant[],
  now: number,
): Promise<string[]> {
  const [active, pending] = await Promise.all([findActive(AUDIT_DB, now), findPending(DIRECTORY)]);
  const removed = [...(active ?? []), ...(pending ?? [])].flatMap(({ id, user, grant, since }) => {
    const why = since <= now - SETTLED_AFTER_MS ? whyNotGiven(grants, grant, user) : undefined;
    return why === undefined ? [] : [{ id, grant, why }];
  });
  let areAllEnded = true;
  for (let from = 0; from < Math.min(removed.length, MAX_PER_RUN); from += AT_ONCE) {
    const some = removed.slice(from, Math.min(from + AT_ONCE, MAX_PER_RUN));
    const ended = await Promise.all(some.map(({ id, grant, why }) => end(USER_SESSIONS, id, grant, why)));
    areAllEnded &&= ended.every(Boolean);
  }
  return [
    ...(active ? [] : ["reading which access holds"]),
    ...(pending ? [] : ["reading which requests for access wait"]),
    ...(areAllEnded ? [] : ["ending access that the configuration no longer gives"]),
  ];
}

async function findActive(database: D1Database, now: number): Promise<readonly Known[] | undefined> {
  try {
    const found = await withTimeout(findActiveAccess(database, now), STORAGE_TIMEOUTS_MS.d1Query);
    return found.map(({ at: since, data: { access_id: id, user, grant } }) => ({ id, user, grant, since }));
  } catch (error) {
    logEvent("error", "audit_database_unavailable", { error: describeError(error) });
    return undefined;
  }
}

async function findPending(namespace: Bindings["DIRECTORY"]): Promise<readonly Known[] | undefined> {
  const listed = await askDirectory(namespace, "listPendingAccess", {});
  if (!listed.ok) return undefined;
  return listed.value.map(({ id, person, grant, requestedAt }) => ({
    ...{ id, user: person.user, grant, since: requestedAt },
  }));
}

/** @returns whether it has ended, now or before: D1 and the directory may know less than the object */
async function end(namespace: Bindings["USER_SESSIONS"], id: string, grant: string, reason: string): Promise<boolean> {
  const address = sessionObjectAddress(namespace, id);
  // Of objects that there were before these: nothing holds.
  if (!address) return true;
  const fields = { id, by: CONFIGURATION, reason, copyTo: [...LOCATION_HINTS] };
  const ended = await invokeUserObject(namespace, address, "endAccess", fields);
  if (ended.ok) logEvent("log", "removed_access_ended", { access: id, grant });
  return ended.ok || ended.error.code === "access_already_decided" || ended.error.code === "access_not_found";
}
