/**
 * Sends sequences of valid and odd SPDY frames to a real kubelet through the API server's port-forward, and gives the
 * same bytes to the observer. Whatever port answered is in what the observer read, with its bytes, or the session would
 * have been ended before.
 */
import { mkdtempSync, rmSync } from "node:fs";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { connect as connectTls } from "node:tls";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { Forward, Traffic } from "../../audit/events.ts";
import { type Stack, startStack } from "../../dev/stack/index.ts";
import { PORT_FORWARD_TUNNEL } from "../../durable/protocols/port-forward-tunnel.ts";
import { MessageObserver } from "../support/observe-messages.ts";
import { Random, seedOfRun } from "../support/random.ts";
import { ECHO_PORT, HTTP_PORT, randomSequence, type SpdySequence } from "../support/spdy-sequences.ts";
import { query } from "./support/audit-log.ts";
import { TokenForge } from "./support/forged-tokens.ts";
import { KubectlProxy, readKubeconfig, realCluster } from "./support/real-cluster.ts";
import { TunnelClient } from "./support/tunnel-client.ts";

const COUNT = Number(process.env["SALLYPORT_SEQUENCES"] ?? 2_000);
/** Of them, so many also go through both Workers. */
const COUNT_THROUGH = COUNT / 10;
const AT_ONCE = 8;
const TARGET = "/api/v1/namespaces/demo/pods/echo/portforward";
const CONTROL = 0x8000_0000;
const PING = 0x8003_0006;
/** How long an answer is waited for that a broken tunnel may never give. */
const PATIENCE_MS = 500;
/** How long a tunnel that was not broken may take, on a busy machine. */
const LIMIT_MS = 60_000;

/** What the pod's ports have answered, from the kubelet's frames alone: which port it is, the bytes themselves say. */
class Answers {
  /** Control frames as far as they are there, or the head of a DATA frame. */
  #rest = Buffer.alloc(0);
  #data = { streamId: 0, remaining: 0 };
  readonly #streams = new Map<number, string>();
  readonly pings = new Set<number>();

  /** Reads what it needs of SPDY by itself, for the parser is under test. */
  add(bytes: Uint8Array): void {
    let rest = Buffer.concat([this.#rest, bytes]);
    for (;;) {
      const data = rest.subarray(0, this.#data.remaining);
      const { streamId } = this.#data;
      if (data.length > 0) this.#streams.set(streamId, (this.#streams.get(streamId) ?? "") + data.toString("latin1"));
      this.#data.remaining -= data.length;
      rest = rest.subarray(data.length);
      if (this.#data.remaining > 0 || rest.length < 8) break;
      const [first, length] = [rest.readUInt32BE(0), rest.readUIntBE(5, 3)];
      if (first < CONTROL) {
        this.#data = { streamId: first, remaining: length };
        rest = rest.subarray(8);
        continue;
      }
      if (rest.length < 8 + length) break;
      if (first === PING) this.pings.add(rest.readUInt32BE(8));
      rest = rest.subarray(8 + length);
    }
    this.#rest = rest;
  }

  has(text: string): boolean {
    return [...this.#streams.values()].some((answer) => answer.includes(text));
  }

  bytesOf(port: number): number {
    return [...this.#streams.values()]
      .filter((answer) => portOf(answer) === port)
      .reduce((sum, answer) => sum + answer.length, 0);
  }
}

/** The kubelet's own texts on error streams are of no port. */
function portOf(answer: string): number | undefined {
  if (answer.startsWith("HTTP/1.")) return HTTP_PORT;
  return /^(echo-|x)/.test(answer) ? ECHO_PORT : undefined;
}

interface Outcome {
  readonly sequence: SpdySequence;
  /** Undefined without Sallyport between. */
  readonly sessionId: string | undefined;
  readonly answered: Readonly<Record<number, number>>;
  readonly problems: readonly string[];
  /** The step at which Sallyport would have ended the session. */
  readonly endedAt: { readonly step: string; readonly violation: string } | undefined;
  /** Bytes that ports answered after that, which nobody would have read. */
  readonly bytesAfterEnd: number;
  readonly hasLastEcho: boolean;
}

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
      if (endedAt && !String(reason).includes(endedAt.violation)) found.push(endedAt, reason);
      if (unreadable) found.push("unreadable");
      return found.length > 0 ? [{ steps: sequence.steps.map(({ name }) => name), found }] : [];
    });
    expect(problems).toEqual([]);
    const ended = outcomes.filter(({ endedAt }) => endedAt).length;
    console.error(
      `differential test of port-forward, through Sallyport: ${outcomes.length} sequences, ` +
        `${outcomes.filter(hasAnswer).length} answered, ${ended} ended`,
    );
    expect(outcomes.filter(hasAnswer).length).toBeGreaterThan(COUNT_THROUGH / 10);
    expect(ended).toBeGreaterThan(COUNT_THROUGH / 4);
  });
});

const hasAnswer = ({ answered }: Outcome) => Object.values(answered).some((bytes) => bytes > 0);

async function playAll(count: number, random: Random, open: Open): Promise<Outcome[]> {
  const outcomes: Outcome[] = [];
  let left = count;
  await Promise.all(
    Array.from({ length: AT_ONCE }, async () => {
      while (left-- > 0) outcomes.push(await play(randomSequence(random), open));
    }),
  );
  return outcomes;
}

type Open = (onData: (bytes: Uint8Array) => void) => Promise<TunnelClient>;

/** Sends all of a sequence, also what comes after the session's end, to see what the kubelet makes of it. */
async function play(sequence: SpdySequence, open: Open): Promise<Outcome> {
  const observer = new MessageObserver("port-forward", PORT_FORWARD_TUNNEL, false, { onUnreadable: "end" });
  const answers = new Answers();
  const problems: string[] = [];
  let endedAt: Outcome["endedAt"];
  let answeredBefore = 0;
  let wake = () => {};
  const until = async (isReached: () => boolean, limitMs: number) => {
    const end = performance.now() + limitMs;
    while (!isReached() && !tunnel.isClosed && performance.now() < end) {
      await new Promise<void>((resolve) => {
        wake = resolve;
        setTimeout(resolve, 50);
      });
    }
  };
  const answered = () => answers.bytesOf(ECHO_PORT) + answers.bytesOf(HTTP_PORT);
  const tunnel = await open((bytes) => {
    if (!endedAt) {
      const observation = observer.fromUpstream(bytes);
      if (typeof observation === "object") problems.push(`the kubelet's frames: ${observation.violation}`);
    }
    answers.add(bytes);
    wake();
  });
  void tunnel.closed.then(() => wake());
  const compare = () => {
    for (const port of [ECHO_PORT, HTTP_PORT])
      problems.push(...differences(port, answers.bytesOf(port), observer.traffic()));
  };
  for (const { name, messages, pingId } of sequence.steps) {
    for (const message of messages) {
      if (!endedAt) {
        const observation = observer.fromClient(message);
        if (typeof observation === "object") {
          endedAt = { step: name, violation: observation.violation };
          answeredBefore = answered();
          compare();
        }
      }
      tunnel.send(message);
    }
    if (pingId !== undefined) await until(() => answers.pings.has(pingId), sequence.isValid ? LIMIT_MS : PATIENCE_MS);
  }
  await until(() => answers.has(sequence.lastEcho), sequence.isValid ? LIMIT_MS : PATIENCE_MS);
  if (!endedAt) compare();
  tunnel.close();
  await tunnel.closed;
  return {
    sequence,
    sessionId: tunnel.headers.get("sallyport-session"),
    answered: { [ECHO_PORT]: answers.bytesOf(ECHO_PORT), [HTTP_PORT]: answers.bytesOf(HTTP_PORT) },
    problems,
    endedAt,
    bytesAfterEnd: endedAt ? answered() - answeredBefore : 0,
    hasLastEcho: answers.has(sequence.lastEcho),
  };
}

/** How what the observer read of a port differs from what the port answered. */
function differences(port: number, bytes: number, traffic: Traffic | undefined): string[] {
  const forward = traffic?.forwards?.find((one) => one.port === port);
  if (traffic?.unreadable) return ["unreadable, but not ended"];
  if (bytes === 0 && !forward) return [];
  if (forward?.bytes_out !== bytes)
    return [`port ${port} answered ${bytes} bytes, in the log are ${forward?.bytes_out}`];
  if (port === ECHO_PORT && forward.bytes_in < bytes)
    return [`port ${port} echoed ${bytes}, in the log are ${forward.bytes_in}`];
  return [];
}
