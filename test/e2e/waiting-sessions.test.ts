/**
 * Sessions in which something waits: a client that reads nothing for a while, a command that does not read
 * its input, nobody who says anything. They behave as without a proxy, or better, over either way to the
 * cluster. Only a cluster that is gone ends them.
 *
 * All of them wait at once, over both ways, so that this takes as long as the longest wait: a good two
 * minutes, or five with SALLYPORT_LONG_WAITS=1. kubectl itself may pause for less than a minute only: it
 * takes a pong that it has not read for a lost connection.
 */
import { spawn } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { type IPty, spawn as spawnTerminal } from "@lydell/node-pty";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { WebSocket } from "ws";
import { type EmbeddedCluster, startEmbeddedCluster } from "../../dev/cluster/index.ts";
import type { Kubectl, Running } from "../../dev/programs/kubectl.ts";
import { eventually } from "../support/eventually.ts";
import { sessionWhere } from "./support/audit-log.ts";
import { cutAfter, FREEZABLE, Hop } from "./support/hop.ts";
import { startTestStack, type TestStack } from "./support/people.ts";

const HAS_LONG_WAITS = process.env["SALLYPORT_LONG_WAITS"] === "1";
if (!HAS_LONG_WAITS) console.error("SKIP waits of five minutes: set SALLYPORT_LONG_WAITS=1");

/** For how long kubectl reads nothing. It gives up 61 s after the last pong, which may be 5 s old by then. */
const PAUSE_SECONDS = 45;
/** For how long a command reads nothing: at the start of a restore, and longer than kubectl would wait. */
const RESTORE_SECONDS = 40;
const STUCK_SECONDS = HAS_LONG_WAITS ? 300 : 135;
/** Shorter than the longest wait, and longer than it takes to find out that a cluster froze. */
const IDLE_SECONDS = 115;
/** Input that fits into the buffers between Sallyport and the command, and looks taken. */
const BUFFERED_BYTES = 1_000_000;
/** Longer than a silent cluster is waited for. Shorter than the idle limit, for it is not known to wait. */
const BUFFERED_SECONDS = 80;
const RESTORED_BYTES = 30_000_000;
const STUCK_BYTES = 60_000_000;
/** What a hop allows without a byte. */
const CUTS_SECONDS = [20, PAUSE_SECONDS];
const LINE = "a line of text as programs print them\n";
const READY = "ready\n";
/**
 * Says that it is there, and prints once the file is. kubectl gives up where no pong reached it for a minute,
 * so no pause may begin before all sessions are open, however long that takes.
 */
const output = (bytes: number) => `${readyUntil("print")}; yes '${LINE.trim()}' | head -c ${bytes}`;
/** A terminal is slow: the pongs lie behind what it has to show after the pause. */
const SHOWN_BYTES = 3_000_000;
/** The largest message that the platform takes has 32 MiB. */
const MESSAGE_BYTES = [9_000_000, 31_000_000];
/** What Ctrl-S and Ctrl-Q send: they stop and start the terminal's output. */
const XOFF = "\x13";
const XON = "\x11";
const STDIN = 0;
const STDOUT = 1;
const RESIZE = 4;
const CLOSE_STDIN = Buffer.from([255, STDIN]);

/** Waits for a file in the pod. */
function readyUntil(file: string): string {
  return `echo ${READY.trim()}; until [ -e ${file} ]; do sleep 0.2; done`;
}

interface Leg {
  readonly transport: "tcp" | "websocket";
  /** More than the buffers between a command and its reader, and no more than may wait by this way. */
  readonly outBytes: number;
}

const LEGS: readonly Leg[] = [
  { transport: "tcp", outBytes: 40_000_000 },
  { transport: "websocket", outBytes: 6_000_000 },
];

const home = mkdtempSync(join(tmpdir(), "sallyport-e2e-"));
let cluster: EmbeddedCluster;

beforeAll(async () => {
  cluster = await startEmbeddedCluster({ stateDir: join(home, "cluster") });
});
afterAll(async () => {
  await cluster?.close();
  rmSync(home, { recursive: true, force: true });
});

/** An exec as a plain WebSocket. */
class Exec {
  readonly socket: WebSocket;
  readonly ended: Promise<number>;
  #stdoutBytes = 0;
  #stdoutEnd = "";
  largestMessage = 0;

  constructor(people: TestStack, command: readonly string[], maxPayload?: number) {
    const query = new URLSearchParams({ container: "shell", stdin: "true", stdout: "true" });
    for (const word of command) query.append("command", word);
    const url = people.stack.personas.alice.url.replace("http", "ws");
    this.socket = new WebSocket(`${url}/api/v1/namespaces/demo/pods/shell/exec?${query}`, ["v5.channel.k8s.io"], {
      perMessageDeflate: false,
      ...(maxPayload !== undefined && { maxPayload }),
    });
    this.socket.on("error", () => {});
    this.socket.on("message", (message: Buffer) => {
      this.largestMessage = Math.max(this.largestMessage, message.length);
      if (message[0] !== STDOUT) return;
      this.#stdoutBytes += message.length - 1;
      this.#stdoutEnd = (this.#stdoutEnd + message.toString("latin1", 1)).slice(-100);
    });
    this.ended = new Promise((resolve) => this.socket.once("close", resolve));
  }

  async opened(): Promise<this> {
    await new Promise((resolve, reject) => this.socket.once("open", resolve).once("error", reject));
    return this;
  }

  get stdoutBytes(): number {
    return this.#stdoutBytes;
  }

  /** The last of what was printed. */
  get stdoutEnd(): string {
    return this.#stdoutEnd;
  }
}

/** kubectl on a terminal that echoes nothing and counts what is shown. */
class CountingTerminal {
  readonly #pty: IPty;
  readonly exited: Promise<number>;
  #lines = 0;
  #otherBytes = 0;

  constructor({ file, args, env }: ReturnType<Kubectl["command"]>) {
    this.#pty = spawnTerminal(file, args, { env: { ...env, TERM: "xterm" } });
    this.#pty.onData((data) => {
      const lines = data.split("\n").length - 1;
      this.#lines += lines;
      // The terminal writes CR LF for each LF.
      this.#otherBytes += data.length - 2 * lines;
    });
    this.exited = new Promise((resolve) => this.#pty.onExit(({ exitCode }) => resolve(exitCode)));
  }

  /** What kubectl has written. */
  get bytes(): number {
    return this.#lines + this.#otherBytes;
  }

  type(text: string): void {
    this.#pty.write(text);
  }

  kill(): void {
    this.#pty.kill();
  }
}

describe.each(LEGS)("with $transport to the cluster", ({ transport }) => {
  let people: TestStack;
  beforeAll(async () => {
    people = await startTestStack({ limits: { maxSessionsPerUser: 20 } }, { upstream: cluster.url, transport });
  });
  afterAll(() => people?.stop());

  it.each(MESSAGE_BYTES)("one message of %i bytes to stdin arrives whole", async (bytes) => {
    const session = await new Exec(people, ["wc", "-c"]).opened();
    session.socket.send(Buffer.alloc(1 + bytes));
    session.socket.send(CLOSE_STDIN);
    expect(await session.ended).toBe(1000);
    expect(Number(session.stdoutEnd)).toBe(bytes);
  });

  it("a client that takes no message over 64 KiB gets all of 20 MB", async () => {
    const maxPayload = 64 * 1024;
    const session = new Exec(people, ["dd", "if=/dev/zero", "bs=100000", "count=200", "status=none"], maxPayload);
    expect(await session.ended).toBe(1000);
    expect(session.stdoutBytes).toBe(20_000_000);
    // What an API server sends at most.
    expect(session.largestMessage).toBeLessThanOrEqual(32 * 1024 + 1);
  });

  it("resize messages of 1 MiB cost no more than as much input", async () => {
    const session = await new Exec(people, ["cat"]).opened();
    let seconds = 60;
    const millisecondsOf = async (channel: number, body: string) => {
      const message = Buffer.concat([Buffer.of(channel), Buffer.from(body)]);
      const start = performance.now();
      for (let count = 0; count < 20; count++) session.socket.send(message);
      // All of it has been handled when the object answers: it ends another session of the same user.
      const other = await new Exec(people, ["sleep", `${++seconds}`]).opened();
      const { id } = await sessionWhere(people.stack.d1Path, `command ->> '$[1]' = '${seconds}'`);
      expect((await people.admin("DELETE", `sessions/${id}`)).status).toBe(200);
      await other.ended;
      return performance.now() - start;
    };
    const sizes = Array.from({ length: 40_000 }, (_, index) => `"Width":${index},"Height":2`).join(",");
    const resize = `{${sizes},"padding":"${"\\u0000".repeat(10_000)}"}`;
    // In turn, and the fastest of each: a machine that is busy with something else says nothing.
    const inputs: number[] = [];
    const resizes: number[] = [];
    for (let round = 0; round < 3; round++) {
      inputs.push(await millisecondsOf(STDIN, "x".repeat(1024 * 1024)));
      resizes.push(await millisecondsOf(RESIZE, resize));
    }
    // One of these messages used to take 4 s.
    expect(Math.min(...resizes)).toBeLessThan(10 * Math.min(...inputs));
    session.socket.terminate();
  });
});

/** The sessions of one leg. */
class Waiting {
  readonly leg: Leg;
  readonly hop: Hop;
  readonly people: TestStack;
  readonly upstream: string;
  readonly #started: Running[] = [];
  /** The reader of a pipe that does something else first, and what it counted. */
  readonly piped: Promise<{ counted: string; stderr: string }>;
  /** Input for commands that read it later. */
  readonly restored: Running;
  readonly buffered: Running;
  readonly stuck: Running;
  /** Behind hops that cut who is silent. */
  readonly idle: readonly Running[];
  readonly forgotten: Running;
  /** How `stuck` had exited when `forgotten` reached the idle limit: null if it had not. */
  readonly stuckAtIdleLimit: Promise<number | null>;
  readonly frozen: Running;
  readonly suspended: Running;
  readonly stopped: CountingTerminal;
  readonly unread: Exec;

  private constructor(leg: Leg, hop: Hop, upstream: string, people: TestStack) {
    this.leg = leg;
    this.hop = hop;
    this.upstream = upstream;
    this.people = people;
    const { alice } = people;
    const { outBytes } = leg;
    this.piped = this.#pipe(`yes '${LINE.trim()}' | head -c ${outBytes}`);
    this.restored = this.#count(RESTORED_BYTES, RESTORE_SECONDS);
    this.buffered = this.#count(BUFFERED_BYTES, BUFFERED_SECONDS);
    this.stuck = this.#count(STUCK_BYTES, STUCK_SECONDS);
    this.idle = CUTS_SECONDS.map((seconds) => this.#cat(cutAfter(seconds)));
    this.forgotten = this.#cat("forgotten");
    this.stuckAtIdleLimit = this.forgotten.finished.then(() => this.stuck.child.exitCode);
    this.frozen = this.#cat(FREEZABLE);
    this.suspended = this.#start(["exec", "shell", "--", "sh", "-c", output(outBytes)]);
    this.stopped = new CountingTerminal(alice.command("exec", "shell", "--", "sh", "-c", output(SHOWN_BYTES)));
    this.unread = new Exec(people, ["sh", "-c", output(outBytes)]);
  }

  /** Resolves when all of them have begun. */
  static async begin(leg: Leg): Promise<Waiting> {
    const hop = new Hop(cluster.url);
    const upstream = await hop.open();
    const limits = { maxSessionsPerUser: 20, idleTimeoutSeconds: IDLE_SECONDS };
    const people = await startTestStack({ limits }, { upstream, transport: leg.transport });
    const waiting = new Waiting(leg, hop, upstream, people);
    for (const { child, stdout } of [...waiting.idle, waiting.forgotten, waiting.frozen]) {
      child.stdin?.write("before\n");
      await eventually(() => expect(stdout()).toBe("before\n"));
    }
    const { suspended, stopped, unread } = waiting;
    await eventually(() => {
      expect([suspended.stdout(), stopped.bytes, unread.stdoutEnd]).toEqual([READY, READY.length, READY]);
    });
    return waiting;
  }

  /** From now on nobody reads. Resolves once all read again that are kubectl. */
  async pause(): Promise<void> {
    this.pausedAt = Date.now();
    this.suspended.child.kill("SIGSTOP");
    this.stopped.type(XOFF);
    this.unread.socket.pause();
    this.hop.freeze();
    // Meanwhile the hop proves that it cuts whoever is silent.
    await Promise.all(CUTS_SECONDS.map((seconds) => sayNothing(this.upstream, seconds)));
    this.shownWhileStopped = this.stopped.bytes;
    this.stopped.type(XON);
    this.suspended.child.kill("SIGCONT");
  }

  shownWhileStopped = Number.NaN;
  /** ms since the epoch */
  pausedAt = Number.NaN;

  async end(): Promise<void> {
    for (const { child } of this.#started) child.kill("SIGKILL");
    this.stopped.kill();
    this.unread.socket.terminate();
    this.hop.close();
    await this.people.stop();
  }

  #start(args: string[], input?: Buffer): Running {
    const running = this.people.alice.start(args, input);
    this.#started.push(running);
    return running;
  }

  #cat(note: string): Running {
    return this.#start(["exec", "-i", "shell", "--", "sh", "-c", `cat # ${note}`]);
  }

  #count(bytes: number, seconds: number): Running {
    return this.#start(["exec", "-i", "shell", "--", "sh", "-c", `sleep ${seconds}; wc -c`], Buffer.alloc(bytes));
  }

  #pipe(command: string): Promise<{ counted: string; stderr: string }> {
    const { file, args, env } = this.people.alice.command("exec", "shell", "--", "sh", "-c", command);
    const pipe = `"$0" "$@" | (sleep ${PAUSE_SECONDS}; wc -c)`;
    const shell = spawn("sh", ["-c", pipe, file, ...args], { env, stdio: ["ignore", "pipe", "pipe"] });
    const written = { counted: "", stderr: "" };
    shell.stdout.on("data", (text) => {
      written.counted += text;
    });
    shell.stderr.on("data", (text) => {
      written.stderr += text;
    });
    return new Promise((resolve) => shell.once("close", () => resolve(written)));
  }
}

describe("while others wait", () => {
  const waiting: Waiting[] = [];
  const ofLeg = ({ transport }: Leg) => {
    const found = waiting.find(({ leg }) => leg.transport === transport);
    if (!found) throw new Error(`nothing waits over ${transport}`);
    return found;
  };

  beforeAll(async () => {
    waiting.push(...(await Promise.all(LEGS.map(Waiting.begin))));
    const paused = waiting.map((leg) => leg.pause());
    const [{ people }] = waiting as [Waiting];
    // All of them see the file: they run in one pod.
    expect((await people.alice.run("exec", "shell", "--", "touch", "print")).code).toBe(0);
    await Promise.all(paused);
  });
  afterAll(() => Promise.all(waiting.map((leg) => leg.end())));

  describe.each(LEGS)("over $transport", (leg) => {
    it("kubectl whose output nobody reads, or which is suspended, or whose terminal is, gets every byte", async () => {
      const { piped, suspended, stopped, shownWhileStopped } = ofLeg(leg);
      expect(await piped).toEqual({ counted: `${leg.outBytes}\n`, stderr: "" });
      const { code, stdout, stderr } = await suspended.finished;
      expect([code, stdout.length, stderr]).toEqual([0, READY.length + leg.outBytes, ""]);
      // No more than kubectl's own buffers was shown after the key.
      expect(shownWhileStopped).toBeLessThan(SHOWN_BYTES / 2);
      expect([await stopped.exited, stopped.bytes]).toEqual([0, READY.length + SHOWN_BYTES]);
    });

    it("an idle session lives behind a hop that cuts what is silent, where the object can ping", async () => {
      const { idle, hop } = ofLeg(leg);
      const ends = idle.map(({ child, finished }) => {
        child.stdin?.end("after\n");
        return finished;
      });
      const lives = { code: 0, stdout: "before\nafter\n", stderr: "" };
      const lost = { code: 1, stdout: "before\n", stderr: "error: the connection to the cluster was lost\n" };
      const cut = leg.transport === "websocket";
      expect(await Promise.all(ends)).toEqual(CUTS_SECONDS.map(() => (cut ? lost : lives)));
      expect(hop.cut).toBe(CUTS_SECONDS.length * (cut ? 2 : 1));
    });

    it("input arrives in a command that reads it later, also later than kubectl would wait by itself", async () => {
      const { restored, buffered } = ofLeg(leg);
      expect(await restored.finished).toEqual({ code: 0, stdout: `${RESTORED_BYTES}\n`, stderr: "" });
      expect(await buffered.finished).toEqual({ code: 0, stdout: `${BUFFERED_BYTES}\n`, stderr: "" });
    });

    it("a frozen cluster is found out over TCP, and else the session ends at the idle limit", async () => {
      const { frozen, people } = ofLeg(leg);
      const isLost = leg.transport === "tcp";
      const message = isLost
        ? "the connection to the cluster was lost"
        : "session ended: idle for 1m55s, the longest allowed";
      expect(await frozen.finished).toEqual({ code: 1, stdout: "before\n", stderr: `error: ${message}\n` });
      const [outcome, reason] = isLost ? ["upstream_lost", "%no answer for 60 s%"] : ["idle_limit", "%"];
      const condition = `outcome = '${outcome}' AND reason LIKE '${reason}' AND command ->> '$[2]' LIKE '%${FREEZABLE}'`;
      await sessionWhere(people.stack.d1Path, condition);
    });

    it(`${STUCK_BYTES / 1e6} MB wait for ${STUCK_SECONDS} s, beyond the idle limit which ends whoever waits for nothing`, async () => {
      const { forgotten, stuck, stuckAtIdleLimit, people } = ofLeg(leg);
      expect(await forgotten.finished).toMatchObject({ code: 1, stderr: expect.stringContaining("idle for") });
      expect((await people.alice.run("exec", "shell", "--", "echo", "others live")).stdout).toBe("others live\n");
      expect(await stuckAtIdleLimit).toBeNull();
      expect(await stuck.finished).toEqual({ code: 0, stdout: `${STUCK_BYTES}\n`, stderr: "" });
    });

    it(`a client that has read nothing for ${STUCK_SECONDS} s gets every byte`, async () => {
      const { pausedAt, unread } = ofLeg(leg);
      await delay(Math.max(0, pausedAt + STUCK_SECONDS * 1_000 - Date.now()));
      expect(unread.socket.isPaused).toBe(true);
      unread.socket.resume();
      expect(await unread.ended).toBe(1000);
      expect(unread.stdoutBytes).toBe(READY.length + leg.outBytes);
    });
  });
});

/** A session through the hop of which neither side says anything. Resolves when the hop cuts it. */
function sayNothing(url: string, seconds: number): Promise<void> {
  const { hostname, port } = new URL(url);
  return new Promise((cut) => {
    connect(Number(port), hostname)
      .on("error", () => {})
      .once("close", () => cut())
      .write(`GET /healthz?${cutAfter(seconds)} HTTP/1.1\r\nHost: localhost\r\n`);
  });
}
