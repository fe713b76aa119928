/** The drain switch with real kubectl: what people see while new sessions are refused, and what goes on. */
import { execFile } from "node:child_process";
import { mkdtempSync, readFileSync, writeFileSync } from "node:fs";
import { createServer, request as httpRequest } from "node:http";
import type { AddressInfo } from "node:net";
import { join, resolve } from "node:path";
import { afterAll, beforeAll, expect, it } from "vitest";
import { query } from "./support/audit-log.ts";
import { startTestStack, type TestStack } from "./support/people.ts";

let people: TestStack;

beforeAll(async () => {
  people = await startTestStack();
});
afterAll(() => people?.stop());

it("new sessions are refused with the reason and the time, while live ones and API requests go on", async () => {
  const open = people.alice.start(["exec", "-i", "shell", "--", "cat"]);
  open.child.stdin?.write("before\n");
  await expect.poll(() => open.stdout()).toBe("before\n");

  const admin = people.kubectl("admin");
  const until = new Date(Date.now() + 30 * 60_000).toISOString();
  const body = JSON.stringify({ reason: "upgrade to 0.2", until });
  const begun = await admin.runWithInput(body, "replace", "--raw", "/-/admin/drain", "-f", "-");
  expect(JSON.parse(begun.stdout)).toMatchObject({ draining: true, reason: "upgrade to 0.2", until });
  const message =
    `new sessions are refused until ${until} (admin@example.com: upgrade to 0.2): try again then; ` +
    "open sessions and other requests go on";

  await expect.poll(async () => (await people.alice.run("exec", "shell", "--", "true")).stderr).toContain(message);
  // bob has never been here: his object does not exist yet.
  for (const refused of [
    ["exec", "shell", "--", "true"],
    ["exec", "-it", "shell", "--", "sh"],
    ["attach", "logger"],
    ["cp", "shell:/etc/hostname", "/dev/null"],
    ["port-forward", "pod/echo", ":7"],
  ]) {
    for (const kubectl of [people.alice, people.bob, admin]) {
      const { code, stderr } = await kubectl.run(...refused);
      expect([refused, code]).toEqual([refused, 1]);
      expect(stderr).toContain(message);
    }
  }
  // An older kubectl, which has no WebSockets, reads the same.
  const spdy = people.kubectl("alice", { KUBECTL_REMOTE_COMMAND_WEBSOCKETS: "false" });
  expect((await spdy.run("exec", "shell", "--", "true")).stderr).toContain(message);

  expect((await people.alice.run("get", "pods")).stdout).toContain("shell");
  expect((await people.alice.run("logs", "logger", "--tail=1")).code).toBe(0);
  open.child.stdin?.end("after\n");
  expect(await open.finished).toMatchObject({ code: 0, stdout: "before\nafter\n" });

  expect((await people.alice.run("delete", "--raw", "/-/admin/drain")).stderr).toContain("requires the role admin");
  const ended = await admin.run("delete", "--raw", "/-/admin/drain?reason=done");
  expect(JSON.parse(ended.stdout)).toEqual({ draining: false, wasDraining: true });
  await expect.poll(async () => (await people.alice.run("exec", "shell", "--", "echo", "open")).stdout).toBe("open\n");

  const events =
    "SELECT type, data ->> '$.by' AS by, data ->> '$.reason' AS reason FROM events WHERE type LIKE 'drain%'";
  await expect
    .poll(() => query(people.stack.d1Path, `${events} ORDER BY row_number`))
    .toEqual([
      { type: "drain", by: "admin@example.com", reason: "upgrade to 0.2" },
      { type: "drain_end", by: "admin@example.com", reason: "done" },
    ]);
  const refusals = "SELECT count(*) AS count FROM requests WHERE refusal = 'draining' AND user = 'alice@example.com'";
  await expect.poll(() => query(people.stack.d1Path, refusals)[0]?.["count"]).toBeGreaterThan(5);
});

/** The operators' command, against the local stack. */
function sallyport(...args: string[]) {
  return run("drain", ...args);
}

function run(
  command: string,
  ...args: string[]
): Promise<{ code: number | string | null; stdout: string; stderr: string }> {
  const file = resolve(import.meta.dirname, "../../tools/sallyport.js");
  const all = [
    file,
    command,
    "--local",
    ...args,
    ...(args.includes("--state") ? [] : ["--state", people.stack.stateDir]),
  ];
  return new Promise((done) => {
    execFile(
      process.execPath,
      all,
      { env: { PATH: process.env["PATH"], HOME: people.home } },
      (error, stdout, stderr) => done({ code: error?.code ?? 0, stdout, stderr }),
    );
  });
}

it("operators drain from a terminal, see who is live, wait for them, and open again", async () => {
  const open = people.alice.start(["exec", "-i", "shell", "--", "cat"]);
  open.child.stdin?.write("here\n");
  await expect.poll(() => open.stdout()).toBe("here\n");
  await expect
    .poll(async () => (await sallyport()).stdout)
    .toMatch(
      /^New sessions open\.\n {2}1 live:\n {4}alice@example\.com: exec in demo\/shell on embedded, for \d+ min\n$/,
    );
  const begun = await sallyport("--reason", "upgrade", "--for", "20m", "--wait", "1s");
  expect(begun).toMatchObject({ code: 1, stderr: "" });
  expect(begun.stdout).toMatch(/^New sessions are refused until .*Z \(admin@example\.com: upgrade\)\.\n {2}1 live:/);
  expect((await people.bob.run("exec", "shell", "--", "true")).stderr).toContain("(admin@example.com: upgrade)");
  await expect
    .poll(async () => (await run("doctor", "--only", "drain")).stdout)
    .toMatch(/^! drain +new sessions are refused until .*Z \(admin@example\.com: upgrade\)\n +→ .*drain --end\n/);
  open.child.stdin?.end();
  expect(await open.finished).toMatchObject({ code: 0 });
  const waited = await sallyport("--reason", "upgrade", "--for", "20m", "--wait", "5m");
  expect(waited).toMatchObject({ code: 0, stdout: expect.stringContaining("No session is live.") });

  expect(await sallyport("--reason", "for ever", "--for", "25h")).toEqual({
    ...{ code: 1, stdout: "" },
    stderr:
      "sallyport drain: the admin API says: until is more than 24 hours away: give an earlier time, and extend it then\n",
  });
  expect(await sallyport("--end")).toEqual({ code: 0, stdout: "New sessions open again.\n", stderr: "" });
  await expect
    .poll(async () => (await run("doctor", "--only", "drain")).stdout)
    .toMatch(/^✓ drain +new sessions open\n/);
  expect((await sallyport("--end")).stdout).toBe("New sessions were not refused.\n");
  expect(await sallyport("--end", "--reason", "x")).toMatchObject({ code: 2 });
  expect(await sallyport("--wait", "5m")).toMatchObject({ code: 2 });
});

/**
 * Stands in front of the admin API: it passes each change on, and cuts the connection instead of its answer.
 */
async function losingAnswers(adminUrl: string) {
  const lost: string[] = [];
  const server = createServer((incoming, outgoing) => {
    const { method = "GET", url = "/", headers } = incoming;
    const forward = httpRequest(new URL(url, adminUrl), {
      method,
      headers: { ...headers, host: new URL(adminUrl).host },
    });
    forward.on("response", (answer) => {
      if (method === "GET") return void answer.pipe(outgoing.writeHead(answer.statusCode ?? 0, answer.headers));
      answer.resume().on("end", () => {
        lost.push(`${method} ${answer.statusCode}`);
        incoming.socket.destroy();
      });
    });
    incoming.pipe(forward);
  });
  await new Promise<void>((listening) => server.listen(0, "127.0.0.1", listening));
  const { port } = server.address() as AddressInfo;
  return { lost, url: `http://127.0.0.1:${port}`, close: () => server.close() };
}

it("operators whose answers are lost on the way find out what stands", async () => {
  const endpoints = JSON.parse(readFileSync(join(people.stack.stateDir, "endpoints.json"), "utf8")) as {
    personas: { admin: { url: string } };
  };
  const front = await losingAnswers(endpoints.personas.admin.url);
  const state = mkdtempSync(join(people.home, "lossy-"));
  const personas = { ...endpoints.personas, admin: { url: front.url } };
  writeFileSync(join(state, "endpoints.json"), JSON.stringify({ ...endpoints, personas }));
  try {
    const begun = await sallyport("--state", state, "--reason", "lost", "--for", "20m");
    expect(begun).toMatchObject({ code: 0, stderr: "" });
    expect(begun.stdout).toMatch(/^New sessions are refused until .*Z \(admin@example\.com: lost\)\./);
    expect((await sallyport()).stdout).toBe(begun.stdout);
    expect(await sallyport("--state", state, "--end")).toEqual({
      code: 0,
      stdout: "New sessions open again.\n",
      stderr: "",
    });
    expect((await sallyport()).stdout).toMatch(/^New sessions open\./);
    expect(front.lost).toEqual(["PUT 200", "DELETE 200"]);
  } finally {
    front.close();
  }
});
