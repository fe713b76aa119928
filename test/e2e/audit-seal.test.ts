/** Sealing on the local stack, by its cron trigger; `audit-verify` and `audit-restore` over its bucket. */
import { execFile } from "node:child_process";
import { existsSync, readdirSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { afterAll, beforeAll, expect, it } from "vitest";
import { hashEvent } from "../../audit/chain.ts";
import { query, sessionWhere } from "./support/audit-log.ts";
import { startTestStack, type TestStack } from "./support/people.ts";

const ROOT = resolve(import.meta.dirname, "../..");
let people: TestStack;

beforeAll(async () => {
  people = await startTestStack();
});
afterAll(() => people?.stop());

function run(command: string, ...more: readonly string[]): Promise<{ code: number; output: string }> {
  const args = ["tools/sallyport.js", command, "--state", people.stack.stateDir, ...more];
  return new Promise((done) => {
    execFile(process.execPath, args, { cwd: ROOT }, (error, stdout, stderr) => {
      done({ code: typeof error?.code === "number" ? error.code : 0, output: stdout + stderr });
    });
  });
}

/** A session of two months ago, as an object that has been away since then delivers it. */
function deliverOldSession(database: DatabaseSync): void {
  const at = Date.now() - 62 * 86_400_000;
  let prev_hash = "";
  const events = [
    { type: "start" as const, data: JSON.stringify({ user: "late@example.com", command: ["old"] }) },
    { type: "end" as const, data: JSON.stringify({ outcome: "exited" }) },
  ];
  for (const [seq, { type, data }] of events.entries()) {
    const hash = hashEvent({ session_id: "old", seq, at: at + seq, type, data, prev_hash });
    database
      .prepare("INSERT INTO events (session_id, seq, at, type, data, prev_hash, hash) VALUES ('old', ?, ?, ?, ?, ?, ?)")
      .run(seq, at + seq, type, data, prev_hash, hash);
    prev_hash = hash;
  }
}

it("seals what is over, verifies it, restores it, and finds what is missing", async () => {
  const { d1Path, cronUrl } = people.stack;
  const database = new DatabaseSync(d1Path);
  deliverOldSession(database);
  database.close();
  await people.alice.run("exec", "shell", "--", "true");
  await sessionWhere(d1Path, "state = 'ended' AND user = 'alice@example.com'");
  expect((await fetch(cronUrl, { method: "POST" })).status).toBe(200);
  const [seal] = query(d1Path, "SELECT first_row, last_row, rows, closed_by FROM seals");
  expect(seal).toEqual({ first_row: 1, last_row: 2, rows: 2, closed_by: "month" });

  const intact = await run("audit-verify");
  expect(intact.output).toContain(
    "1 object with 2 rows read from the local stack's bucket; 0 rows of them in the seals",
  );
  expect(intact).toMatchObject({ code: 0, output: expect.stringContaining("The audit log is intact: 2 sessions") });

  const out = join(people.home, "audit.sqlite");
  const whole = await run("audit-restore", "--out", out);
  expect(whole.code, whole.output).toBe(0);
  const restored = query(out, "SELECT user, outcome FROM sessions ORDER BY started_at");
  expect(restored.map(({ user }) => user)).toEqual(["late@example.com", "alice@example.com"]);
  expect(await run("audit-restore", "--out", out)).toMatchObject({ output: expect.stringContaining("exists") });
  const failed = join(people.home, "failed.sqlite");
  const nowhere = join(people.home, "nowhere");
  const { output: without } = await run("audit-restore", "--out", failed, "--seals", nowhere);
  expect([without, existsSync(failed)]).toEqual([expect.stringContaining(`there is no folder ${nowhere}`), false]);

  expect(await run("audit-verify", "--seals", people.home)).toMatchObject({
    code: 1,
    output: expect.stringMatching(/The seals are NOT intact[\s\S]*\.json is missing in/),
  });
  // Somebody who can write to the bucket removes an object.
  const buckets = join(dirname(dirname(dirname(d1Path))), "r2");
  for (const bucket of readdirSync(buckets)) rmSync(join(buckets, bucket, "blobs"), { recursive: true, force: true });
  const { code, output } = await run("audit-verify");
  expect(code).toBe(1);
  expect(output).toMatch(/The seals are NOT intact: \d problems? in[\s\S]*is missing in the local stack's bucket/);

  // D1 fails after the file was begun.
  // Another file in its place: the stack, which still runs, may write to the one that it has open.
  for (const suffix of ["-wal", "-shm"]) rmSync(d1Path + suffix, { force: true });
  writeFileSync(`${d1Path}.broken`, "not a database");
  renameSync(`${d1Path}.broken`, d1Path);
  expect((await run("audit-restore", "--out", failed)).output).toContain("file is not a database");
  expect(existsSync(failed)).toBe(false);
});
