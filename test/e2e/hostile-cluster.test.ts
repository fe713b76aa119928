/**
 * Sends the hostile corpus through the Worker to a real cluster. The cluster's audit log has no refused
 * request, every event in it names the person, and every session in it is in Sallyport's audit log.
 */
import { randomBytes } from "node:crypto";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type Stack, startStack } from "../../dev/stack/index.ts";
import { eventually } from "../support/eventually.ts";
import { expand, HOSTILE, HOSTILE_POLICY, hostileRule, loadCorpus } from "../support/hostile.ts";
import { query } from "./support/audit-log.ts";
import { TokenForge } from "./support/forged-tokens.ts";
import { exchange, quietOf } from "./support/raw-http.ts";
import { requestBytes } from "./support/raw-requests.ts";
import { type AuditEvent, AuditTail, KubectlProxy, realCluster } from "./support/real-cluster.ts";

const cluster = realCluster("the hostile corpus against a real cluster");
const { requests, framing, tokens } = loadCorpus();
/** Unique, because others use the cluster too. */
const run = randomBytes(6).toString("hex");
const EMAIL = `hostile-${run}@example.com`;
const mark = (id: string) => `hostile-${run}/${id}`;
/** Others use the cluster too. */
const CONCURRENCY = 4;
const LIVE_SUBRESOURCES = new Set(["exec", "attach", "portforward"]);

describe.skipIf(!cluster)("the hostile corpus against a real cluster", () => {
  const home = mkdtempSync(join(tmpdir(), "sallyport-hostile-"));
  let proxy: KubectlProxy;
  let stack: Stack;
  let audit: AuditTail;
  let events: readonly AuditEvent[] = [];
  const statuses = new Map<string, number>();

  beforeAll(async () => {
    if (!cluster) return;
    audit = new AuditTail(cluster.auditLog, run);
    proxy = await KubectlProxy.start(cluster);
    stack = await startStack({
      stateDir: join(home, "state"),
      port: 0,
      upstream: proxy.url,
      workerSocket: true,
      quiet: true,
      config: {
        identities: [hostileRule(EMAIL)],
        limits: { maxSessionsPerUser: 50 },
        ...HOSTILE_POLICY,
      },
    });
    const forge = new TokenForge(stack, EMAIL);
    const token = forge.good();
    const quiet = quietOf(stack.workerUrl ?? "");
    const all: [id: string, bytes: () => Promise<string>, quiet?: () => Promise<void>][] = [
      ...requests.map((entry): [string, () => Promise<string>] => [
        entry.id,
        async () => requestBytes(entry, token, mark(entry.id), EMAIL),
      ]),
      ...framing.map(({ id, raw }): [string, () => Promise<string>, () => Promise<void>] => [
        id,
        async () => expand(raw, token).replaceAll("Host: localhost", `User-Agent: ${mark(id)}\r\nHost: localhost`),
        quiet,
      ]),
      ...tokens.map((entry): [string, () => Promise<string>] => [
        entry.id,
        async () =>
          `GET /version HTTP/1.1\r\nHost: localhost\r\nUser-Agent: ${mark(entry.id)}\r\n` +
          `Cf-Access-Jwt-Assertion: ${await forge.make(entry.token)}\r\n\r\n`,
      ]),
    ];
    await Promise.all(
      Array.from({ length: CONCURRENCY }, async () => {
        for (let next = all.shift(); next; next = all.shift()) {
          const [id, bytes, wait] = next;
          statuses.set(id, (await exchange(stack.workerUrl ?? "", await bytes(), wait)).status);
        }
      }),
    );
    // The log may be written after the answer. When it has one more request, it has all earlier ones.
    await exchange(stack.workerUrl ?? "", lastRequest(token));
    await eventually(() => {
      if (!audit.read().some(({ userAgent }) => userAgent === mark("last")))
        throw new Error("not in the audit log yet");
    }, 100);
    events = audit.read();
  });
  afterAll(async () => {
    await stack?.stop();
    proxy?.stop();
    audit?.close();
    rmSync(home, { recursive: true, force: true });
  });

  function lastRequest(token: string): string {
    return (
      `GET /version HTTP/1.1\r\nHost: localhost\r\nUser-Agent: ${mark("last")}\r\n` +
      `Cf-Access-Jwt-Assertion: ${token}\r\n\r\n`
    );
  }

  it("is refused with the status that the corpus expects", () => {
    for (const { id, expect: expected } of [...requests, ...tokens]) {
      if (expected.verdict === "refused") expect(statuses.get(id), id).toBe(expected.status);
    }
  });

  it("reaches the cluster with no refused request", () => {
    const refused = new Set(
      [...requests, ...tokens].filter(({ expect: { verdict } }) => verdict === "refused").map(({ id }) => mark(id)),
    );
    expect(refused.size).toBeGreaterThan(300);
    expect(events.filter(({ userAgent = "" }) => refused.has(userAgent)).map(({ requestURI }) => requestURI)).toEqual(
      [],
    );
  });

  it("reaches the cluster with the other requests, each as the person and nobody else", () => {
    expect(events.length).toBeGreaterThan(100);
    const expected = new Map(
      requests.map(({ id, expect: wanted }) => [mark(id), "as" in wanted ? wanted.as : undefined]),
    );
    for (const { user, impersonatedUser, requestURI, userAgent = "" } of events) {
      expect(user.username, requestURI).toMatch(/^system:serviceaccount:/);
      const acting = expected.get(userAgent);
      expect(impersonatedUser?.username, requestURI).toBe(acting?.user ?? EMAIL);
      const groups = new Set(impersonatedUser?.groups);
      expect(groups, requestURI).toEqual(new Set([...(acting?.groups ?? HOSTILE.groups), "system:authenticated"]));
      const { "sallyport-session": _, ...extra } = impersonatedUser?.extra ?? {};
      expect(extra, requestURI).toEqual(acting?.user === undefined ? {} : { "sallyport-user": [EMAIL] });
    }
    const seen = new Set(events.map(({ userAgent }) => userAgent));
    // Go's HTTP server refuses a few before they are logged.
    const allowed = requests.filter(({ expect: { verdict } }) => verdict !== "refused");
    const missing = allowed.filter(
      ({ id, headers }) => !headers.some(([name]) => name === "User-Agent") && !seen.has(mark(id)),
    );
    expect(missing.length, missing.map(({ id }) => id).join(" ")).toBeLessThan(allowed.length / 10);
  });

  it("has run no exec, attach or port-forward that is missing in the audit log, by its id", async () => {
    const sessions = events.filter(
      ({ objectRef: { resource, apiGroup, subresource = "" } = {} }) =>
        resource === "pods" && apiGroup === undefined && LIVE_SUBRESOURCES.has(subresource),
    );
    const ran = sessions.filter(({ responseStatus }) => (responseStatus?.code ?? 500) < 400);
    expect(ran.length).toBeGreaterThan(20);
    const ids = sessions.map(({ impersonatedUser }) => impersonatedUser?.extra?.["sallyport-session"]?.[0] ?? "none");
    const known = () =>
      new Set(query(stack.d1Path, 'SELECT id FROM sessions WHERE "user" = ?', EMAIL).map(({ id }) => id));
    await expect.poll(() => ids.filter((id) => !known().has(id))).toEqual([]);
    const count = (subresource: string) => ran.filter(({ objectRef }) => objectRef?.subresource === subresource).length;
    console.error(
      `the hostile corpus against a real cluster: ${requests.length + framing.length + tokens.length} sent, ` +
        `${events.length} audit events of ${EMAIL}, ` +
        [...LIVE_SUBRESOURCES].map((each) => `${count(each)} ${each}`).join(", "),
    );
  });
});
