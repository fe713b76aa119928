/**
 * The fault matrix's row for workerd itself. SIGKILL ends every session of every object, and miniflare starts
 * another workerd. The other rows are in test/workerd/fault-matrix.test.ts.
 */
import { execFile } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { WebSocket } from "ws";
import { type EmbeddedCluster, startEmbeddedCluster } from "../../dev/cluster/index.ts";
import { type Finished, Kubectl, type Running } from "../../dev/programs/kubectl.ts";
import { type Stack, startStack } from "../../dev/stack/index.ts";
import { MOMENTS, type Moment, type Row } from "../support/fault-matrix.ts";
import { query, sessionWhere } from "./support/audit-log.ts";
import { Gate, HOLD_ANSWER, HOLD_CLOSE } from "./support/gate.ts";

const ROOT = resolve(import.meta.dirname, "../..");
const MAX_SESSIONS = 4;
/** An alarm is due at most 30 s after a session's last event. The rest is for a busy machine. */
const ALARM_MS = 90_000;

const STOPPED = /^the object that held the session stopped \(crash, eviction or deploy\) after \d{4}-\d\d-\d\dT/;
const INTERRUPTED = {
  state: "interrupted",
  lastLines: [
    ["o", /recording interrupted here: the object that held the session stopped/],
    ["m", "interrupted"],
  ],
} as const;

const WORKERD_KILLED = {
  dialling: {
    userSees: "a broken connection",
    d1Has: { outcome: "interrupted", reason: STOPPED },
    recordingHas: "none",
  },
  opened: {
    userSees: "a broken connection",
    // The cluster may have sent an empty frame for each channel.
    d1Has: { outcome: "interrupted", reason: STOPPED, counts: "what had flowed, or less" },
    recordingHas: INTERRUPTED,
  },
  "mid-stream": {
    userSees: "a broken connection",
    d1Has: { outcome: "interrupted", reason: STOPPED, counts: "what had flowed, or less" },
    recordingHas: INTERRUPTED,
  },
  // The Status was written before it was passed on, and the recording with it.
  "during close": {
    userSees: "a broken connection",
    d1Has: { outcome: "exited", exit_code: 0, reason: null, counts: "what had flowed, or less" },
    recordingHas: { state: "complete", lastLines: [["m", "exit code 0"]] },
  },
} as const satisfies Row;

/** kubectl's arguments, what it must have printed, and what must be true before workerd is killed. */
const SESSIONS: Readonly<Record<Moment, { args: string[]; input?: string; shows?: string; held?: string }>> = {
  dialling: { args: ["exec", "shell", "--", "echo", HOLD_ANSWER], held: HOLD_ANSWER },
  opened: { args: ["exec", "shell", "--", "sleep", "601"] },
  "mid-stream": { args: ["exec", "-i", "shell", "--", "sh", "-c", "cat # mid-stream"], input: "in\n", shows: "in\n" },
  "during close": { args: ["exec", "shell", "--", "echo", HOLD_CLOSE], held: HOLD_CLOSE, shows: `${HOLD_CLOSE}\n` },
};

const home = mkdtempSync(join(tmpdir(), "sallyport-e2e-"));
let cluster: EmbeddedCluster;
let gate: Gate;
let stack: Stack;

/** For the session of each moment, after workerd was killed: its id, and how kubectl exited. */
const ids = {} as Record<Moment, string>;
const ends = {} as Record<Moment, Finished>;

const admin = (path: string) => fetch(`${stack.personas.admin.url}/-/admin/${path}`);
const recordingOf = (id: string) => admin(`sessions/${id}/recording`);

/** Opens a session of the administrator's. @returns true, or the status of the refusal */
function openByHand(): Promise<true | number> {
  const path = "/api/v1/namespaces/demo/pods/shell/exec?container=shell&command=sleep&command=600&stdout=true";
  const socket = new WebSocket(stack.personas.admin.url.replace("http", "ws") + path, ["v5.channel.k8s.io"]);
  return new Promise((done) => {
    socket.on("error", () => {});
    socket.once("open", () => done(true));
    socket.once("unexpected-response", (_, { statusCode = 0 }) => done(statusCode));
  });
}

const openAll = (count: number) => Promise.all(Array.from({ length: count }, openByHand));

const ALL_OPEN = Array.from({ length: MAX_SESSIONS }, () => true);

async function reach(moment: Moment): Promise<Running> {
  const { args, input, shows, held } = SESSIONS[moment];
  const alice = new Kubectl(stack.kubeconfig, "alice", home);
  const kubectl = alice.start(args);
  if (input !== undefined) kubectl.child.stdin?.write(input);
  const { id } = await sessionWhere(stack.d1Path, "state = 'live' AND command = ?", JSON.stringify(commandOf(args)));
  ids[moment] = String(id);
  if (held) await expect.poll(() => gate.held).toContain(held);
  if (moment === "dialling") return kubectl;
  const connected = () =>
    query(stack.d1Path, "SELECT 1 FROM events WHERE session_id = ? AND type = 'connect'", ids[moment]).length;
  await expect.poll(connected).toBe(1);
  if (shows === undefined) return kubectl;
  await expect.poll(() => kubectl.stdout()).toBe(shows);
  // Reading a live recording makes the object store it. Otherwise its last second may be lost.
  const line = JSON.stringify(shows.replace("\n", "\r\n"));
  await expect.poll(async () => (await recordingOf(ids[moment])).text()).toContain(line);
  return kubectl;
}

/** Adds the channel's byte. */
const frameBytes = (text = "") => (text === "" ? 0 : 1 + Buffer.byteLength(text));
/** At most the Status, and the messages that a server may send before its first output. */
const STATUS_BYTES = 64;

const commandOf = (args: readonly string[]) => args.slice(args.indexOf("--") + 1);

beforeAll(async () => {
  cluster = await startEmbeddedCluster({ stateDir: join(home, "cluster") });
});
afterAll(async () => {
  await cluster?.close();
  rmSync(home, { recursive: true, force: true });
});

describe.each(["tcp", "websocket"] as const)("workerd killed, with %s to the cluster", (transport) => {
  beforeAll(async () => {
    gate = new Gate(cluster.url);
    const config = { limits: { maxSessionsPerUser: MAX_SESSIONS } };
    const upstream = await gate.open();
    stack = await startStack({ stateDir: join(home, transport), port: 0, upstream, transport, config, quiet: true });
  });
  afterAll(async () => {
    await stack?.stop();
    gate?.close();
  });

  it("while there is a session at each moment: every kubectl exits, and workerd restarts", async () => {
    const running = {} as Record<Moment, Running>;
    for (const moment of MOMENTS) if (moment !== "dialling") running[moment] = await reach(moment);
    expect(await openAll(MAX_SESSIONS)).toEqual(ALL_OPEN);
    expect(await openByHand()).toBe(429);
    // Last: the cluster is given 40 s to answer.
    running.dialling = await reach("dialling");

    const pid = stack.workerdPid();
    if (pid === undefined) throw new Error("workerd's process cannot be found: this test needs /proc");
    process.kill(pid, "SIGKILL");
    for (const moment of MOMENTS) ends[moment] = await running[moment].finished;
    await expect.poll(() => stack.workerdPid() ?? pid).not.toBe(pid);
    const isBack = () => fetch(`${stack.personas.admin.url}/-/healthz`).then(({ ok }) => ok);
    await expect.poll(() => isBack().catch(() => false)).toBe(true);
  });

  it("the user may open as many sessions as before at once, and no more", async () => {
    expect(await openAll(MAX_SESSIONS)).toEqual(ALL_OPEN);
    expect(await openByHand()).toBe(429);
  });

  it.each(MOMENTS)("%s", async (moment) => {
    const { d1Has, recordingHas } = WORKERD_KILLED[moment];
    // kubectl reports the lost connection in its own words, and never success.
    expect(ends[moment].code).toBe(1);
    expect(ends[moment].stderr).toMatch(/error/i);
    expect(ends[moment].stdout).toBe(SESSIONS[moment].shows ?? "");

    // No request has reached alice's object since, so only its alarm can have closed the sessions.
    const ended = () => query(stack.d1Path, "SELECT * FROM sessions WHERE id = ? AND state = 'ended'", ids[moment]);
    await expect.poll(() => ended().length, { timeout: ALARM_MS, interval: 200 }).toBe(1);
    const [row] = ended();
    const exitCode = "exit_code" in d1Has ? d1Has.exit_code : null;
    expect(row).toMatchObject({ outcome: d1Has.outcome, exit_code: exitCode, ended_by: null });
    if (d1Has.reason === null) expect(row?.["reason"]).toBeNull();
    else expect(row?.["reason"]).toMatch(d1Has.reason);
    const { input, shows } = SESSIONS[moment];
    const flowed =
      "counts" in d1Has ? { in: frameBytes(input), out: frameBytes(shows) + STATUS_BYTES } : { in: 0, out: 0 };
    expect(row?.["bytes_in"]).toBeLessThanOrEqual(flowed.in);
    expect(row?.["bytes_out"]).toBeLessThanOrEqual(flowed.out);
    const events = query(
      stack.d1Path,
      "SELECT seq, type, data FROM events WHERE session_id = ? ORDER BY seq",
      ids[moment],
    );
    const types = moment === "dialling" ? ["start", "end"] : ["start", "connect", "end"];
    expect(events.map(({ seq, type }) => [seq, type])).toEqual(types.map((type, seq) => [seq, type]));
    const { recording } = JSON.parse(String(events.at(-1)?.["data"])) as {
      recording?: { state: string; bytes: number };
    };

    if (recordingHas === "none") {
      expect(recording).toBeUndefined();
      expect((await recordingOf(ids[moment])).status).toBe(404);
      return;
    }
    expect(recording?.state).toBe(recordingHas.state);
    // An answer with a length comes from R2. The object's own would be chunked.
    const length = async () => (await recordingOf(ids[moment])).headers.get("Content-Length");
    await expect.poll(length).toBe(String(recording?.bytes));
    const [header, ...lines] = (await (await recordingOf(ids[moment])).text())
      .trimEnd()
      .split("\n")
      .map((line) => JSON.parse(line));
    expect(header).toMatchObject({ version: 2, env: { SALLYPORT_SESSION: ids[moment] } });
    const shown = SESSIONS[moment].shows?.replace("\n", "\r\n");
    expect(lines.map(([, code, data]: [number, string, string]) => [code, data])).toEqual([
      ...(shown === undefined ? [] : [["o", shown]]),
      ...recordingHas.lastLines.map(([code, data]) => [
        code,
        typeof data === "string" ? data : expect.stringMatching(data),
      ]),
    ]);
  });

  it("every start has an end, except for open sessions, and the hash chain verifies", async () => {
    const live = query(stack.d1Path, "SELECT user FROM sessions WHERE state = 'live'");
    expect(live).toEqual(Array.from({ length: MAX_SESSIONS }, () => ({ user: "admin@example.com" })));
    // No kubectl retried over SPDY. That would have been a fifth start, refused.
    expect(query(stack.d1Path, "SELECT id FROM sessions WHERE user = 'alice@example.com'")).toHaveLength(
      MOMENTS.length,
    );
    const { code, output } = await verify();
    expect(output).toMatch(/^The audit log is intact: /);
    expect(code).toBe(0);
  });
});

function verify(): Promise<{ code: number; output: string }> {
  const args = ["tools/sallyport.js", "audit-verify", "--state", stack.stateDir];
  return new Promise((done) => {
    execFile(process.execPath, args, { cwd: ROOT }, (error, stdout, stderr) => {
      done({ code: typeof error?.code === "number" ? error.code : 0, output: stdout + stderr });
    });
  });
}
