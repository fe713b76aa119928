/**
 * Sends sequences of valid and odd SPDY frames to a real kubelet through the API server's port-forward, and
 * gives the same bytes to the observer. Whatever port answered is in what the observer read, with its bytes,
 * or the session would have been ended before.
 */
import { mkdtempSync, rmSync } from "node:fs";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { connect as connectTls } from "node:tls";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { Forward } from "../../audit/events.ts";
import { type Stack, startStack } from "../../dev/stack/index.ts";
import { Random, seedOfRun } from "../support/random.ts";
import { query } from "./support/audit-log.ts";
import { TokenForge } from "./support/forged-tokens.ts";
import { hasAnswer, type Outcome, playAll, TARGET } from "./support/play-sequences.ts";
import { KubectlProxy, readKubeconfig, realCluster } from "./support/real-cluster.ts";
import { TunnelClient } from "./support/tunnel-client.ts";

const COUNT = Number(process.env["SALLYPORT_SEQUENCES"] ?? 2_000);
/** Of them, so many also go through both Workers. */
const COUNT_THROUGH = COUNT / 10;
/**
 * Whether the cluster ended this session before the frame that we would have ended it for had arrived: a
 * kubelet hangs up by itself on some of the frames before it, and both are under way at the same time.
 */
const isLost = (reason: unknown) => String(reason).startsWith("the connection to the cluster was lost");
const cluster = realCluster("the differential test of port-forward");

describe.skipIf(!cluster)("port-forward's frames, to the observer and to a real kubelet", () => {
  const seed = seedOfRun();
  let outcomes: readonly Outcome[] = [];

  beforeAll(async () => {
    if (!cluster) return;
    console.error(`differential test of port-forward: seed ${seed} (repeat with SALLYPORT_SEED=${seed})`);
    const { host, port, ca, token } = readKubeconfig(cluster.impersonator);
    const headers = [
      ["Authorization", `Bearer ${token}`],
      ["Impersonate-User", `port-forward-${seed}@example.com`],
      ["Impersonate-Group", "developers"],
    ] as const;
    outcomes = await playAll(COUNT, new Random(seed), (onData) =>
      TunnelClient.open(connectTls({ host, port, ca }), TARGET, headers, onData),
    );
  });

  it("are read exactly, or end the session before a port answers that is not in the log", () => {
    const problems = outcomes.flatMap(({ sequence, problems }) =>
      problems.map((problem) => `${sequence.steps.map(({ name }) => name).join(", ")}: ${problem}`),
    );
    expect(outcomes.length).toBe(COUNT);
    expect(problems).toEqual([]);
  });

  it("do not end a session that kubectl might have", () => {
    const valid = outcomes.filter(({ sequence }) => sequence.isValid);
    expect(valid.filter(({ endedAt }) => endedAt).map(({ endedAt }) => endedAt)).toEqual([]);
    expect(
      valid.filter(({ hasLastEcho }) => !hasLastEcho).map(({ sequence }) => sequence.steps.map(({ name }) => name)),
    ).toEqual([]);
    expect(valid.length).toBeGreaterThan(COUNT / 5);
  });

  it("include such as open ports unseen, so the sequences cover what matters", () => {
    const ended = outcomes.filter(({ endedAt }) => endedAt);
    const hidden = ended.filter(({ bytesAfterEnd }) => bytesAfterEnd > 0);
    const byStep = new Map<string, [ended: number, hidden: number]>();
    for (const { endedAt, bytesAfterEnd } of ended) {
      const counts = byStep.get(endedAt?.step ?? "") ?? [0, 0];
      counts[0]++;
      if (bytesAfterEnd > 0) counts[1]++;
      byStep.set(endedAt?.step ?? "", counts);
    }
    const steps = [...byStep]
      .sort(([one], [other]) => one.localeCompare(other))
      .map(([step, [all, served]]) => `  ${step}: ${all} ended, ${served} of them still served`);
    const answered = outcomes.filter(hasAnswer).length;
    console.error(
      `differential test of port-forward: ${outcomes.length} sequences, ${answered} answered, ${ended.length} ended, ` +
        `${hidden.length} of them still served by the kubelet\n${steps.join("\n")}`,
    );
    expect(answered).toBeGreaterThan(COUNT / 3);
    expect(hidden.length).toBeGreaterThan(COUNT / 20);
  });
});

describe.skipIf(!cluster)("port-forward's frames through Sallyport to a real kubelet", () => {
  const home = mkdtempSync(join(tmpdir(), "sallyport-port-forward-"));
  const seed = seedOfRun() + 1;
  const email = `port-forward-${seed}@example.com`;
  let proxy: KubectlProxy | undefined;
  let stack: Stack;
  let outcomes: readonly Outcome[] = [];

  beforeAll(async () => {
    if (!cluster) return;
    proxy = await KubectlProxy.start(cluster);
    stack = await startStack({
      stateDir: join(home, "state"),
      port: 0,
      upstream: proxy.url,
      workerSocket: true,
      quiet: true,
      config: {
        identities: [{ match: { email }, groups: ["developers"] }],
        limits: { maxSessionsPerUser: 50 },
      },
    });
    const token = new TokenForge(stack, email).good();
    const worker = new URL(stack.workerUrl ?? "");
    outcomes = await playAll(COUNT_THROUGH, new Random(seed), (onData) =>
      TunnelClient.open(
        connect(Number(worker.port), worker.hostname),
        TARGET,
        [["Cf-Access-Jwt-Assertion", token]],
        onData,
      ),
    );
  });
  afterAll(async () => {
    await stack?.stop();
    proxy?.stop();
    rmSync(home, { recursive: true, force: true });
  });

  it("open no port and carry no byte that is not in the audit log", async () => {
    const sessions = () =>
      query(stack.d1Path, 'SELECT * FROM sessions WHERE "user" = ? AND ended_at IS NOT NULL', email);
    await expect.poll(() => sessions().length).toBe(outcomes.length);
    const rows = new Map(sessions().map((row) => [row["id"], row]));
    const problems = outcomes.flatMap(({ sequence, sessionId, endedAt, answered }) => {
      const { forwards, reason, unreadable } = rows.get(sessionId ?? "") ?? {};
      const logged = JSON.parse(String(forwards ?? "[]")) as Forward[];
      const found: unknown[] = [];
      for (const [port, bytes] of Object.entries(answered)) {
        const forward = logged.find((one) => one.port === Number(port));
        if (bytes > (forward?.bytes_out ?? 0)) found.push(`port ${port} answered ${bytes}`, forward);
      }
      if (endedAt && !String(reason).includes(endedAt.violation) && !isLost(reason)) found.push(endedAt, reason);
      if (unreadable) found.push("unreadable");
      return found.length > 0 ? [{ steps: sequence.steps.map(({ name }) => name), found }] : [];
    });
    expect(problems).toEqual([]);
    const ended = outcomes.filter(({ endedAt, sessionId }) => {
      const { reason } = rows.get(sessionId ?? "") ?? {};
      return endedAt && String(reason).includes(endedAt.violation);
    }).length;
    console.error(
      `differential test of port-forward, through Sallyport: ${outcomes.length} sequences, ` +
        `${outcomes.filter(hasAnswer).length} answered, ${ended} ended`,
    );
    expect(outcomes.filter(hasAnswer).length).toBeGreaterThan(COUNT_THROUGH / 10);
    expect(ended).toBeGreaterThan(COUNT_THROUGH / 4);
  });
});
