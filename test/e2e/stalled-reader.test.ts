/**
 * A client that stops reading: its unread output is bounded, and no other session waits for it. Nor does one
 * wait for a client that floods its own session.
 */
import { readFileSync } from "node:fs";
import { connect, type Socket } from "node:net";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { WebSocket } from "ws";
import { WorkerHeaps } from "../soak/support/inspector.ts";
import { sessionWhere } from "./support/audit-log.ts";
import { startTestStack, type TestStack } from "./support/people.ts";

const MIB = 1024 * 1024;
const KEYS = 300;
const STDIN = 0;
const STDOUT = 1;
/** Frames of a flood, of one byte each. */
const FLOOD = 200_000;
/** A masked frame, by a key of zeros. */
const frame = (...payload: number[]) => Buffer.of(0x82, 0x80 | payload.length, 0, 0, 0, 0, ...payload);

/**
 * Over TCP the object reads no more than the client does. Over the platform's WebSocket it can only be slow
 * to: 8 MiB may gather, and the runtime's own buffers. The local R2 is in the same process and stores the
 * recording.
 */
const LEGS = [
  { transport: "tcp", maxGrowthBytes: 64 * MIB, maxHeapGrowthBytes: 8 * MIB },
  { transport: "websocket", maxGrowthBytes: 128 * MIB, maxHeapGrowthBytes: 32 * MIB },
] as const;

describe.each(LEGS)("a stalled reader, over $transport", ({ transport, maxGrowthBytes, maxHeapGrowthBytes }) => {
  let people: TestStack;
  let heaps: WorkerHeaps;

  beforeAll(async () => {
    people = await startTestStack({ limits: { stallTimeoutSeconds: 15 } }, { transport, inspector: true });
    heaps = await WorkerHeaps.connect(people.stack.inspectorUrl ?? "");
  });
  afterAll(() => {
    heaps?.close();
    return people?.stop();
  });

  /** Opens an exec on a socket of its own, and pauses that after the first bytes of the answer. */
  function openWithoutReading(script: string): Promise<Socket> {
    const { hostname, port } = new URL(people.stack.personas.alice.url);
    const query = new URLSearchParams({ container: "shell", stdout: "true", stdin: "true" });
    for (const word of ["sh", "-c", script]) query.append("command", word);
    return new Promise((done, failed) => {
      const socket = connect(Number(port), hostname);
      socket.once("error", failed);
      socket.once("data", (answer) => {
        socket.pause();
        if (answer.toString().startsWith("HTTP/1.1 101")) done(socket);
        else failed(new Error(answer.toString().slice(0, 200)));
      });
      socket.write(
        `GET /api/v1/namespaces/demo/pods/shell/exec?${query} HTTP/1.1\r\nHost: ${hostname}:${port}\r\n` +
          "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n" +
          "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Protocol: v5.channel.k8s.io\r\n\r\n",
      );
    });
  }

  function memoryOfWorkerd(): number {
    const status = readFileSync(`/proc/${people.stack.workerdPid()}/status`, "utf8");
    return Number(/VmRSS:\s+(\d+) kB/.exec(status)?.[1]) * 1024;
  }

  /** Opens `cat` as a person, to type into. */
  async function openCat(person: "alice" | "admin"): Promise<WebSocket> {
    const url = people.stack.personas[person].url.replace("http", "ws");
    const path = "/api/v1/namespaces/demo/pods/shell/exec?container=shell&command=cat&stdin=true&stdout=true";
    const socket = new WebSocket(url + path, ["v5.channel.k8s.io"], { perMessageDeflate: false });
    await new Promise((resolve, reject) => socket.once("open", resolve).once("error", reject));
    return socket;
  }

  it("is bounded, delays nobody, and is ended with the reason in the audit log", async () => {
    await people.alice.run("exec", "shell", "--", "true");
    const heapBefore = (await heaps.content()).bytes;
    const before = memoryOfWorkerd();
    const stalled = await openWithoutReading("yes a line of text as programs print them # stalled");
    const row = await sessionWhere(
      people.stack.d1Path,
      "command ->> '$[2]' = 'yes a line of text as programs print them # stalled'",
    );

    // Meanwhile the same user's other sessions work, and the administrator is answered.
    const other = await people.alice.run("exec", "shell", "--", "echo", "still here");
    expect(other.stdout).toBe("still here\n");
    const doomed = people.alice.start(["exec", "shell", "--", "sleep", "99"]);
    const { id } = await sessionWhere(people.stack.d1Path, "command ->> '$[1]' = '99'");
    expect((await people.admin("DELETE", `sessions/${id}`)).status).toBe(200);
    await doomed.finished;
    // None of them waited for the stalled reader: its session is still live.
    expect(await (await people.admin("GET", `sessions/${row["id"]}`)).json()).toMatchObject({ state: "live" });
    // The stream is endless. What workerd took meanwhile, it may not need: of the heap only what is still
    // held counts.
    const growth = memoryOfWorkerd() - before;
    const heapGrowth = (await heaps.content()).bytes - heapBefore;

    const ended = await sessionWhere(people.stack.d1Path, "state = 'ended' AND id = ?", String(row["id"]));
    expect(ended).toMatchObject({
      outcome: "stalled",
      reason: "session ended: its client stopped reading what it was sent",
    });
    expect(growth).toBeLessThan(maxGrowthBytes);
    expect(heapGrowth).toBeLessThan(maxHeapGrowthBytes);
    expect(Number(ended["bytes_out"])).toBeLessThan(64 * MIB);
    stalled.destroy();
  });

  it("does not slow down what its user types elsewhere", async (context) => {
    if (transport === "websocket") {
      context.skip("over the platform's WebSocket a cluster is held back by holding back all of the object's input");
    }
    const stalled = await openWithoutReading("yes a line of text as programs print them # beside");
    const { id } = await sessionWhere(people.stack.d1Path, "command ->> '$[2]' LIKE '%# beside'");
    const [beside, apart] = [await openCat("alice"), await openCat("admin")];
    // In turn, so that a busy machine slows down both.
    let [besideMs, apartMs] = [0, 0];
    for (let count = 0; count < KEYS; count++) {
      besideMs += await roundTrip(beside);
      apartMs += await roundTrip(apart);
    }
    expect(await (await people.admin("GET", `sessions/${id}`)).json()).toMatchObject({ state: "live" });
    // It used to take tens of times as long.
    expect(besideMs).toBeLessThan(3 * apartMs);
    for (const socket of [beside, apart]) socket.terminate();
    stalled.destroy();
  });

  it("a flood of tiny messages leaves turns for what its user types elsewhere", async () => {
    const [flooding, beside] = [await openWithoutReading("wc -c"), await openCat("alice")];
    const counted = new Promise<boolean>((resolve) => {
      let output = "";
      flooding.on("data", (bytes) => {
        output += bytes.toString("latin1");
        if (output.includes(`${FLOOD}\n`)) resolve(true);
      });
    });
    flooding.resume();
    flooding.write(Buffer.concat([...Array.from({ length: FLOOD }, () => frame(STDIN, 0x78)), frame(255, STDIN)]));
    let echoes = 0;
    while (!(await Promise.race([counted, roundTrip(beside).then(() => false)]))) echoes++;
    // It used to be one or two: the runtime looked at no other socket while there was more of the flood.
    expect(echoes).toBeGreaterThan(20);
    beside.terminate();
    flooding.destroy();
  });
});

/** @returns how long a key's echo takes, ms */
function roundTrip(socket: WebSocket): Promise<number> {
  return new Promise((resolve) => {
    const start = performance.now();
    const onMessage = (message: Buffer) => {
      // The cluster first sends an empty frame per channel.
      if (message[0] !== STDOUT || message.length < 2) return;
      socket.off("message", onMessage);
      resolve(performance.now() - start);
    };
    socket.on("message", onMessage);
    socket.send(Buffer.of(STDIN, 0x78));
  });
}
