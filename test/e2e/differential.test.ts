/**
 * Our reading of a request beside the API server's own: paths that a grammar makes and mutates are sent to a real cluster as
 * somebody who may do nothing there, and its audit log says what it took each for. Where it and we disagree, we must not be
 * the more permissive.
 *
 * Sent twice: as spelled, straight to the API server; and, where we would let it through, as the Worker would send it, by way
 * of `kubectl proxy`, whose ServeMux has a reading of its own.
 */
import { connect, type Socket } from "node:net";
import { connect as connectTls } from "node:tls";
import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import { type Classified, classify } from "../../kubernetes/classify.ts";
import { rawRequestTarget } from "../../kubernetes/path.ts";
import type { RequestInfo } from "../../kubernetes/request-info.ts";
import { evaluateRules } from "../../worker/policy/evaluate-rules.ts";
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

interface Allowed {
  readonly info: RequestInfo;
  /** With no upgrade and with each there is. */
  readonly kinds: readonly Exclude<Classified["kind"], "refused">[];
}

interface Probe extends GeneratedRequest {
  readonly id: string;
  /** Undefined where we refuse it whatever the upgrade. */
  readonly ours: Allowed | undefined;
}

/** What we would let through, if anything, under any upgrade. */
function read({ method, target }: GeneratedRequest): Allowed | undefined {
  const classified = UPGRADES.map((upgrade) =>
    classify(method, rawRequestTarget(`http://localhost${target}`), upgrade),
  );
  const allowed = classified.filter((one) => one.kind !== "refused");
  const [first] = allowed;
  if (!first) return undefined;
  const { info } = first;
  const asked = { identity: { name: "nobody", groups: [] }, cluster: "test", info, session: undefined };
  if (!evaluateRules(asked, []).ok) return undefined;
  return { info, kinds: allowed.map(({ kind }) => kind) };
}

/** 403 is the API server's verdict on somebody who may do nothing; `kubectl proxy` says it of itself without a Status. */
function isVerdict({ status, text }: RawAnswer): boolean {
  return status === 403 && text.includes('"kind":"Status"');
}

/** In which way we are the more permissive, or read something else; undefined where we agree. */
function disagreement({ info, kinds }: Allowed, { objectRef, verb }: AuditEvent): string | undefined {
  const theirs = { resource: "", namespace: "", name: "", apiGroup: "", subresource: "", ...objectRef };
  const isCore = theirs.apiGroup === "";
  const isSession = isCore && theirs.resource === "pods" && SESSION_SUBRESOURCES.has(theirs.subresource);
  if (isSession && kinds.some((kind) => kind !== "session")) return "a session to the API server, and not to us";
  if (isCore && theirs.resource === "nodes" && theirs.subresource === "proxy") return "a way to the kubelet";
  if (info.isResourceRequest !== (objectRef !== undefined)) return "a resource to one of us only";
  for (const part of ["resource", "namespace", "apiGroup", "subresource"] as const) {
    if (info[part] !== theirs[part]) return `another ${part}: ${info[part]}, to the API server ${theirs[part]}`;
  }
  // Ours may be missing: see selectedName in kubernetes/request-info.ts.
  if (info.name !== "" && info.name !== theirs.name) return `another name: ${info.name}, not ${theirs.name}`;
  if (READS.has(info.verb) && !READS.has(verb)) return `the write ${verb} is the read ${info.verb} to us`;
  return info.verb === verb ? undefined : `another verb: ${info.verb}, to the API server ${verb}`;
}

const cluster = realCluster("the differential test of the classifier");

describe.skipIf(!cluster)("our reading beside the API server's", () => {
  const seed = seedOfRun();
  const run = `differential-${seed}-${Date.now().toString(36)}`;
  const probes: Probe[] = [];
  const sent = new Set<string>();
  const verdicts = new Map<string, AuditEvent>();
  let audit: AuditTail;
  let proxy: KubectlProxy;

  beforeAll(async () => {
    if (!cluster) return;
    console.error(`differential test: seed ${seed} (SALLYPORT_SEED=${seed} has it again)`);
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
      // The Worker's fetch parses the URL that it is given, as this does.
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
    await vi.waitFor(
      () => {
        for (const event of audit.read()) verdicts.set(event.auditID, event);
        const missing = due.filter((id) => !verdicts.has(id));
        if (missing.length > 0) throw new Error(`${missing.length} verdicts are not in the audit log`);
      },
      { timeout: 20_000, interval: 200 },
    );
  });
  afterAll(() => {
    proxy?.stop();
    audit?.close();
  });

  /** Audit-ID: the API server takes the client's for its event's. (Which is why the Worker passes none on.) */
  const idOf = ({ id }: Probe, way: Way) => `${id}-${way === "direct" ? "d" : "p"}`;

  function bytesOf({ method }: Probe, target: string, id: string, headers: string): string {
    return (
      `${method} ${target} HTTP/1.1\r\n${headers}Impersonate-User: ${run}@example.com\r\nAudit-ID: ${id}\r\n` +
      "Content-Length: 0\r\nConnection: close\r\n\r\n"
    );
  }

  it.each(WAYS)("is never the more permissive one: %s", (way) => {
    const compared = probes.flatMap((probe) => {
      const event = verdicts.get(idOf(probe, way));
      return event && probe.ours ? [{ probe, ours: probe.ours, event }] : [];
    });
    const disagreements = compared.flatMap(({ probe, ours, event }) => {
      const words = disagreement(ours, event);
      return words === undefined ? [] : [`${probe.method} ${probe.target}: ${words}`];
    });
    const sessions = compared.filter(({ ours }) => ours.kinds.includes("session")).length;
    const counts = [
      `${probes.filter((probe) => sent.has(idOf(probe, way))).length} sent`,
      `${probes.filter(({ ours }) => !ours).length} refused by us`,
      `${probes.filter((probe) => probe.ours && !verdicts.has(idOf(probe, way))).length} without a verdict`,
      `${compared.length} compared, ${sessions} of them sessions`,
      `${disagreements.length} disagreements`,
    ];
    console.error(`differential test, ${way}: ${counts.join(", ")}`);
    expect(disagreements).toEqual([]);
    expect(compared.length).toBeGreaterThan(COUNT / 5);
    expect(sessions).toBeGreaterThan(20);
  });

  it("has had a verdict of the API server's on most of what we refuse, so that the paths were worth it", () => {
    const refused = probes.filter(({ ours }) => !ours);
    const sessions = refused.filter((probe) => {
      const { resource, subresource = "" } = verdicts.get(idOf(probe, "direct"))?.objectRef ?? {};
      return resource === "pods" && SESSION_SUBRESOURCES.has(subresource);
    });
    console.error(`differential test: ${sessions.length} of ${refused.length} refused are sessions to the API server`);
    expect(sessions.length).toBeGreaterThan(20);
  });

  it("has run nothing: nobody who may do nothing was let do something", () => {
    for (const { verb, objectRef, responseStatus } of verdicts.values()) {
      if (objectRef) expect(responseStatus?.code, `${verb} ${JSON.stringify(objectRef)}`).toBeGreaterThanOrEqual(400);
    }
  });
});
