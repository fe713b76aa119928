/** Who counts as somebody that a session needs which must be watched. Pure. */
import { type DecidingPerson, isSamePerson } from "../../contract/access.ts";
import type { WatchRequest } from "../../contract/watch.ts";

/** Whether a watcher lets the session go on, or what they are told instead. */
export interface WatcherStanding {
  readonly counts: boolean;
  readonly notice?: string;
}

const OWN_SESSION = "this session must be watched by somebody else: you do not count, because it is your own";
const NO_PERSON = "this session must be watched by a person: you do not count";

/**
 * Nobody counts for a session of their own, under whatever spelling or second identity, and no service token
 * does. The edge has checked the role.
 *
 * @param person whose session it is
 */
export function standingOf(
  person: DecidingPerson,
  { name: user, person: watcher }: WatchRequest["watcher"],
): WatcherStanding {
  const { subject, kubernetesUsers } = watcher ?? { subject: null, kubernetesUsers: [] };
  // No cluster may know them.
  const names = { user, subject, kubernetesUser: "", kubernetesUsers };
  if (isSamePerson(names, person)) return { counts: false, notice: OWN_SESSION };
  return watcher === null ? { counts: false, notice: NO_PERSON } : { counts: true };
}
