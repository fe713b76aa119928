/** A client that stops reading: its unread output is bounded, and no other session waits for it. */
import { readFileSync } from "node:fs";
import { connect, type Socket } from "node:net";
import { afterAll, beforeAll, expect, it } from "vitest";
import { sessionWhere } from "./support/audit-log.ts";
import { startTestStack, type TestStack } from "./support/people.ts";

let people: TestStack;

beforeAll(async () => {
  people = await startTestStack({ limits: { stallTimeoutSeconds: 15 } });
});
afterAll(() => people?.stop());

/** Opens an exec and reads nothing after the first bytes of the answer. */
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

it("a stalled reader is bounded, delays nobody, and is ended with the reason in the audit log", async () => {
  await people.alice.run("exec", "shell", "--", "true");
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

  const ended = await sessionWhere(people.stack.d1Path, "state = 'ended' AND id = ?", String(row["id"]));
  expect(ended).toMatchObject({
    outcome: "stalled",
    reason: "session ended: its client stopped reading what it was sent",
  });
  // The stream is endless. What may grow is 8 MiB of queue, the runtime's own buffers, and the local R2, which is in the
  // same process and stores the recording.
  expect(memoryOfWorkerd() - before).toBeLessThan(128 * 1024 * 1024);
  expect(Number(ended["bytes_out"])).toBeLessThan(64 * 1024 * 1024);
  stalled.destroy();
});
