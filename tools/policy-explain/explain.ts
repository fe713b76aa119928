import type { Result } from "../../common/result.ts";
import { classify } from "../../kubernetes/classify.ts";
import { rawRequestTarget } from "../../kubernetes/path.ts";
import { parseRequestInfo } from "../../kubernetes/request-info.ts";
import { findSessionEndpoint } from "../../kubernetes/session-target.ts";
import { readSubject } from "../../worker/access/authenticate.ts";
import type { Config } from "../../worker/config/schema.ts";
import { type Decision, decide, type PolicyDenial } from "../../worker/policy/decide.ts";
import { resourceOf } from "../../worker/policy/evaluate-rules.ts";
import { type Identity, identify } from "../../worker/policy/identify.ts";
import { findClusterByHost } from "../../worker/upstream/cluster-by-host.ts";

/** A request that nobody sent, of somebody who did not sign in. */
export interface Question {
  /** An email address, or `service:<common name>`. */
  readonly who: string;
  readonly claims: readonly (readonly [name: string, value: string])[];
  readonly groups: readonly string[];
  readonly posture: readonly string[];
  readonly country: string | undefined;
  readonly host: string | undefined;
  readonly upgrade: string | undefined;
  readonly method: string;
  /** Path and query, as a client would spell them. */
  readonly target: string;
}

export interface Explanation {
  readonly lines: readonly string[];
  readonly isAllowed: boolean;
}

const SERVICE = "service:";

/** Takes a request the Worker's own way, stage by stage, and says what each made of it. */
export function explain(question: Question, config: Config): Explanation {
  const cluster = question.host === undefined ? config.clusters[0] : findClusterByHost(config.clusters, question.host);
  if (!cluster) return refused([], "no cluster answers to this host name");
  const lines = [`cluster     ${cluster.name}`];

  const read = readSubject(payloadOf(question));
  if (!read.ok) return refused(lines, read.error.message);
  const identified = identify(read.value, question, cluster.identities);
  if (!identified.ok) return refused(lines, identified.error.message);
  const identity = identified.value;
  lines.push(...describeIdentity(identity));

  const url = `http://localhost${question.target}`;
  const upgrade = upgradeOf(question);
  const classified = classify(question.method, rawRequestTarget(url), upgrade);
  lines.push(`request     ${describeClassified(classified)}${upgrade === null ? "" : `, Upgrade: ${upgrade}`}`);
  return describeDecision(lines, decide(identity, cluster, classified), config);
}

/** What a token would say. */
export function payloadOf({
  who,
  claims,
  country,
}: Pick<Question, "who" | "claims" | "country">): Record<string, unknown> {
  const payload: Record<string, unknown> = { type: "app", sub: "explained", ...(country !== undefined && { country }) };
  for (const [name, value] of claims) put(payload, name.split("."), value);
  if (who.startsWith(SERVICE)) return { ...payload, sub: "", common_name: who.slice(SERVICE.length) };
  return { ...payload, email: who };
}

/** A claim given twice is a list. */
function put(into: Record<string, unknown>, [key = "", ...rest]: readonly string[], value: string): void {
  const before = Object.hasOwn(into, key) ? into[key] : undefined;
  if (rest.length > 0) {
    const inner: Record<string, unknown> = typeof before === "object" && before !== null ? { ...before } : {};
    put(inner, rest, value);
    into[key] = inner;
  } else {
    into[key] = before === undefined ? value : [before, value].flat();
  }
}

function upgradeOf({ upgrade, method, target }: Question): string | null {
  if (upgrade === "none") return null;
  if (upgrade !== undefined) return upgrade;
  const info = parseRequestInfo(method, rawRequestTarget(`http://localhost${target}`));
  return !("error" in info) && findSessionEndpoint(info) !== undefined ? "websocket" : null;
}

function describeIdentity({ name, user, groups, extra, roles, rule }: Identity): string[] {
  const more = Object.entries(extra).map(([key, values]) => `, ${key}=${values.join(",")}`);
  return [
    `identity    ${name}, by identities[${rule}]${roles.length > 0 ? `, with the roles ${roles.join(", ")}` : ""}`,
    `becomes     user ${user}, groups ${groups.join(", ") || "none"}${more.join("")}`,
  ];
}

function describeClassified(classified: ReturnType<typeof classify>): string {
  if (classified.kind === "refused") return "not one that is relayed";
  const { info } = classified;
  if (!info.isResourceRequest) return `${classified.kind}: ${info.verb} ${info.path}`;
  const where = [info.namespace && `namespace ${info.namespace}`, info.name && `name ${info.name}`].filter(Boolean);
  const kind = classified.kind === "session" ? `session of kind ${classified.session.sessionKind}` : classified.kind;
  return `${kind}: ${info.verb} ${resourceOf(info)}${where.length > 0 ? `, ${where.join(", ")}` : ""}`;
}

function describeDecision(lines: string[], decided: Result<Decision, PolicyDenial>, config: Config): Explanation {
  if (!decided.ok) {
    const rule = decided.error.rule === undefined ? "" : ` by the rule ${decided.error.rule}`;
    return refused(lines, `${decided.error.message}${rule}`);
  }
  const decision = decided.value;
  if (decision.action === "session") {
    const { maxSessionsPerUser, idleTimeoutSeconds, maxDurationSeconds, endWithToken } = {
      ...config.limits,
      ...decision.limits,
    };
    const { mode, onFailure, onFull } = { ...config.recording, ...decision.recording };
    const end = endWithToken ? ", at most as long as the token" : "";
    lines.push(
      `rule        ${decision.rule ?? "none"}${decision.requireReason ? ", which asks for a reason" : ""}`,
      `limits      ${maxSessionsPerUser} at once, idle ${idleTimeoutSeconds} s, ${maxDurationSeconds} s in all${end}`,
      `recording   ${mode}, on failure ${onFailure}, when full ${onFull}`,
    );
  }
  lines.push("ALLOWED     the rest is for the cluster's RBAC to say");
  return { lines, isAllowed: true };
}

function refused(lines: readonly string[], words: string): Explanation {
  return { lines: [...lines, `REFUSED     ${words}`], isAllowed: false };
}
