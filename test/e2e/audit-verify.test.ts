/** `npx sallyport audit-verify` on a real local D1. */
import { execFile } from "node:child_process";
import { resolve } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { afterAll, beforeAll, expect, it } from "vitest";
import { eventually } from "../support/eventually.ts";
import { query, sessionWhere } from "./support/audit-log.ts";
import { startTestStack, type TestStack } from "./support/people.ts";

const ROOT = resolve(import.meta.dirname, "../..");
let people: TestStack;

beforeAll(async () => {
  people = await startTestStack();
});
afterAll(() => people?.stop());

function verify(): Promise<{ code: number; output: string }> {
  const args = ["tools/sallyport.js", "audit-verify", "--state", people.stack.stateDir];
  return new Promise((done) => {
    execFile(process.execPath, args, { cwd: ROOT }, (error, stdout, stderr) => {
      done({ code: typeof error?.code === "number" ? error.code : 0, output: stdout + stderr });
    });
  });
}

it("verifies real sessions, and names an event that was changed", async () => {
  for (const word of ["one", "two", "three"]) {
    await people.alice.run("exec", "shell", "--", "echo", word);
    await sessionWhere(people.stack.d1Path, "state = 'ended' AND command ->> '$[1]' = ?", word);
  }
  await people.bob.run("exec", "shell", "--", "true");
  await sessionWhere(people.stack.d1Path, "state = 'ended' AND user = 'bob@example.com'");
  await people.alice.run("create", "configmap", "verified");
  await eventually(() => {
    const rows = query(people.stack.d1Path, "SELECT status FROM requests WHERE verb = 'create'");
    expect(rows).toEqual([{ status: 201 }]);
  });
  expect(await verify()).toEqual({
    code: 0,
    output: "The audit log is intact: 4 sessions, 1 request, 13 events, 0 without an end (live or interrupted).\n",
  });

  const second = query(people.stack.d1Path, "SELECT id FROM sessions WHERE command ->> '$[1]' = 'two'")[0]?.["id"];
  const database = new DatabaseSync(people.stack.d1Path);
  const forge = () =>
    database.exec(`UPDATE events SET data = json_set(data, '$.command[1]', 'harmless') WHERE session_id = '${second}'`);
  expect(forge).toThrow(/append-only: events are never updated/);
  // Anybody who may change the schema can drop the trigger. The hash chain shows the change.
  database.exec("DROP TRIGGER events_are_never_updated");
  forge();
  database.close();
  const { code, output } = await verify();
  expect(code).toBe(1);
  expect(output).toContain(
    `1 broken link in 4 sessions, 1 request, 13 events, 0 without an end (live or interrupted).\n  ${second}, event 0: its hash does not match its content`,
  );
});

it("says what to do when there is no local stack", async () => {
  const nowhere = await new Promise<string>((done) => {
    const args = ["tools/sallyport.js", "audit-verify", "--state", people.home];
    execFile(process.execPath, args, { cwd: ROOT }, (_error, _stdout, stderr) => done(stderr));
  });
  expect(nowhere).toContain(`no local stack in ${people.home} (no endpoints.json): run npm start`);
});
