/**
 * Sessions in which something waits: a client that reads nothing for a while, a command that does not read
 * its input, nobody who says anything. They behave as without a proxy, or better. Only a cluster that is gone
 * ends them.
 *
 * "For a while" is until a cluster that froze at the same moment has been given up, which takes 60 to 90 s.
 * kubectl itself may pause for less than a minute only: it takes a pong that it has not read for a lost
 * connection.
 */
import { mkdtempSync, rmSync } from "node:fs";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type IPty, spawn as spawnTerminal } from "@lydell/node-pty";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { WebSocket } from "ws";
import { type EmbeddedCluster, startEmbeddedCluster } from "../../dev/cluster/index.ts";
import { sessionWhere } from "./support/audit-log.ts";
import { CUT_WHEN_IDLE, FREEZABLE, Hop } from "./support/hop.ts";
import type { Kubectl, Running } from "./support/kubectl.ts";
import { startTestStack, type TestStack } from "./support/people.ts";

/** Longer than a session whose reader paused used to live (12 to 38 s). */
const CUTS_WHILE_PAUSED = 2;
const LINE = "a line of text as programs print them\n";
/** 40 MB: more than all buffers between a command and its reader. */
const OUT_BYTES = 40_000_000;
const READY = "ready\n";
/**
 * Says that it is there, and prints once the file is. kubectl gives up where no pong reached it for a minute,
 * so no pause may begin before all sessions are open, however long that takes.
 */
const output = (bytes: number) => `${readyUntil("print")}; yes '${LINE.trim()}' | head -c ${bytes}`;
const OUTPUT = output(OUT_BYTES);
/** A terminal is slow: the pongs lie behind what it has to show after the pause. */
const SHOWN_BYTES = 3_000_000;
/** The first fits into the buffers between Sallyport and the command, and looks taken. */
const STDIN_BYTES = [1_000_000, 30_000_000, 60_000_000];
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

const home = mkdtempSync(join(tmpdir(), "sallyport-e2e-"));
let cluster: EmbeddedCluster;
let hop: Hop;

beforeAll(async () => {
  cluster = await startEmbeddedCluster({ stateDir: join(home, "cluster") });
  hop = new Hop(cluster.url);
});
afterAll(async () => {
  hop?.close();
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

describe.each(["tcp", "websocket"] as const)("with %s to the cluster", (transport) => {
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

describe("while a frozen cluster is found out, over TCP", () => {
  let people: TestStack;
  let frozen: Running;
  let pausedReader: Running;
  let suspended: Running;
  let stopped: CountingTerminal;
  let unread: Exec;
  let stuckInput: Running[];
  let idle: Running;
  let upstream: string;
  const started: Running[] = [];

  beforeAll(async () => {
    upstream = await hop.open();
    people = await startTestStack({ limits: { maxSessionsPerUser: 20 } }, { upstream, transport: "tcp" });
  });
  afterAll(() => {
    for (const { child } of started) child.kill("SIGKILL");
    stopped?.kill();
    unread?.socket.terminate();
    return people?.stop();
  });

  it("all of them begin as usual", async () => {
    const { alice } = people;
    const start = (args: string[], input?: Buffer) => {
      const running = alice.start(args, input);
      started.push(running);
      return running;
    };
    const cat = (note: string) => start(["exec", "-i", "shell", "--", "sh", "-c", `cat # ${note}`]);
    const count = (bytes: number) =>
      start(["exec", "-i", "shell", "--", "sh", "-c", `${readyUntil("read-on")}; wc -c`], Buffer.alloc(bytes));
    stuckInput = STDIN_BYTES.map(count);
    pausedReader = start(["exec", "shell", "--", "sh", "-c", OUTPUT]);
    suspended = start(["exec", "shell", "--", "sh", "-c", OUTPUT]);
    stopped = new CountingTerminal(alice.command("exec", "shell", "--", "sh", "-c", output(SHOWN_BYTES)));
    unread = await new Exec(people, ["sh", "-c", OUTPUT]).opened();
    idle = cat(CUT_WHEN_IDLE);
    frozen = cat(FREEZABLE);
    for (const { child, stdout } of [idle, frozen]) {
      child.stdin?.write("before\n");
      await expect.poll(stdout).toBe("before\n");
    }
    for (const { stdout } of [...stuckInput, pausedReader, suspended]) await expect.poll(stdout).toBe(READY);
    await expect.poll(() => stopped.bytes).toBe(READY.length);
    await expect.poll(() => unread.stdoutEnd).toBe(READY);

    pausedReader.child.stdout?.pause();
    suspended.child.kill("SIGSTOP");
    stopped.type(XOFF);
    unread.socket.pause();
    expect((await alice.run("exec", "shell", "--", "touch", "print")).code).toBe(0);
    hop.freeze();
  });

  it("kubectl whose output nobody reads, or which is suspended, or whose terminal is, gets every byte", async () => {
    // Meanwhile the hop proves that it cuts whoever is silent.
    for (let cut = 0; cut < CUTS_WHILE_PAUSED; cut++) await sayNothing(upstream);
    expect(hop.cut).toBe(CUTS_WHILE_PAUSED);
    // What was on its way to the screen when the key was pressed is little.
    expect(stopped.bytes).toBeLessThan(SHOWN_BYTES / 2);
    stopped.type(XON);
    pausedReader.child.stdout?.resume();
    suspended.child.kill("SIGCONT");
    for (const { finished } of [pausedReader, suspended]) {
      const { code, stdout, stderr } = await finished;
      expect([code, stdout.length, stderr]).toEqual([0, READY.length + OUT_BYTES, ""]);
    }
    expect([await stopped.exited, stopped.bytes]).toEqual([0, READY.length + SHOWN_BYTES]);
  });

  it("the frozen session is ended as lost", async () => {
    expect(await frozen.finished).toEqual({
      code: 1,
      stdout: "before\n",
      stderr: "error: the connection to the cluster was lost\n",
    });
    await sessionWhere(people.stack.d1Path, "outcome = 'upstream_lost' AND reason LIKE '%no answer for 60 s%'");
  });

  it("a client that has read nothing since gets every byte", async () => {
    await frozen.finished;
    unread.socket.resume();
    expect(await unread.ended).toBe(1000);
    expect(unread.stdoutBytes).toBe(READY.length + OUT_BYTES);
  });

  it("input arrives in a command that reads it later than kubectl would wait without Sallyport", async () => {
    await frozen.finished;
    expect((await people.alice.run("exec", "shell", "--", "touch", "read-on")).code).toBe(0);
    const ends = await Promise.all(stuckInput.map(({ finished }) => finished));
    expect(ends.map(({ code, stdout, stderr }) => [code, stdout, stderr])).toEqual(
      STDIN_BYTES.map((bytes) => [0, `${READY}${bytes}\n`, ""]),
    );
  });

  it("an idle session lives behind a hop that cuts what is silent for 20 s", async () => {
    await frozen.finished;
    idle.child.stdin?.end("after\n");
    expect(await idle.finished).toEqual({ code: 0, stdout: "before\nafter\n", stderr: "" });
  });
});

/** A session through the hop of which neither side says anything. Resolves when the hop cuts it. */
function sayNothing(url: string): Promise<void> {
  const { hostname, port } = new URL(url);
  return new Promise((cut) => {
    connect(Number(port), hostname)
      .on("error", () => {})
      .once("close", () => cut())
      .write(`GET /healthz?${CUT_WHEN_IDLE} HTTP/1.1\r\nHost: localhost\r\n`);
  });
}
