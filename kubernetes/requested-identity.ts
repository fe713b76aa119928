/** Whom a client asks to be: kubectl's `--as` and `--as-group`, in headers. Pure. */
import { err, ok, type Result } from "../common/result.ts";

export interface RequestedIdentity {
  readonly user: string;
  /** Never empty texts. A name with a comma arrives here as several: see `splitGroups`. */
  readonly groups: readonly string[];
}

const USER = "impersonate-user";
const GROUP = "impersonate-group";

/**
 * Reads the client's impersonation headers. They are never passed on, and never ignored: a request must not
 * run as somebody else than the person intended.
 *
 * It is stricter than the API server's filter (apiserver, endpoints/filters/impersonation): that one takes
 * the first of several users, and an empty user for none.
 *
 * @returns undefined where there is no such header; the error is for a person, and has no value of a header
 */
export function readRequestedIdentity(client: Headers): Result<RequestedIdentity | undefined, string> {
  let isRequested = false;
  for (const header of client.keys()) {
    const name = header.toLowerCase();
    // Some servers convert underscores to dashes.
    if (!name.startsWith("impersonate-") && !name.startsWith("impersonate_")) continue;
    if (name !== USER && name !== GROUP) {
      return err("only --as and --as-group are available here: leave --as-uid and --as-user-extra out");
    }
    isRequested = true;
  }
  if (!isRequested) return ok(undefined);
  const user = client.get(USER);
  if (user === null) return err("--as-group needs --as: name your own user there to keep it");
  if (user === "") return err("--as is empty: name a user, or leave it out");
  // What two lines look like here. Which of them counts is for a client to say.
  if (user.includes(",")) return err("--as names several users, or one whose name has a comma: name one");
  const groups = splitGroups(client.get(GROUP));
  if (groups.includes("")) return err("--as-group is empty: name a group, or leave it out");
  return ok({ user, groups });
}

/**
 * Splits what `Headers` has joined. Clients send each group in a line of its own, but when several lines are
 * read, they cannot be told from one with commas. So each comma separates, and whoever uses these names must
 * make sure that none of the names that they stand for has one.
 *
 * Only the one space that joining adds is removed. To trim more would turn another name into a known one.
 */
function splitGroups(joined: string | null): string[] {
  if (joined === null) return [];
  return joined.split(",").map((group, index) => (index > 0 && group.startsWith(" ") ? group.slice(1) : group));
}
