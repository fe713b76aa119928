import { err, ok, type Result } from "../../common/result.ts";
import { type RequestInfo, withSubresource } from "../../kubernetes/request-info.ts";
import { plainSessionKind, type SessionTarget } from "../../kubernetes/session-target.ts";
import type { Rule } from "../config/schema.ts";
import { type Denial, denial } from "../denials.ts";
import type { ActingIdentity } from "./acting.ts";
import { type ClosedByDefault, closedByDefault } from "./closed-by-default.ts";
import { matchesGlob } from "./glob.ts";
import type { Identity } from "./identify.ts";
import { isNameUnknown, nestedKubelet, readingsOf, verbsOf, widenForUnknown } from "./readings.ts";

/** What rules are evaluated for. */
export interface RuleQuery {
  readonly identity: Pick<Identity, "name" | "groups">;
  /** As whom the request runs in the cluster; undefined for the identity's own user with all its groups. */
  readonly acting?: ActingIdentity | undefined;
  readonly cluster: string;
  /** Where the cluster's connector runs, if it is known. */
  readonly connectorNamespace?: string | undefined;
  readonly info: RequestInfo;
  /** Undefined for an API request. */
  readonly session: SessionTarget | undefined;
  /** Whether the request may create its object, whatever its verb: see `mayCreate`. Default: by its verb. */
  readonly creates?: boolean;
  /** Names of the rules that count as approved. Default: none. */
  readonly approved?: ReadonlySet<string>;
}

/** What the conditions of a rule are about. */
export type Matched = Pick<RuleQuery, "identity" | "cluster" | "info" | "session">;

/** A denial that names its rule. */
export interface RuleDenial extends Denial {
  readonly rule: string;
  /** What would lift it, where a grant would. */
  readonly approval?: RuleApproval;
}

/** What a rule says of the approval that it needs. */
export type RuleApproval = NonNullable<Rule["approval"]>;

/** A query with what is the same for all rules. */
interface Read extends RuleQuery {
  readonly readings: readonly RequestInfo[];
  /** Those of the readings that a rule which allows may apply to. */
  readonly written: readonly RequestInfo[];
}

interface Asked extends Read {
  /** What is closed by default and concerns the request. */
  readonly closed: readonly ClosedByDefault[];
}

/**
 * Evaluates rules: the first one that matches decides.
 *
 * They see the person's own name and all their groups, whoever the person acts as: leaving a group does not
 * leave its rules. The user and groups acted as can only be a further reason to refuse.
 *
 * @returns the rule that allows the request; null where none matches, which leaves it to the cluster's RBAC
 */
export function evaluateRules(query: RuleQuery, rules: readonly Rule[]): Result<Rule | null, RuleDenial> {
  const { info } = query;
  // A kubelet behind another proxy is opened by the rule that opens kubelets.
  const read: Read = { ...query, readings: readingsOf(info), written: [info, ...nestedKubelet(info)] };
  const asked: Asked = { ...read, closed: closedRulesFor(read) };
  const rule = rules.find((one) => ruleApplies(one, asked)) ?? asked.closed[0]?.rule ?? null;
  if (rule && isRefusing(rule, asked)) return refuseBy(rule, asked);
  const { acting } = query;
  return (acting && refusalOfActing(acting, asked, rules)) ?? ok(rule);
}

/** A rule that needs an approval refuses until there is one, so it is also read as widely. */
function isRefusing({ action, name, approval }: Rule, { approved }: RuleQuery): boolean {
  return action === "refuse" || (approval !== undefined && approved?.has(name) !== true);
}

function refuseBy(rule: Rule, query: Read): Result<never, RuleDenial> {
  if (rule.approval) {
    const message = `the rule ${rule.name} requires the grant ${rule.approval.grant}${widenedNote(rule, query)}`;
    return err({ ...denial("approval_required", message), rule: rule.name, approval: rule.approval });
  }
  const message = rule.message ?? `the rule ${rule.name} refuses this: ask your administrator`;
  return err({ ...denial("rule", message + widenedNote(rule, query)), rule: rule.name });
}

/**
 * Refuses what a rule refuses to the user and groups acted as, as it would to somebody who has them: not if
 * an allowing rule before it applies to them. Rules that also apply to the person have been evaluated.
 */
function refusalOfActing(
  acting: ActingIdentity,
  query: Asked,
  rules: readonly Rule[],
): Result<never, RuleDenial> | undefined {
  const { name, groups } = query.identity;
  // Rules name users in lower case.
  const user = acting.user.toLowerCase();
  const allowed = { name: acting.isOwnUser ? name : user, groups: acting.groups };
  // A rule may name a user and a group: each may be the person's, or the one acted as.
  const refusable = [
    { name, groups: acting.groups },
    { name: user, groups: acting.groups },
    { name: user, groups },
  ];
  for (const rule of rules) {
    if (!isRefusing(rule, query)) {
      if (ruleApplies(rule, { ...query, identity: allowed })) return undefined;
      continue;
    }
    const refused = refusable.find((identity) => ruleApplies(rule, { ...query, identity }));
    if (refused && !ruleApplies(rule, query)) return refuseBy(rule, { ...query, identity: refused });
  }
  return undefined;
}

function closedRulesFor(query: Read): readonly ClosedByDefault[] {
  return closedByDefault(query.connectorNamespace).filter(
    ({ rule, spares }) => refuses(rule, query) && !spares?.(query.info),
  );
}

/**
 * A rule that refuses applies to every reading of a request (`readingsOf`), and to what the request leaves
 * open. A rule that allows applies to the request as it was written, and opens what is closed by default only
 * if it names it.
 */
function ruleApplies(rule: Rule, query: Asked): boolean {
  const { match } = rule;
  if (isRefusing(rule, query)) return refuses(rule, query);
  if (query.closed.some(({ isOpenedBy }) => !isOpenedBy(match))) return false;
  return query.written.some((info) => matches(match, { ...query, info }));
}

function refuses({ match }: Rule, query: Read): boolean {
  const { cluster, session } = query;
  const identity = withAnyGroup(query.identity);
  return query.readings.some((reading) => {
    const widened = widenForUnknown(match, reading);
    return verbsOf(match, reading, query.creates ?? false).some((verb) => {
      const info = verb === reading.verb ? reading : { ...reading, verb };
      return matches(widened, { identity, cluster, session, info });
    });
  });
}

/** Why a rule applies to a request whose path does not show it, and what to do. */
function widenedNote(rule: Rule, query: Read): string {
  if (query.creates === true && !refuses(rule, { ...query, creates: false })) {
    return query.session === undefined ? CREATE_NOTE : SESSION_NOTE;
  }
  const { match } = rule;
  const isByName = match.names !== undefined && query.readings.every((info) => isNameUnknown(match, info));
  return isByName ? NAME_NOTE : "";
}

/** Somebody without groups must not be beyond a refusal for everybody: only `*` matches the empty name. */
function withAnyGroup(identity: RuleQuery["identity"]): RuleQuery["identity"] {
  return identity.groups.length > 0 ? identity : { ...identity, groups: [""] };
}

const CREATE_NOTE =
  " (a PUT and a server-side apply count as create, because they may create their object; other kinds of PATCH pass)";
const SESSION_NOTE = " (a session counts as create, as it does for the cluster's RBAC)";
const NAME_NOTE = " (the rule is about names, and this request's path names no object: ask for one by its name)";

/** Whether everything that a match names holds. */
export function matches(match: Rule["match"], { identity, cluster, info, session }: Matched): boolean {
  const { kinds, resources, verbs, clusters, namespaces, names, groups, users } = match;
  const kind = session?.sessionKind ?? plainSessionKind(info);
  const some = (patterns: readonly string[] | undefined, texts: readonly string[]) =>
    patterns === undefined || patterns.some((pattern) => texts.some((text) => matchesGlob(pattern, text)));
  return (
    (kinds === undefined || (kind !== undefined && kinds.includes(kind))) &&
    some(resources, [resourceOf(info)]) &&
    some(verbs, [info.verb]) &&
    some(clusters, [cluster]) &&
    some(namespaces, [info.namespace]) &&
    some(names, [info.name]) &&
    some(groups, identity.groups) &&
    some(users, [identity.name])
  );
}

/** As RBAC writes it: `pods/exec`, `deployments.apps`. Empty where the path names no resource. */
export function resourceOf({ resource, apiGroup, subresource }: RequestInfo): string {
  return withSubresource(apiGroup === "" ? resource : `${resource}.${apiGroup}`, subresource);
}
