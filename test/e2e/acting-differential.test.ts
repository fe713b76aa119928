/**
 * Compares whom a request runs as with what a real cluster makes of it. A grammar generates the headers of
 * `--as` and `--as-group` as clients and attackers write them. Each request is sent to the API server twice:
 * with the client's own headers, as if nothing stood between, and as the Worker sends it, through `kubectl
 * proxy`. RBAC gives each user and group a right of its own, so the cluster's answer says whose rights were
 * used.
 */
import { connect } from "node:net";
import { connect as connectTls } from "node:tls";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { classify } from "../../kubernetes/classify.ts";
import { rawRequestTarget } from "../../kubernetes/path.ts";
import { type HeaderLine, impersonationHeaders } from "../../kubernetes/upstream-headers.ts";
import { PERSON_EXTRA } from "../../worker/config/reserved-extras.ts";
import type { Cluster, Rule } from "../../worker/config/schema.ts";
import { type ActingIdentity, readActingIdentity } from "../../worker/policy/acting.ts";
import { decide } from "../../worker/policy/decide.ts";
import type { Identity } from "../../worker/policy/identify.ts";
import { eventually } from "../support/eventually.ts";
import { Random, seedOfRun } from "../support/random.ts";
import { exchangeOn, type RawAnswer } from "./support/raw-http.ts";
import { type AuditEvent, AuditTail, KubectlProxy, readKubeconfig, realCluster } from "./support/real-cluster.ts";

const COUNT = 2_000;
const AT_ONCE = 8;
const seed = seedOfRun();
const run = `acting-${seed}-${Date.now().toString(36)}`;

const OWN = `${run}@example.com`;
const [TRAINEE, BOSS] = [`${run}-trainee`, `${run}-boss`];
const [DEVELOPERS, ONCALL, VIEWERS, ADMINS] = ["developers", "oncall", "viewers", "admins"].map(
  (name) => `${run}-${name}`,
) as [string, string, string, string];
/** A member of DEVELOPERS and ONCALL, who may be TRAINEE, and have VIEWERS. */
const PERSON: Identity = {
  ...{ name: OWN, uid: `uid-${run}`, user: OWN, groups: [DEVELOPERS, ONCALL], extra: {} },
  mayImpersonate: { users: [TRAINEE], groups: [VIEWERS] },
  ...{ roles: [], limits: {}, recording: {}, rule: 0 },
};

/** Which resource whose RBAC lets them get. Nobody else may. */
const RIGHTS: Readonly<Record<string, { readonly kind: "User" | "Group"; readonly name: string }>> = {
  configmaps: { kind: "User", name: OWN },
  secrets: { kind: "User", name: TRAINEE },
  limitranges: { kind: "User", name: BOSS },
  services: { kind: "Group", name: DEVELOPERS },
  endpoints: { kind: "Group", name: ONCALL },
  pods: { kind: "Group", name: VIEWERS },
  serviceaccounts: { kind: "Group", name: ADMINS },
  // Of these, rules refuse what RBAC allows.
  resourcequotas: { kind: "Group", name: DEVELOPERS },
  podtemplates: { kind: "Group", name: VIEWERS },
  persistentvolumeclaims: { kind: "User", name: TRAINEE },
};
const RESOURCES = Object.keys(RIGHTS);
const refusing = (resource: string, who: Pick<Rule["match"], "users" | "groups">): Rule => ({
  ...{ name: resource, match: { resources: [resource], ...who }, action: "refuse" },
  ...{ requireReason: false, tell: false, limits: {}, recording: {} },
});
const CLUSTER = {
  name: "test",
  rules: [
    refusing("resourcequotas", { groups: [DEVELOPERS] }),
    refusing("podtemplates", { groups: [VIEWERS] }),
    refusing("persistentvolumeclaims", { users: [TRAINEE] }),
  ],
} as unknown as Cluster;

/** A request and its client's headers. */
interface Probe {
  readonly id: string;
  readonly resource: string;
  readonly client: readonly HeaderLine[];
  /** What the Worker sends; undefined where it refuses. */
  readonly sent: { readonly lines: readonly HeaderLine[]; readonly acting: ActingIdentity | undefined } | undefined;
}

/** As kubectl sends what the rule allows. */
function generatePlainHeaders(random: Random): HeaderLine[] {
  const user = random.pick([OWN, TRAINEE]);
  const groups = user === OWN ? [DEVELOPERS, ONCALL, VIEWERS] : [VIEWERS];
  const chosen = groups.filter(() => random.chance(0.5));
  return [["Impersonate-User", user], ...chosen.map((group): HeaderLine => ["Impersonate-Group", group])];
}

function generateHeaders(random: Random): HeaderLine[] {
  if (random.chance(0.3)) return generatePlainHeaders(random);
  const spelled = (name: string) =>
    random.pick([name, name, name, name, name.toLowerCase(), name.toUpperCase(), name.replaceAll("-", "_")]);
  const users = [OWN, OWN, OWN, TRAINEE, TRAINEE, BOSS, OWN.toUpperCase(), "", `${OWN}, ${TRAINEE}`, "system:admin"];
  const groups = [DEVELOPERS, ONCALL, VIEWERS, DEVELOPERS, ONCALL, VIEWERS, ADMINS, "system:masters", ""];
  const group = () =>
    random.weighted([8, 1, 1, 1]) === 0
      ? random.pick(groups)
      : random.pick([
          `${random.pick(groups)},${random.pick(groups)}`,
          `${random.pick(groups)}, ${random.pick(groups)}`,
          ` ${random.pick(groups)} `,
          `${random.pick(groups)}\t`,
          random.pick(groups).toUpperCase(),
        ]);
  const lines: HeaderLine[] = [];
  const amount = random.weighted([2, 20, 1]);
  for (let user = 0; user < amount; user++) lines.push([spelled("Impersonate-User"), random.pick(users)]);
  for (let left = random.below(4); left > 0; left--) lines.push([spelled("Impersonate-Group"), group()]);
  if (random.chance(0.05)) lines.push([spelled("Impersonate-Uid"), "0"]);
  if (random.chance(0.05)) lines.push([spelled("Impersonate-Extra-Scopes"), "all"]);
  if (random.chance(0.05)) lines.push(["Connection", "Impersonate-Group, Impersonate-User"]);
  return lines.sort(() => (random.chance(0.5) ? 1 : -1));
}

const targetOf = (resource: string) => `/api/v1/namespaces/default/${resource}/none-${run}`;

/** What the Worker makes of it. */
function decideFor(resource: string, client: readonly HeaderLine[]): Probe["sent"] {
  const headers = new Headers();
  for (const [name, value] of client) headers.append(name, value);
  const acting = readActingIdentity(PERSON, headers);
  if (!acting.ok) return undefined;
  const classified = classify("GET", rawRequestTarget(`http://localhost${targetOf(resource)}`), null);
  const asked = { identity: PERSON, acting: acting.value, cluster: CLUSTER, classified, creates: false };
  const decided = decide(asked);
  if (!decided.ok) return undefined;
  const lines = impersonationHeaders(decided.value.as);
  if (!lines.ok) throw new Error(lines.error.message);
  return { lines: lines.value, acting: acting.value };
}

/** RBAC lets through what then does not exist. */
const isAllowed = ({ status }: RawAnswer) => status === 404;

/** Why the Worker was more permissive, or somebody else, than it may be; undefined if all is well. */
function disagreement(probe: Probe, direct: RawAnswer, sent: RawAnswer, event: AuditEvent): string | undefined {
  const { username = "nobody", groups: all = [], extra = {} } = event.impersonatedUser ?? {};
  const groups = all.filter((group) => group !== "system:authenticated");
  const isOwn = username === OWN;
  if (!isOwn && username !== TRAINEE) return `it ran as ${username}`;
  const available = [...(isOwn ? PERSON.groups : []), VIEWERS];
  const foreign = groups.filter((group) => !available.includes(group));
  if (foreign.length > 0) return `it had the groups ${foreign.join(" ")}`;
  if (!isOwn && extra[PERSON_EXTRA]?.[0] !== OWN) return "the cluster's audit log does not name the person";
  const acting = probe.sent?.acting;
  const wanted = acting ? acting.groups : PERSON.groups;
  const isWanted = groups.length === new Set(wanted).size && wanted.every((group) => groups.includes(group));
  if (!isWanted) return `it had ${groups.join(" ")}, not what was decided`;
  const right = RIGHTS[probe.resource];
  const rule = CLUSTER.rules.find(({ name }) => name === probe.resource);
  if (rule && [username, ...groups, ...PERSON.groups].includes(right?.name ?? "")) return "a rule refuses this";
  // Lines that a proxy may have joined are several groups here, and one to the API server.
  const isJoined = probe.client.some(([, value]) => value.includes(","));
  if (acting && !isJoined && isAllowed(sent) !== isAllowed(direct)) {
    return `the cluster answered ${sent.status}, and ${direct.status} to the client's own headers`;
  }
  return undefined;
}

const cluster = realCluster("the differential test of --as and --as-group");

describe.skipIf(!cluster)("whom a request runs as", () => {
  const probes: Probe[] = [];
  const answers = new Map<string, RawAnswer>();
  const events = new Map<string, AuditEvent>();
  let audit: AuditTail;
  let proxy: KubectlProxy;
  let connection: ReturnType<typeof readKubeconfig>;

  const idOf = (probe: Probe, way: "direct" | "sent") => `${probe.id}-${way}`;
  const message = (line: string, lines: readonly HeaderLine[], body = "") =>
    `${line} HTTP/1.1\r\nHost: localhost\r\n${lines.map(([name, value]) => `${name}: ${value}\r\n`).join("")}` +
    `Content-Length: ${body.length}\r\nConnection: close\r\n\r\n${body}`;
  function direct(line: string, lines: readonly HeaderLine[], body?: string): Promise<RawAnswer> {
    const { host, port, ca, token } = connection;
    const own: HeaderLine = ["Authorization", `Bearer ${token}`];
    return exchangeOn(connectTls({ host, port, ca }), message(line, [own, ...lines], body));
  }

  /** Creates or deletes what RBAC needs, as an administrator of the cluster. */
  async function changeRbac(change: "create" | "delete"): Promise<void> {
    const as: HeaderLine[] = [
      ["Impersonate-User", `${run}-setup`],
      ["Impersonate-Group", "system:masters"],
      ["Content-Type", "application/json"],
    ];
    const api = "rbac.authorization.k8s.io";
    for (const [resource, subject] of Object.entries(RIGHTS)) {
      const metadata = { name: `sallyport-${run}-${resource}` };
      const rules = [{ apiGroups: [""], resources: [resource], verbs: ["get"] }];
      const roleRef = { apiGroup: api, kind: "ClusterRole", name: metadata.name };
      const subjects = [{ apiGroup: api, ...subject }];
      for (const [plural, kind, content] of [
        ["clusterroles", "ClusterRole", { rules }],
        ["clusterrolebindings", "ClusterRoleBinding", { roleRef, subjects }],
      ] as const) {
        const path = `/apis/${api}/v1/${plural}`;
        const body = JSON.stringify({ apiVersion: `${api}/v1`, kind, metadata, ...content });
        const { status, text } =
          change === "create"
            ? await direct(`POST ${path}`, as, body)
            : await direct(`DELETE ${path}/${metadata.name}`, as);
        if (change === "create" && status !== 201) throw new Error(text);
      }
    }
  }

  beforeAll(async () => {
    if (!cluster) return;
    console.error(`differential test of --as: seed ${seed} (repeat with SALLYPORT_SEED=${seed})`);
    const random = new Random(seed);
    for (let index = 0; index < COUNT; index++) {
      const [resource, client] = [random.pick(RESOURCES), generateHeaders(random)];
      probes.push({ id: `${run}-${index}`, resource, client, sent: decideFor(resource, client) });
    }
    connection = readKubeconfig(cluster.impersonator);
    await changeRbac("create");
    audit = new AuditTail(cluster.auditLog, run);
    proxy = await KubectlProxy.start(cluster);
    const viaProxy = () => connect(Number(new URL(proxy.url).port), "127.0.0.1");
    const right = () => direct(`GET ${targetOf("configmaps")}`, [["Impersonate-User", OWN]]);
    // The API server's authorizer learns of a new role by a watch.
    await eventually(async () => {
      if (!isAllowed(await right())) throw new Error("RBAC does not know the roles yet");
    });
    const all = [...probes];
    await Promise.all(
      Array.from({ length: AT_ONCE }, async () => {
        for (let probe = all.shift(); probe; probe = all.shift()) {
          const line = `GET ${targetOf(probe.resource)}`;
          const id = (way: "direct" | "sent"): HeaderLine => ["Audit-ID", idOf(probe, way)];
          answers.set(idOf(probe, "direct"), await direct(line, [...probe.client, id("direct")]));
          if (!probe.sent) continue;
          const bytes = message(line, [...probe.sent.lines, id("sent")]);
          answers.set(idOf(probe, "sent"), await exchangeOn(viaProxy(), bytes));
        }
      }),
    );
    await eventually(() => {
      for (const event of audit.read()) events.set(event.auditID, event);
      const missing = probes.filter((probe) => probe.sent && !events.has(idOf(probe, "sent")));
      if (missing.length > 0) throw new Error(`${missing.length} requests are not in the audit log`);
    }, 200);
  });
  afterAll(async () => {
    if (cluster) await changeRbac("delete");
    proxy?.stop();
    audit?.close();
  });

  const answerTo = (probe: Probe, way: "direct" | "sent") => answers.get(idOf(probe, way)) ?? { status: 0, text: "" };
  const eventOf = (probe: Probe) => events.get(idOf(probe, "sent")) as AuditEvent;

  it("is never more than the rule gives, and what the client's headers say to the API server", () => {
    const accepted = probes.filter(({ sent }) => sent);
    const disagreements = accepted.flatMap((probe) => {
      const difference = disagreement(probe, answerTo(probe, "direct"), answerTo(probe, "sent"), eventOf(probe));
      return difference === undefined ? [] : [`${probe.resource} ${JSON.stringify(probe.client)}: ${difference}`];
    });
    console.error(
      `differential test of --as: ${probes.length} sent, ${probes.length - accepted.length} refused by the Worker, ` +
        `${disagreements.length} disagreements`,
    );
    expect(disagreements).toEqual([]);
  });

  it("covers fewer groups, other users, and what RBAC and rules then refuse", () => {
    const count = (what: string, least: number, is: (probe: Probe) => boolean) => {
      const found = probes.filter(is).length;
      console.error(`differential test of --as: ${found} ${what}`);
      expect(found, what).toBeGreaterThan(least);
    };
    const isOwn = ({ sent }: Probe) => sent?.acting?.isOwnUser === true;
    const isOther = ({ sent }: Probe) => sent?.acting?.isOwnUser === false;
    const mayByGroup = ({ resource }: Probe) => PERSON.groups.includes(RIGHTS[resource]?.name ?? "");
    const allowed = (probe: Probe) => isAllowed(answerTo(probe, "sent"));
    count("as the own user, allowed by the cluster", 50, (probe) => isOwn(probe) && allowed(probe));
    count("as another user, allowed by the cluster", 20, (probe) => isOther(probe) && allowed(probe));
    count("refused by the cluster for a group that was left out", 10, (probe) => {
      return isOwn(probe) && mayByGroup(probe) && answerTo(probe, "sent").status === 403;
    });
    count("refused by the Worker, and allowed to the client's own headers", 20, (probe) => {
      return !probe.sent && isAllowed(answerTo(probe, "direct"));
    });
  });
});
