import { describeError, logEvent } from "../../common/log.ts";
import { readBoundedText } from "../../common/read-bounded-text.ts";
import { err, ok, type Result } from "../../common/result.ts";
import type { Config } from "../config/schema.ts";
import { type Denial, denial } from "../denials.ts";
import { readClaim } from "./claims.ts";
import { readSignIn, type SignIn } from "./sign-in.ts";
import type { Subject } from "./subject.ts";
import { TokenCache } from "./token-cache.ts";

/** What Access knows about a subject beyond the token. */
export interface AccessIdentity {
  /** Ids of groups, which the identity provider keeps unique. */
  readonly groups: readonly string[];
  /**
   * Names and email addresses of groups. Apart from the ids: whoever may create a group may name it like the
   * id of another.
   */
  readonly groupNames: readonly string[];
  /** Names and ids of the device posture checks that succeeded. */
  readonly posture: readonly string[];
  /** Where this request comes from. The token only says where its bearer signed in, up to a day ago. */
  readonly country?: unknown;
}

/** The same with what no rule matches on. */
export interface DescribedIdentity extends AccessIdentity {
  readonly signIn: SignIn;
}

/** Reads groups, device posture and sign-in of a subject. */
export type ReadAccessIdentity = (subject: Subject, token: string) => Promise<Result<DescribedIdentity, Denial>>;

/** Groups change while a token is valid. Whoever loses one must not keep it until the token expires. */
const MAX_AGE_MS = 5 * 60 * 1000;
const TIMEOUT_MS = 5_000;
const MAX_ANSWER_BYTES = 256 * 1024;

/**
 * Makes the reader of groups and posture. Access is asked only where a rule needs more than the token has.
 *
 * @param fetcher only tests pass their own
 */
export function createAccessIdentityReader(
  config: Config,
  fetcher: typeof fetch = fetch,
  now: () => number = Date.now,
): ReadAccessIdentity {
  const { groups } = config.access;
  const groupsOf = ({ claims }: Subject) => readGroups("claim" in groups ? readClaim(claims, groups.claim) : []);
  const identityOfToken = (subject: Subject): DescribedIdentity => ({
    ...groupsOf(subject),
    posture: [],
    signIn: readSignIn(subject),
  });
  if (!needsGetIdentity(config)) {
    // The authenticator returns one subject object for all requests with the same token.
    const cache = new WeakMap<Subject, DescribedIdentity>();
    return async (subject) => {
      const identity = cache.get(subject) ?? identityOfToken(subject);
      cache.set(subject, identity);
      return ok(identity);
    };
  }

  const cache = new TokenCache<DescribedIdentity>();
  const url = `${config.access.teamDomain}/cdn-cgi/access/get-identity`;
  return async (subject, token) => {
    // get-identity knows people only.
    if (subject.email === undefined) return ok(identityOfToken(subject));
    let identity = cache.get(token, now());
    if (!identity) {
      // Answers are shared, fetches are not: a Worker's request cannot wait for the fetch of another request.
      const fetched = await fetchAccessIdentity(fetcher, url, subject, subject.email, token);
      if (!fetched.ok) return fetched;
      identity = fetched.value;
      cache.set(token, identity, Math.min(now() + MAX_AGE_MS, subject.expiresAt));
    }
    return ok("claim" in groups ? { ...identity, ...groupsOf(subject) } : identity);
  };
}

/** The document's own rules count too: they say who is an administrator. So do those of grants. */
function needsGetIdentity({ access, clusters, identities, grants }: Config): boolean {
  const rules = [...identities, ...clusters.flatMap((cluster) => cluster.identities)];
  const matches = [...rules.map(({ match }) => match), ...grants.flatMap((grant) => grant.for)];
  const needsGroups =
    grants.some(({ approvers }) => approvers.groups.length > 0) ||
    matches.some(({ group, groupName }) => (group ?? groupName) !== undefined);
  return (needsGroups && "getIdentity" in access.groups) || matches.some(({ posture }) => posture !== undefined);
}

async function fetchAccessIdentity(
  fetcher: typeof fetch,
  url: string,
  subject: Subject,
  email: string,
  token: string,
): Promise<Result<DescribedIdentity, Denial>> {
  let text: string;
  try {
    const response = await fetcher(url, {
      // The documented way to ask about the bearer of a token.
      headers: { Cookie: `CF_Authorization=${token}` },
      redirect: "manual",
      signal: AbortSignal.timeout(TIMEOUT_MS),
    });
    if (response.status !== 200) return unreachable(`status ${response.status}`);
    const body = await readBoundedText(response.body, MAX_ANSWER_BYTES);
    if (body.isTruncated) return unreachable(`more than ${MAX_ANSWER_BYTES} bytes`);
    text = body.text;
  } catch (error) {
    return unreachable(describeError(error));
  }
  const identity = parseObject(text);
  if (!identity) return unreachable("not a JSON object");
  // Errors have status 200 too. An error read as a person without groups would match a rule further down.
  const isAboutSubject = String(readClaim(identity, "email")).toLowerCase() === email;
  if (!isAboutSubject) return unreachable("an answer about nobody, or about somebody else");
  return ok({
    ...readGroups(readClaim(identity, "groups")),
    posture: passedChecks(identity),
    signIn: readSignIn(subject, identity),
  });
}

function unreachable(detail: string): Result<never, Denial> {
  logEvent("error", "access_identity_unavailable", { error: detail });
  const message = "Cloudflare Access does not return your groups at the moment: try again in a minute";
  return err(denial("identity_unreachable", message));
}

function parseObject(text: string): object | undefined {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === "object" && value !== null ? value : undefined;
  } catch {
    return undefined;
  }
}

function passedChecks(identity: object): string[] {
  const checks: unknown = readClaim(identity, "devicePosture") ?? {};
  return Object.entries(checks as object).flatMap(([id, check]) =>
    readClaim(check, "success") === true ? [id, ...readTexts(check, ["rule_name"])] : [],
  );
}

/**
 * Reads a group, or a list of them. Each is an object with an id, a name or an email address, or a text. A
 * text is all that the provider says of a group, so it is both its id and its name.
 */
function readGroups(value: unknown): Pick<AccessIdentity, "groups" | "groupNames"> {
  const all = [value].flat();
  return {
    groups: all.flatMap((group) => readTexts(group, ["id"])),
    groupNames: all.flatMap((group) => readTexts(group, ["name", "email"])),
  };
}

/** Reads a text, or those of an object's keys that are texts. */
function readTexts(value: unknown, keys: readonly string[]): string[] {
  const texts = typeof value === "string" ? [value] : keys.map((key) => readClaim(value, key));
  return texts.filter((text) => typeof text === "string");
}
