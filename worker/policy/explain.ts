import type { Result } from "../../common/result.ts";
import { classify } from "../../kubernetes/classify.ts";
import { mayCreate } from "../../kubernetes/creation.ts";
import { rawRequestTarget } from "../../kubernetes/path.ts";
import { parseRequestInfo } from "../../kubernetes/request-info.ts";
import { findSessionEndpoint } from "../../kubernetes/session-target.ts";
import { readSubject } from "../access/authenticate.ts";
import type { Cluster, Config, Grant } from "../config/schema.ts";
import { findClusterByHost } from "../upstream/cluster-by-host.ts";
import type { ActingIdentity } from "./acting.ts";
import { describeApprovers } from "./approvals.ts";
import type { Decision } from "./decide.ts";
import { decideWithGrants, type GrantDenial } from "./decide-with-grants.ts";
import { resourceOf } from "./evaluate-rules.ts";
import { grantsFor, type HeldGrant, heldGrants } from "./grants.ts";
import { type Identity, identify } from "./identify.ts";
import { type Sender, tokenPayload } from "./token-payload.ts";

/** A request that was never sent. */
export interface Question extends Sender {
  /** Ids of groups at the identity provider. */
  readonly groups: readonly string[];
  /** Their names and email addresses. */
  readonly groupNames: readonly string[];
  /** Device posture checks that succeeded. */
  readonly posture: readonly string[];
  /** Of kubectl's `--as`: printable ASCII. Undefined: it is left out. */
  readonly kubectlAs: string | undefined;
  /** Each of kubectl's `--as-group`: printable ASCII. */
  readonly kubectlAsGroups: readonly string[];
  /** Names of the grants that the sender has. */
  readonly grants: readonly string[];
  /** Undefined: the first cluster's. */
  readonly host: string | undefined;
  /** Of the header `Upgrade`, or `none`. Undefined: what the path's kind of request needs. */
  readonly upgrade: string | undefined;
  /** Of the header `Content-Type`. */
  readonly contentType: string | undefined;
  readonly method: string;
  /** Path and query, as a client would write them. */
  readonly target: string;
}

/** One thing that was found out on the way to the decision. */
export interface Step {
  /** What it is about, such as `identity`; the last is `ALLOWED` or `REFUSED`. */
  readonly step: string;
  readonly text: string;
  /** The rule that decided, if one did: of the document, or of what is closed by default. */
  readonly rule?: string | undefined;
}

export interface Explanation {
  readonly steps: readonly Step[];
  readonly isAllowed: boolean;
}

/** Takes a request through the Worker's own stages, and tells what each of them decides. Pure. */
export function explain(question: Question, config: Config): Explanation {
  const cluster = question.host === undefined ? config.clusters[0] : findClusterByHost(config.clusters, question.host);
  if (!cluster) return refused([], "no cluster has this host name");
  const steps: Step[] = [{ step: "cluster", text: cluster.name }];

  const read = readSubject(tokenPayload(question));
  if (!read.ok) return refused(steps, read.error.message);
  const identified = identify(read.value, question, cluster.identities);
  if (!identified.ok) return refused([...steps, ...groupHints(question, cluster)], identified.error.message);
  const identity = identified.value;
  steps.push(...describeIdentity(identity));
  const available = grantsFor(config.grants, read.value, question);
  const lacking = question.grants.find((name) => !available.some((grant) => grant.name === name));
  if (lacking !== undefined) return refused(steps, whyNot(lacking, config));
  const active = question.grants.map((grant) => ({ id: grant, grant, until: Number.MAX_SAFE_INTEGER }));
  const held = heldGrants(available, active, 0);
  steps.push(...available.map((grant) => describeGrant(grant, held)));

  const url = `http://localhost${question.target}`;
  const upgrade = upgradeOf(question);
  const classified = classify(question.method, rawRequestTarget(url), upgrade);
  const creates = mayCreate(question.method, question.contentType ?? null);
  const { person, decided } = decideWithGrants({
    ...{ identity, client: impersonationHeaders(question), cluster, classified, creates },
    ...{ grants: config.grants, available, held },
  });
  if (!person.ok) return refused(steps, person.error.message);
  if (person.value.acting) steps.push({ step: "acts as", text: describeUser(person.value.acting) });
  const asked = `${describeClassified(classified)}${upgrade === null ? "" : `, Upgrade: ${upgrade}`}`;
  steps.push({ step: "request", text: asked });
  return describeDecision(steps, decided, config);
}

function whyNot(name: string, { grants }: Config): string {
  return grants.some((grant) => grant.name === name)
    ? `the grant ${name} is not for this sender`
    : `no grant has the name ${name}`;
}

function describeGrant(grant: Grant, held: readonly HeldGrant[]): Step {
  const { name, gives, count } = grant;
  const what = [
    ...(gives.groups.length > 0 ? [`groups ${gives.groups.join(", ")}`] : []),
    ...(gives.rules.length > 0 ? [`rules ${gives.rules.join(", ")}`] : []),
  ].join("; ");
  if (held.some((one) => one.grant === name)) return { step: "holds", text: `${name}: ${what}` };
  const who = grant.selfApproval ? "themselves, with an alert" : `${count} of ${describeApprovers(grant)}`;
  return { step: "may ask for", text: `${name}: ${what}; approved by ${who}` };
}

/** A group that was given by its name would match a rule that has the name in place of an id. */
function groupHints({ groupNames }: Question, { identities }: Cluster): Step[] {
  return identities.flatMap(({ match: { group } }, index) =>
    group !== undefined && groupNames.includes(group)
      ? [
          {
            step: "hint",
            text: `identities[${index}] compares ${group} with ids of groups only; for its name write groupName`,
          },
        ]
      : [],
  );
}

function upgradeOf({ upgrade, method, target }: Question): string | null {
  if (upgrade === "none") return null;
  if (upgrade !== undefined) return upgrade;
  const info = parseRequestInfo(method, rawRequestTarget(`http://localhost${target}`));
  return info.ok && findSessionEndpoint(info.value) !== undefined ? "websocket" : null;
}

/** What kubectl sends. */
function impersonationHeaders({ kubectlAs, kubectlAsGroups }: Question): Headers {
  const headers = new Headers();
  if (kubectlAs !== undefined) headers.set("Impersonate-User", kubectlAs);
  for (const group of kubectlAsGroups) headers.append("Impersonate-Group", group);
  return headers;
}

function describeUser({ user, groups }: Pick<ActingIdentity, "user" | "groups">): string {
  return `user ${user}, groups ${groups.join(", ") || "none"}`;
}

function describeIdentity({ name, user, groups, extra, roles, rule }: Identity): Step[] {
  const more = Object.entries(extra).map(([key, values]) => `, ${key}=${values.join(",")}`);
  return [
    {
      step: "identity",
      text: `${name}, by identities[${rule}]${roles.length > 0 ? `, with the roles ${roles.join(", ")}` : ""}`,
    },
    { step: "becomes", text: `${describeUser({ user, groups })}${more.join("")}` },
  ];
}

function describeClassified(classified: ReturnType<typeof classify>): string {
  if (classified.kind === "refused") return "not relayed";
  const { info } = classified;
  if (!info.isResourceRequest) return `${classified.kind}: ${info.verb} ${info.path}`;
  const where = [info.namespace && `namespace ${info.namespace}`, info.name && `name ${info.name}`].filter(Boolean);
  const kind = classified.kind === "session" ? `session of kind ${classified.session.sessionKind}` : classified.kind;
  return `${kind}: ${info.verb} ${resourceOf(info)}${where.length > 0 ? `, ${where.join(", ")}` : ""}`;
}

function describeDecision(steps: Step[], decided: Result<Decision, GrantDenial>, config: Config): Explanation {
  if (!decided.ok) {
    const { approval } = decided.error;
    if (approval) {
      const waits = approval.waitMinutes === 0 ? "nothing waits for it" : `a shell waits ${approval.waitMinutes} min`;
      steps.push({ step: "approval", text: `by the grant ${approval.grant}; ${waits}` });
    }
    const { message, rule } = decided.error;
    return refused(steps, rule === undefined ? message : `${message} by the rule ${rule}`, rule);
  }
  const decision = decided.value;
  if (decision.action === "session") {
    const { maxSessionsPerUser, idleTimeoutSeconds, maxDurationSeconds, endWithToken } = {
      ...config.limits,
      ...decision.limits,
    };
    const { mode, onFailure, onFull } = { ...config.recording, ...decision.recording };
    const end = endWithToken ? ", not longer than the token is valid" : "";
    const { watchWaitMinutes: minutes } = decision;
    if (minutes !== null) {
      steps.push({ step: "watch", text: `required; without anybody who watches, it ends after ${minutes} min` });
    }
    steps.push(
      {
        step: "rule",
        text: `${decision.rule ?? "none"}${decision.requireReason ? ", which requires a reason" : ""}`,
        rule: decision.rule ?? undefined,
      },
      {
        step: "limits",
        text: `${maxSessionsPerUser} at once, idle ${idleTimeoutSeconds} s, ${maxDurationSeconds} s in total${end}`,
      },
      { step: "recording", text: `${mode}, on failure ${onFailure}, when full ${onFull}` },
    );
  }
  steps.push({ step: "ALLOWED", text: "the cluster's RBAC decides the rest" });
  return { steps, isAllowed: true };
}

function refused(steps: readonly Step[], message: string, rule?: string): Explanation {
  return { steps: [...steps, { step: "REFUSED", text: message, rule }], isAllowed: false };
}

/** An explanation as a command prints it: a line for each step. */
export function explanationLines({ steps }: Explanation): string[] {
  return steps.map(({ step, text }) => `${step.padEnd(12)}${text}`);
}
