/** The configuration document in words. Text of the document is kept apart from what the console says. Pure. */
import type { Grant, IdentityMatch, IdentityRule, Rule } from "./document.ts";

/** A sentence: what the console says as text, names of the document as code. */
export type Words = readonly (string | { readonly code: string })[];

const MINUTE_S = 60;

const code = (text: string) => ({ code: text });

/** `a`, `a or b`, `a, b or c`, of whatever each becomes. */
function listed(parts: readonly Words[], last: "or" | "and"): Words {
  return parts.flatMap((part, index) => {
    if (index === 0) return part;
    return [index === parts.length - 1 ? ` ${last} ` : ", ", ...part];
  });
}

const names = (values: readonly string[], last: "or" | "and" = "or") =>
  listed(
    values.map((value) => [code(value)]),
    last,
  );

const plural = (values: readonly unknown[], one: string, many: string) => (values.length === 1 ? one : many);

/** What a rule is about, such as "Exec and attach sessions in the namespace `prod`". */
export function ruleSubject({ match }: Pick<Rule, "match">): Words {
  const { kinds, resources, verbs, namespaces, names: objects, clusters, groups, users } = match;
  const words: (string | { readonly code: string })[] = [];
  if (kinds) words.push(`${capitalized(sentenceOf(kinds))} sessions`);
  else if (resources || verbs) {
    words.push("Requests and sessions");
    if (verbs) words.push(" to ", ...names(verbs));
    if (resources) words.push(verbs ? " " : " for ", ...names(resources));
  } else words.push("All requests and sessions");
  if (kinds && resources) words.push(" for ", ...names(resources));
  if (kinds && verbs) words.push(` by the ${plural(verbs, "verb", "verbs")} `, ...names(verbs));
  if (objects) words.push(kinds ? ` in ${plural(objects, "a pod", "pods")} named ` : " named ", ...names(objects));
  if (namespaces) words.push(` in the ${plural(namespaces, "namespace", "namespaces")} `, ...names(namespaces));
  if (clusters) words.push(` at the ${plural(clusters, "cluster", "clusters")} `, ...names(clusters));
  if (groups) words.push(` of members of the Kubernetes ${plural(groups, "group", "groups")} `, ...names(groups));
  if (users) words.push(" of ", ...names(users));
  return words;
}

function sentenceOf(values: readonly string[]): string {
  const all = [...values];
  const last = all.pop() ?? "";
  return all.length === 0 ? last : `${all.join(", ")} and ${last}`;
}

function capitalized(text: string): string {
  return text.charAt(0).toUpperCase() + text.slice(1);
}

/** What happens to what a rule is about, a sentence each. */
export function ruleEffects(rule: Rule): readonly Words[] {
  const { action, message, requireReason, approval, tell, watch, limits, recording } = rule;
  const effects: Words[] = [];
  if (action === "refuse") {
    effects.push(["Refused."]);
    if (message !== undefined) effects.push(["People read: ", code(message)]);
  } else if (approval) {
    effects.push(["Needs the grant ", code(approval.grant), ". Without it, this is refused."]);
    effects.push([
      approval.waitMinutes === 0
        ? "Nothing waits for an approval: ask for the grant first."
        : `A shell waits up to ${approval.waitMinutes} min for an approval. Everything else is tried again once there is one.`,
    ]);
  } else effects.push(["Allowed. The cluster's RBAC decides the rest."]);
  if (requireReason) effects.push(["A session opens only once its person has stated a reason."]);
  if (watch) {
    effects.push([
      `Nothing passes while nobody watches the session. It waits up to ${watch.waitMinutes} min for somebody, then ends.`,
    ]);
  }
  if (tell) effects.push(["Its person is told when somebody begins to watch, or stops."]);
  const changed = [...limitWords(limits), ...recordingWords(recording)];
  if (changed.length > 0) effects.push([`Sessions: ${changed.join("; ")}.`]);
  return effects;
}

type LimitFields = Rule["limits"];

/** Limits, as far as they are given. */
export function limitWords(limits: LimitFields): readonly string[] {
  const { maxSessionsPerUser, idleTimeoutSeconds, maxDurationSeconds, stallTimeoutSeconds } = limits;
  const { maxBufferedStdinBytes, endWithToken } = limits;
  return [
    maxSessionsPerUser !== undefined && `at most ${maxSessionsPerUser} of a person at once`,
    idleTimeoutSeconds !== undefined && `end after ${duration(idleTimeoutSeconds)} without input or output`,
    maxDurationSeconds !== undefined && `last ${duration(maxDurationSeconds)} at most`,
    stallTimeoutSeconds !== undefined && `end where one side reads nothing for ${duration(stallTimeoutSeconds)}`,
    maxBufferedStdinBytes !== undefined && `keep up to ${mebibytes(maxBufferedStdinBytes)} of unread input`,
    endWithToken === true && "end with the sign-in",
    endWithToken === false && "go on when the sign-in is over",
  ].filter((text) => text !== false);
}

type RecordingFields = Rule["recording"];

const RECORDED = {
  off: "not recorded",
  output: "what they print is recorded",
  full: "what they print and what is typed is recorded",
} as const;

/** How sessions are recorded, as far as it is given. */
export function recordingWords({ mode, onFailure, onFull, maxBytes }: RecordingFields): readonly string[] {
  return [
    mode !== undefined && RECORDED[mode],
    maxBytes !== undefined && `recordings have ${mebibytes(maxBytes)} at most`,
    onFull !== undefined && `${onFull === "end" ? "end" : "go on"} when the recording is full`,
    onFailure !== undefined && `${onFailure === "end" ? "end" : "go on"} when they cannot be recorded`,
  ].filter((text) => text !== false);
}

function duration(seconds: number): string {
  if (seconds % 3_600 === 0) return `${seconds / 3_600} h`;
  return seconds % MINUTE_S === 0 ? `${seconds / MINUTE_S} min` : `${seconds} s`;
}

function mebibytes(bytes: number): string {
  const mebi = bytes / (1024 * 1024);
  return mebi >= 1 ? `${Number(mebi.toFixed(1))} MiB` : `${Number((bytes / 1024).toFixed(1))} KiB`;
}

/** Whom an identity rule or a grant is for. Everything that it names must hold. */
export function identitySubject(match: IdentityMatch): Words {
  const { email, emailDomain, group, groupName, claim, value, serviceToken, country, posture } = match;
  const parts: Words[] = [];
  if (email !== undefined) parts.push([code(email)]);
  if (emailDomain !== undefined) parts.push(["addresses of ", code(emailDomain)]);
  if (group !== undefined) parts.push(["members of the group ", code(group)]);
  if (groupName !== undefined) parts.push(["members of the group named ", code(groupName)]);
  if (claim !== undefined) parts.push(["people whose claim ", code(claim), " is or has ", code(value ?? "")]);
  if (serviceToken !== undefined) parts.push(["the service token ", code(serviceToken)]);
  if (country) parts.push(["from ", ...names(country)]);
  if (posture !== undefined) parts.push(["on a device that passes ", code(posture)]);
  return listed(parts, "and");
}

/** What an identity rule makes of somebody, a sentence each. */
export function identityEffects(rule: IdentityRule): readonly Words[] {
  const { user, groups, extra, mayImpersonate, roles, limits, recording } = rule;
  const effects: Words[] = [
    [
      "In the cluster: the user ",
      ...(user === undefined ? ["with their own address as name"] : [code(user)]),
      ...(groups.length > 0 ? [`, in the ${plural(groups, "group", "groups")} `, ...names(groups, "and")] : [""]),
      ".",
    ],
  ];
  if (roles.length > 0) effects.push(["In Sallyport: ", ...names(roles, "and"), "."]);
  for (const [key, values] of Object.entries(extra))
    effects.push(["Extra ", code(key), ": ", ...names(values, "and"), "."]);
  const others = [...mayImpersonate.users, ...mayImpersonate.groups];
  if (others.length > 0) effects.push(["May act as ", ...names(others), " with ", code("kubectl --as"), "."]);
  const changed = [...limitWords(limits), ...recordingWords(recording)];
  if (changed.length > 0) effects.push([`Sessions: ${changed.join("; ")}.`]);
  return effects;
}

/** Who may ask for a grant. */
export function grantSubject({ for: matches }: Pick<Grant, "for">): Words {
  return listed(matches.map(identitySubject), "or");
}

/** Who approves a grant, and how it is given, a sentence each. */
export function grantEffects(grant: Grant): readonly Words[] {
  const { approvers, count, maxMinutes, requireReason, selfApproval } = grant;
  const who = listed(
    [
      ...approvers.users.map((user) => [code(user)]),
      ...approvers.groups.map((group) => ["members of the group ", code(group)]),
      ...approvers.roles.map((role) => ["holders of the role ", code(role)]),
    ],
    "or",
  );
  return [
    ...(selfApproval === undefined ? [] : [["Break-glass: it holds as soon as somebody asks, with an alert."]]),
    [`${selfApproval === undefined ? "Approved" : "Revoked"} by `, ...(count > 1 ? [`${count} of `] : []), ...who, "."],
    [`For ${maxMinutes} min at most${requireReason ? ", with a reason" : ""}.`],
  ];
}
