/**
 * Compares the classifier's reading of a request with the API server's. A grammar generates and mutates
 * paths, which are sent to a real cluster as a user without any rights. The audit log says how the API server
 * read each. Where the two readings differ, the classifier must not be the more permissive one.
 *
 * Each request is sent directly to the API server as spelled. If the Worker would forward it, it is also sent
 * as the Worker sends it, through `kubectl proxy`, whose ServeMux has its own reading.
 */
import { connect, type Socket } from "node:net";
import { connect as connectTls } from "node:tls";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type Classified, classify } from "../../kubernetes/classify.ts";
import { rawRequestTarget } from "../../kubernetes/path.ts";
import type { RequestInfo } from "../../kubernetes/request-info.ts";
import type { Rule } from "../../worker/config/schema.ts";
import { evaluateRules, matches } from "../../worker/policy/evaluate-rules.ts";
import { eventually } from "../support/eventually.ts";
import { Random, seedOfRun } from "../support/random.ts";
import { type GeneratedRequest, generateRequest } from "./support/path-grammar.ts";
import { exchangeOn, type RawAnswer } from "./support/raw-http.ts";
import { type AuditEvent, AuditTail, KubectlProxy, readKubeconfig, realCluster } from "./support/real-cluster.ts";

const COUNT = 2_500;
const AT_ONCE = 8;
const UPGRADES = [null, "websocket", "SPDY/3.1"] as const;
const SESSION_SUBRESOURCES = new Set(["exec", "attach", "portforward"]);
const READS = new Set(["get", "list", "watch"]);
const WAYS = ["direct", "by proxy"] as const;
type Way = (typeof WAYS)[number];

const refusing = (match: Rule["match"]): Rule => ({
  ...{ name: JSON.stringify(match), match, action: "refuse" },
  ...{ requireReason: false, tell: false, limits: {}, recording: {} },
});
/** What these refuse by the API server's reading, they must refuse by the Worker's. */
const REFUSING: readonly Rule[] = [
  { names: ["shell"] },
  { names: ["shell"], resources: ["pods", "pods/*"] },
  { names: ["web", "a*"], verbs: ["get", "list", "delete"] },
  { namespaces: ["demo"] },
  { namespaces: ["demo"], resources: ["secrets", "configmaps"], verbs: ["list", "watch"] },
  { verbs: ["create", "deletecollection"] },
  { resources: ["*/proxy"] },
].map(refusing);
const CONNECTOR_NAMESPACE = "default";

interface Allowed {
  readonly info: RequestInfo;
  /** Without an upgrade, and with each kind of upgrade. */
  readonly kinds: readonly Exclude<Classified["kind"], "refused">[];
}

interface Probe extends GeneratedRequest {
  readonly id: string;
  /** Undefined if the Worker refuses it with and without any upgrade. */
  readonly ours: Allowed | undefined;
}

const asked = (info: RequestInfo) => ({
  ...{ identity: { name: "nobody", groups: [] }, cluster: "test", connectorNamespace: CONNECTOR_NAMESPACE },
  ...{ info, session: undefined },
});

/** How the Worker reads the request; undefined if it refuses it with and without any upgrade. */
function read({ method, target }: GeneratedRequest): Allowed | undefined {
  const classified = UPGRADES.map((upgrade) =>
    classify(method, rawRequestTarget(`http://localhost${target}`), upgrade),
  );
  const allowed = classified.filter((one) => one.kind !== "refused");
  const [first] = allowed;
  if (!first) return undefined;
  const { info } = first;
  if (!evaluateRules(asked(info), []).ok) return undefined;
  return { info, kinds: allowed.map(({ kind }) => kind) };
}

/**
 * The API server answers 403 with a Status to a user without rights. `kubectl proxy` refuses without a
 * Status.
 */
function isVerdict({ status, text }: RawAnswer): boolean {
  return status === 403 && text.includes('"kind":"Status"');
}

/** Describes how the Worker's reading differs from the API server's; undefined if they agree. */
function disagreement({ info, kinds }: Allowed, { objectRef, verb }: AuditEvent): string | undefined {
  const theirs = { resource: "", namespace: "", name: "", apiGroup: "", subresource: "", ...objectRef };
  const isCore = theirs.apiGroup === "";
  const isSession = isCore && theirs.resource === "pods" && SESSION_SUBRESOURCES.has(theirs.subresource);
  if (isSession && kinds.some((kind) => kind !== "session")) return "a session to the API server only";
  if (isCore && theirs.resource === "nodes" && theirs.subresource === "proxy") return "a way to the kubelet";
  if (theirs.namespace === CONNECTOR_NAMESPACE) return "a way into the connector's namespace";
  const asTheirs = asked({ ...info, ...theirs, verb });
  const missed = REFUSING.find((rule) => matches(rule.match, asTheirs) && evaluateRules(asked(info), [rule]).ok);
  if (missed) return `the rule ${missed.name} refuses only what the API server reads`;
  if (info.isResourceRequest !== (objectRef !== undefined)) return "a resource to one of the two only";
  for (const part of ["resource", "namespace", "apiGroup", "subresource"] as const) {
    if (info[part] !== theirs[part]) return `${part} ${info[part]}, to the API server ${theirs[part]}`;
  }
  // The Worker's name may be missing: see nameFromFieldSelector in kubernetes/request-info.ts.
  if (info.name !== "" && info.name !== theirs.name) return `name ${info.name}, to the API server ${theirs.name}`;
  if (READS.has(info.verb) && !READS.has(verb)) return `read ${info.verb}, to the API server the write ${verb}`;
  return info.verb === verb ? undefined : `verb ${info.verb}, to the API server ${verb}`;
}

const cluster = realCluster("the differential test of the classifier");

describe.skipIf(!cluster)("the classifier's reading", () => {
  const seed = seedOfRun();
  const run = `differential-${seed}-${Date.now().toString(36)}`;
  const probes: Probe[] = [];
  const sent = new Set<string>();
  const verdicts = new Map<string, AuditEvent>();
  let audit: AuditTail;
  let proxy: KubectlProxy;

  beforeAll(async () => {
    if (!cluster) return;
    console.error(`differential test: seed ${seed} (repeat with SALLYPORT_SEED=${seed})`);
    const random = new Random(seed);
    const known = new Set<string>();
    while (probes.length < COUNT) {
      const request = generateRequest(random);
      const key = `${request.method} ${request.target}`;
      if (known.has(key)) continue;
      known.add(key);
      probes.push({ ...request, id: `${run}-${probes.length}`, ours: read(request) });
    }
    audit = new AuditTail(cluster.auditLog, run);
    proxy = await KubectlProxy.start(cluster);
    const { host, port, ca, token } = readKubeconfig(cluster.impersonator);
    const direct = () => connectTls({ host, port, ca });
    const viaProxy = () => connect(Number(new URL(proxy.url).port), "127.0.0.1");

    const all = probes.flatMap((probe): [id: string, socket: () => Socket, bytes: string][] => {
      const own = `Host: localhost\r\nAuthorization: Bearer ${token}\r\n`;
      const ways: [string, () => Socket, string][] = [
        [idOf(probe, "direct"), direct, bytesOf(probe, probe.target, idOf(probe, "direct"), own)],
      ];
      if (!probe.ours) return ways;
      // The Worker's fetch parses its URL in the same way.
      const { pathname, search } = new URL(`http://localhost${probe.target}`);
      const bytes = bytesOf(probe, pathname + search, idOf(probe, "by proxy"), "Host: localhost\r\n");
      return [...ways, [idOf(probe, "by proxy"), viaProxy, bytes]];
    });
    const due: string[] = [];
    await Promise.all(
      Array.from({ length: AT_ONCE }, async () => {
        for (let next = all.shift(); next; next = all.shift()) {
          const [id, socket, bytes] = next;
          const answer = await exchangeOn(socket(), bytes);
          sent.add(id);
          if (isVerdict(answer)) due.push(id);
        }
      }),
    );
    await eventually(() => {
      for (const event of audit.read()) verdicts.set(event.auditID, event);
      const missing = due.filter((id) => !verdicts.has(id));
      if (missing.length > 0) throw new Error(`${missing.length} verdicts are not in the audit log`);
    }, 200);
  });
  afterAll(() => {
    proxy?.stop();
    audit?.close();
  });

  /** The API server uses the client's Audit-ID for its event. (So the Worker forwards none.) */
  const idOf = ({ id }: Probe, way: Way) => `${id}-${way === "direct" ? "d" : "p"}`;

  function bytesOf({ method }: Probe, target: string, id: string, headers: string): string {
    return (
      `${method} ${target} HTTP/1.1\r\n${headers}Impersonate-User: ${run}@example.com\r\nAudit-ID: ${id}\r\n` +
      "Content-Length: 0\r\nConnection: close\r\n\r\n"
    );
  }

  it.each(WAYS)("is never more permissive than the API server's: %s", (way) => {
    const compared = probes.flatMap((probe) => {
      const event = verdicts.get(idOf(probe, way));
      return event && probe.ours ? [{ probe, ours: probe.ours, event }] : [];
    });
    const disagreements = compared.flatMap(({ probe, ours, event }) => {
      const difference = disagreement(ours, event);
      return difference === undefined ? [] : [`${probe.method} ${probe.target}: ${difference}`];
    });
    const sessions = compared.filter(({ ours }) => ours.kinds.includes("session")).length;
    const counts = [
      `${probes.filter((probe) => sent.has(idOf(probe, way))).length} sent`,
      `${probes.filter(({ ours }) => !ours).length} refused by the Worker`,
      `${probes.filter((probe) => probe.ours && !verdicts.has(idOf(probe, way))).length} without a verdict`,
      `${compared.length} compared, ${sessions} of them sessions`,
      `${disagreements.length} disagreements`,
    ];
    console.error(`differential test, ${way}: ${counts.join(", ")}`);
    expect(disagreements).toEqual([]);
    expect(compared.length).toBeGreaterThan(COUNT / 5);
    expect(sessions).toBeGreaterThan(20);
  });

  it("refuses paths that are sessions to the API server, so the grammar covers what matters", () => {
    const refused = probes.filter(({ ours }) => !ours);
    const sessions = refused.filter((probe) => {
      const { resource, subresource = "" } = verdicts.get(idOf(probe, "direct"))?.objectRef ?? {};
      return resource === "pods" && SESSION_SUBRESOURCES.has(subresource);
    });
    console.error(`differential test: ${sessions.length} of ${refused.length} refused are sessions to the API server`);
    expect(sessions.length).toBeGreaterThan(20);
  });

  it("lets a user without rights do nothing", () => {
    for (const { verb, objectRef, responseStatus } of verdicts.values()) {
      if (objectRef) expect(responseStatus?.code, `${verb} ${JSON.stringify(objectRef)}`).toBeGreaterThanOrEqual(400);
    }
  });
});
