/** What a person's grants do to their requests, by what their object says of them. */
import { err, ok, type Result } from "../../common/result.ts";
import type { ActiveGrant } from "../../contract/access.ts";
import { type GivenAccess, whyNoLongerGiven } from "../../contract/given-access.ts";
import { type Denial, denial } from "../denials.ts";
import { type AskedWithGrants, decideWithGrants } from "../policy/decide-with-grants.ts";
import { heldGrants } from "../policy/grants.ts";
import type { CheckAccess } from "./access-watch.ts";
import type { Person, PersonStates } from "./person-state.ts";

/** How old an answer may be that lacks a grant, ms: it may have been approved a moment ago. */
const LACKING_MAX_AGE_MS = 1_000;

type Decided = ReturnType<typeof decideWithGrants>;

/**
 * Decides about a request. The person's object is asked only where the document has grants for them, so that
 * nothing is slower without.
 *
 * @returns a denial where the object does not answer: rules that refuse see granted groups as well, so to go
 *   on without them would be no safer
 */
export async function decideHavingGrants(
  states: Pick<PersonStates, "read">,
  person: Person,
  asked: Omit<AskedWithGrants, "held">,
): Promise<Result<Decided, Denial>> {
  const { available, classified } = asked;
  if (available.length === 0 || classified.kind === "refused") return ok(decideWithGrants({ ...asked, held: [] }));
  const decideKnowing = async (maxAgeMs?: number): Promise<Result<Decided, Denial>> => {
    const state = await states.read(person, maxAgeMs);
    if (!state.ok) return unknownGrants(state.error);
    return ok(decideWithGrants({ ...asked, held: heldGrants(available, state.value.grants, Date.now()) }));
  };
  const known = await decideKnowing();
  const isLacking = known.ok && !known.value.decided.ok && known.value.decided.error.needed !== undefined;
  return isLacking ? decideKnowing(LACKING_MAX_AGE_MS) : known;
}

function unknownGrants({ code, message }: Denial): Result<never, Denial> {
  return err(denial(code, `${message} (until then nobody knows which access you have been granted)`));
}

/** What something was opened with. */
interface Opened {
  /** The grants that made a difference to it. */
  readonly grants: readonly ActiveGrant[];
  /** The person's, those of grants included. */
  readonly groups: readonly string[];
  /** The rule that allowed it. */
  readonly rule: string | null;
  /** What grants have ceased to give since. */
  readonly readGiven: (openedAt: number) => GivenAccess | undefined;
}

/**
 * Refuses a person who is locked, or whose grants are over that something was opened with, or give less.
 */
export function accessCheckFor(
  states: Pick<PersonStates, "checkLock" | "read">,
  person: Person,
  { grants, groups, rule, readGiven }: Opened,
): CheckAccess {
  if (grants.length === 0) return (maxAgeMs) => states.checkLock(person, maxAgeMs);
  const opened = { at: Date.now(), grants: grants.map(({ grant }) => grant), groups, rule };
  return async (maxAgeMs) => {
    const unlocked = await states.checkLock(person, maxAgeMs);
    if (!unlocked.ok) return unlocked;
    const state = await states.read(person, maxAgeMs);
    if (!state.ok) return state;
    const active = new Set(state.value.grants.map(({ id }) => id));
    const over = grants.find(({ id, until }) => !active.has(id) || until <= Date.now());
    if (over) return err(accessOver(over.grant));
    const given = readGiven(opened.at);
    const why = given && whyNoLongerGiven(given, opened);
    return why === undefined ? ok(null) : err(denial("access_ended", `${why}, with which this was opened`));
  };
}

function accessOver(grant: string): Denial {
  return denial("access_ended", `the access that this was opened with is over (grant ${grant}): ask for it again`);
}
